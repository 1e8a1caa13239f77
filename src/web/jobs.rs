//! The jobs: all of them, one of them while it runs, and what an operator may want of it. As pages, as JSON, and as events.

mod shown;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::guard::{Posted, Signed};
use crate::catalog::{Catalog, Control, ItemState, Job, JobKind, JobSpec, JobState, Reason, Retry};
use crate::config::Privilege;
use crate::config::units::format_bytes;
use crate::dicom::{Date, StudyInstanceUid};
use crate::job::control;
use crate::job::progress::{Progress, is_at_rest};
use crate::job::report::{Format, Report, Style, local_time, state_text};
use shown::{Fallen, Row, asked, line};

/// Studies that fell out and are shown on the page; the report has all.
const SHOWN: usize = 100;

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
}

#[derive(Template)]
#[template(path = "job.html", config = "src/web/templates/askama.toml")]
struct JobPage {
    frame: Frame,
    row: Row,
    line: String,
    asked: Vec<String>,
    created: String,
    rest: bool,
    may_pause: bool,
    may_resume: bool,
    may_cancel: bool,
    may_retry: bool,
    fallen: Vec<Fallen>,
    more_fallen: bool,
    reasons: Vec<&'static str>,
    worker: bool,
}

#[derive(Deserialize)]
pub(super) struct NewJob {
    source: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

#[derive(Deserialize)]
pub(super) struct Action {
    action: Wish,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    study: String,
}

/// What may be wanted of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    Pause,
    Resume,
    Cancel,
    Retry,
}

pub(super) async fn list(State(web): State<Arc<Web>>, signed: Signed) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let mut rows = Vec::new();
    for job in web.catalog.jobs().await? {
        rows.push(Row::of(&job, &Progress::of(&web.catalog, &job).await?));
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
        frame: Frame::of(&signed, "jobs"),
    }))
}

pub(super) async fn list_json(State(web): State<Arc<Web>>, signed: Signed) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
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
    tracing::info!(job = job.id, operator = signed.operator.name, "a job was started on the console");
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
    signed: Signed,
    Path(id): Path<i64>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let job = the_job(&web, id).await?;
    let catalog = &web.catalog;
    let progress = Progress::of(catalog, &job).await?;
    let states = [ItemState::Failed, ItemState::Partial];
    let mut items = catalog.items(id, &states, None, SHOWN + 1).await?;
    let more_fallen = items.len() > SHOWN;
    items.truncate(SHOWN);
    let operate = signed.operator.may(Privilege::Operate);
    let over = matches!(job.state, JobState::Finished | JobState::Cancelled);
    let fallout = progress.totals.items.fallout() > 0;
    let mut reasons: Vec<&str> = items.iter().filter_map(|item| Some(item.reason?.as_text())).collect();
    reasons.sort_unstable();
    reasons.dedup();
    Ok(page(&JobPage {
        line: line(catalog, &job, &progress).await?,
        asked: asked(&job),
        created: local_time(job.created),
        rest: is_at_rest(job.state),
        may_pause: operate && job.state == JobState::Running,
        may_resume: operate && !over && is_at_rest(job.state),
        may_cancel: operate && !over,
        may_retry: operate && fallout && is_at_rest(job.state),
        fallen: items.iter().map(Fallen::of).collect(),
        more_fallen,
        reasons,
        worker: control::is_held(catalog, control::WORKER_LEASE).await?,
        row: Row::of(&job, &progress),
        frame: Frame::of(&signed, "jobs"),
    }))
}

pub(super) async fn show_json(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Path(id): Path<i64>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let job = the_job(&web, id).await?;
    Ok(document(told(&web.catalog, &job).await?))
}

pub(super) async fn act(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    posted: Posted<Action>,
) -> Result<Response, Refused> {
    perform(&web, id, &posted).await?;
    Ok(Redirect::to(&format!("/jobs/{id}")).into_response())
}

pub(super) async fn act_json(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    posted: Posted<Action>,
) -> Result<Response, Refused> {
    let job = perform(&web, id, &posted).await?;
    Ok(document(told(&web.catalog, &job).await?))
}

