//! What an operation does to objects in quarantine: they are filed where a person says, or taken out of sight. Their bytes
//! stay where they are.

use rusqlite::{OptionalExtension, Transaction, params};

use super::counts;
use super::stage::Adding;
use super::{NewFiled, Role};
use crate::catalog::record::names::text;
use crate::db::DbError;

/// Where the numbers of instances begin, downwards, that an undone operation had filed: nothing is awaited there.
const GONE: i64 = -(1 << 40);

impl Adding<'_> {
    /// It is an instance from now on, which nobody sees; not where it is not in quarantine any more, or another one has
    /// its UID.
    pub(super) fn filed(&mut self, filed: &NewFiled) -> Result<bool, DbError> {
        let uid = filed.instance.as_str();
        if self.tx.prepare_cached("SELECT 1 FROM instances WHERE uid = ?1")?.exists([uid])? {
            return Ok(false);
        }
        if !self.discarded(filed.quarantined)? {
            return Ok(false);
        }
        let header = &filed.header;
        let hidden = self.series_of(self.hidden, "", None)?;
        let series = self.series_named(self.destination, filed.series.as_str(), header)?;
        let instance = self
            .tx
            .prepare_cached(
                "INSERT INTO instances (uid, series, class, transfer_syntax, number, rows, columns, frames, place, length,
                    file_size, digest, origin, at, home)
                 SELECT ?2, ?3, class, transfer_syntax, ?4, ?5, ?6, ?7, place, length, file_size, digest, origin, at, ?3
                 FROM quarantine WHERE id = ?1",
            )?
            .insert(params![
                filed.quarantined,
                uid,
                hidden,
                text(&header.instance_number),
                header.rows,
                header.columns,
                text(&header.number_of_frames)
            ])?;
        self.put(instance, Role::Filed, hidden, Some(series), None, None, filed.patch.as_deref())?;
        Ok(true)
    }

    /// It is seen in quarantine no more; not where it is not seen already.
    pub(super) fn discarded(&self, quarantined: i64) -> Result<bool, DbError> {
        let sql = "UPDATE quarantine SET correction = ?2 WHERE id = ?1 AND correction IS NULL";
        Ok(self.tx.prepare_cached(sql)?.execute([quarantined, self.id])? == 1)
    }
}

/// Takes back what an operation has done, whose instances are shown nowhere: all is in quarantine again.
pub(super) fn give_back(tx: &Transaction<'_>, id: i64) -> Result<(), DbError> {
    let filed: Vec<i64> = tx
        .prepare_cached(
            "SELECT instance FROM correction_instances WHERE correction = ?1 AND role = 3 AND instance > 0",
        )?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for instance in filed {
        // Their numbers may come to be other ones'.
        let uid: String = tx
            .prepare_cached("DELETE FROM instances WHERE id = ?1 RETURNING uid")?
            .query_row([instance], |row| row.get(0))?;
        tx.prepare_cached(
            "UPDATE receipts SET instance = NULL, uid = ?2 WHERE instance = ?1
                AND study = (SELECT destination FROM corrections WHERE id = ?3)",
        )?
        .execute(params![instance, uid, id])?;
        tx.prepare_cached("UPDATE correction_instances SET instance = ?2 WHERE instance = ?1")?
            .execute([instance, GONE - instance])?;
    }
    tx.prepare_cached("UPDATE quarantine SET correction = NULL WHERE correction = ?1")?.execute([id])?;
    Ok(())
}

/// The object of that digest and UID in quarantine.
pub(super) fn find(tx: &Transaction<'_>, digest: &[u8], uid: &str) -> Result<Option<i64>, DbError> {
    let mut statement =
        tx.prepare_cached("SELECT id FROM quarantine WHERE uid = ?1 AND digest = ?2 AND correction IS NULL")?;
    Ok(statement.query_row(params![uid, digest], |row| row.get(0)).optional()?)
}

/// Lets an object that an operation has written be shown nowhere, as before its flip.
pub(super) fn hide(tx: &Transaction<'_>, instance: i64, hidden: i64) -> Result<i64, DbError> {
    let proper: i64 =
        tx.prepare_cached("SELECT series FROM instances WHERE id = ?1")?.query_row([instance], |row| row.get(0))?;
    tx.prepare_cached(super::stage::PLACE)?.execute([instance, proper, hidden])?;
    tx.prepare_cached("UPDATE instances SET series = ?2, home = ?2 WHERE id = ?1")?.execute([instance, hidden])?;
    counts::one(tx, proper, -1)?;
    Ok(proper)
}
