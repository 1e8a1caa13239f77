//! What has happened since an operation was flipped on, and what it does not touch by itself.

use rusqlite::Row;

use crate::catalog::{Catalog, CatalogError};
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid};

/// Objects of a moved series that came later, into the study that it had left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latecomers {
    /// The operation.
    pub operation: i64,
    /// The series, in the study that it had left.
    pub series: SeriesInstanceUid,
    /// Where the operation has moved it to.
    pub destination: StudyInstanceUid,
    /// How many.
    pub objects: u64,
}

/// When the catalog was made anew, in unix milliseconds.
const REBUILT: &str = "rebuilt";

impl Catalog {
    /// When the catalog was made anew from the storage folder, if it was: what only a catalog knows begins there.
    pub async fn rebuilt_at(&self) -> Result<Option<i64>, CatalogError> {
        Ok(self.meta_get(REBUILT).await?.and_then(|at| at.parse().ok()))
    }

    /// It is made anew now.
    pub async fn rebuilt_now(&self) -> Result<(), CatalogError> {
        self.meta_set(REBUILT, &crate::catalog::codes::now().to_string()).await
    }

    /// The nodes that got objects under the identity that an operation gave them.
    pub async fn nodes_with_corrected(&self, operation: i64) -> Result<Vec<String>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(NODES)?;
            Ok(statement.query_map([operation], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What of the series that an operation moved came later.
    pub async fn latecomers(&self, operation: i64) -> Result<Vec<Latecomers>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(LATE)?;
            Ok(statement.query_map([operation], latecomers)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The same of all operations that are in force and took series out of a study.
    pub async fn latecomers_in(&self, study: &StudyInstanceUid) -> Result<Vec<Latecomers>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let sql = "SELECT co.id FROM studies st CROSS JOIN corrections co ON co.source = st.id
                WHERE st.uid = ?1 AND co.state = 1 ORDER BY co.id";
            let mut statement = c.prepare_cached(sql)?;
            let operations = statement.query_map([study.as_str()], |row| row.get(0))?;
            let operations = operations.collect::<Result<Vec<i64>, _>>()?;
            let mut statement = c.prepare_cached(LATE)?;
            let mut found = Vec::new();
            for operation in operations {
                let mut rows = statement.query([operation])?;
                while let Some(row) = rows.next()? {
                    found.push(latecomers(row)?);
                }
            }
            Ok(found)
        })
        .await
    }
}

fn latecomers(row: &Row<'_>) -> rusqlite::Result<Latecomers> {
    Ok(Latecomers {
        operation: row.get(0)?,
        series: SeriesInstanceUid::new(row.get_ref(1)?.as_str()?),
        destination: StudyInstanceUid::new(row.get_ref(2)?.as_str()?),
        objects: crate::catalog::codes::unsigned(row.get(3)?),
    })
}

/// Under the identity of an operation leaves nothing but what it shows.
const NODES: &str = "SELECT DISTINCT peer FROM departures WHERE correction = ?1 AND correction <> 0 ORDER BY peer";

/// What an operation has not touched lies where it was filed. What it writes itself comes before it is flipped on.
const LATE: &str = "SELECT co.id, se.uid, de.uid, count(*)
    FROM corrections co CROSS JOIN studies de ON de.id = co.destination CROSS JOIN series se ON se.study = co.source
        CROSS JOIN instances i ON i.series = se.id
    WHERE co.id = ?1 AND co.state = 1 AND se.instances > 0 AND i.at >= co.at AND i.correction IS NULL
        AND EXISTS (SELECT 1 FROM correction_instances ci
            WHERE ci.old_series = se.id AND ci.correction = co.id AND ci.role = 0)
    GROUP BY se.id ORDER BY se.id";
