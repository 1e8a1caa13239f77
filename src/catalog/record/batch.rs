//! One batch inside its transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Row, Transaction, params};

use super::hierarchy::Hierarchy;
use super::names::{From, Names, text};
use super::tally::Tally;
use super::{Named, NewInstance, Outcome, Recorded, named, replace};
use crate::catalog::codes::signed;
use crate::catalog::corrections::awaited;
use crate::catalog::places::{Bytes, copy_bytes, digest_blob, instance_bytes, quarantine_bytes};
use crate::db::DbError;
use crate::failpoint;
use crate::store::{Destination, RelativePath};

/// Records a batch; for each object, what it became.
pub(super) fn record(tx: &Transaction<'_>, objects: &[NewInstance], now: i64) -> Result<Vec<Recorded>, DbError> {
    let mut batch = Batch {
        tx,
        now,
        names: Names::default(),
        hierarchy: Hierarchy::default(),
        tally: Tally::default(),
        receipts: HashMap::new(),
    };
    let recorded = objects.iter().map(|object| batch.object(object)).collect::<Result<Vec<_>, _>>()?;
    batch.hierarchy.write(tx)?;
    batch.tally.write(tx, now)?;
    failpoint!("record-written");
    Ok(recorded)
}

struct Batch<'a> {
    tx: &'a Transaction<'a>,
    now: i64,
    names: Names,
    hierarchy: Hierarchy,
    tally: Tally,
    /// The number of the next receipt, by study and source.
    receipts: HashMap<(i64, i64), i64>,
}

/// A row that stands where a new one was to be.
struct Standing {
    same_bytes: bool,
    same_place: bool,
    /// It came on the same association: the row is this very object, recorded before a crash.
    same_arrival: bool,
}

