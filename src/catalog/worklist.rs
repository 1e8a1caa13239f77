//! What a worklist tells of studies beside their attributes: who has locked them, what of them is in quarantine, rejected or
//! corrected, what became of rescans, who brought them. A page of studies at a time, by keys.

use rusqlite::{Connection, Row, params};

use super::codes::unsigned;
use super::{Catalog, CatalogError, ErrandState, FLAG_COLLISION, FLAG_CV_MIGRATED};
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;

/// What a study is beside what its objects say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyState {
    /// The study.
    pub study: StudyInstanceUid,
    /// Whether queries show it.
    pub shown: bool,
    /// Two objects with one UID and different contents came.
    pub collided: bool,
    /// It is marked as migrated from a cardiovascular source.
    pub cv_migrated: bool,
    /// Objects of it in quarantine, a thousand at most.
    pub quarantined: u64,
    /// Objects of it were rejected, and others told.
    pub rejected: bool,
    /// An active operation has it as its source or destination.
    pub corrected: bool,
    /// What became of the last rescan that was asked for.
    pub rescan: Option<ErrandState>,
    /// Who brought objects of it; the one without a name is nobody that is configured.
    pub sources: Vec<String>,
}

/// What a study may be asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Somebody has locked it.
    Locked,
    /// Something of it is in quarantine.
    Quarantined,
    /// Something of it was rejected.
    Rejected,
    /// Something was moved out of it or into it.
    Corrected,
    /// The AI platform could not be asked for a rescan.
    RescanFailed,
}

impl Standing {
    /// The studies, the latest first. Each reads a table that is small, since people fill it, or an index of few rows.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Standing::Locked => {
                "SELECT st.uid FROM locks l CROSS JOIN studies st ON st.id = l.study WHERE l.process = ''
                 ORDER BY l.since DESC LIMIT ?1"
            }
            Standing::Quarantined => {
                "SELECT st.uid FROM (SELECT study, max(id) AS last FROM quarantine WHERE correction IS NULL GROUP BY study) q
                 CROSS JOIN studies st ON st.id = q.study ORDER BY q.last DESC LIMIT ?1"
            }
            Standing::Rejected => {
                "SELECT st.uid FROM (SELECT source, max(id) AS last FROM corrections WHERE state = 1 AND mode = 1
                    GROUP BY source) co
                 CROSS JOIN studies st ON st.id = co.source ORDER BY co.last DESC LIMIT ?1"
            }
            Standing::Corrected => {
                "SELECT st.uid FROM (SELECT study, max(id) AS last FROM (
                        SELECT source AS study, id FROM corrections WHERE state = 1
                        UNION ALL SELECT destination, id FROM corrections WHERE state = 1) GROUP BY study) co
                 CROSS JOIN studies st ON st.id = co.study ORDER BY co.last DESC LIMIT ?1"
            }
            Standing::RescanFailed => {
                "SELECT study FROM outbox WHERE kind = 0 AND state = 2 GROUP BY study ORDER BY max(id) DESC LIMIT ?1"
            }
        }
    }
}

impl Catalog {
    /// What these studies are, those that the catalog knows.
    pub async fn study_states(&self, studies: &[String]) -> Result<Vec<StudyState>, CatalogError> {
        let uids = serde_json::Value::from(studies).to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached(STATES)?;
            let mut rows = statement.query([uids])?;
            let mut states = Vec::new();
            while let Some(row) = rows.next()? {
                let mut state = state(row)?;
                state.sources = sources(c, row.get(0)?)?;
                states.push(state);
            }
            Ok(states)
        })
        .await
    }

    /// The UIDs of studies that are so, the latest first, `limit` at most.
    pub async fn studies_standing(&self, standing: Standing, limit: usize) -> Result<Vec<String>, CatalogError> {
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(standing.sql())?;
            Ok(statement.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Of these studies those that queries do not show, as far as they are known: values by keyword.
    pub async fn unshown_studies(&self, studies: &[String]) -> Result<Vec<Vec<(&'static str, String)>>, CatalogError> {
        let uids = serde_json::Value::from(studies).to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached(UNSHOWN)?;
            let row = |row: &Row<'_>| {
                let value = |(at, keyword): (usize, &&'static str)| Ok((*keyword, row.get(at)?));
                KEYWORDS.iter().enumerate().map(value).collect::<Result<_, rusqlite::Error>>()
            };
            Ok(statement.query_map([uids], row)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn state(row: &Row<'_>) -> rusqlite::Result<StudyState> {
    let flags: i64 = row.get(3)?;
    Ok(StudyState {
        study: StudyInstanceUid::new(row.get_ref(1)?.as_str()?),
        shown: row.get(2)?,
        collided: flags & FLAG_COLLISION != 0,
        cv_migrated: flags & FLAG_CV_MIGRATED != 0,
        quarantined: unsigned(row.get(4)?),
        rejected: row.get(5)?,
        corrected: row.get(6)?,
        rescan: row.get(7)?,
        sources: Vec::new(),
    })
}

/// There are few sources: of each it is looked whether it has brought something.
fn sources(c: &Connection, study: i64) -> Result<Vec<String>, DbError> {
    let mut statement = c.prepare_cached(SOURCES)?;
    Ok(statement.query_map(params![study], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

pub(super) const STATES: &str = "SELECT st.id, st.uid, st.instances > 0, st.flags,
        (SELECT count(*) FROM (SELECT 1 FROM quarantine q WHERE q.study = st.id AND q.correction IS NULL LIMIT 1000)),
        EXISTS (SELECT 1 FROM corrections co WHERE co.source = st.id AND co.state = 1 AND co.mode = 1),
        EXISTS (SELECT 1 FROM corrections co WHERE co.source = st.id AND co.state = 1)
            OR EXISTS (SELECT 1 FROM corrections co WHERE co.destination = st.id AND co.state = 1),
        (SELECT o.state FROM outbox o WHERE o.study = st.uid AND o.kind = 0 ORDER BY o.id DESC LIMIT 1)
    FROM json_each(?1) j CROSS JOIN studies st ON st.uid = j.value";
pub(super) const SOURCES: &str = "SELECT s.name FROM sources s
    WHERE EXISTS (SELECT 1 FROM receipts r WHERE r.study = ?1 AND r.source = s.id) ORDER BY s.id";
const KEYWORDS: [&str; 9] = [
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "AccessionNumber",
    "StudyDate",
    "StudyDescription",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
];
/// Of what was never filed only the quarantine knows the patient.
const UNSHOWN: &str = "SELECT st.uid, coalesce(p.name, q.patient_name, ''), coalesce(p.patient_id, q.patient_id, ''),
        coalesce(p.birth_date, ''), st.accession_number, coalesce(nullif(st.study_date, ''), q.study_date, ''),
        st.description, st.modalities, st.referring_physician
    FROM json_each(?1) j CROSS JOIN studies st ON st.uid = j.value
        LEFT JOIN patients p ON p.id = st.patient
        LEFT JOIN quarantine q ON q.id = (SELECT max(x.id) FROM quarantine x WHERE x.study = st.id)
    WHERE st.instances = 0";
