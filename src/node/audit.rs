//! The audit trail of a process: its own start and stop, and, in one process at a time, the way to the collector.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::held::while_held;
use crate::audit::{Audit, AuditEvent, AuditOutcome, Delivery, Phase};
use crate::catalog::{Catalog, Job, JobState};
use crate::config::Config;
use crate::job::Keeper;

/// The name of the lease of the process that sends the audit trail.
const AUDIT_LEASE: &str = "audit";

/// The audit trail as a process keeps it.
pub(super) struct Auditing {
    /// Where to tell what happened.
    pub(super) audit: Audit,
    program: String,
    recording: JoinHandle<()>,
    stop: CancellationToken,
}

impl Auditing {
    /// Takes up what it is told from now on.
    pub(super) fn new(catalog: Catalog, config: watch::Receiver<Arc<Config>>, program: &str) -> Self {
        let stop = CancellationToken::new();
        let (audit, recording) = Audit::new(catalog, config, program, stop.clone());
        let program = format!("pacsferry {program}");
        Auditing { audit, program, recording: tokio::spawn(recording), stop }
    }

    /// The program has started.
    pub(super) fn begin(&self) {
        self.audit.record(AuditEvent::Application { what: self.program.clone(), started: true });
    }

    /// Ends with the end of the program, when everything is written.
    pub(super) async fn end(self) {
        self.audit.record(AuditEvent::Application { what: self.program, started: false });
        self.stop.cancel();
        if let Err(error) = self.recording.await {
            error!(%error, "the audit trail broke down");
        }
    }
}

/// Sends the audit trail as long as no other process does.
pub(super) async fn deliver(
    catalog: Catalog,
    config: watch::Receiver<Arc<Config>>,
    keeper: Keeper,
    stop: CancellationToken,
) {
    let deliver = |ended| Delivery { catalog: catalog.clone(), config: config.clone() }.run(ended);
    while_held(keeper, AUDIT_LEASE, stop, deliver).await;
}

/// Tells that a worker takes up a job.
pub(super) fn job_begun(audit: &Audit, job: &Job) {
    audit.record(event(job, Phase::Begun, AuditOutcome::Success));
}

/// Tells how a job has come to rest, if it has.
pub(super) async fn job_ended(audit: &Audit, catalog: &Catalog, id: i64) {
    let job = match catalog.job(id).await {
        Ok(Some(job)) => job,
        Ok(None) => return,
        Err(error) => return error!(job = id, %error, "cannot tell the audit trail how a job has ended"),
    };
    let outcome = match job.state {
        // The next worker goes on.
        JobState::Running | JobState::Stopping => return,
        JobState::Finished => AuditOutcome::Success,
        JobState::Paused | JobState::Cancelled => AuditOutcome::Minor(job.state.as_text().to_owned()),
        JobState::Halted => AuditOutcome::Serious(job.message.clone().unwrap_or_else(|| "halted".to_owned())),
    };
    audit.record(event(&job, Phase::Ended, outcome));
}

fn event(job: &Job, phase: Phase, outcome: AuditOutcome) -> AuditEvent {
    let kind = job.spec.kind.as_text();
    let what = match &job.spec.source {
        Some(source) => format!("{kind} of {source}"),
        None => kind.to_owned(),
    };
    AuditEvent::Job { id: job.id, what, phase, outcome }
}
