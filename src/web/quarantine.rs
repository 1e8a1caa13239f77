//! What is in quarantine: looked at, filed where a person says, or discarded. The engine is that of `pacsferry quarantine`.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::content::engine;
use super::guard::{Posted, Signed, Viewer};
use super::study;
use super::texts::shown;
use crate::catalog::Quarantined;
use crate::config::Privilege;
use crate::config::units::format_bytes;
use crate::content::{Beside, ContentError, Done, FileAs, HeldElement, Refusal, Why};
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid};
use crate::job::report::{local_time, timestamp};

/// Objects of a page.
const PAGE: usize = 100;

/// An object of the list.
struct Row {
    number: i64,
    at: String,
    why: String,
    patient_name: String,
    patient_id: String,
    date: String,
    study: String,
    instance: String,
    size: String,
}

#[derive(Template)]
#[template(path = "quarantine.html", config = "src/web/templates/askama.toml")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    uid: String,
    next: Option<String>,
    done: Option<i64>,
}

#[derive(Template)]
#[template(path = "held.html", config = "src/web/templates/askama.toml")]
struct HeldPage {
    frame: Frame,
    row: Row,
    series: String,
    file: String,
    address: Option<String>,
    collision: bool,
    may: bool,
    trouble: Vec<(String, &'static str)>,
    /// Where another object is filed under its UID, and what shows that study.
    twin: Option<(String, String)>,
    /// The study that it would be filed in, and what shows that.
    beside: Option<(String, String)>,
    pairs: Vec<Pair>,
    asks_patient: bool,
    form: Deed,
    header: Vec<HeldElement>,
    damage: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Which {
    uid: String,
    after: i64,
    done: Option<i64>,
}

/// What the object says of its patient, and what the study says.
struct Pair {
    name: &'static str,
    own: String,
    theirs: String,
    differs: bool,
}

/// What is to be done with an object.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Deed {
    #[serde(default)]
    action: Option<Action>,
    /// The study in which it belongs; the one that it names unless told.
    #[serde(default)]
    to: String,
    /// The series.
    #[serde(default)]
    series: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    reason_text: String,
    /// The other patient is the right one.
    #[serde(default)]
    confirm_patient: Yes,
}

/// `true` of a program, anything that is not empty of a form.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(from = "Said")]
struct Yes(bool);

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Flag(bool),
    Word(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    File,
    Discard,
}

impl From<Said> for Yes {
    fn from(said: Said) -> Yes {
        Yes(match said {
            Said::Flag(flag) => flag,
            Said::Word(word) => !word.is_empty() && word != "false",
        })
    }
}

async fn read(web: &Web, which: &Which) -> Result<(Vec<Quarantined>, Option<i64>), Refused> {
    let uid = Some(which.uid.trim()).filter(|uid| !uid.is_empty());
    let mut found = web.catalog.in_quarantine(uid, which.after, PAGE + 1).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| last.position);
    Ok((found, next))
}

