//! Patients who are expected: their studies are lifted to the head of the queue, and how many of them are filed is read from
//! what is filed and what is listed, whenever somebody asks.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codes::{now, unsigned};
use super::query::{open, unproven};
use super::recalls::{Kind, OF_PATIENT, put};
use super::{Catalog, CatalogError, JobState};
use crate::db::DbError;

/// Preparations that are remembered.
const KEPT: i64 = 60;
/// Patients whose studies are lifted in one transaction, so that others get their turn.
const CHUNK: usize = 200;
/// The most studies of one patient that are lifted; these are the latest.
const MOST_STUDIES: i64 = 1000;

/// Somebody who is expected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExpectedPatient {
    /// Patient ID, exactly.
    pub id: String,
    /// Issuer of Patient ID; empty where it is not known. It keeps patients apart only where both sides name one.
    pub issuer: String,
}

/// A preparation, as it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparation {
    /// Its number; 0 before it is remembered.
    pub id: i64,
    /// When, in unix milliseconds.
    pub at: i64,
    /// At whose word.
    pub asker: String,
    /// The schedule that asked for it; empty for a person.
    pub schedule: String,
    /// Where the patients were named, in words.
    pub named_by: String,
    /// Studies of this day and later, `YYYYMMDD`; empty for all.
    pub since: String,
    /// Studies that were lifted.
    pub lifted: u64,
    /// Why it could not be done.
    pub failure: Option<String>,
}

/// How far the studies of some patients are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Patients.
    pub patients: u64,
    /// Patients of whom no study is known.
    pub unknown: u64,
    /// Studies of theirs that are known.
    pub studies: u64,
    /// Studies that are filed as a whole.
    pub filed: u64,
}

/// One patient of a preparation, and how far his studies are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyPatient {
    /// His place in the list.
    pub n: i64,
    /// Who.
    pub patient: ExpectedPatient,
    /// Studies that are known.
    pub studies: u64,
    /// Studies that are filed as a whole.
    pub filed: u64,
}

impl Readiness {
    /// Whether everything that is known is filed.
    pub fn is_ready(&self) -> bool {
        self.filed == self.studies
    }
}

impl Catalog {
    /// Lifts what is known of these patients since that day, and is not filed, to the head of the queue, behind what
    /// somebody waits for. Says how many studies these are.
    pub async fn lift(&self, patients: &[ExpectedPatient], since: &str, asker: &str) -> Result<u64, CatalogError> {
        let mut lifted = 0;
        for chunk in patients.chunks(CHUNK) {
            let (chunk, since, asker) = (chunk.to_vec(), since.to_owned(), asker.to_owned());
            lifted += self
                .write(move |tx| {
                    let mut lifted = 0;
                    for patient in &chunk {
                        for item in open_items(tx, patient, &since)? {
                            put(tx, item, Kind::Prior, &asker)?;
                            lifted += 1;
                        }
                    }
                    Ok(lifted)
                })
                .await?;
        }
        Ok(lifted)
    }

