//! One study from the source to its verdict: compare, ask for what is missing, compare again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::engine::JobError;
use super::keeper::Held;
use super::kept::name_kept;
use super::listing::{self, Listed, NoList};
use super::loss;
use super::reconcile::{Here, Listing, Verdict, listing_digest, reconcile};
use super::request::{self, Asked};
use super::state::{Event, on};
use super::work::{Link, Work};
use super::{backoff, settle};
use crate::catalog::{Evidence, Item, ItemState, ItemUpdate, Outcome, Reason};
use crate::config::Source;
use crate::dicom::SopInstanceUid;
use crate::object::Disposition;

/// How long the last objects of a pull may take through the filing batch, here or in another process, before the
/// study is put aside to settle.
const IN_FLIGHT: Duration = Duration::from_millis(400);
const IN_FLIGHT_POLL: Duration = Duration::from_millis(40);

/// Why a study is short, in the source's own words, for the report.
#[derive(Debug, Clone, Default)]
pub(super) struct Cause {
    pub(super) reason: Option<Reason>,
    pub(super) detail: String,
    /// Whether the source may have sent something, by its own account.
    pub(super) delivered: bool,
    /// Objects of studies that nobody asked for, which came instead of those of this one.
    pub(super) strangers: u64,
}

/// Works on a claimed study until it is proven, given up, put aside, or given back.
pub(super) async fn pull(work: &Arc<Work>, link: &mut Link, item: Item, held: Held) -> Result<(), JobError> {
    let source = work.source();
    let (cancel, guard) = work.pull_token(&held, link);
    let before = here(work, &item).await?;
    let mut known = None;
    let something_is_here = !before.filed.is_empty() || !before.received.is_empty() || item.attempt > 0;
    if something_is_here || request::needs_list(work, &source, &item) {
        let listed = match list(work, link, &item, &before).await {
            Ok(listed) => listed,
            Err(no_list) => return unlisted(work, &source, &item, item.attempt + 1, &before, no_list).await,
        };
        match reconcile(&listed.listing, &before) {
            Verdict::Short { missing, count } if item.attempt < source.attempts => {
                known = Some((listed, missing, count))
            }
            verdict => return conclude(work, &source, &item, &before, &listed.listing, verdict).await,
        }
    }
    let asked = request::ask(work, link, &source, &item, known, &cancel).await?;
    drop(guard);
    let cause = match asked {
        Asked::Ended(cause) => cause,
        Asked::Stopped => return give_back(work, &item, &Cause::default()).await,
        Asked::SourceFailed(words) => {
            work.health.failed(&source.retry, words.clone());
            return give_back(work, &item, &Cause { detail: words, ..Cause::default() }).await;
        }
        Asked::Halt(cause) => {
            work.halt(cause.detail.clone());
            return give_back(work, &item, &cause).await;
        }
    };
    verify(work, link, &source, item, held, cause).await
}

/// Compares after a pull. A study that arrived whole is proven at once; one that did not is put aside to settle.
async fn verify(
    work: &Arc<Work>,
    link: &mut Link,
    source: &Source,
    mut item: Item,
    held: Held,
    cause: Cause,
) -> Result<(), JobError> {
    let catalog = &work.engine.catalog;
    item.state = on(item.state, Event::PullEnded)?;
    item.attempt += 1;
    if !catalog.update_item(item.id, item.fence, ItemUpdate::to(item.state, item.attempt)).await? {
        lease_lost(&item);
        return Ok(());
    }
    work.engine.intake.flush().await?;
    let here_now = here(work, &item).await?;
    let listed = match list(work, link, &item, &here_now).await {
        Ok(listed) => listed,
        Err(no_list) => {
            let here = here(work, &item).await?;
            return unlisted(work, source, &item, item.attempt, &here, no_list).await;
        }
    };
    let began = tokio::time::Instant::now();
    loop {
        let here = here(work, &item).await?;
        match reconcile(&listed.listing, &here) {
            Verdict::Short { .. } if began.elapsed() < IN_FLIGHT && work.gate.open() > 0 => {
                tokio::time::sleep(IN_FLIGHT_POLL).await;
            }
            Verdict::Short { count, .. } if makes_up_uids(&item, &here, &cause) => {
                let unlisted = u32::try_from(cause.strangers).unwrap_or(u32::MAX);
                let verdict = Verdict::Over { unlisted, missing: count };
                return conclude(work, source, &item, &here, &listed.listing, verdict).await;
            }
            Verdict::Short { missing, count } => {
                let missing: BTreeSet<SopInstanceUid> = missing.into_iter().map(|(_, uid)| uid).collect();
                let cause = blame(cause, &here, count);
                let wanted = settle::Wanted { missing, filed: here.filed.len() + count as usize };
                return settle::put_aside(work, source, item, held, wanted, cause).await;
            }
            verdict => return conclude(work, source, &item, &here, &listed.listing, verdict).await,
        }
    }
}

