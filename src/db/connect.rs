//! Opening connections with the settings on which the promises rest, each read back.

use std::fs::{self, File, OpenOptions};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::courtesy::Courtesy;
use super::{DbError, wait};

/// The first SQLite without the flaw that could damage a WAL written by several processes.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Caches of the connections in KiB. The operating system's cache does the rest.
const WRITER_CACHE_KIB: i32 = 2048;
const READER_CACHE_KIB: i32 = 1024;

/// A checkpoint begins when the WAL has this many pages (16 MiB), and then the WAL is written from its start again.
const CHECKPOINT_PAGES: i32 = 4096;

/// What of the WAL stays on disk after it has grown beyond the above, say while a backup read an old snapshot.
const WAL_KEPT_BYTES: i64 = 32 << 20;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;

pub(super) fn check_library() -> Result<(), DbError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(DbError::OldSqlite(rusqlite::version()));
    }
    Ok(())
}

/// Makes the folder and the empty file where there is none, readable by the owner and its group only: it will hold
/// patients' names. SQLite gives its companion files the same permissions.
pub(super) fn make_file(path: &Path) -> Result<(), DbError> {
    if path.exists() {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|e| DbError::file("could not make the folder", folder, e))?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path).map_err(|e| DbError::file("could not make the catalog", path, e))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| DbError::file("could not sync the folder", folder, e))
}

/// The connection that writes.
pub(super) fn writer(path: &Path, courtesy: &Courtesy) -> Result<Connection, DbError> {
    let mut connection = open(path)?;
    let (mut patience, courtesy) = (wait::patience(wait::LONGEST), courtesy.clone());
    connection.busy_handler(Some(move |tries| {
        courtesy.tried(tries);
        patience(tries)
    }))?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    setting(&connection, "journal_mode", "PRAGMA journal_mode = WAL", "wal")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    setting(&connection, "synchronous", "PRAGMA synchronous", "2")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    setting(&connection, "foreign_keys", "PRAGMA foreign_keys", "1")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reader(path: &Path) -> Result<Connection, DbError> {
    let connection = open(path)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    setting(&connection, "query_only", "PRAGMA query_only", "1")?;
    Ok(connection)
}

#[expect(clippy::disallowed_methods, reason = "the one place where connections are opened")]
fn open(path: &Path) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait::patience(wait::LONGEST)))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without it, SQLite prepares a statement anew when a parameter changes that a partial index might depend on: a
    // sixth of the time of filing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn setting(connection: &Connection, setting: &'static str, ask: &str, wanted: &'static str) -> Result<(), DbError> {
    let found = connection.query_row(ask, [], |row| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            other => other.as_str().unwrap_or_default().to_owned(),
        })
    })?;
    if found != wanted {
        return Err(DbError::Setting { setting, wanted, found });
    }
    Ok(())
}
