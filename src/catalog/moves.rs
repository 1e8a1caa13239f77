//! What a change of the storage folder means for rows: those of the old folder become links into it.

use rusqlite::{Row, Transaction, params};

use super::codes::signed;
use super::links::{self, LinkedFile, linked};
use super::places::{Bytes, copy_bytes, folder_id, instance_bytes, quarantine_bytes};
use super::{Catalog, CatalogError};
use crate::db::DbError;
use crate::dicom::{SopClassUid, SopInstanceUid, TransferSyntaxUid};
use crate::store::{Digest, Link, Place, RelativePath};

/// An instance, or a variant of one, whose bytes are in the storage folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its place in the storage folder.
    pub place: RelativePath,
    /// The row as it is to be: pointing to a file elsewhere. Until somebody says where, its path is the place.
    pub file: LinkedFile,
}

/// An object in quarantine, as its bytes are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedFile {
    /// Where it stands among all of them, for the next page.
    pub position: i64,
    /// Its place in the storage folder.
    pub place: RelativePath,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SOP Class UID.
    pub class: SopClassUid,
    /// The transfer syntax of its data set.
    pub transfer_syntax: TransferSyntaxUid,
    /// Bytes of the file.
    pub file_size: u64,
    /// Bytes of the data set.
    pub length: u64,
    /// BLAKE3 of the data set.
    pub digest: Option<Digest>,
    /// Why it is there; empty for a collision.
    pub reason: String,
    /// Whether another object with its UID is filed.
    pub collision: bool,
}

impl Catalog {
    /// A page of everything that is stored, by rows, after the position of the last one. Blocking.
    pub fn stored_files(&self, after: Option<(bool, i64)>, limit: usize) -> Result<Vec<StoredFile>, CatalogError> {
        let (variant, id) = after.unwrap_or((false, 0));
        Ok(self.db.read_blocking(|c| {
            let mut found = Vec::new();
            for (sql, from) in [(INSTANCES, (!variant).then_some(id)), (COPIES, Some(if variant { id } else { 0 }))] {
                let Some(from) = from.filter(|_| found.len() < limit) else { continue };
                let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
                let mut statement = c.prepare_cached(sql)?;
                let rows = statement.query_map([from, left], stored)?;
                found.extend(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten());
            }
            Ok(found)
        })?)
    }

    /// Lets rows that still say that their bytes are at a place in the storage folder point to files elsewhere. One
    /// transaction, on disk when this returns. Blocking.
    pub fn link_stored(&self, files: Vec<StoredFile>) -> Result<(), CatalogError> {
        Ok(self.db.write_blocking(move |tx| files.iter().try_for_each(|file| link_one(tx, file)))?)
    }

    /// A page of all that is in quarantine, after the position of the last one. Blocking.
    pub fn quarantined_files(&self, after: i64, limit: usize) -> Result<Vec<QuarantinedFile>, CatalogError> {
        Ok(self.db.read_blocking(|c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(QUARANTINED)?;
            let rows = statement.query_map([after, limit], quarantined)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })?)
    }
}

fn link_one(tx: &Transaction<'_>, file: &StoredFile) -> Result<(), DbError> {
    let (variant, id) = file.file.position();
    let (sql, table) = if variant { (links::COPY, "copies") } else { (links::INSTANCE, "instances") };
    let bytes = tx.prepare_cached(sql)?.query_row([id], |row| Bytes::read(row, 0))?;
    if bytes.place.stored() != Some(&file.place) {
        return Ok(());
    }
    let (folder, name) = file.file.link.parts();
    tx.prepare_cached(&format!(
        "UPDATE {table} SET place = NULL, link_folder = ?2, link_name = ?3, link_modified = ?4, file_size = ?5
         WHERE id = ?1"
    ))?
    .execute(params![id, folder_id(tx, folder)?, name, file.file.link.modified, signed(file.file.link.size)])?;
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Option<StoredFile>> {
    let bytes = Bytes::read(row, 2)?;
    let Place::Stored(place) = &bytes.place else { return Ok(None) };
    let offset = bytes.file_size.saturating_sub(bytes.length);
    let link = Link { path: place.as_str().into(), offset, size: bytes.file_size, modified: None };
    let file = linked(row, &bytes, link)?;
    Ok(Some(StoredFile { place: place.clone(), file }))
}

fn quarantined(row: &Row<'_>) -> rusqlite::Result<Option<QuarantinedFile>> {
    let Bytes { place, file_size, length, digest } = Bytes::read(row, 0)?;
    let Place::Stored(place) = place else { return Ok(None) };
    let text = |at: usize| row.get_ref(Bytes::COLUMNS + at)?.as_str().map_err(rusqlite::Error::from);
    Ok(Some(QuarantinedFile {
        position: row.get(Bytes::COLUMNS)?,
        place,
        instance: SopInstanceUid::new(text(1)?),
        class: SopClassUid::new(text(2)?),
        transfer_syntax: TransferSyntaxUid::new(text(3)?),
        file_size,
        length,
        digest,
        reason: text(4)?.to_owned(),
        collision: row.get(Bytes::COLUMNS + 5)?,
    }))
}

const INSTANCES: &str = concat!(
    "SELECT 0, i.id, ",
    instance_bytes!(),
    ", i.uid, h.uid, cl.uid, t.uid, hs.uid
     FROM instances i CROSS JOIN series se ON se.id = i.series
        CROSS JOIN series h ON h.id = coalesce(i.home, i.series) CROSS JOIN studies hs ON hs.id = h.study
        CROSS JOIN uids cl ON cl.id = i.class CROSS JOIN uids t ON t.id = i.transfer_syntax
        LEFT JOIN folders f ON f.id = i.link_folder
     WHERE i.id > ?1 AND i.link_folder IS NULL ORDER BY i.id LIMIT ?2"
);
const COPIES: &str = concat!(
    "SELECT 1, c.id, ",
    copy_bytes!(),
    ", i.uid, se.uid, cl.uid, t.uid, st.uid
     FROM copies c CROSS JOIN instances i ON i.id = c.instance CROSS JOIN series se ON se.id = c.series
        CROSS JOIN studies st ON st.id = se.study
        CROSS JOIN uids cl ON cl.id = i.class CROSS JOIN uids t ON t.id = c.transfer_syntax
        LEFT JOIN folders f ON f.id = c.link_folder
     WHERE c.id > ?1 AND c.link_folder IS NULL ORDER BY c.id LIMIT ?2"
);
const QUARANTINED: &str = concat!(
    "SELECT ",
    quarantine_bytes!(),
    ", q.id, q.uid, cl.uid, t.uid, q.reason, q.collision
     FROM quarantine q CROSS JOIN uids cl ON cl.id = q.class CROSS JOIN uids t ON t.id = q.transfer_syntax
     WHERE q.id > ?1 ORDER BY q.id LIMIT ?2"
);
