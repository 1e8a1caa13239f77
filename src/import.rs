//! Folders of files that are not ours: what lies in them, and which of it is DICOM. Nothing in them is ever written,
//! moved or deleted, no name decides what a file is, and no link is followed.

mod archive;
mod browse;
mod dicomdir;
mod identify;
mod os;
mod rewind;
mod sift;
mod zip;

#[doc(hidden)]
pub use archive::read_anything;
pub use archive::{ArchiveKind, Unpacked, unpack};
pub use browse::{BrowseError, Listing, browse};
pub use os::{Folder, Kind, Look};
pub use sift::{Candidate, Sieve, Sifted, words};

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The folders that cover all of these: those that lie in another one go with it.
pub fn outermost(mut folders: Vec<PathBuf>) -> Vec<PathBuf> {
    folders.sort();
    let mut outermost: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !outermost.last().is_some_and(|last| folder.starts_with(last)) {
            outermost.push(folder);
        }
    }
    outermost
}

/// A path for people: what is no text in it is escaped.
pub fn shown(path: &Path) -> String {
    name_shown(path.as_os_str())
}

/// A name for people.
pub fn name_shown(name: &OsStr) -> String {
    match name.to_str() {
        Some(text) => text.to_owned(),
        None => name.as_encoded_bytes().escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests;
