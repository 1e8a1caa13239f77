//! One study: what it is, its series and their objects, who has locked it; and from where its parts go elsewhere.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query as Parameters, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::awaited::{self, Awaited};
use super::guard::{Signed, Viewer};
use super::studies::{COLUMNS, MORE, bad, keywords, object, query, words};
use super::texts::shown;
use crate::catalog::{Cursor, StudyLock};
use crate::config::Privilege;
use crate::content::Warning;
use crate::dicom::{QueryLevel, StudyInstanceUid};
use crate::job::report::local_time;

/// Series that are shown of a study.
const SERIES: usize = 5000;
/// Objects of a page.
const OBJECTS: usize = 500;

/// What is told of a series.
const OF_SERIES: &[&str] = &[
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "SeriesDescription",
    "SeriesDate",
    "BodyPartExamined",
    "NumberOfSeriesRelatedInstances",
];
/// What is told of an object.
const OF_OBJECT: &[&str] = &["SOPInstanceUID", "InstanceNumber", "SOPClassUID", "Rows", "Columns", "NumberOfFrames"];

/// A series.
pub(super) struct Series {
    pub(super) uid: String,
    pub(super) number: String,
    pub(super) modality: String,
    pub(super) description: String,
    pub(super) date: String,
    pub(super) body_part: String,
    pub(super) instances: String,
    /// Where its objects are shown.
    pub(super) address: String,
}

/// An object.
pub(super) struct Object {
    pub(super) uid: String,
    pub(super) number: String,
    pub(super) class: String,
    /// Rows, columns, frames.
    pub(super) size: String,
}

/// Who keeps others from changing a study.
pub(super) struct Lock {
    pub(super) owner: String,
    pub(super) since: String,
    pub(super) reason: String,
}

