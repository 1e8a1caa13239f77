//! Every table and every statement, behind functions in DICOM words.
//!
//! The catalog is one SQLite file that several processes write. What they share is in its rows: jobs, their items,
//! leases, checkpoints, and what has been filed. A function here is one transaction or one read; nothing is held in
//! between. Times are unix milliseconds.

mod accounts;
mod alive;
mod approvals;
mod arrivals;
mod audit;
mod checkpoints;
mod claim;
mod codes;
mod commitment;
mod corrections;
mod days;
mod departures;
mod figures;
mod files;
mod import;
mod item;
mod items;
mod jobs;
mod leases;
mod links;
mod lost;
mod made;
mod moves;
mod outbox;
mod pace;
mod places;
mod priors;
mod quarantine;
mod query;
mod recalls;
mod record;
mod selection;
mod spec;
#[doc(hidden)]
pub mod synthetic;
mod tickets;
mod totals;
mod uid_locks;
mod windows;
mod worklist;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::db::{Db, DbError};
use crate::object::{Disposition, Fault};

pub use accounts::{LONGEST_NAME, Session, User, is_account_name};
pub use alive::SignOfLife;
pub use approvals::{Agreement, Approval, Approved};
pub use arrivals::Arrival;
pub use audit::{AuditEntry, AuditSubject, Forgotten, NewAuditEntry};
pub use checkpoints::{Checkpoint, NewCheckpoint, Progress};
pub use commitment::{Begun, Commitment, CommitmentResult, NewCommitment, ToCommit};
pub use corrections::{
    Along, Busy, CorrectedInstance, Correction, CorrectionError, CorrectionFilter, CorrectionKind, CorrectionLike,
    CorrectionMode, CorrectionState, Latecomers, NewCorrected, NewCorrection, NewFiled, ObjectFacts, PatientFacts,
    RelatedSeries, Role, SeriesFacts, StagedCorrection, Stamp, StudyFacts, StudyLock, ToldCorrection, became, marked,
};
pub use days::DayTotals;
pub use departures::{Departure, Left, ShownAs};
pub use figures::Figures;
pub use files::{FileRole, KnownFile};
pub use import::{
    Archived, Batch, FileKey, FileOutcome, FileState, FilingCounts, FolderFacts, FolderReport, FolderState,
    ImportFolder, KnownEntry, KnownMember, ListedFile, ListedObject, TroubledFile, Way,
};
pub use item::{Evidence, Item, ItemCounts, ItemState, ItemUpdate, ListedStudy, OrderKey, Reason, Retry};
pub use jobs::{Control, Job, JobKind, JobState, Note};
pub use leases::Lease;
pub use links::{LinkedFile, LinkedStudy, Swap};
pub use lost::Lost;
pub use made::Made;
pub use moves::{QuarantinedFile, StoredFile};
pub use outbox::{Errand, ErrandState, OutboxCounts, OutboxEntry, OutboxFilter, Published};
pub use pace::{Pace, Slowed, Span};
pub use priors::{ExpectedPatient, Preparation, Readiness, ReadyPatient};
pub use quarantine::Quarantined;
pub use query::{
    ATTRIBUTES, Attribute, Compared, Cursor, Found, FoundFile, FoundRow, InvalidQuery, KeyType, Match, Options, Order,
    Page, Query,
};
pub use recalls::Recalled;
pub use record::{Copy, Existing, NewInstance, Outcome, Receipt, Recorded};
pub use selection::{HeldInstance, HeldKind, Selected, Selection};
pub use spec::{ImportHow, ImportSpec, JobSpec};
pub use tickets::{MOST_TOKENS, Ticket, Vouch, Vouched};
pub use totals::{ItemTotals, ObjectTotals, Totals};
pub use uid_locks::UidLocks;
pub use windows::{Window, WindowState};
pub use worklist::{Standing, StudyState};

/// The catalog of one archive. A clone is another handle on the same connections.
#[derive(Clone)]
pub struct Catalog {
    db: Db,
}

