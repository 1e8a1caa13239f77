//! The folders of an import page by page, those that somebody looks for.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::folders::{FolderEnd, judge, name_of};
use crate::catalog::{Catalog, CatalogError, FolderReport, Reason, TroubledFile};
use crate::import::shown;

/// Folders that are read at once, and so many times for one page: what is rare is found page by page.
const CHUNK: usize = 200;
const CHUNKS: usize = 25;
/// Files told of one folder.
const FILES: usize = 20;

/// Which folders are wanted; all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedFolders {
    /// Ended in one of these ways; in any when there are none.
    pub ends: Vec<FolderEnd>,
    /// Not succeeded for this reason.
    pub reason: Option<Reason>,
}

/// A folder, and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRow {
    /// Its path, as it is shown.
    pub folder: String,
    /// How it ended.
    pub end: FolderEnd,
    /// Files of it that are filed.
    pub filed: u64,
    /// Why the others are not.
    pub reason: Option<Reason>,
    /// More about it.
    pub detail: String,
    /// Some of the files that are not filed.
    pub files: Vec<TroubledRow>,
    /// There are more of those.
    pub more: bool,
}

/// A file that is not filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TroubledRow {
    /// Its name, as it is shown.
    pub name: String,
    /// Why.
    pub reason: Option<Reason>,
    /// More about it.
    pub detail: String,
}

/// Some folders of an import.
#[derive(Debug, Clone, Default)]
pub struct FolderPage {
    /// In the order of their paths.
    pub folders: Vec<FolderRow>,
    /// Where the next page begins, if there may be one. A page may be short, or empty, and yet have a next one.
    pub next: Option<PathBuf>,
}

impl WantedFolders {
    /// The folders after one, `limit` at most.
    pub async fn page(
        &self,
        catalog: &Catalog,
        job: i64,
        after: Option<&Path>,
        limit: usize,
    ) -> Result<FolderPage, CatalogError> {
        let mut page = FolderPage { folders: Vec::new(), next: after.map(Path::to_path_buf) };
        for _ in 0..CHUNKS {
            let read = catalog.import_folders(job, page.next.as_deref(), CHUNK).await?;
            let over = read.len() < CHUNK;
            for folder in read {
                if page.folders.len() == limit {
                    return Ok(page);
                }
                page.next = Some(folder.path.clone());
                page.folders.extend(self.row(catalog, job, &folder).await?);
            }
            if over {
                page.next = None;
                break;
            }
        }
        Ok(page)
    }

    async fn row(&self, catalog: &Catalog, job: i64, folder: &FolderReport) -> Result<Option<FolderRow>, CatalogError> {
        let verdict = judge(folder).filter(|verdict| {
            (self.ends.is_empty() || self.ends.contains(&verdict.end))
                && self.reason.is_none_or(|reason| {
                    verdict.reason == Some(reason) || folder.reasons.iter().any(|(known, _)| *known == reason)
                })
        });
        let Some(verdict) = verdict else { return Ok(None) };
        let mut files = match verdict.is_fallout {
            true => catalog.troubled_files(job, folder.id, FILES + 1).await?,
            false => Vec::new(),
        };
        let more = files.len() > FILES;
        files.truncate(FILES);
        let troubled =
            |file: TroubledFile| TroubledRow { name: name_of(&file), reason: file.reason, detail: file.detail };
        Ok(Some(FolderRow {
            folder: shown(&folder.path),
            end: verdict.end,
            filed: verdict.filed,
            reason: verdict.reason,
            detail: verdict.detail,
            files: files.into_iter().map(troubled).collect(),
            more,
        }))
    }
}

impl FolderPage {
    /// As scripts have it.
    pub fn json(&self) -> Value {
        let reason = |reason: Option<Reason>| reason.map(Reason::as_text);
        let file = |f: &TroubledRow| json!({ "file": f.name, "reason": reason(f.reason), "detail": f.detail });
        let folder = |f: &FolderRow| {
            json!({
                "folder": f.folder, "state": f.end.as_text(), "filed": f.filed, "reason": reason(f.reason),
                "detail": f.detail, "files": f.files.iter().map(file).collect::<Vec<_>>(), "more_files": f.more,
            })
        };
        self.folders.iter().map(folder).collect()
    }
}
