//! Signing in by an identity provider (OpenID Connect Core 1.0, authorization code with PKCE): a browser is sent there, comes
//! back with a code, and what the provider says for that code is who it is and what he may do.
//!
//! What has to be remembered meanwhile is in a cookie of the browser, so that strangers fill no memory here.

mod http;
mod provider;
mod verify;

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Web;
use super::accounts::secret;
use super::answer::{Refused, page};
use super::content::engine;
use super::listener::Peer;
use super::sign_in::{cookie, place, refused};
use crate::audit::{AuditEvent, AuditOutcome, Party};
use crate::catalog::{Vouch, Vouched, is_account_name};
use crate::config::{Config, Oidc};

pub use provider::{Provider, ProviderError};

/// What a browser has to show when it comes back. `Lax`: it comes from another site.
const COOKIE: &str = "__Host-pacsferry-oidc";
/// How long somebody may take to sign in there, in seconds.
const PATIENCE: u32 = 600;
/// The path at which people come back.
const BACK: &str = "/sign-in/oidc/back";
/// The longest place to go on to that is remembered.
const LONGEST_NEXT: usize = 1000;
/// The most groups that are looked at.
const MOST_GROUPS: usize = 1000;

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    next: String,
}

/// What comes back.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Back {
    code: String,
    state: String,
    iss: Option<String>,
    error: String,
    error_description: String,
}

/// What was sent along, and has to fit what comes back.
#[derive(Debug, PartialEq, Eq)]
struct Began {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
}

#[derive(Template)]
#[template(path = "signed_in.html", config = "src/web/templates/askama.toml")]
struct SignedInPage<'a> {
    next: &'a str,
}

#[derive(Template)]
#[template(path = "signed_out.html", config = "src/web/templates/askama.toml")]
struct SignedOutPage<'a> {
    title: &'a str,
    there: String,
}

impl Began {
    fn new(next: &str) -> Result<Began, Refused> {
        let next = if next.len() > LONGEST_NEXT { "/" } else { place(next) };
        Ok(Began { state: secret()?, nonce: secret()?, verifier: secret()?, next: next.to_owned() })
    }

    fn text(&self) -> String {
        let next = URL_SAFE_NO_PAD.encode(&self.next);
        format!("{}.{}.{}.{next}", self.state, self.nonce, self.verifier)
    }

    fn read(headers: &HeaderMap) -> Option<Began> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, text) = pairs.find(|(name, _)| *name == COOKIE)?;
        let mut parts = text.split('.').map(str::to_owned);
        let (state, nonce, verifier, next) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        let whole = parts.next().is_none() && [&state, &nonce, &verifier].iter().all(|part| part.len() >= 32);
        whole.then_some(Began { state, nonce, verifier, next })
    }
}

fn began(text: &str, seconds: u32) -> HeaderMap {
    let text = format!("{COOKIE}={text}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(header::SET_COOKIE, value);
    }
    headers
}

/// Where the browser reaches us: as configured, or as it says itself, which was found to be ours.
fn address(config: &Config, oidc: &Oidc, headers: &HeaderMap) -> String {
    let scheme = if config.web.tls.is_some() { "https" } else { "http" };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    oidc.address.clone().unwrap_or_else(|| format!("{scheme}://{host}"))
}

fn configured(config: &Config) -> Result<&Oidc, Refused> {
    config.web.oidc.as_ref().ok_or_else(|| Refused::missing("no identity provider is configured"))
}

impl From<ProviderError> for Refused {
    fn from(error: ProviderError) -> Refused {
        tracing::warn!(error = &error as &dyn std::error::Error, "the identity provider is of no use");
        let remedy = "sign in with a password, or try again; `pacsferry check` looks for the cause";
        Refused::new(StatusCode::BAD_GATEWAY, crate::job::words(&error), remedy)
    }
}

