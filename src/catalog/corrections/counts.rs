//! What an operation means for the kept counts of series and studies.

use std::collections::BTreeSet;

use rusqlite::{Row, Transaction, params};

use super::flip::Way;
use crate::db::DbError;

/// Objects of an operation that go from one series to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) old: i64,
    pub(super) new: i64,
    objects: i64,
    linked: i64,
}

/// From where to where how many of the objects go that are here.
pub(super) fn pairs(tx: &Transaction<'_>, id: i64) -> Result<Vec<Pair>, DbError> {
    let pair =
        |row: &Row<'_>| Ok(Pair { old: row.get(0)?, new: row.get(1)?, objects: row.get(2)?, linked: row.get(3)? });
    Ok(tx.prepare_cached(PAIRS)?.query_map([id], pair)?.collect::<Result<_, _>>()?)
}

/// Counts anew what has changed.
pub(super) fn apply(tx: &Transaction<'_>, pairs: &[Pair], way: Way) -> Result<(), DbError> {
    let mut studies = BTreeSet::new();
    for Pair { old, new, objects, linked } in pairs {
        let (from, to) = if way == Way::On { (old, new) } else { (new, old) };
        for (series, by) in [(from, -1), (to, 1)] {
            let study: i64 = tx.prepare_cached(SERIES)?.query_row(params![series, by * objects], |row| row.get(0))?;
            tx.prepare_cached("UPDATE studies SET linked = linked + ?2 WHERE id = ?1 AND ?2 <> 0")?
                .execute([study, by * linked])?;
            studies.insert(study);
        }
    }
    for study in studies {
        tx.prepare_cached(STUDY)?.execute([study])?;
    }
    Ok(())
}

/// An instance more or less in a series and its study; nothing where what is in it is hidden.
pub(in crate::catalog) fn one(tx: &Transaction<'_>, series: i64, by: i64) -> Result<(), DbError> {
    let (study, left, hidden): (i64, i64, bool) =
        tx.prepare_cached(SERIES)?.query_row([series, by], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    if hidden {
        return Ok(());
    }
    let was_empty = left == by;
    let of_series = if left == 0 { -1 } else { i64::from(was_empty) };
    tx.prepare_cached("UPDATE studies SET instances = instances + ?2, series = series + ?3 WHERE id = ?1")?
        .execute([study, by, of_series])?;
    Ok(())
}

pub(in crate::catalog) const PAIRS: &str = "SELECT ci.old_series, ci.new_series, count(*), count(i.link_folder)
    FROM correction_instances ci CROSS JOIN instances i ON i.id = ci.instance
    WHERE ci.correction = ?1 GROUP BY ci.old_series, ci.new_series";

/// What is hidden is not counted.
const SERIES: &str = "UPDATE series
    SET instances = CASE WHEN (SELECT uid FROM studies WHERE id = series.study) = '' THEN 0 ELSE instances + ?2 END
    WHERE id = ?1 RETURNING study, instances, (SELECT uid FROM studies WHERE id = series.study) = ''";

/// A study in which nothing is shown any more keeps what it said of itself.
const STUDY: &str = r"UPDATE studies SET (series, instances) = (
        SELECT count(*), coalesce(sum(se.instances), 0) FROM series se
        WHERE se.study = studies.id AND se.instances > 0),
    modalities = (
        SELECT coalesce(group_concat(modality, '\'), '') FROM (
            SELECT se.modality FROM series se WHERE se.study = studies.id AND se.instances > 0 AND se.modality <> ''
            GROUP BY se.modality ORDER BY min(se.id))),
    sop_classes = (
        SELECT coalesce(group_concat(u.uid, '\'), '') FROM (
            SELECT i.class FROM series se CROSS JOIN instances i ON i.series = se.id
            WHERE se.study = studies.id AND se.instances > 0 GROUP BY i.class ORDER BY min(i.id)) of
            CROSS JOIN uids u ON u.id = of.class)
    WHERE id = ?1";
