//! WADO-RS: the objects of a study, of a series, or one (PS3.18 §10.4).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::accept::accepted;
use super::answer::{Problem, Viewer, warning};
use super::feed::{Feed, header_text};
use super::find::{Target, etag, is_known};
use super::media::{DICOM, Form, Wanted, boundary};
use super::{Caller, Site, turn};
use crate::catalog::Selected;

/// Kept by who asked, and asked for again before it is used.
pub(super) const CACHED: &str = "private, no-cache";

pub(super) async fn objects(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(target): Path<Target>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let form = Form::of(&accepted(&headers, &uri), site.outlet.decodes());
    let (selected, missing) = target.find(&site, &caller).await?;
    let turn = turn(&site.answers).await?;
    let held = || selected.kinds.iter().map(|(_, syntax)| syntax);
    // The parts go first: they are what the standard asks every asker to take.
    let (wanted, alone) = if form.parts.serves(held()) {
        (form.parts, false)
    } else if target.instance.is_some() && form.whole.serves(held()) {
        (form.whole, true)
    } else {
        return Err(refuse(&selected));
    };
    let known = Target::all(&site, &selected).await?;
    let tag = known.as_ref().map(|all| etag(all, &format!("{wanted:?} {alone}")));
    if let Some(tag) = tag.as_ref().filter(|tag| missing.is_none() && is_known(&headers, tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let syntax = selected.kinds.first().and_then(|(_, held)| wanted.choose(held));
    let boundary = (!alone).then(boundary);
    let kind = match (&boundary, syntax) {
        (Some(boundary), _) => format!("multipart/related; type=\"{DICOM}\"; boundary={boundary}"),
        (None, Some(syntax)) => format!("{DICOM}; transfer-syntax={}", header_text(syntax.as_str())),
        (None, None) => DICOM.to_owned(),
    };
    let feed = Feed::new(&site, &caller, ids(&selected), known, wanted, boundary, turn);
    Ok(match missing {
        Some(why) => partly(answer(feed, kind, None).await?, &why),
        None => answer(feed, kind, tag).await?,
    })
}

/// An answer that does not have everything, and says so.
pub(super) fn partly(mut answer: Response, why: &str) -> Response {
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    answer.headers_mut().append(header::WARNING, warning(why));
    answer
}

/// One object alone, in whichever of these transfer syntaxes.
pub(super) async fn alone(
    site: &Arc<Site>,
    caller: &Caller,
    target: &Target,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let (selected, _) = target.find(site, caller).await?;
    let turn = turn(&site.answers).await?;
    if !wanted.serves(selected.kinds.iter().map(|(_, syntax)| syntax)) {
        return Err(refuse(&selected));
    }
    let feed = Feed::new(site, caller, ids(&selected), None, wanted, None, turn);
    answer(feed, DICOM.to_owned(), None).await
}

fn ids(selected: &Selected) -> Vec<i64> {
    selected.instances.iter().map(|(id, _)| *id).collect()
}

async fn answer(mut feed: Feed, kind: String, tag: Option<String>) -> Result<Response, Problem> {
    feed.begin().await?;
    let mut response = ([(header::CONTENT_TYPE, kind)], feed.body()).into_response();
    if let Some(value) = tag.and_then(|tag| tag.parse().ok()) {
        response.headers_mut().insert(header::ETAG, value);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    }
    Ok(response)
}

fn refuse(selected: &Selected) -> Problem {
    let mut held: Vec<String> = selected.kinds.iter().map(|(_, syntax)| syntax.to_string()).collect();
    held.sort_unstable();
    held.dedup();
    held.truncate(10);
    Problem::not_acceptable(
        format!("the objects are held in transfer syntax {}, and not all can be had as you take them", held.join(", ")),
        format!("send `Accept: multipart/related; type=\"{DICOM}\"; transfer-syntax=*` to have them as they are held"),
    )
}
