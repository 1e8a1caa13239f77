//! Studies that a node waits for though they are not filed yet, and those that will be needed soon. They are claimed first,
//! and come by the same ledger as all others.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::codes::{READY, now};
use super::query::{open, unproven};
use super::{Catalog, CatalogError, ItemState, JobState, Selection};
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;

/// The most studies that are recalled at once; of a patient's these are the latest.
const MOST_STUDIES: i64 = 1000;

/// Why a study is to come before others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Somebody waits for it.
    Waited = 0,
    /// It will be needed: of these the newest comes first.
    Prior = 1,
}

/// A study that was recalled, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// The number of its item.
    pub item: i64,
    /// The study.
    pub study: StudyInstanceUid,
    /// Where it comes from.
    pub source: String,
    /// Where it stands.
    pub state: ItemState,
    /// It has been claimed since it was recalled.
    pub begun: bool,
    /// What went wrong, in words; may be empty.
    pub detail: String,
    /// The objects that the source lists, where it said so.
    pub instances: Option<i64>,
    /// The objects that have come for it, whatever became of them.
    pub arrived: i64,
    /// The job that brings it.
    pub job: i64,
    /// Where that stands.
    pub job_state: JobState,
    /// What keeps the job from going on, in words.
    pub job_message: Option<String>,
}

impl Recalled {
    /// Whether somebody still works on it, or will.
    pub fn is_coming(&self) -> bool {
        match self.state {
            ItemState::Listed | ItemState::Pulling | ItemState::Verifying => true,
            // What waits for its time after a failed attempt is no longer recalled; one that was only cut off goes on.
            ItemState::Waiting => !self.begun || self.detail.is_empty(),
            _ => false,
        }
    }
}

impl Recalled {
    /// Whether somebody works on it now.
    pub fn is_leased(&self) -> bool {
        self.state.is_leased()
    }

    /// What keeps it from coming at all, in words.
    pub fn hindrance(&self) -> Option<String> {
        let job = self.job;
        match (self.job_state, &self.job_message) {
            // The operator, or the source itself: nobody knows for how long.
            (JobState::Running, Some(message)) if self.arrived == 0 || !self.begun => Some(message.clone()),
            (JobState::Running, _) => None,
            (JobState::Paused | JobState::Stopping, _) => Some(format!("job {job} is paused")),
            (JobState::Halted, Some(message)) => Some(format!("job {job} is halted: {message}")),
            (JobState::Halted, None) => Some(format!("job {job} is halted")),
            (JobState::Finished, _) => Some(format!("job {job} is finished, and has not got it")),
            (JobState::Cancelled, _) => Some(format!("job {job} was cancelled")),
        }
    }
}

