//! The filing thread.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::IntakeError;
use super::compare::{self, Errand};
use super::decide::{Decision, decide, fault};
use super::inbox::{Back, Before, Inbox, Item, Message, OwnBytes, Ticket};
use super::settling::{Batch, Settler, Settling};
use crate::catalog::{Catalog, Copy, UidLocks};
use crate::dicom::SopInstanceUid;
use crate::failpoint;
use crate::store::{Store, StoreError};

/// The most objects in a batch.
const BATCH: usize = 512;
/// How many objects are worth a batch of their own while the one before is being recorded. Fewer wait for that: they
/// and whatever joins them cost one flush and one commit.
const WORTH: usize = 16;
/// Batches that may be on their way to the catalog while the next one is decided.
const RECORDING: usize = 3;
/// How often an object is settled again because the catalog changed under its UID.
const REFUSALS: u32 = 3;
/// How soon an object is looked at again whose UID another process is filing.
pub(super) const LOCKED: Duration = Duration::from_millis(5);
/// How long it is waited for such a process: one that stands still would keep a sender for ever.
pub(super) const LONGEST_LOCK: Duration = Duration::from_secs(if cfg!(test) { 8 } else { 60 });

/// Starts the threads.
pub(super) fn start(store: Store, catalog: Catalog, process: Arc<str>) -> Result<Inbox, IntakeError> {
    let (inbox, messages) = Inbox::new();
    let (to_errands, errands) = channel();
    let (its_store, its_catalog, back) = (store.clone(), catalog.clone(), inbox.sender());
    let comparing = spawn("compare", move || compare::run(&its_store, &its_catalog, &errands, &back))?;
    let locks = catalog.uid_locks()?;
    let settler = Settler { store: store.clone(), catalog: catalog.clone(), process, inbox: inbox.sender() };
    let settling = Settling::new(settler);
    let filing = Filing { store, catalog, locks, settling, errands: to_errands, state: State::default() };
    inbox.runs(spawn("file", move || filing.run(&messages, comparing))?);
    Ok(inbox)
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, IntakeError> {
    let guarded = move || {
        let _guard = DieWithMe;
        work();
    };
    let thread = Builder::new().name(name.to_owned()).stack_size(512 * 1024).spawn(guarded);
    thread.map_err(|error| {
        IntakeError::Store(StoreError::Io {
            doing: "start the thread to",
            what: name.to_owned(),
            source: Arc::new(error),
        })
    })
}

/// Objects would queue up for a thread that is gone, and nobody would notice: a panic there ends the process, which a
/// restart mends (I7).
struct DieWithMe;

impl Drop for DieWithMe {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

struct Filing {
    store: Store,
    catalog: Catalog,
    locks: UidLocks,
    settling: Settling,
    errands: Sender<Errand>,
    state: State,
}

/// What the filing thread keeps in mind.
#[derive(Default)]
struct State {
    /// For the next batch.
    ready: Vec<Item>,
    /// UIDs that are locked, settled and not yet recorded: whoever has one of them waits.
    in_flight: HashSet<SopInstanceUid>,
    waiting: Vec<Item>,
    /// Objects whose UID another process has locked.
    elsewhere: Vec<Item>,
    /// Objects for which something is being found out.
    away: usize,
    /// Batches that are being settled or recorded.
    recording: usize,
    closing: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.ready.is_empty()
            && self.waiting.is_empty()
            && self.elsewhere.is_empty()
            && self.away == 0
            && self.recording == 0
    }

    fn may_file(&self) -> bool {
        match self.recording {
            0 => !self.ready.is_empty(),
            1..RECORDING => self.ready.len() >= WORTH,
            _ => false,
        }
    }
}

impl Filing {
    fn run(mut self, messages: &Receiver<Message>, comparing: JoinHandle<()>) {
        while self.collect(messages) {
            self.file();
        }
        drop(self);
        // A panic of the helper has ended the process.
        let _ = comparing.join();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Item(item) => self.state.ready.push(*item),
            Message::Back(item) => {
                self.state.away = self.state.away.saturating_sub(1);
                self.state.ready.extend(item.map(|item| *item));
            }
            Message::Done(done) => {
                self.state.recording = self.state.recording.saturating_sub(1);
                let mut settled = true;
                for (ticket, back) in done.refused {
                    settled &= self.take_back(ticket, back);
                }
                if let Some(number) = done.number.filter(|_| settled) {
                    self.store.recorded(number);
                }
                // Not before: what is taken back must be nobody else's.
                for uid in &done.uids {
                    self.state.in_flight.remove(uid);
                    self.release(uid);
                }
                self.state.ready.append(&mut self.state.waiting);
                self.state.ready.append(&mut self.state.elsewhere);
            }
            Message::Close => self.state.closing = true,
        }
    }

    /// Waits until there is something to file, then takes all that has queued up; `false` when there is nothing more
    /// to wait for.
    fn collect(&mut self, messages: &Receiver<Message>) -> bool {
        while !self.state.may_file() {
            if self.state.closing && self.state.is_idle() {
                return false;
            }
            let message = if self.state.elsewhere.is_empty() {
                messages.recv().map_err(RecvTimeoutError::from)
            } else {
                messages.recv_timeout(LOCKED)
            };
            match message {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => self.state.ready.append(&mut self.state.elsewhere),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.state.ready.len() < BATCH
            && let Ok(message) = messages.try_recv()
        {
            self.take(message);
        }
        true
    }

    /// One batch: decide, settle, and hand over to the catalog.
    fn file(&mut self) {
        let mut tickets = Vec::new();
        let mut to_settle = Vec::new();
        let mut uids = Vec::new();
        for mut item in std::mem::take(&mut self.state.ready) {
            let uid = item.incoming.identity.instance.clone();
            if self.state.in_flight.contains(&uid) {
                self.state.waiting.push(item);
                continue;
            }
            match self.locks.try_lock(&uid) {
                Ok(true) => item.ticket.locked_since = None,
                Ok(false) => {
                    let since = *item.ticket.locked_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < LONGEST_LOCK {
                        self.state.elsewhere.push(item);
                    } else {
                        let error = IntakeError::Locked { uid: uid.clone(), waited: LONGEST_LOCK };
                        item.ticket.answer(&uid, Err(error));
                    }
                    continue;
                }
                Err(error) => {
                    item.ticket.answer(&uid, Err(error.into()));
                    continue;
                }
            }
            let destination = match self.decide(&item) {
                Ok(Decision::Settle(destination)) => destination,
                Ok(Decision::Restore(place, destination)) => {
                    item.incoming.restores(place);
                    destination
                }
                Ok(Decision::First(chore)) => {
                    self.release(&uid);
                    self.state.away += 1;
                    // The thread that runs errands ends after this one.
                    let _ = self.errands.send(Errand { item, chore });
                    continue;
                }
                Err(error) => {
                    self.release(&uid);
                    item.ticket.answer(&uid, Err(error));
                    continue;
                }
            };
            self.state.in_flight.insert(uid.clone());
            uids.push(uid);
            let Item { incoming, ticket } = item;
            tickets.push((ticket, Before::of(&incoming)));
            to_settle.push((incoming, destination));
        }
        if to_settle.is_empty() {
            return;
        }
        failpoint!("intake-decided");
        self.state.recording += 1;
        self.settling.take(Batch { uids, tickets, to_settle });
    }

    /// Takes back what the catalog refused, to be settled again; `false` when bytes stay under a final name that the
    /// catalog does not know.
    fn take_back(&mut self, mut ticket: Ticket, back: Back) -> bool {
        ticket.refused += 1;
        ticket.verdict = None;
        let given_up = ticket.refused > REFUSALS;
        let (place, origin) = match back.bytes {
            OwnBytes::There(incoming) if !given_up => {
                self.state.ready.push(Item { incoming: *incoming, ticket });
                return true;
            }
            OwnBytes::Filed(place, origin) if !given_up => (place, origin),
            bytes => {
                ticket.answer(&back.uid, Err(IntakeError::Contested));
                return !matches!(bytes, OwnBytes::Filed(..));
            }
        };
        let charset = ticket.charset.clone();
        match self.store.take_back(&place, origin, &|_| charset.clone()) {
            Ok(incoming) => self.state.ready.push(Item { incoming, ticket }),
            Err(error) => {
                ticket.answer(&back.uid, Err(error.into()));
                return false;
            }
        }
        true
    }

    fn release(&self, uid: &SopInstanceUid) {
        if let Err(error) = self.locks.unlock(uid) {
            tracing::error!(sop.uid = %uid, %error, "other processes cannot file this UID until this one ends");
        }
    }

    fn decide(&self, item: &Item) -> Result<Decision, IntakeError> {
        let incoming = &item.incoming;
        // What goes to quarantine anyhow has nothing to do with what is filed under its UID. Where nothing lies in its
        // place, it is taken for new; the catalog refuses it should that be wrong, and then it is asked. A copy is often
        // made of what is linked, which has nothing in its place.
        let may_be_new = item.ticket.refused == 0
            && incoming.stays_at().is_none()
            && (item.ticket.copied.is_none() || !self.catalog.has_links()?);
        let new = fault(incoming).is_some() || may_be_new && !self.store.is_taken(incoming)?;
        let existing = if new { None } else { self.catalog.existing(&incoming.identity.instance)? };
        let (verdict, copied) = (item.ticket.verdict.as_ref(), item.ticket.copied.as_ref());
        decide(incoming, existing.as_ref(), verdict, copied, |copy| self.is_whole(copy))
    }

    fn is_whole(&self, copy: &Copy) -> Result<bool, IntakeError> {
        match self.store.open_data_set(&copy.place) {
            Ok((_, length)) => Ok(length == copy.length),
            Err(
                StoreError::Missing { .. }
                | StoreError::Damaged { .. }
                | StoreError::LinkChanged { .. }
                | StoreError::SourceUnreadable { .. },
            ) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