async fn perform(web: &Web, id: i64, Posted { signed, form }: &Posted<Action>) -> Result<Job, Refused> {
    signed.must(Privilege::Operate)?;
    let job = the_job(web, id).await?;
    let catalog = &web.catalog;
    let over = matches!(job.state, JobState::Finished | JobState::Cancelled);
    let conflict = |what: String, remedy: &str| Err(Refused::new(StatusCode::CONFLICT, what, remedy));
    match form.action {
        Wish::Pause | Wish::Cancel if over => {
            return conflict(format!("job {id} is {} already", state_text(job.state)), "");
        }
        Wish::Resume if over => {
            let remedy = "retry what is not proven, or start a new job";
            return conflict(format!("job {id} is {}: there is nothing to go on with", state_text(job.state)), remedy);
        }
        Wish::Pause => stop(catalog, &job, Control::Pause).await?,
        Wish::Cancel => stop(catalog, &job, Control::Cancel).await?,
        Wish::Resume => control::set_running(catalog, &job).await?,
        Wish::Retry => {
            let which = which(form)?;
            if catalog.retry_items(id, which).await? == 0 {
                return conflict(format!("job {id} has no such study that is partial or failed"), "");
            }
            control::set_running(catalog, &job).await?;
        }
    }
    tracing::info!(job = id, operator = signed.operator.name, wish = ?form.action, "an operator used the console");
    the_job(web, id).await
}

fn which(form: &Action) -> Result<Retry, Refused> {
    match (form.reason.as_str(), form.study.as_str()) {
        ("", "") => Ok(Retry::All),
        ("", study) => Ok(Retry::Study(StudyInstanceUid::new(study))),
        (reason, _) => {
            let known = Reason::ALL.iter().find(|known| known.as_text() == reason).copied();
            let unknown = || Refused::new(StatusCode::BAD_REQUEST, format!("`{reason}` is no reason of fallout"), "");
            Ok(Retry::Reason(known.ok_or_else(unknown)?))
        }
    }
}

/// Whoever works on a job sees a wish at once; when nobody does, nobody else will write the end.
async fn stop(catalog: &Catalog, job: &Job, wish: Control) -> Result<(), Refused> {
    catalog.set_control(job.id, wish).await?;
    if control::is_idle(catalog, job).await? || job.state == JobState::Paused || job.state == JobState::Halted {
        control::end_unattended(catalog, job, wish).await?;
    }
    Ok(())
}

/// The report as a file, or as a page to be printed.
pub(super) async fn report(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Path((id, form)): Path<(i64, String)>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let (format, kind) = match form.as_str() {
        "csv" => (Format::Csv, "text/csv; charset=utf-8"),
        "json" => (Format::Json, "application/json"),
        "html" => (Format::Html, "text/html; charset=utf-8"),
        "txt" => (Format::Text, "text/plain; charset=utf-8"),
        other => return Err(Refused::missing(format!("there is no report as `{other}`"))),
    };
    let report = Report::of(&web.catalog, id).await?.ok_or_else(|| no_job(id))?;
    let trouble = |error: &dyn std::error::Error| {
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, crate::job::words(error), "try again")
    };
    let mut file = tempfile::tempfile().map_err(|error| trouble(&error))?;
    report.write(format, &Style::default(), &mut file).await.map_err(|error| trouble(&error))?;
    let body = super::download::of(file).map_err(|error| trouble(&error))?;
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
    if format == Format::Html {
        // It carries its own style, and nothing else.
        let alone = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, alone);
    } else if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"pacsferry-job-{id}.{form}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

pub(super) async fn the_job(web: &Web, id: i64) -> Result<Job, Refused> {
    web.catalog.job(id).await?.ok_or_else(|| no_job(id))
}

fn no_job(id: i64) -> Refused {
    Refused::missing(format!("there is no job {id}"))
}

/// A job as its page and scripts have it.
pub(super) async fn told(catalog: &Catalog, job: &Job) -> Result<Value, Refused> {
    let progress = Progress::of(catalog, job).await?;
    let mut told = progress.json(job);
    if let Value::Object(fields) = &mut told {
        fields.insert("line".into(), json!(line(catalog, job, &progress).await?));
    }
    Ok(told)
}
