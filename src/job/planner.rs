//! Runs the plan of a job: one process at a time lists window after window, and keeps each step in the catalog, so
//! that a restart does not list again what is listed.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::time::Duration;

use tracing::{info, warn};

use super::engine::JobError;
use super::listing::{self, Asked};
use super::plan::{Answer, Judgement, Keys, Plan, Role, Verdict};
use super::work::{Link, Work};
use crate::catalog::{JobKind, WindowState};
use crate::dicom::{Date, DateRange};
use crate::object::Disposition;

/// How often to look whether the process that plans has ended.
const LEASE_POLL: Duration = Duration::from_millis(500);
/// How far back a job that follows its source asks again, in days.
const NEWEST: i64 = 3;
/// Failures of one query, with pauses in between, before its window is given up (and said to be).
const QUERY_ATTEMPTS: u32 = 5;

/// Lists everything, then (if the job follows its source) the newest days again and again.
pub(super) async fn run(work: &Work) -> Result<(), JobError> {
    debug_assert_eq!(work.job.spec.kind, JobKind::Migration);
    let name = format!("plan/{}", work.job.id);
    let lease = loop {
        if work.stop.is_cancelled() {
            return Ok(());
        }
        let enumerated = work.engine.catalog.job(work.job.id).await?.is_none_or(|job| job.enumerated);
        if enumerated && work.job.spec.follow.is_none() {
            return Ok(());
        }
        match work.engine.keeper.acquire(&name).await? {
            Some(lease) => break lease,
            None => work.sleep(LEASE_POLL).await,
        }
    };
    let result = tokio::select! {
        () = lease.lost().cancelled() => Ok(()),
        result = enumerate(work) => result,
    };
    lease.release().await;
    result
}

async fn enumerate(work: &Work) -> Result<(), JobError> {
    let job = work.engine.catalog.job(work.job.id).await?;
    if job.is_some_and(|job| !job.enumerated) {
        if work.job.spec.studies.is_empty() {
            windows(work).await?;
        } else {
            named(work).await?;
        }
        if work.stop.is_cancelled() {
            return Ok(());
        }
        work.engine.catalog.set_enumerated(work.job.id, true).await?;
        work.news.notify_waiters();
    }
    let Some(interval) = work.job.spec.follow else { return Ok(()) };
    while !work.stop.is_cancelled() {
        work.sleep(interval).await;
        newest(work).await?;
    }
    Ok(())
}

/// The studies that the job names.
async fn named(work: &Work) -> Result<(), JobError> {
    let Some(mut link) = work.link(true).await else { return Ok(()) };
    for uid in &work.job.spec.studies {
        while !work.stop.is_cancelled() {
            match listing::ask_by_uid(work, &mut link, uid).await {
                Ok(()) => break,
                Err(error) => {
                    link.broken().await;
                    recover(work, error).await?;
                }
            }
        }
    }
    link.close().await;
    Ok(())
}

/// The whole plan, over as few associations as the source's limits allow.
async fn windows(work: &Work) -> Result<(), JobError> {
    let mut kept = None;
    let result = walk(work, &mut kept).await;
    if let Some(link) = kept {
        link.close().await;
    }
    result
}

