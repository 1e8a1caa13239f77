//! The jobs: all of them, one of them while it runs, and what an operator may want of it. As pages, as JSON, and as events.

pub(super) mod act;
pub(super) mod report;
mod shown;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::guard::{Posted, Signed, Viewer};
use super::pictures::{Look, Pictures};
use crate::audit::AuditEvent;
use crate::catalog::{Catalog, ImportHow, Job, JobKind, JobSpec, JobState, Slowed};
use crate::config::Privilege;
use crate::config::units::format_bytes;
use crate::dicom::Date;
use crate::job::control;
use crate::job::progress::{Progress, is_at_rest};
use crate::job::report::local_time;
use shown::{Row, asked, line, notice};

#[derive(Template)]
#[template(path = "jobs.html", config = "src/web/templates/askama.toml")]
struct JobsPage {
    frame: Frame,
    rows: Vec<Row>,
    sources: Vec<String>,
    may_operate: bool,
    worker: bool,
    storage: String,
    catalog: String,
    free: String,
    /// What is listed will take so much.
    needs: Option<String>,
    /// There is less room than that.
    scarce: bool,
    reserve: String,
    running: bool,
}

#[derive(Template)]
#[template(path = "job.html", config = "src/web/templates/askama.toml")]
struct JobPage {
    frame: Frame,
    row: Row,
    asked: Vec<String>,
    created: String,
    rest: bool,
    may_pause: bool,
    may_resume: bool,
    may_cancel: bool,
    may_retry: bool,
    may_repeat: bool,
    may_slow: bool,
    slowed: Option<String>,
    worker: bool,
    pictures: Pictures,
    look: String,
}

#[derive(Deserialize)]
pub(super) struct NewJob {
    source: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// The pages of jobs; the same as JSON is in the table of `api`.
pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/jobs", get(list).post(create))
        .route("/jobs/{id}", get(show).post(act::act))
        .route("/jobs/{id}/report", get(report::show))
        .route("/jobs/{id}/report/{form}", get(report::download))
        .route("/worker", post(act::close))
}

pub(super) async fn list(State(web): State<Arc<Web>>, Viewer(signed): Viewer) -> Result<Response, Refused> {
    let mut rows = Vec::new();
    let (mut needs, mut running) = (0_u64, false);
    for job in web.catalog.jobs().await? {
        let progress = Progress::of(&web.catalog, &job).await?;
        if !job.state.is_over() && job.spec.import.as_ref().is_none_or(|import| import.how == ImportHow::Copy) {
            needs = needs.saturating_add(progress.needs().unwrap_or(0));
        }
        running |= !is_at_rest(job.state);
        rows.push(Row::of(&web.catalog, &job, &progress).await?);
    }
    let config = web.config.borrow().clone();
    let store = web.store.clone();
    let free = tokio::task::spawn_blocking(move || store.free_bytes().ok()).await.ok().flatten();
    Ok(page(&JobsPage {
        rows,
        sources: config.sources.iter().map(|source| source.name.clone()).collect(),
        may_operate: signed.operator.may(Privilege::Operate),
        worker: control::is_held(&web.catalog, control::WORKER_LEASE).await?,
        storage: config.storage.folder.display().to_string(),
        catalog: config.storage.catalog.display().to_string(),
        free: free.map_or("unknown".to_owned(), format_bytes),
        needs: (needs > 0).then(|| format_bytes(needs)),
        scarce: free.is_some_and(|free| free.saturating_sub(config.storage.minimum_free) < needs),
        reserve: format_bytes(config.storage.minimum_free),
        running,
        frame: Frame::of(&signed, "jobs"),
    }))
}

pub(super) async fn list_json(State(web): State<Arc<Web>>, _: Viewer) -> Result<Response, Refused> {
    let mut all = Vec::new();
    for job in web.catalog.jobs().await? {
        all.push(Progress::of(&web.catalog, &job).await?.json(&job));
    }
    Ok(document(Value::Array(all)))
}

pub(super) async fn create(State(web): State<Arc<Web>>, posted: Posted<NewJob>) -> Result<Response, Refused> {
    let job = begin(&web, &posted).await?;
    Ok(Redirect::to(&format!("/jobs/{}", job.id)).into_response())
}

pub(super) async fn create_json(State(web): State<Arc<Web>>, posted: Posted<NewJob>) -> Result<Response, Refused> {
    let job = begin(&web, &posted).await?;
    let progress = Progress::of(&web.catalog, &job).await?;
    Ok((StatusCode::CREATED, document(progress.json(&job))).into_response())
}

