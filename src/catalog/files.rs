//! Which files there should be: for holding the storage folder against the catalog.

use rusqlite::{Row, params};

use super::places::{Bytes, copy_bytes, instance_bytes, quarantine_bytes};
use super::{Catalog, CatalogError};
use crate::dicom::{SopInstanceUid, StudyInstanceUid};
use crate::store::{Digest, Place, RelativePath};

/// A file that the catalog knows: an instance, a variant of one, or an object in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Its SOP Instance UID.
    pub instance: SopInstanceUid,
    /// Where it is.
    pub place: Place,
    /// Length of the data set.
    pub length: u64,
    /// BLAKE3 of the data set; of a linked file it may not be known.
    pub digest: Option<Digest>,
    /// What it is.
    pub role: FileRole,
    position: (i64, i64),
}

/// What a file is to the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// The instance that is filed under its UID.
    Instance,
    /// A variant of one.
    Variant,
    /// Kept in quarantine.
    Quarantined,
}

impl KnownFile {
    /// Where it stands among the files of its study, for the next page.
    pub fn position(&self) -> (i64, i64) {
        self.position
    }
}

impl Catalog {
    /// A page of all studies that anything was filed or kept for, after the number of the last one.
    pub async fn studies_after(&self, after: i64, limit: usize) -> Result<Vec<(i64, StudyInstanceUid)>, CatalogError> {
        self.read(move |c| {
            let mut statement = c.prepare_cached("SELECT id, uid FROM studies WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            let study = |row: &Row<'_>| Ok((row.get(0)?, StudyInstanceUid::new(row.get_ref(1)?.as_str()?)));
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            Ok(statement.query_map([after, limit], study)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Whether anything is filed or kept of a study, or a job has it.
    pub async fn knows_study(&self, study: &StudyInstanceUid) -> Result<bool, CatalogError> {
        let study = study.clone();
        self.read(move |c| {
            let mut files = c.prepare_cached(FILES)?;
            let mut items = c.prepare_cached("SELECT 1 FROM items WHERE study_uid = ?1")?;
            Ok(files.exists(params![study.as_str(), -1, 0, 1])? || items.exists([study.as_str()])?)
        })
        .await
    }

    /// A page of the files of a study: instances, then variants, then what is in quarantine.
    pub async fn files_of_study(
        &self,
        study: &StudyInstanceUid,
        after: Option<(i64, i64)>,
        limit: usize,
    ) -> Result<Vec<KnownFile>, CatalogError> {
        let (study, (kind, id)) = (study.clone(), after.unwrap_or((-1, 0)));
        self.read(move |c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let file = |row: &Row<'_>| {
                let role = match row.get(0)? {
                    0 => FileRole::Instance,
                    1 => FileRole::Variant,
                    _ => FileRole::Quarantined,
                };
                let Bytes { place, length, digest, .. } = Bytes::read(row, 3)?;
                let instance = SopInstanceUid::new(row.get_ref(2)?.as_str()?);
                Ok(KnownFile { role, position: (row.get(0)?, row.get(1)?), instance, place, length, digest })
            };
            let mut statement = c.prepare_cached(FILES)?;
            let rows = statement.query_map(params![study.as_str(), kind, id, limit], file)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Whether the file at this place, which bears this UID, is one that the catalog knows. Blocking.
    pub fn knows_file(&self, place: &RelativePath, instance: &SopInstanceUid) -> Result<bool, CatalogError> {
        Ok(self
            .db
            .read_blocking(|c| Ok(c.prepare_cached(KNOWN)?.exists(params![place.as_str(), instance.as_str()])?))?)
    }
}

pub(super) const FILES: &str = concat!(
    "SELECT * FROM (
        SELECT 0 AS kind, i.id AS id, i.uid, ",
    instance_bytes!(),
    "   FROM studies st CROSS JOIN series se ON se.study = st.id CROSS JOIN instances i ON i.series = se.id
            LEFT JOIN folders f ON f.id = i.link_folder
        WHERE st.uid = ?1
        UNION ALL
        SELECT 1, c.id, i.uid, ",
    copy_bytes!(),
    "   FROM studies st CROSS JOIN series se ON se.study = st.id CROSS JOIN copies c ON c.series = se.id
            CROSS JOIN instances i ON i.id = c.instance LEFT JOIN folders f ON f.id = c.link_folder
        WHERE st.uid = ?1
        UNION ALL
        SELECT 2, q.id, q.uid, ",
    quarantine_bytes!(),
    "   FROM studies st CROSS JOIN quarantine q ON q.study = st.id
        WHERE st.uid = ?1 AND q.correction IS NULL
    ) WHERE (kind, id) > (?2, ?3) ORDER BY kind, id LIMIT ?4"
);

pub(super) const KNOWN: &str = "SELECT 1 FROM copies WHERE place = ?1
    UNION ALL
    SELECT 1 FROM quarantine WHERE place = ?1
    UNION ALL
    SELECT 1 FROM instances i CROSS JOIN series se ON se.id = i.series
        WHERE i.uid = ?2 AND i.link_folder IS NULL AND coalesce(i.place, se.folder || '/' || i.uid || '.dcm') = ?1";
