//! What an operator may want of a job, of its studies, and of the worker.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use super::{operated, the_job, told};
use crate::catalog::{Catalog, Control, Job, JobState, Reason, Retry, Slowed};
use crate::config::Privilege;
use crate::config::units::{format_rate, parse_duration, parse_rate};
use crate::dicom::StudyInstanceUid;
use crate::job::approve::{self, ApproveError};
use crate::job::control;
use crate::job::progress::Progress;
use crate::job::report::state_text;
use crate::web::Web;
use crate::web::answer::{Refused, document};
use crate::web::guard::{Posted, Signed};

/// For how long a source is treated more gently, if nothing else is said, and at most.
const A_WHILE: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);
/// The slowest that a source is slowed down to by itself.
const SLOWEST: u64 = 64 * 1024;

#[derive(Debug, Deserialize)]
pub(in crate::web) struct Action {
    action: Wish,
    /// Of `retry`: those with this reason.
    #[serde(default)]
    reason: String,
    /// Of `retry`, `exclude` and `approve`: this study.
    #[serde(default)]
    study: String,
    /// Of `exclude` and `approve`.
    #[serde(default)]
    why: String,
    /// Of `slow`: bytes per second, such as `5 MB/s`; half of the present pace when it is empty.
    #[serde(default)]
    rate: String,
    /// Of `slow`: how long, such as `30m`.
    #[serde(default, rename = "for")]
    how_long: String,
    /// Where a page goes on afterwards: back to the report.
    #[serde(default)]
    back: String,
}

/// What may be wanted of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    Pause,
    Resume,
    Cancel,
    Retry,
    Repeat,
    Exclude,
    Approve,
    Slow,
    Full,
}

#[derive(Deserialize)]
pub(in crate::web) struct Close {}

pub(super) async fn act(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    posted: Posted<Action>,
) -> Result<Response, Refused> {
    let job = perform(&web, id, &posted).await?;
    // What came is only put behind an address of ours, and only where it can stand in a header.
    let back = posted.form.back.as_str();
    let is_query = back.bytes().all(|byte| byte.is_ascii_graphic());
    let to = match back.strip_prefix("report") {
        Some(query) if is_query && (query.is_empty() || query.starts_with('?')) => format!("/jobs/{id}/report{query}"),
        _ => format!("/jobs/{}", job.id),
    };
    Ok(Redirect::to(&to).into_response())
}

pub(in crate::web) async fn act_json(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    posted: Posted<Action>,
) -> Result<Response, Refused> {
    let job = perform(&web, id, &posted).await?;
    Ok(document(told(&web.catalog, &job).await?))
}

fn conflict<T>(what: String, remedy: &str) -> Result<T, Refused> {
    Err(Refused::new(StatusCode::CONFLICT, what, remedy))
}

/// Says which job it was in the end: another one, where a job was repeated.
async fn perform(web: &Web, id: i64, Posted { signed, form }: &Posted<Action>) -> Result<Job, Refused> {
    signed.must(Privilege::Operate)?;
    let job = the_job(web, id).await?;
    let catalog = &web.catalog;
    let over = matches!(job.state, JobState::Finished | JobState::Cancelled);
    let what = match form.action {
        Wish::Pause | Wish::Cancel if over => {
            return conflict(format!("job {id} is {} already", state_text(job.state)), "");
        }
        Wish::Resume if over => {
            let remedy = "retry what is not proven, or start the same again";
            return conflict(format!("job {id} is {}: there is nothing to go on with", state_text(job.state)), remedy);
        }
        Wish::Repeat if !over => {
            return conflict(format!("job {id} is {}", state_text(job.state)), "go on with it instead");
        }
        Wish::Pause => control::stop(catalog, &job, Control::Pause).await.map(|()| "paused".to_owned())?,
        Wish::Cancel => control::stop(catalog, &job, Control::Cancel).await.map(|()| "cancelled".to_owned())?,
        Wish::Resume => control::set_running(catalog, &job).await.map(|()| "resumed".to_owned())?,
        Wish::Retry => retry(catalog, &job, form).await?,
        Wish::Repeat => {
            let new = catalog.create_job(&job.spec).await?;
            control::set_running(catalog, &new).await?;
            operated(web, signed, new.id, format!("started with what job {id} was asked for"));
            return the_job(web, new.id).await;
        }
        Wish::Exclude => {
            let study = StudyInstanceUid::new(&form.study);
            if !catalog.exclude(id, &study, form.why.trim()).await? {
                return conflict(format!("job {id} has no study {study} that could be left out"), "");
            }
            format!("left out study {study}")
        }
        Wish::Approve => approve(web, id, form, &signed.operator.name).await?,
        Wish::Slow => slow(catalog, &job, form, &signed.operator.name).await?,
        Wish::Full => {
            catalog.slow(source(&job)?, None).await?;
            "set free again".to_owned()
        }
    };
    operated(web, signed, id, what);
    the_job(web, id).await
}

