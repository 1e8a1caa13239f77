//! Answers: pages, JSON, and what is said when something cannot be done. What is asked for below `/api/` is answered as
//! JSON (RFC 9457), everything else as a page.

use askama::Template;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::guard::Signed;
use crate::catalog::CatalogError;
use crate::job::words;

/// Why a request is not done.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    /// What is the matter, for people.
    message: String,
    /// What to do about it.
    remedy: String,
}

/// Frame of every page of somebody who is signed in.
pub(super) struct Frame {
    /// Who that is.
    pub(super) user: String,
    /// What forms have to bring along.
    pub(super) csrf: String,
    /// The part of the console that the page belongs to.
    pub(super) at: &'static str,
}

#[derive(Template)]
#[template(path = "refused.html", config = "src/web/templates/askama.toml")]
struct RefusedPage<'a> {
    title: &'a str,
    message: &'a str,
    remedy: &'a str,
}

impl Refused {
    pub(super) fn new(status: StatusCode, message: impl Into<String>, remedy: impl Into<String>) -> Refused {
        Refused { status, message: message.into(), remedy: remedy.into() }
    }

    pub(super) fn missing(what: impl Into<String>) -> Refused {
        Refused::new(StatusCode::NOT_FOUND, what, "")
    }

    pub(super) fn json(&self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({
            "status": self.status.as_u16(), "title": title, "detail": self.message, "remedy": self.remedy,
        });
        let kind = HeaderValue::from_static("application/problem+json");
        (self.status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
    }
}

impl From<CatalogError> for Refused {
    fn from(error: CatalogError) -> Refused {
        tracing::warn!(error = &error as &dyn std::error::Error, "the console could not use the catalog");
        let remedy = "try again; if it stays so, `pacsferry check` looks for the cause";
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, words(&error), remedy)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let shown = page(&RefusedPage { title, message: &self.message, remedy: &self.remedy });
        // Whoever asks by a program is told as JSON, see `guard`.
        let mut response = (self.status, shown).into_response();
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

impl Frame {
    pub(super) fn of(signed: &Signed, at: &'static str) -> Frame {
        Frame { user: signed.operator.name.clone(), csrf: signed.csrf.clone().unwrap_or_default(), at }
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
