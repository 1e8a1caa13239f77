//! The retrieve log: which nodes got objects of which series, and under which identity. A row stands for all that a node
//! got of a series.

use rusqlite::{Connection, Row, Transaction, params};

use super::codes::{signed, unsigned};
use super::{Catalog, CatalogError, Errand, outbox};
use crate::db::DbError;
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid};

/// Under which identity an object leaves: the row of the series that it is shown in, and the operation that put it there;
/// 0 where it is as it was filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShownAs {
    /// The number of the series in this catalog.
    pub series: i64,
    /// The number of the operation.
    pub correction: i64,
}

/// Objects of one series that a node has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The AE title of the node.
    pub peer: String,
    /// What they were.
    pub shown: ShownAs,
    /// When the first was taken.
    pub first: i64,
    /// And the last.
    pub last: i64,
    /// How many.
    pub instances: u64,
    /// Whether the node is told of corrections.
    pub corrected: bool,
}

/// That a node got objects of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The AE title of the node.
    pub peer: String,
    /// The study that they were shown in then.
    pub study: StudyInstanceUid,
    /// The series that they were shown in then.
    pub series: SeriesInstanceUid,
    /// The number of that series, and the operation under whose identity they left.
    pub shown: ShownAs,
    /// When the first left.
    pub first: i64,
    /// And the last.
    pub last: i64,
    /// How many were sent, those that were sent again included.
    pub instances: u64,
}

impl Catalog {
    /// Notes what nodes have taken. A retrieve that ends with the snapshot it began with may bring a node what has been
    /// corrected meanwhile: one that is told of corrections is told of this one then.
    pub async fn add_departures(&self, left: Vec<Left>) -> Result<(), CatalogError> {
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(ADD)?;
            for left in &left {
                let Left { peer, shown, first, last, instances, .. } = left;
                statement.execute(params![shown.series, peer, shown.correction, first, last, signed(*instances)])?;
                if left.corrected {
                    tell(tx, left)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Which nodes got objects of these series, by their numbers in this catalog; the last departure first.
    pub async fn departures(&self, series: &[i64]) -> Result<Vec<Departure>, CatalogError> {
        let series = series.to_vec();
        self.read(move |c| of_series(c, &series)).await
    }

    /// Which nodes got objects of a study, as it was shown then.
    pub async fn departures_of_study(&self, study: &StudyInstanceUid) -> Result<Vec<Departure>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let sql = "SELECT se.id FROM studies st CROSS JOIN series se ON se.study = st.id WHERE st.uid = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let series = statement.query_map([study.as_str()], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
            of_series(c, &series)
        })
        .await
    }
}

/// Puts into the outbox what the node has to be told of operations that emptied the series before it took the last object.
fn tell(tx: &Transaction<'_>, left: &Left) -> Result<(), DbError> {
    let since = |row: &Row<'_>| Ok((row.get(0)?, StudyInstanceUid::new(row.get_ref(1)?.as_str()?)));
    let parameters = params![left.shown.series, left.last, left.peer];
    let operations = tx.prepare_cached(MISSED)?.query_map(parameters, since)?.collect::<Result<Vec<(i64, _)>, _>>()?;
    for (operation, study) in operations {
        let errand = Errand::Publish { peer: left.peer.clone(), study, first: Vec::new() };
        outbox::put(tx, Some(operation), &[errand])?;
    }
    Ok(())
}

/// The same as [`Catalog::departures`], within a read or a transaction.
pub(super) fn of_series(c: &Connection, series: &[i64]) -> Result<Vec<Departure>, DbError> {
    let departure = |row: &Row<'_>| {
        Ok(Departure {
            peer: row.get(0)?,
            study: StudyInstanceUid::new(row.get_ref(1)?.as_str()?),
            series: SeriesInstanceUid::new(row.get_ref(2)?.as_str()?),
            shown: ShownAs { series: row.get(3)?, correction: row.get(4)? },
            first: row.get(5)?,
            last: row.get(6)?,
            instances: unsigned(row.get(7)?),
        })
    };
    let series = serde_json::Value::from(series).to_string();
    Ok(c.prepare_cached(OF_SERIES)?.query_map([series], departure)?.collect::<Result<_, _>>()?)
}

const ADD: &str = "INSERT INTO departures (series, peer, correction, first, last, instances)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last),
        instances = instances + excluded.instances";

pub(super) const OF_SERIES: &str = "SELECT d.peer, st.uid, se.uid, d.series, d.correction, d.first, d.last, d.instances
     FROM json_each(?1) j CROSS JOIN departures d ON d.series = j.value
        CROSS JOIN series se ON se.id = d.series CROSS JOIN studies st ON st.id = se.study
     ORDER BY d.last DESC, d.peer, d.series, d.correction";

/// IOCM operations that are in force, moved all that was in the series before the node took its last object, and that the
/// node was not told of since.
pub(super) const MISSED: &str = "SELECT DISTINCT co.id, st.uid
     FROM series se CROSS JOIN correction_instances ci ON ci.old_series = se.id
        CROSS JOIN corrections co ON co.id = ci.correction CROSS JOIN studies st ON st.id = co.destination
     WHERE se.id = ?1 AND se.instances = 0 AND ci.role = 0 AND co.state = 1 AND co.mode = 1 AND co.at <= ?2
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.operation = co.id AND o.kind = 1 AND o.lane = ?3 AND (o.state <> 1 OR o.ended >= ?2))";
