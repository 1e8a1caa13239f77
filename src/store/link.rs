//! Where the bytes of an instance are: in the storage folder, or in a file elsewhere that a row points to.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::source::{modified, open_regular, unreadable};
use super::{RelativePath, StoreError};

/// Where the bytes of an instance are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the storage folder, written by this program and never again.
    Stored(RelativePath),
    /// In a file elsewhere, which this program only reads.
    Linked(Link),
}

/// A file elsewhere, and what it was like when its header was read. Its transfer syntax stands with the instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// Where it is; any bytes.
    pub path: PathBuf,
    /// Where its data set begins.
    pub offset: u64,
    /// Bytes of the file.
    pub size: u64,
    /// When it was modified, in nanoseconds of unix time; `None` where only its size and digest vouch for it.
    pub modified: Option<i64>,
}

impl Place {
    /// The place in the storage folder, if that is where it is.
    pub fn stored(&self) -> Option<&RelativePath> {
        match self {
            Place::Stored(place) => Some(place),
            Place::Linked(_) => None,
        }
    }

    /// The file elsewhere, if that is where it is.
    pub fn linked(&self) -> Option<&Link> {
        match self {
            Place::Stored(_) => None,
            Place::Linked(link) => Some(link),
        }
    }
}

impl From<RelativePath> for Place {
    fn from(place: RelativePath) -> Place {
        Place::Stored(place)
    }
}

impl From<Link> for Place {
    fn from(link: Link) -> Place {
        Place::Linked(link)
    }
}

/// For people: the path in the storage folder, or the whole path of a file elsewhere.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Stored(place) => place.fmt(f),
            Place::Linked(link) => link.path.display().fmt(f),
        }
    }
}

impl Link {
    /// A link as two texts of bytes, the folder and the name in it; together they are the path.
    pub fn parts(&self) -> (&[u8], &[u8]) {
        let path = self.path.as_os_str().as_bytes();
        let cut = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        path.split_at_checked(cut).unwrap_or((b"", path))
    }

    /// The path that these parts make.
    pub fn path_of(folder: &[u8], name: &[u8]) -> PathBuf {
        Path::new(OsStr::from_bytes(&[folder, name].concat())).to_owned()
    }

    /// Bytes of the data set.
    pub fn length(&self) -> u64 {
        self.size.saturating_sub(self.offset)
    }

    /// Opens the file if it is there and still what it was.
    pub(super) fn open(&self) -> Result<File, StoreError> {
        let file = match open_regular(&self.path) {
            Err(StoreError::SourceUnreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { place: self.clone().into() });
            }
            other => other?,
        };
        self.check(&file)?;
        Ok(file)
    }

    /// Whether the open file is still what it was.
    pub(super) fn check(&self, file: &File) -> Result<(), StoreError> {
        let now = file.metadata().map_err(|error| unreadable(&self.path, error))?;
        if self.is_as(&now) { Ok(()) } else { Err(StoreError::LinkChanged { path: self.path.clone() }) }
    }

    /// Whether a file is what it was.
    pub(super) fn is_as(&self, now: &Metadata) -> bool {
        now.len() == self.size && self.modified.is_none_or(|then| then == modified(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_is_kept_in_two_parts() {
        for path in [&b"/a/b/c.dcm"[..], b"/a", b"a", b"/", b"/x/\xff\xfe/\x80", b"//a//b"] {
            let link = Link { path: OsStr::from_bytes(path).into(), offset: 0, size: 1, modified: None };
            let (folder, name) = link.parts();
            assert_eq!(Link::path_of(folder, name), link.path);
            assert!(!name.contains(&b'/') && (folder.is_empty() || folder.ends_with(b"/")));
        }
    }
}
