//! Everything under the storage folder: bytes on disk, and nothing of SQL, peers or jobs.
//!
//! ```text
//! .pacsferry-storage                         the sentinel: without it nothing is written
//! journal.jsonl                              what files alone cannot tell
//! images/YYYY/MM/DD/<study>/<series>/<instance>.dcm
//! quarantine/<2 digits>/<instance>~<digest>.dcm
//! incoming/<process>/                        lock, manifest, and what is arriving
//! ```
//!
//! An object is written to the folder of its process ([`Store::receive`]), made durable and given its final name with
//! others ([`Store::settle`]), and from then on never changed (I3). What a crash leaves is found by its manifest
//! ([`Store::sweep`]).

mod adopt;
mod aside;
mod cache;
mod copy;
mod digest;
mod error;
mod examine;
mod filed;
mod folders;
mod incoming;
mod journal;
mod link;
mod links;
mod manifest;
mod os;
mod place;
mod pool;
mod read;
mod receive;
mod root;
mod settle;
mod source;
mod sweep;
mod there;
mod walk;

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use error::Doing;
use folders::Folders;
use incoming::ProcessFolder;
use pool::{SyncPool, Target};
use root::Root;

pub use aside::SetAside;
pub use cache::Cache;
pub use digest::Digest;
pub use error::StoreError;
pub use examine::{CharsetOf, Found};
pub use filed::{Destination, Filed, Incoming};
pub use journal::{
    CorrectedText, CorrectionLine, CorrectionText, DamagedText, Journal, JournalEntry, LinkedText, PathText,
    QuarantineReasons, StudyMark, from_text, pieces, to_text,
};
pub use link::{Link, Place};
pub use links::LinkedAs;
pub use os::open_files;
pub use place::{InvalidPlace, RelativePath};
pub use settle::Settled;
pub use source::SourceFile;
pub use sweep::Swept;
pub use walk::{Walk, WalkedFile};

/// A storage folder that is open. A clone is another handle on the same one.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: Root,
    journal: Journal,
    folders: Mutex<Folders>,
    /// What only a process that files needs, made when it first does.
    filing: OnceLock<Filing>,
    starting: Mutex<()>,
    /// The device of files whose blocks could not be shared.
    unshared: AtomicU64,
}

#[derive(Debug)]
struct Filing {
    pool: SyncPool,
    process: Arc<ProcessFolder>,
}

impl Store {
    /// Opens the storage folder. It must be there, with its sentinel: a folder without one is a disk that is not
    /// mounted ([`StoreError::NotMounted`]).
    pub fn open(folder: &Path, minimum_free: u64) -> Result<Store, StoreError> {
        Root::open(folder, minimum_free).map(Store::of)
    }

    /// Makes a storage folder where there is none, or opens the one that is there. For the first use only: whoever
    /// has used it before knows its id, and must [`Store::open`] it.
    pub fn create(folder: &Path, minimum_free: u64) -> Result<Store, StoreError> {
        Root::create(folder, minimum_free).map(Store::of)
    }

    fn of(root: Root) -> Store {
        let (journal, folders) = (Journal::new(root.folder.clone()), Folders::new(root.folder.clone()));
        let (filing, starting, unshared) = (OnceLock::new(), Mutex::new(()), AtomicU64::new(u64::MAX));
        Store(Arc::new(Inner { root, journal, folders: Mutex::new(folders), filing, starting, unshared }))
    }

    /// The id in its sentinel, by which a catalog knows that it belongs to this folder.
    pub fn id(&self) -> &str {
        self.0.root.id()
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.0.root.path()
    }

    /// Whether there is room for more ([`StoreError::Full`]) and the folder is still mounted
    /// ([`StoreError::NotMounted`]). Cheap enough for every object.
    pub fn check_room(&self) -> Result<(), StoreError> {
        self.0.root.check_room(0)
    }

    /// Whether the folder is still mounted ([`StoreError::NotMounted`]).
    pub fn check_mounted(&self) -> Result<(), StoreError> {
        self.0.root.check_mounted()
    }

    /// Bytes that are free on the disk, the reserve included.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        self.0.root.free_bytes()
    }

    /// Lets no other process open the folder as long as this one has it open; [`StoreError::InUse`] if one has.
    pub fn lock_alone(&self) -> Result<(), StoreError> {
        self.0.root.lock_alone()
    }

    /// What files alone cannot tell.
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    fn root(&self) -> &Root {
        &self.0.root
    }

    fn folders(&self) -> &Mutex<Folders> {
        &self.0.folders
    }

    /// Opens a folder below the root, following no link.
    fn folder_at(&self, path: &str) -> io::Result<os::Folder> {
        path.split('/').try_fold(self.root().folder.clone(), |folder, part| folder.folder(part))
    }

    fn process(&self) -> Result<&Arc<ProcessFolder>, StoreError> {
        self.filing().map(|filing| &filing.process)
    }

    fn filing(&self) -> Result<&Filing, StoreError> {
        if let Some(filing) = self.0.filing.get() {
            return Ok(filing);
        }
        let _starting = self.0.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filing) = self.0.filing.get() {
            return Ok(filing);
        }
        self.root().check_mounted()?;
        let process = ProcessFolder::make(self.root()).map_err(|error| self.or_full(error))?;
        let pool = SyncPool::start().doing("start the threads that sync", || self.folder().display().to_string())?;
        Ok(self.0.filing.get_or_init(|| Filing { pool, process: Arc::new(process) }))
    }

    fn sync(&self, targets: Vec<Target>) -> Vec<io::Result<()>> {
        match self.filing() {
            Ok(filing) => filing.pool.sync(targets),
            Err(error) => targets.iter().map(|_| Err(io::Error::other(error.clone()))).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
