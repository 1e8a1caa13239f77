//! WADO-RS: one value of an instance, which its metadata name by an address (PS3.18 §10.4.1.1.5), and how bytes that a
//! thread reads become an answer.

use std::io::{self, Read};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::accept::accepted;
use super::answer::{Problem, Viewer};
use super::find::Target;
use super::media::{BYTES, boundary, choose_bytes};
use super::{Site, frames, turn};
use crate::dataset::{FoundValue, ValuePath, find_value};
use crate::dicom::{TransferSyntaxUid, tags, uids};
use crate::outlet::OutletError;

/// Pieces that may wait for the asker.
const PIECES_AHEAD: usize = 2;
/// The size of a piece.
const PIECE: usize = 128 * 1024;

/// Where a value stands.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    path: String,
}

pub(super) async fn value(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(target): Path<Target>,
    Path(place): Path<Place>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let none = || Problem::missing("the instance has no value in this place");
    let path = ValuePath::parse(&place.path).ok_or_else(none)?;
    let taken = accepted(&headers, &uri);
    let held = target.instance(&site, &caller).await?;
    let turn = turn(&site.answers).await?;
    site.looked_at(&caller, &held);
    if path.top() == Some(tags::PIXEL_DATA) {
        let frames = frames::open(&site, held.clone()).await?;
        // Of native pixel data that are shorter than a frame the value is told as it is.
        if frames.count() > 0 {
            return frames::all(frames, &taken, turn);
        }
    }
    let native = TransferSyntaxUid::new(uids::EXPLICIT_LE);
    let Some((kind, parts)) = choose_bytes(&taken, &native, true) else {
        return Err(Problem::not_acceptable(format!("this is {BYTES}"), format!("send `Accept: {BYTES}`")));
    };
    let boundary = parts.then(boundary);
    let (found, finding) = oneshot::channel();
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    let (outlet, marks) = (site.outlet.clone(), boundary.clone());
    drop(tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut found = Some(found);
        let done = outlet.look(&held).and_then(|reader| {
            let send = |value: FoundValue, bytes: &mut dyn Read| {
                // Nobody there to be told is nobody to mind; the pieces below find the same.
                let _gone = found.take().map(|found| found.send(Ok(value)));
                let (open, close) = edges(marks.as_deref(), kind, None);
                push(&sender, open) && copy(&sender, bytes, value.length.into()) && push(&sender, close)
            };
            let find = find_value(reader, &held.transfer_syntax, &path, send);
            find.map_err(|source| OutletError::Header { instance: held.instance.clone(), source })
        });
        if let Some(found) = found {
            let _gone = found.send(Err(done.err()));
        }
    }));
    let value = match finding.await {
        Ok(Ok(value)) => value,
        Ok(Err(Some(error))) => return Err(error.into()),
        Ok(Err(None)) => return Err(none()),
        Err(_) => return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the value could not be read", "")),
    };
    Ok(match boundary {
        Some(boundary) => {
            let kind = format!("multipart/related; type=\"{kind}\"; boundary={boundary}");
            ([(header::CONTENT_TYPE, kind)], body(pieces)).into_response()
        }
        None => {
            let head = [(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_LENGTH, value.length.to_string())];
            (head, body(pieces)).into_response()
        }
    })
}

/// What stands before and behind the only part, or before the next and behind nothing.
pub(super) fn edges(boundary: Option<&str>, kind: &str, syntax: Option<&str>) -> (Bytes, Bytes) {
    let Some(boundary) = boundary else { return (Bytes::new(), Bytes::new()) };
    let syntax = syntax.map(|syntax| format!("; transfer-syntax={syntax}")).unwrap_or_default();
    let open = format!("\r\n--{boundary}\r\nContent-Type: {kind}{syntax}\r\n\r\n");
    (open.into(), format!("\r\n--{boundary}--\r\n").into())
}

/// What waits for the asker.
pub(super) type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Hands some bytes on; whether anybody still takes them.
pub(super) fn push(sender: &Pieces, bytes: Bytes) -> bool {
    bytes.is_empty() || sender.blocking_send(Ok(bytes)).is_ok()
}

/// Hands so many bytes of a reader on; whether that was done. What ends too soon breaks the answer off.
pub(super) fn copy(sender: &Pieces, reader: &mut dyn Read, length: u64) -> bool {
    let mut left = length;
    while left > 0 {
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        if let Err(error) = reader.read_exact(&mut piece) {
            tracing::warn!(%error, "an answer was broken off: the bytes of an instance cannot be read");
            let _gone = sender.blocking_send(Err(error));
            return false;
        }
        left -= piece.len() as u64;
        if !push(sender, piece.into()) {
            return false;
        }
    }
    true
}

/// Has a thread read pieces, for as long as anybody takes them.
pub(super) fn read_beside(turn: OwnedSemaphorePermit, read: impl FnOnce(&Pieces) + Send + 'static) -> Body {
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    drop(tokio::task::spawn_blocking(move || {
        let _turn = turn;
        read(&sender);
    }));
    body(pieces)
}

fn body(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Body {
    Body::from_stream(unfold(pieces, async |mut pieces| pieces.recv().await.map(|piece| (piece, pieces))))
}
