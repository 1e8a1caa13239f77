//! What waits for the filing thread, bounded by permits: an object holds one from before its first byte is read until
//! it is settled.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use super::IntakeError;
use super::compare::Verdict;
use crate::catalog::Recorded;
use crate::dataset::CharacterSet;
use crate::dicom::SopInstanceUid;
use crate::object::Origin;
use crate::store::{Destination, Filed, Incoming, Link, Place, RelativePath};

/// Objects between their first byte and their row, each an open file.
const QUEUED: usize = 256;

/// Whoever waits for an object.
pub(super) type Reply = oneshot::Sender<Result<Recorded, IntakeError>>;

/// An object on its way to its row.
pub(super) struct Item {
    pub(super) incoming: Incoming,
    pub(super) ticket: Ticket,
}

/// What goes with an object, whatever becomes of its bytes.
pub(super) struct Ticket {
    pub(super) charset: CharacterSet,
    /// What a comparison with what is filed has found.
    pub(super) verdict: Option<Verdict>,
    /// The file that it was copied from, if a copy was asked for: a link to the same bytes gives way to it then.
    pub(super) copied: Option<Link>,
    /// How often the catalog has refused it.
    pub(super) refused: u32,
    /// Since when another process has had its UID.
    pub(super) locked_since: Option<Instant>,
    reply: Option<Reply>,
    _permit: Option<OwnedSemaphorePermit>,
    turn: Option<Turn>,
}

/// What the filing thread is told.
pub(super) enum Message {
    /// A new object.
    Item(Box<Item>),
    /// One for which something had to be found out, unless that failed and it has been answered for.
    Back(Option<Box<Item>>),
    /// A batch is recorded, or has failed.
    Done(Done),
    /// Finish what is queued, then end.
    Close,
}

/// What became of a batch.
pub(super) struct Done {
    /// Objects with these UIDs may follow.
    pub(super) uids: Vec<SopInstanceUid>,
    /// What the catalog did not accept where it was settled.
    pub(super) refused: Vec<(Ticket, Back)>,
    /// By which the store knows it, unless it is left to the sweep.
    pub(super) number: Option<u64>,
}

/// What is needed to take an object back that the catalog refused.
pub(super) struct Back {
    pub(super) uid: SopInstanceUid,
    pub(super) bytes: OwnBytes,
}

/// The bytes of an object that has been settled.
pub(super) enum OwnBytes {
    /// It has none: it repeats what is filed.
    None,
    /// Under their final name.
    Filed(RelativePath, Origin),
    /// Where they were before.
    There(Box<Incoming>),
}

impl Back {
    pub(super) fn of(filed: &Filed, before: Before) -> Back {
        let bytes = match (filed.destination(), filed.place(), before) {
            (Destination::Discard { .. }, ..) => OwnBytes::None,
            (_, _, Before::There(incoming)) => OwnBytes::There(incoming),
            (_, Place::Stored(place), Before::Origin(origin)) => OwnBytes::Filed(place.clone(), origin),
            (_, Place::Linked(_), Before::Origin(_)) => OwnBytes::None,
        };
        Back { uid: filed.identity().instance.clone(), bytes }
    }
}

/// What must be known of an object before it is settled, to take it back.
pub(super) enum Before {
    /// Who sent it.
    Origin(Origin),
    /// All of it, since its bytes stay where they are.
    There(Box<Incoming>),
}

impl Before {
    pub(super) fn of(incoming: &Incoming) -> Before {
        incoming.again().map_or_else(|| Before::Origin(incoming.origin.clone()), |again| Before::There(Box::new(again)))
    }
}

