//! Answers: pages, JSON, and what is said when something cannot be done. What is asked for below `/api/` is answered as
//! JSON (RFC 9457), everything else as a page.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::guard::Signed;
use crate::catalog::CatalogError;
use crate::config::Privilege;
use crate::job::words;

/// What the library says is short.
const LONGEST_SAID: usize = 4096;

/// Why a request is not done.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    status: StatusCode,
    /// What is the matter, for people.
    message: String,
    /// What to do about it.
    remedy: String,
    /// How long to wait before it is worth another attempt.
    wait: Option<Duration>,
}

/// Frame of every page of somebody who is signed in.
pub(super) struct Frame {
    /// Who that is.
    pub(super) user: String,
    /// What forms have to bring along.
    pub(super) csrf: String,
    /// The part of the console that the page belongs to.
    pub(super) at: &'static str,
    /// Whether the pages of an administrator are there for him.
    pub(super) administers: bool,
}

#[derive(Template)]
#[template(path = "refused.html", config = "src/web/templates/askama.toml")]
struct RefusedPage<'a> {
    title: &'a str,
    message: &'a str,
    remedy: &'a str,
}

/// The same for somebody who is signed in: he can go on to elsewhere.
#[derive(Template)]
#[template(path = "refused_inside.html", config = "src/web/templates/askama.toml")]
struct RefusedInside<'a> {
    frame: Frame,
    title: &'a str,
    message: &'a str,
    remedy: &'a str,
}

impl Refused {
    pub(super) fn new(status: StatusCode, message: impl Into<String>, remedy: impl Into<String>) -> Refused {
        Refused { status, message: message.into(), remedy: remedy.into(), wait: None }
    }

    pub(super) fn missing(what: impl Into<String>) -> Refused {
        Refused::new(StatusCode::NOT_FOUND, what, "")
    }

    /// Too much was asked for; it is worth another attempt after a while.
    pub(super) fn later(what: impl Into<String>, remedy: impl Into<String>, wait: Duration) -> Refused {
        Refused { wait: Some(wait), ..Refused::new(StatusCode::TOO_MANY_REQUESTS, what, remedy) }
    }

    /// What the library says that takes requests apart: it has statuses, and seldom words for people.
    fn of_library(status: StatusCode, headers: &HeaderMap, said: &str) -> Refused {
        let allowed = headers.get(header::ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                Refused::new(status, "this cannot be done here", format!("what can be done here: {allowed}"))
            }
            _ if said.trim().is_empty() => Refused::new(status, "the request cannot be answered", ""),
            // A part of the path that is no number where one must be.
            _ if said.starts_with("Invalid URL") => Refused::new(status, "there is nothing at this address", ""),
            _ => Refused::new(status, said.trim(), ""),
        }
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// The same for people, who know no numbers of statuses.
    fn heading(&self) -> &'static str {
        match self.status {
            StatusCode::NOT_FOUND => "This is not here",
            StatusCode::FORBIDDEN => "This is not allowed",
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "Not now",
            status if status.is_client_error() => "This cannot be done",
            _ => "Something went wrong",
        }
    }

    fn json(&self) -> Response {
        let body = json!({
            "status": self.status.as_u16(), "title": self.title(), "detail": self.message, "remedy": self.remedy,
        });
        let kind = HeaderValue::from_static("application/problem+json");
        (self.status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
    }

    fn page(&self, signed: Option<&Signed>) -> Response {
        let (title, message, remedy) = (self.heading(), self.message.as_str(), self.remedy.as_str());
        let shown = match signed {
            Some(signed) => page(&RefusedInside { frame: Frame::of(signed, ""), title, message, remedy }),
            None => page(&RefusedPage { title, message, remedy }),
        };
        (self.status, shown).into_response()
    }
}

impl From<CatalogError> for Refused {
    fn from(error: CatalogError) -> Refused {
        tracing::warn!(error = &error as &dyn std::error::Error, "the console could not use the catalog");
        let remedy = "try again; if it stays so, `pacsferry check` looks for the cause";
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, words(&error), remedy)
    }
}

/// Says nothing yet: [`told`] does, in the form that whoever asks can read.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(wait) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// An answer as whoever asks can read it: of what was refused, by us or by the library that takes requests apart, a program
/// gets a document of one shape, and a person a page.
pub(super) async fn told(response: Response, for_program: bool, signed: Option<&Signed>) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let refused = match parts.extensions.get::<Arc<Refused>>() {
        Some(refused) => Arc::clone(refused),
        // A page that says more than that.
        None if !kind.is_empty() && !kind.starts_with("text/plain") => return Response::from_parts(parts, body),
        None => {
            let said = axum::body::to_bytes(body, LONGEST_SAID).await.unwrap_or_default();
            Arc::new(Refused::of_library(status, &parts.headers, &String::from_utf8_lossy(&said)))
        }
    };
    let mut told = if for_program { refused.json() } else { refused.page(signed) };
    if for_program && status == StatusCode::UNAUTHORIZED {
        told.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pacsferry\""));
    }
    let ours = |name: &HeaderName| *name == header::CONTENT_TYPE || *name == header::CONTENT_LENGTH;
    for (name, value) in parts.headers.iter().filter(|(name, _)| !ours(name)) {
        told.headers_mut().append(name.clone(), value.clone());
    }
    told
}

impl Frame {
    pub(super) fn of(signed: &Signed, at: &'static str) -> Frame {
        Frame {
            user: signed.operator.name.clone(),
            csrf: signed.csrf.clone().unwrap_or_default(),
            at,
            administers: signed.operator.may(Privilege::Administer),
        }
    }
}

impl Frame {
    /// The chapter of the manual that helps with this page.
    pub(super) fn guide(&self) -> &'static str {
        match self.at {
            "jobs" => "/guide/migrate",
            "studies" | "split" | "corrections" | "quarantine" => "/guide/reallocate",
            "nodes" => "/guide/serve",
            "guide" => "/guide",
            _ => "/guide/console",
        }
    }
}

/// A page of a template.
pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A JSON document.
pub(super) fn document(value: serde_json::Value) -> Response {
    Json(value).into_response()
}

/// Text without any markup.
pub(super) fn plain(status: StatusCode, text: String) -> Response {
    (status, text).into_response()
}

/// What every answer carries: no browser is to guess what it is, to keep it, to frame it, or to fetch anything from
/// elsewhere for it.
pub(super) const SAFE: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
             font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
];
