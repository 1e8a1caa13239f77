//! What has arrived, and what is filed, of a study.

use rusqlite::{OptionalExtension, Row};

use super::{Catalog, CatalogError, ItemState, Outcome};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// One object that arrived, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its SOP Instance UID.
    pub instance: SopInstanceUid,
    /// What became of it.
    pub outcome: Outcome,
    /// When it was recorded.
    pub at: i64,
    /// The item that it was counted for.
    pub item: Option<i64>,
    /// Where that item stands.
    pub item_state: Option<ItemState>,
    /// Whether an instance is filed under its UID.
    pub filed: bool,
}

impl Catalog {
    /// The instances that are filed as a study's, current ones and variants, by the UIDs that they were filed with: those
    /// that were moved away since are among them, those that were moved here are not.
    pub async fn filed_of_study(
        &self,
        study: &StudyInstanceUid,
    ) -> Result<Vec<(SeriesInstanceUid, SopInstanceUid)>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached(FILED)?;
            let pair = |row: &Row<'_>| {
                Ok((SeriesInstanceUid::new(row.get_ref(0)?.as_str()?), SopInstanceUid::new(row.get_ref(1)?.as_str()?)))
            };
            Ok(statement.query_map([study.as_str()], pair)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Everything that arrived of a study from a source, in the order of arrival.
    pub async fn receipts_of_study(
        &self,
        source: &str,
        study: &StudyInstanceUid,
    ) -> Result<Vec<Arrival>, CatalogError> {
        let (source, study) = (source.to_owned(), study.clone());
        self.read(move |c| {
            let mut statement = c.prepare_cached(ARRIVALS)?;
            let arrival = |row: &Row<'_>| {
                Ok(Arrival {
                    instance: SopInstanceUid::new(row.get_ref(0)?.as_str()?),
                    outcome: row.get(1)?,
                    at: row.get(2)?,
                    item: row.get(3)?,
                    item_state: row.get(4)?,
                    filed: row.get(5)?,
                })
            };
            Ok(statement.query_map([study.as_str(), &source], arrival)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// When the last object of a study arrived from a source.
    pub async fn last_arrival(&self, source: &str, study: &StudyInstanceUid) -> Result<Option<i64>, CatalogError> {
        let (source, study) = (source.to_owned(), study.clone());
        self.read(move |c| {
            Ok(c.prepare_cached(LAST_ARRIVAL)?.query_row([study.as_str(), &source], |row| row.get(0)).optional()?)
        })
        .await
    }
}

/// An object of quarantine that was filed, or discarded, by a person is as good as filed where it belongs.
pub(super) const FILED: &str =
    "SELECT se.uid, i.uid FROM studies st CROSS JOIN series se ON se.study = st.id CROSS JOIN instances i ON i.series = se.id
     WHERE st.uid = ?1 AND (i.home IS NULL OR i.home = i.series)
     UNION ALL
     SELECT se.uid, i.uid FROM studies st CROSS JOIN series se ON se.study = st.id
        CROSS JOIN correction_instances ci ON ci.old_series = se.id CROSS JOIN instances i ON i.id = ci.instance
     WHERE st.uid = ?1 AND ci.previous IS NULL AND i.home = se.id AND i.series <> se.id
        AND NOT EXISTS (SELECT 1 FROM correction_instances e WHERE e.instance = ci.instance
            AND e.correction < ci.correction AND e.previous IS NULL AND e.old_series = se.id)
     UNION ALL
     SELECT q.series_uid, q.uid FROM studies st CROSS JOIN quarantine q ON q.study = st.id
     WHERE st.uid = ?1 AND q.correction IS NOT NULL
     UNION ALL
     SELECT se.uid, i.uid FROM studies st CROSS JOIN series se ON se.study = st.id CROSS JOIN copies c ON c.series = se.id
        CROSS JOIN instances i ON i.id = c.instance
     WHERE st.uid = ?1 AND coalesce(i.home, i.series) <> c.series";

/// What came into quarantine and was taken out of it by a person since was moved.
pub(super) const ARRIVALS: &str = "SELECT coalesce(r.uid, i.uid, ''),
        CASE WHEN r.outcome IN (3, 5) AND EXISTS (SELECT 1 FROM quarantine q
                WHERE q.uid = coalesce(r.uid, i.uid) AND q.study = st.id AND q.correction IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM quarantine q
                WHERE q.uid = coalesce(r.uid, i.uid) AND q.study = st.id AND q.correction IS NULL)
        THEN 4 ELSE r.outcome END, r.at, r.item, it.state, i.id IS NOT NULL
     FROM studies st CROSS JOIN sources s CROSS JOIN receipts r ON r.study = st.id AND r.source = s.id
        LEFT JOIN instances i ON i.id = r.instance LEFT JOIN items it ON it.id = r.item
     WHERE st.uid = ?1 AND s.name = ?2 ORDER BY r.n";

pub(super) const LAST_ARRIVAL: &str =
    "SELECT r.at FROM studies st CROSS JOIN sources s CROSS JOIN receipts r ON r.study = st.id AND r.source = s.id
     WHERE st.uid = ?1 AND s.name = ?2 ORDER BY r.n DESC LIMIT 1";
