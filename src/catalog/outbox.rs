//! The outbox: what others have to be told, kept until they know. Rows are put in with what they follow from, in one
//! transaction, and outlive every process.

pub(super) mod sending;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::codes::{capped, now, signed, size, unsigned};
use super::{Catalog, CatalogError};
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;

pub use sending::Published;

/// The longest explanation that is kept, in characters.
const LONGEST_DETAIL: usize = 500;
/// The AI platform's lane.
const AI: &str = "";

/// Something that somebody has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// The AI platform is to scan a study again.
    Rescan {
        /// The study.
        study: StudyInstanceUid,
        /// Why, for the platform.
        reason: String,
    },
    /// A node is to be sent objects, as they are shown when they are sent.
    Publish {
        /// Its AE title.
        peer: String,
        /// The study that it is about, for people.
        study: StudyInstanceUid,
        /// What goes first, such as a rejection note, by its numbers in this catalog. All objects of the operation follow.
        first: Vec<i64>,
    },
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrandState {
    /// It is tried until it succeeds.
    Waiting,
    /// They know.
    Done,
    /// They will not hear of it; it is tried again when somebody says so.
    Failed,
    /// What it followed from was undone before.
    Withdrawn,
}

/// An entry of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its number.
    pub id: i64,
    /// The operation that it follows from; none where it was asked for by hand.
    pub operation: Option<i64>,
    /// What is to be told.
    pub errand: Errand,
    /// What has become of it.
    pub state: ErrandState,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it was put in.
    pub at: i64,
    /// When it is tried next.
    pub due: i64,
    /// When it came to its end.
    pub ended: Option<i64>,
    /// Objects that the node has taken.
    pub sent: u64,
    /// Objects that it has not taken.
    pub refused: usize,
    /// What the other side said last.
    pub detail: String,
}

/// How much is in the outbox, and of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxCounts {
    /// Rescans that wait.
    pub rescans_waiting: u64,
    /// Rescans that failed.
    pub rescans_failed: u64,
    /// Publications that wait.
    pub publications_waiting: u64,
    /// Publications that failed.
    pub publications_failed: u64,
    /// When the one that has waited longest was put in.
    pub oldest: Option<i64>,
}

/// Which entries are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxFilter {
    /// All.
    All,
    /// Those that wait and those that failed.
    Open,
    /// Those of an operation.
    Operation(i64),
    /// Those about a study.
    Study(StudyInstanceUid),
}

/// Puts errands in, in the transaction of what they follow from.
pub(super) fn put(tx: &Transaction<'_>, operation: Option<i64>, errands: &[Errand]) -> Result<Vec<i64>, DbError> {
    let now = now();
    let mut statement = tx.prepare_cached(PUT)?;
    let put = errands.iter().map(|errand| {
        let (kind, lane, study, reason, objects) = match errand {
            Errand::Rescan { study, reason } => (Kind::Rescan, AI, study, reason.as_str(), "[]".to_owned()),
            Errand::Publish { peer, study, first } => {
                (Kind::Publish, peer.as_str(), study, "", serde_json::Value::from(first.as_slice()).to_string())
            }
        };
        let reason = capped(reason, LONGEST_DETAIL);
        Ok(statement.insert(params![kind, lane, operation, study.as_str(), reason, objects, now])?)
    });
    put.collect()
}

/// Withdraws what follows from an operation and has not been told yet.
pub(super) fn withdraw(tx: &Transaction<'_>, operation: i64) -> Result<usize, DbError> {
    let sql = "UPDATE outbox SET state = ?2, ended = ?3 WHERE operation = ?1 AND state IN (?4, ?5)";
    let states = [ErrandState::Withdrawn, ErrandState::Waiting, ErrandState::Failed];
    let [withdrawn, waiting, failed] = states;
    Ok(tx.prepare_cached(sql)?.execute(params![operation, withdrawn, now(), waiting, failed])?)
}

impl Errand {
    /// The study that it is about.
    pub fn study(&self) -> &StudyInstanceUid {
        match self {
            Errand::Rescan { study, .. } | Errand::Publish { study, .. } => study,
        }
    }

    /// To whom it goes: errands of one lane are told one after the other. The AI platform's has no name.
    pub fn lane(&self) -> &str {
        match self {
            Errand::Rescan { .. } => AI,
            Errand::Publish { peer, .. } => peer,
        }
    }
}

impl Catalog {
    /// Puts errands in that follow from nothing else in the catalog; their numbers.
    pub async fn put_errands(&self, errands: Vec<Errand>) -> Result<Vec<i64>, CatalogError> {
        self.write(move |tx| put(tx, None, &errands)).await
    }

