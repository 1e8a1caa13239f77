//! Studies that are not filed yet, or not as a whole: they are moved to the head of the queue of the job that knows them,
//! and the one who asked gets what has come while the rest still comes, until all has come or nothing more will.
//!
//! However many ask for one study, it is pulled once: all of them watch the same item.

use std::time::{Duration, Instant};

use tracing::info;

use super::Asked;
use super::run::{Ended, Run};
use crate::catalog::{CatalogError, Recalled, Selection};
use crate::dimse::{DimseError, Session};
use crate::scp::refusal::Refusal;

/// How often it is looked whether more has come: at first, and when nothing has come for a while.
const LOOK: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(100);
const WHILE: Duration = Duration::from_secs(5);
/// To look what there is takes longer the more there is; so much longer than that it is let be.
const REST: u32 = 4;

/// What did not come.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Objects that were listed.
    pub(super) objects: usize,
    /// Why.
    pub(super) why: Option<String>,
}

/// Studies that are on their way.
pub(super) struct Awaited {
    items: Vec<i64>,
    /// Whole studies are asked for: it is known how many objects they have.
    whole: bool,
    /// Objects that had come when that was looked at, and when that was another number.
    arrived: i64,
    moved: Instant,
    /// Not to be looked at before.
    next: Instant,
}

/// What came of waiting.
pub(super) enum More {
    /// Objects have come, and at least so many are still to come.
    Arrived(usize),
    /// Nothing more will.
    Over(Missing),
    /// It is not waited for any more.
    Ended(Ended),
}

impl Awaited {
    /// Has fetched whatever the selection means and is not filed as a whole; `None` where there is nothing.
    pub(super) async fn of(asked: &Asked<'_>, selection: &Selection) -> Result<Option<Awaited>, CatalogError> {
        let items = asked.services.catalog.recall(selection, &asked.caller.ae_title).await?;
        if items.is_empty() {
            return Ok(None);
        }
        let peer = &asked.caller.ae_title;
        info!(peer.ae = %peer, studies = items.len(), "fetched first: a node waits for what is not filed yet");
        let whole = selection.series.is_empty() && selection.instances.is_empty();
        let now = Instant::now();
        Ok(Some(Awaited { items, whole, arrived: 0, moved: now, next: now }))
    }

    /// Waits until there is more than before, or nothing more comes. The one who asked is told meanwhile that it goes on.
    pub(super) async fn more(&mut self, session: &mut Session, run: &mut Run<'_>) -> Result<More, DimseError> {
        let patience = run.asked.services.config.borrow().node.union_wait;
        loop {
            if let Some(stopping) = run.stopping() {
                return Ok(More::Ended(stopping));
            }
            if session.cancel_asked(run.asked.command.message_id).await? {
                return Ok(More::Ended(Ended::Cancelled));
            }
            if Instant::now() >= self.next {
                let standing = match run.asked.services.catalog.recalled(&self.items).await {
                    Ok(standing) => standing,
                    Err(error) => return Ok(More::Ended(Ended::Refused(Refusal::catalog(&error)))),
                };
                let arrived: i64 = standing.iter().map(|item| item.arrived).sum();
                let more = arrived != self.arrived;
                if more {
                    (self.arrived, self.moved) = (arrived, Instant::now());
                }
                let waits = standing.iter().any(|item| item.hindrance().is_none() && item.is_coming());
                let late = self.moved.elapsed() > patience;
                if !waits || late {
                    return Ok(More::Over(outcome(&standing, late)));
                }
                if more {
                    return Ok(More::Arrived(self.to_come(&standing)));
                }
                run.tally.expect(self.to_come(&standing));
            }
            run.report(session).await?;
            tokio::time::sleep(if self.moved.elapsed() < WHILE { LOOK } else { SELDOM }).await;
        }
    }

    /// To look what there is took so long.
    pub(super) fn took(&mut self, elapsed: Duration) {
        self.next = Instant::now() + elapsed * REST;
    }

    fn to_come(&self, standing: &[Recalled]) -> usize {
        let rest = |item: &Recalled| item.instances.unwrap_or(0).saturating_sub(item.arrived).max(0);
        let rest: i64 = if self.whole { standing.iter().map(rest).sum() } else { 0 };
        // At least one, or it would be over.
        usize::try_from(rest).unwrap_or(usize::MAX).max(1)
    }
}

/// What is missing when nothing more is waited for, and why.
fn outcome(standing: &[Recalled], late: bool) -> Missing {
    let mut fetched = Missing::default();
    for item in standing.iter().filter(|item| item.state != crate::catalog::ItemState::Proven) {
        // At least one object, or the source would not list the study.
        let missing = item.instances.unwrap_or(1).saturating_sub(item.arrived).max(1);
        fetched.objects += usize::try_from(missing).unwrap_or(1);
        let why = item.hindrance().unwrap_or_else(|| match (late, item.detail.as_str()) {
            (true, _) => "it did not come in time".to_owned(),
            (false, "") => item.state.as_text().to_owned(),
            (false, detail) => detail.to_owned(),
        });
        fetched.why.get_or_insert_with(|| format!("still on {}: {why}", item.source));
    }
    fetched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ItemState, JobState};
    use crate::dicom::StudyInstanceUid;

    fn item(state: ItemState, begun: bool) -> Recalled {
        Recalled {
            item: 1,
            study: StudyInstanceUid::new("1.2"),
            source: "old".into(),
            state,
            begun,
            detail: String::new(),
            instances: Some(5),
            arrived: 2,
            job: 3,
            job_state: JobState::Running,
            job_message: None,
        }
    }

    #[test]
    fn what_does_not_come_is_counted_and_said_to_be_where_it_is() {
        assert_eq!(outcome(&[item(ItemState::Proven, true)], false).objects, 0);
        let refused = Recalled { detail: "A701: out of resources".into(), ..item(ItemState::Partial, true) };
        let fetched = outcome(&[item(ItemState::Proven, true), refused], false);
        assert_eq!(fetched.objects, 3);
        assert_eq!(fetched.why.as_deref(), Some("still on old: A701: out of resources"));
        let paused = Recalled { job_state: JobState::Paused, instances: None, ..item(ItemState::Listed, false) };
        let fetched = outcome(&[paused], false);
        assert_eq!((fetched.objects, fetched.why.as_deref()), (1, Some("still on old: job 3 is paused")));
        let late = outcome(&[item(ItemState::Pulling, true)], true);
        assert_eq!(late.why.as_deref(), Some("still on old: it did not come in time"));
    }

    #[test]
    fn an_attempt_that_failed_ends_the_wait() {
        for (state, begun, coming) in [
            (ItemState::Listed, false, true),
            (ItemState::Waiting, false, true),
            (ItemState::Pulling, true, true),
            (ItemState::Verifying, true, true),
            (ItemState::Failed, true, false),
        ] {
            assert_eq!(item(state, begun).is_coming(), coming, "{state:?} {begun}");
        }
        // One whose worker was killed, or whose job was paused just now, has not failed.
        assert!(item(ItemState::Waiting, true).is_coming());
        let failed = Recalled { detail: "A701: out of resources".into(), ..item(ItemState::Waiting, true) };
        assert!(!failed.is_coming());
    }
}
