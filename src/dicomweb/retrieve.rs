//! WADO-RS: the objects of a study, of a series, or one (PS3.18 §10.4).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::accept::accepted;
use super::answer::Problem;
use super::feed::{Feed, header_text};
use super::find::{Target, etag, is_known};
use super::media::{DICOM, Form, Wanted, boundary};
use super::{Caller, Site, turn};
use crate::catalog::Selected;
use crate::config::Privilege;

/// Kept by who asked, and asked for again before it is used.
pub(super) const CACHED: &str = "private, no-cache";

pub(super) async fn objects(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(target): Path<Target>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    caller.must(Privilege::View)?;
    let form = Form::of(&accepted(&headers, &uri));
    let turn = turn(&site.answers).await?;
    let selected = target.select(&site).await?;
    let held = || selected.kinds.iter().map(|(_, syntax)| syntax);
    // The parts go first: they are what the standard asks every asker to take.
    let (wanted, alone) = if form.parts.serves(held()) {
        (form.parts, false)
    } else if target.instance.is_some() && form.whole.serves(held()) {
        (form.whole, true)
    } else {
        return Err(refuse(&selected));
    };
    let mut tag = None;
    if let Some(all) = Target::all(&site, &selected).await? {
        let made = etag(&all, &format!("{wanted:?} {alone}"));
        if is_known(&headers, &made) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, made)]).into_response());
        }
        tag = Some(made);
    }
    let syntax = selected.kinds.first().and_then(|(_, held)| wanted.choose(held));
    let boundary = (!alone).then(boundary);
    let kind = match (&boundary, syntax) {
        (Some(boundary), _) => format!("multipart/related; type=\"{DICOM}\"; boundary={boundary}"),
        (None, Some(syntax)) => format!("{DICOM}; transfer-syntax={}", header_text(syntax.as_str())),
        (None, None) => DICOM.to_owned(),
    };
    answer(&site, &caller, selected, wanted, (kind, boundary), tag, turn).await
}

/// One object alone, in whichever of these transfer syntaxes.
pub(super) async fn alone(
    site: &Arc<Site>,
    caller: &Caller,
    target: &Target,
    wanted: Wanted,
) -> Result<Response, Problem> {
    let turn = turn(&site.answers).await?;
    let selected = target.select(site).await?;
    if !wanted.serves(selected.kinds.iter().map(|(_, syntax)| syntax)) {
        return Err(refuse(&selected));
    }
    answer(site, caller, selected, wanted, (DICOM.to_owned(), None), None, turn).await
}

async fn answer(
    site: &Arc<Site>,
    caller: &Caller,
    selected: Selected,
    wanted: Wanted,
    (kind, boundary): (String, Option<String>),
    tag: Option<String>,
    turn: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let ids = selected.instances.into_iter().map(|(id, _)| id).collect();
    let mut feed = Feed::new(site, caller, ids, wanted, boundary, turn);
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
