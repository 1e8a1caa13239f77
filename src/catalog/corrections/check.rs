//! What stands against a flip or an undo.

use rusqlite::{Connection, OptionalExtension, params};

use super::{CorrectionError, CorrectionState, locks};
use crate::catalog::codes::unsigned;
use crate::db::DbError;

/// An operation as it is looked at before it is flipped either way.
struct Operation {
    state: CorrectionState,
    operator: String,
    process: String,
    source: i64,
    destination: i64,
}

fn operation(c: &Connection, id: i64) -> Result<Option<Operation>, DbError> {
    let sql = "SELECT state, operator, process, source, destination FROM corrections WHERE id = ?1";
    let row = c.prepare_cached(sql)?.query_row([id], |row| {
        Ok(Operation {
            state: row.get(0)?,
            operator: row.get(1)?,
            process: row.get(2)?,
            source: row.get(3)?,
            destination: row.get(4)?,
        })
    });
    Ok(row.optional()?)
}

/// The operation, if it is in that state and both studies are free for that operator.
fn free(
    c: &Connection,
    id: i64,
    wanted: CorrectionState,
    operator: Option<&str>,
) -> Result<Result<(), CorrectionError>, DbError> {
    let Some(operation) = operation(c, id)? else { return Ok(Err(CorrectionError::Unknown(id))) };
    if operation.state != wanted {
        return Ok(Err(CorrectionError::State { id, state: operation.state }));
    }
    for study in [operation.source, operation.destination] {
        if let Some(lock) = locks::of(c, study)? {
            let (own, process) = match operator {
                Some(operator) => (operator, ""),
                None => (operation.operator.as_str(), operation.process.as_str()),
            };
            let shared = lock.owner == own && (lock.is_manual() || lock.process == process || operator.is_some());
            if !shared {
                return Ok(Err(lock.refusal()));
            }
        }
    }
    Ok(Ok(()))
}

/// Whether a staged operation can be flipped on.
pub(super) fn flip(c: &Connection, id: i64) -> Result<Result<(), CorrectionError>, DbError> {
    if let Err(error) = free(c, id, CorrectionState::Staged, None)? {
        return Ok(Err(error));
    }
    let (waiting, taken): (i64, i64) =
        c.prepare_cached(STAGED)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(match (waiting, taken) {
        (0, 0) => Ok(()),
        (0, taken) => Err(CorrectionError::Taken(unsigned(taken))),
        (waiting, _) => Err(CorrectionError::NotFiled(unsigned(waiting))),
    })
}

/// Whether an active operation can be taken back.
pub(super) fn undo(c: &Connection, id: i64, operator: &str) -> Result<Result<(), CorrectionError>, DbError> {
    if let Err(error) = free(c, id, CorrectionState::Active, Some(operator))? {
        return Ok(Err(error));
    }
    let later: Option<i64> = c.prepare_cached(LATER)?.query_row(params![id], |row| row.get(0)).optional()?;
    Ok(later.map_or(Ok(()), |by| Err(CorrectionError::BuiltOn { id, by })))
}

/// Objects that are not here, and those that are not as they were when they were staged.
pub(in crate::catalog) const STAGED: &str = "SELECT count(*) FILTER (WHERE ci.instance < 0),
        count(*) FILTER (WHERE ci.instance > 0
            AND (i.id IS NULL OR i.series <> ci.old_series OR i.correction IS NOT ci.previous OR ci.new_series IS NULL))
    FROM correction_instances ci LEFT JOIN instances i ON i.id = ci.instance WHERE ci.correction = ?1";

/// A later operation on one of the objects, be its file here or lost.
pub(in crate::catalog) const LATER: &str = "SELECT coalesce(i.correction, a.correction, 0)
    FROM correction_instances ci LEFT JOIN instances i ON i.id = ci.instance LEFT JOIN awaited a ON a.id = -ci.instance
    WHERE ci.correction = ?1 AND coalesce(i.correction, a.correction, 0) <> ?1 LIMIT 1";
