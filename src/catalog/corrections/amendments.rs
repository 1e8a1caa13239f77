//! What is different in an object when it leaves: the amendments of all operations on it, the oldest first.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, params};

use super::Role;
use crate::dataset::{Amendment, UidKind};
use crate::db::DbError;
use crate::dicom::Uid;

/// Reads amendments, each of an operation once.
#[derive(Default)]
pub(in crate::catalog) struct Amendments {
    known: HashMap<i64, Arc<Amendment>>,
}

/// An operation on an object.
struct Step {
    correction: i64,
    role: Role,
    uid: Option<String>,
    previous: Option<i64>,
    patch: Option<Vec<u8>>,
}

impl Amendments {
    /// Those of an instance that was filed with a UID and on which an operation is, to be applied in this order.
    pub(in crate::catalog) fn of(
        &mut self,
        c: &Connection,
        instance: i64,
        filed: &str,
        correction: Option<i64>,
    ) -> Result<Vec<Arc<Amendment>>, DbError> {
        let mut steps = Vec::new();
        let mut next = correction;
        while let Some(step) = next.map(|correction| step(c, correction, instance)).transpose()?.flatten() {
            next = step.previous;
            steps.push(step);
        }
        let (mut amendments, mut shown) = (Vec::new(), filed.to_owned());
        for Step { correction, role, uid, patch, .. } in steps.into_iter().rev() {
            if matches!(role, Role::Moved | Role::Filed) {
                amendments.push(self.whole(c, correction)?);
                amendments.extend(patch.map(|patch| decoded(&patch)).transpose()?.map(Arc::new));
            }
            let uid = uid.unwrap_or_else(|| filed.to_owned());
            if uid != shown {
                let mut renamed = Amendment::default();
                renamed.uids.insert(UidKind::Instance, Uid::new(&shown), Uid::new(&uid));
                amendments.push(Arc::new(renamed));
                shown = uid;
            }
        }
        amendments.retain(|amendment| !amendment.is_empty());
        Ok(amendments)
    }

    fn whole(&mut self, c: &Connection, correction: i64) -> Result<Arc<Amendment>, DbError> {
        if let Some(known) = self.known.get(&correction) {
            return Ok(Arc::clone(known));
        }
        let bytes: Vec<u8> = c
            .prepare_cached("SELECT amendment FROM corrections WHERE id = ?1")?
            .query_row([correction], |row| row.get(0))?;
        let amendment = Arc::new(decoded(&bytes)?);
        self.known.insert(correction, Arc::clone(&amendment));
        Ok(amendment)
    }
}

fn step(c: &Connection, correction: i64, instance: i64) -> Result<Option<Step>, DbError> {
    let mut statement = c.prepare_cached(STEP)?;
    let step = statement.query_row(params![correction, instance], |row| {
        Ok(Step { correction, role: row.get(0)?, uid: row.get(1)?, previous: row.get(2)?, patch: row.get(3)? })
    });
    Ok(step.optional()?)
}

fn decoded(bytes: &[u8]) -> Result<Amendment, DbError> {
    if bytes.is_empty() {
        return Ok(Amendment::default());
    }
    let failed = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error));
    Ok(Amendment::from_bytes(bytes).map_err(failed)?)
}

pub(in crate::catalog) const STEP: &str = "SELECT role, new_uid, previous, patch FROM correction_instances
    WHERE correction = ?1 AND instance = ?2";
