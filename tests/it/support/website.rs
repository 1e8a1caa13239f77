//! A web site of files on a port of its own, for pages that are not ours.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::{Uri, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// A site. It ends when it is dropped.
pub(crate) struct Website(Option<tokio::runtime::Runtime>);

impl Website {
    /// Serves a folder on a port of loopback, but `path` with this script. What is not there is its first page, which
    /// then looks at the address itself.
    pub(crate) fn start(port: u16, folder: PathBuf, path: &str, script: String) -> Website {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (folder, script) = (Arc::new(folder), Arc::new(script));
        // With these headers a browser gives a page what it gives to nobody who loads from strangers.
        let alone = [("cross-origin-opener-policy", "same-origin"), ("cross-origin-embedder-policy", "require-corp")];
        let routes = Router::new()
            .route(path, get(async move || (alone, [(header::CONTENT_TYPE, "text/javascript")], script.to_string())))
            .fallback(async move |uri: Uri| {
                let asked = folder.join(uri.path().trim_start_matches('/'));
                let file = if asked.is_file() { asked } else { folder.join("index.html") };
                let kind = match file.extension().and_then(|end| end.to_str()).unwrap_or_default() {
                    "html" => "text/html",
                    "js" => "text/javascript",
                    "css" => "text/css",
                    "json" => "application/json",
                    "svg" => "image/svg+xml",
                    "wasm" => "application/wasm",
                    _ => "application/octet-stream",
                };
                let bytes = std::fs::read(&file).expect("a file of the site");
                (alone, [(header::CONTENT_TYPE, kind)], bytes).into_response()
            });
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port))).unwrap();
        drop(runtime.spawn(async { axum::serve(listener, routes).await }));
        Website(Some(runtime))
    }
}

impl Drop for Website {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    }
}
