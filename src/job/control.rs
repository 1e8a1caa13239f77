//! What an operator may want of a job, whether somebody works on it or not.

use super::run_lease;
use crate::catalog::{Catalog, CatalogError, Control, Job, JobState};

/// The name of the receiver's lease: one process at a time holds its port.
pub const RECEIVER_LEASE: &str = "receiver";
/// The name of the lease of a worker that takes up every job. Who holds it will see to a job that is queued.
pub const WORKER_LEASE: &str = "worker";

/// Whether a living process holds a lease. One that was killed is known to be gone, and what it held is freed.
pub async fn is_held(catalog: &Catalog, lease: &str) -> Result<bool, CatalogError> {
    if catalog.holder(lease).await?.is_none() {
        return Ok(false);
    }
    catalog.release_dead().await?;
    Ok(catalog.holder(lease).await?.is_some())
}

/// Whether no process works on the job.
pub async fn is_idle(catalog: &Catalog, job: &Job) -> Result<bool, CatalogError> {
    for lease in [RECEIVER_LEASE, WORKER_LEASE, &run_lease(job.id)] {
        if is_held(catalog, lease).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The state that a job is in once this wish is fulfilled.
pub fn goal(wish: Control) -> JobState {
    match wish {
        Control::Run => JobState::Running,
        Control::Pause => JobState::Paused,
        Control::Cancel => JobState::Cancelled,
    }
}

/// Writes the end of a job that was told to stop and on which nobody works, since nobody else will.
pub async fn end_unattended(catalog: &Catalog, job: &Job, wish: Control) -> Result<(), CatalogError> {
    if wish == Control::Cancel {
        catalog.cancel_items(job.id).await?;
    }
    catalog.set_job_state(job.id, goal(wish), None).await
}

/// The mark in the catalog that says that no worker is wanted.
const CLOSED: &str = "worker.closed";

/// Whether a worker is to end as soon as it has nothing in hand, and none is to be started beside the node.
pub async fn is_closed(catalog: &Catalog) -> Result<bool, CatalogError> {
    Ok(catalog.meta_get(CLOSED).await?.is_some_and(|mark| !mark.is_empty()))
}

/// Says that a worker may run again.
pub async fn open(catalog: &Catalog) -> Result<(), CatalogError> {
    if is_closed(catalog).await? { catalog.meta_set(CLOSED, "").await } else { Ok(()) }
}

/// Pauses whatever runs, and ends the worker when it is quiet. Says which jobs that were.
pub async fn stop_and_close(catalog: &Catalog) -> Result<Vec<i64>, CatalogError> {
    catalog.meta_set(CLOSED, "yes").await?;
    let mut stopped = Vec::new();
    for job in catalog.jobs().await? {
        if matches!(job.state, JobState::Running | JobState::Stopping) {
            stop(catalog, &job, Control::Pause).await?;
            stopped.push(job.id);
        }
    }
    Ok(stopped)
}

/// Whoever works on a job sees a wish at once; when nobody does, nobody else will write the end.
pub async fn stop(catalog: &Catalog, job: &Job, wish: Control) -> Result<(), CatalogError> {
    catalog.set_control(job.id, wish).await?;
    if is_idle(catalog, job).await? || matches!(job.state, JobState::Paused | JobState::Halted) {
        end_unattended(catalog, job, wish).await?;
    }
    Ok(())
}

/// Says that a job is to be worked on, whatever it was before.
pub async fn set_running(catalog: &Catalog, job: &Job) -> Result<(), CatalogError> {
    open(catalog).await?;
    catalog.set_control(job.id, Control::Run).await?;
    if job.state != JobState::Running {
        catalog.set_job_state(job.id, JobState::Running, None).await?;
    }
    Ok(())
}
