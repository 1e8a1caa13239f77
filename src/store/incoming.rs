//! The incoming folder: each process files through a folder of its own in it, which holds a locked file as long as the
//! process lives.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::error::Doing;
use super::manifest::{MANIFEST, Manifest};
use super::os::{Folder, Kind, give_up_pages};
use super::root::Root;
use super::{Link, Place, RelativePath, StoreError};

const INCOMING: &str = "incoming";
/// Held in a process' folder for as long as the process lives.
const LOCK: &str = "lock";
/// Held while a folder is made or looked for, so that a folder that is being made is not taken for a dead one.
const GATE: &str = ".gate";

/// The folder of this process.
#[derive(Debug)]
pub(super) struct ProcessFolder {
    incoming: Folder,
    name: String,
    pub(super) folder: Folder,
    pub(super) manifest: Manifest,
    next: AtomicU64,
    _lock: File,
}

impl ProcessFolder {
    /// Makes a folder for this process and locks it.
    pub(super) fn make(root: &Root) -> Result<ProcessFolder, StoreError> {
        let name = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        make(root, &name)
            .doing("make a folder for this process in", || root.path().join(INCOMING).display().to_string())
    }

    /// Makes an empty file in it.
    pub(super) fn new_part(self: &Arc<Self>) -> Result<PartFile, StoreError> {
        let name = format!("{}.part", self.next.fetch_add(1, Ordering::Relaxed));
        let file = self.folder.new_file(&name).doing("make an incoming file in", || self.name.clone())?;
        Ok(PartFile::new(self, name, file))
    }

    /// Takes a whole file over from the folder of a dead process.
    pub(super) fn adopt(self: &Arc<Self>, from: &Folder, name: &str) -> Result<PartFile, StoreError> {
        let new = format!("{}.part", self.next.fetch_add(1, Ordering::Relaxed));
        let file = from.file(name).doing("open the incoming file", || name.to_owned())?;
        from.rename(name, &self.folder, &new).doing("take over the incoming file", || name.to_owned())?;
        Ok(PartFile::new(self, new, file))
    }
}

fn make(root: &Root, name: &str) -> io::Result<ProcessFolder> {
    let (incoming, _) = root.folder.folder_or_new(INCOMING)?;
    root.folder.sync()?;
    let gate = incoming.growing_file(GATE)?;
    gate.lock()?;
    let (folder, _) = incoming.folder_or_new(name)?;
    let lock = folder.growing_file(LOCK)?;
    lock.lock()?;
    let manifest = Manifest::new(folder.own_file(MANIFEST)?);
    // The manifest is of use after a power cut only if it can be found.
    folder.sync()?;
    incoming.sync()?;
    Ok(ProcessFolder { incoming, name: name.to_owned(), folder, manifest, next: AtomicU64::new(0), _lock: lock })
}

/// A process that ends in order leaves nothing; where something was renamed but not recorded, the manifest stays for
/// the next sweep.
impl Drop for ProcessFolder {
    fn drop(&mut self) {
        if self.manifest.has_open_batches() {
            return;
        }
        let removed = [MANIFEST, LOCK].iter().try_for_each(|name| self.folder.remove_file(name));
        if let Err(error) = removed.and_then(|()| self.incoming.remove_folder(&self.name)) {
            tracing::debug!(%error, folder = self.name, "left a folder in incoming to the next sweep");
        }
    }
}

/// The folder of a process that is dead, locked by us.
#[derive(Debug)]
pub(super) struct DeadFolder {
    incoming: Folder,
    pub(super) name: String,
    pub(super) folder: Folder,
    _lock: File,
}

