//! What was filed in a study and has left it.

use rusqlite::params;

use crate::catalog::{Catalog, CatalogError};
use crate::dicom::StudyInstanceUid;

impl Catalog {
    /// Objects that were filed in a study and are shown elsewhere, by their numbers: one of each series, `limit` at most.
    pub async fn filed_in(&self, study: &StudyInstanceUid, limit: usize) -> Result<Vec<i64>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(FILED_IN)?;
            Ok(statement.query_map(params![study.as_str(), limit], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

const FILED_IN: &str = "SELECT min(i.id) FROM studies st CROSS JOIN series se ON se.study = st.id
        CROSS JOIN correction_instances ci ON ci.old_series = se.id CROSS JOIN instances i ON i.id = ci.instance
    WHERE st.uid = ?1 AND i.home = se.id GROUP BY se.id ORDER BY 1 LIMIT ?2";
