//! WADO-URI: one instance by a query (PS3.18 §9). It comes as a DICOM file, or as a picture.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Deserialize;

use super::accept::{Range, accepted, range};
use super::answer::{Problem, Viewer};
use super::find::Target;
use super::media::{DICOM, Wanted};
use super::wanted::Drawn;
use super::{Site, rendered, retrieve};

/// What the query names. Others of its parameters say how a picture is drawn.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Asked {
    request_type: String,
    #[serde(rename = "studyUID")]
    study: String,
    #[serde(rename = "seriesUID")]
    series: String,
    #[serde(rename = "objectUID")]
    object: String,
    content_type: Option<String>,
    transfer_syntax: Option<String>,
    anonymize: Option<String>,
}

pub(super) async fn wado(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    if asked.request_type != "WADO" {
        return Err(Problem::bad("`requestType=WADO` is missing"));
    }
    for (name, value) in [("studyUID", &asked.study), ("seriesUID", &asked.series), ("objectUID", &asked.object)] {
        if value.trim().is_empty() {
            return Err(Problem::bad(format!("`{name}` is missing")));
        }
    }
    if asked.anonymize.is_some() {
        let remedy = "leave `anonymize` out, and have it anonymised elsewhere";
        return Err(Problem::not_acceptable("objects are not anonymised here: they come as they are", remedy));
    }
    let taken = match &asked.content_type {
        Some(kinds) => kinds.split(',').filter_map(range).collect(),
        None => accepted(&headers, &uri),
    };
    let taken: Vec<Range> = taken;
    let target = Target { study: asked.study, series: Some(asked.series), instance: Some(asked.object) };
    if !taken.iter().any(|range| range.takes(DICOM)) {
        return rendered::alone(&site, &caller, &target, Drawn::read(&uri)?, &taken, &headers).await;
    }
    let mut wanted = Wanted::new(site.outlet.decodes());
    wanted.add(Some(asked.transfer_syntax.as_deref().unwrap_or("*")));
    retrieve::alone(&site, &caller, &target, wanted).await
}
