//! What else there is of the patients of studies.

use rusqlite::{Row, params};

use crate::catalog::{Catalog, CatalogError};
use crate::dicom::{SeriesInstanceUid, SopClassUid, StudyInstanceUid};

/// A series of another study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelatedSeries {
    /// The study.
    pub study: StudyInstanceUid,
    /// The series.
    pub series: SeriesInstanceUid,
    /// The SOP class of one of its objects.
    pub class: SopClassUid,
}

impl Catalog {
    /// The series that are shown in other studies of the patients of these: `limit` at most, the newest study first.
    /// One patient is one ID of one issuer, whatever else objects say.
    pub async fn related_series(
        &self,
        studies: &[StudyInstanceUid],
        limit: usize,
    ) -> Result<Vec<RelatedSeries>, CatalogError> {
        let studies: Vec<&str> = studies.iter().map(|study| study.as_str()).collect();
        let studies = serde_json::Value::from(studies).to_string();
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(RELATED)?;
            Ok(statement.query_map(params![studies, limit], related)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn related(row: &Row<'_>) -> rusqlite::Result<RelatedSeries> {
    let text = |at| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    Ok(RelatedSeries {
        study: StudyInstanceUid::new(text(0)?),
        series: SeriesInstanceUid::new(text(1)?),
        class: SopClassUid::new(text(2)?),
    })
}

const RELATED: &str = "WITH who (id) AS (
        SELECT DISTINCT also.id FROM json_each(?1) j CROSS JOIN studies st ON st.uid = j.value
            CROSS JOIN patients p ON p.id = st.patient
            CROSS JOIN patients also ON also.patient_id = p.patient_id AND also.issuer = p.issuer
        WHERE p.patient_id <> '')
    SELECT st.uid, se.uid, c.uid FROM who CROSS JOIN studies st ON st.patient = who.id
        CROSS JOIN series se ON se.study = st.id
        CROSS JOIN uids c ON c.id = (SELECT i.class FROM instances i WHERE i.series = se.id LIMIT 1)
    WHERE st.instances > 0 AND se.instances > 0 AND st.uid NOT IN (SELECT value FROM json_each(?1))
    ORDER BY st.study_date DESC, st.id DESC, se.id LIMIT ?2";
