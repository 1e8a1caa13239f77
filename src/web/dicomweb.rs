//! DICOMweb on the console's port: who asks is found out as for the console, and pages of other sites are let in that the
//! configuration names. Such a page is a program to us: it shows a token, and no cookie of the console counts for it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};

use super::Web;
use super::answer::Refused;
use super::guard::{self, Signed};
use super::listener::Peer;
use crate::dicomweb::Caller;

/// Where it is mounted.
pub(super) const ROOT: &str = "/dicom-web";
/// What pages of other sites may send.
const SENT: HeaderValue = HeaderValue::from_static("Authorization, Accept, Content-Type, If-None-Match");
/// What they may do.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");
/// What they may read of an answer.
const READ: HeaderValue = HeaderValue::from_static("Content-Length, Content-Location, ETag, Retry-After, Warning");
/// How long a browser need not ask again, in seconds.
const GOOD_FOR: HeaderValue = HeaderValue::from_static("600");

/// The request comes from a page of another site, one that the configuration names.
#[derive(Clone, Copy)]
struct PageOfAnother;

/// The routes, behind the guard of the console.
pub(super) fn routes(web: &Arc<Web>) -> Router<Arc<Web>> {
    let services = web.dicomweb.clone().routes();
    Router::new()
        .nest_service(ROOT, services)
        .layer(from_fn_with_state(Arc::clone(web), known))
        .layer(from_fn_with_state(Arc::clone(web), guard::guard))
        .layer(from_fn_with_state(Arc::clone(web), others))
}

/// Tells the services who asks.
async fn known(
    State(_): State<Arc<Web>>,
    Extension(Peer(address)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(signed) = request.extensions().get::<Signed>() {
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        if signed.csrf.is_some()
            && (signed.session.user.must_change() || (changes && !guard::brings(signed, request.headers())))
        {
            let remedy =
                "send the session's token as `X-CSRF-Token`, or use a token of its own: `pacsferry user token`";
            return Refused::new(StatusCode::FORBIDDEN, "a page of the console has to show that it sent this", remedy)
                .into_response();
        }
        let page = signed.csrf.is_some() || request.extensions().get::<PageOfAnother>().is_some();
        let caller = Caller { operator: signed.operator.clone(), address: address.ip(), page };
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// Lets the pages of other sites in that the configuration names.
async fn others(State(web): State<Arc<Web>>, mut request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let config = web.config.borrow().clone();
    let named = |origin: &HeaderValue| config.web.cors.iter().any(|known| known.as_bytes() == origin.as_bytes());
    let Some(origin) = origin.filter(named) else {
        return next.run(request).await;
    };
    let mut response = if request.method() == Method::OPTIONS {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, GOOD_FOR);
        response
    } else {
        make_program(request.headers_mut());
        request.extensions_mut().insert(PageOfAnother);
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READ);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    response
}

/// Takes away what a browser adds by itself.
fn make_program(headers: &mut HeaderMap) {
    for name in [header::COOKIE, header::ORIGIN, HeaderName::from_static("sec-fetch-site")] {
        headers.remove(name);
    }
}
