//! Filed objects become rows: one transaction a batch, with receipts and counts.

pub(super) mod batch;
pub(super) mod hierarchy;
pub(super) mod names;
pub(super) mod replace;
pub(super) mod tally;

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, Row};

use super::codes::now;
use super::places::{Bytes, copy_bytes, instance_bytes};
use super::{Catalog, CatalogError};
use crate::dataset::Header;
use crate::db::DbError;
use crate::dicom::{Identity, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};
use crate::object::Origin;
use crate::store::{Destination, Digest, Filed, Place};

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

/// A filed object together with who brought it. Only a [`Filed`] makes one: what is recorded is durable (I1).
#[derive(Debug, Clone)]
pub struct NewInstance {
    pub(super) identity: Identity,
    pub(super) header: Header,
    pub(super) digest: Option<Digest>,
    pub(super) length: u64,
    pub(super) file_size: u64,
    pub(super) transfer_syntax: TransferSyntaxUid,
    pub(super) place: Place,
    pub(super) replaces: Option<Place>,
    pub(super) destination: Destination,
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
    /// filed other bytes or filed them elsewhere, or what it repeats is not there). It must be settled again.
    Contested,
}

/// What is filed under a SOP Instance UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// The current one.
    pub current: Copy,
    /// The study that it was filed in.
    pub study: StudyInstanceUid,
    /// And the series.
    pub series: SeriesInstanceUid,
    /// A person has moved or hidden it: what comes with the same pixel data is it, whatever else its header says.
    pub moved: bool,
    /// The UID is not the one that it was filed with, but one that a correction gave it: whatever comes is it.
    pub renamed: bool,
    /// The variants that are kept beside it.
    pub variants: Vec<Copy>,
}

/// One set of bytes that is filed under a UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where it is.
    pub place: Place,
    /// BLAKE3 of the data set; of a linked file it may not be known.
    pub digest: Option<Digest>,
    /// Length of the data set.
    pub length: u64,
    /// Its transfer syntax.
    pub transfer_syntax: TransferSyntaxUid,
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

impl NewInstance {
    /// What is to be recorded of a filed object.
    pub fn of(filed: &Filed, receipt: Receipt) -> Self {
        NewInstance {
            identity: filed.identity().clone(),
            header: filed.header().clone(),
            digest: filed.digest(),
            length: filed.length(),
            file_size: filed.file_size(),
            transfer_syntax: filed.transfer_syntax().clone(),
            place: filed.place().clone(),
            replaces: filed.replaces().cloned(),
            destination: filed.destination().clone(),
            receipt,
        }
    }
}

impl Catalog {
    /// Records a batch in one transaction that is on disk when this returns, and says for each what it became.
    /// Blocking; for the filing thread.
    ///
    /// What was decided when the object was settled is checked again inside the transaction, since another process
    /// may have filed an object with the same UID meanwhile: [`Recorded::Contested`].
    pub fn record(&self, batch: Vec<NewInstance>) -> Result<Vec<Recorded>, CatalogError> {
        Ok(self.db.write_blocking(move |tx| batch::record(tx, &batch, now()))?)
    }

    /// The same without waiting for it: `done` is told the outcome on the thread that writes the catalog, and must not
    /// wait for anything. An error here means that it is never told.
    pub fn record_then(
        &self,
        batch: Vec<NewInstance>,
        done: impl FnOnce(Result<Vec<Recorded>, CatalogError>) + Send + 'static,
    ) -> Result<(), CatalogError> {
        let done = |outcome: Result<_, DbError>| done(outcome.map_err(CatalogError::from));
        Ok(self.db.write_then(move |tx| batch::record(tx, &batch, now()), done)?)
    }

    /// Remembers the digest of a linked file that was not known, if the row still points to that file. Blocking; for the
    /// filing thread.
    pub fn learn_digest(&self, uid: &SopInstanceUid, place: &Place, digest: Digest) -> Result<(), CatalogError> {
        let (uid, place) = (uid.clone(), place.clone());
        Ok(self.db.write_blocking(move |tx| replace::learn(tx, &uid, &place, digest))?)
    }

