//! What an instance is on its way: incoming, then filed. The type is the proof (I1): only this module makes a
//! [`Filed`], and the catalog accepts nothing else.

use crate::dataset::Header;
use crate::dicom::{Identity, TransferSyntaxUid};
use crate::object::Origin;

use super::incoming::{Content, PartFile, There};
use super::{Digest, Place};

/// An instance that is whole, in the incoming folder. Not durable. Its file goes when this is dropped.
#[derive(Debug)]
pub struct Incoming {
    /// Class and instance of the command (or of the file meta group); study and series of the header, or empty.
    pub identity: Identity,
    /// What the catalog needs of the header; what was read before the fault, if there was one.
    pub header: Header,
    /// Whether the header was read to its end; if not, why.
    pub scan: Result<(), String>,
    /// BLAKE3 of the data set; of a file that is only linked it may not be known.
    pub digest: Option<Digest>,
    /// Bytes of the data set.
    pub length: u64,
    /// Bytes of the file, preamble and file meta group included.
    pub file_size: u64,
    /// The transfer syntax it was sent in.
    pub transfer_syntax: TransferSyntaxUid,
    /// Who sent it.
    pub origin: Origin,
    /// How the UIDs of the data set contradict those of the command, if they do.
    pub mismatch: Option<String>,
    /// Why it is to go to quarantine whatever else is known of it, if so.
    pub set_aside: Option<String>,
    /// Where the same bytes should be and are not, if so.
    pub(super) restores: Option<Place>,
    /// The bytes; a file is open from its first one until it is settled.
    pub(super) content: Content,
}

impl Incoming {
    /// Says that the catalog has these bytes at `place`, and that the file there is damaged or gone: this one takes its
    /// name, or, where it has a place of its own, its row.
    pub fn restores(&mut self, place: Place) {
        self.restores = Some(place);
    }

    /// Where its bytes are, if they stay there: nothing is written, nothing gets a name.
    pub fn stays_at(&self) -> Option<Place> {
        self.content.there().map(There::place)
    }

    /// Another one of these, if its bytes stay where they are.
    pub fn again(&self) -> Option<Incoming> {
        let content = Content::There(self.content.there()?.clone());
        Some(Incoming {
            identity: self.identity.clone(),
            header: self.header.clone(),
            scan: self.scan.clone(),
            transfer_syntax: self.transfer_syntax.clone(),
            origin: self.origin.clone(),
            mismatch: self.mismatch.clone(),
            set_aside: self.set_aside.clone(),
            restores: None,
            content,
            ..*self
        })
    }
}

/// What is to become of an incoming instance, and what has become of a filed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Filed under `images/`.
    Image,
    /// Kept beside the first one under `images/`: same UID, same pixels, another header.
    Variant,
    /// Kept in quarantine: same UID, other values.
    Collision,
    /// Kept in quarantine, for a reason in plain words.
    Quarantine {
        /// Why it could not be filed.
        reason: String,
    },
    /// Not kept: the same values are filed here already.
    Discard {
        /// Where they are.
        of: Place,
        /// The length of its data set, to be sure that it is still there and whole.
        length: u64,
    },
}

impl Destination {
    /// Whether the bytes lie in quarantine.
    pub fn is_quarantine(&self) -> bool {
        matches!(self, Destination::Collision | Destination::Quarantine { .. })
    }
}

/// An instance whose bytes are durable under their final name; or are those of a linked file, which was read; or, for
/// [`Destination::Discard`], are those of the instance that it repeats.
#[derive(Debug, Clone)]
pub struct Filed {
    pub(super) identity: Identity,
    pub(super) header: Header,
    pub(super) digest: Option<Digest>,
    pub(super) length: u64,
    pub(super) file_size: u64,
    pub(super) transfer_syntax: TransferSyntaxUid,
    pub(super) origin: Origin,
    pub(super) place: Place,
    pub(super) replaces: Option<Place>,
    pub(super) made: bool,
    pub(super) destination: Destination,
}

impl Filed {
    /// Whoever calls this has just made the bytes at `place` durable, or found them so.
    pub(super) fn new(incoming: Incoming, destination: Destination, place: Place, file_size: u64) -> Filed {
        let made = incoming.content.part().is_some_and(PartFile::is_renamed);
        let Incoming { identity, header, digest, length, transfer_syntax, origin, restores, .. } = incoming;
        // A linked file may be the same and only be known better.
        let replaces = restores.filter(|restored| *restored != place || place.linked().is_some());
        Filed {
            replaces,
            made,
            identity,
            header,
            digest,
            length,
            file_size,
            transfer_syntax,
            origin,
            place,
            destination,
        }
    }

    /// Its UIDs: class and instance of the command, study and series of the header (empty if it has none).
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the catalog needs of its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// BLAKE3 of its data set; of a file that is only linked it may not be known.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Bytes of its data set.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of its file, preamble and file meta group included.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The transfer syntax of its data set.
    pub fn transfer_syntax(&self) -> &TransferSyntaxUid {
        &self.transfer_syntax
    }

    /// Who sent it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where its bytes are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the file at its place was written for it, and was not there before.
    pub fn was_made(&self) -> bool {
        self.made
    }

    /// Where a row says that these bytes are, and they are not: the row is to say where they are now.
    pub fn replaces(&self) -> Option<&Place> {
        self.replaces.as_ref()
    }

    /// What has become of it.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }
}
