//! WADO-URI: one instance by a query (PS3.18 §9). It comes as a DICOM file; pictures are not made here.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Deserialize;

use super::accept::{accepted, range};
use super::answer::Problem;
use super::find::Target;
use super::media::{DICOM, Wanted};
use super::{Caller, Site, retrieve};
use crate::config::Privilege;

/// What the query names. Others of its parameters are about pictures.
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
}

pub(super) async fn wado(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.must(Privilege::View)?;
    if asked.request_type != "WADO" {
        return Err(Problem::bad("`requestType=WADO` is missing"));
    }
    for (name, value) in [("studyUID", &asked.study), ("seriesUID", &asked.series), ("objectUID", &asked.object)] {
        if value.trim().is_empty() {
            return Err(Problem::bad(format!("`{name}` is missing")));
        }
    }
    let taken = match &asked.content_type {
        Some(kinds) => kinds.split(',').filter_map(range).collect(),
        None => accepted(&headers, &uri),
    };
    if !taken.iter().any(|range| range.takes(DICOM)) {
        let remedy = format!("ask for `contentType={DICOM}`");
        return Err(Problem::not_acceptable("an instance is told as a DICOM file", remedy));
    }
    let mut wanted = Wanted::default();
    wanted.add(Some(asked.transfer_syntax.as_deref().unwrap_or("*")));
    let target = Target { study: asked.study, series: Some(asked.series), instance: Some(asked.object) };
    retrieve::alone(&site, &caller, &target, wanted).await
}
