//! What became of the files of an import.

use std::os::unix::ffi::OsStrExt;

use rusqlite::{Transaction, params};

use super::{FileKey, FileState};
use crate::catalog::codes::{capped, now, signed, size};
use crate::catalog::items::LONGEST_TEXT;
use crate::catalog::pace;
use crate::catalog::{Catalog, CatalogError, Reason};
use crate::db::DbError;
use crate::dicom::SopInstanceUid;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOutcome {
    /// Which file.
    pub key: FileKey,
    /// Where it stands now.
    pub state: FileState,
    /// Why it is not filed.
    pub reason: Option<Reason>,
    /// The same in words.
    pub detail: String,
    /// Its SOP Instance UID.
    pub instance: SopInstanceUid,
    /// Bytes that were taken in.
    pub bytes: u64,
}

/// The files of a study, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilingCounts {
    /// All of them.
    pub listed: usize,
    /// Those whose object is filed, and is in the catalog still.
    pub filed: usize,
    /// Those in quarantine because of their UID.
    pub collision: usize,
    /// Those in quarantine for another reason.
    pub set_aside: usize,
    /// Those that changed, and are left for the next run.
    pub left: usize,
    /// Those that could not be read.
    pub unreadable: usize,
    /// Those that nothing has become of yet.
    pub open: usize,
}

/// Sets the state of a row that has not come to its end; whether there was one.
fn conclude(tx: &Transaction<'_>, job: i64, outcome: &FileOutcome) -> Result<bool, DbError> {
    // What may be tried again is still needed.
    let keep = !outcome.state.is_filed();
    // What collided is tried again when the object with its UID is filed no more.
    let names = outcome.state.is_filed() || outcome.state == FileState::Collision;
    let changed = tx
        .prepare_cached(
            "UPDATE import_files SET state = ?5, reason = ?6, detail = ?7,
                object = CASE WHEN ?8 THEN object END,
                instance = CASE WHEN ?10 THEN (SELECT id FROM instances WHERE uid = ?9) END
             WHERE path = ?1 AND name = ?2 AND member = ?3 AND job = ?4 AND state IN (0, 6, 10)",
        )?
        .execute(params![
            outcome.key.folder,
            outcome.key.name.as_bytes(),
            outcome.key.member,
            job,
            outcome.state,
            outcome.reason,
            capped(&outcome.detail, LONGEST_TEXT),
            keep,
            outcome.instance.as_str(),
            names,
        ])?;
    Ok(changed == 1)
}

fn count(tx: &Transaction<'_>, job: i64, item: i64, outcomes: &[&FileOutcome], now: i64) -> Result<(), DbError> {
    let number = |state: FileState| {
        i64::try_from(outcomes.iter().filter(|outcome| outcome.state == state).count()).unwrap_or(i64::MAX)
    };
    let bytes = signed(outcomes.iter().map(|outcome| outcome.bytes).sum());
    tx.prepare_cached(
        "UPDATE items SET filed = filed + ?2, duplicate = duplicate + ?3, variant = variant + ?4,
            collision = collision + ?5, quarantined = quarantined + ?6, bytes = bytes + ?7 WHERE id = ?1",
    )?
    .execute(params![
        item,
        number(FileState::Filed),
        number(FileState::Duplicate).saturating_add(number(FileState::AlreadyMoved)),
        number(FileState::Variant),
        number(FileState::Collision),
        number(FileState::SetAside),
        bytes,
    ])?;
    pace::arrived(tx, job, now, i64::try_from(outcomes.len()).unwrap_or(i64::MAX), bytes)
}

impl Catalog {
    /// Keeps what became of files of an item (of none, for those that name no study), and counts each once.
    pub async fn conclude_files(
        &self,
        job: i64,
        item: Option<i64>,
        outcomes: Vec<FileOutcome>,
    ) -> Result<(), CatalogError> {
        self.write(move |tx| {
            let mut new = Vec::with_capacity(outcomes.len());
            for outcome in &outcomes {
                if conclude(tx, job, outcome)? {
                    new.push(outcome);
                }
            }
            match item {
                Some(item) if !new.is_empty() => count(tx, job, item, &new, now()),
                _ => Ok(()),
            }
        })
        .await
    }

    /// How the files of a study stand. Filed are those whose object the catalog holds now.
    pub async fn filing_counts(&self, item: i64) -> Result<FilingCounts, CatalogError> {
        self.read(move |c| {
            let mut counts = FilingCounts::default();
            let mut statement = c.prepare_cached(COUNTS)?;
            let mut rows = statement.query([item])?;
            while let Some(row) = rows.next()? {
                let (files, held) = (size(row.get(1)?), size(row.get(2)?));
                counts.listed += files;
                match row.get(0)? {
                    state if state.is_filed() => counts.filed += held,
                    FileState::Collision => counts.collision += files,
                    FileState::SetAside => counts.set_aside += files,
                    FileState::Left => counts.left += files,
                    FileState::Unreadable => counts.unreadable += files,
                    _ => counts.open += files,
                }
            }
            Ok(counts)
        })
        .await
    }

    /// Has the files of an item tried again that could not be read, or whose objects are no longer in the catalog.
    pub async fn reopen_files(&self, item: i64) -> Result<(), CatalogError> {
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE import_files SET state = 0, reason = NULL, detail = ''
                 WHERE item = ?1 AND state IN (8, 9) AND object IS NOT NULL",
            )?
            .execute([item])?;
            tx.prepare_cached(
                "UPDATE import_files SET state = 0, instance = NULL
                 WHERE item = ?1 AND state IN (1, 2, 3, 14)
                    AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.id = import_files.instance)",
            )?
            .execute([item])?;
            Ok(())
        })
        .await
    }
}

pub(in crate::catalog) const COUNTS: &str = "SELECT f.state, count(*), count(i.id) FROM import_files f
        LEFT JOIN instances i ON i.id = f.instance
     WHERE f.item = ?1 GROUP BY f.state";
