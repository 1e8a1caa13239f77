//! C-MOVE as a sample PACS performs it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::archive::SampleObject;
use super::deliver::{Delivering, Outcome, shares};
use super::find::{cancelled_within, identifier};
use super::log::Event;
use super::profile::{CancelPolicy, Profile, UnknownDestination};
use super::retrieve::{Tally, request, resolve};
use super::session::{MESSAGE, Next, lost, reply};
use super::shared::Shared;
use crate::dicom::{AeTitle, Encoding, Status, StudyInstanceUid};
use crate::dimse::{Command, DimseError, Session};

/// How long silence, or a stream of pending responses, lasts at most.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

pub(crate) async fn serve(session: &mut Session, context: u8, command: &Command, shared: &Arc<Shared>) -> Next {
    let id = session.association().id();
    let profile = shared.profile();
    let (keys, encoding) = match identifier(session, context).await {
        Ok(identifier) => identifier,
        Err(error) => return Next::Over(lost(&error)),
    };
    let wanted = request(&keys, Some(command.destination.clone().unwrap_or_default()));
    shared.note(id, Event::Retrieve(wanted.clone()));
    let name = wanted.destination.clone().unwrap_or_default();
    let to = AeTitle::new(&name).ok().and_then(|ae| shared.destination(ae.as_str()).map(|address| (ae, address)));
    let Some((destination, address)) = to else {
        return match profile.unknown_destination {
            UnknownDestination::Refused => {
                end(session, context, command, Status::MOVE_DESTINATION_UNKNOWN, shared).await
            }
            UnknownDestination::Aborted => Next::Abort,
            UnknownDestination::Silence => silence(session).await,
        };
    };
    let objects = match resolve(&wanted, &profile, shared) {
        Ok(objects) => objects,
        Err(status) => return end(session, context, command, status, shared).await,
    };
    let studies: Vec<StudyInstanceUid> = wanted.studies.iter().map(|uid| StudyInstanceUid::new(uid)).collect();
    if studies.iter().any(|study| shared.retrieves(study) < profile.empty_successes) {
        studies.iter().for_each(|study| shared.retrieved(study));
        return nothing_done(session, context, command, &profile, shared).await;
    }
    let caller = session.association().peer().calling.clone();
    let breaks = profile.abort_after.filter(|after| !objects.is_empty() && shared.may_break_off(after.times));
    let spread = profile.final_first.map(|time| time / u32::try_from(objects.len().max(1)).unwrap_or(u32::MAX));
    let delivering = Delivering {
        shared: Arc::clone(shared),
        destination,
        address,
        originator: profile.originator.then_some((caller, command.message_id)),
        stop: CancellationToken::new(),
        break_off: CancellationToken::new(),
        abort_after: breaks.map(|after| after.objects),
        sent: AtomicUsize::new(0),
        pause: spread.unwrap_or(profile.store_pause),
        profile,
    };
    let mut retrieval = Retrieval {
        session,
        context,
        command: command.clone(),
        encoding,
        tally: Tally { total: objects.len(), ..Tally::default() },
        delivering: Arc::new(delivering),
        cancelled: None,
    };
    let ended = retrieval.run(objects).await;
    studies.iter().for_each(|study| shared.retrieved(study));
    match ended {
        Ok(Some(status)) => {
            shared.note(id, Event::RetrieveEnded { status });
            Next::Goes
        }
        Ok(None) => Next::Abort,
        Err(error) => Next::Over(lost(&error)),
    }
}

/// Ends a retrieve before it has begun.
async fn end(session: &mut Session, context: u8, command: &Command, status: Status, shared: &Shared) -> Next {
    shared.note(session.association().id(), Event::RetrieveEnded { status });
    reply(session, context, &Command::response(command, status)).await
}

/// Says success, and that there was nothing to do.
async fn nothing_done(
    session: &mut Session,
    context: u8,
    command: &Command,
    profile: &Profile,
    shared: &Shared,
) -> Next {
    shared.note(session.association().id(), Event::RetrieveEnded { status: Status::SUCCESS });
    let (response, _) = Tally::default().last(command, Status::SUCCESS, profile, Encoding::ImplicitLe);
    reply(session, context, &response).await
}

/// Says nothing, to cancels neither.
async fn silence(session: &mut Session) -> Next {
    loop {
        match cancelled_within(session, LONGEST_WAIT).await {
            Ok(true) => {}
            Ok(false) => return Next::Abort,
            Err(error) => return Next::Over(lost(&error)),
        }
    }
}

/// A C-MOVE that is being performed.
struct Retrieval<'a> {
    session: &'a mut Session,
    context: u8,
    command: Command,
    encoding: Encoding,
    tally: Tally,
    delivering: Arc<Delivering>,
    /// When a C-CANCEL that counts takes effect.
    cancelled: Option<Instant>,
}

/// What may happen next while objects are delivered.
enum Happens {
    Ended(Option<Outcome>),
    Cancel(Result<bool, DimseError>),
    CancelDue,
    BrokenOff,
}

