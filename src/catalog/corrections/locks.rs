//! Locks: who keeps others from changing a study, since when and why.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::CorrectionError;
use crate::catalog::codes::now;
use crate::catalog::{Catalog, CatalogError, FLAG_CV_MIGRATED};
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;
use crate::store::StudyMark;

/// A lock on a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyLock {
    /// The study.
    pub study: StudyInstanceUid,
    /// Who holds it.
    pub owner: String,
    /// Since when, in unix milliseconds.
    pub since: i64,
    /// Why.
    pub reason: String,
    /// The process that holds it for an operation; empty for a lock that a person has set.
    pub process: String,
}

impl StudyLock {
    /// Whether a person has set it, and has to take it away.
    pub fn is_manual(&self) -> bool {
        self.process.is_empty()
    }

    /// What somebody is told whom it keeps out.
    pub fn refusal(self) -> CorrectionError {
        let manual = self.is_manual();
        let StudyLock { study, owner, since, reason, .. } = self;
        match manual {
            true => CorrectionError::Locked { study, owner, since, reason },
            false => CorrectionError::Running { study, owner, since },
        }
    }
}

impl Catalog {
    /// Locks a study until it is unlocked.
    pub async fn lock_study(
        &self,
        study: &StudyInstanceUid,
        owner: &str,
        reason: &str,
    ) -> Result<StudyLock, CatalogError> {
        let studies = vec![study.clone()];
        let (owner, reason) = (owner.to_owned(), reason.to_owned());
        let mut taken = self.write(move |tx| take(tx, &studies, &owner, &reason, "")).await??;
        taken.pop().ok_or_else(|| CorrectionError::NoSuchStudy(study.clone()).into())
    }

    /// Locks studies for an operation of a process, all or none. A lock that the same person has set by hand is none in
    /// the way. [`Catalog::unlock_process`] takes them away.
    pub async fn lock_for(
        &self,
        studies: &[StudyInstanceUid],
        owner: &str,
        process: &str,
        reason: &str,
    ) -> Result<(), CatalogError> {
        self.release_dead_locks().await?;
        let mut studies = studies.to_vec();
        studies.sort();
        studies.dedup();
        let (owner, process, reason) = (owner.to_owned(), process.to_owned(), reason.to_owned());
        self.write(move |tx| take(tx, &studies, &owner, &reason, &process)).await??;
        Ok(())
    }

    /// Takes away the locks that a process holds for its operations.
    pub async fn unlock_process(&self, process: &str) -> Result<(), CatalogError> {
        let process = process.to_owned();
        self.write(move |tx| {
            tx.prepare_cached("DELETE FROM locks WHERE process = ?1 AND process <> ''")?.execute([process])?;
            Ok(())
        })
        .await
    }

    /// Takes away the locks of operations whose process lives no more.
    pub async fn release_dead_locks(&self) -> Result<(), CatalogError> {
        let locks = self.db.locks()?;
        for lock in self.study_locks().await?.into_iter().filter(|lock| !lock.is_manual()) {
            if crate::catalog::alive::is_dead(&locks, &lock.process)? {
                self.unlock_process(&lock.process).await?;
            }
        }
        Ok(())
    }

    /// Unlocks a study, whoever has locked it; what the lock was. That of an operation ends with the operation.
    pub async fn unlock_study(&self, study: &StudyInstanceUid) -> Result<StudyLock, CatalogError> {
        self.release_dead_locks().await?;
        let study = study.clone();
        let lock = self.write(move |tx| {
            let Some(id) = number(tx, &study)? else { return Ok(Err(CorrectionError::NoSuchStudy(study))) };
            let Some(lock) = of(tx, id)? else { return Ok(Err(CorrectionError::NotLocked(study))) };
            if !lock.is_manual() {
                return Ok(Err(lock.refusal()));
            }
            remove(tx, id)?;
            Ok(Ok(lock))
        });
        Ok(lock.await??)
    }