    /// Asks by hand that a study be scanned again: one that waits, or failed, is tried at once; otherwise there is another.
    pub async fn ask_rescan(&self, study: &StudyInstanceUid, reason: &str) -> Result<i64, CatalogError> {
        let errand = Errand::Rescan { study: study.clone(), reason: reason.to_owned() };
        let study = study.clone();
        self.write(move |tx| {
            let sql = "SELECT max(id) FROM outbox WHERE study = ?1 AND kind = ?2 AND state IN (?3, ?4)";
            let open = params![study.as_str(), Kind::Rescan, ErrandState::Waiting, ErrandState::Failed];
            let open: Option<i64> = tx.prepare_cached(sql)?.query_row(open, |row| row.get(0))?;
            match open {
                Some(id) => {
                    again(tx, id)?;
                    Ok(id)
                }
                None => put(tx, None, &[errand])?
                    .first()
                    .copied()
                    .ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into()),
            }
        })
        .await
    }

    /// Entries of the outbox, the newest first, `limit` at most.
    pub async fn outbox(&self, filter: &OutboxFilter, limit: usize) -> Result<Vec<OutboxEntry>, CatalogError> {
        let (filter, limit) = (filter.clone(), signed(limit as u64));
        self.read(move |c| {
            let all = |condition: &str| format!("{ENTRIES} WHERE {condition} ORDER BY id DESC LIMIT ?1");
            let list = |sql: &str, parameters: &[&dyn ToSql]| -> Result<Vec<OutboxEntry>, DbError> {
                Ok(c.prepare_cached(sql)?.query_map(parameters, entry)?.collect::<Result<_, _>>()?)
            };
            match &filter {
                OutboxFilter::All => list(&all("1"), params![limit]),
                OutboxFilter::Open => list(&all("(state = 0 OR state = 2)"), params![limit]),
                OutboxFilter::Operation(id) => list(&all("operation = ?2"), params![limit, id]),
                OutboxFilter::Study(study) => list(&all("study = ?2"), params![limit, study.as_str()]),
            }
        })
        .await
    }

    /// One entry.
    pub async fn outbox_entry(&self, id: i64) -> Result<Option<OutboxEntry>, CatalogError> {
        let sql = format!("{ENTRIES} WHERE id = ?1");
        self.read(move |c| Ok(c.prepare_cached(&sql)?.query_row([id], entry).optional()?)).await
    }

    /// Withdraws what follows from an operation and has not been told yet; how much that is.
    pub async fn withdraw_errands(&self, operation: i64) -> Result<usize, CatalogError> {
        self.write(move |tx| withdraw(tx, operation)).await
    }

    /// Tries one entry again that failed, or that waits, at once; `false` when there is none.
    pub async fn retry_errand(&self, id: i64) -> Result<bool, CatalogError> {
        self.write(move |tx| again(tx, id)).await
    }

    /// Tries everything again that failed; how many these are.
    pub async fn retry_failed_errands(&self) -> Result<usize, CatalogError> {
        self.write(|tx| {
            let sql = "UPDATE outbox SET state = 0, attempts = 0, passes = 0, ended = NULL, due = ?1 WHERE state = 2";
            Ok(tx.prepare_cached(sql)?.execute([now()])?)
        })
        .await
    }

    /// How much is in the outbox that is not done.
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, CatalogError> {
        self.read(|c| {
            let count = |state: ErrandState, kind: Kind| -> Result<u64, DbError> {
                // Each state has its own index, of which only what is open is part.
                let sql = match state {
                    ErrandState::Failed => "SELECT count(*) FROM outbox WHERE state = 2 AND kind = ?1",
                    _ => "SELECT count(*) FROM outbox WHERE state = 0 AND kind = ?1",
                };
                Ok(unsigned(c.prepare_cached(sql)?.query_row([kind], |row| row.get(0))?))
            };
            let oldest =
                c.prepare_cached("SELECT min(at) FROM outbox WHERE state = 0")?.query_row([], |row| row.get(0))?;
            Ok(OutboxCounts {
                rescans_waiting: count(ErrandState::Waiting, Kind::Rescan)?,
                rescans_failed: count(ErrandState::Failed, Kind::Rescan)?,
                publications_waiting: count(ErrandState::Waiting, Kind::Publish)?,
                publications_failed: count(ErrandState::Failed, Kind::Publish)?,
                oldest,
            })
        })
        .await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rescan,
    Publish,
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(match self {
            Kind::Rescan => 0_i64,
            Kind::Publish => 1,
        }))
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Kind::Rescan),
            1 => Ok(Kind::Publish),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// It is tried again at once; of a publication what is still missing.
fn again(tx: &Transaction<'_>, id: i64) -> Result<bool, DbError> {
    let sql = "UPDATE outbox SET attempts = 0, passes = 0, ended = NULL, due = ?2, state = 0 WHERE id = ?1 AND state IN (0, 2)";
    Ok(tx.prepare_cached(sql)?.execute([id, now()])? > 0)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<OutboxEntry> {
    let study = StudyInstanceUid::new(row.get_ref(4)?.as_str()?);
    let errand = match row.get(1)? {
        Kind::Rescan => Errand::Rescan { study, reason: row.get(5)? },
        Kind::Publish => Errand::Publish { peer: row.get(2)?, study, first: list(row.get_ref(6)?.as_str()?)? },
    };
    Ok(OutboxEntry {
        id: row.get(0)?,
        operation: row.get(3)?,
        errand,
        state: row.get(7)?,
        attempts: row.get(8)?,
        at: row.get(9)?,
        due: row.get(10)?,
        ended: row.get(11)?,
        sent: unsigned(row.get(12)?),
        refused: size(row.get(13)?),
        detail: row.get(14)?,
    })
}

fn list(text: &str) -> rusqlite::Result<Vec<i64>> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
}

const PUT: &str = "INSERT INTO outbox (kind, lane, operation, study, reason, objects, at, due)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)";
const ENTRIES: &str = "SELECT id, kind, lane, operation, study, reason, objects, state, attempts, at, due, ended, sent,
    json_array_length(refused), detail FROM outbox";
