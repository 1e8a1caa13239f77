//! Why the database refused, and what that means.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::object::Disposition;

/// Why the database refused. It can be cloned, since one failed commit is the answer to many writes.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// The file or its folder could not be made or read.
    #[error("{doing} {path}", path = .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The file lies on a file system that several machines share, or that cannot lock.
    #[error(
        "the catalog {path} lies on a {kind} file system, where locks and shared memory cannot be relied on; \
         keep it on a local disk (`storage.catalog` in the configuration)",
        path = .path.display()
    )]
    Network {
        /// The database.
        path: PathBuf,
        /// What the file system is called.
        kind: String,
    },
    /// A later version of the program has changed the file.
    #[error(
        "the catalog {path} is of version {found}, this program knows versions up to {known}: use the newer pacsferry \
         that wrote it, or a backup from before",
        path = .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The version of the file.
        found: usize,
        /// The last version that this program knows.
        known: usize,
    },
    /// The file holds something else.
    #[error("{path} is no catalog of pacsferry", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The SQLite that was linked is too old for several processes on one file.
    #[error("SQLite {0} is too old: before 3.51.3 several processes could damage one file")]
    OldSqlite(&'static str),
    /// A setting on which durability rests did not take.
    #[error("the database answered `{found}` to `{setting}` instead of `{wanted}`")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What was wanted.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// Another process has been writing for longer than we wait.
    #[error("another process has kept the catalog locked for {} s", .0.as_secs())]
    Busy(Duration),
    /// The disk is full.
    #[error("the disk that holds the catalog is full")]
    Full,
    /// What is in the file makes no sense.
    #[error("the catalog is damaged; restore a backup, or make it anew with `pacsferry rebuild`")]
    Damaged(#[source] Arc<rusqlite::Error>),
    /// Anything else that SQLite said.
    #[error("the catalog could not be used")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// A migration failed.
    #[error("could not bring the catalog to version {version}")]
    Migration {
        /// The version that it should have come to.
        version: usize,
        /// Why it failed.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The writer thread has ended.
    #[error("the catalog is closed")]
    Stopped,
}

impl DbError {
    pub(super) fn file(doing: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        DbError::File { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// What it means for the work at hand: only a lock passes by itself.
    pub fn disposition(&self) -> Disposition {
        match self {
            DbError::Busy(_) => Disposition::Retry,
            _ => Disposition::Halt,
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DbError::Busy(super::wait::LONGEST),
            Some(ErrorCode::DiskFull) => DbError::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => DbError::Damaged(Arc::new(error)),
            _ => DbError::Sqlite(Arc::new(error)),
        }
    }
}
