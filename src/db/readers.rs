//! The connections that read: few, query-only, opened when they are needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{DbError, connect};

/// How many may read at once.
const READERS: usize = 3;

pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Readers { path: path.to_owned(), permits: Arc::new(Semaphore::new(READERS)), idle: Mutex::new(Vec::new()) }
    }

    /// The right to read, once one of the others has finished.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, DbError> {
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| DbError::Stopped)
    }

    /// Reads in one snapshot; for a holder of a permit. A connection whose snapshot cannot be ended is not used again.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect::reader(&self.path)?,
        };
        let snapshot = connection.unchecked_transaction()?;
        let result = work(&snapshot);
        snapshot.finish()?;
        self.idle().push(connection);
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