/// Why the catalog could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogError {
    /// The database refused.
    #[error(transparent)]
    Db(#[from] DbError),
    /// There is no such job.
    #[error("there is no job {0}")]
    NoSuchJob(i64),
    /// Somebody else works under a name that only one process may have.
    #[error("another process works under the name {0}")]
    OwnerTaken(String),
    /// The query makes no sense.
    #[error(transparent)]
    Query(#[from] InvalidQuery),
    /// A correction cannot be made, or not be undone.
    #[error(transparent)]
    Correction(#[from] CorrectionError),
}

impl CatalogError {
    /// Who must act: always this machine's administrator.
    pub fn fault(&self) -> Fault {
        Fault::Local
    }

    /// What it means for the work at hand.
    pub fn disposition(&self) -> Disposition {
        match self {
            CatalogError::Db(error) => error.disposition(),
            _ => Disposition::GiveUp,
        }
    }
}

/// Flag of a study: two objects with one UID and different pixel data came.
const FLAG_COLLISION: i64 = 1;
/// Flag of a study: its instances name different patients.
const FLAG_PATIENTS: i64 = 2;
/// Flag of a study: it was migrated as a cardiovascular one, and is not to be corrected.
const FLAG_CV_MIGRATED: i64 = 4;

/// The numbered changes of the schema: append, never alter one that has been released.
const MIGRATIONS: &[&str] = &[
    include_str!("catalog/schema/001_first.sql"),
    include_str!("catalog/schema/002_links.sql"),
    include_str!("catalog/schema/003_import.sql"),
    include_str!("catalog/schema/004_audit.sql"),
    include_str!("catalog/schema/005_queries.sql"),
    include_str!("catalog/schema/006_commitment.sql"),
    include_str!("catalog/schema/007_corrections.sql"),
    include_str!("catalog/schema/008_outbox.sql"),
    include_str!("catalog/schema/009_accounts.sql"),
    include_str!("catalog/schema/010_progress.sql"),
    include_str!("catalog/schema/011_providers.sql"),
    include_str!("catalog/schema/012_moved.sql"),
    include_str!("catalog/schema/013_union.sql"),
    include_str!("catalog/schema/014_priors.sql"),
    include_str!("catalog/schema/015_orders.sql"),
    include_str!("catalog/schema/016_passwords.sql"),
    include_str!("catalog/schema/017_numbers.sql"),
    include_str!("catalog/schema/018_agreed.sql"),
    include_str!("catalog/schema/019_imported_again.sql"),
];

impl Catalog {
    /// Opens the catalog, makes it when there is none, and brings an older one up to date.
    pub fn open(path: &Path) -> Result<Catalog, CatalogError> {
        Ok(Catalog { db: Db::open(path, MIGRATIONS)? })
    }

    /// Copies the catalog, while it is in use, into a new file. Blocking.
    pub fn backup(&self, to: &Path) -> Result<(), CatalogError> {
        Ok(self.db.backup(to)?)
    }

    /// A value that the archive remembers about itself, such as the id of its storage folder.
    pub async fn meta_get(&self, key: &str) -> Result<Option<String>, CatalogError> {
        let key = key.to_owned();
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT value FROM meta WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    /// Remembers a value under a key.
    pub async fn meta_set(&self, key: &str, value: &str) -> Result<(), CatalogError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.write(move |tx| {
            tx.prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2")?
                .execute([key, value])?;
            Ok(())
        })
        .await
    }

    /// What was learned about a source (JSON of the job module).
    pub async fn source_profile(&self, source: &str) -> Result<Option<String>, CatalogError> {
        let source = source.to_owned();
        self.read(move |c| {
            let found = c
                .prepare_cached("SELECT profile FROM sources WHERE name = ?1")?
                .query_row([source], |row| row.get(0))
                .optional()?;
            Ok(found.flatten())
        })
        .await
    }

    /// Remembers what was learned about a source.
    pub async fn set_source_profile(&self, source: &str, profile: &str) -> Result<(), CatalogError> {
        let (source, profile) = (source.to_owned(), profile.to_owned());
        self.write(move |tx| {
            tx.prepare_cached(
                "INSERT INTO sources (name, profile) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET profile = ?2",
            )?
            .execute([source, profile])?;
            Ok(())
        })
        .await
    }

    /// Waits until everything that is queued has been written.
    pub fn close(self) -> Result<(), CatalogError> {
        Ok(self.db.close()?)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        Ok(self.db.read(work).await?)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        Ok(self.db.write(work).await?)
    }
}

/// The number of a source's name; 0 for none.
fn source_id(tx: &Connection, name: Option<&str>) -> Result<i64, DbError> {
    let Some(name) = name else { return Ok(0) };
    let found =
        tx.prepare_cached("SELECT id FROM sources WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    tx.prepare_cached("INSERT INTO sources (name) VALUES (?1)")?.execute([name])?;
    Ok(tx.last_insert_rowid())
}

#[cfg(test)]
mod tests;