/// Sends a browser to the provider.
pub(super) async fn begin(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    let config = web.config.borrow().clone();
    let oidc = configured(&config)?;
    let metadata = web.provider.metadata(oidc).await?;
    let secrets = Began::new(&wanted.next)?;
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, secrets.verifier.as_bytes()));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &oidc.client)
        .append_pair("redirect_uri", &format!("{}{BACK}", address(&config, oidc, &headers)))
        .append_pair("scope", &oidc.scopes.join(" "))
        .append_pair("state", &secrets.state)
        .append_pair("nonce", &secrets.nonce)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    let joint = if metadata.authorization_endpoint.contains('?') { '&' } else { '?' };
    let there = format!("{}{joint}{}", metadata.authorization_endpoint, query.finish());
    Ok((began(&secrets.text(), PATIENCE), Redirect::to(&there)).into_response())
}

/// Somebody comes back.
pub(super) async fn back(
    State(web): State<Arc<Web>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Result<Response, Refused> {
    let config = web.config.borrow().clone();
    let oidc = configured(&config)?;
    let who = |name: &str| Party::person(name, peer.ip());
    let failed = |name: &str, why: &str| {
        let outcome = AuditOutcome::Minor(format!("could not sign in to the console by {}: {why}", oidc.issuer));
        web.audit.record(AuditEvent::Authentication { who: who(name), outcome });
    };
    let again = |why: &str| {
        let shown = refused(&config, why);
        Ok((StatusCode::FORBIDDEN, began("", 0), shown).into_response())
    };
    let Some(secrets) = Began::read(&headers).filter(|secrets| secrets.state == back.state) else {
        return again("this sign-in was not begun here, or too long ago: begin it again");
    };
    if back.iss.as_ref().is_some_and(|issuer| *issuer != oidc.issuer) {
        return again("the answer comes from another identity provider");
    }
    if !back.error.is_empty() || back.code.is_empty() {
        let said: String = [back.error.as_str(), back.error_description.as_str()].join(" ");
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        return again(&format!("{} did not sign you in: {}", oidc.title, said.trim()));
    }
    let redirect = format!("{}{BACK}", address(&config, oidc, &headers));
    let claims = match web.provider.claims(oidc, &back.code, &secrets.verifier, &redirect, &secrets.nonce).await {
        Ok(claims) => claims,
        Err(error @ ProviderError::Token(_)) => {
            failed("", &crate::job::words(&error));
            return again(&crate::job::words(&error));
        }
        Err(error) => {
            failed("", &crate::job::words(&error));
            return Err(error.into());
        }
    };
    let person = match person(oidc, &claims) {
        Ok(person) => person,
        Err(why) => {
            failed("", &why);
            return again(&why);
        }
    };
    let name = person.name.clone().unwrap_or_else(|| person.subject.clone());
    let vouch = web.catalog.vouched(person).await?;
    if let Vouch::Account(user, locks) = &vouch {
        let called = config.account(&user.name, &user.roles);
        engine(&web).handed_over(locks, &format!("{} has another name now", user.name), &called).await?;
    }
    let user = match vouch {
        Vouch::Account(user, _) if !user.disabled => user,
        Vouch::Account(..) => {
            failed(&name, "the account may not sign in");
            return again(&format!("the account {name} may not sign in: ask an administrator"));
        }
        Vouch::Taken => {
            failed(&name, "another account has the name");
            return again(&format!("another account is called {name} here: an administrator can remove it"));
        }
        Vouch::Nameless => {
            let why = format!("the claim `{}` is no name for an account", oidc.name);
            failed(&name, &why);
            return again(&why);
        }
        Vouch::Nobody => {
            failed(&name, "no group of theirs has a role");
            return again(&format!("{name} is in no group that may do something here: ask an administrator"));
        }
    };
    let token = web.accounts.open(&web.catalog, &user).await?;
    web.audit.record(AuditEvent::Authentication { who: who(&user.name), outcome: AuditOutcome::Success });
    let mut set = began("", 0);
    for (name, value) in &cookie(&token) {
        set.append(name.clone(), value.clone());
    }
    // From here on the browser is on our own site: it would not show our cookie after a redirect that began elsewhere.
    Ok((set, page(&SignedInPage { next: place(&secrets.next) })).into_response())
}

/// Who the claims say that it is.
fn person(oidc: &Oidc, claims: &Map<String, Value>) -> Result<Vouched, String> {
    let text = |name: &str| claim(claims, name).and_then(Value::as_str);
    let subject = text("sub").filter(|subject| !subject.is_empty() && subject.len() <= 255);
    let subject = subject.ok_or("the identity provider does not say who you are")?;
    let name = text(&oidc.name).filter(|name| is_account_name(name)).map(str::to_owned);
    let groups: Vec<String> = match claim(claims, &oidc.groups) {
        Some(Value::String(group)) => vec![group.clone()],
        Some(Value::Array(groups)) => {
            groups.iter().filter_map(Value::as_str).take(MOST_GROUPS).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let (issuer, roles) = (oidc.issuer.clone(), oidc.roles_of(&groups));
    Ok(Vouched { issuer, subject: subject.to_owned(), name, roles })
}

/// A claim by its name; if there is none of that name, dots lead into objects.
fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| {
        let mut parts = name.split('.');
        let first = claims.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    })
}

/// The page after signing out here, where one can sign out there as well. `None` when the provider has no such place.
pub(super) async fn signed_out(web: &Web, headers: &HeaderMap, issuer: Option<&str>) -> Option<Response> {
    let config = web.config.borrow().clone();
    let oidc = config.web.oidc.as_ref().filter(|oidc| Some(oidc.issuer.as_str()) == issuer)?;
    let metadata = match web.provider.metadata(oidc).await {
        Ok(metadata) => metadata,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "nobody can be signed out at the identity provider"
            );
            return None;
        }
    };
    let endpoint = metadata.end_session_endpoint.clone()?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &oidc.client)
        .append_pair("post_logout_redirect_uri", &format!("{}/sign-in", address(&config, oidc, headers)))
        .finish();
    let joint = if endpoint.contains('?') { '&' } else { '?' };
    Some(page(&SignedOutPage { title: &oidc.title, there: format!("{endpoint}{joint}{query}") }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::parse;

    #[test]
    fn what_was_sent_along_comes_back_whole_or_not_at_all() {
        let secrets = Began::new("/studies?x=1&y=ü").unwrap();
        let shown = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, format!("a=b; {COOKIE}={text}").parse().unwrap());
            Began::read(&headers)
        };
        let text = secrets.text();
        assert_eq!(shown(&text), Some(secrets));
        for bad in ["", "a.b.c.d", &format!("{text}.x"), &text.replace('.', ""), &format!("{text}!")] {
            assert_eq!(shown(bad), None, "{bad}");
        }
        assert_eq!(Began::new("https://evil.example").unwrap().next, "/");
    }

    #[test]
    fn claims_say_who_it_is_and_what_he_may() {
        let text = "[web.oidc]\nissuer = \"http://127.0.0.1:9\"\nclient = \"us\"\ngroups = \"realm.roles\"\n\
                    roles = [ { group = \"a\", role = \"administrator\" } ]\n";
        let oidc = parse(text, None).unwrap().web.oidc.unwrap();
        let of = |claims: Value| person(&oidc, claims.as_object().unwrap());
        let good = json!({ "sub": "7", "preferred_username": "anna", "realm": { "roles": ["x", "a", 3] } });
        let anna = of(good).unwrap();
        assert_eq!((anna.name.as_deref(), anna.roles), (Some("anna"), vec!["administrator".to_owned()]));
        let plain = json!({ "sub": "7", "preferred_username": "anna", "realm.roles": "a", "realm": { "roles": [] } });
        assert_eq!(of(plain).unwrap().roles, ["administrator"]);
        assert!(of(json!({ "sub": "7", "preferred_username": "anna" })).unwrap().roles.is_empty());
        for nobody in [json!({ "preferred_username": "anna" }), json!({ "sub": "", "preferred_username": "anna" })] {
            assert!(of(nobody.clone()).is_err(), "{nobody}");
        }
        for nameless in [json!({ "sub": "7" }), json!({ "sub": "7", "preferred_username": "<b>" })] {
            assert_eq!(of(nameless.clone()).unwrap().name, None, "{nameless}");
        }
    }
}
