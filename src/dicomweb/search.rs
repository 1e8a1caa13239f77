//! QIDO-RS (PS3.18 §10.6): the queries of C-FIND, asked by an address and answered as DICOM JSON, or in XML.

mod asked;
mod cursors;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::address::{base, resource};
use super::answer::{self, Problem, Viewer};
use super::fetch::not_now;
use super::find::Target;
use super::told::Told;
use super::{Caller, Site, turn};
use crate::audit::{AuditEvent, AuditOutcome};
use crate::catalog::{Attribute, Cursor, HeldInstance, Match, Query};
use crate::dataset::json_attribute;
use crate::dicom::{QueryLevel, tags, uids};
use asked::Asked;

pub(super) use cursors::Cursors;

/// Rows that are read at once.
const PAGE: usize = 250;

/// The study and the series that a query stays within.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Within {
    study: Option<String>,
    series: Option<String>,
}

pub(super) async fn studies(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    answer(&site, &caller, &headers, &uri, QueryLevel::Study, Within::default()).await
}

pub(super) async fn series(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(within): Path<Within>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    answer(&site, &caller, &headers, &uri, QueryLevel::Series, within).await
}

pub(super) async fn instances(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(within): Path<Within>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    answer(&site, &caller, &headers, &uri, QueryLevel::Image, within).await
}

async fn answer(
    site: &Site,
    caller: &Caller,
    headers: &HeaderMap,
    uri: &Uri,
    level: QueryLevel,
    within: Within,
) -> Result<Response, Problem> {
    let told = Told::of(headers, uri)?;
    let union = site.config.borrow().node.union;
    let asked = Asked::read(uri.query().unwrap_or_default(), level, &within, union);
    let outcome = asked.as_ref().err().map_or(AuditOutcome::Success, |_| AuditOutcome::Minor("refused".into()));
    let text = uri.path_and_query().map_or("", |asked| asked.as_str());
    site.audit.record(AuditEvent::query(caller.party(), uids::STUDY_ROOT_FIND, text.as_bytes(), "", outcome));
    let asked = asked?;
    let (mut rows, mut more) = page(site, text, &asked).await?;
    let mut warnings = asked.warnings.clone();
    if let Some(study) = within.study.clone().or_else(|| only_study(&asked.query)) {
        let study = Target { study, series: None, instance: None };
        if rows.is_empty() {
            // Nothing may be all that there is, or a study that is not here yet.
            if let Some(why) = study.fetch(site, caller).await? {
                return Err(not_now(why));
            }
            (rows, more) = page(site, text, &asked).await?;
        } else if study.is_partly_here(site).await? {
            warnings.push("the study is not here as a whole yet".to_owned());
        }
    }
    if more {
        warnings.push("there may be further results: ask with a larger `offset`".to_owned());
    }
    let mut answer = if rows.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let base = base(site, headers);
        let mut body = told.open().to_owned();
        for (n, row) in rows.iter().enumerate() {
            let mut one = String::from("{");
            write(&mut one, level, &asked.query, row, &within, &base);
            one.push('}');
            body.push_str(&told.one(one, n == 0)?);
        }
        body.push_str(&told.close());
        ([(header::CONTENT_TYPE, told.kind())], body).into_response()
    };
    for warning in warnings {
        answer.headers_mut().append(header::WARNING, answer::warning(&warning));
    }
    Ok(answer)
}

/// The study that a query for what is in it names, and no other.
fn only_study(query: &Query) -> Option<String> {
    match query.uids(tags::STUDY_INSTANCE_UID) {
        [one] if query.level() > QueryLevel::Study => Some(one.clone()),
        _ => None,
    }
}

/// What the catalog knows of an instance, as JSON; `None` where it cannot tell either.
pub(super) async fn known(site: &Site, held: &HeldInstance, base: &str) -> Option<String> {
    let within = Within { study: Some(held.study.to_string()), series: None };
    let keys = [("includefield", "all"), ("SOPInstanceUID", held.instance.as_str())];
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(keys).finish();
    let asked = Asked::read(&text, QueryLevel::Image, &within, false).ok()?;
    let row = site.catalog.search(&asked.query, None, 1).await.ok()?.rows.pop()?;
    let mut one = String::from("{");
    write(&mut one, QueryLevel::Image, &asked.query, &row, &within, base);
    one.push('}');
    Some(one)
}

/// The rows that are asked for, and whether there may be more of them.
async fn page(site: &Site, text: &str, asked: &Asked) -> Result<(Vec<Match>, bool), Problem> {
    let _turn = turn(&site.answers).await?;
    let key = cursors::key(text);
    let (mut at, mut from) = site.cursors.before(&key, asked.offset);
    let mut first = at == 0;
    // What is passed over.
    while at < asked.offset && (first || from.is_some()) {
        let page = site.catalog.search(&asked.query, from, PAGE.min(asked.offset - at)).await?;
        (at, from, first) = (at + page.rows.len(), page.next, false);
    }
    let mut rows = Vec::new();
    while rows.len() < asked.limit && (first || from.is_some()) {
        let page = site.catalog.search(&asked.query, from, PAGE.min(asked.limit - rows.len())).await?;
        rows.extend(page.rows);
        (from, first) = (page.next, false);
    }
    if let Some(from) = &from {
        site.cursors.keep(key, asked.offset + rows.len(), Cursor::clone(from));
    }
    Ok((rows, from.is_some()))
}

/// One match, with where it can be had.
fn write(out: &mut String, level: QueryLevel, query: &Query, row: &Match, within: &Within, base: &str) {
    let mut values: Vec<(&Attribute, &str)> = query.returned().zip(row.values.iter().map(String::as_str)).collect();
    let uid = |tag, fixed: &Option<String>| {
        let found = values.iter().find(|(attribute, _)| attribute.tag == tag).map(|(_, value)| (*value).to_owned());
        found.or_else(|| fixed.clone()).unwrap_or_default()
    };
    let study = uid(tags::STUDY_INSTANCE_UID, &within.study);
    let series = (level >= QueryLevel::Series).then(|| uid(tags::SERIES_INSTANCE_UID, &within.series));
    let instance = (level >= QueryLevel::Image).then(|| uid(tags::SOP_INSTANCE_UID, &None));
    let address = resource(base, &study, series.as_deref(), instance.as_deref());
    values.sort_by_key(|(attribute, _)| attribute.tag);
    let made = [
        (tags::SPECIFIC_CHARACTER_SET, *b"CS", "ISO_IR 192"),
        (tags::INSTANCE_AVAILABILITY, *b"CS", if row.nearline { "NEARLINE" } else { "ONLINE" }),
        (tags::RETRIEVE_URL, *b"UR", address.as_str()),
    ];
    let mut all: Vec<_> =
        values.iter().map(|(attribute, value)| (attribute.tag, attribute.vr, *value)).chain(made).collect();
    all.sort_by_key(|(tag, ..)| *tag);
    for (n, (tag, vr, value)) in all.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        json_attribute(out, tag, vr, value);
    }
}
