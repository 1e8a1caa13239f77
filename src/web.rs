//! HTTP for whoever watches over the node: `/metrics` in the text format of Prometheus, `/healthz`, `/readyz`. Nothing of
//! a patient is told here.

mod listener;
mod metrics;
mod ready;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::scp::Meter;
use crate::store::Store;
use listener::Bounded;

/// What is told of.
#[derive(Clone)]
pub struct Web {
    /// What is held, and the jobs.
    pub catalog: Catalog,
    /// The disk.
    pub store: Store,
    /// What the node has done.
    pub meter: Meter,
    /// The lease of a living worker.
    pub worker_lease: &'static str,
    /// Cancelled when the node takes no more associations.
    pub closing: CancellationToken,
}

impl Web {
    /// Listens at an address.
    pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    /// Answers until it is told to stop.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(async || plain(StatusCode::OK, "ok\n".into())))
            .route("/readyz", get(readyz))
            .fallback(async || plain(StatusCode::NOT_FOUND, "there is /metrics, /healthz and /readyz\n".into()))
            .with_state(Arc::new(self));
        axum::serve(Bounded::new(listener), routes).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}

async fn metrics(State(web): State<Arc<Web>>) -> Response {
    match metrics::render(&web).await {
        Ok(text) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], safe(), text).into_response()
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the catalog does not answer /metrics");
            plain(StatusCode::SERVICE_UNAVAILABLE, "the catalog does not answer\n".into())
        }
    }
}

async fn readyz(State(web): State<Arc<Web>>) -> Response {
    let findings = ready::look(&web).await;
    if findings.is_empty() {
        plain(StatusCode::OK, "ready\n".into())
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, findings.join("\n") + "\n")
    }
}

fn plain(status: StatusCode, text: String) -> Response {
    (status, safe(), text).into_response()
}

/// What every answer carries: no browser is to guess what it is, or to keep it.
fn safe() -> [(HeaderName, HeaderValue); 2] {
    [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}