    /// All locks, the oldest first.
    pub async fn study_locks(&self) -> Result<Vec<StudyLock>, CatalogError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(ALL)?;
            Ok(statement.query_map([], lock)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Marks a study as migrated from a cardiovascular source, or takes the mark away.
    pub async fn mark_cv_migrated(&self, study: &StudyInstanceUid, is: bool) -> Result<(), CatalogError> {
        let study = study.clone();
        let marked = self.write(move |tx| {
            let Some(id) = number(tx, &study)? else { return Ok(Err(CorrectionError::NoSuchStudy(study))) };
            Ok(Ok(mark_cv(tx, id, is)?))
        });
        Ok(marked.await??)
    }

    /// Sets a mark again that the journal tells of, or takes it away, in a catalog made anew. Blocking. A study that is
    /// not here has none.
    pub fn replay_mark(
        &self,
        study: StudyInstanceUid,
        mark: StudyMark,
        by: String,
        reason: String,
        at: i64,
    ) -> Result<(), CatalogError> {
        Ok(self.db.write_blocking(move |tx| {
            let Some(id) = number(tx, &study)? else { return Ok(()) };
            match mark {
                StudyMark::Locked => {
                    remove(tx, id)?;
                    insert(tx, id, &StudyLock { study, owner: by, since: at, reason, process: String::new() })
                }
                StudyMark::Unlocked => remove(tx, id),
                StudyMark::Cardiovascular => mark_cv(tx, id, true),
                StudyMark::General => mark_cv(tx, id, false),
            }
        })?)
    }
}

fn insert(tx: &Transaction<'_>, study: i64, lock: &StudyLock) -> Result<(), DbError> {
    tx.prepare_cached("INSERT INTO locks (study, owner, since, reason, process) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![study, lock.owner, lock.since, lock.reason, lock.process])?;
    Ok(())
}

fn remove(tx: &Transaction<'_>, study: i64) -> Result<(), DbError> {
    tx.prepare_cached("DELETE FROM locks WHERE study = ?1")?.execute([study])?;
    Ok(())
}

/// The locks that somebody has set are another one's from now on; all of them.
pub(in crate::catalog) fn hand_over(tx: &Transaction<'_>, from: &str, to: &str) -> Result<Vec<StudyLock>, DbError> {
    let mut statement = tx.prepare_cached(ALL)?;
    let mut locks: Vec<StudyLock> = statement.query_map([], lock)?.collect::<Result<_, _>>()?;
    locks.retain(|lock| lock.is_manual() && lock.owner == from);
    tx.prepare_cached("UPDATE locks SET owner = ?2 WHERE owner = ?1 AND process = ''")?.execute([from, to])?;
    locks.iter_mut().for_each(|lock| to.clone_into(&mut lock.owner));
    Ok(locks)
}

fn mark_cv(tx: &Transaction<'_>, study: i64, is: bool) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE studies SET flags = iif(?2, flags | ?3, flags & ~?3) WHERE id = ?1")?
        .execute(params![study, is, FLAG_CV_MIGRATED])?;
    Ok(())
}

/// The lock on the study of that number.
pub(super) fn of(c: &Connection, study: i64) -> Result<Option<StudyLock>, DbError> {
    Ok(c.prepare_cached(OF)?.query_row([study], lock).optional()?)
}

fn number(c: &Connection, study: &StudyInstanceUid) -> Result<Option<i64>, DbError> {
    let mut statement = c.prepare_cached("SELECT id FROM studies WHERE uid = ?1 AND uid <> ''")?;
    Ok(statement.query_row([study.as_str()], |row| row.get(0)).optional()?)
}

fn take(
    tx: &Transaction<'_>,
    studies: &[StudyInstanceUid],
    owner: &str,
    reason: &str,
    process: &str,
) -> Result<Result<Vec<StudyLock>, CorrectionError>, DbError> {
    let mut free = Vec::new();
    for study in studies {
        // A study that an operation makes is locked by nobody else, and has no number as yet.
        let Some(id) = number(tx, study)? else { continue };
        match of(tx, id)? {
            Some(lock) if !(lock.is_manual() && lock.owner == owner && !process.is_empty()) => {
                return Ok(Err(lock.refusal()));
            }
            Some(_) => {}
            None => free.push((id, study)),
        }
    }
    let since = now();
    let mut taken = Vec::new();
    for (id, study) in free {
        let (owner, reason, process) = (owner.to_owned(), reason.to_owned(), process.to_owned());
        let lock = StudyLock { study: study.clone(), owner, since, reason, process };
        insert(tx, id, &lock)?;
        taken.push(lock);
    }
    Ok(Ok(taken))
}

fn lock(row: &Row<'_>) -> rusqlite::Result<StudyLock> {
    Ok(StudyLock {
        study: StudyInstanceUid::new(row.get_ref(0)?.as_str()?),
        owner: row.get(1)?,
        since: row.get(2)?,
        reason: row.get(3)?,
        process: row.get(4)?,
    })
}

const OF: &str = "SELECT st.uid, l.owner, l.since, l.reason, l.process
    FROM locks l CROSS JOIN studies st ON st.id = l.study WHERE l.study = ?1";
const ALL: &str = "SELECT st.uid, l.owner, l.since, l.reason, l.process
    FROM locks l CROSS JOIN studies st ON st.id = l.study ORDER BY l.since, l.study";
