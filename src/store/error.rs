//! What can go wrong under the storage folder, and who must act on it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::object::{Disposition, Fault};

/// Why bytes could not be kept, found or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The sentinel file is missing or another one than at the start: the disk is not mounted, or the folder moved.
    #[error("the storage folder {} is not mounted: its sentinel file is missing or belongs to another folder", .0.display())]
    NotMounted(PathBuf),
    /// A folder that is to become a storage folder holds other things.
    #[error("the folder {} is not empty and no storage folder: it has no sentinel file", .0.display())]
    NotAStorageFolder(PathBuf),
    /// Another process holds what must be held alone.
    #[error("the storage folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Free space is below the reserve, or the file system said that it is full.
    #[error("the disk of the storage folder {} is full, or its free space has reached the reserve", .0.display())]
    Full(PathBuf),
    /// The sender went away before the last fragment.
    #[error("the object was cut short before its last fragment")]
    CutShort,
    /// A file that was to be taken in is not what it was when it was scanned.
    #[error("{} changed while it was read: it is still being written", .path.display())]
    SourceChanged {
        /// The file.
        path: PathBuf,
    },
    /// A file that was to be taken in cannot be read.
    #[error("could not read {}", .path.display())]
    SourceUnreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// A file of the catalog is not where it should be, or has another size.
    #[error("{place} is missing or has another size than the catalog says")]
    Missing {
        /// The place.
        place: super::Place,
    },
    /// A linked file is not what it was when it was linked.
    #[error("the linked file {} has changed since it was linked", .path.display())]
    LinkChanged {
        /// The file.
        path: PathBuf,
    },
    /// Bytes on disk are not what they should be.
    #[error("{place} is damaged: {what}")]
    Damaged {
        /// The place, or the name of an incoming file.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system refused.
    #[error("could not {doing} {what}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which thing.
        what: String,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
}

impl StoreError {
    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self {
            StoreError::CutShort => Fault::Peer,
            StoreError::Damaged { .. }
            | StoreError::LinkChanged { .. }
            | StoreError::SourceChanged { .. }
            | StoreError::SourceUnreadable { .. } => Fault::Object,
            _ => Fault::Local,
        }
    }

    /// What it means for the work at hand. A full disk, a missing mount and a refused permission stop the job, since
    /// trying again makes it worse; any other fault of the machine is tried again, within the attempts.
    pub fn disposition(&self) -> Disposition {
        match self {
            StoreError::NotMounted(_) | StoreError::NotAStorageFolder(_) | StoreError::Full(_) => Disposition::Halt,
            StoreError::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Disposition::Halt,
                _ => Disposition::Retry,
            },
            _ => Disposition::Retry,
        }
    }
}

impl StoreError {
    pub(super) fn io(doing: &'static str, what: impl Into<String>, source: io::Error) -> StoreError {
        StoreError::Io { doing, what: what.into(), source: Arc::new(source) }
    }

    pub(super) fn damaged(place: impl ToString, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { place: place.to_string(), what: what.into() }
    }
}

/// Turns errors of the operating system into ours, with what was being done to which thing.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str, what: impl FnOnce() -> String) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str, what: impl FnOnce() -> String) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::io(doing, what(), error.into()))
    }
}

/// Whether the file system has no room for more: no blocks, no inodes, or the quota is spent.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