/// The way to the filing thread.
pub(super) struct Inbox {
    sender: Sender<Message>,
    permits: Arc<Semaphore>,
    closed: AtomicBool,
    turns: Arc<Turns>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Item {
    pub(super) fn new(
        incoming: Incoming,
        charset: CharacterSet,
        reply: Option<Reply>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Item {
        Item {
            incoming,
            ticket: Ticket {
                charset,
                verdict: None,
                copied: None,
                refused: 0,
                locked_since: None,
                reply,
                _permit: permit,
                turn: None,
            },
        }
    }
}

impl Ticket {
    /// Tells whoever waits. When nobody does, a failure is told to the log: the source still has the object.
    pub(super) fn answer(self, uid: &SopInstanceUid, outcome: Result<Recorded, IntakeError>) {
        if matches!(outcome, Ok(Recorded::Collision)) {
            tracing::warn!(
                sop_instance.uid = %uid,
                "kept in quarantine: another object with this UID is filed; `pacsferry quarantine show UID` names both"
            );
        }
        match (self.reply, outcome) {
            // The association may be gone by now; the outcome is in the catalog all the same.
            (Some(reply), outcome) => drop(reply.send(outcome)),
            (None, Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(sop.uid = %uid, %error, cause, "an object that was received could not be filed");
            }
            (None, Ok(_)) => {}
        }
    }
}

impl Inbox {
    pub(super) fn new() -> (Inbox, Receiver<Message>) {
        // Its length is bounded by the permits, so that no sender ever waits for it, and none can wait in a circle.
        let (sender, receiver) = channel();
        let permits = Arc::new(Semaphore::new(QUEUED));
        let inbox =
            Inbox { sender, permits, closed: AtomicBool::new(false), turns: Arc::default(), thread: Mutex::new(None) };
        (inbox, receiver)
    }

    pub(super) fn sender(&self) -> Sender<Message> {
        self.sender.clone()
    }

    pub(super) fn runs(&self, thread: JoinHandle<()>) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    /// Whether anything more is taken in.
    pub(super) fn check_open(&self) -> Result<(), IntakeError> {
        if self.closed.load(Ordering::Acquire) { Err(IntakeError::Closed) } else { Ok(()) }
    }

    /// Waits for room for one more object.
    pub(super) async fn permit(&self) -> Result<Option<OwnedSemaphorePermit>, IntakeError> {
        self.check_open()?;
        Arc::clone(&self.permits).acquire_owned().await.map(Some).map_err(|_| IntakeError::Closed)
    }

    pub(super) fn put(&self, mut item: Item) -> Result<(), IntakeError> {
        item.ticket.turn = Some(self.turns.begin());
        self.send(Message::Item(Box::new(item)))
    }

    /// Waits until everything that was put before is answered; what comes later is not waited for.
    pub(super) async fn flush(&self) {
        let mark = self.turns.next.load(Ordering::SeqCst);
        loop {
            // Asked for before looking, so that an end in between is not missed.
            let ended = self.turns.ended.notified();
            if self.turns.lock().first().is_none_or(|first| *first >= mark) {
                return;
            }
            ended.await;
        }
    }

    /// Asks the thread to end, and waits for it.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // An error means that it has ended.
        let _ = self.sender.send(Message::Close);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the thread has ended the process.
            let _ = thread.join();
        }
    }

    fn send(&self, message: Message) -> Result<(), IntakeError> {
        self.sender.send(message).map_err(|_| IntakeError::Closed)
    }
}

/// The objects that are on their way, in the order in which they were put.
#[derive(Default)]
struct Turns {
    next: AtomicU64,
    open: Mutex<BTreeSet<u64>>,
    ended: Notify,
}

/// The turn of one object; it ends with the ticket, that is when the object is answered for.
struct Turn {
    number: u64,
    turns: Arc<Turns>,
}

impl Turns {
    fn begin(self: &Arc<Self>) -> Turn {
        let mut open = self.lock();
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        open.insert(number);
        Turn { number, turns: Arc::clone(self) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.number);
        self.turns.ended.notify_waiters();
    }
}

/// The threads end with the last handle; nobody waits for them here, since this may be an async task.
impl Drop for Inbox {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::Close);
    }
}
