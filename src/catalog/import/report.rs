//! The folders of an import as its report tells them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Row, params};

use super::{FileKey, FileState, FolderState};
use crate::catalog::codes::unsigned;
use crate::catalog::{Catalog, CatalogError, Reason};

/// A folder and how its files stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderReport {
    /// The number of its path.
    pub id: i64,
    /// Absolute.
    pub path: PathBuf,
    /// Where it stands.
    pub state: FolderState,
    /// Files that an earlier run has dealt with.
    pub unchanged: u64,
    /// Those among the unchanged that are not DICOM, which an earlier run found out.
    pub foreign: u64,
    /// Entries that are neither files nor folders.
    pub skipped: u64,
    /// Files of another day than was asked for.
    pub outside: u64,
    /// Why it could not be read, or what else is to be said.
    pub detail: String,
    /// Its files, by state.
    pub files: Vec<(FileState, u64)>,
    /// The files that have a reason, by reason.
    pub reasons: Vec<(Reason, u64)>,
}

impl FolderReport {
    /// How many files are not DICOM.
    pub fn not_dicom(&self) -> u64 {
        self.count(FileState::NotDicom) + self.foreign
    }

    /// How many files are in a state.
    pub fn count(&self, state: FileState) -> u64 {
        self.files.iter().filter(|(other, _)| *other == state).map(|(_, files)| files).sum()
    }
}

/// A file of which there is something to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubledFile {
    /// What it is called.
    pub key: FileKey,
    /// Where it stands.
    pub state: FileState,
    /// Why it is not filed.
    pub reason: Option<Reason>,
    /// The same in words.
    pub detail: String,
}

impl Catalog {
    /// A page of the folders of an import, in the order of their paths, after a path.
    pub async fn import_folders(
        &self,
        job: i64,
        after: Option<&Path>,
        limit: usize,
    ) -> Result<Vec<FolderReport>, CatalogError> {
        let after = after.map(|path| path.as_os_str().as_bytes().to_vec()).unwrap_or_default();
        self.read(move |c| {
            let folder = |row: &Row<'_>| {
                Ok(FolderReport {
                    id: row.get(0)?,
                    path: PathBuf::from(OsString::from_vec(row.get(1)?)),
                    state: row.get(2)?,
                    unchanged: unsigned(row.get(3)?),
                    skipped: unsigned(row.get(4)?),
                    outside: unsigned(row.get(5)?),
                    detail: row.get(6)?,
                    foreign: unsigned(row.get(7)?),
                    files: Vec::new(),
                    reasons: Vec::new(),
                })
            };
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut folders: Vec<FolderReport> =
                c.prepare_cached(FOLDERS)?.query_map(params![job, after, limit], folder)?.collect::<Result<_, _>>()?;
            let mut counts = c.prepare_cached(
                "SELECT state, reason, count(*) FROM import_files WHERE path = ?1 AND job = ?2 GROUP BY state, reason",
            )?;
            for folder in &mut folders {
                let mut rows = counts.query([folder.id, job])?;
                while let Some(row) = rows.next()? {
                    let files = unsigned(row.get(2)?);
                    folder.files.push((row.get(0)?, files));
                    if let Some(reason) = row.get(1)? {
                        folder.reasons.push((reason, files));
                    }
                }
            }
            Ok(folders)
        })
        .await
    }

    /// The files of a folder that are not filed, or of which there is something to say; no more than so many.
    pub async fn troubled_files(&self, job: i64, folder: i64, limit: usize) -> Result<Vec<TroubledFile>, CatalogError> {
        self.read(move |c| {
            let file = |row: &Row<'_>| {
                Ok(TroubledFile {
                    key: FileKey { folder, name: OsString::from_vec(row.get(0)?), member: row.get(1)? },
                    state: row.get(2)?,
                    reason: row.get(3)?,
                    detail: row.get(4)?,
                })
            };
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(
                "SELECT name, member, state, reason, detail FROM import_files
                 WHERE path = ?1 AND job = ?2 AND (state NOT IN (0, 1, 2, 3, 7, 11, 13, 14) OR reason IS NOT NULL AND state <> 7)
                 ORDER BY name, member LIMIT ?3",
            )?;
            Ok(statement.query_map([folder, job, limit], file)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

pub(in crate::catalog) const FOLDERS: &str =
    "SELECT p.id, p.path, d.state, d.unchanged, d.skipped, d.outside, d.detail, d.foreign_files
     FROM import_paths p CROSS JOIN import_folders d ON d.path = p.id AND d.job = ?1
     WHERE p.path > ?2 ORDER BY p.path LIMIT ?3";
