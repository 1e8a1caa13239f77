//! What a plan has to know of studies and objects, as they are shown now.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{StudyLock, locks, shown_uid};
use crate::catalog::codes::unsigned;
use crate::catalog::{Catalog, CatalogError, FLAG_COLLISION, FLAG_CV_MIGRATED, FLAG_PATIENTS, ItemState};
use crate::db::DbError;
use crate::dicom::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};

/// Tells two states of a study from each other. What is staged, and what repeats what is filed, is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    study: StudyInstanceUid,
    state: String,
}

impl Stamp {
    /// The study.
    pub fn study(&self) -> &StudyInstanceUid {
        &self.study
    }
}

/// A study as it is shown; or one in which nothing is shown, but something was or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyFacts {
    /// Its number in the catalog.
    pub id: i64,
    /// Study Instance UID.
    pub uid: StudyInstanceUid,
    /// The patient; none where nothing has ever been shown in it.
    pub patient: Option<PatientFacts>,
    /// Study Date, as YYYYMMDD where it is one.
    pub study_date: String,
    /// Study Time.
    pub study_time: String,
    /// Study ID.
    pub study_id: String,
    /// Accession Number.
    pub accession_number: String,
    /// Study Description.
    pub description: String,
    /// Referring Physician's Name.
    pub referring_physician: String,
    /// Modalities, separated by backslashes.
    pub modalities: String,
    /// Instances that are shown.
    pub instances: u64,
    /// Files of it that are linked.
    pub linked: u64,
    /// Its series in which something is shown.
    pub series: Vec<SeriesFacts>,
    /// Two objects with one UID and different pixel data came.
    pub collided: bool,
    /// Its objects named different patients when they came.
    pub several_patients: bool,
    /// It is marked as migrated from a cardiovascular source.
    pub cv_migrated: bool,
    /// The configured sources that brought objects of it.
    pub sources: Vec<String>,
    /// When the last object that names it came, in unix milliseconds.
    pub last_arrival: Option<i64>,
    /// Who has locked it.
    pub lock: Option<StudyLock>,
    /// What jobs do with it just now.
    pub busy: Vec<Busy>,
    /// The active operations that it is the source or the destination of.
    pub corrections: Vec<i64>,
    /// The state in which it was seen.
    pub stamp: Stamp,
}

/// A patient as the catalog keeps one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientFacts {
    /// Its number: the same values have the same.
    pub id: i64,
    /// Patient ID.
    pub patient_id: String,
    /// Issuer of Patient ID.
    pub issuer: String,
    /// Patient's Name.
    pub name: String,
    /// Patient's Birth Date.
    pub birth_date: String,
    /// Patient's Sex.
    pub sex: String,
}

/// A series as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesFacts {
    /// Its number in the catalog.
    pub id: i64,
    /// Series Instance UID.
    pub uid: SeriesInstanceUid,
    /// Modality.
    pub modality: String,
    /// Series Number.
    pub number: String,
    /// Series Description.
    pub description: String,
    /// Instances that are shown.
    pub instances: u64,
}

/// A job that is working on a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The number of the job.
    pub job: i64,
    /// Its source; empty for an import.
    pub source: String,
    /// What it does.
    pub state: ItemState,
}

/// An object as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its number in the catalog.
    pub id: i64,
    /// The SOP Instance UID that it was filed with.
    pub filed: SopInstanceUid,
    /// The one that it is shown with.
    pub shown: SopInstanceUid,
    /// Its SOP class.
    pub class: SopClassUid,
    /// The study that it is shown in.
    pub study: StudyInstanceUid,
    /// The series that it is shown in.
    pub series: SeriesInstanceUid,
    /// The number of that series in the catalog.
    pub series_id: i64,
    /// Instance Number.
    pub number: String,
    /// The operation that it is shown by.
    pub correction: Option<i64>,
    /// Whether its file is linked.
    pub linked: bool,
}

impl Catalog {
    /// What a plan has to know of a study; `None` for one of which the catalog has never heard.
    pub async fn study_facts(&self, study: &StudyInstanceUid) -> Result<Option<StudyFacts>, CatalogError> {
        let study = study.clone();
        self.read(move |c| of_study(c, &study)).await
    }

