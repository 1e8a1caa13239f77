//! Files of folders on their way in: a few threads read them, several at a time, and what they have read goes the way of
//! everything else.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, oneshot};

use super::filing::spawn;
use super::inbox::{Inbox, Item, Reply};
use super::{Intake, IntakeError};
use crate::catalog::Recorded;
use crate::store::{Incoming, SourceFile, Store, StoreError};

/// The most and the fewest threads that read.
const READERS: (usize, usize) = (2, 8);
/// Files that may be on their way, each an open one: some batches of small ones, or few large ones.
const BUDGET: usize = 1024;
/// How much of the open files that the system grants may be taken for it: one part in so many.
const SHARE: usize = 2;
/// A file of so many bytes counts as one; a larger one as several, since less of it makes as good a batch.
const UNIT: u64 = 64 * 1024;
/// And never as more than so many.
const LARGE: u32 = 8;

/// What is to become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Its bytes are copied into the storage folder.
    Copy,
    /// Its bytes stay where they are, and the catalog points to them. They are digested only when something else comes
    /// with the same UID. What cannot be filed is copied into quarantine all the same.
    Link,
    /// The same, and its bytes are digested at once.
    LinkHashed,
    /// It lies in the storage folder already: its bytes are digested and stay there.
    Owned,
}

/// The threads that read, and the way to them.
pub(super) struct Readers {
    budget: Arc<Semaphore>,
    running: Mutex<Option<Running>>,
    store: Store,
    inbox: Arc<Inbox>,
}

struct Running {
    sender: Sender<Work>,
    threads: Vec<JoinHandle<()>>,
}

/// A file to be read, and whoever waits for it.
struct Work {
    file: SourceFile,
    from: From,
    set_aside: Option<String>,
    reply: Reply,
    permit: tokio::sync::OwnedSemaphorePermit,
}

enum From {
    Path(How),
    Reader(Box<dyn Read + Send>),
}

impl Intake {
    /// Takes a file of a folder in, and says what became of it when that is durable and recorded.
    ///
    /// Meant to be called for many files at the same time, some hundreds of small ones: what waits together becomes
    /// durable together. How many are on their way is bounded here.
    pub async fn file(&self, file: SourceFile, how: How) -> Result<Recorded, IntakeError> {
        self.read(file, From::Path(how), None).await
    }

    /// The same for a member of an archive, which `reader` gives from its first byte; `path` is what people are told,
    /// `size` how many bytes there must be. It is always copied.
    pub async fn member(&self, file: SourceFile, reader: Box<dyn Read + Send>) -> Result<Recorded, IntakeError> {
        self.read(file, From::Reader(reader), None).await
    }

    /// Keeps a copy of a file in quarantine, for a reason in plain words.
    pub async fn set_aside(&self, file: SourceFile, reason: String) -> Result<Recorded, IntakeError> {
        self.read(file, From::Path(How::Copy), Some(reason)).await
    }

    /// The same for a member of an archive.
    pub async fn set_aside_member(
        &self,
        file: SourceFile,
        reader: Box<dyn Read + Send>,
        reason: String,
    ) -> Result<Recorded, IntakeError> {
        self.read(file, From::Reader(reader), Some(reason)).await
    }

    async fn read(&self, file: SourceFile, from: From, set_aside: Option<String>) -> Result<Recorded, IntakeError> {
        self.inbox.check_open()?;
        let permit = Arc::clone(&self.readers.budget).acquire_many_owned(weight(&file)).await;
        let permit = permit.map_err(|_| IntakeError::Closed)?;
        let (reply, outcome) = oneshot::channel();
        self.readers.put(Work { file, from, set_aside, reply, permit })?;
        outcome.await.map_err(|_| IntakeError::Closed)?
    }
}

fn weight(file: &SourceFile) -> u32 {
    u32::try_from(file.size.div_ceil(UNIT)).unwrap_or(LARGE).clamp(1, LARGE)
}

impl Readers {
    pub(super) fn new(store: Store, inbox: Arc<Inbox>) -> Readers {
        let budget = BUDGET.min(crate::store::open_files() / SHARE).max(LARGE as usize);
        Readers { budget: Arc::new(Semaphore::new(budget)), running: Mutex::new(None), store, inbox }
    }

    /// The threads are made for the first file: most processes never have one.
    fn put(&self, work: Work) -> Result<(), IntakeError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let running = match &mut *running {
            Some(running) => running,
            none => none.insert(self.start()?),
        };
        running.sender.send(work).map_err(|_| IntakeError::Closed)
    }

    fn start(&self) -> Result<Running, IntakeError> {
        // Its length is bounded by the budget.
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let count = std::thread::available_parallelism().map_or(READERS.0, usize::from).clamp(READERS.0, READERS.1);
        let reader = |n| {
            let (receiver, store, inbox) = (Arc::clone(&receiver), self.store.clone(), Arc::clone(&self.inbox));
            spawn(&format!("read-{n}"), move || run(&receiver, &store, &inbox))
        };
        Ok(Running { sender, threads: (0..count).map(reader).collect::<Result<_, _>>()? })
    }

    /// Reads what is queued, and ends.
    pub(super) fn close(&self) {
        self.budget.close();
        let Some(Running { sender, threads }) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        drop(sender);
        for thread in threads {
            // A panic of the thread has ended the process.
            let _ = thread.join();
        }
    }
}

fn run(work: &Mutex<Receiver<Work>>, store: &Store, inbox: &Inbox) {
    loop {
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Work { file, from, set_aside, reply, permit }) = next else { return };
        let charset = file.charset.clone();
        let copied = match &from {
            From::Path(How::Copy) | From::Reader(_) => Some(file.link()),
            From::Path(_) => None,
        };
        match take(store, file, from) {
            Ok(mut incoming) => {
                incoming.set_aside = set_aside;
                let mut item = Item::new(incoming, charset, Some(reply), Some(permit));
                item.ticket.copied = copied;
                // A door that is closed answers by dropping the reply.
                let _ = inbox.put(item);
            }
            // Whoever asked may be gone.
            Err(error) => drop(reply.send(Err(error.into()))),
        }
    }
}

fn take(store: &Store, file: SourceFile, from: From) -> Result<Incoming, StoreError> {
    match from {
        From::Path(How::Copy) => store.copy(file),
        From::Path(How::Link) => store.link(file, false),
        From::Path(How::LinkHashed) => store.link(file, true),
        From::Path(How::Owned) => store.own(file),
        From::Reader(mut reader) => store.copy_member(file, &mut *reader),
    }
}
