//! Where the objects of a study came from.

use rusqlite::Row;

use super::{Catalog, CatalogError};
use crate::dicom::{SopClassUid, StudyInstanceUid};

/// An object that is shown in a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its number in this catalog.
    pub id: i64,
    /// The number of the series that it is shown in.
    pub series: i64,
    /// Its SOP class.
    pub class: SopClassUid,
    /// The AE title that it was received from; empty where it came from a file.
    pub from: String,
}

impl Catalog {
    /// The objects that a study shows, by series and class, in the order in which they were filed.
    pub async fn made(&self, study: &StudyInstanceUid) -> Result<Vec<Made>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let made = |row: &Row<'_>| {
                let class = SopClassUid::new(row.get_ref(2)?.as_str()?);
                Ok(Made { id: row.get(0)?, series: row.get(1)?, class, from: row.get(3)? })
            };
            Ok(c.prepare_cached(MADE)?.query_map([study.as_str()], made)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

const MADE: &str = "SELECT i.id, i.series, cl.uid, coalesce(o.ae_title, '')
    FROM studies st CROSS JOIN series se ON se.study = st.id CROSS JOIN instances i ON i.series = se.id
        CROSS JOIN uids cl ON cl.id = i.class LEFT JOIN origins o ON o.id = i.origin
    WHERE st.uid = ?1 AND st.uid <> '' ORDER BY i.series, i.class, i.id";
