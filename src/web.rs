//! HTTP: the console for people, the same as JSON for programs, and what a monitoring system reads (`/metrics` in the text
//! format of Prometheus, `/healthz`, `/readyz`; nothing of a patient is told there).
//!
//! Every request passes [`guard`] first. Pages are templates that escape what they show; everything that they need is in
//! the program.

mod accounts;
mod answer;
mod api;
mod ask;
mod assets;
mod awaited;
mod content;
mod correction;
mod corrections;
mod dicomweb;
mod download;
mod folders;
mod follow;
mod guard;
mod guessing;
mod guide;
mod jobs;
mod listener;
mod metrics;
mod nodes;
mod oidc;
mod panes;
mod pictures;
mod previews;
mod priors;
mod quarantine;
mod ready;
mod sign_in;
mod studies;
mod study;
mod texts;
mod trail;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::assoc::tls::{Acceptor, TlsError};
use crate::audit::Audit;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::dicomweb::DicomWeb;
use crate::intake::Intake;
use crate::outlet::Outlet;
use crate::picture::Pictures;
use crate::scp::Meter;
use crate::store::{Cache, Store};
use answer::{Refused, plain};

pub use accounts::{AccountError, Accounts, OneTime, first_account, hash, program_token};
pub use follow::Followers;
pub use oidc::{Provider, ProviderError};
pub use trail::Looks;
pub use users::{left_by, listed as listed_roles, standing};

/// The largest request.
const LARGEST: usize = 1 << 20;

/// For half a year from the last visit. Other names below ours are not for us to speak for.
const NEVER_PLAIN: &str = "max-age=15552000";

/// What the console needs.
#[derive(Clone)]
pub struct Web {
    /// The configuration that holds now.
    pub config: watch::Receiver<Arc<Config>>,
    /// What is held, and the jobs.
    pub catalog: Catalog,
    /// The disk.
    pub store: Store,
    /// The door in, for documents that corrections write.
    pub intake: Intake,
    /// The door out, for objects as they are shown.
    pub outlet: Outlet,
    /// The services of DICOMweb.
    pub dicomweb: DicomWeb,
    /// Draws objects.
    pub pictures: Pictures,
    /// Pictures that were drawn.
    pub previews: Cache,
    /// What the node has done.
    pub meter: Meter,
    /// Who signs in.
    pub accounts: Accounts,
    /// Who follows jobs.
    pub followers: Followers,
    /// Who else says who people are.
    pub provider: Provider,
    /// Who has looked at what lately.
    pub looks: Looks,
    /// What people did.
    pub audit: Audit,
    /// The lease of a living worker.
    pub worker_lease: &'static str,
    /// Cancelled when the node takes no more associations.
    pub closing: CancellationToken,
}

/// Where the console listens.
pub struct Port {
    listener: TcpListener,
    tls: Option<Acceptor>,
}

/// Why the console cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// The address cannot be had.
    #[error(transparent)]
    Listen(#[from] std::io::Error),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Port {
    /// Listens where the configuration says.
    pub async fn bind(config: &Config) -> Result<Port, PortError> {
        let tls = config.web.tls.clone();
        let loading = tokio::task::spawn_blocking(move || tls.as_ref().map(Acceptor::load).transpose());
        let tls = loading.await.map_err(std::io::Error::other)??;
        Ok(Port { listener: TcpListener::bind(config.web.listen).await?, tls })
    }

    /// Where people find it.
    pub fn address(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.listener.local_addr().map_or_else(|_| scheme.to_owned(), |address| format!("{scheme}://{address}"))
    }
}

impl Web {
    /// Answers until it is told to stop.
    pub async fn serve(self, port: Port, stop: CancellationToken) {
        let config = self.config.clone();
        let most = move |address| config.borrow().web.most_from(address);
        let routes = match &port.tls {
            Some(_) => self.routes().layer(map_response(never_plain)),
            None => self.routes(),
        };
        listener::serve(port.listener, port.tls, routes, Arc::new(most), stop).await;
    }

    fn routes(self) -> Router {
        let web = Arc::new(self);
        let watched = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(async || plain(StatusCode::OK, "ok\n".into())))
            .route("/readyz", get(readyz));
        let console = Router::new()
            .route("/", get(async || Redirect::to("/jobs")))
            .route("/assets/{name}", get(assets::serve))
            .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
            .route("/sign-in/oidc", get(oidc::begin))
            .route("/sign-in/oidc/back", get(oidc::back))
            .route("/sign-out", post(sign_in::sign_out))
            .route("/password", get(sign_in::show_password).post(sign_in::set_password))
            .route("/jobs/{id}/events", get(follow::events))
            .route("/folders", get(folders::list).post(folders::create))
            .route("/studies", get(studies::list))
            .route("/studies/{uid}", get(study::show).post(corrections::act))
            .route("/study", get(study::show_named).post(corrections::act_named))
            .route("/objects", get(study::objects))
            .route("/preview", get(previews::show))
            .route("/split", get(panes::split))
            .route("/panes/studies", get(panes::studies))
            .route("/panes/series", get(panes::series))
            .route("/panes/objects", get(panes::objects))
            .route("/plan", get(content::plan).post(content::plan_posted))
            .route("/corrections", get(corrections::list).post(content::commit))
            .route("/corrections/{id}", get(correction::show))
            .route("/corrections/{id}/undo", post(corrections::undo))
            .route("/quarantine", get(quarantine::list))
            .route("/quarantine/{number}", get(quarantine::show).post(quarantine::act))
            .merge(jobs::routes())
            .route("/accounts", get(users::list).post(users::add))
            .route("/accounts/{name}", get(users::show).post(users::act))
            .route("/api", get(api::page))
            .route("/api/v1/openapi.json", get(api::serve))
            .merge(api::routes())
            .route("/jobs/{id}/pictures", get(pictures::show))
            .route("/priors", get(priors::show).post(priors::act))
            .route("/nodes", get(nodes::show).post(nodes::test))
            .route("/guide", get(guide::contents))
            .route("/guide/{topic}", get(guide::show))
            .route("/guide/pictures/{name}", get(guide::picture))
            .fallback(async || Refused::missing("there is no such page"))
            .layer(from_fn_with_state(Arc::clone(&web), guard::guard));
        watched.merge(console).merge(dicomweb::routes(&web)).layer(DefaultBodyLimit::max(LARGEST)).with_state(web)
    }
}

/// Tells browsers never to come without TLS again (RFC 6797), so that nobody on the way sends them elsewhere, or reads along.
async fn never_plain(mut response: Response) -> Response {
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(NEVER_PLAIN));
    response
}

async fn metrics(State(web): State<Arc<Web>>) -> Response {
    match metrics::render(&web).await {
        Ok(text) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
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
