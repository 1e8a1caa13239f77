//! SQLite as this program needs it, knowing no table.
//!
//! One writer thread a process groups what is queued into transactions (group commit: whatever queued up during the
//! last flush is the next batch), a few query-only connections read beside it. Other processes may write the same
//! file: a transaction waits for theirs, bounded and jittered, and holds nothing while it waits.

mod backup;
mod connect;
mod courtesy;
mod error;
mod locks;
mod migrate;
mod place;
mod readers;
mod wait;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction};

pub use error::DbError;
pub use locks::Locks;
use readers::Readers;
use writer::Writer;

/// The name whose holder opens the database.
const OPENS: &str = "opens the database";

/// A database. A clone is another handle; when the last one goes, what is queued is written and the file is closed.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    path: PathBuf,
    readers: Readers,
    writer: Writer,
}

impl Db {
    /// Opens the database, makes it when there is none, and runs the migrations that it lacks. Their number is the
    /// version of the file; a file with more of them belongs to a newer program and is refused.
    pub fn open(path: &Path, migrations: &'static [&'static str]) -> Result<Db, DbError> {
        connect::check_library()?;
        connect::make_file(path)?;
        place::check(path)?;
        // SQLite makes a new file one with a WAL for one process at a time, and turns others away without waiting.
        let opening = Locks::open(path)?;
        opening.lock(OPENS)?;
        let courtesy = courtesy::Courtesy::new(path)?;
        let mut connection = connect::writer(path, &courtesy)?;
        migrate::run(&mut connection, path, migrations)?;
        courtesy.begun();
        Ok(Db(Arc::new(Inner {
            path: path.to_owned(),
            readers: Readers::new(path),
            writer: Writer::start(connection, courtesy)?,
        })))
    }

    /// Queues a write. It runs inside a transaction that it may share with other queued ones, alone undone when it
    /// fails, and resolves when the transaction is on disk. A caller that goes away does not undo it.
    pub async fn write<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    {
        self.0.writer.write(work).await
    }

    /// The same for a thread that may wait.
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    {
        wait::block_on(self.write(work))
    }

    /// Queues a write and returns; `done` is told, on the writing thread, what became of it once that is on disk. It
    /// must not wait for anything. For a thread that may wait, for room in the queue.
    pub fn write_then<T, F, D>(&self, work: F, done: D) -> Result<(), DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, DbError> + Send + 'static,
        D: FnOnce(Result<T, DbError>) + Send + 'static,
    {
        wait::block_on(self.0.writer.write_then(work, done))
    }

    /// Reads on one of the query-only connections: one snapshot for everything inside.
    pub async fn read<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        let permit = self.0.readers.task().await?;
        let this = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            this.0.readers.run(work)
        });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(DbError::Stopped),
        }
    }

    /// The same for a thread that may wait, or for a task that reads a row or two: these wait for no report.
    pub fn read_blocking<T>(&self, work: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
        let _permit = wait::block_on(self.0.readers.thread())?;
        self.0.readers.run(work)
    }

    /// Copies the database as it is now into a new file, while others write on.
    pub fn backup(&self, to: &Path) -> Result<(), DbError> {
        backup::run(&self.0.path, to)
    }

    /// A new holder of locks on names, which no transaction knows of.
    pub fn locks(&self) -> Result<Locks, DbError> {
        Locks::open(&self.0.path)
    }

    /// Waits until everything that is queued has been written.
    pub fn close(self) -> Result<(), DbError> {
        self.write_blocking(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests;
