//! The filing thread, and the one that records behind it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::IntakeError;
use super::compare::{self, Comparison};
use super::decide::{Decision, decide, fault};
use super::inbox::{Inbox, Item, Message, Ticket};
use crate::catalog::{Catalog, CatalogError, Copy, NewInstance, Receipt, Recorded};
use crate::dicom::SopInstanceUid;
use crate::failpoint;
use crate::object::Origin;
use crate::store::{Destination, Filed, RelativePath, Store, StoreError};

/// The most objects in a batch.
const BATCH: usize = 128;
/// How often an object is settled again because the catalog changed under its UID.
const REFUSALS: u32 = 3;

/// Starts the threads.
pub(super) fn start(store: Store, catalog: Catalog, process: Arc<str>) -> Result<Inbox, IntakeError> {
    let (inbox, messages) = Inbox::new();
    let (to_record, batches) = sync_channel(0);
    let (to_compare, comparisons) = channel();
    let recorder = Recorder { store: store.clone(), catalog: catalog.clone(), process, inbox: inbox.sender() };
    let (comparing_store, back) = (store.clone(), inbox.sender());
    let helpers = vec![
        spawn("record", move || recorder.run(&batches))?,
        spawn("compare", move || compare::run(&comparing_store, &comparisons, &back))?,
    ];
    let filing = Filing { store, catalog, to_record, to_compare, state: State::default() };
    inbox.runs(spawn("file", move || filing.run(&messages, helpers))?);
    Ok(inbox)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, IntakeError> {
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
    to_record: SyncSender<Batch>,
    to_compare: Sender<Comparison>,
    state: State,
}

/// What the filing thread keeps in mind.
#[derive(Default)]
struct State {
    /// For the next batch.
    ready: Vec<Item>,
    /// UIDs that are settled and not yet recorded: whoever has one of them waits.
    in_flight: HashSet<SopInstanceUid>,
    waiting: Vec<Item>,
    /// Objects that are being compared.
    comparing: usize,
    closing: bool,
}

/// Settled objects on their way to the catalog.
struct Batch {
    number: Option<u64>,
    objects: Vec<(Ticket, Origin, Filed)>,
    /// All UIDs of the batch, those that failed as well.
    uids: Vec<SopInstanceUid>,
}

impl State {
    fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.in_flight.is_empty() && self.waiting.is_empty() && self.comparing == 0
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Item(item) => {
                if item.ticket.verdict.is_some() {
                    self.comparing = self.comparing.saturating_sub(1);
                }
                self.ready.push(*item);
            }
            Message::Done(uids) => {
                for uid in &uids {
                    self.in_flight.remove(uid);
                }
                self.ready.append(&mut self.waiting);
            }
            Message::Close => self.closing = true,
        }
    }
}

impl Filing {
    fn run(mut self, messages: &Receiver<Message>, helpers: Vec<JoinHandle<()>>) {
        loop {
            if self.state.closing && self.state.is_idle() {
                break;
            }
            if !self.collect(messages) {
                break;
            }
            if !self.state.ready.is_empty() {
                self.file();
            }
        }
        let Filing { to_record, to_compare, .. } = self;
        drop((to_record, to_compare));
        for helper in helpers {
            // A panic of a helper has ended the process.
            let _ = helper.join();
        }
    }

    /// Waits for something to do, then takes all that has queued up; `false` when nobody can send any more.
    fn collect(&mut self, messages: &Receiver<Message>) -> bool {
        if self.state.ready.is_empty() {
            match messages.recv() {
                Ok(message) => self.state.take(message),
                Err(_) => return false,
            }
        }
        while self.state.ready.len() < BATCH {
            match messages.try_recv() {
                Ok(message) => self.state.take(message),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return !self.state.ready.is_empty(),
            }
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
            let destination = match self.decide(&item) {
                Ok(Decision::Settle(destination)) => destination,
                Ok(Decision::Restore(place)) => {
                    item.incoming.restores(place);
                    Destination::Image
                }
                Ok(Decision::Compare(with)) => {
                    self.state.comparing += 1;
                    // The comparing thread ends after this one.
                    let _ = self.to_compare.send(Comparison { item, with });
                    continue;
                }
                Err(error) => {
                    item.ticket.answer(&uid, Err(error));
                    continue;
                }
            };
            self.state.in_flight.insert(uid.clone());
            uids.push(uid);
            let Item { incoming, ticket } = item;
            tickets.push((ticket, incoming.origin.clone()));
            to_settle.push((incoming, destination));
        }
        if to_settle.is_empty() {
            return;
        }
        failpoint!("intake-decided");
        let settled = self.store.settle(to_settle);
        let mut objects = Vec::with_capacity(tickets.len());
        for (((ticket, origin), outcome), uid) in tickets.into_iter().zip(settled.outcomes).zip(&uids) {
            match outcome {
                Ok(filed) => objects.push((ticket, origin, filed)),
                Err(error) => ticket.answer(uid, Err(error.into())),
            }
        }
        // Waits while the batch before the last one is being recorded; the recorder ends after this thread.
        let _ = self.to_record.send(Batch { number: settled.number, objects, uids });
    }

