//! Items from outside a lease: listed, looked at, tried again, taken out.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};

use super::checkpoints::close_open;
use super::codes::{capped, now, unsigned};
use super::{Catalog, CatalogError, Item, ItemCounts, ItemState, ListedStudy, Reason, Retry};
use crate::db::DbError;
use crate::dicom::{Date, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// The longest text of a source that is kept, in characters.
pub(super) const LONGEST_TEXT: usize = 1024;

/// Rows of a source's answers kept as evidence, for one item.
const OTHER_ROWS: i64 = 16;

/// Items changed at once by what an operator asks for, so that others get their turn.
const CHUNK: usize = 2000;

/// The columns that [`item_of`] reads.
pub(super) const COLUMNS: &str = "id, job, study_uid, study_date, study_date_raw, study_time, patient_id, issuer, \
    patient_name, accession_number, description, modalities, instances, state, attempt, fence, first_pulled, changed, \
    due, missing, conflict, evidence, reason, detail, listing_digest, listed, filed, duplicate, variant, collision, \
    quarantined, bytes, rank";

pub(super) fn item_of(row: &Row<'_>) -> rusqlite::Result<Item> {
    Ok(Item {
        id: row.get(0)?,
        job: row.get(1)?,
        study: ListedStudy {
            study_uid: StudyInstanceUid::new(row.get_ref(2)?.as_str()?),
            study_date: Date::parse(row.get_ref(3)?.as_str()?).ok(),
            study_date_raw: row.get(4)?,
            study_time: row.get(5)?,
            patient_id: row.get(6)?,
            issuer: row.get(7)?,
            patient_name: row.get(8)?,
            accession_number: row.get(9)?,
            description: row.get(10)?,
            modalities: row.get(11)?,
            instances: row.get(12)?,
        },
        state: row.get(13)?,
        attempt: row.get(14)?,
        fence: row.get(15)?,
        first_pulled: row.get(16)?,
        changed: row.get(17)?,
        due: row.get(18)?,
        missing: row.get(19)?,
        conflict: row.get(20)?,
        evidence: row.get(21)?,
        reason: row.get(22)?,
        detail: row.get(23)?,
        listing_digest: row.get(24)?,
        counts: ItemCounts {
            listed: row.get(25)?,
            filed: row.get(26)?,
            duplicate: row.get(27)?,
            variant: row.get(28)?,
            collision: row.get(29)?,
            quarantined: row.get(30)?,
            bytes: unsigned(row.get(31)?),
        },
        rank: row.get(32)?,
    })
}

/// The order of claiming as a number: the newest first, those without a date last, by time within the day.
fn rank(study: &ListedStudy) -> i64 {
    let day: i64 = study.study_date.and_then(|day| day.to_string().parse().ok()).unwrap_or(0);
    let mut time = 0;
    // HHMMSS.FFFF; what is missing or malformed counts as zero, and ':' of old dates is passed over.
    let mut digits = study.study_time.bytes().filter(|b| *b != b':' && *b != b'.');
    for _ in 0..10 {
        let digit = digits.next().filter(u8::is_ascii_digit).map_or(0, |b| i64::from(b - b'0'));
        time = time * 10 + digit;
    }
    -(day * 10_000_000_000 + time)
}

fn json_of(study: &ListedStudy) -> Value {
    json!({
        "date": study.study_date_raw, "time": study.study_time, "patient_id": study.patient_id, "issuer": study.issuer,
        "name": study.patient_name, "accession": study.accession_number, "description": study.description,
        "modalities": study.modalities, "instances": study.instances,
    })
}

fn study_of(uid: &StudyInstanceUid, text: &str) -> ListedStudy {
    let value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let field = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    ListedStudy {
        study_date: Date::parse(&field("date")).ok(),
        study_date_raw: field("date"),
        study_time: field("time"),
        patient_id: field("patient_id"),
        issuer: field("issuer"),
        patient_name: field("name"),
        accession_number: field("accession"),
        description: field("description"),
        modalities: field("modalities"),
        instances: value.get("instances").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()),
        ..ListedStudy::of(uid.clone())
    }
}

/// Adds a row; whether there is something new to do.
pub(super) fn add(tx: &Transaction<'_>, job: i64, study: &ListedStudy, now: i64) -> Result<bool, DbError> {
    let text = |value: &'_ str| capped(value, LONGEST_TEXT).to_owned();
    let added = tx
        .prepare_cached(
            "INSERT INTO items (job, study_uid, rank, state, changed, study_date, study_date_raw, study_time, patient_id,
                issuer, patient_name, accession_number, description, modalities, instances, listed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, coalesce(?15, 0))
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            job,
            study.study_uid.as_str(),
            rank(study),
            ItemState::Listed,
            now,
            study.study_date.map(|day| day.to_string()).unwrap_or_default(),
            text(&study.study_date_raw),
            text(&study.study_time),
            text(&study.patient_id),
            text(&study.issuer),
            text(&study.patient_name),
            text(&study.accession_number),
            text(&study.description),
            text(&study.modalities),
            study.instances,
        ])?;
    if added == 1 { Ok(true) } else { seen_again(tx, job, study, now) }
}

