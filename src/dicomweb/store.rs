//! STOW-RS (PS3.18 §10.5): objects that come as the parts of a request go through the one door in, and are durable when
//! the answer says so. What becomes of each is told of each.

mod outcome;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use axum::body::BodyDataStream;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::accept::range;
use super::address::base;
use super::answer::Problem;
use super::media::DICOM;
use super::multipart::{Event, Malformed, Splitter};
use super::part10::{Beginning, Begun};
use super::told::Told;
use super::{Caller, Site, turn};
use crate::audit::{Transfers, Way};
use crate::catalog::{CatalogError, Selection};
use crate::config::Privilege;
use crate::dicom::{Identity, SopClassUid, SopInstanceUid, Status, StudyInstanceUid};
use crate::intake::{IntakeError, Stored};
use crate::object::{FRAGMENTS_IN_FLIGHT, Fragment, ObjectStream, Origin};
use crate::scp::charset_of;
use outcome::{Outcome, Report};

/// Objects that wait for the disk while others come.
const WAITING: usize = 16;
/// So much of a request that is refused is read to its end.
const DRAINED: usize = 64 << 20;
/// The most parts of one request.
const MOST_PARTS: usize = 100_000;

pub(super) async fn any_study(
    State(site): State<Arc<Site>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    store(&site, &caller, None, request).await
}

pub(super) async fn this_study(
    State(site): State<Arc<Site>>,
    caller: Caller,
    Path(study): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    store(&site, &caller, Some(StudyInstanceUid::new(&study)), request).await
}

async fn store(
    site: &Arc<Site>,
    caller: &Caller,
    study: Option<StudyInstanceUid>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let answered = take_all(site, caller, study, &parts, &mut body).await;
    if answered.is_err() {
        // Whoever is not listened to any more does not hear why.
        let mut left = DRAINED;
        while let Some(Ok(bytes)) = body.next().await
            && bytes.len() < left
        {
            left -= bytes.len();
        }
    }
    answered
}

async fn take_all(
    site: &Arc<Site>,
    caller: &Caller,
    study: Option<StudyInstanceUid>,
    parts: &Parts,
    body: &mut BodyDataStream,
) -> Result<Response, Problem> {
    caller.must(Privilege::Store)?;
    let told = Told::alone(&parts.headers, &parts.uri)?;
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).and_then(range);
    let unsupported = || {
        let remedy = format!("send `Content-Type: multipart/related; type=\"{DICOM}\"; boundary=…`");
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "objects come as the parts of one request", remedy)
    };
    let kind = kind.filter(|kind| kind.kind == "multipart/related").ok_or_else(unsupported)?;
    if kind.parameter("type").is_some_and(|kind| !kind.eq_ignore_ascii_case(DICOM)) {
        return Err(unsupported());
    }
    let mut splitter = Splitter::new(kind.parameter("boundary").unwrap_or_default())
        .map_err(|error| Problem::bad(error.to_string()))?;
    let _turn = turn(&site.bringing).await?;
    let base = base(site, &parts.headers);
    let mut bringing = Bringing {
        site,
        caller,
        study,
        association: site.requests.fetch_add(1, Ordering::Relaxed),
        part: Part::Between,
        waiting: VecDeque::new(),
        report: Report::default(),
        audit: site.audit.transfers(Way::In, caller.party(), None),
    };
    let mut ended = false;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| Problem::bad(format!("the request breaks off: {error}")))?;
        splitter.push(&bytes);
        loop {
            match splitter.event() {
                Ok(Some(Event::End)) => ended = true,
                Ok(Some(event)) => bringing.take(event).await?,
                Ok(None) => break,
                Err(error) => return Err(bringing.broken(error).await),
            }
        }
    }
    // An object that has not come to its end leaves nothing behind.
    bringing.part = Part::Between;
    bringing.settle(0).await;
    if !ended {
        let what =
            format!("the request has no closing boundary; {} objects before were stored", bringing.report.stored());
        return Err(Problem::bad(what));
    }
    bringing.report.answer(&base, &told)
}

/// Where the request is.
enum Part {
    /// Between parts, or in one that is passed over.
    Between,
    /// At the beginning of a file.
    Begins(Beginning),
    /// In an object that is being stored.
    Flows(mpsc::Sender<Fragment>),
}

/// An object whose storing was begun.
struct Waiting {
    outcome: Outcome,
    identity: Arc<OnceLock<Identity>>,
    stored: JoinHandle<Result<Stored, IntakeError>>,
}

/// A request that brings objects.
struct Bringing<'a> {
    site: &'a Site,
    caller: &'a Caller,
    /// Where all of them have to belong.
    study: Option<StudyInstanceUid>,
    association: u64,
    part: Part,
    waiting: VecDeque<Waiting>,
    report: Report,
    audit: Transfers,
}

