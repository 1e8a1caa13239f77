//! Studies that arrived short wait for stragglers: some sources answer before their stores are done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::engine::JobError;
use super::keeper::Held;
use super::pull::{self, Cause, millis};
use super::state::{Event, on};
use super::work::Work;
use super::{backoff, now};
use crate::catalog::{Item, ItemUpdate};
use crate::config::Source;
use crate::dicom::SopInstanceUid;

const POLL: Duration = Duration::from_millis(250);

/// What is being waited for.
pub(super) struct Wanted {
    /// By name, where names are known.
    pub(super) missing: BTreeSet<SopInstanceUid>,
    /// How many filed instances make the study whole.
    pub(super) filed: usize,
}

/// Keeps the study until it is whole or nothing has arrived for the source's settle time; then it is compared anew by
/// whoever claims it. Nobody's association is held meanwhile.
pub(super) async fn put_aside(
    work: &Arc<Work>,
    source: &Source,
    item: Item,
    held: Held,
    wanted: Wanted,
    cause: Cause,
) -> Result<(), JobError> {
    let permit = Arc::clone(&work.settling).try_acquire_owned();
    let Ok(permit) = permit else {
        // Many studies are short at once: this one waits in the catalog, unwatched.
        return pull::write(work, &item, waiting(source, &item, cause, source.settle)?).await;
    };
    let (work, settle, source) = (Arc::clone(work), source.settle, source.clone());
    let tasks = work.engine.tasks.clone();
    tasks.spawn(async move {
        let ended = now();
        while !work.stop.is_cancelled() && !held.lost().is_cancelled() {
            work.sleep(POLL).await;
            match quiet(&work, &item, &wanted, ended, settle).await {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => warn!(%error, study.uid = %item.study.study_uid, "cannot look for stragglers"),
            }
        }
        let put_back = async { pull::write(&work, &item, waiting(&source, &item, cause, Duration::ZERO)?).await };
        if let Err(error) = put_back.await {
            warn!(%error, study.uid = %item.study.study_uid, "cannot put a study back; its lease will run out");
        }
        drop((held, permit));
        work.news.notify_waiters();
    });
    Ok(())
}

/// Whether the study is whole, or nothing more is to be expected.
async fn quiet(work: &Work, item: &Item, wanted: &Wanted, ended: i64, settle: Duration) -> Result<bool, JobError> {
    let here = pull::here(work, item).await?;
    let whole = if wanted.missing.is_empty() {
        here.filed.len() >= wanted.filed
    } else {
        wanted.missing.iter().all(|uid| here.filed.contains(uid) || here.received.contains(uid))
    };
    let last = work.engine.catalog.last_arrival(&work.source_name, &item.study.study_uid).await?.unwrap_or(ended);
    Ok(whole || now() - last.max(ended) >= millis(settle))
}

/// An attempt has ended short. The pause before the next one grows; what the settling took is part of it.
fn waiting(source: &Source, item: &Item, cause: Cause, settle: Duration) -> Result<ItemUpdate, JobError> {
    let attempt = item.attempt;
    let pause = match attempt {
        1 => Duration::ZERO,
        n => backoff::pause(n, source.retry.first, source.retry.longest).saturating_sub(source.settle),
    };
    let mut update = ItemUpdate::to(on(item.state, Event::PutBack)?, attempt);
    update.release = true;
    update.due = Some(now() + millis(settle.max(pause)));
    update.reason = cause.reason;
    update.detail = cause.detail;
    Ok(update)
}