/// The unfinished job that was asked for the same goes on; otherwise one is made. The worker takes it up.
async fn begin(web: &Web, Posted { signed, form }: &Posted<NewJob>) -> Result<Job, Refused> {
    signed.must(Privilege::Operate)?;
    let bad = |what: String| Refused::new(StatusCode::BAD_REQUEST, what, "");
    if web.config.borrow().source(&form.source).is_none() {
        return Err(bad(format!("no [[source]] is called `{}`", form.source)));
    }
    let (from, to) = (day(&form.from)?, day(&form.to)?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(bad("the first day lies after the last".to_owned()));
    }
    let spec = JobSpec {
        kind: JobKind::Migration,
        source: Some(form.source.clone()),
        from,
        to,
        studies: Vec::new(),
        modalities: Vec::new(),
        follow: None,
        import: None,
    };
    take_up(web, signed, spec).await
}

/// The unfinished job that was asked for the same, or a new one, for the worker.
pub(super) async fn take_up(web: &Web, signed: &Signed, spec: JobSpec) -> Result<Job, Refused> {
    let job = match web.catalog.unfinished_like(&spec).await? {
        Some(job) => job,
        None => web.catalog.create_job(&spec).await?,
    };
    control::set_running(&web.catalog, &job).await?;
    operated(web, signed, job.id, "started");
    the_job(web, job.id).await
}

/// A day of a form; an empty one is none.
pub(super) fn day(text: &str) -> Result<Option<Date>, Refused> {
    let wrong = || Refused::new(StatusCode::BAD_REQUEST, format!("`{text}` is no date"), "write YYYY-MM-DD");
    match text.trim() {
        "" => Ok(None),
        text => text.parse::<Date>().map(Some).map_err(|_| wrong()),
    }
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    OfJob { signed, job }: OfJob,
    Query(look): Query<Look>,
) -> Result<Response, Refused> {
    let catalog = &web.catalog;
    let progress = Progress::of(catalog, &job).await?;
    let operate = signed.operator.may(Privilege::Operate);
    let over = matches!(job.state, JobState::Finished | JobState::Cancelled);
    let fallout = progress.totals.items.fallout() > 0;
    let source = job.spec.source.as_deref();
    let slowed = match source {
        Some(source) => catalog.slowed(source).await?,
        None => None,
    };
    Ok(page(&JobPage {
        asked: asked(&job),
        created: local_time(job.created),
        rest: is_at_rest(job.state),
        may_pause: operate && job.state == JobState::Running,
        may_resume: operate && !over && is_at_rest(job.state),
        may_cancel: operate && !over,
        may_retry: operate && fallout && is_at_rest(job.state),
        may_repeat: operate && over,
        may_slow: operate && source.is_some() && job.state == JobState::Running,
        slowed: slowed.as_ref().map(gentler),
        pictures: Pictures::of(&web, &job, &look).await?,
        look: look.query(),
        worker: control::is_held(catalog, control::WORKER_LEASE).await?,
        row: Row::of(catalog, &job, &progress).await?,
        frame: Frame::of(&signed, "jobs"),
    }))
}

pub(super) async fn show_json(State(web): State<Arc<Web>>, OfJob { job, .. }: OfJob) -> Result<Response, Refused> {
    Ok(document(told(&web.catalog, &job).await?))
}

/// The job that the path names, for somebody who may look at it.
pub(super) struct OfJob {
    pub(super) signed: Signed,
    pub(super) job: Job,
}

impl FromRequestParts<Arc<Web>> for OfJob {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<OfJob, Response> {
        let Viewer(signed) = Viewer::from_request_parts(parts, web).await?;
        let Path(id) = Path::<i64>::from_request_parts(parts, web).await.map_err(IntoResponse::into_response)?;
        let job = the_job(web, id).await.map_err(IntoResponse::into_response)?;
        Ok(OfJob { signed, job })
    }
}

pub(super) async fn the_job(web: &Web, id: i64) -> Result<Job, Refused> {
    web.catalog.job(id).await?.ok_or_else(|| no_job(id))
}

fn no_job(id: i64) -> Refused {
    Refused::missing(format!("there is no job {id}"))
}

/// In the audit trail: who made a job do what.
fn operated(web: &Web, signed: &Signed, id: i64, what: impl Into<String>) {
    let (operator, what) = (signed.operator.name.clone(), what.into());
    tracing::info!(job = id, operator, what, "an operator used the console");
    web.audit.record(AuditEvent::Operated { operator, id, what });
}

/// What an operator has asked for beside the configuration.
fn gentler(slowed: &Slowed) -> String {
    let Slowed { until, associations, rate, operator } = slowed;
    let rate = rate.map_or(String::new(), |rate| format!(", {}", crate::config::units::format_rate(rate)));
    let many = if *associations == 1 { "association" } else { "associations" };
    format!("{operator} has slowed it down until {}: {associations} {many}{rate}", local_time(*until))
}

/// A job as its page and scripts have it.
pub(super) async fn told(catalog: &Catalog, job: &Job) -> Result<Value, Refused> {
    let progress = Progress::of(catalog, job).await?;
    let mut told = progress.json(job);
    if let Value::Object(fields) = &mut told {
        fields.insert("line".into(), json!(line(catalog, job, &progress).await?));
        fields.insert("notice".into(), json!(notice(job, &progress)));
    }
    Ok(told)
}
