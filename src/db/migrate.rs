//! Versions: `user_version` counts the migrations that a file has had.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use super::DbError;

/// Marks the file as ours ("PFRY").
const APPLICATION_ID: i64 = 0x5046_5259;

/// Runs the migrations that the file lacks, all or none. Another process may be doing the same: the lock decides, and
/// whoever comes second finds nothing to do.
pub(super) fn run(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), DbError> {
    if version(connection, path, migrations.len())? == Some(migrations.len()) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = version(&transaction, path, migrations.len())?.unwrap_or(0);
    for (index, migration) in migrations.iter().enumerate().skip(done) {
        transaction
            .execute_batch(migration)
            .map_err(|source| DbError::Migration { version: index + 1, source: Arc::new(source) })?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", i64::try_from(migrations.len()).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    Ok(())
}

/// The version of the file; `None` when it is empty.
fn version(connection: &Connection, path: &Path, known: usize) -> Result<Option<usize>, DbError> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let foreign = || DbError::Foreign { path: path.to_owned() };
    if number("PRAGMA application_id")? != APPLICATION_ID {
        let objects = number("SELECT count(*) FROM sqlite_schema")?;
        return if objects == 0 && number("PRAGMA user_version")? == 0 { Ok(None) } else { Err(foreign()) };
    }
    let found = usize::try_from(number("PRAGMA user_version")?).map_err(|_| foreign())?;
    if found > known {
        return Err(DbError::Newer { path: path.to_owned(), found, known });
    }
    Ok(Some(found))
}
