//! Where the bytes of an instance are, as rows keep it: a place in the storage folder (which most rows need not even
//! name), or the folder and the name of a linked file.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, Transaction};

use super::codes::unsigned;
use crate::db::DbError;
use crate::store::{Digest, Link, Place, RelativePath};

/// The columns of [`Bytes`] for an instance `i` of a series `se` whose linked folder, if any, is `f`.
macro_rules! instance_bytes {
    () => {
        "CASE WHEN i.link_folder IS NULL THEN coalesce(i.place, se.folder || '/' || i.uid || '.dcm') END,
         f.path, i.link_name, i.link_modified, i.file_size, i.length, i.digest"
    };
}

/// The same for a variant `c`.
macro_rules! copy_bytes {
    () => {
        "c.place, f.path, c.link_name, c.link_modified, c.file_size, c.length, c.digest"
    };
}

/// The same for an object `q` in quarantine.
macro_rules! quarantine_bytes {
    () => {
        "q.place, NULL, NULL, NULL, q.file_size, q.length, q.digest"
    };
}

pub(super) use {copy_bytes, instance_bytes, quarantine_bytes};

/// What a row says of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) place: Place,
    pub(super) file_size: u64,
    pub(super) length: u64,
    pub(super) digest: Option<Digest>,
}

impl Bytes {
    /// How many columns it is read from.
    pub(super) const COLUMNS: usize = 7;

    /// Reads it from the columns that begin at `at`.
    pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Bytes> {
        let (file_size, length) = (unsigned(row.get(at + 4)?), unsigned(row.get(at + 5)?));
        let place = match row.get_ref(at)?.as_str_or_null()? {
            Some(text) => Place::Stored(stored_place(text)?),
            None => Place::Linked(Link {
                path: Link::path_of(row.get_ref(at + 1)?.as_blob()?, row.get_ref(at + 2)?.as_blob()?),
                offset: file_size.saturating_sub(length),
                size: file_size,
                modified: row.get(at + 3)?,
            }),
        };
        let digest = <[u8; 32]>::try_from(row.get_ref(at + 6)?.as_blob()?).ok().map(Digest::from_bytes);
        Ok(Bytes { place, file_size, length, digest })
    }
}

/// A digest as rows keep it.
pub(super) fn digest_blob(digest: Option<&Digest>) -> &[u8] {
    digest.map_or(&[], |digest| digest.as_bytes())
}

/// A place in the storage folder as rows keep it.
pub(super) fn stored_place(text: &str) -> rusqlite::Result<RelativePath> {
    RelativePath::parse(text).map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, e.into()))
}

/// The number of a folder that files are linked from, made where it is new.
pub(super) fn folder_id(tx: &Transaction<'_>, path: &[u8]) -> Result<i64, DbError> {
    let found =
        tx.prepare_cached("SELECT id FROM folders WHERE path = ?1")?.query_row([path], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    tx.prepare_cached("INSERT INTO folders (path) VALUES (?1)")?.execute([path])?;
    Ok(tx.last_insert_rowid())
}
