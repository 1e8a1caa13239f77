//! How far a job is, and how fast, for whoever shows it.

use std::time::Duration;

use serde_json::{Value, json};

use super::report::{GAPS, items_json, kind_text, objects_json, state_text, timestamp};
use crate::catalog::{Catalog, CatalogError, Job, JobState, Totals};

/// The time over which a pace is taken.
const LATELY: Duration = Duration::from_secs(60);

/// How far a job is, and how fast.
#[derive(Debug, Clone)]
pub struct Progress {
    /// What has become of its items and objects.
    pub totals: Totals,
    /// Bytes per second of the last minute.
    pub rate: u64,
    /// How long it still takes at the pace of the last minute, once everything is listed.
    pub eta: Option<Duration>,
    /// How often the source would not say what it holds: there may be studies that nobody knows of.
    pub gaps: u64,
    /// The study date of the newest study that waits, as the source gave it.
    pub newest_pending: Option<String>,
}

impl Progress {
    /// Reads it.
    pub async fn of(catalog: &Catalog, job: &Job) -> Result<Self, CatalogError> {
        let totals = catalog.totals(job.id).await?;
        let (_, bytes) = catalog.throughput(job.id, LATELY).await?;
        Ok(Progress {
            rate: if is_at_rest(job.state) { 0 } else { bytes / LATELY.as_secs() },
            eta: eta(catalog, job, &totals).await?,
            gaps: catalog.count_notes(job.id, &GAPS).await?,
            newest_pending: catalog.newest_pending(job.id).await?,
            totals,
        })
    }

    /// Bytes that what is listed and not filed yet will take, if it is like what came; `None` as long as nothing came.
    pub fn needs(&self) -> Option<u64> {
        let objects = &self.totals.objects;
        let came = objects.filed + objects.duplicate + objects.variant;
        let left = u128::from(objects.listed.saturating_sub(objects.filed));
        let needs = (left * u128::from(self.totals.bytes)).checked_div(u128::from(came))?;
        (self.totals.items.pending() > 0).then(|| u64::try_from(needs).unwrap_or(u64::MAX))
    }

    /// As `jobs --json` has it.
    pub fn json(&self, job: &Job) -> Value {
        json!({
            "job": job.id,
            "kind": kind_text(job.spec.kind),
            "source": job.spec.source,
            "state": state_text(job.state),
            "message": job.message,
            "created": timestamp(job.created),
            "started": job.started.and_then(timestamp),
            "ended": job.ended.and_then(timestamp),
            "enumerated": job.enumerated,
            "not_listed": self.gaps,
            "items": items_json(&self.totals.items),
            "objects": objects_json(&self.totals.objects),
            "bytes": self.totals.bytes,
            "rate_bytes_per_second": self.rate,
            "bytes_needed": self.needs(),
            "eta_seconds": self.eta.map(|eta| eta.as_secs()),
            "newest_pending": self.newest_pending,
        })
    }
}

/// Whether nobody has to do anything for a job in this state.
pub fn is_at_rest(state: JobState) -> bool {
    !matches!(state, JobState::Running | JobState::Stopping)
}

/// Whether a running job tells that it cannot work now: the disk is full, the source does not answer, or it is not its
/// hour.
pub fn is_waiting(job: &Job) -> bool {
    job.state == JobState::Running && job.message.is_some()
}

/// How long it still takes at the pace of the last minute, once everything is listed.
pub async fn eta(catalog: &Catalog, job: &Job, totals: &Totals) -> Result<Option<Duration>, CatalogError> {
    let objects = &totals.objects;
    let (last_minute, _) = catalog.throughput(job.id, LATELY).await?;
    let left = objects.listed.saturating_sub(objects.filed);
    // A message says what it waits for: nobody knows how long.
    let stands = is_at_rest(job.state) || is_waiting(job);
    if !job.enumerated || stands || left == 0 || last_minute == 0 {
        return Ok(None);
    }
    Ok(Some(Duration::from_secs(left.saturating_mul(LATELY.as_secs()) / last_minute)))
}
