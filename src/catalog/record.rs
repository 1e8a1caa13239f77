//! Filed objects become rows: one transaction a batch, with receipts and counts.

use std::net::IpAddr;

use super::{Catalog, CatalogError};
use crate::object::Origin;
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};

/// Who brought an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The configured source whose address it came from, if any.
    pub source: Option<String>,
    /// The calling AE title.
    pub ae_title: String,
    /// The peer's address.
    pub address: IpAddr,
    /// Our number of the association, unique within the process.
    pub association: u64,
    /// The process that filed it.
    pub process: String,
}

/// A filed object together with who brought it.
#[derive(Debug)]
pub struct NewInstance {
    pub(super) receipt: Receipt,
}

/// What became of an object, as receipts keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Filed.
    New,
    /// An object with the same values was filed already.
    Duplicate,
    /// Filed beside one with the same pixel data and another header.
    Variant,
    /// Kept in quarantine: one with other pixel data is filed under its UID.
    Collision,
    /// Its content has been moved by a person; nothing was filed.
    AlreadyMoved,
    /// Kept in quarantine for another reason.
    Quarantined,
}

/// What became of an object that was to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// Filed.
    New,
    /// An object with the same values is filed.
    Duplicate,
    /// Filed beside one with the same pixel data and another header.
    Variant,
    /// Kept in quarantine: one with other pixel data is filed under its UID.
    Collision,
    /// Its content has been moved by a person.
    AlreadyMoved,
    /// Kept in quarantine, for this reason.
    Quarantined(String),
    /// Nothing was recorded: since the object was settled, the catalog has changed under its UID (another process
    /// filed other bytes, or what it duplicates is not there). Its bytes must be settled again.
    Contested,
}

/// What is filed under a SOP Instance UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Its place in the storage folder.
    pub place: String,
    /// BLAKE3 of the data set.
    pub digest: [u8; 32],
    /// Length of the data set.
    pub length: u64,
    /// Its transfer syntax.
    pub transfer_syntax: TransferSyntaxUid,
    /// Study Instance UID.
    pub study: StudyInstanceUid,
    /// Series Instance UID.
    pub series: SeriesInstanceUid,
    /// Digests of the variants that are kept beside it.
    pub variants: Vec<[u8; 32]>,
}

impl Receipt {
    /// The receipt for an object that came this way.
    pub fn of(origin: &Origin, process: &str) -> Self {
        Receipt {
            source: origin.source.clone(),
            ae_title: origin.ae_title.clone(),
            address: origin.address,
            association: origin.association,
            process: process.to_owned(),
        }
    }
}

impl Catalog {
    /// Records a batch in one transaction that is on disk when this returns. Blocking; for the filing thread.
    pub fn record(&self, batch: Vec<NewInstance>) -> Result<Vec<Recorded>, CatalogError> {
        unimplemented!("{batch:?}")
    }

    /// What is filed under this UID. Blocking; for the filing thread.
    pub fn existing(&self, uid: &SopInstanceUid) -> Result<Option<Existing>, CatalogError> {
        unimplemented!("{uid}")
    }
}
