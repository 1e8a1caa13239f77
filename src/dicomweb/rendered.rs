//! Rendered resources (PS3.18 §10.4.1.1.3): pictures of an instance, of frames of it, or of all instances of a series or a
//! study that are images, as JPEG or PNG. A picture alone comes as it is, several as parts.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::{Range, accepted};
use super::answer::{Problem, Viewer};
use super::bulk::edges;
use super::find::{Target, etag, is_known};
use super::frames::List;
use super::media::boundary;
use super::retrieve::{CACHED, partly};
use super::wanted::Drawn;
use super::{Caller, Site, turn};
use crate::catalog::HeldInstance;
use crate::dicom::is_image_class;
use crate::picture::{Ask, Form, PictureError};

/// The most pictures of one answer.
const MOST: usize = 10_000;

pub(super) async fn frames(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(target): Path<Target>,
    Path(list): Path<List>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let numbers = list.numbers(MOST)?;
    let drawn = Drawn::read(&uri)?;
    let held = target.instance(&site, &caller).await?;
    let turn = turn(&site.answers).await?;
    site.looked_at(&caller, &held);
    let all = numbers.into_iter().map(|frame| (held.clone(), Ask { frame, ..drawn.ask })).collect();
    answer(&site, all, &accepted(&headers, &uri), &headers, turn).await
}

pub(super) async fn objects(
    State(site): State<Arc<Site>>,
    Viewer(caller): Viewer,
    Path(target): Path<Target>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let drawn = Drawn::read(&uri)?;
    let (selected, missing) = target.find(&site, &caller).await?;
    let turn = turn(&site.answers).await?;
    let one = target.instance.is_some();
    let draws = |kind: usize| selected.kinds.get(kind).is_some_and(|(class, _)| is_image_class(class.as_str()));
    let ids: Vec<i64> = selected.instances.iter().filter(|(_, kind)| one || draws(*kind)).map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Err(Problem::missing("nothing of that is an image"));
    }
    if ids.len() > MOST {
        let what = format!("these are more than {MOST} images");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what, "ask for its series one by one"));
    }
    let held = site.catalog.held(&ids).await?;
    if let Some(first) = held.first() {
        site.looked_at(&caller, first);
    }
    let all = held.into_iter().map(|held| (held, drawn.ask)).collect();
    let answer = answer(&site, all, &accepted(&headers, &uri), &headers, turn).await?;
    Ok(match missing {
        Some(why) => partly(answer, &why),
        None => answer,
    })
}

/// One picture as the old service asks for it.
pub(super) async fn alone(
    site: &Arc<Site>,
    caller: &Caller,
    target: &Target,
    drawn: Drawn,
    taken: &[Range],
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let held = target.instance(site, caller).await?;
    let turn = turn(&site.answers).await?;
    site.looked_at(caller, &held);
    answer(site, vec![(held, drawn.ask)], taken, headers, turn).await
}

/// As what pictures are taken, and whether as parts.
fn choose(taken: &[Range], several: bool) -> Option<(Form, bool)> {
    let form = |range: &Range, form: Form| {
        let alone = range.takes(form.media_type());
        // Several of them cannot come but as parts, whatever is said.
        (alone || range.takes_parts(form.media_type())).then_some((form, several || !alone))
    };
    taken.iter().find_map(|range| [Form::Jpeg, Form::Png].into_iter().find_map(|kind| form(range, kind)))
}

async fn answer(
    site: &Arc<Site>,
    mut wanted: Vec<(HeldInstance, Ask)>,
    taken: &[Range],
    headers: &HeaderMap,
    turn: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let Some((form, parts)) = choose(taken, wanted.len() > 1) else {
        let remedy = "send `Accept: image/jpeg` or `Accept: image/png`";
        return Err(Problem::not_acceptable("pictures are made as JPEG and as PNG", remedy));
    };
    wanted.iter_mut().for_each(|(_, ask)| ask.form = form);
    let held: Vec<HeldInstance> = wanted.iter().map(|(held, _)| held.clone()).collect();
    let asks: Vec<Ask> = wanted.iter().map(|(_, ask)| *ask).collect();
    let tag = etag(&held, &format!("rendered {parts} {asks:?}"));
    if is_known(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let boundary = parts.then(boundary);
    let kind = match &boundary {
        Some(boundary) => format!("multipart/related; type=\"{}\"; boundary={boundary}", form.media_type()),
        None => form.media_type().to_owned(),
    };
    let (open, close) = edges(boundary.as_deref(), form.media_type(), None);
    let wanted = VecDeque::from(wanted);
    let (site, ready, missing) = (Arc::clone(site), VecDeque::new(), None);
    let mut gallery = Gallery { site, ready, wanted, open, close: Some(close), missing, _turn: turn };
    // Whether there is one at all is said before the answer begins.
    let first = gallery.next().await?.unwrap_or_default();
    if gallery.close.is_none() {
        return Err(gallery.missing.map_or_else(|| Problem::missing("nothing was asked for"), Problem::from));
    }
    gallery.ready.push_front(first);
    let missing = gallery.missing.take();
    let mut response = ([(header::CONTENT_TYPE, kind)], gallery.body()).into_response();
    if let Some(error) = missing {
        return Ok(partly(response, &format!("some instances have no picture: {error}")));
    }
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(header::ETAG, tag);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    }
    Ok(response)
}

/// The pictures of an answer, drawn as they are taken.
struct Gallery {
    site: Arc<Site>,
    ready: VecDeque<Bytes>,
    wanted: VecDeque<(HeldInstance, Ask)>,
    open: Bytes,
    close: Option<Bytes>,
    /// Why the last one is missing that cannot be drawn.
    missing: Option<PictureError>,
    _turn: OwnedSemaphorePermit,
}

impl Gallery {
    fn body(self) -> Body {
        Body::from_stream(unfold(Some(self), async |gallery| {
            let mut gallery = gallery?;
            match gallery.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(gallery))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    /// What comes next; `None` at the end. One that cannot be drawn is left out: it costs one picture. One that may be
    /// drawn another time breaks the answer off, so that nobody keeps it for everything.
    async fn next(&mut self) -> Result<Option<Bytes>, PictureError> {
        if let Some(bytes) = self.ready.pop_front() {
            return Ok(Some(bytes));
        }
        while let Some((held, ask)) = self.wanted.pop_front() {
            let error = match self.site.pictures.frame(&held, &ask).await {
                Ok(drawn) => {
                    self.ready.push_back(drawn.bytes.into());
                    return Ok(Some(self.open.clone()));
                }
                Err(error) => error,
            };
            tracing::warn!(
                instance.uid = %held.instance, error = &error as &dyn std::error::Error, remedy = error.remedy(),
                "a picture is missing from an answer"
            );
            if !error.lasts() {
                return Err(error);
            }
            self.missing = Some(error);
        }
        Ok(self.close.take())
    }
}

impl From<PictureError> for Problem {
    fn from(error: PictureError) -> Problem {
        let status = match error {
            PictureError::Source(error) => return Problem::from(error),
            PictureError::NoFrame { .. } => StatusCode::NOT_FOUND,
            PictureError::Busy | PictureError::Silent { .. } | PictureError::Start(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            PictureError::Object { .. } | PictureError::Died | PictureError::Nonsense { .. } | PictureError::Off => {
                StatusCode::NOT_ACCEPTABLE
            }
        };
        Problem::new(status, format!("there is no picture of the instance: {error}"), error.remedy())
    }
}
