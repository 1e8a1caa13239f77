//! C-MOVE and C-GET: one request, and everything that the source says until it ends.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::operation::{Operation, Step};
use super::watch::{Alive, Watch};
use super::{ScuError, Service, SourceSession, Store, get, quirks};
use crate::assoc::AssocError;
use crate::dataset::Elements;
use crate::dicom::{AeTitle, QueryLevel, SeriesInstanceUid, SopInstanceUid, Status, StudyInstanceUid, tags};
use crate::dimse::{Command, CommandField, Counters, DimseError};

/// The longest identifier of a response (a Failed SOP Instance UID List) that is taken: 65,535 UIDs and more.
const LONGEST_LIST: usize = 8 * 1024 * 1024;
/// An association that ends this soon after a C-MOVE-RQ, without a response, ended because of it.
const AT_ONCE: Duration = Duration::from_secs(10);

/// How objects are to come.
#[derive(Clone)]
pub enum Retrieve {
    /// Over associations of their own, to the receiver with this AE title.
    Move {
        /// The AE title that the source knows the receiver by.
        destination: AeTitle,
    },
    /// Over this association.
    Get(Store),
}

/// What to retrieve. The level follows: instances, else a series, else the study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retrieval {
    /// Patient ID: only needed by a source that has the Patient Root model alone.
    pub patient_id: Option<String>,
    /// The study.
    pub study: StudyInstanceUid,
    /// One series of it.
    pub series: Option<SeriesInstanceUid>,
    /// Some instances of that series.
    pub instances: Vec<SopInstanceUid>,
}

impl Retrieval {
    /// A whole study.
    pub fn study(study: StudyInstanceUid) -> Self {
        Retrieval { patient_id: None, study, series: None, instances: Vec::new() }
    }

    /// A whole series.
    pub fn series(study: StudyInstanceUid, series: SeriesInstanceUid) -> Self {
        Retrieval { patient_id: None, study, series: Some(series), instances: Vec::new() }
    }

    /// Some instances of a series.
    pub fn instances(study: StudyInstanceUid, series: SeriesInstanceUid, instances: Vec<SopInstanceUid>) -> Self {
        Retrieval { patient_id: None, study, series: Some(series), instances }
    }

    /// The level of the request.
    pub fn level(&self) -> QueryLevel {
        match (&self.series, self.instances.is_empty()) {
            (_, false) => QueryLevel::Image,
            (Some(_), true) => QueryLevel::Series,
            (None, true) => QueryLevel::Study,
        }
    }

    fn identifier(&self) -> Elements {
        let mut identifier = Elements::new();
        identifier.put(tags::QUERY_RETRIEVE_LEVEL, self.level().as_str());
        identifier.put(tags::STUDY_INSTANCE_UID, self.study.as_str());
        if let Some(patient_id) = &self.patient_id {
            identifier.put(tags::PATIENT_ID, patient_id);
        }
        if let Some(series) = &self.series {
            identifier.put(tags::SERIES_INSTANCE_UID, series.as_str());
        }
        if !self.instances.is_empty() {
            let uids: Vec<&str> = self.instances.iter().map(|uid| uid.as_str()).collect();
            identifier.put(tags::SOP_INSTANCE_UID, &uids.join("\\"));
        }
        identifier
    }
}

/// How long a retrieve may take.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Without a sign of life.
    pub idle: Duration,
    /// Altogether.
    pub total: Duration,
    /// When a sign of life was last seen elsewhere: the arrivals at the receiver.
    pub alive: &'a (dyn Fn() -> Instant + Send + Sync),
}

/// What the source said of a running retrieve, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The status of the response; pending for an object of a C-GET as well.
    pub status: Status,
    /// Sub-operation counters of the last response that had any.
    pub counters: Counters,
    /// Objects that came over this association (C-GET).
    pub received: u32,
}

/// How a retrieve ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrieveEnd {
    /// The final status as it came; FE00 when a cancel was ignored and the association aborted.
    pub status: Status,
    /// The counters of the final response; what it does not count, as last counted before.
    pub counters: Counters,
    /// Failed SOP Instance UID List.
    pub failed: Vec<SopInstanceUid>,
    /// Error Comment.
    pub comment: Option<String>,
    /// We cancelled it.
    pub cancelled: bool,
    /// Objects that came over this association (C-GET).
    pub received: u32,
}

