//! DICOMweb (PS3.18): QIDO-RS, WADO-RS, WADO-URI and STOW-RS, as routes for whoever has a listener and knows who asks.
//!
//! Objects leave by the door out, corrected and compared with their digests, and come in by the one door in. Answers are
//! streams: what is large is in memory a few buffers at a time.

mod accept;
mod address;
mod answer;
mod bulk;
mod feed;
mod fetch;
mod find;
mod frames;
mod media;
mod metadata;
mod multipart;
mod part10;
mod rendered;
mod retrieve;
mod search;
mod seen;
mod store;
mod told;
mod uri;
mod wanted;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::audit::{Audit, Party};
use crate::catalog::Catalog;
use crate::config::{Config, Operator, Privilege};
use crate::intake::Intake;
use crate::outlet::Outlet;
use crate::picture::Pictures;
use crate::scp::{Departures, Meter};
use answer::Problem;
pub use multipart::{Event, Malformed, Splitter};
use search::Cursors;
use seen::Seen;

/// Answers that are being made at one time.
const ANSWERS: usize = 32;
/// Requests that bring objects, at one time.
const BRINGING: usize = 8;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(20);

/// What the services need. A clone is another handle.
#[derive(Clone)]
pub struct DicomWeb(Arc<Site>);

/// What the services need.
struct Site {
    config: watch::Receiver<Arc<Config>>,
    catalog: Catalog,
    intake: Intake,
    outlet: Outlet,
    pictures: Pictures,
    audit: Audit,
    departures: Departures,
    meter: Meter,
    answers: Arc<Semaphore>,
    bringing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    cursors: Cursors,
    seen: Seen,
    requests: AtomicU64,
}

/// What the services stand on.
#[expect(missing_debug_implementations, reason = "handles")]
pub struct Parts {
    /// The configuration that holds now.
    pub config: watch::Receiver<Arc<Config>>,
    /// What is held.
    pub catalog: Catalog,
    /// The door in.
    pub intake: Intake,
    /// The door out.
    pub outlet: Outlet,
    /// Draws what is held.
    pub pictures: Pictures,
    /// Who saw and brought what.
    pub audit: Audit,
    /// The retrieve log.
    pub departures: Departures,
    /// What the node has done.
    pub meter: Meter,
}

/// Who asks. Whoever mounts the routes puts it into the extensions of a request; without it nothing is answered.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account, and what it may do now.
    pub operator: Operator,
    /// Where the request comes from.
    pub address: IpAddr,
    /// It is a page in a browser, which shows what it gets and keeps none of it.
    pub page: bool,
}

impl Caller {
    fn must(&self, privilege: Privilege) -> Result<(), Problem> {
        if self.operator.may(privilege) { Ok(()) } else { Err(Problem::forbidden(&self.operator.name, privilege)) }
    }

    /// Whether what is fetched may be kept where it is fetched to: of a page it is known that it is not, of a program only
    /// where the configuration says so.
    fn keeps(&self, config: &Config) -> bool {
        !self.page && !config.web.viewers.contains(&self.operator.name)
    }

    fn party(&self) -> Party {
        Party::person(&self.operator.name, self.address)
    }
}

impl DicomWeb {
    /// The services on these parts.
    pub fn new(parts: Parts) -> DicomWeb {
        let Parts { config, catalog, intake, outlet, pictures, audit, departures, meter } = parts;
        DicomWeb(Arc::new(Site {
            config,
            catalog,
            intake,
            outlet,
            pictures,
            audit,
            departures,
            meter,
            answers: Arc::new(Semaphore::new(ANSWERS)),
            bringing: Arc::new(Semaphore::new(BRINGING)),
            waiting: Arc::new(Semaphore::new(fetch::WAITING)),
            cursors: Cursors::default(),
            seen: Seen::default(),
            requests: AtomicU64::new(1),
        }))
    }

    /// The routes below the address of the services.
    pub fn routes(self) -> Router {
        let series = "/studies/{study}/series/{series}";
        let instance = "/studies/{study}/series/{series}/instances/{instance}";
        Router::new()
            .route("/studies", get(search::studies).post(store::any_study))
            .route("/series", get(search::series))
            .route("/instances", get(search::instances))
            .route("/studies/{study}/series", get(search::series))
            .route("/studies/{study}/instances", get(search::instances))
            .route(&format!("{series}/instances"), get(search::instances))
            .route("/studies/{study}", get(retrieve::objects).post(store::this_study))
            .route(series, get(retrieve::objects))
            .route(instance, get(retrieve::objects))
            .route("/studies/{study}/metadata", get(metadata::metadata))
            .route(&format!("{series}/metadata"), get(metadata::metadata))
            .route(&format!("{instance}/metadata"), get(metadata::metadata))
            .route(&format!("{instance}/bulkdata/{{*path}}"), get(bulk::value))
            .route("/studies/{study}/instances/{instance}/bulkdata/{*path}", get(bulk::value))
            .route(&format!("{instance}/frames/{{list}}"), get(frames::frames))
            .route("/studies/{study}/rendered", get(rendered::objects))
            .route(&format!("{series}/rendered"), get(rendered::objects))
            .route(&format!("{instance}/rendered"), get(rendered::objects))
            .route(&format!("{instance}/frames/{{list}}/rendered"), get(rendered::frames))
            .route("/wado", get(uri::wado))
            .fallback(async || Problem::missing("there is no such resource"))
            .with_state(self.0)
    }
}

/// Waits for a turn.
async fn turn(room: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(TURN, Arc::clone(room).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::busy()),
    }
}
