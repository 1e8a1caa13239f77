//! What others have to be told when a study was corrected, until they know: the AI platform, to scan a study again, by
//! HTTP; nodes that hold copies, by C-STORE of the rejection note and of the objects as they are now (IHE IOCM).
//!
//! What is to be told is a row of the catalog, put there in the transaction of the correction. One process at a time sends;
//! what cannot be told now is told later, whatever becomes of the process. Each side has a lane of its own, in which one
//! errand runs at a time: none waits for another side that is slow or down.

mod ask;
mod findings;
mod http;
mod publish;
mod rescan;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::audit::Audit;
use crate::catalog::{Catalog, CatalogError, Errand, ErrandState, OutboxEntry};
use crate::config::Config;
use crate::outlet::Outlet;

pub use ask::{AskError, ask_rescan, retry};
pub use findings::findings;
pub use rescan::reach;

/// How often to look for errands whose time has come: they are put in by other processes.
const POLL: Duration = Duration::from_secs(1);
/// How many are looked at.
const PAGE: usize = 64;
/// How many run at a time, all lanes together.
const AT_ONCE: usize = 8;
/// Pauses before a side is tried again: the first, which doubles, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15 * 60));
/// The longest pause that the other side may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// The sender. A clone is another handle.
#[derive(Clone)]
pub struct Outbox {
    catalog: Catalog,
    outlet: Outlet,
    /// It may change while running.
    config: watch::Receiver<Arc<Config>>,
    audit: Audit,
}

/// How an attempt ended.
enum Verdict {
    /// They know.
    Told(String),
    /// They will not hear of it, and would not the next time.
    Refused(String),
    /// It is tried again.
    Again(Again),
    /// The process is to stop; nothing is to be remembered.
    Stopped,
}

/// Why it is tried again.
struct Again {
    detail: String,
    /// The time that they named.
    after: Option<Duration>,
    /// It would be the same with whatever else they are to be told.
    whoever: bool,
}

impl Outbox {
    /// What is to be told, where objects leave, to whom, and where it is told that they did.
    pub fn new(catalog: &Catalog, outlet: &Outlet, config: &watch::Receiver<Arc<Config>>, audit: &Audit) -> Self {
        Outbox { catalog: catalog.clone(), outlet: outlet.clone(), config: config.clone(), audit: audit.clone() }
    }

    /// Sends until it is told to stop. Only one process may do so at a time.
    pub async fn deliver(self, stop: CancellationToken) {
        let lanes = Lanes::default();
        let tasks = TaskTracker::new();
        while !stop.is_cancelled() {
            let due = self.catalog.due_errands(lanes.busy(), PAGE).await.unwrap_or_else(|error| {
                warn!(error = &error as &dyn std::error::Error, "cannot look into the outbox");
                Vec::new()
            });
            for entry in due {
                if tasks.len() >= AT_ONCE {
                    break;
                }
                let Some(lane) = lanes.enter(entry.errand.lane()) else { continue };
                let (outbox, stop) = (self.clone(), stop.clone());
                tasks.spawn(async move {
                    outbox.see_to(entry, &stop).await;
                    drop(lane);
                });
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = lanes.0.free.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// One attempt at one errand.
    async fn see_to(&self, entry: OutboxEntry, stop: &CancellationToken) {
        let id = entry.id;
        if let Err(error) = self.try_to(&entry, stop).await {
            error!(errand = id, error = &error as &dyn std::error::Error, "the catalog does not keep up the outbox");
        }
    }

    async fn try_to(&self, entry: &OutboxEntry, stop: &CancellationToken) -> Result<(), CatalogError> {
        let config = self.config.borrow().clone();
        let verdict = match &entry.errand {
            Errand::Rescan { study, reason } => self.rescan(&config, entry, study, reason, stop).await?,
            Errand::Publish { peer, .. } => self.publish(&config, entry, peer, stop).await?,
        };
        let (id, attempts) = (entry.id, entry.attempts);
        let (study, to) = (entry.errand.study(), whom(&entry.errand));
        match verdict {
            Verdict::Stopped => Ok(()),
            Verdict::Told(detail) => {
                crate::failpoint!("outbox.told");
                info!(errand = id, study.uid = %study, to, "told what was corrected");
                self.catalog.end_errand(id, ErrandState::Done, &detail).await
            }
            Verdict::Refused(detail) => {
                warn!(
                    errand = id, study.uid = %study, to,
                    "will not be told what was corrected: `pacsferry outbox` says why, and tries it again"
                );
                self.catalog.end_errand(id, ErrandState::Failed, &detail).await
            }
            Verdict::Again(Again { detail, after, whoever }) => {
                let pause = after.map_or_else(|| pause(attempts), |after| after.min(LONGEST_ASKED).max(PAUSES.0));
                // Said at first, and then ever more rarely.
                if attempts.is_power_of_two() || attempts == 0 {
                    warn!(errand = id, study.uid = %study, to, attempts, pause_s = pause.as_secs(), "cannot be told yet what was corrected");
                }
                self.catalog.put_off_errand(id, pause, &detail, whoever).await
            }
        }
    }
}

/// The lanes in which an errand runs.
#[derive(Clone, Default)]
struct Lanes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    busy: Mutex<HashSet<String>>,
    free: Notify,
}

/// An errand runs in this lane as long as this lives.
struct Busy {
    lane: String,
    lanes: Lanes,
}

impl Lanes {
    fn enter(&self, lane: &str) -> Option<Busy> {
        self.lock().insert(lane.to_owned()).then(|| Busy { lane: lane.to_owned(), lanes: self.clone() })
    }

    fn busy(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.lanes.lock().remove(&self.lane);
        self.lanes.0.free.notify_one();
    }
}

fn whom(errand: &Errand) -> &str {
    match errand {
        Errand::Rescan { .. } => "the AI platform",
        Errand::Publish { peer, .. } => peer,
    }
}

fn pause(attempts: u32) -> Duration {
    PAUSES.0.saturating_mul(1 << attempts.min(16)).min(PAUSES.1)
}

/// An error with what caused it, for people.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
