//! The connections that read: few, query-only, opened when they are needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::{DbError, connect};

/// How many tasks may read at once, and how many threads: a long report never keeps the filing thread waiting.
const TASKS: usize = 2;
const THREADS: usize = 2;

pub(super) struct Readers {
    path: PathBuf,
    tasks: Arc<Semaphore>,
    threads: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Readers {
            path: path.to_owned(),
            tasks: Arc::new(Semaphore::new(TASKS)),
            threads: Semaphore::new(THREADS),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The right of a task to read, once one of the others has finished.
    pub(super) async fn task(&self) -> Result<OwnedSemaphorePermit, DbError> {
        Arc::clone(&self.tasks).acquire_owned().await.map_err(|_| DbError::Stopped)
    }

    /// The right of a thread to read, once one of the others has finished.
    pub(super) async fn thread(&self) -> Result<SemaphorePermit<'_>, DbError> {
        self.threads.acquire().await.map_err(|_| DbError::Stopped)
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
