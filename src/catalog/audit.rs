//! The audit trail: kept in the order in which it was written, sent up to a mark, forgotten after a while.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Catalog, CatalogError};
use crate::db::DbError;

/// Where in `meta` the number of the last entry is kept that a collector has.
const SENT: &str = "audit.sent";
/// The most entries that one transaction forgets.
const FORGET_AT_ONCE: i64 = 5000;

/// An entry of the audit trail that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// When it happened.
    pub at: i64,
    /// What kind of event it is, in a word or two.
    pub event: &'static str,
    /// 0 success, 4 minor, 8 serious, 12 major failure.
    pub outcome: u8,
    /// Who did it.
    pub who: String,
    /// What was done, in a sentence.
    pub what: String,
    /// The XML of PS3.15 A.5.
    pub message: String,
}

/// An entry of the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number; later ones have higher ones.
    pub id: i64,
    /// When it happened.
    pub at: i64,
    /// What kind of event it is.
    pub event: String,
    /// 0 success, 4 minor, 8 serious, 12 major failure.
    pub outcome: u8,
    /// Who did it.
    pub who: String,
    /// What was done.
    pub what: String,
    /// The XML of PS3.15 A.5.
    pub message: String,
}

/// Whom a study is about, as the catalog knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditSubject {
    /// Patient ID.
    pub patient_id: String,
    /// Patient's Name.
    pub patient_name: String,
    /// Accession Number.
    pub accession_number: String,
}

/// What was forgotten of the audit trail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Entries.
    pub entries: u64,
    /// Those of them that no collector has.
    pub unsent: u64,
}

impl Catalog {
    /// Adds entries, all in one transaction that is on disk when this returns.
    pub async fn add_audit(&self, entries: Vec<NewAuditEntry>) -> Result<(), CatalogError> {
        self.write(move |tx| add(tx, &entries)).await
    }

    /// Whom studies are about, one for each; nobody where the study is not known.
    pub async fn audit_subjects(&self, studies: Vec<String>) -> Result<Vec<AuditSubject>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(SUBJECT)?;
            let subject = |row: &Row<'_>| {
                Ok(AuditSubject { patient_id: row.get(0)?, patient_name: row.get(1)?, accession_number: row.get(2)? })
            };
            let one = |study: &String| Ok(statement.query_row([study], subject).optional()?.unwrap_or_default());
            studies.iter().map(one).collect::<Result<_, DbError>>()
        })
        .await
    }

    /// A page of the entries from a time on, after the number of the last one.
    pub async fn audit_since(&self, since: i64, after: i64, limit: usize) -> Result<Vec<AuditEntry>, CatalogError> {
        self.read(move |c| page(c, SINCE, params![after, limit_of(limit), since])).await
    }

    /// The number of the last entry that a collector has; 0 when it has none.
    pub async fn audit_sent(&self) -> Result<i64, CatalogError> {
        self.read(sent).await
    }

    /// A page of the entries after the number of the last one.
    pub async fn audit_after(&self, after: i64, limit: usize) -> Result<Vec<AuditEntry>, CatalogError> {
        self.read(move |c| page(c, AFTER, params![after, limit_of(limit)])).await
    }

    /// Remembers that a collector has everything up to this number.
    pub async fn set_audit_sent(&self, id: i64) -> Result<(), CatalogError> {
        self.meta_set(SENT, &id.to_string()).await
    }

    /// Forgets entries that are older than a time, or too many: some of them, the oldest first. Call it until there is
    /// nothing to forget.
    pub async fn forget_audit(&self, before: i64, most: u64) -> Result<Forgotten, CatalogError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.write(move |tx| {
            let last = tx.query_row("SELECT coalesce(max(id), 0) FROM audit", [], |row| row.get::<_, i64>(0))?;
            let sent = sent(tx)?;
            let surplus = last.saturating_sub(most);
            let mut statement = tx.prepare_cached(FORGET)?;
            let gone = statement.query_map(params![before, surplus, FORGET_AT_ONCE], |row| row.get::<_, i64>(0))?;
            let gone = gone.collect::<Result<Vec<_>, _>>()?;
            let unsent = gone.iter().filter(|id| **id > sent).count();
            Ok(Forgotten { entries: gone.len() as u64, unsent: unsent as u64 })
        })
        .await
    }
}

/// Adds entries in the transaction of what they tell.
pub(super) fn add(tx: &Transaction<'_>, entries: &[NewAuditEntry]) -> Result<(), DbError> {
    let mut statement = tx
        .prepare_cached("INSERT INTO audit (at, event, outcome, who, what, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for NewAuditEntry { at, event, outcome, who, what, message } in entries {
        statement.execute(params![at, event, outcome, who, what, message])?;
    }
    Ok(())
}

fn sent(c: &Connection) -> Result<i64, DbError> {
    let found =
        c.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([SENT], |row| row.get::<_, String>(0));
    Ok(found.optional()?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn page(c: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<AuditEntry>, DbError> {
    let entry = |row: &Row<'_>| {
        Ok(AuditEntry {
            id: row.get(0)?,
            at: row.get(1)?,
            event: row.get(2)?,
            outcome: row.get(3)?,
            who: row.get(4)?,
            what: row.get(5)?,
            message: row.get(6)?,
        })
    };
    Ok(c.prepare_cached(sql)?.query_map(parameters, entry)?.collect::<Result<_, _>>()?)
}

const AFTER: &str = "SELECT id, at, event, outcome, who, what, message FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2";
/// The first of that time is found by the index on it, the others follow by number.
const SINCE: &str = "SELECT id, at, event, outcome, who, what, message FROM audit
    WHERE id > max(?1, coalesce((SELECT id - 1 FROM audit WHERE at >= ?3 ORDER BY at, id LIMIT 1), 9223372036854775806))
        AND at >= ?3
    ORDER BY id LIMIT ?2";
/// Both ends of the range are found by an index: the oldest entries have the lowest numbers.
const FORGET: &str = "DELETE FROM audit WHERE id IN (
        SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT ?3) WHERE at < ?1 OR id <= ?2
    ) RETURNING id";
const SUBJECT: &str = "SELECT p.patient_id, p.name, st.accession_number
    FROM studies st CROSS JOIN patients p ON p.id = st.patient WHERE st.uid = ?1";
