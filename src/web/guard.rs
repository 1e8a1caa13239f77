//! What every request passes before anything is done for it: the name that it was sent to, where it comes from, and who
//! sends it.
//!
//! A page of another site can make a browser send requests here, or give itself a name that leads here. So the host must
//! be one of ours; a request that changes something must come from a page of ours (`Origin`, `Sec-Fetch-Site`) and bring
//! the session's token along; GET changes nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;

use super::Web;
use super::answer::{Refused, SAFE, told};
use super::listener::Peer;
use crate::audit::Party;
use crate::catalog::Session;
use crate::config::{Config, Operator, Privilege};

/// The cookie of a session. Browsers take one of this name from its own host only.
pub(super) const COOKIE: &str = "__Host-pacsferry";
/// Where programs put the token that forms have in a field.
const CSRF_HEADER: &str = "x-csrf-token";
/// The largest form.
const LARGEST_FORM: usize = 256 * 1024;
/// How long a form may take to come.
const FORM: Duration = Duration::from_secs(30);
/// What is said to who comes by another name, and what to do about it.
const NOT_OURS: &str = "this is not the name of this console";
const NAME_IT: &str = "use its address, or add the name to `[web] names` in the configuration";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    /// Who it is, and what he may do now.
    pub(super) operator: Operator,
    /// The session.
    pub(super) session: Arc<Session>,
    /// What forms have to bring along; `None` for a program, which shows its token with each request.
    pub(super) csrf: Option<String>,
    /// Where he is.
    pub(super) address: IpAddr,
}

/// Somebody who is signed in and may look at what is here. To be taken before all that a request asks for, so that
/// nobody else is told whether it is there.
pub(super) struct Viewer(pub(super) Signed);

/// A form of somebody who is not signed in.
pub(super) struct Unsigned<T>(pub(super) T);

/// A form of somebody who is signed in, which came from a page of ours.
pub(super) struct Posted<T> {
    pub(super) signed: Signed,
    pub(super) form: T,
}

impl Signed {
    fn new(session: Session, config: &Config, address: IpAddr) -> Signed {
        let operator = config.account(&session.user.name, &session.user.roles);
        Signed { operator, csrf: session.csrf.clone(), session: Arc::new(session), address }
    }

    /// As the audit trail knows him.
    pub(super) fn party(&self) -> Party {
        Party::person(&self.operator.name, self.address)
    }

    /// Refuses what this person may not do.
    pub(super) fn must(&self, privilege: Privilege) -> Result<(), Refused> {
        if self.operator.may(privilege) {
            return Ok(());
        }
        Err(Refused::new(
            StatusCode::FORBIDDEN,
            format!("{} has no privilege `{privilege}`", self.operator.name),
            "an administrator can give a role that has it: `pacsferry user set`",
        ))
    }
}

/// The first of all: adds what every answer carries, refuses hosts that are not ours and requests from elsewhere, and
/// finds out who asks.
pub(super) async fn guard(State(web): State<Arc<Web>>, mut request: Request, next: Next) -> Response {
    let for_program = is_for_program(request.uri());
    let passed = pass(&web, &mut request).await;
    let signed = request.extensions().get::<Signed>().cloned();
    let response = match passed {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let mut response = told(response, for_program, signed.as_ref()).await;
    let headers = response.headers_mut();
    for (name, value) in SAFE {
        headers.entry(name).or_insert(value);
    }
    response
}

fn is_for_program(uri: &Uri) -> bool {
    uri.path().starts_with("/api/") || uri.path().starts_with(super::dicomweb::ROOT)
}

async fn pass(web: &Web, request: &mut Request) -> Result<(), Refused> {
    let config = web.config.borrow().clone();
    let host = host(request.headers(), request.uri());
    if !host.is_some_and(|host| is_ours(host, &config)) {
        return Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, NOT_OURS, NAME_IT));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && is_foreign(request.headers(), host) {
        let remedy = "pages of other sites that may use DICOMweb are named in `[web] cors` of the configuration";
        return Err(Refused::new(StatusCode::FORBIDDEN, "the request comes from a page of another site", remedy));
    }
    let address = whence(request, &config);
    request.extensions_mut().insert(Peer(SocketAddr::new(address, 0)));
    if let Some(token) = token(request.headers())
        && let Some(session) = web.accounts.session(&web.catalog, &token).await?
    {
        request.extensions_mut().insert(Signed::new(session, &config, address));
    }
    Ok(())
}

/// Whether a request brings the token of its session in a header.
pub(super) fn brings(signed: &Signed, headers: &HeaderMap) -> bool {
    let shown = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    shown.is_some() && signed.csrf.as_deref() == shown
}

/// Who asks: the other end, or whom a proxy of ours asks for.
fn whence(request: &Request, config: &Config) -> IpAddr {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |Peer(peer)| peer.ip());
    if !config.web.is_proxy(peer) {
        return peer;
    }
    let told = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = told.flat_map(|value| value.split(',')).collect();
    // What stands before the last proxy of ours is what strangers may have written.
    let addresses = told.iter().rev().map_while(|text| text.trim().parse::<IpAddr>().ok());
    let mut last = peer;
    for address in addresses {
        last = address;
        if !config.web.is_proxy(address) {
            break;
        }
    }
    last
}

