//! Storage commitment: what peers asked for, what is held of it, and what they are to be told.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::codes::{millis, now, signed};
use super::corrections::shown_as;
use super::places::{Bytes, copy_bytes, instance_bytes};
use super::{Catalog, CatalogError};
use crate::db::DbError;
use crate::dicom::{SopClassUid, SopInstanceUid, Status, StudyInstanceUid, Uid};
use crate::store::{Digest, Place};

/// What a peer wants to be sure of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommitment {
    /// Its AE title.
    pub peer: String,
    /// Transaction UID.
    pub transaction: Uid,
    /// A digest of the instances, by which the same request is known again.
    pub list: Digest,
    /// The instances.
    pub instances: Vec<(SopClassUid, SopInstanceUid)>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is kept, under this number, and will be seen to.
    Kept(i64),
    /// It was kept before; what was asked then is being seen to.
    Known(i64),
    /// The transaction is in use for something else.
    Conflict,
    /// The peer waits for too much already.
    TooMuch,
}

/// A request that is being seen to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// Its number.
    pub id: i64,
    /// The AE title of the peer.
    pub peer: String,
    /// Transaction UID.
    pub transaction: Uid,
    /// When it came.
    pub at: i64,
    /// Whether all its instances have been looked at.
    pub checked: bool,
    /// How often the peer could not be told.
    pub attempts: u32,
}

/// An instance to be looked at, and what is held under its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToCommit {
    /// Its place in the request.
    pub n: i64,
    /// The SOP class that the peer says it has.
    pub class: SopClassUid,
    /// Its SOP Instance UID.
    pub instance: SopInstanceUid,
    /// The SOP class and the study of the instance that is filed under that UID.
    pub filed: Option<(SopClassUid, StudyInstanceUid)>,
    /// Whether something with that UID is in quarantine.
    pub quarantined: bool,
    /// Every file that is kept as that instance: place, length and digest of the data set.
    pub files: Vec<(Place, u64, Option<Digest>)>,
}

/// An instance with its Failure Reason; without one, it is committed.
pub type CommitmentResult = (SopClassUid, SopInstanceUid, Option<Status>);

/// What one peer may be waiting for.
const MOST_OPEN: i64 = 1000;
const MOST_INSTANCES: i64 = 1_000_000;

impl Catalog {
    /// Keeps a request. It is on disk when this returns.
    pub async fn begin_commitment(&self, request: NewCommitment) -> Result<Begun, CatalogError> {
        self.write(move |tx| begin(tx, &request)).await
    }