impl Batch<'_> {
    fn object(&mut self, object: &NewInstance) -> Result<Recorded, DbError> {
        let from = self.names.origin(self.tx, &object.receipt)?;
        match &object.destination {
            Destination::Image => self.image(object, from),
            Destination::Variant => self.variant(object, from),
            Destination::Collision => self.quarantine(object, from, None),
            Destination::Quarantine { reason } => self.quarantine(object, from, Some(reason)),
            Destination::Discard { .. } => self.repeated(object, from),
        }
    }

    fn image(&mut self, object: &NewInstance, from: From) -> Result<Recorded, DbError> {
        let (header, uid) = (&object.header, object.identity.instance.as_str());
        let study = self.hierarchy.study(self.tx, &object.identity.study)?;
        let series = self.hierarchy.series(self.tx, study, &object.identity.series, header)?;
        let class = self.names.uid(self.tx, object.identity.class.as_str())?;
        let syntax = self.names.uid(self.tx, object.transfer_syntax.as_str())?;
        if replace::instance(self.tx, object, syntax)?.is_some() {
            return self.repeated(object, from);
        }
        if named(self.tx, uid)?.is_some_and(|named| named.renamed) {
            return Ok(Recorded::Contested);
        }
        let awaited = awaited(self.tx, uid)?;
        let stands = self.names.stands(self.tx, &object.place)?;
        let usual = match stands.place {
            Some(place) if awaited.is_none() => self.hierarchy.is_usual(self.tx, series, place, uid)?,
            _ => false,
        };
        let inserted = self
            .tx
            .prepare_cached(
                "INSERT INTO instances (uid, series, class, transfer_syntax, number, rows, columns, frames, place,
                    length, file_size, digest, origin, at, link_folder, link_name, link_modified, home, correction)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                uid,
                awaited.map_or(series, |awaited| awaited.series),
                class,
                syntax,
                text(&header.instance_number),
                header.rows,
                header.columns,
                text(&header.number_of_frames),
                stands.place.filter(|_| !usual),
                signed(object.length),
                signed(object.file_size),
                digest_blob(object.digest.as_ref()),
                from.origin,
                self.now,
                stands.folder,
                stands.name,
                stands.modified,
                awaited.map(|awaited| awaited.home),
                awaited.and_then(|awaited| awaited.correction),
            ])?;
        if inserted == 1 {
            let id = self.tx.last_insert_rowid();
            match awaited {
                None => self.hierarchy.filed(self.tx, study, series, object.identity.class.as_str(), header)?,
                Some(awaited) => awaited.came(self.tx, id, series)?,
            }
            self.receipt(object, from, study, Outcome::New, Some(id))?;
            return Ok(Recorded::New);
        }
        let standing = self.standing_instance(object, from)?;
        if !(standing.same_bytes && standing.same_place) {
            return Ok(Recorded::Contested);
        }
        if standing.same_arrival { Ok(Recorded::Duplicate) } else { self.repeated(object, from) }
    }

    fn variant(&mut self, object: &NewInstance, from: From) -> Result<Recorded, DbError> {
        let Some(Named { instance, renamed, .. }) = named(self.tx, object.identity.instance.as_str())? else {
            return Ok(Recorded::Contested);
        };
        if renamed {
            return Ok(Recorded::Contested);
        }
        let study = self.hierarchy.study(self.tx, &object.identity.study)?;
        let series = self.hierarchy.series(self.tx, study, &object.identity.series, &object.header)?;
        let syntax = self.names.uid(self.tx, object.transfer_syntax.as_str())?;
        if replace::variant(self.tx, object, instance, syntax)? {
            self.receipt(object, from, study, Outcome::Duplicate, Some(instance))?;
            return Ok(Recorded::Duplicate);
        }
        let stands = self.names.stands(self.tx, &object.place)?;
        let inserted = self
            .tx
            .prepare_cached(
                "INSERT INTO copies (instance, series, transfer_syntax, place, length, file_size, digest, origin, at,
                    link_folder, link_name, link_modified)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                instance,
                series,
                syntax,
                stands.place,
                signed(object.length),
                signed(object.file_size),
                digest_blob(object.digest.as_ref()),
                from.origin,
                self.now,
                stands.folder,
                stands.name,
                stands.modified,
            ])?;
        if inserted == 1 {
            self.receipt(object, from, study, Outcome::Variant, Some(instance))?;
            return Ok(Recorded::Variant);
        }
        let standing = self.standing(COPY_AT, object, from)?;
        if !standing.same_bytes {
            return Ok(Recorded::Contested);
        }
        if !standing.same_arrival {
            self.receipt(object, from, study, Outcome::Duplicate, Some(instance))?;
        }
        Ok(Recorded::Duplicate)
    }

    /// `reason` is missing for a collision, which explains itself.
    fn quarantine(&mut self, object: &NewInstance, from: From, reason: Option<&String>) -> Result<Recorded, DbError> {
        let study = self.hierarchy.study(self.tx, &object.identity.study)?;
        let class = self.names.uid(self.tx, object.identity.class.as_str())?;
        let syntax = self.names.uid(self.tx, object.transfer_syntax.as_str())?;
        let inserted = self
            .tx
            .prepare_cached(
                "INSERT INTO quarantine (study, series_uid, uid, class, transfer_syntax, patient_id, patient_name,
                    study_date, reason, collision, place, length, file_size, digest, origin, at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                study,
                object.identity.series.as_str(),
                object.identity.instance.as_str(),
                class,
                syntax,
                text(&object.header.patient_id),
                text(&object.header.patient_name),
                text(&object.header.study_date),
                reason.map_or("", |reason| reason.as_str()),
                reason.is_none(),
                object.place.stored().map(RelativePath::as_str),
                signed(object.length),
                signed(object.file_size),
                digest_blob(object.digest.as_ref()),
                from.origin,
                self.now,
            ])?;
        let outcome = if reason.is_some() { Outcome::Quarantined } else { Outcome::Collision };
        let settled = "SELECT 1 FROM quarantine WHERE place = ?1 AND correction IS NOT NULL";
        let place = object.place.stored().map(RelativePath::as_str);
        if inserted == 0 && self.tx.prepare_cached(settled)?.exists([place])? {
            // A person has said what is to become of it.
            self.receipt(object, from, study, Outcome::AlreadyMoved, None)?;
            return Ok(Recorded::AlreadyMoved);
        }
        if inserted == 1 || !self.standing(QUARANTINED_AT, object, from)?.same_arrival {
            let named = named(self.tx, object.identity.instance.as_str())?;
            let instance = if reason.is_none() { named.map(|named| named.instance) } else { None };
            self.receipt(object, from, study, outcome, instance)?;
            if let Some(instance) = instance {
                self.hierarchy.collided(self.tx, study, instance)?;
            }
        }
        Ok(reason.map_or(Recorded::Collision, |reason| Recorded::Quarantined(reason.clone())))
    }

    /// An object whose values are filed already; it left no bytes of its own.
    fn repeated(&mut self, object: &NewInstance, from: From) -> Result<Recorded, DbError> {
        let Some(Named { instance, moved, .. }) = named(self.tx, object.identity.instance.as_str())? else {
            return Ok(Recorded::Contested);
        };
        let study = self.hierarchy.study(self.tx, &object.identity.study)?;
        let (outcome, recorded) = match moved {
            true => (Outcome::AlreadyMoved, Recorded::AlreadyMoved),
            false => (Outcome::Duplicate, Recorded::Duplicate),
        };
        self.receipt(object, from, study, outcome, Some(instance))?;
        Ok(recorded)
    }

    fn standing_instance(&self, object: &NewInstance, from: From) -> Result<Standing, DbError> {
        let mut statement = self.tx.prepare_cached(INSTANCE_OF)?;
        let row = statement.query_row([object.identity.instance.as_str()], standing_row)?;
        self.compare(row, object, from)
    }

    fn standing(&self, sql: &str, object: &NewInstance, from: From) -> Result<Standing, DbError> {
        let place = object.place.stored().map(RelativePath::as_str);
        let row = self.tx.prepare_cached(sql)?.query_row([place], standing_row)?;
        self.compare(row, object, from)
    }

    fn compare(&self, row: (Bytes, i64), object: &NewInstance, from: From) -> Result<Standing, DbError> {
        let (bytes, origin) = row;
        let same_arrival = origin == from.origin
            || self
                .tx
                .prepare_cached(
                    "SELECT 1 FROM origins a JOIN origins b USING (association, source, ae_title, address)
                     WHERE a.id = ?1 AND b.id = ?2",
                )?
                .exists([origin, from.origin])?;
        let same_place = bytes.place == object.place;
        // A file elsewhere that is what it was has the bytes that it had, known or not.
        let same_bytes = match (bytes.digest, object.digest) {
            (Some(one), Some(other)) => one == other,
            _ => same_place && bytes.place.linked().is_some(),
        };
        Ok(Standing { same_bytes, same_place, same_arrival })
    }

    /// Writes down that it arrived, and counts it for the item that it came for.
    fn receipt(
        &mut self,
        object: &NewInstance,
        from: From,
        study: i64,
        outcome: Outcome,
        instance: Option<i64>,
    ) -> Result<(), DbError> {
        let uid = object.identity.instance.as_str();
        let item = self.tally.item(self.tx, from.source, study, &object.identity.study)?;
        let counted = matches!(outcome, Outcome::Quarantined | Outcome::Collision)
            && item.is_some()
            && self.came_before(study, from.source, item, outcome, instance, uid)?;
        let n = match self.receipts.entry((study, from.source)) {
            Entry::Occupied(next) => next.into_mut(),
            Entry::Vacant(unknown) => {
                unknown.insert(self.tx.prepare_cached(NEXT_RECEIPT)?.query_row([study, from.source], |row| row.get(0))?)
            }
        };
        self.tx
            .prepare_cached(
                "INSERT INTO receipts (study, source, n, at, outcome, instance, uid, item, origin, length)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                study,
                from.source,
                *n,
                self.now,
                outcome,
                instance,
                instance.is_none().then_some(uid),
                item,
                from.origin,
                signed(object.length),
            ])?;
        *n += 1;
        if let Some(item) = item {
            self.tally.count(item, outcome, object.length, counted);
        }
        Ok(())
    }
}