/// The host that a request was sent to, without its port.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let authority = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host())?;
    Some(without_port(authority))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// An address can be reached under no other site's name; a name has to be told.
fn is_ours(host: &str, config: &Config) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || config.web.names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Whether a browser says that a page of another site made it send this. Programs say nothing.
fn is_foreign(headers: &HeaderMap, host: Option<&str>) -> bool {
    let value = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = value("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return true;
    }
    value("origin").is_some_and(|origin| {
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(host) != Some(authority)
    })
}

/// What a browser or a program shows to be known by.
fn token(headers: &HeaderMap) -> Option<String> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    bearer.or_else(|| {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
    })
}

/// Where those go who are not signed in.
fn sign_in(parts: &Parts) -> Response {
    if is_for_program(&parts.uri) {
        return Refused::new(
            StatusCode::UNAUTHORIZED,
            "nobody is signed in",
            "send a token: `Authorization: Bearer …`",
        )
        .into_response();
    }
    let wanted = parts.uri.path_and_query().map_or("/", |wanted| wanted.as_str());
    // What was to be sent is lost; the page that it was sent from is not.
    let back = if parts.method == Method::GET { wanted } else { came_from(&parts.headers).unwrap_or("/") };
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", back).finish();
    Redirect::to(&format!("/sign-in?{query}")).into_response()
}

/// The page of ours that a form was sent from, without the host.
fn came_from(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (_, rest) = text(header::REFERER)?.split_once("://")?;
    rest.strip_prefix(text(header::HOST)?).filter(|path| path.starts_with('/'))
}

impl FromRequestParts<Arc<Web>> for Signed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Web>) -> Result<Signed, Response> {
        let Some(signed) = parts.extensions.get::<Signed>().cloned() else { return Err(sign_in(parts)) };
        // A person has to choose a password first; a program has none.
        if signed.csrf.is_some()
            && signed.session.user.must_change()
            && !matches!(parts.uri.path(), "/password" | "/sign-out")
        {
            if is_for_program(&parts.uri) {
                let what = format!("the password of {} was made by somebody else", signed.operator.name);
                return Err(
                    Refused::new(StatusCode::FORBIDDEN, what, "choose another one at /password").into_response()
                );
            }
            return Err(Redirect::to("/password").into_response());
        }
        Ok(signed)
    }
}

impl FromRequestParts<Arc<Web>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Viewer, Response> {
        let signed = Signed::from_request_parts(parts, web).await?;
        signed.must(Privilege::View).map_err(IntoResponse::into_response)?;
        Ok(Viewer(signed))
    }
}

/// The whole of a form, within its time.
async fn read(body: Body) -> Result<Bytes, Refused> {
    match tokio::time::timeout(FORM, axum::body::to_bytes(body, LARGEST_FORM)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if is_too_long(&error) => Err(Refused::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("what was sent is longer than the {} KiB that are taken", LARGEST_FORM / 1024),
            "do it in several requests",
        )),
        Ok(Err(error)) => Err(Refused::new(StatusCode::BAD_REQUEST, error.to_string(), "")),
        Err(_) => Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "the form took too long to come", "")),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}

impl<T: DeserializeOwned> FromRequest<Arc<Web>> for Unsigned<T> {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, _: &Arc<Web>) -> Result<Unsigned<T>, Response> {
        let bytes = read(request.into_body()).await.map_err(IntoResponse::into_response)?;
        let bad = |error: serde_urlencoded::de::Error| Refused::new(StatusCode::BAD_REQUEST, error.to_string(), "");
        serde_urlencoded::from_bytes(&bytes).map(Unsigned).map_err(|error| bad(error).into_response())
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Web>> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request<Body>, web: &Arc<Web>) -> Result<Posted<T>, Response> {
        let (mut parts, body) = request.into_parts();
        let signed = Signed::from_request_parts(&mut parts, web).await?;
        let bad = |what: String| Refused::new(StatusCode::BAD_REQUEST, what, "").into_response();
        let bytes = read(body).await.map_err(IntoResponse::into_response)?;
        let content = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_json = kind == "application/json";
        if !is_json && kind != "application/x-www-form-urlencoded" && !(kind.is_empty() && bytes.is_empty()) {
            let what = format!("`{kind}` is not understood here");
            let remedy = "send JSON, with `Content-Type: application/json`";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what, remedy).into_response());
        }
        // Some programs say so also where they send nothing.
        let is_json = is_json && !bytes.is_empty();
        let shown = match parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()) {
            Some(shown) => Some(shown.to_owned()),
            None if is_json => None,
            None => {
                form_urlencoded::parse(&bytes).find(|(name, _)| name == "csrf").map(|(_, value)| value.into_owned())
            }
        };
        if signed.csrf.is_some() && signed.csrf != shown {
            let what = "the form is not of this session";
            return Err(Refused::new(StatusCode::FORBIDDEN, what, "load the page again").into_response());
        }
        let form = if is_json {
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?
        } else {
            serde_urlencoded::from_bytes(&bytes).map_err(|error| bad(error.to_string()))?
        };
        Ok(Posted { signed, form })
    }
}

#[cfg(test)]
mod tests;