impl Catalog {
    /// How the rest of a study stands that is not filed as a whole, whether or not somebody waits for it.
    pub async fn awaited_study(&self, study: &StudyInstanceUid) -> Result<Option<Recalled>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let item =
                c.prepare_cached(OF_STUDY)?.query_row([study.as_str()], |row| row.get::<_, i64>(0)).optional()?;
            let Some(item) = item else { return Ok(None) };
            Ok(c.prepare_cached(STANDING)?.query_row([format!("[{item}]")], standing).optional()?)
        })
        .await
    }

    /// Moves what a selection means and is not filed as a whole to the head of the queue, for whoever asks. Says which
    /// items these are: one for each study, that of a running job if there is one.
    pub async fn recall(&self, selection: &Selection, asker: &str) -> Result<Vec<i64>, CatalogError> {
        let (selection, asker) = (selection.clone(), asker.to_owned());
        // Most retrieves ask for what is there: that takes no turn among the writers.
        if self.unfiled(&selection).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |tx| {
            let items = open_items(tx, &selection)?;
            for item in &items {
                put(tx, *item, Kind::Waited, &asker)?;
            }
            Ok(items)
        })
        .await
    }

    /// The items of what a selection means and is not filed as a whole.
    pub async fn unfiled(&self, selection: &Selection) -> Result<Vec<i64>, CatalogError> {
        let selection = selection.clone();
        self.read(move |c| open_items(c, &selection)).await
    }

    /// How these items stand.
    pub async fn recalled(&self, items: &[i64]) -> Result<Vec<Recalled>, CatalogError> {
        let items = serde_json::Value::from(items).to_string();
        self.read(move |c| {
            let mut statement = c.prepare_cached(STANDING)?;
            Ok(statement.query_map([items], standing)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Whether somebody waits for a study of the job that can be claimed.
    pub async fn is_recalled(&self, job: i64) -> Result<bool, CatalogError> {
        let kind = Kind::Waited as i64;
        self.read(move |c| Ok(c.prepare_cached(FIRST)?.query_row([job, kind], |_| Ok(())).optional()?.is_some())).await
    }
}

/// The item of the job that is wanted first, for such a reason or a better one.
pub(super) fn first(tx: &Transaction<'_>, job: i64, kind: Kind) -> Result<Option<i64>, DbError> {
    Ok(tx.prepare_cached(FIRST)?.query_row([job, kind as i64], |row| row.get(0)).optional()?)
}

/// An item was claimed: it is no longer to be.
pub(super) fn answered(tx: &Transaction<'_>, item: i64) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM recalls WHERE item = ?1")?.execute([item])?;
    Ok(())
}

/// The first to ask stays first; who waits goes before what will be needed.
pub(super) fn put(tx: &Transaction<'_>, item: i64, kind: Kind, asker: &str) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO recalls (item, job, kind, place, at, asker)
         SELECT id, job, ?2, iif(?2 = 0, ?3, rank), ?3, ?4 FROM items WHERE id = ?1 AND state NOT IN (1, 2)
         ON CONFLICT (item) DO UPDATE SET kind = excluded.kind, place = excluded.place, at = excluded.at,
            asker = excluded.asker WHERE excluded.kind < kind",
    )?
    .execute(params![item, kind as i64, now(), asker])?;
    tx.prepare_cached(
        "UPDATE items SET attempt = iif(state = 3, attempt, 0), state = ?2, due = NULL, changed = ?3
         WHERE id = ?1 AND owner IS NULL AND state IN (3, 5, 6)
            AND EXISTS (SELECT 1 FROM jobs j WHERE j.id = items.job AND j.state = ?4)",
    )?
    .execute(params![item, READY, now(), JobState::Running])?;
    Ok(())
}

fn open_items(c: &rusqlite::Connection, selection: &Selection) -> Result<Vec<i64>, DbError> {
    let Selection { patient_id, studies, .. } = selection;
    if studies.is_empty() {
        let Some(patient_id) = patient_id else { return Ok(Vec::new()) };
        let mut statement = c.prepare_cached(OF_PATIENT)?;
        let items = statement.query_map(params![patient_id, "", "", MOST_STUDIES], |row| row.get(0))?;
        return Ok(items.collect::<Result<_, _>>()?);
    }
    let mut statement = c.prepare_cached(OF_STUDY)?;
    let mut items = Vec::new();
    for study in studies {
        let of_study = statement.query_row([study.as_str()], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)));
        // One that somebody else has been asked for by another Patient ID is not what is meant.
        if let Some((item, patient)) = of_study.optional()?
            && patient_id.as_ref().is_none_or(|asked| patient.as_ref() == Some(asked))
        {
            items.push(item);
        }
    }
    Ok(items)
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Recalled> {
    Ok(Recalled {
        item: row.get(0)?,
        study: StudyInstanceUid::new(row.get_ref(1)?.as_str()?),
        source: row.get(2)?,
        state: row.get(3)?,
        begun: !row.get::<_, bool>(4)?,
        detail: row.get(5)?,
        instances: row.get(6)?,
        arrived: row.get(7)?,
        job: row.get(8)?,
        job_state: row.get(9)?,
        job_message: row.get(10)?,
    })
}

pub(super) const FIRST: &str = "SELECT i.id FROM recalls r CROSS JOIN items i ON i.id = r.item
    WHERE r.job = ?1 AND r.kind <= ?2 AND i.state IN (0, 9) ORDER BY r.kind, r.place LIMIT 1";
pub(super) const OF_STUDY: &str = concat!(
    "SELECT i.id, i.patient_id FROM items i CROSS JOIN jobs j ON j.id = i.job WHERE i.study_uid = ?1 AND ",
    open!("i"),
    unproven!(),
    // A job that runs brings it; of others the latest says why it does not.
    " ORDER BY j.state = 0 DESC, i.job DESC LIMIT 1"
);
/// Parameters: the Patient ID; its issuer, the earliest day, both empty where they are not known; how many at most.
pub(super) const OF_PATIENT: &str = concat!(
    "SELECT i.id, i.study_uid, i.state FROM items i CROSS JOIN jobs j ON j.id = i.job
     WHERE i.patient_id = ?1 AND i.patient_id <> '' AND (?2 = '' OR i.issuer IN ('', ?2)) AND (?3 = '' OR i.study_date = ''
        OR i.study_date >= ?3) AND ",
    open!("i"),
    unproven!(),
    " AND NOT EXISTS (SELECT 1 FROM items o CROSS JOIN jobs oj ON oj.id = o.job
            WHERE o.study_uid = i.study_uid AND (oj.state = 0, o.job) > (j.state = 0, i.job) AND ",
    open!("o"),
    ") ORDER BY i.rank LIMIT ?4"
);
const STANDING: &str = "SELECT i.id, i.study_uid, so.name, i.state, r.item IS NOT NULL, i.detail, i.instances,
        i.filed + i.duplicate + i.variant + i.collision + i.quarantined, j.id, j.state, j.message
    FROM json_each(?1) e CROSS JOIN items i ON i.id = e.value CROSS JOIN jobs j ON j.id = i.job
        CROSS JOIN sources so ON so.id = j.source LEFT JOIN recalls r ON r.item = i.id";
