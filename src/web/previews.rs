//! Previews: a picture of an object, of the middle of a series, or of the first series of a study. Drawn when somebody
//! looks, kept on disk within a bound.

use std::sync::Arc;

use axum::extract::{Query as Parameters, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Web;
use super::answer::Refused;
use super::guard::Viewer;
use super::texts::shown;
use crate::catalog::{HeldInstance, Selection};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, is_image_class};
use crate::job::words;
use crate::picture::{Ask, Form, PictureError};
use crate::store::Digest;

/// Objects of a series, or a study, among which the one in the middle is looked for.
const LOOK: usize = 2000;
/// The edge of a preview, in pixels, where nothing else is asked for.
const EDGE: u16 = 128;
/// The largest.
const LARGEST: u16 = 2048;

/// Of what a picture is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    study: String,
    series: String,
    instance: String,
    frame: Option<u64>,
    size: Option<u16>,
}

/// What stands in a page where there is no picture.
const NONE: &str = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>\
    <path fill='#555' d='M0 0h16v16H0z'/><path stroke='#ccc' d='M5 8h6'/></svg>";

pub(super) async fn show(
    web: State<Arc<Web>>,
    viewer: Viewer,
    wanted: Parameters<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let in_a_page = headers.get("sec-fetch-dest").is_some_and(|place| place == "image");
    match picture(web, viewer, wanted).await {
        Err(_) if in_a_page => {
            let kind = HeaderValue::from_static("image/svg+xml");
            Ok(([(header::CONTENT_TYPE, kind)], NONE).into_response())
        }
        other => other,
    }
}

async fn picture(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Refused> {
    let object = find(&web, &wanted).await?;
    web.looked(&signed, object.study.as_str());
    let edge = wanted.size.unwrap_or(EDGE).clamp(16, LARGEST);
    let ask = Ask {
        frame: wanted.frame.unwrap_or(1).max(1),
        window: None,
        region: None,
        size: Some((edge, edge)),
        form: Form::Jpeg,
        quality: 85,
    };
    let picture = draw(&web, &object, &ask).await?;
    let kind = HeaderValue::from_static(ask.form.media_type());
    Ok(([(header::CONTENT_TYPE, kind)], picture).into_response())
}

/// A UID, if there is one.
fn named(uid: &str) -> impl Iterator<Item = &str> {
    Some(uid).filter(|uid| !uid.is_empty()).into_iter()
}

/// The object that stands for what was asked for.
async fn find(web: &Web, wanted: &Wanted) -> Result<HeldInstance, Refused> {
    let selection = Selection {
        patient_id: None,
        studies: named(&wanted.study).map(StudyInstanceUid::new).collect(),
        series: named(&wanted.series).map(SeriesInstanceUid::new).collect(),
        instances: named(&wanted.instance).map(SopInstanceUid::new).collect(),
    };
    if selection == Selection::default() {
        let remedy = "add `instance`, `series` or `study` with a UID";
        return Err(Refused::new(StatusCode::BAD_REQUEST, "it is not said of what a picture is wanted", remedy));
    }
    let found = web.catalog.select(&selection, LOOK).await?;
    let draws = |kind: usize| found.kinds.get(kind).is_some_and(|(class, _)| is_image_class(class.as_str()));
    let one = !wanted.instance.is_empty();
    let pictures: Vec<i64> =
        found.instances.iter().filter(|(_, kind)| one || draws(*kind)).map(|(id, _)| *id).collect();
    // The middle of a series shows more of it than its ends.
    let place = if wanted.series.is_empty() { 0 } else { pictures.len() / 2 };
    let none = || Refused::missing("nothing of that is here that could be drawn");
    let id = pictures.get(place).copied().ok_or_else(none)?;
    web.catalog.held(&[id]).await?.into_iter().next().ok_or_else(none)
}

async fn draw(web: &Web, object: &HeldInstance, ask: &Ask) -> Result<Vec<u8>, Refused> {
    let key: Digest = blake3::hash(name(object, ask).as_bytes()).into();
    let cache = web.previews.clone();
    let broken = |error: tokio::task::JoinError| {
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the preview could not be looked up: {error}"), "")
    };
    let kept = tokio::task::spawn_blocking(move || cache.get(&key)).await.map_err(broken)?;
    match kept {
        // What could not be drawn once is not tried again and again.
        Some(kept) if kept.is_empty() => return Err(refusal(object, None)),
        Some(kept) => return Ok(kept),
        None => {}
    }
    let drawn = web.pictures.frame(object, ask).await;
    let keep = match &drawn {
        Ok(picture) => Some(picture.bytes.clone()),
        Err(PictureError::Object { .. } | PictureError::Died | PictureError::Nonsense { .. }) => Some(Vec::new()),
        Err(_) => None,
    };
    if let Some(bytes) = keep {
        let cache = web.previews.clone();
        let put = tokio::task::spawn_blocking(move || cache.put(&key, &bytes)).await.map_err(broken)?;
        if let Err(error) = put {
            tracing::warn!(%error, "a preview cannot be kept: look at the folder `previews` beside the catalog");
        }
    }
    match drawn {
        Ok(picture) => Ok(picture.bytes),
        Err(error) => {
            tracing::info!(
                instance.uid = %object.instance, error = &error as &dyn std::error::Error, "an object was not drawn"
            );
            Err(refusal(object, Some(&error)))
        }
    }
}

/// Everything that the picture depends on.
fn name(object: &HeldInstance, ask: &Ask) -> String {
    let HeldInstance { instance, place, length, digest, shown, .. } = object;
    format!("1 {instance} {place} {length} {digest:?} {} {ask:?}", shown.correction)
}

fn refusal(object: &HeldInstance, error: Option<&PictureError>) -> Refused {
    let status = match error {
        Some(PictureError::Busy | PictureError::Silent { .. } | PictureError::Start(_)) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Some(PictureError::NoFrame { .. } | PictureError::Off) => StatusCode::NOT_FOUND,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let why = error.map_or_else(|| "it could not be drawn before, and is what it was".to_owned(), |e| words(e));
    let message = format!("no picture of object {}: {why}", shown("", object.instance.as_str()));
    Refused::new(status, message, error.map_or("", PictureError::remedy))
}
