//! From the services to the catalog: a queue that never lets a service wait, and whose losses are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::event::{Alert, AuditEvent, Party};
use super::message::Ourselves;
use super::{now, words, xml};
use crate::catalog::{Catalog, CatalogError, NewAuditEntry};
use crate::config::Config;

/// Events that may wait for the catalog.
pub(super) const QUEUE: usize = 4096;
/// The most that go into one transaction.
const BATCH: usize = 256;
/// Pauses before the catalog is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How long a process that stops tries to write what is left.
const FAREWELL: Duration = Duration::from_secs(10);

/// What waits.
pub(super) struct Queued {
    pub(super) at: i64,
    pub(super) event: AuditEvent,
}

/// Makes entries of events.
pub(super) struct Writer {
    pub(super) catalog: Catalog,
    pub(super) config: watch::Receiver<Arc<Config>>,
    pub(super) program: String,
}

/// Writes events into the catalog.
pub(super) struct Recorder {
    pub(super) writer: Arc<Writer>,
    pub(super) events: mpsc::Receiver<Queued>,
    pub(super) lost: Arc<AtomicU64>,
}

impl Recorder {
    /// Until the last handle is gone, or it is told to stop; what waits is written before it ends.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let more = tokio::select! {
                biased;
                count = self.events.recv_many(&mut batch, BATCH) => count > 0,
                () = stop.cancelled() => false,
            };
            if !more {
                break;
            }
            self.write(&mut batch, &stop).await;
        }
        self.events.close();
        while self.events.recv_many(&mut batch, BATCH).await > 0 {
            self.write(&mut batch, &stop).await;
        }
        self.write(&mut batch, &stop).await;
    }

    /// Writes a batch, however often the catalog must be asked; only a process that stops gives up.
    async fn write(&mut self, batch: &mut Vec<Queued>, stop: &CancellationToken) {
        let missing = self.lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            error!(events = missing, "events were lost to the audit trail: more came than the catalog could take");
            batch.push(Queued { at: now(), event: gap(missing) });
        }
        let (mut pause, mut deadline) = (PAUSES.0, None);
        while !batch.is_empty() {
            let error = match self.try_write(batch).await {
                Ok(()) => return batch.clear(),
                Err(error) => error,
            };
            if stop.is_cancelled() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + FAREWELL);
                if Instant::now() > deadline {
                    error!(
                        events = batch.len(),
                        error = &error as &dyn std::error::Error,
                        "events are lost to the audit trail"
                    );
                    return batch.clear();
                }
            }
            warn!(
                events = batch.len(),
                error = &error as &dyn std::error::Error,
                "the audit trail cannot be written; trying again"
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled(), if deadline.is_none() => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn try_write(&self, batch: &[Queued]) -> Result<(), CatalogError> {
        let entries = self.writer.entries(batch).await?;
        self.writer.catalog.add_audit(entries).await
    }
}

impl Writer {
    /// The entries, with the patients as the catalog knows them.
    pub(super) async fn entries(&self, batch: &[Queued]) -> Result<Vec<NewAuditEntry>, CatalogError> {
        let we = we(&self.config.borrow().clone(), &self.program);
        let studies: Vec<String> = batch.iter().flat_map(|queued| queued.event.studies()).collect();
        let subjects = if studies.is_empty() { Vec::new() } else { self.catalog.audit_subjects(studies).await? };
        let mut subjects = subjects.as_slice();
        let mut entries = Vec::with_capacity(batch.len());
        for Queued { at, event } in batch {
            let (own, rest) = subjects.split_at(event.studies().len().min(subjects.len()));
            subjects = rest;
            let message = event.message(&we, own);
            entries.push(NewAuditEntry {
                at: *at,
                event: event.word(),
                outcome: message.outcome.indicator(),
                who: words::who(event),
                what: words::what(event),
                message: xml::render(&message, *at, &we),
            });
        }
        Ok(entries)
    }
}

fn gap(missing: u64) -> AuditEvent {
    let what = format!("{missing} events were lost: more came than the catalog could take");
    AuditEvent::Security { alert: Alert::AuditRecordingStopped, who: Party::default(), what }
}

/// Who writes this audit trail.
fn we(config: &Config, program: &str) -> Ourselves {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let ae_title = config.node.ae_title.to_string();
    Ourselves {
        source: config.audit.source.clone().unwrap_or_else(|| format!("{ae_title}@{host}")),
        site: config.audit.site.clone(),
        ae_title,
        host,
        program: program.to_owned(),
    }
}
