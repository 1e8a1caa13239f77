//! What is said when something cannot be done (RFC 9457), and who is asked for it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Caller;
use super::told::TooMuch;
use crate::catalog::CatalogError;
use crate::config::Privilege;
use crate::outlet::OutletError;

/// Why a request is not answered with what it asks for.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// What is the matter, for people.
    message: String,
    /// What to do about it.
    remedy: String,
    /// After so many seconds another attempt makes sense, where it does.
    wait: u16,
}

/// What others use up is free again, or what is being fetched is here.
const SOON: u16 = 5;

impl Problem {
    pub(super) fn new(status: StatusCode, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { status, message: message.into(), remedy: remedy.into(), wait: SOON }
    }

    /// Another attempt makes no sense sooner than that, in seconds.
    pub(super) fn after(self, wait: u16) -> Problem {
        Problem { wait, ..self }
    }

    pub(super) fn missing(what: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, what, "")
    }

    pub(super) fn bad(what: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, what, "")
    }

    pub(super) fn not_acceptable(what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_ACCEPTABLE, what, remedy)
    }

    pub(super) fn forbidden(name: &str, privilege: Privilege) -> Problem {
        let remedy = "an administrator can give a role that has it: `pacsferry user set`";
        Problem::new(StatusCode::FORBIDDEN, format!("{name} has no privilege `{privilege}`"), remedy)
    }

    pub(super) fn busy() -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are being answered", "try again")
    }
}

/// A text as it may stand in the header `Warning`: what others have chosen may be anything.
pub(super) fn warning(text: &str) -> HeaderValue {
    let text: String =
        text.chars().map(|c| if matches!(c, ' '..='~') && c != '"' && c != '\\' { c } else { '?' }).collect();
    HeaderValue::from_str(&format!("299 pacsferry \"{text}\"")).unwrap_or(HeaderValue::from_static("299 pacsferry"))
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Problem {
        tracing::error!(error = &error as &dyn std::error::Error, "the catalog does not answer DICOMweb");
        let remedy = "try again; if it stays so, `pacsferry check` looks for the cause";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the catalog does not answer", remedy)
    }
}

impl From<TooMuch> for Problem {
    fn from(error: TooMuch) -> Problem {
        Problem::not_acceptable(error.to_string(), "send `Accept: application/dicom+json`")
    }
}

impl From<OutletError> for Problem {
    fn from(error: OutletError) -> Problem {
        tracing::warn!(error = &error as &dyn std::error::Error, "an instance is not answered with");
        let status = match &error {
            OutletError::Convert { source: None, .. } | OutletError::Decode { .. } | OutletError::Frames { .. } => {
                StatusCode::NOT_ACCEPTABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status, error.to_string(), error.remedy())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({
            "status": self.status.as_u16(), "title": title, "detail": self.message, "remedy": self.remedy,
        });
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(self.wait));
        }
        response
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Response> {
        let caller = parts.extensions.get::<Caller>().cloned();
        let remedy = "send a token: `Authorization: Bearer …`; `pacsferry user token` makes one";
        let unknown = || Problem::new(StatusCode::UNAUTHORIZED, "nobody is signed in", remedy);
        caller.ok_or_else(|| unknown().into_response())
    }
}

/// Somebody who may look at what is here. To be taken before all that a request asks for, so that nobody else is told
/// whether it is there.
pub(super) struct Viewer(pub(super) Caller);

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Viewer, Response> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.must(Privilege::View).map_err(IntoResponse::into_response)?;
        Ok(Viewer(caller))
    }
}
