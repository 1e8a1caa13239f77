//! Making the list of an import, folder by folder.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Batch, FileKey, FileState, ImportFolder, KnownEntry, KnownMember, ListedFile, ListedObject, Way};
use crate::catalog::codes::{capped, now, signed, unsigned};
use crate::catalog::items::{self, LONGEST_TEXT};
use crate::catalog::{Catalog, CatalogError, ListedStudy};
use crate::db::DbError;
use crate::dicom::StudyInstanceUid;
use crate::failpoint;
use crate::store::Link;

const COLUMNS: &str = "path, name, member, size, modified, state, reason, detail, object";

pub(in crate::catalog) const KNOWN: &str =
    "SELECT f.job, f.size, f.modified, f.member, f.state, f.reason, f.detail, f.way,
        f.state NOT IN (1, 2, 3, 4, 14) OR i.id IS NOT NULL,
        CASE WHEN f.state IN (1, 2, 14) THEN o.path END, i.link_name, i.link_modified, i.file_size, i.length
     FROM import_files f LEFT JOIN instances i ON i.id = f.instance LEFT JOIN folders o ON o.id = i.link_folder
     WHERE f.path = ?1 AND f.name = ?2 ORDER BY f.job DESC, f.member";
pub(in crate::catalog) const PENDING: &str =
    "SELECT d.path, p.path FROM import_folders d CROSS JOIN import_paths p ON p.id = d.path
     WHERE d.job = ?1 AND d.state = 0 AND d.path > ?2 ORDER BY d.path LIMIT ?3";

/// A file and what is known of it; columns as in [`COLUMNS`].
pub(super) fn file_of(row: &Row<'_>) -> rusqlite::Result<ListedFile> {
    let object: Option<&[u8]> = row.get_ref(8)?.as_blob_or_null()?;
    let object = object.map(|bytes| {
        let unpacked = ListedObject::unpack(bytes).map(Box::new);
        unpacked.ok_or_else(|| {
            let what = "a header that was packed cannot be unpacked".into();
            rusqlite::Error::FromSqlConversionFailure(8, rusqlite::types::Type::Blob, what)
        })
    });
    Ok(ListedFile {
        key: FileKey { folder: row.get(0)?, name: OsString::from_vec(row.get(1)?), member: row.get(2)? },
        size: unsigned(row.get(3)?),
        modified: row.get(4)?,
        state: row.get(5)?,
        reason: row.get(6)?,
        detail: row.get(7)?,
        object: object.transpose()?,
    })
}

fn known_member(row: &Row<'_>) -> rusqlite::Result<KnownMember> {
    let link = match row.get_ref(9)?.as_blob_or_null()? {
        Some(folder) => {
            let (size, length): (u64, u64) = (unsigned(row.get(12)?), unsigned(row.get(13)?));
            let path = Link::path_of(folder, row.get_ref(10)?.as_blob()?);
            Some(Link { path, offset: size.saturating_sub(length), size, modified: row.get(11)? })
        }
        None => None,
    };
    Ok(KnownMember { name: row.get(3)?, state: row.get(4)?, reason: row.get(5)?, detail: row.get(6)?, link })
}

