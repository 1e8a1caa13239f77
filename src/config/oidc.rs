//! `[web.oidc]`: the identity provider whose people sign in to the console (OpenID Connect).

use std::path::PathBuf;
use std::sync::Arc;

use super::raw::Section;
use super::values::non_empty;
use super::{ADMINISTRATOR, ClientTls, HttpUrl, Role, tls};

/// `[web.oidc]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// Who vouches, exactly as it writes itself.
    pub issuer: String,
    /// What we are called there.
    pub client: String,
    /// The file with what we show there; without it PKCE alone says that it is us.
    pub secret_file: Option<PathBuf>,
    /// How it is known; for `https`.
    pub tls: Option<Arc<ClientTls>>,
    /// What people call it, on the button.
    pub title: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that is the name of the account.
    pub name: String,
    /// The claim that says which groups somebody is in; dots lead into objects.
    pub groups: String,
    /// Which group has which role.
    pub roles: Vec<GroupRole>,
    /// Where browsers reach the console, when that is not the host that they ask for.
    pub address: Option<String>,
}

/// A role that a group has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRole {
    /// A value of the claim.
    pub group: String,
    /// A role of ours.
    pub role: String,
}

impl Oidc {
    /// The roles of somebody who is in these groups.
    pub fn roles_of(&self, groups: &[String]) -> Vec<String> {
        let mut roles: Vec<String> =
            self.roles.iter().filter(|rule| groups.contains(&rule.group)).map(|rule| rule.role.clone()).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}

pub(super) fn oidc(s: Section<'_>, known: &[Role]) -> Option<Oidc> {
    let url = |text: &str| {
        let parsed = text.parse::<HttpUrl>()?;
        Ok((text.trim().trim_end_matches('/').to_owned(), text.trim().to_owned(), parsed))
    };
    let issuer = s.text("issuer", url);
    let address = s.text("address", url).map(|(bare, ..)| bare);
    let client = s.text("client", non_empty);
    let secret_file = s.text("secret_file", non_empty).map(PathBuf::from);
    let tls = tls::client(&s, None);
    let title = s.text("title", non_empty).unwrap_or_else(|| "the hospital account".to_owned());
    let scope = |text: &str| match text {
        text if text.is_empty() || text.contains(char::is_whitespace) => Err(format!("`{text}` is no scope")),
        text => Ok(text.to_owned()),
    };
    let mut scopes = s.texts("scopes", scope).unwrap_or_else(|| vec!["openid".to_owned(), "profile".to_owned()]);
    if !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    let name = s.text("name", non_empty).unwrap_or_else(|| "preferred_username".to_owned());
    let groups = s.text("groups", non_empty).unwrap_or_else(|| "groups".to_owned());
    let roles: Vec<GroupRole> = s.sections("roles").into_iter().filter_map(rule).collect();
    s.finish();
    s.require("issuer", "\"https://login.hospital.example/realms/main\"");
    s.require("client", "\"pacsferry\"");
    s.require("roles", "[ { group = \"pacs-admins\", role = \"administrator\" } ]");
    let names = || known.iter().map(|role| role.name.as_str()).chain([ADMINISTRATOR]);
    if let Some(unknown) = roles.iter().find(|rule| !names().any(|name| name == rule.role)) {
        let remedy = format!("the roles are: {}", names().collect::<Vec<_>>().join(", "));
        s.problem("roles", format!("there is no role `{}`", unknown.role), remedy);
    }
    let (_, issuer, url) = issuer?;
    let loopback = ["127.0.0.1", "::1", "localhost"].contains(&url.address.host.as_str());
    if url.secure {
        s.require("tls", "{ ca = \"/etc/ssl/certs/ca-certificates.crt\" }");
    } else if !loopback {
        let remedy = "write https://";
        s.problem("issuer", "http:// would let anybody on the way say who people are", remedy);
    }
    Some(Oidc { issuer, client: client?, secret_file, tls, title, scopes, name, groups, roles, address })
}

fn rule(s: Section<'_>) -> Option<GroupRole> {
    let (group, role) = (s.text("group", non_empty), s.text("role", non_empty));
    s.require("group", "\"pacs-admins\"");
    s.require("role", "\"administrator\"");
    s.finish();
    Some(GroupRole { group: group?, role: role? })
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    const GOOD: &str = "[web.oidc]\nissuer = \"http://127.0.0.1:9/x/\"\nclient = \"us\"\n\
                        roles = [ { group = \"a\", role = \"administrator\" }, { group = \"b\", role = \"administrator\" } ]\n";

    #[test]
    fn groups_have_roles() {
        let oidc = parse(GOOD, None).unwrap().web.oidc.unwrap();
        assert_eq!((oidc.issuer.as_str(), oidc.name.as_str()), ("http://127.0.0.1:9/x/", "preferred_username"));
        assert_eq!(oidc.roles_of(&["b".into(), "a".into(), "c".into()]), ["administrator"]);
        assert!(oidc.roles_of(&["c".into()]).is_empty());
        assert_eq!(parse("", None).unwrap().web.oidc, None);
    }

    #[test]
    fn what_would_not_be_safe_is_refused() {
        let said = |text: &str| parse(text, None).unwrap_err().to_string();
        assert!(said("[web.oidc]\nclient = \"us\"").contains("`issuer` is missing"));
        assert!(said(&GOOD.replace("127.0.0.1:9", "id.example")).contains("say who people are"));
        assert!(said(&GOOD.replace("http://127.0.0.1:9", "https://id.example")).contains("`tls` is missing"));
        assert!(said(&GOOD.replace("client", "clients")).contains("did you mean `client`?"));
        assert!(said(&GOOD.replace("group = \"a\", ", "")).contains("`group` is missing"));
        assert!(said(&GOOD.replacen("administrator", "kings", 1)).contains("no role `kings`"));
    }
}