impl Bringing<'_> {
    async fn take(&mut self, event: Event) -> Result<(), Problem> {
        match event {
            Event::Part(kind) => {
                if self.report.len() + self.waiting.len() >= MOST_PARTS {
                    let what = format!("the request has more than {MOST_PARTS} parts");
                    return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what, "send it in several"));
                }
                let is_dicom = kind.is_empty() || range(&kind).is_some_and(|kind| kind.kind == DICOM);
                self.part = if is_dicom { Part::Begins(Beginning::default()) } else { Part::Between };
                if !is_dicom {
                    self.report.no_object();
                }
            }
            Event::Data(bytes) => self.data(bytes, false).await,
            Event::PartEnd => {
                self.data(Bytes::new(), true).await;
                if let Part::Flows(sender) = std::mem::replace(&mut self.part, Part::Between) {
                    let _closed = sender.send(Fragment::End).await;
                }
            }
            Event::End => {}
        }
        Ok(())
    }

    async fn data(&mut self, bytes: Bytes, ended: bool) {
        match &mut self.part {
            Part::Between => {}
            Part::Begins(beginning) => match beginning.take(&bytes, ended, self.study.is_some()) {
                Ok(None) => {}
                Ok(Some(begun)) => self.begin(begun).await,
                Err(error) => {
                    tracing::warn!(%error, "a part of a request is no DICOM file");
                    self.report.no_object();
                    self.part = Part::Between;
                }
            },
            // A closed channel means that the intake has failed, and says so below.
            Part::Flows(_) if bytes.is_empty() => {}
            Part::Flows(sender) => {
                let _closed = sender.send(Fragment::Data(bytes)).await;
            }
        }
    }

    /// An object says what it is.
    async fn begin(&mut self, begun: Begun) {
        self.settle(WAITING - 1).await;
        let text = |uid: Option<crate::dicom::Uid>| uid.map(|uid| uid.as_str().to_owned()).unwrap_or_default();
        let (class, instance) = (text(begun.meta.sop_class), text(begun.meta.sop_instance));
        let outcome = Outcome::new(class, instance);
        if self.study.is_some() && begun.study != self.study {
            // Not of the study that the request is about (PS3.18 §10.5.3).
            self.report.add(Outcome { status: Status::MISMATCH_REFUSED, ..outcome });
            self.part = Part::Between;
            return;
        }
        let (sender, fragments) = mpsc::channel(FRAGMENTS_IN_FLIGHT);
        let stream = ObjectStream {
            class: SopClassUid::new(&outcome.class),
            instance: SopInstanceUid::new(&outcome.instance),
            transfer_syntax: begun.transfer_syntax,
            origin: Origin {
                source: None,
                ae_title: self.caller.operator.name.clone(),
                address: self.caller.address,
                association: self.association,
            },
            fragments,
        };
        let identity = Arc::new(OnceLock::new());
        let (intake, known) = (self.site.intake.clone(), Arc::clone(&identity));
        let charset = charset_of(&self.site.config.borrow(), None);
        let stored = tokio::spawn(async move {
            let note = move |identity: &Identity| {
                let _first = known.set(identity.clone());
                false
            };
            intake.store(stream, charset, &note).await
        });
        self.waiting.push_back(Waiting { outcome, identity, stored });
        if !begun.data.is_empty() {
            let _closed = sender.send(Fragment::Data(begun.data)).await;
        }
        self.part = Part::Flows(sender);
    }

    /// Waits until no more than so many objects are under way.
    async fn settle(&mut self, most: usize) {
        while self.waiting.len() > most {
            let Some(Waiting { mut outcome, identity, stored }) = self.waiting.pop_front() else { return };
            let stored = stored.await.unwrap_or(Err(IntakeError::Closed));
            outcome.settle(&stored);
            let identity = identity.get();
            if let Some(identity) = identity {
                outcome.identify(identity);
                // Kept as it came, and whoever brought it hears that it is not whole.
                if outcome.status == Status::SUCCESS && self.is_cut(identity).await {
                    outcome.status = Status::MISMATCH_STORED;
                }
            }
            let study = identity.map_or("", |identity| identity.study.as_str());
            let failed = stored.is_err().then(|| format!("refused with status {}", outcome.status));
            match &stored {
                Ok(stored) => tracing::debug!(sop_instance.uid = outcome.instance, ?stored, "object received"),
                Err(failure) => tracing::error!(
                    sop_instance.uid = outcome.instance, status = %outcome.status,
                    error = failure as &dyn std::error::Error, "an object was refused"
                ),
            }
            self.audit.object(study, &outcome.class, failed.as_deref());
            self.site.meter.received();
            self.report.add(outcome);
        }
    }

    /// Whether an object that was stored ends too soon.
    async fn is_cut(&self, identity: &Identity) -> bool {
        let uid = &identity.instance;
        let (studies, instances) = (vec![identity.study.clone()], vec![uid.clone()]);
        let selection = Selection { studies, instances, ..Selection::default() };
        let looked = async {
            let selected = self.site.catalog.select(&selection, 1).await?;
            let ids: Vec<i64> = selected.instances.iter().map(|(id, _)| *id).collect();
            Ok::<_, CatalogError>(self.site.catalog.held(&ids).await?.pop())
        };
        let held = match looked.await {
            Ok(Some(held)) => held,
            // It was moved away by a correction, or replaced, and is another's.
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(%error, sop_instance.uid = %uid, "it could not be looked whether an object is whole");
                return false;
            }
        };
        let outlet = self.site.outlet.clone();
        match tokio::task::spawn_blocking(move || outlet.cut(&held)).await {
            Ok(Ok(None)) => false,
            Ok(Ok(Some(cut))) => {
                tracing::warn!(sop_instance.uid = %uid, at = cut.at, what = cut.what, "an object that was stored is cut off");
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(sop_instance.uid = %uid, error = &error as &dyn std::error::Error, "an object that was stored cannot be read");
                true
            }
            Err(error) => {
                tracing::warn!(%error, sop_instance.uid = %uid, "it could not be looked whether an object is whole");
                false
            }
        }
    }

    /// The request is no multipart any more. What came whole before that is kept.
    async fn broken(mut self, error: Malformed) -> Problem {
        // The same here.
        self.part = Part::Between;
        self.settle(0).await;
        Problem::bad(format!("the request is malformed: {error}; {} objects before were stored", self.report.stored()))
    }
}