fn path_id(tx: &Transaction<'_>, path: &Path) -> Result<i64, DbError> {
    let bytes = path.as_os_str().as_bytes();
    let found = tx
        .prepare_cached("SELECT id FROM import_paths WHERE path = ?1")?
        .query_row([bytes], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    tx.prepare_cached("INSERT INTO import_paths (path) VALUES (?1)")?.execute([bytes])?;
    Ok(tx.last_insert_rowid())
}

fn add_folders(tx: &Transaction<'_>, job: i64, folders: &[PathBuf]) -> Result<(), DbError> {
    for folder in folders {
        let id = path_id(tx, folder)?;
        tx.prepare_cached("INSERT INTO import_folders (job, path) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute([job, id])?;
    }
    Ok(())
}

/// The items of the studies that files belong to, each with the number of its new files.
#[derive(Default)]
struct Studies(HashMap<StudyInstanceUid, (i64, i64)>);

impl Studies {
    fn item(&mut self, tx: &Transaction<'_>, job: i64, study: ListedStudy, now: i64) -> Result<i64, DbError> {
        if let Some((item, _)) = self.0.get(&study.study_uid) {
            return Ok(*item);
        }
        items::add(tx, job, &study, now)?;
        let uid = study.study_uid;
        let item = tx
            .prepare_cached("SELECT id FROM items WHERE study_uid = ?1 AND job = ?2")?
            .query_row(params![uid.as_str(), job], |row| row.get(0))?;
        self.0.insert(uid, (item, 0));
        Ok(item)
    }

    fn count(&mut self, study: &StudyInstanceUid) {
        if let Some((_, files)) = self.0.get_mut(study) {
            *files += 1;
        }
    }

    fn write(self, tx: &Transaction<'_>) -> Result<(), DbError> {
        let mut update = tx.prepare_cached("UPDATE items SET listed = listed + ?2 WHERE id = ?1")?;
        for (item, files) in self.0.into_values().filter(|(_, files)| *files > 0) {
            update.execute([item, files])?;
        }
        Ok(())
    }
}

/// Writes a row, or what a second look at a young file found; `false` when the file is known already.
fn add_file(tx: &Transaction<'_>, job: i64, way: Way, file: &ListedFile, item: Option<i64>) -> Result<bool, DbError> {
    let added = tx
        .prepare_cached(
            "INSERT INTO import_files (path, name, member, job, way, size, modified, state, item, reason, detail, object)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT DO UPDATE SET size = ?6, modified = ?7, state = ?8, item = ?9, reason = ?10, detail = ?11,
                object = ?12 WHERE state = 10",
        )?
        .execute(params![
            file.key.folder,
            file.key.name.as_bytes(),
            file.key.member,
            job,
            way,
            signed(file.size),
            file.modified,
            file.state,
            item,
            file.reason,
            capped(&file.detail, LONGEST_TEXT),
            file.object.as_ref().map(|object| object.pack()),
        ])?;
    Ok(added == 1)
}

impl Catalog {
    /// Begins the list of an import with these folders. Blocking.
    pub fn add_import_folders(&self, job: i64, folders: Vec<PathBuf>) -> Result<(), CatalogError> {
        Ok(self.db.write_blocking(move |tx| add_folders(tx, job, &folders))?)
    }

    /// Folders that are to be listed, after one of them. Blocking.
    pub fn pending_folders(&self, job: i64, after: i64, limit: usize) -> Result<Vec<ImportFolder>, CatalogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.db.read_blocking(|c| {
            let folder = |row: &Row<'_>| {
                Ok(ImportFolder { id: row.get(0)?, path: PathBuf::from(OsString::from_vec(row.get(1)?)) })
            };
            Ok(c.prepare_cached(PENDING)?.query_map([job, after, limit], folder)?.collect::<Result<_, _>>()?)
        })?)
    }

    /// What is known of names in a folder: by this job, or by an earlier one that took files in this way or a better
    /// one. Blocking.
    pub fn known_entries(
        &self,
        job: i64,
        way: Way,
        folder: i64,
        names: &[&OsStr],
    ) -> Result<HashMap<OsString, KnownEntry>, CatalogError> {
        Ok(self.db.read_blocking(|c| {
            let mut known = HashMap::new();
            let any = c.prepare_cached("SELECT 1 FROM import_files WHERE path = ?1 LIMIT 1")?.exists([folder])?;
            if !any {
                return Ok(known);
            }
            let mut statement = c.prepare_cached(KNOWN)?;
            for name in names {
                let mut rows = statement.query(params![folder, name.as_bytes()])?;
                let mut found: Option<(i64, KnownEntry)> = None;
                while let Some(row) = rows.next()? {
                    let of: i64 = row.get(0)?;
                    if found.as_ref().is_some_and(|(first, _)| *first != of) {
                        break;
                    }
                    if of != job && row.get::<_, Way>(7)? < way {
                        continue;
                    }
                    let mut member = known_member(row)?;
                    // What was filed and is gone since must come again.
                    if of != job && !row.get::<_, bool>(8)? {
                        member.state = FileState::Listed;
                    }
                    let (_, entry) = found.get_or_insert((
                        of,
                        KnownEntry {
                            ours: of == job,
                            size: unsigned(row.get(1)?),
                            modified: row.get(2)?,
                            members: Vec::new(),
                        },
                    ));
                    entry.members.push(member);
                }
                known.extend(found.map(|(_, entry)| ((*name).to_owned(), entry)));
            }
            Ok(known)
        })?)
    }

    /// Writes a part of the list in one transaction. What is listed twice is listed once. Blocking.
    pub fn list_batch(&self, job: i64, way: Way, batch: Batch) -> Result<(), CatalogError> {
        Ok(self.db.write_blocking(move |tx| {
            let now = now();
            let mut studies = Studies::default();
            for file in &batch.files {
                let of_study = file.object.as_ref().filter(|object| {
                    matches!(file.state, FileState::Listed | FileState::Faulty) && !object.identity.study.is_empty()
                });
                let item = of_study.map(|object| studies.item(tx, job, object.study(), now)).transpose()?;
                if add_file(tx, job, way, file, item)?
                    && let Some(object) = of_study
                {
                    studies.count(&object.identity.study);
                }
            }
            studies.write(tx)?;
            failpoint!("list-written");
            add_folders(tx, job, &batch.folders)?;
            for key in &batch.outside {
                let gone = tx
                    .prepare_cached(
                        "DELETE FROM import_files
                         WHERE path = ?1 AND name = ?2 AND member = ?3 AND job = ?4 AND state = 10",
                    )?
                    .execute(params![key.folder, key.name.as_bytes(), key.member, job])?;
                tx.prepare_cached("UPDATE import_folders SET outside = outside + ?3 WHERE job = ?1 AND path = ?2")?
                    .execute(params![job, key.folder, i64::try_from(gone).unwrap_or(0)])?;
            }
            for folder in &batch.done {
                tx.prepare_cached(
                    "UPDATE import_folders SET state = ?3, unchanged = ?4, skipped = ?5, outside = ?6, detail = ?7,
                        foreign_files = ?8
                     WHERE job = ?1 AND path = ?2 AND state = 0",
                )?
                .execute(params![
                    job,
                    folder.id,
                    folder.state,
                    signed(folder.unchanged),
                    signed(folder.skipped),
                    signed(folder.outside),
                    capped(&folder.detail, LONGEST_TEXT),
                    signed(folder.foreign),
                ])?;
            }
            Ok(())
        })?)
    }

    /// Files of a job that are to be looked at again, or to be set aside without a study, with their folders. Blocking.
    pub fn open_files(
        &self,
        job: i64,
        state: FileState,
        limit: usize,
    ) -> Result<Vec<(PathBuf, ListedFile)>, CatalogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.db.read_blocking(|c| {
            let sql = format!(
                "SELECT {}, p.path FROM import_files f INDEXED BY import_files_open
                    CROSS JOIN import_paths p ON p.id = f.path
                 WHERE f.job = ?1 AND f.state = ?2 AND f.state IN (6, 10) AND f.item IS NULL
                 ORDER BY f.path, f.name, f.member LIMIT ?3",
                COLUMNS.split(", ").map(|column| format!("f.{column}")).collect::<Vec<_>>().join(", ")
            );
            let file = |row: &Row<'_>| {
                let folder: Vec<u8> = row.get(9)?;
                Ok((PathBuf::from(OsString::from_vec(folder)), file_of(row)?))
            };
            Ok(c.prepare_cached(&sql)?.query_map(params![job, state, limit], file)?.collect::<Result<_, _>>()?)
        })?)
    }

    /// Files of an item that are in this state, with the paths of their folders, in the order of the folders.
    pub async fn files_of_item(
        &self,
        item: i64,
        state: FileState,
        limit: usize,
    ) -> Result<Vec<(PathBuf, ListedFile)>, CatalogError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |c| {
            let file = |row: &Row<'_>| {
                let folder: Vec<u8> = row.get(9)?;
                Ok((PathBuf::from(OsString::from_vec(folder)), file_of(row)?))
            };
            let sql = files_of_item_sql();
            Ok(c.prepare_cached(&sql)?.query_map(params![item, state, limit], file)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

pub(in crate::catalog) fn files_of_item_sql() -> String {
    format!(
        "SELECT {}, p.path FROM import_files f CROSS JOIN import_paths p ON p.id = f.path
         WHERE f.item = ?1 AND f.state = ?2 ORDER BY f.path, f.name, f.member LIMIT ?3",
        COLUMNS.split(", ").map(|column| format!("f.{column}")).collect::<Vec<_>>().join(", ")
    )
}
