//! WADO-RS: frames as they are held (PS3.18 §10.4.1.1.6): native ones as ranges of their file, compressed ones as their
//! fragments.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::{Range, accepted};
use super::answer::{Problem, Viewer};
use super::bulk::{copy, edges, push, read_beside};
use super::feed::header_text;
use super::find::{Target, etag, is_known};
use super::media::{boundary, choose_bytes, of_frames};
use super::retrieve::CACHED;
use super::{Site, turn};
use crate::catalog::HeldInstance;
use crate::outlet::HeldFrames;

/// The most frames of one answer.
const MOST: usize = 100_000;

/// The numbers of frames, from 1 on, between commas.
#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) list: String,
}

impl List {
    /// The numbers, so many at most and none of them twice (an answer is never longer than the instance).
    pub(super) fn numbers(&self, most: usize) -> Result<Vec<u64>, Problem> {
        let numbers: Option<Vec<u64>> =
            self.list.split(',').map(|one| one.trim().parse().ok().filter(|number| *number > 0)).collect();
        let Some(numbers) = numbers.filter(|numbers| numbers.len() <= most) else {
            return Err(Problem::bad(format!("frames are numbers from 1 on, between commas, {most} at most")));
        };
        let mut named = HashSet::new();
        match numbers.iter().find(|number| !named.insert(**number)) {
            Some(twice) => Err(Problem::bad(format!("frame {twice} is named more than once"))),
            None => Ok(numbers),
        }
    }
}

pub(super) async fn frames(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(target): Path<Target>,
    Path(list): Path<List>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let first = |number: u64| usize::try_from(number - 1).unwrap_or(usize::MAX);
    let numbers: Vec<usize> = list.numbers(MOST)?.into_iter().map(first).collect();
    let list = list.list;
    let held = target.instance(&site, &caller).await?;
    let turn = turn(&site.answers).await?;
    site.looked_at(&caller, &held);
    let taken = accepted(&headers, &uri);
    let tag = etag(std::slice::from_ref(&held), &format!("frames {list} {taken:?}"));
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let mut response = answer(open(&site, held).await?, numbers, &taken, turn)?;
    let headers = response.headers_mut();
    if let Ok(tag) = tag.parse() {
        headers.insert(header::ETAG, tag);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    }
    Ok(response)
}

/// All frames of an instance: what its pixel data are as bulk data.
pub(super) fn all(frames: HeldFrames, taken: &[Range], turn: OwnedSemaphorePermit) -> Result<Response, Problem> {
    let numbers = (0..frames.count().min(MOST)).collect();
    answer(frames, numbers, taken, turn)
}

pub(super) async fn open(site: &Site, held: HeldInstance) -> Result<HeldFrames, Problem> {
    let outlet = site.outlet.clone();
    let opened = tokio::task::spawn_blocking(move || outlet.frames(held)).await;
    let broke = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the frames could not be read", "try again");
    opened.map_err(broke)??.ok_or_else(|| Problem::missing("the instance has no pixel data"))
}

fn answer(
    frames: HeldFrames,
    numbers: Vec<usize>,
    taken: &[Range],
    turn: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let count = frames.count();
    if let Some(beyond) = numbers.iter().find(|number| **number >= count) {
        return Err(Problem::missing(format!("there is no frame {}: the instance has {count}", beyond + 1)));
    }
    let syntax = frames.transfer_syntax.clone();
    let Some((kind, parts)) = choose_bytes(taken, &syntax, numbers.len() == 1) else {
        let own = of_frames(&syntax);
        return Err(Problem::not_acceptable(
            format!("the frames are held as {own} in transfer syntax {syntax}"),
            format!("send `Accept: multipart/related; type=\"{own}\"; transfer-syntax=*`"),
        ));
    };
    let boundary = parts.then(boundary);
    let named = header_text(syntax.as_str());
    let whole = match &boundary {
        Some(boundary) => format!("multipart/related; type=\"{kind}\"; boundary={boundary}"),
        None => format!("{kind}; transfer-syntax={named}"),
    };
    let body = read_beside(turn, move |sender| {
        let (open, close) = edges(boundary.as_deref(), kind, Some(&named));
        for number in numbers {
            match frames.read(number) {
                Ok(Some((mut reader, length))) => {
                    if !(push(sender, open.clone()) && copy(sender, &mut reader, length)) {
                        return;
                    }
                }
                // That it is there was looked at above.
                Ok(None) => {}
                Err(error) => {
                    let shown = &error as &dyn std::error::Error;
                    tracing::warn!(error = shown, remedy = error.remedy(), "an answer with frames was broken off");
                    let _gone = sender.blocking_send(Err(std::io::Error::other(error)));
                    return;
                }
            }
        }
        push(sender, close);
    });
    Ok(([(header::CONTENT_TYPE, whole)], body).into_response())
}