/// A study that is an item already was listed again.
fn seen_again(tx: &Transaction<'_>, job: i64, study: &ListedStudy, now: i64) -> Result<bool, DbError> {
    let known = tx
        .prepare_cached(&format!("SELECT {COLUMNS} FROM items WHERE study_uid = ?1 AND job = ?2"))?
        .query_row(params![study.study_uid.as_str(), job], item_of)?;
    let (old, new) = (json_of(&known.study), json_of(study));
    if old != new {
        tx.prepare_cached(
            "INSERT INTO item_rows (item, n, row)
             SELECT ?1, count(*), ?2 FROM item_rows WHERE item = ?1 HAVING count(*) < ?3
                AND NOT EXISTS (SELECT 1 FROM item_rows WHERE item = ?1 AND row = ?2)",
        )?
        .execute(params![known.id, new.to_string(), OTHER_ROWS])?;
    }
    let conflict = known.study.patient_id != study.patient_id || known.study.issuer != study.issuer;
    if conflict && !known.conflict {
        tx.prepare_cached("UPDATE items SET conflict = 1 WHERE id = ?1")?.execute([known.id])?;
    }
    // Only a number greater than every earlier one tells of something new: some sources always tell a wrong one.
    if study.instances <= known.study.instances {
        return Ok(false);
    }
    let grown = known.state == ItemState::Proven && study.instances > Some(known.counts.listed);
    let state = if grown { ItemState::Listed } else { known.state };
    let listed = if state == ItemState::Listed { study.instances } else { None };
    tx.prepare_cached(
        "UPDATE items SET instances = ?2, listed = coalesce(?3, listed),
            state = CASE WHEN ?4 THEN 0 ELSE state END, attempt = CASE WHEN ?4 THEN 0 ELSE attempt END,
            evidence = CASE WHEN ?4 THEN NULL ELSE evidence END, changed = CASE WHEN ?4 THEN ?5 ELSE changed END
         WHERE id = ?1",
    )?
    .execute(params![known.id, study.instances, listed, grown, now])?;
    Ok(grown)
}

impl Catalog {
    /// Adds what a source listed and says how many items are new. A study that is an item already stays one; a row
    /// that differs is kept as evidence, and one with another patient marks the item. A proven study that has more
    /// instances than the source ever said is listed again and counts as new.
    pub async fn add_studies(&self, job: i64, studies: Vec<ListedStudy>) -> Result<usize, CatalogError> {
        let mut new = 0;
        let mut studies = studies.into_iter().peekable();
        while studies.peek().is_some() {
            let chunk: Vec<_> = studies.by_ref().take(CHUNK).collect();
            new += self
                .write(move |tx| {
                    let now = now();
                    let mut new = 0;
                    for study in &chunk {
                        new += usize::from(add(tx, job, study, now)?);
                    }
                    Ok(new)
                })
                .await?;
        }
        Ok(new)
    }

    /// The instances that the last comparison missed.
    pub async fn missing_of(&self, item: i64) -> Result<Vec<(SeriesInstanceUid, SopInstanceUid)>, CatalogError> {
        self.read(move |c| {
            let mut statement =
                c.prepare_cached("SELECT series_uid, uid FROM missing WHERE item = ?1 ORDER BY series_uid, uid")?;
            let pair = |row: &Row<'_>| {
                Ok((SeriesInstanceUid::new(row.get_ref(0)?.as_str()?), SopInstanceUid::new(row.get_ref(1)?.as_str()?)))
            };
            Ok(statement.query_map([item], pair)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The item of a study in a job.
    pub async fn item_of_study(&self, job: i64, study: &StudyInstanceUid) -> Result<Option<Item>, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let sql = format!("SELECT {COLUMNS} FROM items WHERE study_uid = ?1 AND job = ?2");
            Ok(c.prepare_cached(&sql)?.query_row(params![study.as_str(), job], item_of).optional()?)
        })
        .await
    }

    /// The item of that number.
    pub async fn item(&self, id: i64) -> Result<Option<Item>, CatalogError> {
        self.read(move |c| {
            let sql = format!("SELECT {COLUMNS} FROM items WHERE id = ?1");
            Ok(c.prepare_cached(&sql)?.query_row([id], item_of).optional()?)
        })
        .await
    }