    /// What is filed under this UID. Blocking; for the filing thread.
    pub fn existing(&self, uid: &SopInstanceUid) -> Result<Option<Existing>, CatalogError> {
        Ok(self.db.read_blocking(|c| existing(c, uid))?)
    }
}

pub(super) const EXISTING: &str = concat!(
    "SELECT ",
    instance_bytes!(),
    ", t.uid, i.id, hs.uid, h.uid, i.home IS NOT NULL
     FROM instances i CROSS JOIN uids t ON t.id = i.transfer_syntax CROSS JOIN series se ON se.id = i.series
     CROSS JOIN series h ON h.id = coalesce(i.home, i.series) CROSS JOIN studies hs ON hs.id = h.study
     LEFT JOIN folders f ON f.id = i.link_folder WHERE i.id = ?1"
);
pub(super) const VARIANTS: &str = concat!(
    "SELECT ",
    copy_bytes!(),
    ", t.uid FROM copies c CROSS JOIN uids t ON t.id = c.transfer_syntax
     LEFT JOIN folders f ON f.id = c.link_folder WHERE c.instance = ?1"
);

fn existing(c: &Connection, uid: &SopInstanceUid) -> Result<Option<Existing>, DbError> {
    let Some(Named { instance, renamed, .. }) = named(c, uid.as_str())? else { return Ok(None) };
    let variants = c.prepare_cached(VARIANTS)?.query_map([instance], copy_of)?.collect::<Result<_, _>>()?;
    let existing = |row: &Row<'_>| {
        Ok(Existing {
            current: copy_of(row)?,
            study: StudyInstanceUid::new(row.get_ref(Bytes::COLUMNS + 2)?.as_str()?),
            series: SeriesInstanceUid::new(row.get_ref(Bytes::COLUMNS + 3)?.as_str()?),
            variants,
            moved: row.get(Bytes::COLUMNS + 4)?,
            renamed,
        })
    };
    Ok(c.prepare_cached(EXISTING)?.query_row([instance], existing).optional()?)
}

/// What an arriving UID names.
#[derive(Debug, Clone, Copy)]
struct Named {
    instance: i64,
    /// It is not the UID that it was filed with.
    renamed: bool,
    /// What it names is shown elsewhere, or under another UID, or nowhere.
    moved: bool,
}

/// The instance that was filed with a UID, or else the one that a correction gave it.
fn named(c: &Connection, uid: &str) -> Result<Option<Named>, DbError> {
    for (sql, renamed) in [(FILED_WITH, false), (GIVEN, true)] {
        let named = |row: &Row<'_>| Ok(Named { instance: row.get(0)?, renamed, moved: row.get(1)? });
        if let Some(named) = c.prepare_cached(sql)?.query_row([uid], named).optional()? {
            return Ok(Some(named));
        }
    }
    Ok(None)
}

pub(super) const FILED_WITH: &str = "SELECT id, home IS NOT NULL FROM instances WHERE uid = ?1";
/// The operation that is on the instance comes first, as the one by which it is shown.
pub(super) const GIVEN: &str = "SELECT i.id, i.correction IS NOT ci.correction
    FROM correction_instances ci CROSS JOIN corrections co ON co.id = ci.correction
        CROSS JOIN instances i ON i.id = ci.instance
    WHERE ci.new_uid = ?1 AND co.state <> 0 ORDER BY i.correction IS NOT ci.correction LIMIT 1";

fn copy_of(row: &Row<'_>) -> rusqlite::Result<Copy> {
    let Bytes { place, digest, length, .. } = Bytes::read(row, 0)?;
    let transfer_syntax = TransferSyntaxUid::new(row.get_ref(Bytes::COLUMNS)?.as_str()?);
    Ok(Copy { place, digest, length, transfer_syntax })
}
