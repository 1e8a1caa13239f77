//! Staging: the rows of an operation, written in small transactions that nobody sees the meaning of.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{CorrectionError, CorrectionState, NewCorrected, NewCorrection, Role, StagedCorrection, quarantined};
use crate::catalog::codes::now;
use crate::catalog::record::hierarchy;
use crate::catalog::{Catalog, CatalogError};
use crate::dataset::Header;
use crate::db::DbError;
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid};

/// Objects that are staged in one transaction.
const AT_ONCE: usize = 200;

impl Catalog {
    /// Begins an operation: it has a number and a name from now on, and nobody sees it.
    pub async fn stage_begin(&self, new: NewCorrection) -> Result<StagedCorrection, CatalogError> {
        Ok(self.write(move |tx| begin(tx, &new, None)).await??)
    }

    /// Adds objects to a staged operation.
    pub async fn stage_add(&self, id: i64, objects: Vec<NewCorrected>) -> Result<(), CatalogError> {
        for chunk in objects.chunks(AT_ONCE) {
            let chunk = chunk.to_vec();
            self.write(move |tx| add(tx, id, &chunk)).await??;
        }
        Ok(())
    }

    /// Takes away what is left of an operation that was never flipped on. What it had written stays hidden.
    pub async fn remove_staged(&self, id: i64) -> Result<(), CatalogError> {
        Ok(self.write(move |tx| remove(tx, id)).await??)
    }

    /// The staged operations whose process lives no more.
    pub async fn dead_staged(&self) -> Result<Vec<StagedCorrection>, CatalogError> {
        let staged = self.staged().await?;
        let locks = self.db.locks()?;
        let mut dead = Vec::new();
        for staged in staged {
            if crate::catalog::alive::is_dead(&locks, &staged.process)? {
                dead.push(staged);
            }
        }
        Ok(dead)
    }

