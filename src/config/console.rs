//! `[web]`: where the console listens, by what names it is called, and what its accounts may do.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::raw::Section;
use super::values::{count, listen, network, non_empty};
use super::{Config, Oidc, Operator, Privilege, Role, ServerTls};

/// The role that has every privilege, whatever is configured.
pub const ADMINISTRATOR: &str = "administrator";

/// `[web]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Web {
    /// Where the console listens.
    pub listen: SocketAddr,
    /// The host names that it is called by, beside addresses and `localhost`.
    pub names: Vec<String>,
    /// Sites whose pages may use DICOMweb, as browsers name them: `https://viewer.example`.
    pub cors: Vec<String>,
    /// Accounts whose programs show what they fetch by DICOMweb and keep none of it.
    pub viewers: Vec<String>,
    /// The most connections that one address has at one time.
    pub connections: usize,
    /// Reverse proxies: their `X-Forwarded-For` says who asks.
    pub proxies: Vec<IpNet>,
    /// Folders below which the console shows what there is to import.
    pub browse: Vec<PathBuf>,
    /// Makes it HTTPS.
    pub tls: Option<ServerTls>,
    /// Whose people sign in, beside those with a password.
    pub oidc: Option<Oidc>,
}

impl Web {
    /// Whether this is a proxy, whose word on who asks is taken.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(&address.to_canonical()))
    }

    /// The most connections that an address has at one time; this machine and proxies speak for many.
    pub fn most_from(&self, address: IpAddr) -> Option<usize> {
        let many = address.to_canonical().is_loopback() || self.is_proxy(address);
        (!many).then_some(self.connections)
    }
}

impl Config {
    /// The roles whose accounts may do everything with accounts.
    pub fn masters(&self) -> Vec<String> {
        let own = self.roles.iter().filter(|role| role.privileges.contains(&Privilege::Administer));
        std::iter::once(ADMINISTRATOR.to_owned()).chain(own.map(|role| role.name.clone())).collect()
    }

    /// All roles that there are.
    pub fn role_names(&self) -> Vec<String> {
        let own = self.roles.iter().map(|role| role.name.clone()).filter(|name| name != ADMINISTRATOR);
        std::iter::once(ADMINISTRATOR.to_owned()).chain(own).collect()
    }

    /// What an account of the console with these roles may do.
    pub fn account(&self, name: &str, roles: &[String]) -> Operator {
        if roles.iter().any(|role| role == ADMINISTRATOR) {
            return Operator::with_all(name);
        }
        let own = self.roles.iter().filter(|role| roles.contains(&role.name));
        let privileges: BTreeSet<Privilege> = own.flat_map(|role| role.privileges.iter().copied()).collect();
        Operator { name: name.to_owned(), privileges }
    }
}

pub(super) fn web(s: Section<'_>, roles: &[Role]) -> Web {
    let web = Web {
        listen: s.text("listen", listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
        names: s.texts("names", non_empty).unwrap_or_default(),
        cors: s.texts("cors", origin).unwrap_or_default(),
        viewers: s.texts("viewers", non_empty).unwrap_or_default(),
        connections: count(s.number("connections", 4..=256)).unwrap_or(32),
        proxies: s.texts("proxies", network).unwrap_or_default(),
        browse: s.texts("browse", absolute).unwrap_or_default(),
        tls: super::tls::server(&s),
        oidc: s.table("oidc").and_then(|s| super::oidc::oidc(s, roles)),
    };
    s.finish();
    web
}

/// An origin, as browsers write it: `https://viewer.example`, with a port that is not the usual one.
fn origin(text: &str) -> Result<String, String> {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let sound = !authority.is_empty()
        && authority.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b));
    if sound { Ok(text.to_owned()) } else { Err("write scheme and host, as in https://viewer.example".to_owned()) }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("write a whole path, from the / on".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn an_account_may_what_its_roles_say() {
        let config = parse("[[role]]\nname = \"clerks\"\nprivileges = [\"view\", \"content\"]\n", None).unwrap();
        let of = |roles: &[&str]| {
            let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
            config.account("anna", &roles).privileges.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of(&["clerks", "gone"]), [Privilege::View, Privilege::Content]);
        assert_eq!(of(&[ADMINISTRATOR]), Privilege::ALL);
        assert!(of(&[]).is_empty());
    }
}
