//! What is in quarantine, for people.

use rusqlite::{Row, params};

use super::codes::unsigned;
use super::places::stored_place;
use super::{Catalog, CatalogError};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use crate::store::{Digest, RelativePath};

/// An object in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Where it stands among all of them, for the next page.
    pub position: i64,
    /// Study Instance UID, empty if unknown.
    pub study: StudyInstanceUid,
    /// SOP Instance UID, as the command gave it.
    pub instance: SopInstanceUid,
    /// Series Instance UID, empty if unknown.
    pub series: SeriesInstanceUid,
    /// Why it is there; empty for a collision.
    pub reason: String,
    /// Whether another object with the same UID is filed.
    pub collision: bool,
    /// Its place in the storage folder.
    pub place: RelativePath,
    /// Length of the data set.
    pub length: u64,
    /// BLAKE3 of the data set.
    pub digest: Digest,
    /// When it was recorded.
    pub at: i64,
    /// The patient whom it names.
    pub patient_name: String,
    /// His ID.
    pub patient_id: String,
    /// Study Date, as it stands there.
    pub study_date: String,
}

impl Quarantined {
    /// Why it is there, in words.
    pub fn why(&self) -> &str {
        if self.collision { "another object with its SOP Instance UID is filed" } else { &self.reason }
    }
}

impl Catalog {
    /// The objects of a study that are in quarantine, whatever brought them.
    pub async fn quarantined_of_study(&self, study: &StudyInstanceUid) -> Result<Vec<Quarantined>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached(OF_STUDY)?;
            Ok(statement.query_map([study.as_str()], quarantined)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// A page of everything in quarantine, after the position of the last one; with a UID only what has that SOP
    /// Instance or Study Instance UID.
    pub async fn in_quarantine(
        &self,
        uid: Option<&str>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Quarantined>, CatalogError> {
        let uid = uid.map(str::to_owned);
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(PAGE)?;
            Ok(statement.query_map(params![after, uid, limit], quarantined)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

impl Catalog {
    /// Gives what is in quarantine the numbers that it has in this order, which begin with 1. What is not in it comes
    /// behind. Blocking; for a catalog that is made anew.
    pub fn number_quarantine(&self, order: Vec<(Digest, SopInstanceUid)>) -> Result<(), CatalogError> {
        Ok(self.db.write_blocking(move |tx| {
            tx.prepare_cached("UPDATE quarantine SET id = -id")?.execute([])?;
            let mut numbered =
                tx.prepare_cached("UPDATE quarantine SET id = ?1 WHERE uid = ?2 AND digest = ?3 AND id < 0")?;
            for (number, (digest, uid)) in (1_i64..).zip(&order) {
                numbered.execute(params![number, uid.as_str(), digest.as_bytes()])?;
            }
            let last = i64::try_from(order.len()).unwrap_or(i64::MAX);
            tx.prepare_cached("UPDATE quarantine SET id = ?1 - id WHERE id < 0")?.execute([last])?;
            Ok(())
        })?)
    }
}

fn quarantined(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    Ok(Quarantined {
        instance: SopInstanceUid::new(row.get_ref(0)?.as_str()?),
        series: SeriesInstanceUid::new(row.get_ref(1)?.as_str()?),
        reason: row.get(2)?,
        collision: row.get(3)?,
        place: stored_place(row.get_ref(4)?.as_str()?)?,
        at: row.get(5)?,
        length: unsigned(row.get(6)?),
        digest: Digest::from_bytes(row.get(7)?),
        position: row.get(8)?,
        study: StudyInstanceUid::new(row.get_ref(9)?.as_str()?),
        patient_name: row.get(10)?,
        patient_id: row.get(11)?,
        study_date: row.get(12)?,
    })
}

const OF_STUDY: &str =
    "SELECT q.uid, q.series_uid, q.reason, q.collision, q.place, q.at, q.length, q.digest, q.id, st.uid,
        q.patient_name, q.patient_id, q.study_date
     FROM studies st CROSS JOIN quarantine q ON q.study = st.id
     WHERE st.uid = ?1 AND q.correction IS NULL ORDER BY q.id";

/// By number. What is looked for by its UID is found by going through all: there is little in quarantine.
const PAGE: &str = "SELECT q.uid, q.series_uid, q.reason, q.collision, q.place, q.at, q.length, q.digest, q.id, st.uid,
        q.patient_name, q.patient_id, q.study_date
     FROM quarantine q CROSS JOIN studies st ON st.id = q.study
     WHERE q.id > ?1 AND q.correction IS NULL AND (?2 IS NULL OR q.uid = ?2 OR st.uid = ?2) ORDER BY q.id LIMIT ?3";