fn row(held: &Quarantined) -> Row {
    Row {
        number: held.position,
        at: local_time(held.at),
        why: shown("", held.why()),
        patient_name: shown("PatientName", &held.patient_name),
        patient_id: shown("PatientID", &held.patient_id),
        date: shown("StudyDate", &held.study_date),
        study: shown("", held.study.as_str()),
        instance: shown("", held.instance.as_str()),
        size: format_bytes(held.length),
    }
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Refused> {
    let (found, next) = read(&web, &which).await?;
    let address = |after: i64| {
        let pairs = [("uid", which.uid.clone()), ("after", after.to_string())];
        format!("/quarantine?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    };
    Ok(page(&ListPage {
        rows: found.iter().map(row).collect(),
        next: next.map(address),
        done: which.done,
        frame: Frame::of(&signed, "quarantine"),
        uid: which.uid,
    }))
}

pub(super) async fn list_json(
    State(web): State<Arc<Web>>,
    _: Viewer,
    Parameters(which): Parameters<Which>,
) -> Result<Response, Refused> {
    let (found, next) = read(&web, &which).await?;
    Ok(document(json!({ "objects": found.iter().map(told).collect::<Value>(), "after": next })))
}

fn told(held: &Quarantined) -> Value {
    json!({
        "number": held.position, "sop_instance_uid": held.instance.as_str(), "series_uid": held.series.as_str(),
        "study_uid": held.study.as_str(), "collision": held.collision, "reason": held.why(),
        "patient_name": held.patient_name, "patient_id": held.patient_id, "study_date": held.study_date,
        "place": held.place.as_str(), "data_set_bytes": held.length, "digest": held.digest.to_string(),
        "at": timestamp(held.at),
    })
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Path(number): Path<i64>,
) -> Result<Response, Refused> {
    held(&web, &signed, number, Deed::default(), &[]).await
}

async fn held(web: &Web, signed: &Signed, number: i64, form: Deed, refusals: &[Refusal]) -> Result<Response, Refused> {
    let to = Some(form.to.trim()).filter(|to| !to.is_empty()).map(StudyInstanceUid::new);
    let sheet = engine(web).look_at(number, to.as_ref()).await.map_err(missing)?;
    let study = sheet.held.study.as_str();
    let file = web.config.borrow().storage.folder.join(sheet.held.place.as_str());
    let (header, damage) = match sheet.header {
        Ok(header) => (header, String::new()),
        Err(why) => (Vec::new(), why),
    };
    let header = header.into_iter().map(|element| HeldElement { value: shown("", &element.value), ..element });
    let of_study = |uid: &StudyInstanceUid| (shown("", uid.as_str()), study::address(uid.as_str()));
    let remedy = |refusal: &Refusal| match refusal {
        Refusal::PatientNotConfirmed => "compare both patients below, and tick the box if the study is the right one",
        refusal => refusal.remedy(),
    };
    let status = if refusals.is_empty() { StatusCode::OK } else { StatusCode::CONFLICT };
    let shown = page(&HeldPage {
        row: row(&sheet.held),
        series: shown("", sheet.held.series.as_str()),
        file: shown("", &file.display().to_string()),
        address: (!study.is_empty()).then(|| study::address(study)),
        collision: sheet.held.collision,
        may: signed.operator.may(Privilege::Discard),
        trouble: refusals.iter().map(|refusal| (refusal.to_string(), remedy(refusal))).collect(),
        twin: sheet.twin.as_ref().map(of_study),
        pairs: sheet.beside.as_ref().map(pairs).unwrap_or_default(),
        beside: sheet.beside.as_ref().map(|beside| of_study(&beside.study)),
        asks_patient: refusals.iter().any(|refusal| matches!(refusal, Refusal::PatientNotConfirmed)),
        form,
        header: header.collect(),
        damage,
        frame: Frame::of(signed, "quarantine"),
    });
    Ok((status, shown).into_response())
}

fn pairs(beside: &Beside) -> Vec<Pair> {
    let Beside { own, theirs, .. } = beside;
    let all = [
        ("Patient name", "PatientName", &own.name, &theirs.name),
        ("Patient ID", "PatientID", &own.id, &theirs.id),
        ("Issuer", "", &own.issuer, &theirs.issuer),
        ("Birth date", "PatientBirthDate", &own.birth_date, &theirs.birth_date),
        ("Sex", "", &own.sex, &theirs.sex),
    ];
    let pair = |(name, keyword, own, theirs): (&'static str, &str, &String, &String)| Pair {
        name,
        differs: own != theirs,
        own: shown(keyword, own),
        theirs: shown(keyword, theirs),
    };
    all.into_iter().map(pair).collect()
}

fn missing(error: ContentError) -> Refused {
    match error {
        ContentError::Refused(refusals) if matches!(refusals.as_slice(), [Refusal::NoSuchQuarantined(_)]) => {
            Refused::missing(ContentError::Refused(refusals).to_string())
        }
        error => error.into(),
    }
}

pub(super) async fn show_json(
    State(web): State<Arc<Web>>,
    _: Viewer,
    Path(number): Path<i64>,
) -> Result<Response, Refused> {
    let sheet = engine(&web).look_at(number, None).await.map_err(missing)?;
    let mut object = told(&sheet.held);
    if let Value::Object(fields) = &mut object {
        match sheet.header {
            Ok(header) => fields.insert("header".into(), json!(header)),
            Err(why) => fields.insert("damage".into(), json!(why)),
        };
        fields.insert("filed_in".into(), json!(sheet.twin.as_ref().map(|study| study.as_str())));
        let beside = sheet.beside.as_ref();
        let beside = beside.map(|b| json!({ "study": b.study.as_str(), "own": b.own, "theirs": b.theirs }));
        fields.insert("beside".into(), json!(beside));
    }
    Ok(document(object))
}

pub(super) async fn act(
    State(web): State<Arc<Web>>,
    Path(number): Path<i64>,
    Posted { signed, form }: Posted<Deed>,
) -> Result<Response, Refused> {
    match perform(&web, &signed, number, &form).await? {
        Ok(done) => Ok(Redirect::to(&format!("/quarantine?done={}", done.operation)).into_response()),
        // The person sees the object again, and what stands against it.
        Err(ContentError::Refused(refusals)) if !matches!(refusals.as_slice(), [Refusal::NoSuchQuarantined(_)]) => {
            held(&web, &signed, number, form, &refusals).await
        }
        Err(error) => Err(missing(error)),
    }
}

pub(super) async fn act_json(
    State(web): State<Arc<Web>>,
    Path(number): Path<i64>,
    Posted { signed, form }: Posted<Deed>,
) -> Result<Response, Refused> {
    let done = perform(&web, &signed, number, &form).await?.map_err(missing)?;
    Ok((StatusCode::CREATED, document(json!(done))).into_response())
}

/// Files or discards it. Whoever goes away meanwhile has asked for all of it.
async fn perform(web: &Web, signed: &Signed, number: i64, form: &Deed) -> Result<Result<Done, ContentError>, Refused> {
    signed.must(Privilege::View)?;
    let bad = |what: &str| Refused::new(StatusCode::BAD_REQUEST, what, "");
    let Some(action) = form.action else { return Err(bad("the action is `file` or `discard`")) };
    let why = Why { code: form.reason.trim().to_owned(), text: form.reason_text.trim().to_owned() };
    if action == Action::Discard && why.code.is_empty() && why.text.is_empty() {
        return Err(bad("say why it is discarded: somebody will ask"));
    }
    let named = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let how = FileAs {
        to: named(&form.to).map(|uid| StudyInstanceUid::new(&uid)),
        series: named(&form.series).map(|uid| SeriesInstanceUid::new(&uid)),
        patient_confirmed: form.confirm_patient.0,
        why,
    };
    let (content, who) = (engine(web), signed.operator.clone());
    let work = async move {
        match action {
            Action::File => content.file(number, &how, &who).await,
            Action::Discard => content.discard(number, &how.why, &who).await,
        }
    };
    let done = tokio::spawn(work).await;
    done.map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "look at the corrections"))
}
