//! Studies that are not filed yet, or not as a whole: they are moved to the head of the queue of the job that knows them,
//! and the one who asked waits, with pending responses, until they have come or will not.
//!
//! However many ask for one study, it is pulled once: all of them watch the same item.

use std::time::{Duration, Instant};

use tracing::info;

use super::{Asked, RESPONSE};
use crate::catalog::{JobState, Recalled, Selection};
use crate::dicom::Status;
use crate::dimse::{Command, Counters, DimseError, Session};
use crate::scp::refusal::Refusal;

/// How often it is looked whether they have come.
const LOOK: Duration = Duration::from_millis(100);
/// How often the one who asked is told that it is waited.
const REPORT: Duration = Duration::from_secs(2);

/// What came of waiting.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// A C-CANCEL came.
    pub(super) cancelled: bool,
    /// Objects that were listed and have not come.
    pub(super) missing: usize,
    /// Why.
    pub(super) why: Option<String>,
}

/// Waits for whatever the selection means and is not filed as a whole.
pub(super) async fn fetch(
    session: &mut Session,
    asked: &Asked<'_>,
    selection: &Selection,
) -> Result<Result<Fetched, Refusal>, DimseError> {
    let catalog = &asked.services.catalog;
    let config = asked.services.config.borrow().clone();
    let items = match catalog.recall(selection, &asked.caller.ae_title).await {
        Ok(items) if items.is_empty() => return Ok(Ok(Fetched::default())),
        Ok(items) => items,
        Err(error) => return Ok(Err(Refusal::catalog(&error))),
    };
    info!(peer.ae = %asked.caller.ae_title, studies = items.len(), "fetched first: a node waits for what is not filed yet");
    let (mut progress, mut moved) = (0, Instant::now());
    let mut told = Instant::now();
    loop {
        let standing = match catalog.recalled(&items).await {
            Ok(standing) => standing,
            Err(error) => return Ok(Err(Refusal::catalog(&error))),
        };
        let waits = standing.iter().any(|item| hindrance(item).is_none() && item.is_coming());
        let arrived = standing.iter().map(|item| item.arrived).sum();
        if arrived != progress {
            (progress, moved) = (arrived, Instant::now());
        }
        let late = moved.elapsed() > config.node.union_wait;
        if !waits || late {
            return Ok(Ok(outcome(&standing, late)));
        }
        if session.cancel_asked(asked.command.message_id).await? {
            return Ok(Ok(Fetched { cancelled: true, ..Fetched::default() }));
        }
        if asked.caller.stop.is_cancelled() {
            let why = "the archive is being stopped";
            return Ok(Err(Refusal::new(Status::UNABLE_TO_PERFORM_SUB_OPERATIONS, why)));
        }
        if told.elapsed() >= REPORT {
            told = Instant::now();
            session.send(asked.context, &pending(asked.command, &standing), None, RESPONSE).await?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A response that says that it goes on: nothing has been sent, and so many objects are to come.
fn pending(to: &Command, standing: &[Recalled]) -> Command {
    let listed: i64 = standing.iter().filter_map(|item| item.instances).sum();
    let remaining = Some(u16::try_from(listed).unwrap_or(u16::MAX));
    let counters = Counters { remaining, completed: Some(0), failed: Some(0), warning: Some(0) };
    Command { counters, ..Command::response(to, Status::PENDING) }
}

/// What keeps a study from coming at all.
pub fn hindrance(item: &Recalled) -> Option<String> {
    let job = item.job;
    match (item.job_state, &item.job_message) {
        // The operator, or the source itself: nobody knows for how long.
        (JobState::Running, Some(message)) if item.arrived == 0 || !item.begun => Some(message.clone()),
        (JobState::Running, _) => None,
        (JobState::Paused | JobState::Stopping, _) => Some(format!("job {job} is paused")),
        (JobState::Halted, Some(message)) => Some(format!("job {job} is halted: {message}")),
        (JobState::Halted, None) => Some(format!("job {job} is halted")),
        (JobState::Finished, _) => Some(format!("job {job} is finished, and has not got it")),
        (JobState::Cancelled, _) => Some(format!("job {job} was cancelled")),
    }
}

/// What is missing when nothing more is waited for, and why.
fn outcome(standing: &[Recalled], late: bool) -> Fetched {
    let mut fetched = Fetched::default();
    for item in standing.iter().filter(|item| item.state != crate::catalog::ItemState::Proven) {
        // At least one object, or the source would not list the study.
        let missing = item.instances.unwrap_or(1).saturating_sub(item.arrived).max(1);
        fetched.missing += usize::try_from(missing).unwrap_or(1);
        let why = hindrance(item).unwrap_or_else(|| match (late, item.detail.as_str()) {
            (true, _) => "it did not come in time".to_owned(),
            (false, "") => item.state.as_text().to_owned(),
            (false, detail) => detail.to_owned(),
        });
        fetched.why.get_or_insert_with(|| format!("a study is still on {}: {why}", item.source));
    }
    fetched
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ItemState;
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
        assert_eq!(outcome(&[item(ItemState::Proven, true)], false).missing, 0);
        let refused = Recalled { detail: "A701: out of resources".into(), ..item(ItemState::Partial, true) };
        let fetched = outcome(&[item(ItemState::Proven, true), refused], false);
        assert_eq!(fetched.missing, 3);
        assert_eq!(fetched.why.as_deref(), Some("a study is still on old: A701: out of resources"));
        let paused = Recalled { job_state: JobState::Paused, instances: None, ..item(ItemState::Listed, false) };
        let fetched = outcome(&[paused], false);
        assert_eq!((fetched.missing, fetched.why.as_deref()), (1, Some("a study is still on old: job 3 is paused")));
        let late = outcome(&[item(ItemState::Pulling, true)], true);
        assert_eq!(late.why.as_deref(), Some("a study is still on old: it did not come in time"));
    }

    #[test]
    fn an_attempt_that_failed_ends_the_wait() {
        for (state, begun, coming) in [
            (ItemState::Listed, false, true),
            (ItemState::Waiting, false, true),
            (ItemState::Pulling, true, true),
            (ItemState::Verifying, true, true),
            (ItemState::Waiting, true, false),
            (ItemState::Failed, true, false),
        ] {
            assert_eq!(item(state, begun).is_coming(), coming, "{state:?} {begun}");
        }
    }
}
