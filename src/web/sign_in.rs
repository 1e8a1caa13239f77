//! Signing in and out, and changing one's password.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Web;
use super::accounts::AccountError;
use super::answer::{Frame, Refused, page};
use super::guard::{COOKIE, Posted, Signed, Unsigned};
use super::listener::Peer;
use super::oidc;
use crate::audit::{Alert, AuditEvent, AuditOutcome, Party};
use crate::catalog::LONGEST_NAME;
use crate::config::Config;

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/web/templates/askama.toml")]
struct SignInPage<'a> {
    next: &'a str,
    name: &'a str,
    trouble: Option<String>,
    /// What people call the identity provider, if there is one, and the address that leads there.
    provider: Option<(String, String)>,
}

impl<'a> SignInPage<'a> {
    fn new(config: &Config, next: &'a str, name: &'a str, trouble: Option<String>) -> SignInPage<'a> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        let provider = config.web.oidc.as_ref().map(|oidc| (oidc.title.clone(), format!("/sign-in/oidc?{query}")));
        SignInPage { next, name, trouble, provider }
    }
}

#[derive(Template)]
#[template(path = "password.html", config = "src/web/templates/askama.toml")]
struct PasswordPage {
    frame: Frame,
    must: bool,
    trouble: Option<String>,
    /// Who vouches for the person, where no password does.
    issuer: Option<String>,
}

impl PasswordPage {
    fn of(signed: &Signed, trouble: Option<String>) -> PasswordPage {
        let user = &signed.session.user;
        PasswordPage {
            must: user.must_change(),
            issuer: user.issuer.clone(),
            frame: Frame::of(signed, "password"),
            trouble,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// A form that says nothing but that it was sent.
#[derive(Deserialize)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
pub(super) struct NewPassword {
    old: String,
    new: String,
    again: String,
}

pub(super) async fn show(State(web): State<Arc<Web>>, Query(wanted): Query<Wanted>) -> Response {
    page(&SignInPage::new(&web.config.borrow(), place(&wanted.next), "", None))
}

/// The page to begin at again, and why somebody has to.
pub(super) fn refused(config: &Config, trouble: &str) -> Response {
    page(&SignInPage::new(config, "/", "", Some(trouble.to_owned())))
}

pub(super) async fn sign_in(
    State(web): State<Arc<Web>>,
    Extension(Peer(address)): Extension<Peer>,
    Unsigned(form): Unsigned<SignIn>,
) -> Response {
    match web.accounts.sign_in(&web.catalog, &form.name, &form.password, address.ip()).await {
        Ok((user, token)) => {
            web.audit
                .record(AuditEvent::Authentication { who: party(&user.name, address), outcome: AuditOutcome::Success });
            let next = if user.must_change() { "/password" } else { place(&form.next) };
            (cookie(&token), Redirect::to(next)).into_response()
        }
        Err(error) => {
            // Who has to wait has been told of already: nobody fills the trail by guessing on.
            if matches!(error, AccountError::Wrong | AccountError::Ended(_)) {
                let outcome = AuditOutcome::Minor(format!("could not sign in to the console: {error}"));
                web.audit.record(AuditEvent::Authentication { who: party(&form.name, address), outcome });
            }
            let status = status(&error);
            let name: String = form.name.chars().take(LONGEST_NAME).collect();
            let shown = page(&SignInPage::new(&web.config.borrow(), place(&form.next), &name, Some(error.to_string())));
            let wait = match error {
                AccountError::Wait(wait) => Some([(header::RETRY_AFTER, (wait.as_secs() + 1).to_string())]),
                _ => None,
            };
            (status, wait, shown).into_response()
        }
    }
}

pub(super) async fn sign_out(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    posted: Posted<Nothing>,
) -> Result<Response, Refused> {
    web.catalog.close_session(posted.signed.session.id).await?;
    web.audit.record(AuditEvent::SignedOut { who: posted.signed.party() });
    let issuer = posted.signed.session.user.issuer.as_deref();
    let shown = match issuer {
        Some(_) => oidc::signed_out(&web, &headers, issuer).await,
        None => None,
    };
    Ok((cookie(""), shown.unwrap_or_else(|| Redirect::to("/sign-in").into_response())).into_response())
}

pub(super) async fn show_password(signed: Signed) -> Response {
    page(&PasswordPage::of(&signed, None))
}

pub(super) async fn set_password(
    State(web): State<Arc<Web>>,
    Extension(Peer(address)): Extension<Peer>,
    Posted { signed, form }: Posted<NewPassword>,
) -> Response {
    let user = &signed.session.user;
    let (status, trouble) = if let Some(issuer) = &user.issuer {
        (StatusCode::CONFLICT, format!("{issuer} vouches for you: change your password there"))
    } else if form.new != form.again {
        (StatusCode::BAD_REQUEST, "the new password and its repetition differ".to_owned())
    } else {
        match web.accounts.change(&web.catalog, user, &form.old, &form.new, address.ip()).await {
            Ok(token) => {
                let what = format!("{} chose a password", user.name);
                let alert = Alert::UserAttributesChanged;
                web.audit.record(AuditEvent::Security { alert, who: signed.party(), what });
                return (cookie(&token), Redirect::to("/")).into_response();
            }
            Err(error) => (status(&error), error.to_string()),
        }
    };
    (status, page(&PasswordPage::of(&signed, Some(trouble)))).into_response()
}

fn status(error: &AccountError) -> StatusCode {
    match error {
        AccountError::Wrong | AccountError::Ended(_) => StatusCode::UNAUTHORIZED,
        AccountError::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
        AccountError::Weak => StatusCode::BAD_REQUEST,
        AccountError::Hash(_) => StatusCode::INTERNAL_SERVER_ERROR,
        AccountError::Catalog(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn party(name: &str, address: SocketAddr) -> Party {
    Party::person(&name.chars().take(LONGEST_NAME).collect::<String>(), address.ip())
}

/// A place on this console, whatever somebody wrote into a link.
pub(super) fn place(next: &str) -> &str {
    let inside =
        next.starts_with('/') && !next.starts_with("//") && !next.contains('\\') && !next.contains(char::is_control);
    if inside { next } else { "/" }
}

/// The cookie of a session; an empty token takes it away. It ends with the browser, and in the catalog before that.
pub(super) fn cookie(token: &str) -> HeaderMap {
    let gone = if token.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict{gone}");
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(header::SET_COOKIE, value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_after_signing_in() {
        assert_eq!(place("/jobs/3?x=1"), "/jobs/3?x=1");
        for elsewhere in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\u{1}x",
        ] {
            assert_eq!(place(elsewhere), "/", "{elsewhere}");
        }
    }

    #[test]
    fn the_cookie_is_for_this_host_and_no_script() {
        let value = cookie("abc")[header::SET_COOKIE].to_str().unwrap().to_owned();
        assert_eq!(value, "__Host-pacsferry=abc; Path=/; Secure; HttpOnly; SameSite=Strict");
        assert!(cookie("")[header::SET_COOKIE].to_str().unwrap().ends_with("Max-Age=0"));
    }
}