    async fn staged(&self) -> Result<Vec<StagedCorrection>, CatalogError> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT id, key, process FROM corrections WHERE state = 0 ORDER BY id")?;
            let staged = |row: &rusqlite::Row<'_>| {
                Ok(StagedCorrection { id: row.get(0)?, key: row.get(1)?, process: row.get(2)? })
            };
            Ok(statement.query_map([], staged)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// The number of the study that what is not shown is in.
pub(super) fn hidden_study(tx: &Transaction<'_>) -> Result<i64, DbError> {
    find_or_make_study(tx, &StudyInstanceUid::new(""))
}

fn find_study(tx: &Transaction<'_>, uid: &StudyInstanceUid) -> Result<Option<i64>, DbError> {
    let mut statement = tx.prepare_cached("SELECT id FROM studies WHERE uid = ?1")?;
    Ok(statement.query_row([uid.as_str()], |row| row.get(0)).optional()?)
}

pub(super) fn find_or_make_study(tx: &Transaction<'_>, uid: &StudyInstanceUid) -> Result<i64, DbError> {
    if let Some(id) = find_study(tx, uid)? {
        return Ok(id);
    }
    Ok(tx.prepare_cached("INSERT INTO studies (uid) VALUES (?1)")?.insert([uid.as_str()])?)
}

/// With this number, if it is a free one.
pub(super) fn begin(
    tx: &Transaction<'_>,
    new: &NewCorrection,
    number: Option<i64>,
) -> Result<Result<StagedCorrection, CorrectionError>, DbError> {
    let Some(source) = find_study(tx, &new.source)? else {
        return Ok(Err(CorrectionError::NoSuchStudy(new.source.clone())));
    };
    let fresh = || format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let key = new.key.clone().unwrap_or_else(fresh);
    if tx.prepare_cached("SELECT 1 FROM corrections WHERE key = ?1")?.exists([&key])? {
        return Ok(Err(CorrectionError::DoneAlready));
    }
    let destination = find_or_make_study(tx, &new.destination)?;
    let described: bool = tx
        .prepare_cached("SELECT patient IS NOT NULL FROM studies WHERE id = ?1")?
        .query_row([destination], |row| row.get(0))?;
    if !described {
        let header = new.describes.as_deref().cloned().unwrap_or_else(Header::default);
        hierarchy::describe_as(tx, destination, &header)?;
    }
    let id = tx
        .prepare_cached(
            "INSERT INTO corrections (id, key, kind, mode, at, operator, reason, reason_text, source, destination, process,
                amendment, sheet) VALUES (
                (SELECT ?13 WHERE NOT EXISTS (SELECT 1 FROM corrections WHERE id = ?13)),
                ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .insert(params![
            key,
            new.kind,
            new.mode,
            now(),
            new.operator,
            new.reason,
            new.reason_text,
            source,
            destination,
            new.process,
            new.amendment,
            new.sheet,
            number
        ])?;
    Ok(Ok(StagedCorrection { id, key, process: new.process.clone() }))
}

/// The state of an operation, and its destination.
pub(super) fn state(tx: &Transaction<'_>, id: i64) -> Result<Option<(CorrectionState, i64)>, DbError> {
    let mut statement = tx.prepare_cached("SELECT state, destination FROM corrections WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Only what is staged can be added to, or removed.
fn staged(tx: &Transaction<'_>, id: i64) -> Result<Result<i64, CorrectionError>, DbError> {
    Ok(match state(tx, id)? {
        None => Err(CorrectionError::Unknown(id)),
        Some((CorrectionState::Staged, destination)) => Ok(destination),
        Some((state, _)) => Err(CorrectionError::State { id, state }),
    })
}

pub(super) fn add(
    tx: &Transaction<'_>,
    id: i64,
    objects: &[NewCorrected],
) -> Result<Result<(), CorrectionError>, DbError> {
    let destination = match staged(tx, id)? {
        Ok(destination) => destination,
        Err(error) => return Ok(Err(error)),
    };
    let mut adding = Adding { tx, id, destination, hidden: hidden_study(tx)?, series: HashMap::new() };
    for object in objects {
        let added = match object {
            NewCorrected::Moved { instance, series, uid, patch } => {
                let uid = uid.as_ref().map(|uid| uid.as_str());
                adding.shown(*instance, Some(series), Role::Moved, uid, patch.as_deref())?
            }
            NewCorrected::Hidden { instance } => adding.shown(*instance, None, Role::Hidden, None, None)?,
            NewCorrected::Written { uid } => adding.written(uid.as_str())?,
            NewCorrected::Filed(filed) => adding.filed(filed)?,
            NewCorrected::Discarded { quarantined } => adding.discarded(*quarantined)?,
        };
        if !added {
            return Ok(Err(CorrectionError::Taken(1)));
        }
    }
    Ok(Ok(()))
}

/// Objects are added to an operation.
pub(super) struct Adding<'t> {
    pub(super) tx: &'t Transaction<'t>,
    pub(super) id: i64,
    pub(super) destination: i64,
    pub(super) hidden: i64,
    /// Series of the operation by the series that they are made like, and their UID; nothing for a hidden one.
    series: HashMap<(i64, Option<String>), i64>,
}

/// An instance as it is before the operation.
struct Before {
    uid: String,
    series: i64,
    correction: Option<i64>,
    shown: Option<String>,
}

impl<'t> Adding<'t> {
    /// To an operation that has just begun.
    pub(super) fn of(tx: &'t Transaction<'t>, id: i64) -> Result<Self, DbError> {
        let destination = tx
            .prepare_cached("SELECT destination FROM corrections WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        Ok(Adding { tx, id, destination, hidden: hidden_study(tx)?, series: HashMap::new() })
    }

    /// To none: for what is to be hidden only.
    pub(super) fn hidden(tx: &'t Transaction<'t>) -> Result<Self, DbError> {
        let hidden = hidden_study(tx)?;
        Ok(Adding { tx, id: 0, destination: hidden, hidden, series: HashMap::new() })
    }

    /// An object that is here, and will be in another series: one of the destination, or a hidden one.
    pub(super) fn shown(
        &mut self,
        instance: i64,
        to: Option<&SeriesInstanceUid>,
        role: Role,
        uid: Option<&str>,
        patch: Option<&[u8]>,
    ) -> Result<bool, DbError> {
        let before = self
            .tx
            .prepare_cached(
                "SELECT i.uid, i.series, i.correction, ci.new_uid FROM instances i
                    LEFT JOIN correction_instances ci ON ci.correction = i.correction AND ci.instance = i.id
                 WHERE i.id = ?1",
            )?
            .query_row([instance], |row| {
                Ok(Before { uid: row.get(0)?, series: row.get(1)?, correction: row.get(2)?, shown: row.get(3)? })
            })
            .optional()?;
        let Some(before) = before else { return Ok(false) };
        let series = self.series(before.series, to)?;
        let uid = uid.or(before.shown.as_deref()).filter(|uid| *uid != before.uid);
        self.put(instance, role, before.series, Some(series), uid, before.correction, patch)?;
        // A place that goes without saying in the one series does not in the other.
        self.tx.prepare_cached(PLACE)?.execute(params![instance, before.series, series])?;
        Ok(true)
    }

    /// An object that will come; not if there is one of that UID.
    pub(super) fn written(&mut self, uid: &str) -> Result<bool, DbError> {
        if self.tx.prepare_cached("SELECT 1 FROM instances WHERE uid = ?1")?.exists([uid])? {
            return Ok(false);
        }
        let hidden = self.series_of(self.hidden, "", None)?;
        self.tx
            .prepare_cached("INSERT INTO awaited (uid, series, home) VALUES (?1, ?2, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![uid, hidden])?;
        let awaited: i64 =
            self.tx.prepare_cached("SELECT id FROM awaited WHERE uid = ?1")?.query_row([uid], |row| row.get(0))?;
        self.put(-awaited, Role::Written, hidden, None, None, None, None)?;
        Ok(true)
    }

    #[expect(clippy::too_many_arguments, reason = "the columns of the row")]
    pub(super) fn put(
        &self,
        instance: i64,
        role: Role,
        old: i64,
        new: Option<i64>,
        uid: Option<&str>,
        previous: Option<i64>,
        patch: Option<&[u8]>,
    ) -> Result<(), DbError> {
        self.tx
            .prepare_cached(
                "INSERT INTO correction_instances (correction, instance, role, old_series, new_series, new_uid, previous,
                    patch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET role = ?3, new_series = ?5, new_uid = ?6, patch = ?8",
            )?
            .execute(params![self.id, instance, role, old, new, uid, previous, patch])?;
        Ok(())
    }

    /// The series that objects of one series go to.
    pub(super) fn series(&mut self, old: i64, to: Option<&SeriesInstanceUid>) -> Result<i64, DbError> {
        let key = (old, to.map(|uid| uid.as_str().to_owned()));
        if let Some(id) = self.series.get(&key) {
            return Ok(*id);
        }
        let id = match to {
            Some(uid) => self.series_of(self.destination, uid.as_str(), Some(old))?,
            None => {
                let uid: String = self
                    .tx
                    .prepare_cached("SELECT uid FROM series WHERE id = ?1")?
                    .query_row([old], |row| row.get(0))?;
                self.series_of(self.hidden, &uid, Some(old))?
            }
        };
        self.series.insert(key, id);
        Ok(id)
    }

    /// The series of a UID in a study, made like another one, which may be none, where it is new.
    pub(super) fn series_of(&self, study: i64, uid: &str, like: Option<i64>) -> Result<i64, DbError> {
        let mut statement = self.tx.prepare_cached("SELECT id FROM series WHERE uid = ?1 AND study = ?2")?;
        if let Some(id) = statement.query_row(params![uid, study], |row| row.get(0)).optional()? {
            return Ok(id);
        }
        let id = match like {
            Some(like) => self
                .tx
                .prepare_cached(
                    "INSERT INTO series (study, uid, modality, number, description, series_date, series_time, body_part,
                        folder)
                     SELECT ?1, ?2, modality, number, description, series_date, series_time, body_part, folder
                     FROM series WHERE id = ?3",
                )?
                .insert(params![study, uid, like])?,
            None => self
                .tx
                .prepare_cached(
                    "INSERT INTO series (study, uid, modality, number, description, series_date, series_time, body_part)
                     VALUES (?1, ?2, '', '', '', '', '', '')",
                )?
                .insert(params![study, uid])?,
        };
        Ok(id)
    }
}

impl Adding<'_> {
    /// The series of a UID in a study, made of a header where it is new.
    pub(super) fn series_named(&self, study: i64, uid: &str, header: &Header) -> Result<i64, DbError> {
        let series = SeriesInstanceUid::new(uid);
        hierarchy::Hierarchy::default().series(self.tx, study, &series, header)
    }
}

fn remove(tx: &Transaction<'_>, id: i64) -> Result<Result<(), CorrectionError>, DbError> {
    if let Err(error) = staged(tx, id)? {
        return Ok(Err(error));
    }
    quarantined::give_back(tx, id)?;
    tx.prepare_cached("DELETE FROM correction_instances WHERE correction = ?1")?.execute([id])?;
    tx.prepare_cached(
        "DELETE FROM locks WHERE process <> '' AND process = (SELECT process FROM corrections WHERE id = ?1)",
    )?
    .execute([id])?;
    tx.prepare_cached("DELETE FROM corrections WHERE id = ?1")?.execute([id])?;
    Ok(Ok(()))
}

/// Says where an instance is that goes from one series to another of which it does not go without saying.
pub(super) const PLACE: &str =
    "UPDATE instances AS i SET place = (SELECT folder FROM series WHERE id = ?2) || '/' || i.uid || '.dcm'
    WHERE i.id = ?1 AND i.place IS NULL AND i.link_folder IS NULL
        AND (SELECT folder FROM series WHERE id = ?2) <> (SELECT folder FROM series WHERE id = ?3)";