impl Batch<'_> {
    /// Whether the same object was kept in quarantine for the item before: attempts shall not add up. Rare, so that
    /// looking through the receipts of the study does not matter.
    fn came_before(
        &self,
        study: i64,
        source: i64,
        item: Option<i64>,
        outcome: Outcome,
        instance: Option<i64>,
        uid: &str,
    ) -> Result<bool, DbError> {
        Ok(self
            .tx
            .prepare_cached(
                "SELECT 1 FROM receipts WHERE study = ?1 AND source = ?2 AND item IS ?3 AND outcome = ?4
                    AND (instance = ?5 OR uid = ?6)",
            )?
            .exists(params![study, source, item, outcome, instance, uid])?)
    }
}

pub(in crate::catalog) const NEXT_RECEIPT: &str =
    "SELECT coalesce(max(n), 0) + 1 FROM receipts WHERE study = ?1 AND source = ?2";
const INSTANCE_OF: &str = concat!(
    "SELECT ",
    instance_bytes!(),
    ", i.origin FROM instances i CROSS JOIN series se ON se.id = i.series
     LEFT JOIN folders f ON f.id = i.link_folder WHERE i.uid = ?1"
);
const COPY_AT: &str = concat!(
    "SELECT ",
    copy_bytes!(),
    ", c.origin FROM copies c LEFT JOIN folders f ON f.id = c.link_folder WHERE c.place = ?1"
);
const QUARANTINED_AT: &str = concat!("SELECT ", quarantine_bytes!(), ", q.origin FROM quarantine q WHERE q.place = ?1");

fn standing_row(row: &Row<'_>) -> rusqlite::Result<(Bytes, i64)> {
    Ok((Bytes::read(row, 0)?, row.get(Bytes::COLUMNS)?))
}
