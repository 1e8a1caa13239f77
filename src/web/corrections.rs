//! What was corrected, taking it back, and what is done with a study as a whole: locks and rescans.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::awaited;
use super::content::engine;
use super::guard::{Posted, Signed, Viewer};
use super::study::{self, Named};
use super::texts::shown;
use crate::catalog::{Correction, CorrectionFilter, CorrectionKind, CorrectionLike, CorrectionState};
use crate::config::Privilege;
use crate::content::Why;
use crate::dicom::StudyInstanceUid;
use crate::job::report::{local_time, timestamp};
use crate::outbox::{self, AskError};

/// Operations of a page.
const PAGE: usize = 50;

/// An operation of the list.
struct Row {
    id: i64,
    kind: &'static str,
    mode: &'static str,
    state: &'static str,
    at: String,
    operator: String,
    reason: String,
    source: (String, String),
    destination: (String, String),
    moved: u64,
    undone: String,
    may_undo: bool,
}

#[derive(Template)]
#[template(path = "corrections.html", config = "src/web/templates/askama.toml")]
struct CorrectionsPage {
    frame: Frame,
    rows: Vec<Row>,
    done: Option<i64>,
    undone: Option<i64>,
    next: Option<String>,
    which: Which,
    kinds: [&'static str; 6],
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(super) struct Which {
    study: String,
    kind: String,
    state: String,
    operator: String,
    reason: String,
    before: Option<i64>,
    done: Option<i64>,
    undone: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Undo {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    reason_text: String,
}

#[derive(Deserialize)]
pub(super) struct OfStudy {
    action: StudyAction,
    /// Where the address does not say it.
    #[serde(default)]
    study: String,
    #[serde(default)]
    reason: String,
}

/// What may be done with a study.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StudyAction {
    Lock,
    Unlock,
    Rescan,
    Fetch,
}

const KINDS: [CorrectionKind; 6] = [
    CorrectionKind::Reallocate,
    CorrectionKind::Merge,
    CorrectionKind::Split,
    CorrectionKind::Clear,
    CorrectionKind::File,
    CorrectionKind::Discard,
];

impl Which {
    fn filter(&self) -> Result<CorrectionFilter, Refused> {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let bad = |what: &str| Refused::new(StatusCode::BAD_REQUEST, what, "");
        let kind =
            said(&self.kind).map(|word| CorrectionKind::parse(&word).ok_or_else(|| bad("there is no such kind")));
        let state = said(&self.state).map(|word| {
            let known = CorrectionState::parse(&word).filter(|state| *state != CorrectionState::Staged);
            known.ok_or_else(|| bad("the state is `active` or `undone`"))
        });
        Ok(CorrectionFilter::Like(CorrectionLike {
            study: said(&self.study).map(|study| StudyInstanceUid::new(&study)),
            kind: kind.transpose()?,
            state: state.transpose()?,
            operator: said(&self.operator),
            reason: said(&self.reason),
        }))
    }

    fn is_filtered(&self) -> bool {
        [&self.study, &self.kind, &self.state, &self.operator, &self.reason].iter().any(|text| !text.is_empty())
    }

    /// The address of the page behind an operation.
    fn older(&self, before: i64) -> String {
        let texts = [
            ("study", self.study.as_str()),
            ("kind", &self.kind),
            ("state", &self.state),
            ("operator", &self.operator),
            ("reason", &self.reason),
        ];
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(texts.iter().filter(|(_, text)| !text.is_empty()));
        format!("/corrections?{}", query.append_pair("before", &before.to_string()).finish())
    }
}

/// A study with where it is shown; one without a UID is nowhere.
pub(super) fn linked(uid: &StudyInstanceUid) -> (String, String) {
    match uid.as_str() {
        "" => ("no study".to_owned(), "/quarantine".to_owned()),
        uid => (shown("", uid), study::address(uid)),
    }
}

/// An operation for programs.
pub(super) fn told(correction: &Correction) -> Value {
    json!({
        "operation": correction.id, "kind": correction.kind.word(), "mode": correction.mode.word(),
        "state": correction.state.word(), "at": timestamp(correction.at), "operator": correction.operator,
        "reason": correction.reason, "reason_text": correction.reason_text,
        "source": correction.source.as_str(), "destination": correction.destination.as_str(),
        "moved": correction.moved, "hidden": correction.hidden, "written": correction.written,
        "undone": correction.undone_at.and_then(timestamp), "undone_by": correction.undone_by,
    })
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Refused> {
    let (found, next) = read(&web, &which).await?;
    let undo = signed.operator.may(Privilege::Undo);
    let row = |correction: &Correction| Row {
        id: correction.id,
        kind: correction.kind.word(),
        mode: correction.mode.word(),
        state: correction.state.word(),
        at: local_time(correction.at),
        operator: correction.operator.clone(),
        reason: [correction.reason.as_str(), correction.reason_text.as_str()].join(" ").trim().to_owned(),
        source: linked(&correction.source),
        destination: linked(&correction.destination),
        moved: correction.moved,
        undone: correction
            .undone_at
            .map_or(String::new(), |at| format!("{} by {}", local_time(at), correction.undone_by)),
        may_undo: undo && correction.state == CorrectionState::Active,
    };
    Ok(page(&CorrectionsPage {
        rows: found.iter().map(row).collect(),
        done: which.done,
        undone: which.undone,
        next: next.map(|next| which.older(next)),
        kinds: KINDS.map(CorrectionKind::word),
        which,
        frame: Frame::of(&signed, "corrections"),
    }))
}

pub(super) async fn list_json(
    State(web): State<Arc<Web>>,
    _: Viewer,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Refused> {
    let (found, next) = read(&web, &which).await?;
    Ok(document(json!({ "corrections": found.iter().map(told).collect::<Value>(), "before": next })))
}

async fn read(web: &Web, which: &Which) -> Result<(Vec<Correction>, Option<i64>), Refused> {
    let filter = which.filter()?;
    let mut found = web.catalog.corrections(&filter, which.before, PAGE + 1).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| last.id);
    Ok((found, next))
}

pub(super) async fn undo(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    Posted { signed, form }: Posted<Undo>,
) -> Result<Response, Refused> {
    take_back(&web, &signed, id, form).await?;
    Ok(Redirect::to(&format!("/corrections?undone={id}")).into_response())
}

pub(super) async fn undo_json(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    Posted { signed, form }: Posted<Undo>,
) -> Result<Response, Refused> {
    Ok(document(take_back(&web, &signed, id, form).await?))
}

async fn take_back(web: &Web, signed: &Signed, id: i64, form: Undo) -> Result<Value, Refused> {
    let (content, who) = (engine(web), signed.operator.clone());
    let why = Why { code: form.reason, text: form.reason_text };
    let undone = tokio::spawn(async move { content.undo(id, &why, &who).await }).await;
    let undone = undone.map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), ""))?;
    Ok(json!(undone?))
}

