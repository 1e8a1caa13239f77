//! What an import found, and what became of it: folders and files, one row each, so that a list of a million files
//! needs no memory and outlives the process that makes it.

mod list;
mod object;
mod outcome;
mod report;

use std::ffi::OsString;
use std::path::PathBuf;

use super::Reason;
use crate::store::Link;

#[cfg(test)]
pub(super) use list::{KNOWN, PENDING, files_of_item_sql};
pub use object::{Archived, ListedObject};
#[cfg(test)]
pub(super) use outcome::COUNTS;
pub use outcome::{FileOutcome, FilingCounts};
#[cfg(test)]
pub(super) use report::FOLDERS;
pub use report::{FolderReport, TroubledFile};

/// Where a folder of an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FolderState {
    /// Not listed yet, or not to its end.
    Pending,
    /// Everything in it is known.
    Listed,
    /// It could not be read.
    Unreadable,
}

/// Where a file of an import stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// To be filed with its study.
    Listed,
    /// Filed by this job.
    Filed,
    /// The same object was filed already.
    Duplicate,
    /// Kept beside the one that was filed: the same pixel data, another header.
    Variant,
    /// In quarantine: another object has its UID.
    Collision,
    /// In quarantine, or left where it is: it cannot be filed.
    SetAside,
    /// Will be set aside.
    Faulty,
    /// Not a DICOM file.
    NotDicom,
    /// Could not be read.
    Unreadable,
    /// Changed while it was looked at: the next run takes it.
    Left,
    /// Written a moment ago: it is looked at again before it is relied on.
    Young,
    /// A DICOMDIR.
    Directory,
    /// In an archive that is not to be unpacked.
    Refused,
    /// An archive whose members have rows of their own.
    Archive,
    /// The same object was filed already, and a correction has moved it since.
    AlreadyMoved,
}

impl FileState {
    /// Whether a later run may pass over the file as long as it does not change.
    pub fn is_settled(self) -> bool {
        use FileState::{AlreadyMoved, Archive, Collision, Duplicate, Filed, NotDicom, SetAside, Variant};
        matches!(self, Archive | Filed | Duplicate | AlreadyMoved | Variant | Collision | SetAside | NotDicom)
    }

    /// Whether the object is in the archive.
    pub fn is_filed(self) -> bool {
        matches!(self, FileState::Filed | FileState::Duplicate | FileState::AlreadyMoved | FileState::Variant)
    }
}

/// How a file is taken in; what was done in one way need not be done again in an earlier one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// By size and time.
    Linked,
    /// Linked, and its digest is known.
    Hashed,
    /// Its bytes are in the storage folder.
    Copied,
}

/// A folder of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFolder {
    /// The number of its path.
    pub id: i64,
    /// Absolute.
    pub path: PathBuf,
}

/// What a job's row of a file is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The number of the folder's path.
    pub folder: i64,
    /// The file's name.
    pub name: OsString,
    /// The name within an archive; empty for a file of its own.
    pub member: Vec<u8>,
}

/// A file that was found, and what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedFile {
    /// What it is called.
    pub key: FileKey,
    /// Bytes of the file (of the archive, for a member).
    pub size: u64,
    /// When it was changed, in nanoseconds of unix time.
    pub modified: i64,
    /// Where it stands.
    pub state: FileState,
    /// Why it is not filed.
    pub reason: Option<Reason>,
    /// The same in words.
    pub detail: String,
    /// What its header says.
    pub object: Option<Box<ListedObject>>,
}

/// What the catalog knows of a name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEntry {
    /// Whether it is this job that knows it.
    pub ours: bool,
    /// Bytes of the file.
    pub size: u64,
    /// When it was changed.
    pub modified: i64,
    /// Each member, or the file itself.
    pub members: Vec<KnownMember>,
}

/// What the catalog knows of a file, or of a member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMember {
    /// The name within the archive; empty for a file of its own.
    pub name: Vec<u8>,
    /// Where it stands.
    pub state: FileState,
    /// Why it is not filed.
    pub reason: Option<Reason>,
    /// The same in words.
    pub detail: String,
    /// The file elsewhere that its object is, if it is a link.
    pub link: Option<Link>,
}

/// What was found out about a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderFacts {
    /// The number of its path.
    pub id: i64,
    /// Where it stands.
    pub state: FolderState,
    /// Files that an earlier run has dealt with.
    pub unchanged: u64,
    /// Files that an earlier run found not to be DICOM.
    pub foreign: u64,
    /// Entries that are neither files nor folders.
    pub skipped: u64,
    /// Files of another day than was asked for.
    pub outside: u64,
    /// Why it could not be read, or what else is to be said.
    pub detail: String,
}

/// What is written at once while the list is made.
#[derive(Debug, Default)]
pub struct Batch {
    /// Files, with their states.
    pub files: Vec<ListedFile>,
    /// Folders that were met.
    pub folders: Vec<PathBuf>,
    /// Young files that turned out to be of another day than was asked for.
    pub outside: Vec<FileKey>,
    /// Folders that are through.
    pub done: Vec<FolderFacts>,
}
