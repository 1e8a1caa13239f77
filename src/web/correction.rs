//! One operation: who did it, when, why and to what; the sheet that was confirmed; whom it was told to; and taking it back.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::corrections::{linked, told};
use super::guard::Viewer;
use super::texts::shown;
use crate::catalog::{Correction, CorrectionMode, CorrectionState, Errand, ErrandState, OutboxEntry, OutboxFilter};
use crate::config::Privilege;
use crate::content::Warning;
use crate::job::report::{local_time, timestamp};

/// Errands of an operation that are shown.
const ERRANDS: usize = 200;

/// A fact of both sides.
struct Pair {
    name: &'static str,
    source: String,
    destination: String,
    differs: bool,
}

/// A series that was moved.
struct Series {
    number: String,
    modality: String,
    description: String,
    objects: String,
    uid: String,
    new_uid: String,
}

/// Somebody who has to know.
struct Told {
    whom: String,
    state: &'static str,
    bad: bool,
    detail: String,
}

#[derive(Template)]
#[template(path = "correction.html", config = "src/web/templates/askama.toml")]
struct CorrectionPage {
    frame: Frame,
    id: i64,
    kind: &'static str,
    facts: Vec<(&'static str, String)>,
    source: (String, String),
    destination: (String, String),
    state: CorrectionState,
    pairs: Vec<Pair>,
    warnings: Vec<String>,
    series: Vec<Series>,
    told: Vec<Told>,
    /// What has happened since, and an undo does not touch.
    since: Vec<String>,
    may_undo: bool,
    rejected: bool,
}

async fn read(web: &Web, id: i64) -> Result<(Correction, Value, Vec<OutboxEntry>), Refused> {
    let found = web.catalog.correction(id).await?.filter(|found| found.state != CorrectionState::Staged);
    let found = found.ok_or_else(|| Refused::missing(format!("there is no operation {id}")))?;
    let errands = web.catalog.outbox(&OutboxFilter::Operation(id), ERRANDS).await?;
    // What was planned is kept as text; an old one may say less.
    let sheet = serde_json::from_str(&found.sheet).unwrap_or(Value::Null);
    Ok((found, sheet, errands))
}

/// Nodes that got the corrected objects, and objects that came too late to be moved.
async fn since(web: &Web, found: &Correction) -> Result<Vec<String>, Refused> {
    let nodes = match found.state {
        CorrectionState::Active => web.catalog.nodes_with_corrected(found.id).await?,
        CorrectionState::Staged | CorrectionState::Undone => Vec::new(),
    };
    let nodes = (!nodes.is_empty()).then_some(Warning::CorrectedCopies { nodes });
    let late = web.catalog.latecomers(found.id).await?.into_iter().map(Warning::from);
    Ok(nodes.into_iter().chain(late).map(|warning| warning.message()).collect())
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Path(id): Path<i64>,
) -> Result<Response, Refused> {
    let (found, sheet, errands) = read(&web, id).await?;
    let mut facts = vec![
        ("When", local_time(found.at)),
        ("Who", found.operator.clone()),
        (
            "UIDs",
            if found.mode == CorrectionMode::Iocm { "new, others are told (IOCM)" } else { "kept (local)" }.into(),
        ),
        ("Objects moved", found.moved.to_string()),
    ];
    for (name, count) in [("Objects shown no more", found.hidden), ("Documents written", found.written)] {
        if count > 0 {
            facts.push((name, count.to_string()));
        }
    }
    let why = [found.reason.as_str(), found.reason_text.as_str()].join(" ");
    facts.push(("Why", if why.trim().is_empty() { "–".to_owned() } else { shown("", why.trim()) }));
    if let Some(at) = found.undone_at {
        facts.push(("Taken back", format!("{} by {}", local_time(at), found.undone_by)));
    }
    Ok(page(&CorrectionPage {
        id,
        kind: found.kind.word(),
        facts,
        source: linked(&found.source),
        destination: linked(&found.destination),
        pairs: pairs(&sheet),
        warnings: list(&sheet, "warnings").iter().map(|warning| text(warning, "message")).collect(),
        series: list(&sheet, "series").iter().map(series).collect(),
        told: errands.iter().map(errand).collect(),
        since: since(&web, &found).await?,
        may_undo: signed.operator.may(Privilege::Undo) && found.state == CorrectionState::Active,
        rejected: found.mode == CorrectionMode::Iocm,
        state: found.state,
        frame: Frame::of(&signed, "corrections"),
    }))
}

pub(super) async fn show_json(
    State(web): State<Arc<Web>>,
    _: Viewer,
    Path(id): Path<i64>,
) -> Result<Response, Refused> {
    let (found, sheet, errands) = read(&web, id).await?;
    let mut all = told(&found);
    if let Value::Object(fields) = &mut all {
        let errands = errands.iter().map(|entry| {
            let Told { whom, state, detail, .. } = errand(entry);
            json!({
                "number": entry.id, "whom": whom, "study": entry.errand.study().as_str(), "state": state,
                "detail": detail, "at": timestamp(entry.at),
            })
        });
        fields.insert("outbox".into(), errands.collect());
        fields.insert("sheet".into(), sheet);
    }
    Ok(document(all))
}

fn list<'s>(sheet: &'s Value, name: &str) -> &'s [Value] {
    sheet.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => shown("", text),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Both patients and studies, as they were when it was planned.
fn pairs(sheet: &Value) -> Vec<Pair> {
    let of = |side: &str, path: &[&str], keyword: &str| {
        let value = path.iter().fold(sheet.get(side), |value, name| value.and_then(|value| value.get(name)));
        value.and_then(Value::as_str).map(|value| shown(keyword, value)).unwrap_or_default()
    };
    let all: [(&str, &[&str], &str); 7] = [
        ("Patient name", &["patient", "name"], "PatientName"),
        ("Patient ID", &["patient", "id"], "PatientID"),
        ("Issuer", &["patient", "issuer"], ""),
        ("Birth date", &["patient", "birth_date"], "PatientBirthDate"),
        ("Study date", &["date"], "StudyDate"),
        ("Accession number", &["accession_number"], ""),
        ("Description", &["description"], ""),
    ];
    let pair = |(name, path, keyword): (&'static str, &[&str], &str)| {
        let (source, destination) = (of("source", path, keyword), of("destination", path, keyword));
        Pair { name, differs: source != destination, source, destination }
    };
    if sheet.get("source").is_some() { all.into_iter().map(pair).collect() } else { Vec::new() }
}

fn series(one: &Value) -> Series {
    let of = |name| text(one, name);
    Series {
        number: of("number"),
        modality: of("modality"),
        description: of("description"),
        objects: of("objects"),
        uid: of("uid"),
        new_uid: of("new_uid"),
    }
}

fn errand(entry: &OutboxEntry) -> Told {
    let whom = match &entry.errand {
        Errand::Rescan { study, .. } => format!("the AI platform: a rescan of study {study}"),
        Errand::Publish { peer, .. } => format!("{peer}: the corrected objects, {} sent so far", entry.sent),
    };
    let state = match entry.state {
        ErrandState::Waiting => "waiting",
        ErrandState::Done => "done",
        ErrandState::Failed => "failed",
        ErrandState::Withdrawn => "withdrawn",
    };
    Told { whom: shown("", &whom), state, bad: entry.state == ErrandState::Failed, detail: shown("", &entry.detail) }
}