pub(super) async fn act(
    State(web): State<Arc<Web>>,
    Path(uid): Path<String>,
    Posted { signed, form }: Posted<OfStudy>,
) -> Result<Response, Refused> {
    with_study(&web, &signed, &uid, &form).await?;
    Ok(Redirect::to(&study::address(&uid)).into_response())
}

pub(super) async fn act_named(
    State(web): State<Arc<Web>>,
    Parameters(Named { uid }): Parameters<Named>,
    Posted { signed, form }: Posted<OfStudy>,
) -> Result<Response, Refused> {
    with_study(&web, &signed, &uid, &form).await?;
    Ok(Redirect::to(&study::address(&uid)).into_response())
}

pub(super) async fn act_on_json(
    State(web): State<Arc<Web>>,
    Path(uid): Path<String>,
    Posted { signed, form }: Posted<OfStudy>,
) -> Result<Response, Refused> {
    Ok(document(with_study(&web, &signed, &uid, &form).await?))
}

pub(super) async fn act_json(
    State(web): State<Arc<Web>>,
    Posted { signed, form }: Posted<OfStudy>,
) -> Result<Response, Refused> {
    Ok(document(with_study(&web, &signed, &form.study, &form).await?))
}

async fn with_study(web: &Web, signed: &Signed, uid: &str, form: &OfStudy) -> Result<Value, Refused> {
    let (content, study, who) = (engine(web), StudyInstanceUid::new(uid), &signed.operator);
    Ok(match form.action {
        StudyAction::Lock => {
            let lock = content.lock(&study, &form.reason, who).await?;
            json!({ "study": uid, "locked_by": lock.owner, "since": timestamp(lock.since) })
        }
        StudyAction::Unlock => {
            content.unlock(&study, &form.reason, who).await?;
            json!({ "study": uid, "locked_by": Value::Null })
        }
        StudyAction::Fetch => awaited::fetch(web, signed, uid).await?,
        StudyAction::Rescan => {
            let asked = outbox::ask_rescan(&web.catalog, &content.config, who, &study, &form.reason).await;
            let entry = asked.map_err(|error| {
                let status = match &error {
                    AskError::NotAllowed { .. } => StatusCode::FORBIDDEN,
                    AskError::NoStudy(_) => StatusCode::NOT_FOUND,
                    AskError::NoPlatform => StatusCode::CONFLICT,
                    AskError::Catalog(_) => StatusCode::SERVICE_UNAVAILABLE,
                };
                Refused::new(status, crate::job::words(&error), error.remedy())
            })?;
            json!({ "study": uid, "outbox": entry })
        }
    })
}