    /// The rows of the source's answers about an item that differ from the one it was made of.
    pub async fn other_rows(&self, item: i64) -> Result<Vec<ListedStudy>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached(
                "SELECT i.study_uid, r.row FROM item_rows r JOIN items i ON i.id = r.item WHERE r.item = ?1 ORDER BY r.n",
            )?;
            let study = |row: &Row<'_>| {
                Ok(study_of(&StudyInstanceUid::new(row.get_ref(0)?.as_str()?), row.get_ref(1)?.as_str()?))
            };
            Ok(statement.query_map([item], study)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Lists partial and failed items again, with no attempts spent; says how many.
    pub async fn retry_items(&self, job: i64, which: Retry) -> Result<usize, CatalogError> {
        let (condition, study, reason) = match which {
            Retry::All => ("state IN (5, 6) AND ?2 IS ?3", None, None),
            Retry::Reason(reason) => ("state IN (5, 6) AND ?2 IS NULL AND reason = ?3", None, Some(reason)),
            Retry::Study(uid) => ("state IN (5, 6, 7) AND study_uid = ?2 AND ?3 IS NULL", Some(uid), None),
        };
        let mut changed = 0;
        loop {
            let (study, reason) = (study.clone(), reason);
            let chunk = self
                .write(move |tx| {
                    let sql = format!(
                        "UPDATE items SET state = 0, attempt = 0, due = NULL, evidence = NULL, reason = NULL, detail = '', changed = ?4
                         WHERE id IN (SELECT id FROM items WHERE job = ?1 AND {condition} LIMIT ?5)"
                    );
                    let study = study.as_ref().map(|uid| uid.as_str());
                    let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
                    Ok(tx.prepare_cached(&sql)?.execute(params![job, study, reason, now(), limit])?)
                })
                .await?;
            changed += chunk;
            if chunk < CHUNK {
                return Ok(changed);
            }
        }
    }

    /// Takes a study that is not finished out of the job; `false` when there is no such item. Whoever works on it
    /// loses its lease.
    pub async fn exclude(&self, job: i64, study: &StudyInstanceUid, why: &str) -> Result<bool, CatalogError> {
        let (study, why) = (study.clone(), capped(why, LONGEST_TEXT).to_owned());
        self.write(move |tx| {
            let now = now();
            let item: Option<i64> = tx
                .prepare_cached(
                    "UPDATE items SET state = ?3, owner = NULL, due = NULL, reason = ?4, detail = ?5, changed = ?6
                     WHERE study_uid = ?2 AND job = ?1 AND state IN (0, 1, 2, 3, 5, 6, 9) RETURNING id",
                )?
                .query_row(
                    params![job, study.as_str(), ItemState::Excluded, Reason::ExcludedByOperator, why, now],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(item) = item {
                close_open(tx, item, "cancelled", now)?;
            }
            Ok(item.is_some())
        })
        .await
    }

    /// Gives up everything of the job that is pending; says how many items that were.
    pub async fn cancel_items(&self, job: i64) -> Result<usize, CatalogError> {
        let mut changed = 0;
        loop {
            let chunk = self
                .write(move |tx| {
                    let now = now();
                    let mut statement = tx.prepare_cached(
                        "UPDATE items SET state = ?2, owner = NULL, due = NULL, changed = ?3
                         WHERE id IN (SELECT id FROM items WHERE job = ?1 AND state IN (0, 1, 2, 3, 9) LIMIT ?4) RETURNING id",
                    )?;
                    let limit = i64::try_from(CHUNK).unwrap_or(i64::MAX);
                    let items: Vec<i64> = statement
                        .query_map(params![job, ItemState::Cancelled, now, limit], |row| row.get(0))?
                        .collect::<Result<_, _>>()?;
                    items.iter().try_for_each(|item| close_open(tx, *item, "cancelled", now))?;
                    Ok(items.len())
                })
                .await?;
            changed += chunk;
            if chunk < CHUNK {
                return Ok(changed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_newest_first_and_undated_last() {
        let at = |date: &str, time: &str| {
            rank(&ListedStudy {
                study_date: Date::parse(date).ok(),
                study_time: time.into(),
                ..ListedStudy::of(StudyInstanceUid::new("1.2"))
            })
        };
        let order = [
            at("99991231", "235959.999999"),
            at("20210102", ""),
            at("20210101", "235959.5"),
            at("20210101", "235959"),
            at("20210101", "10:00:00"),
            at("20210101", "0959"),
            at("20210101", "garbage"),
            at("18000101", "000000"),
            at("", "120000"),
            at("never", ""),
        ];
        assert!(order.is_sorted(), "{order:?}");
        assert!(order[0] > i64::MIN / 2);
    }
}
