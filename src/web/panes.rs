//! The split screen: two sides that are searched on their own, and series that go from one to the other. Each side is
//! filled by parts of pages, which the script of the split screen asks for.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Parameters, State};
use axum::response::Response;

use super::Web;
use super::answer::{Frame, Refused, page};
use super::guard::Signed;
use super::studies::{self, Filter};
use super::texts::shown;
use crate::catalog::CatalogError;
use crate::config::Privilege;

#[derive(Template)]
#[template(path = "split.html", config = "src/web/templates/askama.toml")]
struct SplitPage {
    frame: Frame,
}

/// A study of a side.
struct Study {
    uid: String,
    name: String,
    id: String,
    date: String,
    description: String,
    modalities: String,
    instances: String,
}

#[derive(Template)]
#[template(path = "pane.html", config = "src/web/templates/askama.toml")]
struct Pane {
    rows: Vec<Study>,
    more: bool,
    trouble: String,
}

/// A series of a study.
struct Series {
    uid: String,
    number: String,
    modality: String,
    description: String,
    instances: String,
}

#[derive(Template)]
#[template(path = "pane_series.html", config = "src/web/templates/askama.toml")]
struct PaneSeries {
    rows: Vec<Series>,
}

pub(super) async fn split(signed: Signed) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    Ok(page(&SplitPage { frame: Frame::of(&signed, "split") }))
}

pub(super) async fn studies(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Parameters(filter): Parameters<Filter>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let (found, next, trouble) = match studies::look(&web, &filter).await {
        Ok((found, next, _)) => (found, next, String::new()),
        Err(CatalogError::Query(error)) => (Vec::new(), None, error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let rows = found.into_iter().map(|values| {
        let of = |keyword: &str| {
            let value = studies::keywords().position(|known| known == keyword).and_then(|at| values.get(at));
            shown(keyword, value.map_or("", String::as_str))
        };
        let name = of("PatientName");
        Study {
            uid: of("StudyInstanceUID"),
            name: if name.is_empty() { "(no name)".to_owned() } else { name },
            id: of("PatientID"),
            date: of("StudyDate"),
            description: of("StudyDescription"),
            modalities: of("ModalitiesInStudy"),
            instances: of("NumberOfStudyRelatedInstances"),
        }
    });
    Ok(page(&Pane { rows: rows.collect(), more: next.is_some(), trouble }))
}

pub(super) async fn series(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Path(uid): Path<String>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let (_, found, _) = studies::read(&web, &uid).await?;
    let rows = found.into_iter().map(|values| {
        let mut values = values.into_iter();
        let mut next = || shown("", &values.next().unwrap_or_default());
        let (uid, number, modality, description) = (next(), next(), next(), next());
        let instances = values.next_back().unwrap_or_default();
        Series { uid, number, modality, description, instances }
    });
    Ok(page(&PaneSeries { rows: rows.collect() }))
}