impl DeadFolder {
    /// All folders whose lock nobody holds.
    pub(super) fn all(root: &Root) -> io::Result<Vec<DeadFolder>> {
        let incoming = match root.folder.folder(INCOMING) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let gate = incoming.growing_file(GATE)?;
        gate.lock()?;
        let mut dead = Vec::new();
        for (name, kind) in incoming.entries()? {
            if kind != Kind::Folder {
                continue;
            }
            let folder = incoming.folder(&name)?;
            let lock = folder.growing_file(LOCK)?;
            match lock.try_lock() {
                Ok(()) => dead.push(DeadFolder { incoming: incoming.clone(), name, folder, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(dead)
    }

    /// Removes it with all that is left in it.
    pub(super) fn remove(self) -> io::Result<()> {
        for (name, kind) in self.folder.entries()? {
            if kind == Kind::File && name != LOCK {
                self.folder.remove_file(&name)?;
            }
        }
        self.folder.remove_file(LOCK)?;
        self.incoming.remove_folder(&self.name)
    }
}

/// Where the bytes of an incoming instance are.
#[derive(Debug)]
pub(super) enum Content {
    /// In memory, as long as it is small.
    Held(Held),
    /// In the folder of this process.
    Part(PartFile),
    /// Where they stay.
    There(There),
}

/// A file that stays where it is.
#[derive(Debug, Clone)]
pub(super) struct There {
    /// The file, as it was scanned.
    pub(super) link: Link,
    /// Its place in the storage folder, when it lies in one.
    pub(super) own: Option<RelativePath>,
    /// Whether its preamble and file meta group may stand before a copy.
    pub(super) head_is_sound: bool,
}

impl There {
    /// Where a row is to say that it is.
    pub(super) fn place(&self) -> Place {
        self.own.clone().map_or_else(|| self.link.clone().into(), Place::from)
    }
}

/// An object in memory, to be written as it is: preamble and file meta group first.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) process: Arc<ProcessFolder>,
    pub(super) pieces: Vec<Bytes>,
}

impl Content {
    /// The file, once there is one.
    pub(super) fn part(&self) -> Option<&PartFile> {
        match self {
            Content::Held(_) | Content::There(_) => None,
            Content::Part(part) => Some(part),
        }
    }

    /// Where they are, and stay.
    pub(super) fn there(&self) -> Option<&There> {
        match self {
            Content::There(there) => Some(there),
            Content::Held(_) | Content::Part(_) => None,
        }
    }
}

/// A file in the folder of this process. It goes when this is dropped, unless it got its final name.
#[derive(Debug)]
pub(super) struct PartFile {
    process: Arc<ProcessFolder>,
    name: String,
    pub(super) handle: Arc<PartHandle>,
    renamed: bool,
}

/// The open file, and whether a sync of it has failed.
#[derive(Debug)]
pub(super) struct PartHandle {
    file: File,
    failed: AtomicBool,
}

impl PartFile {
    fn new(process: &Arc<ProcessFolder>, name: String, file: File) -> PartFile {
        let handle = PartHandle { file, failed: AtomicBool::new(false) };
        PartFile { process: Arc::clone(process), name, handle: Arc::new(handle), renamed: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> &File {
        &self.handle.file
    }

    /// Whether it has its final name.
    pub(super) fn is_renamed(&self) -> bool {
        self.renamed
    }

    /// Gives it its final name; `AlreadyExists` if that is taken.
    pub(super) fn rename(&mut self, to: &Folder, name: &str) -> io::Result<()> {
        self.process.folder.rename(&self.name, to, name)?;
        self.renamed = true;
        Ok(())
    }

    /// Gives it the name of a file that is damaged, or gone.
    pub(super) fn rename_over(&mut self, to: &Folder, name: &str) -> io::Result<()> {
        self.process.folder.rename_over(&self.name, to, name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if self.renamed {
            return;
        }
        if let Err(error) = self.process.folder.remove_file(&self.name) {
            tracing::warn!(%error, file = self.name, "could not remove an incoming file; the next sweep will");
        }
    }
}

impl PartHandle {
    /// Makes what was written durable. A failed sync is final for the file: the system may forget what it could not
    /// write, and say yes the next time.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.by(|| self.file.sync_data())
    }

    /// The same, when a sync of everything has gone well.
    pub(super) fn was_synced(&self) -> io::Result<()> {
        self.by(|| Ok(()))
    }

    fn by(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(io::Error::other("an earlier sync of this file failed"));
        }
        sync().inspect_err(|_| self.failed.store(true, Ordering::Release))?;
        // Most of what is filed is not read again for a long time: the next object takes the memory, and not that of
        // others, nor memory that was never touched before, which costs more than the writing.
        give_up_pages(&self.file);
        Ok(())
    }
}
