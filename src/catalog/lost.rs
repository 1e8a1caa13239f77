//! Files that turned out to be gone or damaged: what was filed in them counts no more (I1), and the studies that it
//! belonged to are proven no more.

use rusqlite::{OptionalExtension, Transaction, params};

use super::codes::{capped, now, signed};
use super::corrections::{Awaited, counts};
use super::items::LONGEST_TEXT;
use super::places::{Bytes, copy_bytes, digest_blob, instance_bytes};
use super::{Catalog, CatalogError, FileRole, ItemState, KnownFile, Reason};
use crate::db::DbError;
use crate::store::SetAside;

/// What the loss of a file means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The instance is not filed any more; the jobs in which its study is proven no more.
    Instance(Vec<i64>),
    /// A variant of the instance is what is filed under its UID now.
    Replaced,
    /// A variant, or an object in quarantine, is no more.
    Beside,
    /// The catalog has changed since it was looked at: nothing was written.
    Changed,
}

/// The instance of a lost file, as it stands in the catalog: it is shown in `series`, the rest is where it was filed.
struct Instance {
    id: i64,
    uid: String,
    series: i64,
    series_uid: String,
    study: i64,
    study_uid: String,
    home: i64,
}

impl Catalog {
    /// Forgets a file that is gone, or whose bytes were set aside. An instance that has a variant is replaced by it; any
    /// other is counted no more, and every study that was proven with it is short by one, for the reason in `why`.
    pub async fn lose(&self, file: KnownFile, aside: Option<SetAside>, why: &str) -> Result<Lost, CatalogError> {
        let why = capped(why, LONGEST_TEXT * 4).to_owned();
        self.write(move |tx| {
            let now = now();
            match file.role {
                FileRole::Instance => instance(tx, &file, aside.as_ref(), &why, now),
                FileRole::Variant => variant(tx, &file, aside.as_ref(), &why, now),
                FileRole::Quarantined => quarantined(tx, &file),
            }
        })
        .await
    }
}

/// Its place in the storage folder, where everything that is in quarantine is.
fn stored(file: &KnownFile) -> &str {
    file.place.stored().map_or("", |place| place.as_str())
}

/// Whether a row still says of its bytes what it said when they were looked at.
fn is_of(bytes: &Bytes, file: &KnownFile) -> bool {
    bytes.place == file.place && bytes.digest == file.digest
}

