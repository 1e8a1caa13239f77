//! Bytes that are not what was filed any more leave their place: kept in quarantine, they may be all that there is.

use std::sync::PoisonError;

use super::error::Doing;
use super::examine::{CharsetOf, nobody};
use super::journal::{DamagedText, JournalEntry};
use super::place::{self, Suffix};
use super::read::{digest_of, read_head};
use super::receive::{Scanned, scan_file};
use super::{Destination, Digest, Filed, RelativePath, Store, StoreError};
use crate::dicom::{Identity, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, Uid, uids};

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
    /// Moves a damaged file of this instance, which is filed in this study, to quarantine, so that its place is free for the object when it comes
    /// again. The journal knows the reason before the file has its new name.
    pub fn set_aside(
        &self,
        place: &RelativePath,
        instance: &SopInstanceUid,
        study: &StudyInstanceUid,
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
            filed_in: Some(study.as_str().to_owned()),
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

impl Store {
    /// Reads a damaged file that was set aside, for a catalog that does not know it. What it is, the journal tells: its
    /// own header may be damaged, or gone. Nobody sent it.
    pub fn examine_damaged(
        &self,
        place: &RelativePath,
        text: &DamagedText,
        charset: CharsetOf<'_>,
    ) -> Result<Filed, StoreError> {
        let file = self.open_file(place)?;
        let head = match read_head(&file, place.as_str()) {
            Err(StoreError::Damaged { .. }) => None,
            head => Some(head?),
        };
        let offset = head.as_ref().map_or(0, |head| head.data_set_offset);
        let (digest, length) = digest_of(&file, offset).doing("read", || place.to_string())?;
        let (class, syntax) = head.map_or((None, None), |head| (head.sop_class, head.transfer_syntax));
        let transfer_syntax = syntax.unwrap_or_else(|| TransferSyntaxUid::new(uids::IMPLICIT_LE));
        let class = SopClassUid::from(class.unwrap_or_else(|| Uid::new("")));
        let origin = nobody();
        let scan = scan_file(&file, offset, &transfer_syntax, &charset(&origin));
        let Scanned { identity, header, .. } = Scanned::of(scan, class, text.instance.clone());
        Ok(Filed {
            identity: Identity { study: text.study.clone(), instance: text.instance.clone(), ..identity },
            header,
            digest: Some(digest),
            length,
            file_size: offset + length,
            transfer_syntax,
            origin,
            place: place.clone().into(),
            replaces: None,
            made: false,
            destination: Destination::Quarantine { reason: text.reason.clone() },
        })
    }
}
