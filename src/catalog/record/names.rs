//! The numbers behind names, within one batch: each is looked up once, and made where it is new. Nothing is remembered
//! beyond the batch, since a transaction may be undone.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, ToSql, Transaction, params};

use super::Receipt;
use crate::catalog::codes::{capped, signed};
use crate::catalog::places::folder_id;
use crate::catalog::source_id;
use crate::db::DbError;
use crate::store::Place;

/// The longest text of an object that is kept, in characters.
const LONGEST_TEXT: usize = 1024;

#[derive(Default)]
pub(super) struct Names {
    uids: HashMap<String, i64>,
    origins: HashMap<Receipt, From>,
    folders: HashMap<Vec<u8>, i64>,
}

/// A place as the columns of a row.
#[derive(Clone, Copy)]
pub(super) struct Stands<'a> {
    pub(super) place: Option<&'a str>,
    pub(super) folder: Option<i64>,
    pub(super) name: Option<&'a [u8]>,
    pub(super) modified: Option<i64>,
}

/// Where a receipt says an object came from.
#[derive(Clone, Copy)]
pub(super) struct From {
    pub(super) source: i64,
    pub(super) origin: i64,
}

impl Names {
    /// A UID that many rows share.
    pub(super) fn uid(&mut self, tx: &Connection, uid: &str) -> Result<i64, DbError> {
        interned(&mut self.uids, uid, || {
            let found = find(tx, "SELECT id FROM uids WHERE uid = ?1", uid)?;
            found.map_or_else(|| make(tx, "INSERT INTO uids (uid) VALUES (?1)", uid), Ok)
        })
    }

    /// A place, its folder by number if it is linked.
    pub(super) fn stands<'a>(&mut self, tx: &Transaction<'_>, place: &'a Place) -> Result<Stands<'a>, DbError> {
        let link = match place {
            Place::Stored(place) => {
                return Ok(Stands { place: Some(place.as_str()), folder: None, name: None, modified: None });
            }
            Place::Linked(link) => link,
        };
        let (path, name) = link.parts();
        let folder = match self.folders.get(path) {
            Some(folder) => *folder,
            None => {
                let folder = folder_id(tx, path)?;
                self.folders.insert(path.to_vec(), folder);
                folder
            }
        };
        Ok(Stands { place: None, folder: Some(folder), name: Some(name), modified: link.modified })
    }

    /// The source and the association of a receipt.
    pub(super) fn origin(&mut self, tx: &Connection, receipt: &Receipt) -> Result<From, DbError> {
        if let Some(from) = self.origins.get(receipt) {
            return Ok(*from);
        }
        let source = source_id(tx, receipt.source.as_deref())?;
        let key = params![
            receipt.process,
            signed(receipt.association),
            source,
            capped(&receipt.ae_title, LONGEST_TEXT),
            receipt.address.to_string()
        ];
        let found = tx
            .prepare_cached(
                "SELECT id FROM origins
                 WHERE process = ?1 AND association = ?2 AND source = ?3 AND ae_title = ?4 AND address = ?5",
            )?
            .query_row(key, |row| row.get(0))
            .optional()?;
        let origin = match found {
            Some(origin) => origin,
            None => {
                tx.prepare_cached(
                    "INSERT INTO origins (process, association, source, ae_title, address) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(key)?;
                tx.last_insert_rowid()
            }
        };
        let from = From { source, origin };
        self.origins.insert(receipt.clone(), from);
        Ok(from)
    }
}

fn interned(
    known: &mut HashMap<String, i64>,
    name: &str,
    look: impl FnOnce() -> Result<i64, DbError>,
) -> Result<i64, DbError> {
    if let Some(id) = known.get(name) {
        return Ok(*id);
    }
    let id = look()?;
    known.insert(name.to_owned(), id);
    Ok(id)
}

fn find(tx: &Connection, sql: &str, key: impl ToSql) -> Result<Option<i64>, DbError> {
    Ok(tx.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?)
}

fn make(tx: &Connection, sql: &str, key: impl ToSql) -> Result<i64, DbError> {
    tx.prepare_cached(sql)?.execute([key])?;
    Ok(tx.last_insert_rowid())
}

/// A text of a header, as it is kept.
pub(in crate::catalog) fn text(value: &Option<String>) -> &str {
    value.as_deref().map_or("", |value| capped(value, LONGEST_TEXT))
}