fn instance(
    tx: &Transaction<'_>,
    file: &KnownFile,
    aside: Option<&SetAside>,
    why: &str,
    now: i64,
) -> Result<Lost, DbError> {
    let found = tx
        .prepare_cached(INSTANCE)?
        .query_row([file.instance.as_str()], |row| {
            let lost = Instance {
                id: row.get(Bytes::COLUMNS)?,
                uid: row.get(Bytes::COLUMNS + 1)?,
                series: row.get(Bytes::COLUMNS + 2)?,
                series_uid: row.get(Bytes::COLUMNS + 3)?,
                study: row.get(Bytes::COLUMNS + 4)?,
                study_uid: row.get(Bytes::COLUMNS + 5)?,
                home: row.get(Bytes::COLUMNS + 6)?,
            };
            Ok((Bytes::read(row, 0)?, lost))
        })
        .optional()?;
    let Some((_, lost)) = found.filter(|(bytes, _)| is_of(bytes, file)) else { return Ok(Lost::Changed) };
    if let Some(aside) = aside {
        keep(tx, file, lost.id, lost.home, aside, why, now)?;
    }
    let variant: Option<(i64, i64)> = tx
        .prepare_cached("SELECT id, series FROM copies WHERE instance = ?1 ORDER BY id LIMIT 1")?
        .query_row([lost.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((variant, series)) = variant {
        replace(tx, &lost, variant, series)?;
        return Ok(Lost::Replaced);
    }
    // One that was moved goes where it was when it comes again.
    Awaited::lost(tx, lost.id)?;
    // Rows that name it name its UID from now on: its number may come to be another one's.
    tx.prepare_cached(
        "UPDATE receipts SET instance = NULL, uid = ?2 WHERE instance = ?1
            AND study IN (SELECT ?3 UNION SELECT study FROM quarantine WHERE uid = ?2)",
    )?
    .execute(params![lost.id, lost.uid, lost.study])?;
    tx.prepare_cached("DELETE FROM instances WHERE id = ?1")?.execute([lost.id])?;
    counts::one(tx, lost.series, -1)?;
    Ok(Lost::Instance(reopen(tx, &lost, why, now)?))
}

/// A variant takes the place of its instance.
fn replace(tx: &Transaction<'_>, lost: &Instance, variant: i64, series: i64) -> Result<(), DbError> {
    // First of all it is no link any more, in the study in which it was one.
    tx.prepare_cached("UPDATE instances SET link_folder = NULL WHERE id = ?1")?.execute([lost.id])?;
    tx.prepare_cached(
        "UPDATE instances SET (series, transfer_syntax, place, length, file_size, digest, origin, at,
                link_folder, link_name, link_modified) =
            (SELECT iif(instances.home IS NULL, copies.series, instances.series), transfer_syntax, place, length, file_size, digest, origin, at,
                link_folder, link_name, link_modified FROM copies WHERE id = ?2)
         WHERE id = ?1",
    )?
    .execute([lost.id, variant])?;
    tx.prepare_cached("DELETE FROM copies WHERE id = ?1")?.execute([variant])?;
    // What was moved stays where it was moved to.
    if series != lost.series && lost.home == lost.series {
        counts::one(tx, lost.series, -1)?;
        counts::one(tx, series, 1)?;
    }
    Ok(())
}

/// The study is not proven any more, in whatever job it was. One that is being worked on will be compared anyhow.
fn reopen(tx: &Transaction<'_>, lost: &Instance, why: &str, now: i64) -> Result<Vec<i64>, DbError> {
    let left: i64 =
        tx.prepare_cached("SELECT instances FROM studies WHERE id = ?1")?.query_row([lost.study], |row| row.get(0))?;
    let state = if left > 0 || lost.home != lost.series { ItemState::Partial } else { ItemState::Failed };
    let items: Vec<(i64, i64)> = tx
        .prepare_cached("SELECT job, id FROM items WHERE study_uid = ?1 AND state IN (4, 5, 6) ORDER BY job")?
        .query_map([&lost.study_uid], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (job, item) in &items {
        tx.prepare_cached(
            "UPDATE items SET filed = max(filed - 1, 0), missing = missing + 1, state = ?2, evidence = NULL, changed = ?5,
                reason = CASE WHEN state = 4 THEN ?3 ELSE reason END, detail = CASE WHEN state = 4 THEN ?4 ELSE detail END
             WHERE id = ?1",
        )?
        .execute(params![item, state, Reason::FileLost, format!("{why}; `pacsferry job {job} retry` pulls it again"), now])?;
        tx.prepare_cached("INSERT INTO missing (item, uid, series_uid) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
            .execute(params![item, lost.uid, lost.series_uid])?;
    }
    Ok(items.into_iter().map(|(job, _)| job).collect())
}

fn variant(
    tx: &Transaction<'_>,
    file: &KnownFile,
    aside: Option<&SetAside>,
    why: &str,
    now: i64,
) -> Result<Lost, DbError> {
    let found = tx
        .prepare_cached(VARIANTS)?
        .query_map([file.instance.as_str()], |row| {
            let at = Bytes::COLUMNS;
            Ok((Bytes::read(row, 0)?, (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?)))
        })?
        .collect::<Result<Vec<(Bytes, (i64, i64, i64))>, _>>()?;
    let found = found.into_iter().find(|(bytes, _)| is_of(bytes, file));
    let Some((_, (id, instance, series))) = found else { return Ok(Lost::Changed) };
    if let Some(aside) = aside {
        keep(tx, file, instance, series, aside, why, now)?;
    }
    tx.prepare_cached("DELETE FROM copies WHERE id = ?1")?.execute([id])?;
    Ok(Lost::Beside)
}

/// What was in quarantine and is gone may come again: its arrival counts no more. A collision stays told, since what is
/// filed under its UID would look like all that there ever was.
fn quarantined(tx: &Transaction<'_>, file: &KnownFile) -> Result<Lost, DbError> {
    let study: Option<i64> = tx
        .prepare_cached("DELETE FROM quarantine WHERE place = ?1 AND digest = ?2 AND collision = 0 RETURNING study")?
        .query_row(params![stored(file), digest_blob(file.digest.as_ref())], |row| row.get(0))
        .optional()?;
    let Some(study) = study else { return Ok(Lost::Changed) };
    tx.prepare_cached("DELETE FROM receipts WHERE study = ?1 AND outcome = 5 AND uid = ?2")?
        .execute(params![study, file.instance.as_str()])?;
    Ok(Lost::Beside)
}

/// The row of bytes that were set aside.
fn keep(
    tx: &Transaction<'_>,
    file: &KnownFile,
    instance: i64,
    series: i64,
    aside: &SetAside,
    why: &str,
    now: i64,
) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO quarantine (study, series_uid, uid, class, transfer_syntax, patient_id, patient_name, study_date,
            reason, collision, place, length, file_size, digest, origin, at)
         SELECT st.id, se.uid, ?3, i.class, i.transfer_syntax, coalesce(p.patient_id, ''), coalesce(p.name, ''),
            st.study_date, ?4, 0, ?5, ?6, ?7, ?8, i.origin, ?9
         FROM instances i CROSS JOIN series se CROSS JOIN studies st ON st.id = se.study
            LEFT JOIN patients p ON p.id = st.patient
         WHERE i.id = ?1 AND se.id = ?2 ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        instance,
        series,
        file.instance.as_str(),
        why,
        aside.place().as_str(),
        signed(aside.length()),
        signed(aside.file_size()),
        aside.digest().as_bytes(),
        now,
    ])?;
    Ok(())
}

const INSTANCE: &str = concat!(
    "SELECT ",
    instance_bytes!(),
    ", i.id, i.uid, i.series, h.uid, h.study, hs.uid, h.id
     FROM instances i CROSS JOIN series se ON se.id = i.series
        CROSS JOIN series h ON h.id = coalesce(i.home, i.series) CROSS JOIN studies hs ON hs.id = h.study
        LEFT JOIN folders f ON f.id = i.link_folder
     WHERE i.uid = ?1"
);
const VARIANTS: &str = concat!(
    "SELECT ",
    copy_bytes!(),
    ", c.id, c.instance, c.series
     FROM instances i CROSS JOIN copies c ON c.instance = i.id LEFT JOIN folders f ON f.id = c.link_folder
     WHERE i.uid = ?1"
);