    /// What a plan has to know of objects, by their numbers; one that is not there, or not shown, is left out.
    pub async fn object_facts(&self, ids: &[i64]) -> Result<Vec<ObjectFacts>, CatalogError> {
        let ids = serde_json::Value::from(ids).to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached(OBJECTS)?;
            Ok(statement.query_map([ids], object)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn of_study(c: &Connection, study: &StudyInstanceUid) -> Result<Option<StudyFacts>, DbError> {
    let Some(stamp) = stamp_of(c, study)? else { return Ok(None) };
    let found = c.prepare_cached(STUDY)?.query_row([study.as_str()], |row| study_row(row, stamp)).optional()?;
    let Some(mut facts) = found else { return Ok(None) };
    facts.series = c.prepare_cached(SERIES)?.query_map([facts.id], series)?.collect::<Result<_, _>>()?;
    facts.lock = locks::of(c, facts.id)?;
    let busy = |row: &Row<'_>| Ok(Busy { job: row.get(0)?, source: row.get(1)?, state: row.get(2)? });
    facts.busy = c.prepare_cached(BUSY)?.query_map([study.as_str()], busy)?.collect::<Result<_, _>>()?;
    facts.corrections = c.prepare_cached(ACTIVE)?.query_map([facts.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut statement = c.prepare_cached(SOURCES)?;
    let mut rows = statement.query([facts.id])?;
    while let Some(row) = rows.next()? {
        let (name, last): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
        if last.is_some() && !name.is_empty() {
            facts.sources.push(name);
        }
        facts.last_arrival = facts.last_arrival.max(last);
    }
    Ok(Some(facts))
}

fn study_row(row: &Row<'_>, stamp: Stamp) -> rusqlite::Result<StudyFacts> {
    let flags: i64 = row.get(10)?;
    let patient = match row.get::<_, Option<i64>>(11)? {
        None => None,
        Some(id) => Some(PatientFacts {
            id,
            patient_id: row.get(12)?,
            issuer: row.get(13)?,
            name: row.get(14)?,
            birth_date: row.get(15)?,
            sex: row.get(16)?,
        }),
    };
    Ok(StudyFacts {
        id: row.get(0)?,
        uid: stamp.study.clone(),
        patient,
        study_date: row.get(1)?,
        study_time: row.get(2)?,
        study_id: row.get(3)?,
        accession_number: row.get(4)?,
        description: row.get(5)?,
        referring_physician: row.get(6)?,
        modalities: row.get(7)?,
        instances: unsigned(row.get(8)?),
        linked: unsigned(row.get(9)?),
        series: Vec::new(),
        collided: flags & FLAG_COLLISION != 0,
        several_patients: flags & FLAG_PATIENTS != 0,
        cv_migrated: flags & FLAG_CV_MIGRATED != 0,
        sources: Vec::new(),
        last_arrival: None,
        lock: None,
        busy: Vec::new(),
        corrections: Vec::new(),
        stamp,
    })
}

fn series(row: &Row<'_>) -> rusqlite::Result<SeriesFacts> {
    Ok(SeriesFacts {
        id: row.get(0)?,
        uid: SeriesInstanceUid::new(row.get_ref(1)?.as_str()?),
        modality: row.get(2)?,
        number: row.get(3)?,
        description: row.get(4)?,
        instances: unsigned(row.get(5)?),
    })
}

fn object(row: &Row<'_>) -> rusqlite::Result<ObjectFacts> {
    let text = |at| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    Ok(ObjectFacts {
        id: row.get(0)?,
        filed: SopInstanceUid::new(text(1)?),
        shown: SopInstanceUid::new(text(2)?),
        class: SopClassUid::new(text(3)?),
        study: StudyInstanceUid::new(text(4)?),
        series: SeriesInstanceUid::new(text(5)?),
        series_id: row.get(6)?,
        number: row.get(7)?,
        correction: row.get(8)?,
        linked: row.get(9)?,
    })
}

/// The state of a study, where there is one of that UID.
pub(super) fn stamp_of(c: &Connection, study: &StudyInstanceUid) -> Result<Option<Stamp>, DbError> {
    let state = c.prepare_cached(STAMP)?.query_row([study.as_str()], |row| row.get(0)).optional()?;
    Ok(state.map(|state| Stamp { study: study.clone(), state }))
}

pub(in crate::catalog) const STAMP: &str = "SELECT concat_ws('/', st.instances, st.series, st.flags, st.patient,
        (SELECT max((SELECT max(i.id) FROM instances i WHERE i.series = se.id)) FROM series se WHERE se.study = st.id),
        (SELECT max((SELECT max(c.id) FROM copies c WHERE c.series = se.id)) FROM series se WHERE se.study = st.id),
        (SELECT concat_ws('+', max(id), sum(state)) FROM corrections WHERE source = st.id AND state <> 0),
        (SELECT concat_ws('+', max(id), sum(state)) FROM corrections WHERE destination = st.id AND state <> 0))
    FROM studies st WHERE st.uid = ?1 AND st.uid <> ''";

const STUDY: &str = "SELECT st.id, st.study_date, st.study_time, st.study_id, st.accession_number, st.description,
        st.referring_physician, st.modalities, st.instances, st.linked, st.flags,
        p.id, p.patient_id, p.issuer, p.name, p.birth_date, p.sex
    FROM studies st LEFT JOIN patients p ON p.id = st.patient WHERE st.uid = ?1";
const SERIES: &str = "SELECT id, uid, modality, number, description, instances FROM series
    WHERE study = ?1 AND instances > 0 ORDER BY CAST(number AS INTEGER), id";
const ACTIVE: &str = "SELECT id FROM corrections WHERE source = ?1 AND state = 1
    UNION SELECT id FROM corrections WHERE destination = ?1 AND state = 1 ORDER BY 1";
/// Items that are pulled or compared.
const BUSY: &str = "SELECT i.job, s.name, i.state FROM items i CROSS JOIN jobs j ON j.id = i.job
        CROSS JOIN sources s ON s.id = j.source
    WHERE i.study_uid = ?1 AND i.state IN (1, 2) ORDER BY i.job";
/// There are few sources; of each the last receipt of the study is looked up.
const SOURCES: &str = "SELECT s.name, (SELECT r.at FROM receipts r WHERE r.study = ?1 AND r.source = s.id
        ORDER BY r.n DESC LIMIT 1)
    FROM sources s ORDER BY s.id";

pub(in crate::catalog) const OBJECTS: &str = concat!(
    "SELECT i.id, i.uid, ",
    shown_uid!(),
    ", c.uid, st.uid, se.uid, se.id, i.number, i.correction, i.link_folder IS NOT NULL
     FROM json_each(?1) j CROSS JOIN instances i ON i.id = j.value CROSS JOIN series se ON se.id = i.series
        CROSS JOIN studies st ON st.id = se.study CROSS JOIN uids c ON c.id = i.class
     WHERE se.instances > 0"
);
