//! Files of other folders: what is known of one before it is taken in, and how it is opened. They are read and nothing
//! else; never altered, moved or removed.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use super::{Link, StoreError};
use crate::dataset::{CharacterSet, Header};
use crate::dicom::{Identity, TransferSyntaxUid};
use crate::object::Origin;

/// A file of a folder that was scanned: what its header said, and what the file was like then.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Where it is. Any bytes; shown to people, never written anywhere but as data.
    pub path: PathBuf,
    /// Bytes of the file.
    pub size: u64,
    /// When it was modified, in nanoseconds of unix time.
    pub modified: i64,
    /// Where its data set begins.
    pub offset: u64,
    /// The transfer syntax of the data set.
    pub transfer_syntax: TransferSyntaxUid,
    /// Its UIDs. Study and series are empty where the header does not tell.
    pub identity: Identity,
    /// What the catalog needs of its header.
    pub header: Header,
    /// What its texts mean where it names no character set.
    pub charset: CharacterSet,
    /// Whether preamble and file meta group may stand before the copy as they are (a preamble that is not zero is
    /// zeroed all the same). If not, they are written anew.
    pub head_is_sound: bool,
    /// Who brings it.
    pub origin: Origin,
}

impl SourceFile {
    /// Bytes of the data set.
    pub fn length(&self) -> u64 {
        self.size.saturating_sub(self.offset)
    }

    /// As a row could point to it.
    pub fn link(&self) -> Link {
        Link { path: self.path.clone(), offset: self.offset, size: self.size, modified: Some(self.modified) }
    }
}

/// Opens a file, and sees that it is a regular one and what it was when it was scanned.
pub(super) fn open_unchanged(file: &Link) -> Result<File, StoreError> {
    let opened = open_regular(&file.path)?;
    check_unchanged(file, &opened.metadata().map_err(|error| unreadable(&file.path, error))?)?;
    Ok(opened)
}

/// Whether a file is what it was when it was scanned.
pub(super) fn check_unchanged(file: &Link, now: &Metadata) -> Result<(), StoreError> {
    if file.is_as(now) { Ok(()) } else { Err(StoreError::SourceChanged { path: file.path.clone() }) }
}

/// When a file was modified, in nanoseconds of unix time.
pub(super) fn modified(of: &Metadata) -> i64 {
    of.mtime().saturating_mul(1_000_000_000).saturating_add(of.mtime_nsec())
}

/// Opens a file of another folder for reading. Neither it nor, where the system can tell, a folder on the way to it is a
/// link, so that nobody can lead us elsewhere; and it is nothing that could block.
pub(super) fn open_regular(path: &Path) -> Result<File, StoreError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = open_without_links(path, flags);
    let file = File::from(file.map_err(|error| unreadable(path, error.into()))?);
    if !file.metadata().map_err(|error| unreadable(path, error))?.is_file() {
        return Err(unreadable(path, io::Error::other("it is no regular file")));
    }
    Ok(file)
}

#[cfg(target_os = "linux")]
fn open_without_links(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    use rustix::io::Errno;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Old systems, and some containers, do not have it.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(CWD, path, flags, Mode::empty()),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_without_links(path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> StoreError {
    StoreError::SourceUnreadable { path: path.to_owned(), source: Arc::new(source) }
}
