//! The retrieve log: which nodes got objects of which series, and under which identity. A row stands for all that a node
//! got of a series.

use rusqlite::{Connection, Row, params};

use super::codes::{signed, unsigned};
use super::{Catalog, CatalogError};
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
    /// Notes what nodes have taken.
    pub async fn add_departures(&self, left: Vec<Left>) -> Result<(), CatalogError> {
        self.write(move |tx| {
            let mut statement = tx.prepare_cached(ADD)?;
            for Left { peer, shown, first, last, instances } in &left {
                statement.execute(params![shown.series, peer, shown.correction, first, last, signed(*instances)])?;
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
