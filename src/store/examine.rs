//! Reading a file of ours as if it had just arrived: what a crash left in the incoming folder, and, for a catalog that
//! is made anew, what is filed.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::error::Doing;
use super::incoming::{Content, PartFile};
use super::manifest::OriginText;
use super::read::{digest_of, read_head};
use super::receive::{Scanned, scan_file};
use super::{Destination, Digest, Filed, Incoming, Link, LinkedText, RelativePath, Store, StoreError};
use crate::dataset::{CharacterSet, Part10};
use crate::dicom::{SopClassUid, SopInstanceUid, TransferSyntaxUid, Uid, uids};
use crate::object::Origin;

/// Which character set a sender means that names none.
pub type CharsetOf<'a> = &'a dyn Fn(&Origin) -> CharacterSet;

/// Everything that a file tells.
pub(super) struct Examined {
    scanned: Scanned,
    pub(super) digest: Digest,
    length: u64,
    file_size: u64,
    transfer_syntax: TransferSyntaxUid,
    origin: Origin,
}

/// Reads a whole file of ours. `origin` where it is known from elsewhere; else what its head says.
pub(super) fn examine(
    file: &File,
    shown: &str,
    origin: Option<Origin>,
    charset: CharsetOf<'_>,
) -> Result<Examined, StoreError> {
    let head = read_head(file, shown)?;
    let (digest, length) = digest_of(file, head.data_set_offset).doing("read", || shown.to_owned())?;
    let origin = origin.unwrap_or_else(|| origin_of(&head));
    let transfer_syntax = head.transfer_syntax.unwrap_or_else(|| TransferSyntaxUid::new(uids::IMPLICIT_LE));
    let scan = scan_file(file, head.data_set_offset, &transfer_syntax, &charset(&origin));
    let empty = || Uid::new("");
    let class = SopClassUid::from(head.sop_class.unwrap_or_else(empty));
    let instance = SopInstanceUid::from(head.sop_instance.unwrap_or_else(empty));
    let scanned = Scanned::of(scan, class, instance);
    Ok(Examined { scanned, digest, length, file_size: head.data_set_offset + length, transfer_syntax, origin })
}

/// Who sent it, as we wrote it down in the file meta group; nobody where that is not so.
fn origin_of(head: &Part10) -> Origin {
    let ours = head.private_creator.as_ref().is_some_and(|creator| creator.as_str() == uids::IMPLEMENTATION_CLASS);
    let text =
        head.private_information.as_deref().filter(|_| ours).map(|bytes| bytes.strip_suffix(b"\0").unwrap_or(bytes));
    match text.map(serde_json::from_slice::<OriginText>) {
        Some(Ok(origin)) => origin.into(),
        _ => nobody(),
    }
}

/// Whoever brings what nobody is known to have sent.
pub(super) fn nobody() -> Origin {
    Origin { source: None, ae_title: String::new(), address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), association: 0 }
}

impl Examined {
    pub(super) fn incoming(self, file: PartFile) -> Incoming {
        let Examined { scanned, digest, length, file_size, transfer_syntax, origin } = self;
        let Scanned { identity, header, outcome, mismatch } = scanned;
        Incoming {
            identity,
            header,
            scan: outcome,
            digest: Some(digest),
            length,
            file_size,
            transfer_syntax,
            origin,
            mismatch,
            set_aside: None,
            restores: None,
            content: Content::Part(file),
        }
    }

    pub(super) fn filed(self, place: RelativePath, destination: Destination) -> Filed {
        let Examined { scanned, digest, length, file_size, transfer_syntax, origin } = self;
        let Scanned { identity, header, .. } = scanned;
        Filed {
            identity,
            header,
            digest: Some(digest),
            length,
            file_size,
            transfer_syntax,
            origin,
            place: place.into(),
            replaces: None,
            made: false,
            destination,
        }
    }
}

impl Store {
    /// Reads a file under its final name for a catalog that does not know it.
    pub fn examine(&self, place: &RelativePath, charset: CharsetOf<'_>) -> Result<Found, StoreError> {
        let (file, _) = self.open_part10(place)?;
        let examined = examine(&file, place.as_str(), None, charset)?;
        file.sync_data().doing("sync", || place.to_string())?;
        Ok(Found { examined, place: place.clone() })
    }

    /// Takes a file that has its final name, and that the catalog does not accept there, back into the incoming
    /// folder, to be settled again.
    pub fn take_back(
        &self,
        place: &RelativePath,
        origin: Origin,
        charset: CharsetOf<'_>,
    ) -> Result<Incoming, StoreError> {
        let (file, _) = self.open_part10(place)?;
        let examined = examine(&file, place.as_str(), Some(origin), charset)?;
        let folder = self.folder_at(place.folder()).doing("open", || place.folder().to_owned())?;
        Ok(examined.incoming(self.process()?.adopt(&folder, place.name())?))
    }
}

impl Store {
    /// Reads the header of a linked file, which must be what it was, for a catalog that does not know it.
    pub fn examine_link(&self, path: PathBuf, text: &LinkedText, charset: CharsetOf<'_>) -> Result<Filed, StoreError> {
        let LinkedText { offset, size, modified, .. } = *text;
        let link = Link { path, offset, size, modified };
        let file = link.open()?;
        let (origin, transfer_syntax) = (nobody(), TransferSyntaxUid::new(&text.syntax));
        let scan = scan_file(&file, offset, &transfer_syntax, &charset(&origin));
        let (class, instance) = (SopClassUid::new(&text.class), SopInstanceUid::new(&text.instance));
        let Scanned { identity, header, .. } = Scanned::of(scan, class, instance);
        Ok(Filed {
            identity,
            header,
            digest: text.digest.as_deref().and_then(Digest::parse),
            length: link.length(),
            file_size: size,
            transfer_syntax,
            origin,
            place: link.into(),
            replaces: None,
            made: false,
            destination: if text.variant { Destination::Variant } else { Destination::Image },
        })
    }
}

/// A file that is filed, and what it tells. What it is, is for others to say.
pub struct Found {
    examined: Examined,
    place: RelativePath,
}

impl Found {
    /// Its place.
    pub fn place(&self) -> &RelativePath {
        &self.place
    }

    /// BLAKE3 of its data set.
    pub fn digest(&self) -> Digest {
        self.examined.digest
    }

    /// Bytes of its data set.
    pub fn length(&self) -> u64 {
        self.examined.length
    }

    /// The transfer syntax of its data set.
    pub fn transfer_syntax(&self) -> &TransferSyntaxUid {
        &self.examined.transfer_syntax
    }

    /// Class and instance of the file meta group, study and series of the header.
    pub fn identity(&self) -> &crate::dicom::Identity {
        &self.examined.scanned.identity
    }

    /// As something that is filed.
    pub fn filed(self, destination: Destination) -> Filed {
        self.examined.filed(self.place, destination)
    }
}
