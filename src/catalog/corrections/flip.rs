//! The flip of a staged operation, and its reverse: one short transaction each.

use rusqlite::{Transaction, params};

use super::check;
use super::counts::{self, Pair};
use super::facts::stamp_of;
use super::{Along, CorrectionError, CorrectionState, Stamp, quarantined};
use crate::catalog::codes::now;
use crate::catalog::{Catalog, CatalogError, audit, outbox};
use crate::db::DbError;
use crate::failpoint;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// On.
    On,
    /// Off again.
    Off,
}

impl Catalog {
    /// Lets a staged operation be how things are shown, if both studies are as they were when it was planned, nobody else
    /// has locked one of them, and all that it writes is filed.
    pub async fn flip(&self, id: i64, planned: Vec<Stamp>, along: Along) -> Result<(), CatalogError> {
        self.write(move |tx| flip(tx, id, &planned, &along)).await??;
        failpoint!("correction-flipped");
        Ok(())
    }

    /// Takes an operation back: all that it moved is shown as before, and what it has written is hidden. What others have
    /// not been told yet they will not be told.
    pub async fn undo_correction(&self, id: i64, operator: &str, along: Along) -> Result<(), CatalogError> {
        let operator = operator.to_owned();
        self.write(move |tx| undo(tx, id, &operator, &along)).await??;
        failpoint!("correction-undone");
        Ok(())
    }

    /// Whether an operation could be undone now: what stands against it otherwise.
    pub async fn can_undo(&self, id: i64, operator: &str) -> Result<(), CatalogError> {
        let operator = operator.to_owned();
        Ok(self.read(move |c| check::undo(c, id, &operator)).await??)
    }
}

fn flip(
    tx: &Transaction<'_>,
    id: i64,
    planned: &[Stamp],
    along: &Along,
) -> Result<Result<(), CorrectionError>, DbError> {
    for stamp in planned {
        if stamp_of(tx, stamp.study())?.as_ref() != Some(stamp) {
            return Ok(Err(CorrectionError::Changed(stamp.study().clone())));
        }
    }
    if let Err(error) = check::flip(tx, id)? {
        return Ok(Err(error));
    }
    switch(tx, id, Way::On)?;
    tx.prepare_cached("UPDATE corrections SET state = ?2, at = ?3 WHERE id = ?1")?.execute(params![
        id,
        CorrectionState::Active,
        now()
    ])?;
    add_along(tx, id, along)?;
    Ok(Ok(()))
}

fn undo(tx: &Transaction<'_>, id: i64, operator: &str, along: &Along) -> Result<Result<(), CorrectionError>, DbError> {
    if let Err(error) = check::undo(tx, id, operator)? {
        return Ok(Err(error));
    }
    switch(tx, id, Way::Off)?;
    quarantined::give_back(tx, id)?;
    tx.prepare_cached("UPDATE corrections SET state = ?2, undone_at = ?3, undone_by = ?4 WHERE id = ?1")?
        .execute(params![id, CorrectionState::Undone, now(), operator])?;
    outbox::withdraw(tx, id)?;
    add_along(tx, id, along)?;
    Ok(Ok(()))
}

fn add_along(tx: &Transaction<'_>, id: i64, along: &Along) -> Result<(), DbError> {
    outbox::put(tx, Some(id), &along.errands)?;
    audit::add(tx, &along.audit)
}

/// Puts all objects of an operation where they are to be, and counts.
pub(super) fn switch(tx: &Transaction<'_>, id: i64, way: Way) -> Result<(), DbError> {
    let pairs = counts::pairs(tx, id)?;
    for Pair { old, new, .. } in &pairs {
        let (from, to) = if way == Way::On { (old, new) } else { (new, old) };
        tx.prepare_cached(PLACES)?.execute(params![id, old, new, from, to])?;
    }
    match way {
        Way::On => {
            tx.prepare_cached(AWAITED_ON)?.execute([id])?;
            tx.prepare_cached(ON)?.execute([id])?
        }
        Way::Off => {
            tx.prepare_cached(AWAITED_OFF)?.execute([id])?;
            tx.prepare_cached(AWAITED_NO_MORE)?.execute([id])?;
            tx.prepare_cached(OFF)?.execute([id])?
        }
    };
    counts::apply(tx, &pairs, way)
}

pub(in crate::catalog) const ON: &str = "UPDATE instances AS i
    SET series = ci.new_series, correction = ci.correction, home = coalesce(i.home, i.series)
    FROM correction_instances ci WHERE ci.correction = ?1 AND i.id = ci.instance";

/// What an operation has written is no source's, whoever sees it.
pub(in crate::catalog) const OFF: &str = "UPDATE instances AS i
    SET series = ci.old_series, correction = ci.previous,
        home = CASE WHEN ci.previous IS NULL AND ci.role <> 2 THEN NULL ELSE i.home END
    FROM correction_instances ci WHERE ci.correction = ?1 AND i.id = ci.instance";

/// The same for those whose files are lost; what an operation has written is awaited as what nobody sees yet.
const AWAITED_ON: &str = "UPDATE awaited AS a SET series = ci.new_series, correction = ci.correction
    FROM correction_instances ci WHERE ci.correction = ?1 AND -ci.instance = a.id AND ci.new_series IS NOT NULL";
const AWAITED_OFF: &str = "UPDATE awaited AS a SET series = ci.old_series, correction = ci.previous
    FROM correction_instances ci WHERE ci.correction = ?1 AND -ci.instance = a.id";
const AWAITED_NO_MORE: &str = "DELETE FROM awaited WHERE correction IS NULL AND series = home AND id IN (
    SELECT -instance FROM correction_instances WHERE correction = ?1 AND instance < 0 AND role <> 2)";

/// Says where instances are that go from one series to another of which it does not go without saying.
pub(in crate::catalog) const PLACES: &str = "UPDATE instances AS i
    SET place = (SELECT folder FROM series WHERE id = ?4) || '/' || i.uid || '.dcm'
    FROM correction_instances ci
    WHERE ci.correction = ?1 AND ci.old_series = ?2 AND ci.new_series = ?3 AND i.id = ci.instance
        AND i.place IS NULL AND i.link_folder IS NULL
        AND (SELECT folder FROM series WHERE id = ?4) <> (SELECT folder FROM series WHERE id = ?5)";