    /// Remembers a preparation with its patients, and forgets old ones; says its number.
    pub async fn remember_preparation(
        &self,
        preparation: &Preparation,
        patients: &[ExpectedPatient],
    ) -> Result<i64, CatalogError> {
        let (preparation, patients) = (preparation.clone(), patients.to_vec());
        self.write(move |tx| {
            let Preparation { asker, schedule, named_by, since, lifted, failure, .. } = &preparation;
            let lifted = i64::try_from(*lifted).unwrap_or(i64::MAX);
            tx.prepare_cached(
                "INSERT INTO preparations (at, asker, schedule, named_by, since, lifted, failure)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![now(), asker, schedule, named_by, since, lifted, failure])?;
            let id = tx.last_insert_rowid();
            let mut insert = tx.prepare_cached(
                "INSERT INTO prepared_patients (preparation, n, patient_id, issuer) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (n, patient) in (1_i64..).zip(&patients) {
                insert.execute(params![id, n, patient.id, patient.issuer])?;
            }
            for table in ["prepared_patients WHERE preparation", "preparations WHERE id"] {
                tx.prepare_cached(&format!("DELETE FROM {table} <= ?1"))?.execute([id - KEPT])?;
            }
            Ok(id)
        })
        .await
    }

    /// The latest preparations, the latest first.
    pub async fn preparations(&self, most: usize) -> Result<Vec<Preparation>, CatalogError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.read(move |c| {
            let sql = format!("SELECT {COLUMNS} FROM preparations ORDER BY id DESC LIMIT ?1");
            Ok(c.prepare_cached(&sql)?.query_map([most], preparation)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The latest one that found patients to prepare for.
    pub async fn last_preparation(&self) -> Result<Option<Preparation>, CatalogError> {
        self.read(|c| {
            let sql = format!("SELECT {COLUMNS} FROM preparations WHERE failure IS NULL ORDER BY id DESC LIMIT 1");
            Ok(c.prepare_cached(&sql)?.query_row([], preparation).optional()?)
        })
        .await
    }

    /// The latest one of a schedule, done or failed.
    pub async fn last_scheduled(&self, schedule: &str) -> Result<Option<Preparation>, CatalogError> {
        let schedule = schedule.to_owned();
        self.read(move |c| {
            let sql = format!("SELECT {COLUMNS} FROM preparations WHERE schedule = ?1 ORDER BY at DESC LIMIT 1");
            Ok(c.prepare_cached(&sql)?.query_row([schedule], preparation).optional()?)
        })
        .await
    }

    /// How far the studies of a preparation's patients are now, all together.
    pub async fn readiness(&self, preparation: &Preparation) -> Result<Readiness, CatalogError> {
        let mut sum = Readiness::default();
        let mut after = 0;
        loop {
            let page = self.ready_patients(preparation, after, CHUNK).await?;
            for patient in &page {
                sum.patients += 1;
                sum.unknown += u64::from(patient.studies == 0);
                sum.studies += patient.studies;
                sum.filed += patient.filed;
            }
            match page.last() {
                Some(last) if page.len() == CHUNK => after = last.n,
                _ => return Ok(sum),
            }
        }
    }

    /// How far those of each are: some patients behind one.
    pub async fn ready_patients(
        &self,
        preparation: &Preparation,
        after: i64,
        most: usize,
    ) -> Result<Vec<ReadyPatient>, CatalogError> {
        let (id, since) = (preparation.id, preparation.since.clone());
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.read(move |c| {
            let mut patients = c.prepare_cached(
                "SELECT n, patient_id, issuer FROM prepared_patients WHERE preparation = ?1 AND n > ?2 ORDER BY n LIMIT ?3",
            )?;
            let row = |row: &Row<'_>| {
                let patient = ExpectedPatient { id: row.get(1)?, issuer: row.get(2)? };
                Ok(ReadyPatient { n: row.get(0)?, patient, studies: 0, filed: 0 })
            };
            let mut ready: Vec<ReadyPatient> =
                patients.query_map(params![id, after, most], row)?.collect::<Result<_, _>>()?;
            for one in &mut ready {
                (one.studies, one.filed) = counts(c, &one.patient, &since)?;
            }
            Ok(ready)
        })
        .await
    }

    /// Jobs that do not run and have what was lifted, with how many studies.
    pub async fn resting_with_priors(&self) -> Result<Vec<(i64, JobState, u64)>, CatalogError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(RESTING)?;
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, unsigned(row.get(2)?)));
            Ok(statement.query_map([JobState::Running], row)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

const COLUMNS: &str = "id, at, asker, schedule, named_by, since, lifted, failure";

fn preparation(row: &Row<'_>) -> rusqlite::Result<Preparation> {
    Ok(Preparation {
        id: row.get(0)?,
        at: row.get(1)?,
        asker: row.get(2)?,
        schedule: row.get(3)?,
        named_by: row.get(4)?,
        since: row.get(5)?,
        lifted: unsigned(row.get(6)?),
        failure: row.get(7)?,
    })
}

fn open_items(c: &Connection, patient: &ExpectedPatient, since: &str) -> Result<Vec<i64>, DbError> {
    let mut statement = c.prepare_cached(OF_PATIENT)?;
    let items = statement.query_map(params![patient.id, patient.issuer, since, MOST_STUDIES], |row| row.get(0))?;
    Ok(items.collect::<Result<_, _>>()?)
}

/// Studies that are known, and those that are filed as a whole.
fn counts(
    c: &Connection,
    ExpectedPatient { id, issuer }: &ExpectedPatient,
    since: &str,
) -> Result<(u64, u64), DbError> {
    let filed = unsigned(c.prepare_cached(FILED)?.query_row([id, issuer, since], |row| row.get(0))?);
    let open = unsigned(c.prepare_cached(OPEN)?.query_row([id, issuer, since], |row| row.get(0))?);
    Ok((filed + open, filed))
}

/// Studies of which something is filed and nothing is awaited.
pub(super) const FILED: &str = concat!(
    "SELECT count(*) FROM patients p CROSS JOIN studies st ON st.patient = p.id
     WHERE p.patient_id = ?1 AND p.patient_id <> '' AND (?2 = '' OR p.issuer IN ('', ?2)) AND st.instances > 0
        AND (?3 = '' OR st.study_date = '' OR st.study_date >= ?3)
        AND NOT EXISTS (SELECT 1 FROM items i WHERE i.study_uid = st.uid AND ",
    open!("i"),
    unproven!(),
    ")"
);
/// Studies that a source lists and that are not filed as a whole.
pub(super) const OPEN: &str = concat!(
    "SELECT count(DISTINCT i.study_uid) FROM items i WHERE i.patient_id = ?1 AND i.patient_id <> ''
        AND (?2 = '' OR i.issuer IN ('', ?2)) AND (?3 = '' OR i.study_date = '' OR i.study_date >= ?3) AND ",
    open!("i"),
    unproven!()
);
pub(super) const RESTING: &str =
    "SELECT j.id, j.state, count(*) FROM jobs j CROSS JOIN recalls r ON r.job = j.id AND r.kind = 1
    WHERE j.state <> ?1 GROUP BY j.id";
