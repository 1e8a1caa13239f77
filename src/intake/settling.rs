//! From decided to recorded: a batch is settled, and handed over to the thread that writes the catalog. A small batch is
//! settled where it was decided, since whoever waits for it waits for every change of hands; large ones by threads of
//! their own, so that the next is written while the last one is synced.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::filing::spawn;
use super::inbox::{Back, Before, Done, Message, Ticket};
use crate::catalog::{Catalog, CatalogError, NewInstance, Receipt, Recorded};
use crate::dicom::SopInstanceUid;
use crate::failpoint;
use crate::store::{Destination, Incoming, Store};

/// From so many objects on a batch is a large one.
const LARGE: usize = 32;
/// Threads that settle large batches.
const THREADS: usize = 2;

/// A batch that is decided; the three lists are in the same order.
pub(super) struct Batch {
    /// Held until the batch is recorded.
    pub(super) uids: Vec<SopInstanceUid>,
    pub(super) tickets: Vec<(Ticket, Before)>,
    pub(super) to_settle: Vec<(Incoming, Destination)>,
}

/// Settles batches, wherever it stands.
#[derive(Clone)]
pub(super) struct Settler {
    pub(super) store: Store,
    pub(super) catalog: Catalog,
    pub(super) process: Arc<str>,
    pub(super) inbox: Sender<Message>,
}

/// The settler of the filing thread, and those beside it.
pub(super) struct Settling {
    settler: Settler,
    beside: Option<(Sender<Batch>, Vec<JoinHandle<()>>)>,
}

impl Settling {
    pub(super) fn new(settler: Settler) -> Settling {
        Settling { settler, beside: None }
    }

    /// Settles a batch, here or elsewhere. However it ends, the filing thread is told.
    pub(super) fn take(&mut self, batch: Batch) {
        if batch.to_settle.len() < LARGE {
            return self.settler.settle(batch);
        }
        if self.beside.is_none() {
            match self.start() {
                Ok(beside) => self.beside = Some(beside),
                Err(error) => {
                    tracing::warn!(%error, "large batches are settled one after the other");
                    return self.settler.settle(batch);
                }
            }
        }
        let back = match &self.beside {
            Some((sender, _)) => sender.send(batch).err().map(|refused| refused.0),
            None => Some(batch),
        };
        if let Some(batch) = back {
            self.settler.settle(batch);
        }
    }

    fn start(&self) -> Result<(Sender<Batch>, Vec<JoinHandle<()>>), super::IntakeError> {
        // Its length is bounded by the batches that may be on their way.
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let thread = |n| {
            let (settler, receiver) = (self.settler.clone(), Arc::clone(&receiver));
            spawn(&format!("settle-{n}"), move || settler.run(&receiver))
        };
        Ok((sender, (0..THREADS).map(thread).collect::<Result<_, _>>()?))
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        let Some((sender, threads)) = self.beside.take() else { return };
        drop(sender);
        for thread in threads {
            // A panic of the thread has ended the process.
            let _ = thread.join();
        }
    }
}

impl Settler {
    fn run(&self, batches: &Mutex<Receiver<Batch>>) {
        loop {
            let next = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(batch) = next else { return };
            self.settle(batch);
        }
    }

    fn settle(&self, Batch { uids, tickets, to_settle }: Batch) {
        let settled = self.store.settle(to_settle);
        let mut rows = Vec::with_capacity(tickets.len());
        let mut waiting = Vec::with_capacity(tickets.len());
        for (((ticket, before), outcome), uid) in tickets.into_iter().zip(settled.outcomes).zip(&uids) {
            match outcome {
                Ok(filed) => {
                    rows.push(NewInstance::of(&filed, Receipt::of(filed.origin(), &self.process)));
                    waiting.push((ticket, Back::of(&filed, before)));
                }
                Err(error) => ticket.answer(uid, Err(error.into())),
            }
        }
        let done = Done { uids, refused: Vec::new(), number: settled.number };
        let recording = Recording { inbox: self.inbox.clone(), waiting, done: Some(done) };
        failpoint!("record-begin");
        if rows.is_empty() {
            recording.end(Ok(Vec::new()));
        } else if let Err(error) = self.catalog.record_then(rows, move |outcome| recording.end(outcome)) {
            // Whoever waits has been told that the door is closed.
            tracing::error!(%error, "the catalog takes no more");
        }
    }
}

/// A batch that is being recorded. However it ends, the filing thread is told.
struct Recording {
    inbox: Sender<Message>,
    waiting: Vec<(Ticket, Back)>,
    done: Option<Done>,
}

impl Recording {
    /// Tells whoever waits. Runs on the thread that writes the catalog, and keeps it from nothing.
    fn end(mut self, outcome: Result<Vec<Recorded>, CatalogError>) {
        failpoint!("record-committed");
        let waiting = std::mem::take(&mut self.waiting);
        match outcome {
            Ok(outcomes) => {
                for ((ticket, back), outcome) in waiting.into_iter().zip(outcomes) {
                    match (outcome, &mut self.done) {
                        (Recorded::Contested, Some(done)) => done.refused.push((ticket, back)),
                        (outcome, _) => ticket.answer(&back.uid, Ok(outcome)),
                    }
                }
            }
            Err(error) => {
                // The bytes stay where they are: they are durable, the manifest names them, and the same object that
                // comes again finds them.
                if let Some(done) = &mut self.done {
                    done.number = None;
                }
                for (ticket, back) in waiting {
                    ticket.answer(&back.uid, Err(error.clone().into()));
                }
            }
        }
        failpoint!("record-answered");
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            // The filing thread reads until nothing is being recorded.
            let _ = self.inbox.send(Message::Done(done));
        }
    }
}
