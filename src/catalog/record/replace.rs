//! Rows that change where they say that their bytes are: what stood there is gone, or has been copied.

use rusqlite::{OptionalExtension, Transaction, params};

use super::NewInstance;
use super::names::Names;
use crate::catalog::codes::signed;
use crate::catalog::places::{Bytes, copy_bytes, digest_blob, instance_bytes};
use crate::db::DbError;
use crate::dicom::SopInstanceUid;
use crate::store::{Digest, Filed, Place};

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
    set(tx, Table::Instances, id, &target(object, syntax))?;
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
            set(tx, Table::Copies, id, &target(object, syntax))?;
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

fn target(object: &NewInstance, syntax: i64) -> Target<'_> {
    let NewInstance { place, digest, length, file_size, .. } = object;
    Target { place, digest: digest.as_ref(), length: *length, file_size: *file_size, syntax }
}

/// Bytes that are known and ours give way only to the same ones; linked ones, which whoever settled the object has not
/// found any more, to those that came instead.
fn may_replace(bytes: &Bytes, object: &NewInstance) -> bool {
    bytes.digest.is_none() || bytes.digest == object.digest || bytes.place.linked().is_some()
}

/// Tables whose rows say where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Table {
    Instances,
    Copies,
}

/// Where bytes are now, as a row has to say it.
pub(in crate::catalog) struct Target<'a> {
    place: &'a Place,
    digest: Option<&'a Digest>,
    length: u64,
    file_size: u64,
    syntax: i64,
}

/// Points a row to a copy.
pub(in crate::catalog) fn point(tx: &Transaction<'_>, table: Table, id: i64, copy: &Filed) -> Result<(), DbError> {
    let syntax = Names::default().uid(tx, copy.transfer_syntax().as_str())?;
    let digest = copy.digest();
    let (length, file_size) = (copy.length(), copy.file_size());
    set(tx, table, id, &Target { place: copy.place(), digest: digest.as_ref(), length, file_size, syntax })
}

fn set(tx: &Transaction<'_>, table: Table, id: i64, to: &Target<'_>) -> Result<(), DbError> {
    let stands = Names::default().stands(tx, to.place)?;
    let (name, is_usual) = match table {
        Table::Instances => ("instances", is_usual(tx, id, stands.place)?),
        Table::Copies => ("copies", false),
    };
    tx.prepare_cached(&format!(
        "UPDATE {name} SET place = ?2, link_folder = ?3, link_name = ?4, link_modified = ?5, length = ?6,
            file_size = ?7, digest = ?8, transfer_syntax = ?9 WHERE id = ?1"
    ))?
    .execute(params![
        id,
        stands.place.filter(|_| !is_usual),
        stands.folder,
        stands.name,
        stands.modified,
        signed(to.length),
        signed(to.file_size),
        digest_blob(to.digest),
        to.syntax,
    ])?;
    Ok(())
}

/// Whether the place of an instance is the one that its series and its UID tell. The first place of a series decides.
fn is_usual(tx: &Transaction<'_>, id: i64, place: Option<&str>) -> Result<bool, DbError> {
    let Some(place) = place else { return Ok(false) };
    let (series, uid): (i64, String) = tx
        .prepare_cached("SELECT series, uid FROM instances WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(folder) = folder_of(place, &uid) else { return Ok(false) };
    Ok(usual_folder(tx, series, folder)? == folder)
}

/// The folder that a series tells of its instances: where there is none yet, this one from now on.
pub(super) fn usual_folder(tx: &Transaction<'_>, series: i64, folder: &str) -> Result<String, DbError> {
    tx.prepare_cached("UPDATE series SET folder = ?2 WHERE id = ?1 AND folder = ''")?
        .execute(params![series, folder])?;
    Ok(tx.prepare_cached("SELECT folder FROM series WHERE id = ?1")?.query_row([series], |row| row.get(0))?)
}

/// The folder of a place, where the file is named by the UID.
pub(super) fn folder_of<'p>(place: &'p str, uid: &str) -> Option<&'p str> {
    place.strip_suffix(".dcm")?.strip_suffix(uid)?.strip_suffix('/')
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
