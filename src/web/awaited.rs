//! Studies that a source lists and that are not filed, or not as a whole: how they stand, and fetching one now.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::Web;
use super::answer::{Frame, Refused, page};
use super::guard::Signed;
use super::studies::{COLUMNS, MORE, united};
use super::study::literal;
use super::texts::shown;
use crate::audit::AuditEvent;
use crate::catalog::{Recalled, Selection};
use crate::config::Privilege;
use crate::dicom::StudyInstanceUid;

/// How a study that is not filed as a whole stands, for people.
pub(super) struct Awaited {
    /// In a sentence or two.
    pub(super) line: String,
    /// Objects that have come, and that are listed.
    pub(super) arrived: i64,
    pub(super) listed: i64,
    /// Somebody works on it, or will next.
    pub(super) coming: bool,
    pub(super) may_fetch: bool,
}

#[derive(Template)]
#[template(path = "unfiled.html", config = "src/web/templates/askama.toml")]
struct UnfiledPage {
    frame: Frame,
    facts: Vec<(&'static str, String)>,
    uid: String,
    awaited: Option<Awaited>,
}

/// How the rest of a study stands, where there is a rest and the archive shows what is listed.
pub(super) async fn of(web: &Web, signed: &Signed, uid: &str) -> Result<Option<Awaited>, Refused> {
    if !web.config.borrow().node.union {
        return Ok(None);
    }
    let standing = web.catalog.awaited_study(&StudyInstanceUid::new(uid)).await?;
    Ok(standing.map(|standing| awaited(&standing, signed.operator.may(Privilege::Operate))))
}

fn awaited(standing: &Recalled, may_fetch: bool) -> Awaited {
    let hindrance = standing.hindrance();
    // One that was begun by itself comes too.
    let coming = hindrance.is_none() && standing.is_coming() && (!standing.begun || standing.is_leased());
    let listed = standing.instances.unwrap_or(0).max(standing.arrived);
    let objects = match standing.instances {
        Some(_) => format!("{} of {listed} objects have come", standing.arrived),
        None => format!("{} objects have come; the source does not say how many there are", standing.arrived),
    };
    let how = match (hindrance, coming, standing.detail.as_str()) {
        (Some(why), ..) => why,
        (None, true, _) if standing.is_leased() => "it is being fetched now".to_owned(),
        (None, true, _) => "it is at the head of the queue".to_owned(),
        (None, false, "") => format!("job {} has it in its queue ({})", standing.job, standing.state.as_text()),
        (None, false, detail) => format!("it did not come: {detail}"),
    };
    let line = format!("The source {} lists it: {objects}, and {how}.", standing.source);
    Awaited { line, arrived: standing.arrived, listed, coming, may_fetch }
}

/// The page of a study of which nothing is filed; `None` where it is none such.
pub(super) async fn show(web: &Web, signed: &Signed, uid: &str) -> Result<Option<Response>, Refused> {
    let Some(awaited) = (if literal(uid) { of(web, signed, uid).await? } else { None }) else { return Ok(None) };
    let Some(values) = row(web, uid).await? else { return Ok(None) };
    let facts = COLUMNS.iter().zip(&values).map(|((keyword, title), value)| (*title, shown(keyword, value)));
    Ok(Some(page(&UnfiledPage {
        facts: facts.collect(),
        uid: uid.to_owned(),
        awaited: Some(awaited),
        frame: Frame::of(signed, "studies"),
    })))
}

/// What its source says of a study of which nothing is filed.
async fn row(web: &Web, uid: &str) -> Result<Option<Vec<String>>, Refused> {
    let keys = COLUMNS.iter().map(|(keyword, _)| *keyword).chain(MORE.iter().copied());
    let keys = keys.map(|keyword| (keyword, if keyword == "StudyInstanceUID" { uid } else { "" }));
    let asked = united(keys).map_err(super::studies::bad)?;
    let found = web.catalog.search(&asked, None, 1).await?;
    let found = found.rows.into_iter().next().map(|found| found.values);
    Ok(found.filter(|values| values.get(COLUMNS.len()).is_some_and(|known| known == uid)))
}

/// For programs.
pub(super) async fn told(web: &Web, uid: &str) -> Result<Option<Value>, Refused> {
    if !web.config.borrow().node.union {
        return Ok(None);
    }
    let standing = web.catalog.awaited_study(&StudyInstanceUid::new(uid)).await?;
    Ok(standing.map(|standing| {
        json!({
            "source": standing.source, "job": standing.job, "state": standing.state.as_text(), "arrived": standing.arrived,
            "listed": standing.instances, "coming": awaited(&standing, false).coming, "detail": standing.detail,
            "hindrance": standing.hindrance(),
        })
    }))
}

/// Moves a study to the head of the queue.
pub(super) async fn fetch(web: &Web, signed: &Signed, uid: &str) -> Result<Value, Refused> {
    signed.must(Privilege::Operate)?;
    let refused = |what: String, remedy: &str| Refused::new(StatusCode::CONFLICT, what, remedy);
    if !web.config.borrow().node.union {
        let remedy = "set `union = true` in `[node]`, or retry it in its job";
        return Err(refused("this archive does not fetch studies that are asked for".to_owned(), remedy));
    }
    let study = StudyInstanceUid::new(uid);
    let selection = Selection { studies: vec![study.clone()], ..Selection::default() };
    let items = web.catalog.recall(&selection, &signed.operator.name).await?;
    if items.is_empty() {
        return Err(refused(
            format!("nothing of study {} is awaited", shown("", uid)),
            "it is filed as a whole, or not listed",
        ));
    }
    if let Some(standing) = web.catalog.awaited_study(&study).await? {
        let (operator, what) = (signed.operator.name.clone(), format!("fetches study {study} first"));
        web.audit.record(AuditEvent::Operated { operator, id: standing.job, what });
    }
    Ok(json!({ "study": uid, "awaited": told(web, uid).await? }))
}