    /// Requests whose time has come, the longest waiting first.
    pub async fn due_commitments(&self, limit: usize) -> Result<Vec<Commitment>, CatalogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!("{OPEN} WHERE due <= ?1 ORDER BY due LIMIT ?2"))?;
            Ok(statement.query_map([now(), limit], commitment)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// One request.
    pub async fn commitment(&self, id: i64) -> Result<Option<Commitment>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(&format!("{OPEN} WHERE id = ?1"))?;
            Ok(statement.query_row([id], commitment).optional()?)
        })
        .await
    }

    /// A page of the instances of a request that nobody has looked at.
    pub async fn to_commit(&self, id: i64, limit: usize) -> Result<Vec<ToCommit>, CatalogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |c| {
            let mut statement = c.prepare_cached(UNCHECKED)?;
            let asked = |row: &Row<'_>| {
                let uid = |at| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
                Ok((row.get(0)?, SopClassUid::new(uid(1)?), SopInstanceUid::new(uid(2)?)))
            };
            let page = statement.query_map([id, limit], asked)?.collect::<Result<Vec<_>, _>>()?;
            page.into_iter().map(|(n, class, instance)| held(c, n, class, instance)).collect()
        })
        .await
    }

    /// Remembers what was found out about instances.
    pub async fn set_commitment_results(
        &self,
        id: i64,
        results: Vec<(i64, Option<Status>)>,
    ) -> Result<(), CatalogError> {
        self.write(move |tx| {
            let sql = "UPDATE commitment_instances SET reason = ?3 WHERE commitment = ?1 AND n = ?2";
            let mut statement = tx.prepare_cached(sql)?;
            for (n, reason) in &results {
                statement.execute(params![id, n, reason.map_or(0, |reason| reason.0)])?;
            }
            Ok(())
        })
        .await
    }

    /// Remembers that every instance of a request was looked at.
    pub async fn set_commitment_checked(&self, id: i64) -> Result<(), CatalogError> {
        self.write(move |tx| {
            tx.prepare_cached("UPDATE commitments SET checked = 1 WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
        .await
    }

    /// What a peer is to be told, in the order in which it asked.
    pub async fn commitment_results(&self, id: i64) -> Result<Vec<CommitmentResult>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(RESULTS)?;
            let result = |row: &Row<'_>| {
                let uid = |at| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
                // What nobody has looked at is not safe.
                let reason = row.get::<_, Option<u16>>(2)?.unwrap_or(Status::PROCESSING_FAILURE.0);
                Ok((SopClassUid::new(uid(0)?), SopInstanceUid::new(uid(1)?), (reason != 0).then_some(Status(reason))))
            };
            Ok(statement.query_map([id], result)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Puts off telling a peer that could not be told, of whatever it waits for.
    pub async fn put_off_commitment(&self, id: i64, by: Duration) -> Result<(), CatalogError> {
        let due = now().saturating_add(millis(by));
        self.write(move |tx| {
            tx.prepare_cached("UPDATE commitments SET attempts = attempts + 1, due = ?2 WHERE id = ?1")?
                .execute([id, due])?;
            let sql = "UPDATE commitments SET due = ?2 WHERE due < ?2 AND checked = 1
                AND peer = (SELECT peer FROM commitments WHERE id = ?1)";
            tx.prepare_cached(sql)?.execute([id, due])?;
            Ok(())
        })
        .await
    }

    /// Forgets a request: the peer has been told, or cannot be. One that was told can be told the rest now.
    pub async fn end_commitment(&self, id: i64, told: bool) -> Result<(), CatalogError> {
        self.write(move |tx| {
            if told {
                let sql = "UPDATE commitments SET due = min(due, ?2)
                    WHERE peer = (SELECT peer FROM commitments WHERE id = ?1)";
                tx.prepare_cached(sql)?.execute([id, now()])?;
            }
            tx.prepare_cached("DELETE FROM commitment_instances WHERE commitment = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM commitments WHERE id = ?1")?.execute([id])?;
            Ok(())
        })
        .await
    }
}

/// How long a request is left to the process that took it, before its time has come for others.
const GRACE_MS: i64 = 2000;

fn begin(tx: &Transaction<'_>, request: &NewCommitment) -> Result<Begun, DbError> {
    let NewCommitment { peer, transaction, list, instances } = request;
    let known = tx
        .prepare_cached("SELECT id, list FROM commitments WHERE peer = ?1 AND transaction_uid = ?2")?
        .query_row([peer.as_str(), transaction.as_str()], |row| Ok((row.get(0)?, row.get::<_, [u8; 32]>(1)?)))
        .optional()?;
    if let Some((id, same)) = known {
        return Ok(if same == *list.as_bytes() { Begun::Known(id) } else { Begun::Conflict });
    }
    let count = signed(instances.len() as u64);
    let (open, waiting): (i64, i64) = tx
        .prepare_cached("SELECT count(*), coalesce(sum(instances), 0) FROM commitments WHERE peer = ?1")?
        .query_row([peer], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if open >= MOST_OPEN || waiting.saturating_add(count) > MOST_INSTANCES {
        return Ok(Begun::TooMuch);
    }
    let now = now();
    tx.prepare_cached(
        "INSERT INTO commitments (peer, transaction_uid, list, instances, at, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![peer, transaction.as_str(), list.as_bytes(), count, now, now + GRACE_MS])?;
    let id = tx.last_insert_rowid();
    let mut statement =
        tx.prepare_cached("INSERT INTO commitment_instances (commitment, n, class, uid) VALUES (?1, ?2, ?3, ?4)")?;
    for (n, (class, instance)) in instances.iter().enumerate() {
        statement.execute(params![id, signed(n as u64), class.as_str(), instance.as_str()])?;
    }
    Ok(Begun::Kept(id))
}

fn commitment(row: &Row<'_>) -> rusqlite::Result<Commitment> {
    Ok(Commitment {
        id: row.get(0)?,
        peer: row.get(1)?,
        transaction: Uid::new(row.get_ref(2)?.as_str()?),
        at: row.get(3)?,
        checked: row.get(4)?,
        attempts: row.get(5)?,
    })
}

/// What is held under a UID.
fn held(c: &Connection, n: i64, class: SopClassUid, instance: SopInstanceUid) -> Result<ToCommit, DbError> {
    let mut filed = None;
    let mut files = Vec::new();
    let mut statement = c.prepare_cached(HELD)?;
    let mut rows = statement.query([instance.as_str()])?;
    while let Some(row) = rows.next()? {
        let Bytes { place, length, digest, .. } = Bytes::read(row, 2)?;
        let uid = |at| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
        filed = Some((SopClassUid::new(uid(0)?), StudyInstanceUid::new(uid(1)?)));
        files.push((place, length, digest));
    }
    let quarantined = c.prepare_cached("SELECT 1 FROM quarantine WHERE uid = ?1")?.exists([instance.as_str()])?;
    Ok(ToCommit { n, class, instance, filed, quarantined, files })
}

const OPEN: &str = "SELECT id, peer, transaction_uid, at, checked, attempts FROM commitments";
const UNCHECKED: &str = "SELECT n, class, uid FROM commitment_instances
    WHERE commitment = ?1 AND reason IS NULL ORDER BY n LIMIT ?2";
const RESULTS: &str = "SELECT class, uid, reason FROM commitment_instances WHERE commitment = ?1 ORDER BY n";
/// Under the UID that it was filed with, be it shown with another one, or under the one that it is shown with.
const HELD: &str = concat!(
    "SELECT cl.uid, st.uid, ",
    instance_bytes!(),
    " FROM instances i CROSS JOIN series se ON se.id = i.series CROSS JOIN studies st ON st.id = se.study
        CROSS JOIN uids cl ON cl.id = i.class LEFT JOIN folders f ON f.id = i.link_folder
      WHERE i.id IN (SELECT id FROM instances WHERE uid = ?1 UNION ALL ",
    shown_as!("?1"),
    ")
      UNION ALL
      SELECT cl.uid, st.uid, ",
    copy_bytes!(),
    " FROM instances i CROSS JOIN copies c ON c.instance = i.id CROSS JOIN series se ON se.id = i.series
        CROSS JOIN studies st ON st.id = se.study CROSS JOIN uids cl ON cl.id = i.class
        LEFT JOIN folders f ON f.id = c.link_folder
      WHERE i.id IN (SELECT id FROM instances WHERE uid = ?1 UNION ALL ",
    shown_as!("?1"),
    ")"
);
