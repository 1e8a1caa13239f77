//! The split screen: two sides that are searched on their own, each a tree of patients, studies, series and objects, and
//! what goes from one to the other. Each side is filled by parts of pages, which the script of the split screen asks for.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query as Parameters, State};
use axum::response::Response;

use super::Web;
use super::answer::{Frame, Refused, page};
use super::guard::{Signed, Viewer};
use super::studies::{self, Filter};
use super::study::{self, Lock, Named, Object, Series, Within};
use super::texts::shown;
use crate::catalog::CatalogError;
use crate::config::Privilege;

#[derive(Template)]
#[template(path = "split.html", config = "src/web/templates/askama.toml")]
struct SplitPage {
    frame: Frame,
    may: May,
}

/// What the menus of studies offer.
pub(super) struct May {
    pub(super) correct: bool,
    pub(super) unlock: bool,
    pub(super) rescan: bool,
    pub(super) who: String,
}

/// A patient of a side.
struct Patient {
    name: String,
    id: String,
    birth_date: String,
    studies: Vec<Study>,
}

/// A study of a patient.
struct Study {
    uid: String,
    address: String,
    /// Something of it is filed.
    filed: bool,
    /// A source lists more of it, or all.
    awaited: bool,
    date: String,
    description: String,
    modalities: String,
    instances: String,
    lock: Option<Lock>,
}

#[derive(Template)]
#[template(path = "pane.html", config = "src/web/templates/askama.toml")]
struct Pane {
    patients: Vec<Patient>,
    more: bool,
    trouble: String,
    may_correct: bool,
}

#[derive(Template)]
#[template(path = "pane_series.html", config = "src/web/templates/askama.toml")]
struct PaneSeries {
    study: String,
    rows: Vec<Series>,
    more: bool,
    may_correct: bool,
}

#[derive(Template)]
#[template(path = "pane_objects.html", config = "src/web/templates/askama.toml")]
struct PaneObjects {
    rows: Vec<Object>,
    next: Option<String>,
    may_correct: bool,
}

impl May {
    pub(super) fn of(web: &Web, signed: &Signed) -> May {
        May {
            correct: signed.operator.may(Privilege::Content),
            unlock: signed.operator.may(Privilege::Unlock),
            rescan: signed.operator.may(Privilege::Operate) && web.config.borrow().ai.is_some(),
            who: signed.operator.name.clone(),
        }
    }
}

pub(super) async fn split(State(web): State<Arc<Web>>, Viewer(signed): Viewer) -> Result<Response, Refused> {
    Ok(page(&SplitPage { may: May::of(&web, &signed), frame: Frame::of(&signed, "split") }))
}

pub(super) async fn studies(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(filter): Parameters<Filter>,
) -> Result<Response, Refused> {
    let (found, trouble) = match studies::look(&web, &filter).await {
        Ok(found) => (found, String::new()),
        Err(CatalogError::Query(error)) => (studies::Found::default(), filter.unclear(&error)),
        Err(error) => return Err(error.into()),
    };
    let mut locks = web.catalog.study_locks().await?;
    let mut patients: Vec<Patient> = Vec::new();
    for values in &found.rows {
        let raw = |keyword: &str| {
            let value = studies::keywords().position(|known| known == keyword).and_then(|at| values.get(at));
            value.map_or("", String::as_str)
        };
        let of = |keyword: &str| shown(keyword, raw(keyword));
        let (name, id, birth_date) = (of("PatientName"), of("PatientID"), of("PatientBirthDate"));
        let uid = raw("StudyInstanceUID").to_owned();
        let lock = locks.iter().position(|lock| lock.study.as_str() == uid).map(|at| locks.swap_remove(at));
        // Of what is only listed nobody knows the series.
        let filed = !raw("NumberOfStudyRelatedSeries").is_empty();
        let study = Study {
            address: study::address(&uid),
            filed,
            awaited: found.nearline.contains(&uid),
            uid,
            date: of("StudyDate"),
            description: of("StudyDescription"),
            modalities: of("ModalitiesInStudy"),
            instances: of("NumberOfStudyRelatedInstances"),
            lock: lock.map(Lock::from),
        };
        let name = if name.is_empty() { "(no name)".to_owned() } else { name };
        let same = |known: &&mut Patient| (&known.name, &known.id, &known.birth_date) == (&name, &id, &birth_date);
        match patients.iter_mut().find(same) {
            Some(patient) => patient.studies.push(study),
            None => patients.push(Patient { name, id, birth_date, studies: vec![study] }),
        }
    }
    let may_correct = signed.operator.may(Privilege::Content);
    Ok(page(&Pane { patients, more: found.next.is_some(), trouble, may_correct }))
}

pub(super) async fn series(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(Named { uid }): Parameters<Named>,
) -> Result<Response, Refused> {
    let (_, found, more) = study::read(&web, &uid).await?;
    web.looked(&signed, &uid);
    let rows = study::series_rows(&uid, found);
    Ok(page(&PaneSeries { study: uid, rows, more, may_correct: signed.operator.may(Privilege::Content) }))
}

pub(super) async fn objects(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(within): Parameters<Within>,
) -> Result<Response, Refused> {
    let (rows, next) = study::object_rows(&web, &within).await?;
    web.looked(&signed, &within.study);
    Ok(page(&PaneObjects { rows, next, may_correct: signed.operator.may(Privilege::Content) }))
}
