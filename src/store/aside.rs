//! Bytes that are not what was filed any more leave their place: kept in quarantine, they may be all that there is.

use std::sync::PoisonError;

use super::error::Doing;
use super::journal::JournalEntry;
use super::place::{self, Suffix};
use super::read::{digest_of, read_head};
use super::{Digest, RelativePath, Store, StoreError};
use crate::dicom::SopInstanceUid;

/// A damaged file that was moved to quarantine, durably. Only [`Store::set_aside`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    place: RelativePath,
    digest: Digest,
    length: u64,
    file_size: u64,
}

impl SetAside {
    /// Where it lies now.
    pub fn place(&self) -> &RelativePath {
        &self.place
    }

    /// BLAKE3 of the data set as it is now; of the whole file where its head cannot be read.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The bytes that the digest is of.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of the file.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }
}

impl Store {
    /// Moves a damaged file of this instance to quarantine, so that its place is free for the object when it comes
    /// again. The journal knows the reason before the file has its new name.
    pub fn set_aside(
        &self,
        place: &RelativePath,
        instance: &SopInstanceUid,
        reason: &str,
    ) -> Result<SetAside, StoreError> {
        self.check_mounted()?;
        let shown = || place.to_string();
        let file = self.open_file(place)?;
        let offset = read_head(&file, place.as_str()).map_or(0, |head| head.data_set_offset);
        let (digest, length) = digest_of(&file, offset).doing("read", shown)?;
        self.journal().append(&[JournalEntry::Quarantined {
            digest: digest.to_string(),
            instance: instance.as_str().to_owned(),
            reason: reason.to_owned(),
            collision: false,
            at: jiff::Timestamp::now().as_millisecond(),
        }])?;
        let from = self.folder_at(place.folder()).doing("open", || place.folder().to_owned())?;
        for suffix in [Suffix::Short, Suffix::Full] {
            let to = place::quarantine(instance, &digest, suffix);
            let opened = self.folders().lock().unwrap_or_else(PoisonError::into_inner).open(to.folder());
            let opened = opened.doing("make the folder", || to.folder().to_owned()).map_err(|e| self.or_full(e))?;
            match from.rename(place.name(), &opened.folder, to.name()) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                other => other.doing("rename to", || to.to_string())?,
            }
            let above = opened.above.iter().map(|(_, folder)| folder);
            for folder in above.chain([&opened.folder, &from]) {
                folder.sync().doing("sync the folder of", shown)?;
            }
            return Ok(SetAside { place: to, digest, length, file_size: offset + length });
        }
        Err(StoreError::damaged(place, "its place in quarantine is taken"))
    }
}
