//! Who is expected and how ready his earlier studies are; and putting them first.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::guard::{Posted, Viewer};
use crate::catalog::{Preparation, ReadyPatient};
use crate::config::Privilege;
use crate::job::priors::{BadLine, PriorsError, Ready, Whom, Wish, json_of, json_of_patient, prepare, read_list};
use crate::job::report::local_time;

/// Preparations at one time: each may wait for a worklist that does not answer.
static PREPARING: Semaphore = Semaphore::const_new(1);
/// Patients on a page.
const PAGE: usize = 50;
/// Preparations that the page names.
const EARLIER: usize = 10;

/// Where a page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct From {
    after: i64,
}

/// Who is expected: on a worklist, or in a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    worklist: String,
    days: String,
    prior_months: String,
    list: String,
}

#[derive(Template)]
#[template(path = "priors.html", config = "src/web/templates/askama.toml")]
struct PriorsPage {
    frame: Frame,
    ready: Option<Ready>,
    at: String,
    patients: Vec<ReadyPatient>,
    next: Option<i64>,
    earlier: Vec<(String, Preparation)>,
    schedules: Vec<String>,
    sources: Vec<String>,
    may_operate: bool,
}

/// A page of the latest preparation; `next` is where the next one begins.
async fn latest(web: &Web, after: i64) -> Result<(Option<Ready>, Vec<ReadyPatient>, Option<i64>), Refused> {
    let Some(ready) = Ready::latest(&web.catalog).await? else { return Ok((None, Vec::new(), None)) };
    let mut patients = web.catalog.ready_patients(&ready.preparation, after, PAGE + 1).await?;
    let more = patients.len() > PAGE;
    patients.truncate(PAGE);
    let next = patients.last().filter(|_| more).map(|last| last.n);
    Ok((Some(ready), patients, next))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Query(from): Query<From>,
) -> Result<Response, Refused> {
    let (ready, patients, next) = latest(&web, from.after).await?;
    let earlier = web.catalog.preparations(EARLIER).await?;
    let config = web.config.borrow().clone();
    let schedule = |priors: &crate::config::Priors| {
        let months = priors.prior_months.map_or(String::new(), |n| format!(", studies of the last {n} months"));
        let days = if priors.days == 1 { "1 day".to_owned() } else { format!("{} days", priors.days) };
        format!("every day at {}: the worklist of {}, today and {days} more{months}", priors.at, priors.worklist)
    };
    Ok(page(&PriorsPage {
        at: ready.as_ref().map_or(String::new(), |ready| local_time(ready.preparation.at)),
        ready,
        patients,
        next,
        earlier: earlier.into_iter().map(|one| (local_time(one.at), one)).collect(),
        schedules: config.priors.iter().map(schedule).collect(),
        sources: config.sources.iter().map(|source| source.name.clone()).collect(),
        may_operate: signed.operator.may(Privilege::Operate),
        frame: Frame::of(&signed, "priors"),
    }))
}

pub(super) async fn show_json(
    State(web): State<Arc<Web>>,
    _: Viewer,
    Query(from): Query<From>,
) -> Result<Response, Refused> {
    let (ready, patients, next) = latest(&web, from.after).await?;
    let earlier: Vec<Value> = web.catalog.preparations(EARLIER).await?.iter().map(json_of).collect();
    let patients: Vec<Value> = patients.iter().map(json_of_patient).collect();
    Ok(document(json!({
        "latest": ready.map(|ready| ready.json()), "per_patient": patients, "next": next, "preparations": earlier,
    })))
}

pub(super) async fn act(State(web): State<Arc<Web>>, posted: Posted<Asked>) -> Result<Response, Refused> {
    let (_, bad) = perform(&web, &posted).await?;
    if let Some(first) = bad.first() {
        let what = format!("the others were put first; not {} of the list: {first}", lines(bad.len()));
        return Err(Refused::new(StatusCode::BAD_REQUEST, what, "mend these lines and send them alone"));
    }
    Ok(Redirect::to("/priors").into_response())
}

pub(super) async fn act_json(State(web): State<Arc<Web>>, posted: Posted<Asked>) -> Result<Response, Refused> {
    let (ready, bad) = perform(&web, &posted).await?;
    let mut told = ready.json();
    if let Value::Object(fields) = &mut told {
        let line = |bad: &BadLine| json!({ "line": bad.line, "why": bad.why });
        fields.insert("bad_lines".into(), bad.iter().map(line).collect());
    }
    Ok(document(told))
}

fn lines(count: usize) -> String {
    if count == 1 { "one line".to_owned() } else { format!("{count} lines") }
}

async fn perform(web: &Web, Posted { signed, form }: &Posted<Asked>) -> Result<(Ready, Vec<BadLine>), Refused> {
    signed.must(Privilege::Operate)?;
    let bad = |what: &str| Refused::new(StatusCode::BAD_REQUEST, what, "");
    let number = |text: &str, usual: Option<u32>, most: u32, what: &str| match text.trim() {
        "" => Ok(usual),
        text => text.parse().ok().filter(|n| *n <= most).map(Some).ok_or_else(|| bad(what)),
    };
    let days = number(&form.days, Some(1), 31, "days are a number from 0 to 31")?.unwrap_or(1);
    let prior_months = number(&form.prior_months, None, 1200, "months are a number from 1 to 1200")?.filter(|n| *n > 0);
    let (whom, bad_lines) = match (form.worklist.trim(), form.list.trim()) {
        ("", "") => return Err(bad("name the source of the worklist, or list Patient IDs")),
        ("", list) => {
            let list = read_list(list.as_bytes()).map_err(|error| bad(&error.to_string()))?;
            (Whom::List { named_by: "a list".to_owned(), patients: list.patients }, list.bad)
        }
        (source, "") => (Whom::Worklist { source: source.to_owned(), days }, Vec::new()),
        _ => return Err(bad("either a worklist or a list, not both")),
    };
    let busy = || {
        let remedy = "wait until it has ended";
        Refused::new(StatusCode::TOO_MANY_REQUESTS, "a worklist is being asked already", remedy)
    };
    let _turn = PREPARING.try_acquire().map_err(|_| busy())?;
    let config = web.config.borrow().clone();
    let asker = signed.operator.name.clone();
    let wish = Wish { whom, prior_months, asker, schedule: String::new() };
    let prepared = Box::pin(prepare(&config, &web.catalog, &web.audit, &wish, &CancellationToken::new())).await;
    let preparation = prepared.map_err(|error| match error {
        PriorsError::Catalog(error) => Refused::from(error),
        error => {
            let status = match error {
                PriorsError::NoSource(_) => StatusCode::NOT_FOUND,
                _ => StatusCode::CONFLICT,
            };
            Refused::new(status, crate::job::words(&error), error.remedy())
        }
    })?;
    Ok((Ready::of(&web.catalog, preparation).await?, bad_lines))
}