/// What the source lists. A list that would be held against it is asked for twice: some leave out for a moment what they
/// are just reading.
async fn list(work: &Work, link: &mut Link, item: &Item, here: &Here) -> Result<Listed, NoList> {
    let first = listing::list_study(work, link, &item.study).await?;
    if !matches!(reconcile(&first.listing, here), Verdict::Over { .. } | Verdict::Empty) {
        return Ok(first);
    }
    let second = listing::list_study(work, link, &item.study).await?;
    if second.listing == first.listing {
        return Ok(second);
    }
    Err(NoList::NoEvidence("asked twice for the list of the study, the source gave two different ones".into()))
}

/// Whether objects of unheard-of studies came instead of this one, now and in the attempt before: a source that makes
/// up UIDs anew with each retrieve, of which nothing is gained by asking it again.
fn makes_up_uids(item: &Item, here: &Here, cause: &Cause) -> bool {
    here.received.is_empty() && cause.strangers > 0 && item.reason == Some(Reason::OverCount)
}

/// `1 object`, `2 objects`.
fn objects(count: u64) -> String {
    format!("{count} {}", if count == 1 { "object" } else { "objects" })
}

/// Names the reason when the pull itself did not: a success that brought nothing means that the source could not get
/// at the objects; one that brought some is a short count.
fn blame(mut cause: Cause, here: &Here, missing: u32) -> Cause {
    if cause.strangers > 0 && here.received.is_empty() {
        let detail = format!("{} of studies that nobody asked for came instead of this one", objects(cause.strangers));
        return Cause { reason: Some(Reason::OverCount), detail, ..cause };
    }
    if cause.reason.is_none() {
        let reason = if here.received.is_empty() { Reason::SourceOffline } else { Reason::ShortCount };
        cause.reason = Some(reason);
    }
    if cause.detail.is_empty() {
        cause.detail = format!("the source reported success; {} that it lists did not arrive", objects(missing.into()));
    }
    cause
}

/// Writes the end of an item that has been compared with a list.
async fn conclude(
    work: &Work,
    source: &Source,
    item: &Item,
    here: &Here,
    listing: &Listing,
    verdict: Verdict,
) -> Result<(), JobError> {
    let (count, evidence, digest) = match listing {
        Listing::Instances(listed) => {
            (u32::try_from(listed.len()).unwrap_or(u32::MAX), Evidence::Instances, Some(listing_digest(listed)))
        }
        Listing::Count(count) => (*count, Evidence::Count, None),
    };
    let filed = match listing {
        Listing::Instances(listed) => here.filed.iter().filter(|uid| listed.contains_key(*uid)).count(),
        Listing::Count(_) => here.filed.len(),
    };
    let event = if verdict == Verdict::Proven { Event::Proven } else { Event::GivenUp(filed > 0) };
    let mut update = ItemUpdate::to(on(item.state, event)?, item.attempt);
    let (catalog, study) = (&work.engine.catalog, &item.study.study_uid);
    let mut fall = |reason, detail: String| {
        update.reason = Some(reason);
        update.detail = detail;
    };
    match verdict {
        Verdict::Proven => update.evidence = Some(evidence),
        Verdict::Empty => fall(Reason::ZeroImages, "the source lists the study, but no object in it".into()),
        Verdict::Short { missing, count } => {
            let reason = item.reason.unwrap_or(Reason::ShortCount);
            let attempts = source.attempts;
            let what = objects(count.into());
            let attempts = format!("{attempts} {}", if attempts == 1 { "attempt" } else { "attempts" });
            fall(reason, format!("{what} that the source lists did not arrive in {attempts}; {}", item.detail));
            update.missing = missing;
        }
        Verdict::Quarantined(n) => {
            let kept = name_kept(catalog, study, |kept| here.quarantined.contains(&kept.instance)).await?;
            fall(Reason::Quarantined, format!("in quarantine: {} that the source lists{kept}", objects(n.into())));
        }
        Verdict::Collided(n) => {
            let what = objects(n.into());
            let kept = name_kept(catalog, study, |kept| here.collided.contains(&kept.instance)).await?;
            fall(
                Reason::UidCollision,
                format!("with the UID of another object that is filed: {what} that the source lists{kept}"),
            );
        }
        Verdict::Over { unlisted, missing } => fall(Reason::OverCount, over_count(unlisted, missing, count)),
    }
    update.listed = Some(count);
    update.filed = u32::try_from(filed).ok();
    update.listing_digest = digest;
    info!(study.uid = %item.study.study_uid, state = update.state.as_text(), listed = count, filed, "study concluded");
    write(work, item, update).await
}

