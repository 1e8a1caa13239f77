//! Objects that do not go where their headers say when they come: what an operation has written, and what was moved and
//! whose file was lost.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::counts;
use crate::db::DbError;

/// Where an object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) struct Awaited {
    id: i64,
    pub(in crate::catalog) series: i64,
    pub(in crate::catalog) home: i64,
    pub(in crate::catalog) correction: Option<i64>,
}

/// Whether an object of this UID is awaited.
pub(in crate::catalog) fn awaited(c: &Connection, uid: &str) -> Result<Option<Awaited>, DbError> {
    let mut statement = c.prepare_cached("SELECT id, series, home, correction FROM awaited WHERE uid = ?1")?;
    let found = statement.query_row([uid], |row| {
        Ok(Awaited { id: row.get(0)?, series: row.get(1)?, home: row.get(2)?, correction: row.get(3)? })
    });
    Ok(found.optional()?)
}

impl Awaited {
    /// It has come and has this number; `proper` is the series that it names itself.
    pub(in crate::catalog) fn came(self, tx: &Transaction<'_>, instance: i64, proper: i64) -> Result<(), DbError> {
        tx.prepare_cached(
            "UPDATE correction_instances SET instance = ?2, new_series = coalesce(new_series, ?3) WHERE instance = ?1",
        )?
        .execute([-self.id, instance, proper])?;
        tx.prepare_cached("DELETE FROM awaited WHERE id = ?1")?.execute([self.id])?;
        counts::one(tx, self.series, 1)
    }

    /// The file of an instance is lost: when the object comes again it goes where it was.
    pub(in crate::catalog) fn lost(tx: &Transaction<'_>, instance: i64) -> Result<(), DbError> {
        let id: Option<i64> = tx
            .prepare_cached(
                "INSERT INTO awaited (uid, series, home, correction)
                 SELECT uid, series, home, correction FROM instances WHERE id = ?1 AND home IS NOT NULL RETURNING id",
            )?
            .query_row([instance], |row| row.get(0))
            .optional()?;
        if let Some(id) = id {
            tx.prepare_cached("UPDATE correction_instances SET instance = ?2 WHERE instance = ?1")?
                .execute(params![instance, -id])?;
        }
        Ok(())
    }
}