impl SourceSession {
    /// Retrieves. `progress` is called for every response and for every object of a C-GET. A cancel is told to the
    /// source, which has [`super::CANCEL_PATIENCE`] to end before the association is aborted.
    pub async fn retrieve(
        &mut self,
        how: &Retrieve,
        what: &Retrieval,
        limits: Limits<'_>,
        progress: &mut (dyn FnMut(Progress) + Send),
        cancel: &CancellationToken,
    ) -> Result<RetrieveEnd, ScuError> {
        let (service, destination) = match how {
            Retrieve::Move { destination } => (Service::Move, Some(destination)),
            Retrieve::Get(_) => (Service::Get, None),
        };
        let doing = service.as_str();
        let context = self.context(service)?;
        let request = match destination {
            Some(destination) => Command::move_rq(0, context.class, destination.as_str()),
            None => Command::get_rq(0, context.class),
        };
        let identifier = what.identifier().write(context.encoding);
        let begun = Instant::now();
        let alive: Alive<'_> = limits.alive;
        let watch = Watch::new(cancel, limits.idle, limits.total, Some(alive));
        let operation = Operation::begin(self, doing, context, request, &identifier, watch).await?;
        let mut running = Running { operation, counters: Counters::default(), received: 0, heard: false };
        let store = match how {
            Retrieve::Get(store) => Some(store),
            Retrieve::Move { .. } => None,
        };
        let ended = running.run(store, progress).await;
        match (ended, destination) {
            (Err(ScuError::Broken { called, source, .. }), Some(destination))
                if !running.heard && begun.elapsed() < AT_ONCE && ended_by_peer(&source) =>
            {
                Err(ScuError::EndedAtMove { called, destination: destination.clone(), source })
            }
            (ended, _) => ended,
        }
    }
}

fn ended_by_peer(error: &DimseError) -> bool {
    matches!(
        error,
        DimseError::Association(AssocError::Aborted { .. } | AssocError::Closed | AssocError::Broken { .. })
    )
}

/// A retrieve that is running.
struct Running<'a> {
    operation: Operation<'a>,
    counters: Counters,
    received: u32,
    /// Any response came.
    heard: bool,
}

impl Running<'_> {
    async fn run(
        &mut self,
        store: Option<&Store>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<RetrieveEnd, ScuError> {
        loop {
            let Step::Got((context, command)) = self.operation.message().await? else {
                return Ok(self.aborted());
            };
            match (command.field, command.status, store) {
                (CommandField::CStoreRq, _, Some(store)) => {
                    let Step::Got(()) = get::sub_operation(&mut self.operation, context, &command, store).await? else {
                        return Ok(self.aborted());
                    };
                    self.received = self.received.saturating_add(1);
                    progress(self.progress(Status::PENDING));
                }
                (CommandField::CMoveRsp | CommandField::CGetRsp, Some(status), _) => {
                    self.heard = true;
                    let Step::Got(list) = self.operation.identifier(&command, LONGEST_LIST).await? else {
                        return Ok(self.aborted());
                    };
                    self.count(command.counters);
                    progress(self.progress(status));
                    if !status.is_pending() {
                        self.operation.source.done();
                        return Ok(self.end(status, command.comment, &list));
                    }
                }
                (field, ..) => {
                    return Err(self.operation.unexpected(format!("{field:?} in answer")).await);
                }
            }
        }
    }

    /// Counters are optional in every response, so that the last word on each counts.
    fn count(&mut self, latest: Counters) {
        let known = &mut self.counters;
        known.remaining = latest.remaining.or(known.remaining);
        known.completed = latest.completed.or(known.completed);
        known.failed = latest.failed.or(known.failed);
        known.warning = latest.warning.or(known.warning);
    }

    fn progress(&self, status: Status) -> Progress {
        Progress { status, counters: self.counters, received: self.received }
    }

    fn end(&self, status: Status, comment: Option<String>, list: &[u8]) -> RetrieveEnd {
        let (list, _damage) = Elements::read_lenient(list, self.operation.context.encoding);
        let uids = list.bytes(tags::FAILED_SOP_INSTANCE_UID_LIST).unwrap_or_default();
        let failed = uids.split(|&b| b == b'\\').map(SopInstanceUid::from_bytes).filter(|uid| !uid.is_empty());
        RetrieveEnd {
            status,
            counters: self.counters,
            failed: failed.collect(),
            comment,
            // A source that was just done when the cancel came has done it all.
            cancelled: self.operation.watch.is_cancelled() && quirks::is_answer_to_cancel(status),
            received: self.received,
        }
    }

    fn aborted(&self) -> RetrieveEnd {
        RetrieveEnd {
            status: Status::CANCEL,
            counters: self.counters,
            failed: Vec::new(),
            comment: None,
            cancelled: true,
            received: self.received,
        }
    }
}
