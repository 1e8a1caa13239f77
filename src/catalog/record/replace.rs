//! Rows that change where they say that their bytes are: what stood there is gone, or has been copied.

use rusqlite::{OptionalExtension, Transaction, params};

use super::NewInstance;
use super::names::Names;
use crate::catalog::codes::signed;
use crate::catalog::places::{Bytes, copy_bytes, digest_blob, instance_bytes};
use crate::db::DbError;
use crate::dicom::SopInstanceUid;
use crate::store::{Digest, Place};

/// Points the row of the object's instance to where the object is now, if the row still says what the object replaces;
/// the instance if so.
pub(super) fn instance(tx: &Transaction<'_>, object: &NewInstance, syntax: i64) -> Result<Option<i64>, DbError> {
    let Some(replaced) = &object.replaces else { return Ok(None) };
    let row = tx
        .prepare_cached(INSTANCE)?
        .query_row([object.identity.instance.as_str()], |row| Ok((Bytes::read(row, 0)?, row.get(Bytes::COLUMNS)?)))
        .optional()?;
    let Some((bytes, id)) = row else { return Ok(None) };
    if bytes.place != *replaced || !may_replace(&bytes, object) {
        return Ok(None);
    }
    point(tx, "instances", id, object, syntax)?;
    Ok(Some(id))
}

/// The same for a variant of an instance; whether it is so.
pub(super) fn variant(tx: &Transaction<'_>, object: &NewInstance, instance: i64, syntax: i64) -> Result<bool, DbError> {
    let Some(replaced) = &object.replaces else { return Ok(false) };
    let mut statement = tx.prepare_cached(VARIANTS)?;
    let rows = statement.query_map([instance], |row| Ok((Bytes::read(row, 0)?, row.get(Bytes::COLUMNS)?)))?;
    for row in rows {
        let (bytes, id) = row?;
        if bytes.place == *replaced && may_replace(&bytes, object) {
            point(tx, "copies", id, object, syntax)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Remembers a digest of what is filed under a UID at a place, where none is known.
pub(super) fn learn(tx: &Transaction<'_>, uid: &SopInstanceUid, place: &Place, digest: Digest) -> Result<(), DbError> {
    for (sql, table) in [(INSTANCE, "instances"), (VARIANTS_OF, "copies")] {
        let mut statement = tx.prepare_cached(sql)?;
        let rows = statement
            .query_map([uid.as_str()], |row| Ok((Bytes::read(row, 0)?, row.get::<_, i64>(Bytes::COLUMNS)?)))?;
        for row in rows {
            let (bytes, id) = row?;
            if bytes.place == *place && bytes.digest.is_none() {
                tx.prepare_cached(&format!("UPDATE {table} SET digest = ?2 WHERE id = ?1"))?
                    .execute(params![id, digest.as_bytes()])?;
            }
        }
    }
    Ok(())
}

/// Bytes that are known give way only to the same ones.
fn may_replace(bytes: &Bytes, object: &NewInstance) -> bool {
    bytes.digest.is_none() || bytes.digest == object.digest
}

fn point(tx: &Transaction<'_>, table: &str, id: i64, object: &NewInstance, syntax: i64) -> Result<(), DbError> {
    let stands = Names::default().stands(tx, &object.place)?;
    tx.prepare_cached(&format!(
        "UPDATE {table} SET place = ?2, link_folder = ?3, link_name = ?4, link_modified = ?5, length = ?6,
            file_size = ?7, digest = ?8, transfer_syntax = ?9 WHERE id = ?1"
    ))?
    .execute(params![
        id,
        stands.place,
        stands.folder,
        stands.name,
        stands.modified,
        signed(object.length),
        signed(object.file_size),
        digest_blob(object.digest.as_ref()),
        syntax,
    ])?;
    Ok(())
}

const INSTANCE: &str = concat!(
    "SELECT ",
    instance_bytes!(),
    ", i.id FROM instances i CROSS JOIN series se ON se.id = i.series
     LEFT JOIN folders f ON f.id = i.link_folder WHERE i.uid = ?1"
);
const VARIANTS_OF: &str = concat!(
    "SELECT ",
    copy_bytes!(),
    ", c.id FROM instances i CROSS JOIN copies c ON c.instance = i.id
     LEFT JOIN folders f ON f.id = c.link_folder WHERE i.uid = ?1"
);
const VARIANTS: &str = concat!(
    "SELECT ",
    copy_bytes!(),
    ", c.id FROM copies c LEFT JOIN folders f ON f.id = c.link_folder WHERE c.instance = ?1"
);
