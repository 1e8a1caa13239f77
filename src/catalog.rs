//! Every table and every statement, behind functions in DICOM words.
//!
//! The catalog is one SQLite file that several processes write. What they share is in its rows: jobs, their items,
//! leases, checkpoints, and what has been filed. A function here is one transaction or one read; nothing is held in
//! between. Times are unix milliseconds.

mod arrivals;
mod checkpoints;
mod item;
mod items;
mod jobs;
mod leases;
mod record;
mod totals;
mod windows;

use std::path::Path;

use crate::db::{Db, DbError};
use crate::object::{Disposition, Fault};

pub use arrivals::{Arrival, Quarantined};
pub use checkpoints::{Checkpoint, NewCheckpoint, Progress};
pub use item::{
    Evidence, Item, ItemCounts, ItemState, ItemUpdate, ListedStudy, OrderKey, Reason, Retry,
};
pub use jobs::{Control, Job, JobKind, JobSpec, JobState, Note};
pub use leases::Lease;
pub use record::{Existing, NewInstance, Outcome, Receipt, Recorded};
pub use totals::{ItemTotals, ObjectTotals, Totals};
pub use windows::{Window, WindowState};

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
            CatalogError::NoSuchJob(_) => Disposition::GiveUp,
        }
    }
}

impl Catalog {
    /// Opens the catalog, makes it when there is none, and brings an older one up to date.
    pub fn open(path: &Path) -> Result<Catalog, CatalogError> {
        unimplemented!("{}", path.display())
    }

    /// Copies the catalog, while it is in use, into a new file.
    pub fn backup(&self, to: &Path) -> Result<(), CatalogError> {
        unimplemented!("{}", to.display())
    }

    /// A value that the archive remembers about itself, such as the id of its storage folder.
    pub async fn meta_get(&self, key: &str) -> Result<Option<String>, CatalogError> {
        unimplemented!("{key}")
    }

    /// Remembers a value under a key.
    pub async fn meta_set(&self, key: &str, value: &str) -> Result<(), CatalogError> {
        unimplemented!("{key} {value}")
    }

    /// What was learned about a source (JSON of the job module).
    pub async fn source_profile(&self, source: &str) -> Result<Option<String>, CatalogError> {
        unimplemented!("{source}")
    }

    /// Remembers what was learned about a source.
    pub async fn set_source_profile(&self, source: &str, profile: &str) -> Result<(), CatalogError> {
        unimplemented!("{source} {profile}")
    }
}