impl Retrieval<'_> {
    fn profile(&self) -> &Profile {
        &self.delivering.profile
    }

    /// The status that was sent; `None` when the association is to be aborted.
    async fn run(&mut self, objects: Vec<SampleObject>) -> Result<Option<Status>, DimseError> {
        if let Some(interval) = self.profile().pending_forever {
            return self.pending_forever(interval).await;
        }
        if !self.profile().silence.is_zero() && self.wait(self.profile().silence).await? {
            return self.finish(true).await.map(Some);
        }
        let (sender, outcomes) = mpsc::channel(16);
        let tasks = self.delivering.shared.tasks.clone();
        let deliveries = tasks.spawn(deliver_all(Arc::clone(&self.delivering), objects, sender));
        if self.profile().final_first.is_some() {
            // They go on by themselves, with nobody to tell; the channel is closed, which they do not mind.
            self.tally.completed = self.tally.total;
            return self.finish(false).await.map(Some);
        }
        let ended = self.follow(outcomes).await;
        let goes_on = matches!(self.profile().cancel, CancelPolicy::Ignored) && ended.is_err();
        if !goes_on {
            self.delivering.stop.cancel();
            // The object that is under way is finished; a panic in the task was printed.
            let _ = deliveries.await;
        }
        match ended? {
            Followed::Done { cancelled } => self.finish(cancelled).await.map(Some),
            Followed::BrokenOff => Ok(None),
        }
    }

    /// Reports progress until all is delivered, it was cancelled or broken off.
    async fn follow(&mut self, mut outcomes: mpsc::Receiver<Outcome>) -> Result<Followed, DimseError> {
        loop {
            let due = self.cancelled;
            let happens = tokio::select! {
                biased;
                () = self.delivering.break_off.cancelled() => Happens::BrokenOff,
                () = async { tokio::time::sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => Happens::CancelDue,
                cancel = cancelled_within(self.session, LONGEST_WAIT) => Happens::Cancel(cancel),
                outcome = outcomes.recv() => Happens::Ended(outcome),
            };
            match happens {
                Happens::BrokenOff => return Ok(Followed::BrokenOff),
                Happens::CancelDue => return Ok(Followed::Done { cancelled: true }),
                Happens::Cancel(cancel) => {
                    if cancel? {
                        self.cancel();
                    }
                }
                Happens::Ended(None) => return Ok(Followed::Done { cancelled: false }),
                Happens::Ended(Some((instance, status))) => {
                    self.tally.add(instance, status);
                    if self.profile().pendings {
                        self.send_pending().await?;
                    }
                }
            }
        }
    }

    fn cancel(&mut self) {
        self.delivering.shared.note(self.session.association().id(), Event::Cancel);
        match self.profile().cancel {
            CancelPolicy::Obeyed => self.cancelled = Some(Instant::now()),
            CancelPolicy::Late(late) => self.cancelled = self.cancelled.or(Some(Instant::now() + late)),
            CancelPolicy::Ignored => {}
        }
    }

    /// Waits; whether a cancel took effect meanwhile.
    async fn wait(&mut self, time: Duration) -> Result<bool, DimseError> {
        let end = Instant::now() + time;
        loop {
            let until = self.cancelled.map_or(end, |due| due.min(end));
            let now = Instant::now();
            if now >= until {
                return Ok(self.cancelled.is_some_and(|due| due <= now));
            }
            if cancelled_within(self.session, until - now).await? {
                self.cancel();
            }
        }
    }

    async fn pending_forever(&mut self, interval: Duration) -> Result<Option<Status>, DimseError> {
        let end = Instant::now() + LONGEST_WAIT;
        while Instant::now() < end {
            self.send_pending().await?;
            if self.wait(interval).await? {
                return self.finish(true).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn send_pending(&mut self) -> Result<(), DimseError> {
        let response = self.tally.pending(&self.command, &self.delivering.profile);
        self.session.send(self.context, &response, None, MESSAGE).await
    }

    async fn finish(&mut self, cancelled: bool) -> Result<Status, DimseError> {
        let profile = &self.delivering.profile;
        let status = self.tally.status(cancelled, profile);
        let (response, identifier) = self.tally.last(&self.command, status, profile, self.encoding);
        self.session.send(self.context, &response, identifier.as_deref(), MESSAGE).await?;
        Ok(status)
    }
}

enum Followed {
    Done { cancelled: bool },
    BrokenOff,
}

/// Delivers the shares, as many at once as the profile allows. The channel closes when all have ended.
async fn deliver_all(delivering: Arc<Delivering>, objects: Vec<SampleObject>, outcomes: mpsc::Sender<Outcome>) {
    let mut open = JoinSet::new();
    for share in shares(objects, &delivering.profile) {
        while open.len() >= delivering.profile.parallel_stores.max(1) {
            open.join_next().await;
        }
        if delivering.stop.is_cancelled() || delivering.break_off.is_cancelled() {
            break;
        }
        let (delivering, outcomes) = (Arc::clone(&delivering), outcomes.clone());
        open.spawn(async move { delivering.deliver(share, outcomes).await });
    }
    open.join_all().await;
}