#[derive(Template)]
#[template(path = "study.html", config = "src/web/templates/askama.toml")]
struct StudyPage {
    frame: Frame,
    facts: Vec<(&'static str, String)>,
    uid: String,
    series: Vec<Series>,
    more: bool,
    lock: Option<Lock>,
    /// What is not filed of it.
    awaited: Option<Awaited>,
    /// What came too late for a move.
    late: Vec<String>,
    words: Vec<(&'static str, String)>,
    may_correct: bool,
    may_unlock: bool,
    may_rescan: bool,
}

#[derive(Template)]
#[template(path = "objects.html", config = "src/web/templates/askama.toml")]
struct ObjectsPage {
    frame: Frame,
    study: String,
    address: String,
    series: String,
    rows: Vec<Object>,
    next: Option<String>,
    may_correct: bool,
}

/// A study, by a UID that may be anything.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) uid: String,
}

/// A series of a study, and where to go on.
#[derive(Deserialize)]
pub(super) struct Within {
    pub(super) study: String,
    pub(super) series: String,
    #[serde(default)]
    pub(super) after: String,
}

impl From<StudyLock> for Lock {
    fn from(lock: StudyLock) -> Lock {
        Lock { owner: lock.owner, since: local_time(lock.since), reason: lock.reason }
    }
}

/// The address of a study's page. Old archives hold UIDs that mean something else in a path, such as `..`.
pub(super) fn address(uid: &str) -> String {
    match StudyInstanceUid::new(uid).is_conformant() {
        true => format!("/studies/{uid}"),
        false => format!("/study?{}", encoded(&[("uid", uid)])),
    }
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A UID as a query takes it: as it stands, and nothing but that one.
pub(super) fn literal(uid: &str) -> bool {
    !uid.contains('\\') && !uid.chars().all(|c| c == '*' || c.is_whitespace() || c.is_control())
}

/// A study and its series; whether it has more of them.
pub(super) async fn read(web: &Web, uid: &str) -> Result<(Vec<String>, Vec<Vec<String>>, bool), Refused> {
    let none = || Refused::missing(format!("study {} is not here", shown("", uid)));
    if !literal(uid) {
        return Err(none());
    }
    let keys = COLUMNS
        .iter()
        .map(|(keyword, _)| (*keyword, ""))
        .chain(MORE.iter().map(|keyword| (*keyword, if *keyword == "StudyInstanceUID" { uid } else { "" })));
    let asked = query(QueryLevel::Study, keys).map_err(bad)?;
    let page = web.catalog.search(&asked, None, 1).await?;
    let study = page.rows.into_iter().next().ok_or_else(none)?.values;
    // A UID of padding alone asks for any study.
    if !keywords().zip(&study).any(|(keyword, value)| keyword == "StudyInstanceUID" && value == uid) {
        return Err(none());
    }
    let keys = OF_SERIES.iter().map(|keyword| (*keyword, "")).chain([("StudyInstanceUID", uid)]);
    let asked = query(QueryLevel::Series, keys).map_err(bad)?;
    let (mut series, mut from) = (Vec::new(), None);
    loop {
        let page = web.catalog.search(&asked, from, 500).await?;
        series.extend(page.rows.into_iter().map(|found| {
            let mut values = found.values;
            values.truncate(OF_SERIES.len());
            values
        }));
        from = page.next;
        if from.is_none() || series.len() >= SERIES {
            break;
        }
    }
    series.sort_by_key(|values| number(values));
    Ok((study, series, from.is_some()))
}

/// The number of a series or an object, by which people order them.
fn number(values: &[String]) -> Option<i64> {
    values.get(1).and_then(|number| number.trim().parse().ok())
}

/// The series of a study, as people read them.
pub(super) fn series_rows(study: &str, series: Vec<Vec<String>>) -> Vec<Series> {
    let row = |values: Vec<String>| {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let uid = next();
        Series {
            address: format!("/objects?{}", encoded(&[("study", study), ("series", &uid)])),
            uid,
            number: shown("", &next()),
            modality: shown("", &next()),
            description: shown("", &next()),
            date: shown("StudyDate", &next()),
            body_part: shown("", &next()),
            instances: next(),
        }
    };
    series.into_iter().map(row).collect()
}

/// A page of the objects of a series, and where the next one begins.
async fn read_objects(web: &Web, within: &Within) -> Result<(Vec<Vec<String>>, Option<String>), Refused> {
    let none = || Refused::missing(format!("study {} has no such series", shown("", &within.study)));
    if !literal(&within.study) || !literal(&within.series) {
        return Err(none());
    }
    let above = [("StudyInstanceUID", within.study.as_str()), ("SeriesInstanceUID", within.series.as_str())];
    let keys = OF_OBJECT.iter().map(|keyword| (*keyword, "")).chain(above);
    let asked = query(QueryLevel::Image, keys).map_err(bad)?;
    let (mut rows, mut from) = (Vec::new(), Cursor::parse(&within.after));
    loop {
        let page = web.catalog.search(&asked, from, OBJECTS - rows.len()).await?;
        rows.extend(page.rows.into_iter().map(|found| {
            let mut values = found.values;
            values.truncate(OF_OBJECT.len());
            values
        }));
        from = page.next;
        if from.is_none() || rows.len() >= OBJECTS {
            break;
        }
    }
    if rows.is_empty() && within.after.is_empty() {
        return Err(none());
    }
    rows.sort_by_key(|values| number(values));
    Ok((rows, from.map(|from| from.to_text())))
}

/// The objects of a series as people read them, and where to go on.
pub(super) async fn object_rows(web: &Web, within: &Within) -> Result<(Vec<Object>, Option<String>), Refused> {
    let (found, next) = read_objects(web, within).await?;
    let row = |values: Vec<String>| {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let (uid, number, class) = (next(), shown("", &next()), next());
        let (rows, columns, frames) = (next(), next(), next());
        let frames = if frames.is_empty() || frames == "1" { String::new() } else { format!(", {frames} frames") };
        let size = if rows.is_empty() { frames } else { format!("{columns} × {rows}{frames}") };
        Object { uid, number, class, size: shown("", &size) }
    };
    Ok((found.into_iter().map(row).collect(), next))
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Path(uid): Path<String>,
) -> Result<Response, Refused> {
    show_any(&web, &signed, uid).await
}

pub(super) async fn show_named(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(named): Parameters<Named>,
) -> Result<Response, Refused> {
    show_any(&web, &signed, named.uid).await
}

async fn show_any(web: &Web, signed: &Signed, uid: String) -> Result<Response, Refused> {
    let (study, series, more) = match read(web, &uid).await {
        Ok(read) => read,
        Err(refused) => return awaited::show(web, signed, &uid).await?.ok_or(refused),
    };
    web.looked(signed, &uid);
    let facts = COLUMNS.iter().zip(&study).map(|((keyword, title), value)| (*title, shown(keyword, value)));
    let locks = web.catalog.study_locks().await?;
    let lock = locks.into_iter().find(|lock| lock.study.as_str() == uid);
    let own = lock.as_ref().is_none_or(|lock| lock.owner == signed.operator.name);
    let may_correct = signed.operator.may(Privilege::Content);
    let late = web.catalog.latecomers_in(&StudyInstanceUid::new(&uid)).await?;
    Ok(page(&StudyPage {
        late: late.into_iter().map(|late| Warning::from(late).message()).collect(),
        facts: facts.collect(),
        series: series_rows(&uid, series),
        awaited: awaited::of(web, signed, &uid).await?,
        uid,
        more,
        may_unlock: may_correct && (own || signed.operator.may(Privilege::Unlock)),
        lock: lock.map(Lock::from),
        words: words(web, &study).await?,
        may_correct,
        may_rescan: signed.operator.may(Privilege::Operate) && web.config.borrow().ai.is_some(),
        frame: Frame::of(signed, "studies"),
    }))
}

pub(super) async fn show_json(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Path(uid): Path<String>,
) -> Result<Response, Refused> {
    let (study, series, _) = match read(&web, &uid).await {
        Ok(read) => read,
        Err(refused) => {
            let awaited = if literal(&uid) { awaited::told(&web, &uid).await? } else { None };
            let awaited = awaited.ok_or(refused)?;
            return Ok(document(json!({ "StudyInstanceUID": uid, "series": [], "awaited": awaited })));
        }
    };
    web.looked(&signed, &uid);
    let mut told = object(keywords(), study);
    if let Value::Object(fields) = &mut told {
        let series = series.into_iter().map(|values| object(OF_SERIES.iter().copied(), values));
        fields.insert("series".into(), series.collect());
        fields.insert("awaited".into(), awaited::told(&web, &uid).await?.into());
    }
    Ok(document(told))
}

pub(super) async fn objects(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(within): Parameters<Within>,
) -> Result<Response, Refused> {
    let (rows, next) = object_rows(&web, &within).await?;
    web.looked(&signed, &within.study);
    let Within { study, series, .. } = within;
    let on =
        |after: String| format!("/objects?{}", encoded(&[("study", &study), ("series", &series), ("after", &after)]));
    Ok(page(&ObjectsPage {
        next: next.map(on),
        address: address(&study),
        rows,
        may_correct: signed.operator.may(Privilege::Content),
        frame: Frame::of(&signed, "studies"),
        study,
        series,
    }))
}

pub(super) async fn objects_json(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(within): Parameters<Within>,
) -> Result<Response, Refused> {
    let (rows, next) = read_objects(&web, &within).await?;
    web.looked(&signed, &within.study);
    let objects: Value = rows.into_iter().map(|values| object(OF_OBJECT.iter().copied(), values)).collect();
    Ok(document(json!({ "objects": objects, "after": next })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_that_means_something_in_a_path_is_no_path() {
        assert_eq!(address("1.2.3"), "/studies/1.2.3");
        assert_eq!(address(".."), "/study?uid=..");
        assert_eq!(address("1/2?3\"4"), "/study?uid=1%2F2%3F3%224");
        assert!(
            literal("1.2?")
                && literal("1*2")
                && !literal("***")
                && !literal("\0")
                && !literal(" \t*")
                && !literal("1\\2")
        );
    }
}