async fn retry(catalog: &Catalog, job: &Job, form: &Action) -> Result<String, Refused> {
    let which = match (form.reason.as_str(), form.study.as_str()) {
        ("", "") => Retry::All,
        ("", study) => Retry::Study(StudyInstanceUid::new(study)),
        (reason, _) => {
            let unknown = || Refused::new(StatusCode::BAD_REQUEST, format!("`{reason}` is no reason of fallout"), "");
            Retry::Reason(Reason::parse(reason).ok_or_else(unknown)?)
        }
    };
    let again = catalog.retry_items(job.id, which).await?;
    if again == 0 {
        return conflict(format!("job {} has no such study that is partial or failed", job.id), "");
    }
    control::set_running(catalog, job).await?;
    Ok(format!("tries {again} studies again"))
}

async fn approve(web: &Web, id: i64, form: &Action, operator: &str) -> Result<String, Refused> {
    let (study, why) = (StudyInstanceUid::new(&form.study), form.why.trim());
    if why.is_empty() {
        let what = "an approval says why the study may stay behind";
        return Err(Refused::new(StatusCode::BAD_REQUEST, what, "write a reason, for example `test patient`"));
    }
    match approve::approve(&web.catalog, &web.store, id, &study, operator, why).await {
        Ok(_) => Ok(format!("approved that study {study} stays behind: {why}")),
        Err(error @ ApproveError::NotBehind(..)) => conflict(error.to_string(), ""),
        Err(error @ ApproveError::NoSuchStudy(..)) => Err(Refused::missing(error.to_string())),
        Err(ApproveError::Catalog(error)) => Err(error.into()),
        Err(error @ ApproveError::Journal { .. }) => {
            let remedy = "look at the storage folder, then approve again";
            Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, crate::job::words(&error), remedy))
        }
    }
}

fn source(job: &Job) -> Result<&str, Refused> {
    let none = || Refused::new(StatusCode::CONFLICT, "the job asks no source for anything", "pause it instead");
    job.spec.source.as_deref().ok_or_else(none)
}

async fn slow(catalog: &Catalog, job: &Job, form: &Action, operator: &str) -> Result<String, Refused> {
    let bad = |why: String| Refused::new(StatusCode::BAD_REQUEST, why, "");
    let source = source(job)?;
    let how_long = match form.how_long.trim() {
        "" => A_WHILE,
        text => parse_duration(text).map_err(bad)?.min(LONGEST),
    };
    let rate = match form.rate.trim() {
        "" => Some(Progress::of(catalog, job).await?.rate).filter(|rate| *rate > 0).map(|rate| (rate / 2).max(SLOWEST)),
        text => Some(parse_rate(text).map_err(bad)?),
    };
    let milliseconds = i64::try_from(how_long.as_millis()).unwrap_or(i64::MAX);
    let until = jiff::Timestamp::now().as_millisecond().saturating_add(milliseconds);
    let slowed = Slowed { until, associations: 1, rate, operator: operator.to_owned() };
    catalog.slow(source, Some(slowed)).await?;
    let rate = rate.map_or(String::new(), |rate| format!(", {}", format_rate(rate)));
    Ok(format!("slowed {source} down to one association{rate}"))
}

/// Stop and close: whatever runs is paused, and the worker ends when it is quiet.
async fn stop_and_close(web: &Web, signed: &Signed) -> Result<Vec<i64>, Refused> {
    signed.must(Privilege::Operate)?;
    let paused = control::stop_and_close(&web.catalog).await?;
    for id in &paused {
        operated(web, signed, *id, "paused, and the worker ended");
    }
    Ok(paused)
}

pub(super) async fn close(State(web): State<Arc<Web>>, posted: Posted<Close>) -> Result<Response, Refused> {
    stop_and_close(&web, &posted.signed).await?;
    Ok(Redirect::to("/jobs").into_response())
}

pub(in crate::web) async fn close_json(
    State(web): State<Arc<Web>>,
    posted: Posted<Close>,
) -> Result<Response, Refused> {
    let paused = stop_and_close(&web, &posted.signed).await?;
    Ok(document(json!({ "paused": paused })))
}
