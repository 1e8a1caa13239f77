//! Reading what is filed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::Doing;
use super::os::Kind;
use super::receive::DataSet;
use super::{Digest, Link, Place, RelativePath, Store, StoreError};
use crate::dataset::{Part10, read_part10_head};

/// More than any preamble and file meta group that we write takes.
const LONGEST_HEAD: usize = 64 * 1024;
/// How much is read at once.
const CHUNK: usize = 256 * 1024;

impl Store {
    /// Opens an instance: the file, positioned at its data set, and the length of that. A linked file must be what it
    /// was when it was linked.
    pub fn open_data_set(&self, place: &Place) -> Result<(File, u64), StoreError> {
        let (mut file, offset) = self.open_any(place)?;
        let size = file.seek(SeekFrom::End(0)).doing("look at", || place.to_string())?;
        file.seek(SeekFrom::Start(offset)).doing("look at", || place.to_string())?;
        Ok((file, size.saturating_sub(offset)))
    }

    /// Whether a linked file is there, and what it was when it was linked, as far as size and time tell.
    pub fn still_has(&self, link: &Link) -> bool {
        link.open().is_ok()
    }

    /// Whether a folder elsewhere is there, with something in it: an empty one may be where a disk is mounted otherwise.
    pub fn is_occupied(&self, folder: &Path) -> bool {
        std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Whether a linked file, which was opened here, is still what it was when it was linked.
    pub fn check_unchanged(&self, place: &Place, file: &File) -> Result<(), StoreError> {
        place.linked().map_or(Ok(()), |link| link.check(file))
    }

    /// Reads an instance and digests its data set; with the length of that. A linked file must be what it was when it
    /// was linked, before and after. What is in quarantine may be a ruin without a head: then of all its bytes.
    pub fn digest(&self, place: &Place) -> Result<(Digest, u64), StoreError> {
        let (file, offset) = match place {
            Place::Stored(place) if place.is_quarantine() => {
                let file = self.open_file(place)?;
                let offset = match read_head(&file, place.as_str()) {
                    Err(StoreError::Damaged { .. }) => 0,
                    head => head?.data_set_offset,
                };
                (file, offset)
            }
            _ => self.open_any(place)?,
        };
        let digested = digest_of(&file, offset).doing("read", || place.to_string())?;
        self.check_unchanged(place, &file)?;
        Ok(digested)
    }

    fn open_any(&self, place: &Place) -> Result<(File, u64), StoreError> {
        match place {
            Place::Stored(place) => self.open_part10(place).map(|(file, head)| (file, head.data_set_offset)),
            Place::Linked(link) => Ok((link.open()?, link.offset)),
        }
    }

    /// Opens a file and reads its preamble and file meta group.
    pub(super) fn open_part10(&self, place: &RelativePath) -> Result<(File, Part10), StoreError> {
        let file = self.open_file(place)?;
        let head = read_head(&file, place.as_str())?;
        Ok((file, head))
    }

    /// Opens a file, whatever is in it. Where a folder or a link has its name, no file of ours is there.
    pub(super) fn open_file(&self, place: &RelativePath) -> Result<File, StoreError> {
        let shown = || place.to_string();
        let missing = || StoreError::Missing { place: place.clone().into() };
        let file = match self.open_place(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            Err(_) if self.in_the_way(place).is_some() => return Err(missing()),
            other => other.doing("open", shown)?,
        };
        if !file.metadata().doing("look at", shown)?.is_file() {
            return Err(missing());
        }
        Ok(file)
    }

    /// What has the name of a file of ours without being one, for people.
    pub fn in_the_way(&self, place: &RelativePath) -> Option<&'static str> {
        match self.folder_at(place.folder()).and_then(|folder| folder.kind(place.name())) {
            Ok(Kind::Folder) => Some("a folder"),
            Ok(Kind::Other) => Some("a symbolic link, or a special file,"),
            Ok(Kind::File) | Err(_) => None,
        }
    }

    /// Opens a file without following a link in any part of its path.
    fn open_place(&self, place: &RelativePath) -> io::Result<File> {
        let mut folder = self.root().folder.clone();
        for part in place.folder().split('/') {
            folder = folder.folder(part)?;
        }
        folder.file(place.name())
    }
}

/// Reads preamble and file meta group of a file of ours.
pub(super) fn read_head(file: &File, shown: &str) -> Result<Part10, StoreError> {
    let mut bytes = Vec::with_capacity(4096);
    let first = DataSet { file, offset: 0 }.take(4096).read_to_end(&mut bytes);
    first.doing("read", || shown.to_owned())?;
    match read_part10_head(&bytes) {
        Ok(head) => return Ok(head),
        Err(_) if bytes.len() == 4096 => {}
        Err(error) => return Err(StoreError::damaged(shown, error.to_string())),
    }
    let rest = DataSet { file, offset: 4096 }.take((LONGEST_HEAD - 4096) as u64).read_to_end(&mut bytes);
    rest.doing("read", || shown.to_owned())?;
    read_part10_head(&bytes).map_err(|error| StoreError::damaged(shown, error.to_string()))
}

/// Digests a file from an offset on.
pub(super) fn digest_of(file: &File, offset: u64) -> io::Result<(Digest, u64)> {
    let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read_at(&mut chunk, offset + length) {
            Ok(0) => return Ok((hasher.finalize().into(), length)),
            Ok(read) => {
                hasher.update(chunk.get(..read).unwrap_or_default());
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
