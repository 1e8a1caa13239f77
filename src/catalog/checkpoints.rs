//! The association checkpoint of each pull: written before the request, while it runs, and at its end.

use rusqlite::{Row, Transaction, params};

use super::codes::{now, signed, unsigned};
use super::{Catalog, CatalogError};
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;

/// What is known of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub id: i64,
    /// The item that is pulled.
    pub item: i64,
    /// The source.
    pub source: String,
    /// The study.
    pub study_uid: StudyInstanceUid,
    /// Who pulls.
    pub owner: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Our number of the association.
    pub association: u64,
    /// The Message ID of the request.
    pub message_id: u16,
    /// The level of the request: STUDY, SERIES or IMAGE.
    pub level: String,
    /// requested, pending, ended, cancelled or lost.
    pub phase: String,
    /// Sub-operations remaining, completed, failed, warning, as the source last said.
    pub counters: [Option<u16>; 4],
    /// Objects that arrived while it was open.
    pub received: u32,
    /// When it was opened.
    pub opened: i64,
    /// When it last changed.
    pub updated: i64,
    /// When it was closed.
    pub closed: Option<i64>,
}

/// What is written before the request goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheckpoint {
    /// Who pulls.
    pub owner: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Our number of the association.
    pub association: u64,
    /// The Message ID of the request.
    pub message_id: u16,
    /// The level of the request: STUDY, SERIES or IMAGE.
    pub level: String,
}

/// What the source said since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// requested, pending, ended, cancelled or lost.
    pub phase: String,
    /// The association, when the request went out on another one than foreseen.
    pub association: Option<u64>,
    /// Sub-operations remaining, completed, failed, warning.
    pub counters: [Option<u16>; 4],
}

pub(super) const CLOSE_OPEN: &str =
    "UPDATE checkpoints SET phase = ?2, updated = ?3, closed = ?3 WHERE item = ?1 AND closed IS NULL";
pub(super) const LATEST: &str =
    "SELECT c.id, c.item, s.name, i.study_uid, c.owner, c.attempt, c.association, c.message_id, c.level, c.phase,
        c.remaining, c.completed, c.failed, c.warning, c.received, c.opened, c.updated, c.closed
     FROM checkpoints c CROSS JOIN items i ON i.id = c.item CROSS JOIN jobs j ON j.id = c.job CROSS JOIN sources s ON s.id = j.source
     WHERE c.job = ?1 ORDER BY c.id DESC LIMIT ?2";
pub(super) const PULL_OPEN: &str =
    "SELECT 1 FROM items i CROSS JOIN jobs j ON j.id = i.job CROSS JOIN sources s ON s.id = j.source
     WHERE i.study_uid = ?1 AND s.name = ?2 AND i.owner IS NOT NULL AND i.due > ?3
       AND EXISTS (SELECT 1 FROM checkpoints c WHERE c.item = i.id AND c.closed IS NULL)";

/// Closes what is open for an item: its puller is gone, or has done with it.
pub(super) fn close_open(tx: &Transaction<'_>, item: i64, phase: &str, now: i64) -> Result<(), DbError> {
    tx.prepare_cached(CLOSE_OPEN)?.execute(params![item, phase, now])?;
    Ok(())
}

fn checkpoint_of(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    Ok(Checkpoint {
        id: row.get(0)?,
        item: row.get(1)?,
        source: row.get(2)?,
        study_uid: StudyInstanceUid::new(row.get_ref(3)?.as_str()?),
        owner: row.get(4)?,
        attempt: row.get(5)?,
        association: unsigned(row.get(6)?),
        message_id: row.get(7)?,
        level: row.get(8)?,
        phase: row.get(9)?,
        counters: [row.get(10)?, row.get(11)?, row.get(12)?, row.get(13)?],
        received: row.get(14)?,
        opened: row.get(15)?,
        updated: row.get(16)?,
        closed: row.get(17)?,
    })
}

impl Catalog {
    /// Opens a checkpoint for a leased item; `None` when the lease is lost. Until it is closed, arrivals of the study
    /// from the source are the item's, and counted in the checkpoint.
    pub async fn open_checkpoint(
        &self,
        item: i64,
        fence: i64,
        checkpoint: NewCheckpoint,
    ) -> Result<Option<i64>, CatalogError> {
        self.write(move |tx| {
            let now = now();
            let opened = tx
                .prepare_cached(
                    "INSERT INTO checkpoints (job, item, owner, attempt, association, message_id, level, phase, opened, updated)
                     SELECT job, id, ?4, ?5, ?6, ?7, ?8, 'requested', ?3, ?3 FROM items
                     WHERE id = ?1 AND fence = ?2 AND owner IS NOT NULL AND due > ?3",
                )?
                .execute(params![
                    item,
                    fence,
                    now,
                    checkpoint.owner,
                    checkpoint.attempt,
                    signed(checkpoint.association),
                    checkpoint.message_id,
                    checkpoint.level,
                ])?;
            Ok((opened == 1).then(|| tx.last_insert_rowid()))
        })
        .await
    }

    /// Keeps what the source said; `false` when the checkpoint is closed already.
    pub async fn update_checkpoint(&self, id: i64, progress: Progress) -> Result<bool, CatalogError> {
        self.progress(id, progress, false).await
    }

    /// Closes it with the last that the source said; `false` when it is closed already.
    pub async fn close_checkpoint(&self, id: i64, progress: Progress) -> Result<bool, CatalogError> {
        self.progress(id, progress, true).await
    }

    async fn progress(&self, id: i64, progress: Progress, close: bool) -> Result<bool, CatalogError> {
        self.write(move |tx| {
            let [remaining, completed, failed, warning] = progress.counters;
            let changed = tx
                .prepare_cached(
                    "UPDATE checkpoints SET phase = ?2, association = coalesce(?3, association), remaining = ?4,
                        completed = ?5, failed = ?6, warning = ?7, updated = ?8, closed = CASE WHEN ?9 THEN ?8 END
                     WHERE id = ?1 AND closed IS NULL",
                )?
                .execute(params![
                    id,
                    progress.phase,
                    progress.association.map(signed),
                    remaining,
                    completed,
                    failed,
                    warning,
                    now(),
                    close
                ])?;
            Ok(changed == 1)
        })
        .await
    }

    /// The checkpoints of a job, the latest first.
    pub async fn checkpoints(&self, job: i64, limit: usize) -> Result<Vec<Checkpoint>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(LATEST)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            Ok(statement.query_map([job, limit], checkpoint_of)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Whether somebody who holds the lease is pulling this study from this source. Blocking, a few microseconds.
    pub fn pull_open(&self, source: &str, study: &StudyInstanceUid) -> Result<bool, CatalogError> {
        let open = self
            .db
            .read_blocking(|c| Ok(c.prepare_cached(PULL_OPEN)?.exists(params![study.as_str(), source, now()])?))?;
        Ok(open)
    }
}