/// The plan from where the catalog says that it stands, window after window.
async fn walk(work: &Work, kept: &mut Option<Link>) -> Result<(), JobError> {
    let catalog = &work.engine.catalog;
    let spec = &work.job.spec;
    let source = work.source();
    let mut plan: Plan = match catalog.plan_state(work.job.id).await? {
        Some(state) => serde_json::from_str(&state).map_err(JobError::Plan)?,
        None => {
            let bounds = DateRange { from: spec.from, to: spec.to };
            let (plan, first) = Plan::new(bounds, Date::today(), source.find_limit);
            catalog.add_windows(work.job.id, rows(&first)?).await?;
            catalog.set_plan_state(work.job.id, &serde_json::to_string(&plan).map_err(JobError::Plan)?).await?;
            plan
        }
    };
    let mut attempts = 0;
    while let Some(window) = catalog.next_window(work.job.id).await? {
        let keys: Keys = serde_json::from_str(&window.keys).map_err(JobError::Plan)?;
        let link = match kept.take() {
            Some(link) => Some(link),
            None => work.link(true).await,
        };
        let Some(mut link) = link else { return Ok(()) };
        let judged = judge(work, &mut link, &mut plan, &keys).await;
        if judged.is_ok() && work.planner_may_keep(&link) {
            *kept = Some(link);
        } else {
            link.close().await;
            work.let_workers_in().await;
        }
        if work.stop.is_cancelled() {
            info!("stopped in the middle of a window");
            return Ok(());
        }
        let (verdict, detail, next, answers) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                attempts += 1;
                if attempts < QUERY_ATTEMPTS || work.health.pause().is_some() {
                    recover(work, error).await?;
                    continue;
                }
                let answer = Answer {
                    rows: 0,
                    distinct: 0,
                    outside_days: 0,
                    outside_times: 0,
                    untimed: 0,
                    status: None,
                    known: 0,
                };
                match plan.answered(&keys, &answer) {
                    Judgement::Done { verdict, next, .. } => (verdict, super::words(&error), next, None),
                    Judgement::Probe(_) => (Verdict::Failed, super::words(&error), Vec::new(), None),
                }
            }
        };
        attempts = 0;
        info!(window = %keys, verdict = verdict.as_str(), rows = answers, "listed a window");
        if verdict == Verdict::Failed {
            catalog.append_note(work.job.id, "not enumerated", &format!("{keys}: {detail}")).await?;
        }
        if verdict == Verdict::Split && keys == Keys::days(Role::Sweep, DateRange::default()) {
            let text = "the source caps its answers, so that studies without a date can only be looked for by the \
                        beginning of their patient ID: those that have neither cannot be found by queries. Have the \
                        cap lifted at the source and migrate once more, or find them there by hand and carry them \
                        over with `migrate --study UID`";
            catalog.append_note(work.job.id, "not enumerated", text).await?;
        }
        let state = match verdict {
            Verdict::Listed => WindowState::Listed,
            Verdict::Split => WindowState::Split,
            Verdict::Failed => WindowState::Failed,
        };
        let plan_state = serde_json::to_string(&plan).map_err(JobError::Plan)?;
        catalog.finish_window(work.job.id, window.id, state, answers, &detail, rows(&next)?, Some(plan_state)).await?;
        if work.stop.is_cancelled() {
            return Ok(());
        }
    }
    if spec.from.is_some() || spec.to.is_some() {
        let text = "studies without a date, or with a malformed one, are not part of a job with --from or --to";
        catalog.append_note(work.job.id, "scope", text).await?;
    }
    Ok(())
}

/// Asks for a window and for as many parts of it as the plan wants to compare it with.
async fn judge(
    work: &Work,
    link: &mut Link,
    plan: &mut Plan,
    keys: &Keys,
) -> Result<(Verdict, String, Vec<Keys>, Option<u32>), JobError> {
    let hasher = RandomState::new();
    let whole = asked(work, link, keys, &hasher).await?;
    let mut judged = plan.answered(keys, &whole.answer);
    loop {
        match judged {
            Judgement::Done { verdict, detail, next } => {
                return Ok((verdict, detail, next, u32::try_from(whole.answer.rows).ok()));
            }
            Judgement::Probe(parts) => {
                let mut union = HashSet::new();
                let mut answers = Vec::new();
                for part in parts {
                    let asked = asked(work, link, &part, &hasher).await?;
                    union.extend(asked.studies);
                    answers.push((part, asked.answer));
                }
                judged = plan.probed(keys, &whole.answer, &answers, union.len());
            }
        }
    }
}

async fn asked(work: &Work, link: &mut Link, keys: &Keys, hasher: &RandomState) -> Result<Asked, JobError> {
    let mut asked = listing::ask(work, link, keys, hasher).await?;
    if keys.role == Role::Sweep {
        asked.answer.known =
            usize::try_from(work.engine.catalog.totals(work.job.id).await?.items.total).unwrap_or(usize::MAX);
    }
    if asked.without_uid > 0 {
        let text = format!(
            "{keys}: {} rows have no Study Instance UID, so that their studies cannot be asked for",
            asked.without_uid
        );
        work.engine.catalog.append_note(work.job.id, "row without UID", &text).await?;
    }
    Ok(asked)
}

/// The newest days once more, for a job that follows its source. A cap is not looked for: three days are few.
async fn newest(work: &Work) -> Result<(), JobError> {
    let range = DateRange { from: Some(Date::today().plus_days(-NEWEST)), to: None };
    let Some(mut link) = work.link(true).await else { return Ok(()) };
    let result = listing::ask(work, &mut link, &Keys::days(Role::Part, range), &RandomState::new()).await;
    link.close().await;
    match result {
        Ok(_) => Ok(()),
        Err(error) => recover(work, error).await,
    }
}

/// A failed query: the source is given a pause, or the job is halted.
async fn recover(work: &Work, error: JobError) -> Result<(), JobError> {
    if error.disposition() == Disposition::Halt || !work.patient {
        return Err(error);
    }
    warn!(error = &error as &dyn std::error::Error, "a query failed");
    work.health.failed(&work.source().retry, super::words(&error));
    Ok(())
}

fn rows(keys: &[Keys]) -> Result<Vec<(i64, String)>, JobError> {
    keys.iter().map(|k| Ok((k.seq(), serde_json::to_string(k).map_err(JobError::Plan)?))).collect()
}
