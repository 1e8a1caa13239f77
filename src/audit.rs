//! The audit trail of PS3.15 A.5: who asked, who sent, who was turned away.
//!
//! Services say what happened by [`Audit::record`], which never lets them wait. One task writes it into the catalog, as
//! the XML that the standard asks for; patients are named there and never in logs. [`Delivery`] sends it to a collector
//! by syslog, in order, whenever that is there: the queue on disk is the catalog's own table and a mark in it.

mod codes;
mod collector;
mod correction;
mod delivery;
mod event;
mod message;
mod queue;
mod syslog;
mod transfers;
mod words;
mod xml;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, CatalogError, NewAuditEntry};
use crate::config::Config;

pub use correction::{CorrectionAction, CorrectionEvent};
pub use delivery::Delivery;
pub use event::{Alert, AuditEvent, AuditOutcome, Party, Phase, StudyObjects, Way};
pub use transfers::Transfers;

use queue::{QUEUE, Queued, Recorder, Writer};

/// The audit trail of this process. A clone is another handle.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Queued>,
    lost: Arc<AtomicU64>,
    writer: Arc<Writer>,
}

impl Audit {
    /// The handle, and the task that writes what it is told until it is stopped or the last handle is gone: whoever
    /// makes it spawns that and waits for its end. `program` is what this process is: `serve`, `work`.
    pub fn new(
        catalog: Catalog,
        config: watch::Receiver<Arc<Config>>,
        program: &str,
        stop: CancellationToken,
    ) -> (Audit, impl Future<Output = ()> + Send + use<>) {
        let (queue, events) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Arc::new(Writer { catalog, config, program: program.to_owned() });
        let recorder = Recorder { writer: Arc::clone(&writer), events, lost: Arc::clone(&lost) };
        (Audit { queue, lost, writer }, recorder.run(stop))
    }

    /// Tells that something happened, now. When so much waits that the catalog cannot keep up, the event is lost; how
    /// many were is an entry of the audit trail and a line in the log.
    pub fn record(&self, event: AuditEvent) {
        if self.queue.try_send(Queued { at: now(), event }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The entry of something that happens now, for a transaction in which it must not be missing.
    pub async fn entry(&self, event: AuditEvent) -> Result<NewAuditEntry, CatalogError> {
        let mut entries = self.writer.entries(&[Queued { at: now(), event }]).await?;
        Ok(entries.remove(0))
    }

    /// Writes down what happens now; it is on disk when this returns.
    pub async fn write(&self, event: AuditEvent) -> Result<(), CatalogError> {
        let entries = self.writer.entries(&[Queued { at: now(), event }]).await?;
        self.writer.catalog.add_audit(entries).await
    }
}

/// The time, in unix milliseconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
