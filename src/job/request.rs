//! What is asked of the source for one study: by study, then by series, then by image, with C-MOVE or C-GET, each
//! request under a checkpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::engine::JobError;
use super::get;
use super::pull::{Cause, Known};
use super::reconcile::Listing;
use super::work::{Link, Work};
use crate::catalog::{Item, NewCheckpoint, Progress, Reason};
use crate::config::{Retrieve, Retry, Source};
use crate::dicom::{Category, SeriesInstanceUid, SopInstanceUid};
use crate::dimse::Counters;
use crate::object::Disposition;
use crate::scu::{self, Limits, Purpose, Retrieval, RetrieveEnd, ScuError, Service, quirks};

/// Sub-operation counters are 16 bits wide, and many a source counts in signed ones: larger studies go by series.
const MANY: u32 = 30_000;
/// In a series that is partly here, objects are asked for one by one, unless more than these and more than half of it
/// are missing; from the third attempt on they are in any case. Lists of UIDs
/// in one request are not understood everywhere (and some sources then send only the first).
const FEW: usize = 500;
const CHECKPOINT: Duration = Duration::from_secs(1);
/// When this machine could not take objects: how long until one study is tried again.
const STORAGE_RETRY: Retry = Retry { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

/// How asking ended.
#[derive(Debug)]
pub(super) enum Asked {
    /// The source has said all that it had to say; what came of it shows in the catalog.
    Ended(Cause),
    /// We stopped it.
    Stopped,
    /// It could not be reached: nothing that this study could help.
    SourceFailed(String),
    /// A person must mend something first.
    Halt(Cause),
}

/// Whether the study's instances must be listed before they can be asked for.
pub(super) fn needs_list(work: &Work, source: &Source, item: &Item) -> bool {
    uses_get(work, source) || item.study.instances.is_some_and(|n| n > MANY)
}

fn uses_get(work: &Work, source: &Source) -> bool {
    match source.retrieve {
        Retrieve::Get => true,
        Retrieve::Move => false,
        Retrieve::Auto => work.health.prefers_get(),
    }
}

/// Asks for what is missing; for the whole study when nothing is known of it.
pub(super) async fn ask(
    work: &Arc<Work>,
    link: &mut Link,
    source: &Source,
    item: &Item,
    known: Option<Known>,
    cancel: &CancellationToken,
) -> Result<Asked, JobError> {
    let retrievals = retrievals(item, known.as_ref());
    let classes = known.map(|(listed, ..)| listed.classes).unwrap_or_default();
    let mut cause = Cause::default();
    let before = work.gate.strangers();
    let _pulling = work.gate.pulling();
    let mut delivered = false;
    for purpose in purposes(work, source, classes) {
        let mut all = true;
        for retrieval in &retrievals {
            match one(work, link, source, item, &purpose, retrieval, cancel).await? {
                Asked::Ended(ended) => {
                    delivered |= ended.delivered;
                    if ended.reason.is_some() {
                        (cause, all) = (ended, false);
                    }
                }
                other => return Ok(other),
            }
            cause.strangers = if delivered { work.gate.strangers() - before } else { 0 };
            if cause.strangers > 0 && item.reason == Some(Reason::OverCount) {
                // The same as the last time: what it sends instead is enough.
                return Ok(Asked::Ended(cause));
            }
        }
        if all && item.attempt == 0 {
            // By its own account the source has sent everything: there is nothing for other SOP classes to bring.
            // When that was not true, the next attempt asks for them as well.
            return Ok(Asked::Ended(Cause { strangers: cause.strangers, ..Cause::default() }));
        }
    }
    Ok(Asked::Ended(cause))
}

fn purposes(work: &Work, source: &Source, classes: Vec<crate::dicom::SopClassUid>) -> Vec<Purpose> {
    if uses_get(work, source) { get::purposes(classes) } else { vec![Purpose::Query] }
}

/// The requests for what is missing.
fn retrievals(item: &Item, known: Option<&Known>) -> Vec<Retrieval> {
    let study = &item.study.study_uid;
    let at = |series: Option<&SeriesInstanceUid>, instances: Vec<SopInstanceUid>| Retrieval {
        patient_id: None,
        study: study.clone(),
        series: series.cloned(),
        instances,
    };
    let Some((listed, missing, _)) = known else { return vec![at(None, Vec::new())] };
    let Listing::Instances(all) = &listed.listing else { return vec![at(None, Vec::new())] };
    if missing.len() == all.len() && all.len() <= MANY as usize && item.attempt == 0 {
        return vec![at(None, Vec::new())];
    }
    let mut by_series: BTreeMap<&SeriesInstanceUid, Vec<&SopInstanceUid>> = BTreeMap::new();
    for (series, instance) in missing {
        by_series.entry(series).or_default().push(instance);
    }
    let mut retrievals = Vec::new();
    for (series, instances) in by_series {
        let whole = all.values().filter(|s| *s == series).count();
        let one_by_one =
            item.attempt >= 2 || (instances.len() < whole && (instances.len() <= FEW || instances.len() * 2 <= whole));
        if one_by_one {
            retrievals.extend(instances.into_iter().map(|i| at(Some(series), vec![i.clone()])));
        } else {
            retrievals.push(at(Some(series), Vec::new()));
        }
    }
    retrievals
}

/// One C-MOVE or C-GET under its checkpoint.
async fn one(
    work: &Arc<Work>,
    link: &mut Link,
    source: &Source,
    item: &Item,
    purpose: &Purpose,
    retrieval: &Retrieval,
    cancel: &CancellationToken,
) -> Result<Asked, JobError> {
    if cancel.is_cancelled() {
        return Ok(Asked::Stopped);
    }
    let gets = matches!(purpose, Purpose::Get(_));
    let session = match link.session(work, purpose).await {
        Ok(session) => session,
        Err(error) => return Ok(unreachable_source(&error)),
    };
    let asked_for = if gets { Service::Get } else { Service::Move };
    if !session.can(asked_for) {
        // Some sources accept one thing today and another tomorrow: a fresh association may be luckier.
        link.broken().await;
        let words = format!("{} does not accept {asked_for:?} in its associations", source.name);
        if work.health.move_aborted() {
            return Ok(destination_unknown(work, source, &words));
        }
        return Ok(Asked::SourceFailed(words));
    }
    let mut retrieval = retrieval.clone();
    if session.needs_patient_id() {
        retrieval.patient_id = Some(item.study.patient_id.clone());
    }
    let new = NewCheckpoint {
        owner: work.engine.keeper.owner().to_owned(),
        attempt: item.attempt + 1,
        association: session.association_id(),
        message_id: session.next_message_id(),
        level: retrieval.level().to_string(),
    };
    let catalog = &work.engine.catalog;
    let Some(checkpoint) = catalog.open_checkpoint(item.id, item.fence, new).await? else { return Ok(Asked::Stopped) };

    let counters = Arc::new(Mutex::new(Counters::default()));
    let alive = Arc::new(Mutex::new(Instant::now()));
    let how = if gets {
        get::store(work, source)
    } else {
        scu::Retrieve::Move { destination: work.engine.config.borrow().receiver.ae_title.clone() }
    };
    let refusals = work.gate.refusal().map_or(0, |(count, _)| count);
    let troubles = work.gate.trouble().map_or(0, |(count, _)| count);
    let ended = {
        let said = Arc::clone(&counters);
        let mut progress = move |now: scu::Progress| *lock(&said) = now.counters;
        let last = Arc::clone(&alive);
        let sign_of_life = move || *lock(&last);
        let limits = Limits { idle: source.timeout.move_idle, total: source.timeout.move_total, alive: &sign_of_life };
        let mut retrieve = std::pin::pin!(session.retrieve(&how, &retrieval, limits, &mut progress, cancel));
        let mut tick = tokio::time::interval(CHECKPOINT);
        tick.tick().await;
        let (mut written, mut arrivals) = (Counters::default(), work.gate.arrivals());
        loop {
            let ended = tokio::select! {
                ended = &mut retrieve => Some(ended),
                _ = tick.tick() => None,
            };
            match ended {
                Some(ended) => break ended,
                None => {
                    let now = *lock(&counters);
                    if now != written {
                        catalog.update_checkpoint(checkpoint, progress_row("pending", &now)).await?;
                        written = now;
                    }
                    // Silence on this association means nothing while objects arrive on others.
                    if work.gate.arrivals() != arrivals {
                        arrivals = work.gate.arrivals();
                        *lock(&alive) = Instant::now();
                    }
                }
            }
        }
    };
    let phase = match &ended {
        Ok(end) if end.cancelled => "cancelled",
        Ok(_) => "ended",
        Err(_) => "lost",
    };
    let last = ended.as_ref().map_or(*lock(&counters), |end| end.counters);
    // An object that the source has sent may still be on its way through the filing batch.
    work.engine.intake.flush().await?;
    catalog.close_checkpoint(checkpoint, progress_row(phase, &last)).await?;
    if let Some((count, why)) = work.gate.trouble()
        && count > troubles
    {
        // Our own trouble costs the study no attempt, and nobody asks for more until it may be over.
        work.storage.failed(&STORAGE_RETRY, why);
        work.suspend(true);
        return Ok(Asked::Stopped);
    }
    work.storage.answered();
    match ended {
        Ok(end) => Ok(said(work, source, &end, gets, refusals)),
        Err(error) => {
            link.broken().await;
            Ok(failed(work, source, &error, cancel))
        }
    }
}

/// What the source's final response means. It proves nothing; but a failure names the reason, if the study is short.
fn said(work: &Work, source: &Source, end: &RetrieveEnd, gets: bool, refusals: u64) -> Asked {
    if end.cancelled {
        return Asked::Stopped;
    }
    let untried = !gets && quirks::failed_untried(end);
    if !untried {
        work.health.move_answered();
    }
    let comment = end.comment.as_deref().map(|c| format!(": {c}")).unwrap_or_default();
    let n = |count: Option<u16>| count.map_or("?".to_owned(), |n| n.to_string());
    let (completed, failed, warning) = (n(end.counters.completed), n(end.counters.failed), n(end.counters.warning));
    let words = format!("status {}{comment} (completed {completed}, failed {failed}, warning {warning})", end.status);
    if quirks::destination_unknown(end.status, end.comment.as_deref()) {
        return destination_unknown(work, source, &words);
    }
    if untried && probably_unknown(work) {
        return destination_unknown(work, source, &words);
    }
    let refused = end.status.category() == Category::Failure;
    let some_failed = end.counters.failed.is_some_and(|n| n > 0) || !end.failed.is_empty();
    let reason = match work.gate.refusal() {
        Some((count, why)) if some_failed && count > refusals => {
            return Asked::Ended(Cause {
                reason: Some(Reason::RefusedByUs),
                detail: format!("{words}; we refused: {why}"),
                ..Cause::default()
            });
        }
        _ if refused => Some(Reason::RefusedBySource),
        _ if some_failed || end.status.category() == Category::Warning => Some(Reason::ShortCount),
        _ => None,
    };
    debug!(%words, "retrieve ended");
    let delivered = !refused && end.counters.completed != Some(0);
    let detail = if reason.is_some() { words } else { String::new() };
    Asked::Ended(Cause { reason, detail, delivered, ..Cause::default() })
}

/// A request that failed before anything was tried, again and again, on a source that has never sent anything: many
/// sources say no more than that about a destination that they do not know.
fn probably_unknown(work: &Work) -> bool {
    work.gate.arrivals() == 0 && work.health.move_aborted()
}

fn destination_unknown(work: &Work, source: &Source, words: &str) -> Asked {
    if source.retrieve == Retrieve::Auto && !work.health.prefers_get() {
        warn!(source = source.name, "the source does not know our move destination; going on with C-GET");
        work.health.prefer_get();
        return Asked::Stopped;
    }
    let config = work.engine.config.borrow();
    let (ae, port) = (&config.receiver.ae_title, config.receiver.listen.port());
    let detail = format!(
        "{} does not know the move destination {ae}: {words}; register AE title {ae} with this machine's address and port {port} there, then resume the job",
        source.name
    );
    Asked::Halt(Cause { reason: Some(Reason::DestinationUnknown), detail, ..Cause::default() })
}

/// What a broken association means.
fn failed(work: &Work, source: &Source, error: &ScuError, cancel: &CancellationToken) -> Asked {
    if cancel.is_cancelled() {
        return Asked::Stopped;
    }
    let words = super::words(error);
    if error.hints_at_unknown_destination() && probably_unknown(work) {
        return destination_unknown(work, source, &words);
    }
    if error.disposition() == Disposition::Halt {
        return Asked::Halt(Cause { reason: Some(Reason::RefusedBySource), detail: words, ..Cause::default() });
    }
    let reason = if error.is_timeout() { Reason::TimedOut } else { Reason::AssociationLost };
    Asked::Ended(Cause { reason: Some(reason), detail: words, ..Cause::default() })
}

fn unreachable_source(error: &ScuError) -> Asked {
    let words = super::words(error);
    if error.disposition() == Disposition::Halt {
        let detail = error.remedy().map_or(words.clone(), |remedy| format!("{words}; {remedy}"));
        return Asked::Halt(Cause { detail, ..Cause::default() });
    }
    Asked::SourceFailed(words)
}

fn progress_row(phase: &str, counters: &Counters) -> Progress {
    Progress {
        phase: phase.to_owned(),
        association: None,
        counters: [counters.remaining, counters.completed, counters.failed, counters.warning],
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
