//! WADO-RS: what instances say of themselves, as DICOM JSON or in XML (PS3.18 §10.4.1.1.2), with their corrections. One
//! among several that is damaged does not keep the others from a viewer: of it is told what the catalog knows.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};

use super::address::{base, resource};
use super::answer::{Problem, Viewer};
use super::find::{PAGE, Target, etag, is_known};
use super::retrieve::{CACHED, partly};
use super::told::{Told, TooMuch};
use super::{Site, search, turn};
use crate::catalog::{CatalogError, HeldInstance};
use crate::dataset::write_json;
use crate::outlet::{Outlet, OutletError};
use crate::scp::charset_of;

/// Headers that are read at one time.
const AT_ONCE: usize = 4;

pub(super) async fn metadata(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(target): Path<Target>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let told_as = Told::of(&headers, &uri)?;
    let (selected, missing) = target.find(&site, &caller).await?;
    let turn = turn(&site.answers).await?;
    let base = base(&site, &headers);
    let mut tag = None;
    if let Some(all) = Target::all(&site, &selected).await? {
        let made = etag(&all, &format!("{} {base}", told_as.form()));
        if missing.is_none() && is_known(&headers, &made) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, made)]).into_response());
        }
        if let Some(first) = all.first() {
            site.looked_at(&caller, first);
        }
        tag = Some(made);
    }
    let ids: Vec<i64> = selected.instances.into_iter().map(|(id, _)| id).collect();
    let mut told = Box::pin(told(Arc::clone(&site), ids, base, told_as.clone()));
    // What is wrong with the first is said before the answer begins.
    let first = told.next().await.transpose()?.unwrap_or_default();
    let mut begun = false;
    let rest = told.map(|one| {
        one.map(Bytes::from).inspect_err(|error| {
            tracing::warn!(error = error as &dyn std::error::Error, "an answer with metadata was broken off");
        })
    });
    let (open, close, kind) = (format!("{}{first}", told_as.open()), told_as.close(), told_as.kind());
    let open = stream::once(async move { Ok(Bytes::from(open)) });
    let close = stream::once(async move {
        drop(turn);
        Ok(Bytes::from(close))
    });
    // A failure ends the stream, so that nobody takes a part for everything.
    let all = open.chain(rest).chain(close).take_while(move |one| {
        let go_on = !begun;
        begun |= one.is_err();
        std::future::ready(go_on)
    });
    let mut response = ([(header::CONTENT_TYPE, kind)], Body::from_stream(all)).into_response();
    if let Some(why) = missing {
        return Ok(partly(response, &why));
    }
    if let Some(value) = tag.and_then(|tag| tag.parse().ok()) {
        response.headers_mut().insert(header::ETAG, value);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    }
    Ok(response)
}

/// Why an instance does not tell of itself.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error(transparent)]
    Outlet(#[from] OutletError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    #[error("the thread that read it broke down")]
    Thread(#[from] tokio::task::JoinError),
}

impl From<Untold> for Problem {
    fn from(error: Untold) -> Problem {
        match error {
            Untold::Outlet(error) => error.into(),
            Untold::Catalog(error) => error.into(),
            Untold::TooMuch(error) => error.into(),
            Untold::Thread(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "try again"),
        }
    }
}

/// Each instance with what stands before it, some being read beside each other.
fn told(site: Arc<Site>, ids: Vec<i64>, base: String, told: Told) -> impl Stream<Item = Result<String, Untold>> {
    let (outlet, base): (Outlet, Arc<str>) = (site.outlet.clone(), base.into());
    let (of, several) = (Arc::clone(&site), ids.len() > 1);
    let config = site.config.borrow().clone();
    instances(site, ids)
        .enumerate()
        .map(move |(n, held)| {
            let (outlet, base, charset) = (outlet.clone(), Arc::clone(&base), charset_of(&config, None));
            let (site, told) = (Arc::clone(&of), told.clone());
            async move {
                let held = held?;
                let (instance, place, told_as) = (held.clone(), Arc::clone(&base), told.clone());
                let reading = tokio::task::spawn_blocking(move || -> Result<String, Untold> {
                    // Without its series, which the catalog need not be asked for then.
                    let address = resource(&base, held.study.as_str(), None, Some(held.instance.as_str()));
                    let address = |place: &str| format!("{address}/bulkdata/{place}");
                    let mut text = String::new();
                    let reader = outlet.look(&held)?;
                    let written = write_json(reader, &held.transfer_syntax, &charset, &address, &mut text);
                    let instance = held.instance.clone();
                    written.map_err(|source| OutletError::Header { instance, source })?;
                    Ok(told.one(text, n == 0)?)
                });
                match reading.await? {
                    // A disk that does not give it may do so the next time: then the answer breaks off.
                    Err(Untold::Outlet(error @ OutletError::Header { .. })) if several => {
                        tracing::warn!(
                            study.uid = %instance.study, error = &error as &dyn std::error::Error,
                            "of an instance that cannot be read only what the catalog knows is told"
                        );
                        let known = search::known(&site, &instance, &place).await.ok_or(error)?;
                        Ok(told_as.one(known, n == 0)?)
                    }
                    read => read,
                }
            }
        })
        .buffered(AT_ONCE)
}

/// The instances, a page of them at a time.
fn instances(site: Arc<Site>, ids: Vec<i64>) -> impl Stream<Item = Result<HeldInstance, CatalogError>> {
    stream::unfold((site, ids, 0, VecDeque::new(), false), async |(site, ids, mut at, mut page, failed)| {
        while page.is_empty() && at < ids.len() && !failed {
            let next = ids.get(at..(at + PAGE).min(ids.len())).unwrap_or_default();
            match site.catalog.held(next).await {
                Ok(held) => page.extend(held),
                Err(error) => return Some((Err(error), (site, ids, at, page, true))),
            }
            at += next.len();
        }
        let held = page.pop_front()?;
        Some((Ok(held), (site, ids, at, page, failed)))
    })
}