fn over_count(unlisted: u32, missing: u32, listed: u32) -> String {
    let delivered = format!("the source delivered {} that it does not list", objects(unlisted.into()));
    match missing {
        0 => delivered,
        n if n == listed => format!(
            "{delivered}, and none of the {listed} that it lists: it makes up UIDs anew with each retrieve, so that \
             nothing it sends can be held against its list; have that switched off in the old PACS"
        ),
        n => format!("{delivered}, and did not deliver {n} that it lists"),
    }
}

/// Writes what follows when the source gave no list that could be evidence, in the attempt of that number.
async fn unlisted(
    work: &Work,
    source: &Source,
    item: &Item,
    attempt: u32,
    here: &Here,
    no_list: NoList,
) -> Result<(), JobError> {
    let fallout = on(item.state, Event::GivenUp(!here.filed.is_empty()))?;
    let mut update = ItemUpdate::to(fallout, attempt);
    update.filed = u32::try_from(here.filed.len()).ok();
    match no_list {
        NoList::NotFound => {
            update.reason = Some(Reason::NotFoundAtSource);
            update.detail = "the source does not list the study".into();
        }
        NoList::NoEvidence(words) => {
            update.reason = Some(Reason::RefusedBySource);
            update.detail = format!(
                "{words}; a source that cannot list instances can be proven by count only (verify = \"count\")"
            );
            if attempt < source.attempts {
                update.state = on(item.state, Event::PutBack)?;
                update.release = true;
                update.due =
                    Some(super::now() + millis(backoff::pause(attempt, source.retry.first, source.retry.longest)));
            }
        }
        NoList::Stopped => return give_back(work, item, &Cause::default()).await,
        NoList::Scu(error) if work.stop.is_cancelled() => {
            info!(%error, "stopped while comparing");
            return give_back(work, item, &Cause::default()).await;
        }
        NoList::Scu(error) => {
            let words = super::words(&error);
            if error.disposition() == Disposition::Halt {
                work.halt(words.clone());
            } else {
                work.health.failed(&source.retry, words.clone());
            }
            return give_back(work, item, &Cause { detail: words, ..Cause::default() }).await;
        }
    }
    write(work, item, update).await
}

/// Gives a study back without counting an attempt: not its fault.
pub(super) async fn give_back(work: &Work, item: &Item, cause: &Cause) -> Result<(), JobError> {
    let mut update = ItemUpdate::to(on(item.state, Event::PutBack)?, item.attempt);
    update.release = true;
    update.due = Some(super::now());
    update.reason = cause.reason.or(item.reason);
    update.detail = if cause.detail.is_empty() { item.detail.clone() } else { cause.detail.clone() };
    write(work, item, update).await
}

pub(super) async fn write(work: &Work, item: &Item, update: ItemUpdate) -> Result<(), JobError> {
    if !work.engine.catalog.update_item(item.id, item.fence, update).await? {
        lease_lost(item);
    }
    Ok(())
}

fn lease_lost(item: &Item) {
    warn!(study.uid = %item.study.study_uid, "the lease on a study was lost; whoever holds it now goes on");
}

/// What is here of a study.
pub(super) async fn here(work: &Work, item: &Item) -> Result<Here, JobError> {
    let catalog = &work.engine.catalog;
    let study = &item.study.study_uid;
    let gone = loss::gone(catalog, &work.engine.store, study).await?;
    let filed = catalog.filed_of_study(study).await?.into_iter().map(|(_, uid)| uid);
    let mut here = Here { filed: filed.filter(|uid| !gone.contains(uid)).collect(), ..Here::default() };
    for arrival in catalog.receipts_of_study(&work.source_name, study).await? {
        match arrival.outcome {
            Outcome::Collision => {
                here.collided.insert(arrival.instance.clone());
            }
            Outcome::Quarantined => {
                here.quarantined.insert(arrival.instance.clone());
            }
            // Filed in another study, or moved there by a person.
            Outcome::Duplicate | Outcome::Variant
                if arrival.filed && !here.filed.contains(&arrival.instance) && !gone.contains(&arrival.instance) =>
            {
                here.elsewhere.insert(arrival.instance.clone());
            }
            Outcome::AlreadyMoved => {
                here.filed.insert(arrival.instance.clone());
            }
            Outcome::New | Outcome::Duplicate | Outcome::Variant => {}
        }
        match arrival.item_state {
            _ if arrival.item == Some(item.id) => {
                here.received.insert(arrival.instance);
            }
            // What a proof rested on was listed then; what the operator took out, a person has looked at.
            None | Some(ItemState::Proven | ItemState::Excluded) => {}
            Some(_) => {
                here.brought_before.insert(arrival.instance);
            }
        }
    }
    Ok(here)
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What [`request::ask`] is told when the source's list is known already.
pub(super) type Known = (Listed, Vec<(crate::dicom::SeriesInstanceUid, SopInstanceUid)>, u32);
