//! Style sheet, scripts and pictures, embedded in the program: no page asks another machine for anything.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Name, kind and content.
const ASSETS: &[(&str, &str, &str)] = &[
    ("console.css", "text/css; charset=utf-8", include_str!("assets/console.css")),
    ("console.js", "text/javascript; charset=utf-8", include_str!("assets/console.js")),
    ("worklist.css", "text/css; charset=utf-8", include_str!("assets/worklist.css")),
    ("worklist.js", "text/javascript; charset=utf-8", include_str!("assets/worklist.js")),
    ("menu.js", "text/javascript; charset=utf-8", include_str!("assets/menu.js")),
    ("split.js", "text/javascript; charset=utf-8", include_str!("assets/split.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let Some((_, kind, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // As long as a person stays on the console; another version of the program is seen soon enough.
    let keep = HeaderValue::from_static("max-age=300");
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CACHE_CONTROL, keep)], *content).into_response()
}