    fn decide(&self, item: &Item) -> Result<Decision, IntakeError> {
        let incoming = &item.incoming;
        // What goes to quarantine anyhow has nothing to do with what is filed under its UID. Where nothing lies in its
        // place, it is taken for new; the catalog refuses it should that be wrong, and then it is asked.
        let new = fault(incoming).is_some() || item.ticket.refused == 0 && !self.store.is_taken(incoming)?;
        let existing = if new { None } else { self.catalog.existing(&incoming.identity.instance)? };
        decide(incoming, existing.as_ref(), item.ticket.verdict.as_ref(), |copy| self.is_whole(copy))
    }

    fn is_whole(&self, copy: &Copy) -> Result<bool, IntakeError> {
        match self.store.open_data_set(&copy.place) {
            Ok((_, length)) => Ok(length == copy.length),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Records batches and tells whoever waits for them.
struct Recorder {
    store: Store,
    catalog: Catalog,
    process: Arc<str>,
    inbox: Sender<Message>,
}

impl Recorder {
    fn run(&self, batches: &Receiver<Batch>) {
        for batch in batches {
            let uids = self.record(batch);
            // The filing thread reads until nothing is in flight.
            let _ = self.inbox.send(Message::Done(uids));
        }
    }

    fn record(&self, batch: Batch) -> Vec<SopInstanceUid> {
        let Batch { number, objects, uids } = batch;
        let mut rows = Vec::with_capacity(objects.len());
        let mut tickets = Vec::with_capacity(objects.len());
        for (ticket, origin, filed) in objects {
            let kept = !matches!(filed.destination(), Destination::Discard { .. });
            let back = Back { origin, place: filed.place().clone(), uid: filed.identity().instance.clone(), kept };
            rows.push(NewInstance::of(&filed, Receipt::of(filed.origin(), &self.process)));
            tickets.push((ticket, back));
        }
        if rows.is_empty() {
            return uids;
        }
        failpoint!("record-begin");
        match self.catalog.record(rows) {
            Ok(outcomes) => {
                failpoint!("record-committed");
                let mut done = true;
                for ((ticket, back), outcome) in tickets.into_iter().zip(outcomes) {
                    done &= self.answer(ticket, back, outcome);
                }
                if let Some(number) = number.filter(|_| done) {
                    self.store.recorded(number);
                }
            }
            Err(error) => fail(tickets, &error),
        }
        failpoint!("record-answered");
        uids
    }

    /// `false` when bytes stay under a final name that the catalog does not know.
    fn answer(&self, mut ticket: Ticket, back: Back, outcome: Recorded) -> bool {
        if outcome != Recorded::Contested {
            ticket.answer(&back.uid, Ok(outcome));
            return true;
        }
        ticket.refused += 1;
        ticket.verdict = None;
        if ticket.refused > REFUSALS || !back.kept {
            ticket.answer(&back.uid, Err(IntakeError::Contested));
            return !back.kept;
        }
        let charset = ticket.charset.clone();
        match self.store.take_back(&back.place, back.origin, &|_| charset.clone()) {
            // The filing thread reads until nothing is in flight.
            Ok(incoming) => self.inbox.send(Message::Item(Box::new(Item { incoming, ticket }))).is_ok(),
            Err(error) => {
                ticket.answer(&back.uid, Err(error.into()));
                false
            }
        }
    }
}

/// What is needed to take an object back that the catalog refused.
struct Back {
    origin: Origin,
    place: RelativePath,
    uid: SopInstanceUid,
    /// Whether there are bytes of its own.
    kept: bool,
}

/// The bytes stay where they are: they are durable, the manifest names them, and the same object that comes again
/// finds them.
fn fail(tickets: Vec<(Ticket, Back)>, error: &CatalogError) {
    for (ticket, back) in tickets {
        ticket.answer(&back.uid, Err(error.clone().into()));
    }
}
