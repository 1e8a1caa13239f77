//! What is linked, newest study first, and the swap of a study from links to copies.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::places::{Bytes, copy_bytes, instance_bytes};
use super::record::replace;
use super::{Catalog, CatalogError};
use crate::db::DbError;
use crate::dicom::{Identity, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid};
use crate::store::{Digest, Filed, Link};

/// A file that a row points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedFile {
    /// Its UIDs, as it was filed.
    pub identity: Identity,
    /// The file.
    pub link: Link,
    /// The transfer syntax of its data set.
    pub transfer_syntax: TransferSyntaxUid,
    /// BLAKE3 of its data set, if that is known.
    pub digest: Option<Digest>,
    /// Whether it is kept beside another instance with the same UID.
    pub is_variant: bool,
    id: i64,
}

impl LinkedFile {
    /// Where it stands among the linked files of its study, for the next page.
    pub fn position(&self) -> (bool, i64) {
        (self.is_variant, self.id)
    }
}

/// A study with linked files, and where it stands among all of them, for the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedStudy {
    /// Its Study Instance UID.
    pub study: StudyInstanceUid,
    date: String,
    time: String,
}

/// A linked file, and the copy that its row is to point to.
#[derive(Debug)]
pub struct Swap {
    /// The file.
    pub file: LinkedFile,
    /// The copy, which is durable.
    pub copy: Filed,
}

impl Catalog {
    /// A page of the studies with linked files, newest first, after the last one of the page before.
    pub async fn linked_studies(
        &self,
        after: Option<&LinkedStudy>,
        limit: usize,
    ) -> Result<Vec<LinkedStudy>, CatalogError> {
        let after = after.map_or_else(
            || ("\u{10FFFF}".to_owned(), String::new(), String::new()),
            |after| (after.date.clone(), after.time.clone(), after.study.as_str().to_owned()),
        );
        self.read(move |c| {
            let mut statement = c.prepare_cached(STUDIES)?;
            let study = |row: &Row<'_>| {
                let study = StudyInstanceUid::new(row.get_ref(0)?.as_str()?);
                Ok(LinkedStudy { study, date: row.get(1)?, time: row.get(2)? })
            };
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![after.0, after.1, after.2, limit], study)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Whether anything is linked. Blocking; for the filing thread.
    pub fn has_links(&self) -> Result<bool, CatalogError> {
        Ok(self.db.read_blocking(|c| Ok(c.prepare_cached(ANY)?.exists([])?))?)
    }

    /// A page of the linked files of a study. Blocking.
    pub fn links_of_study(
        &self,
        study: &StudyInstanceUid,
        after: Option<(bool, i64)>,
        limit: usize,
    ) -> Result<Vec<LinkedFile>, CatalogError> {
        let (variant, id) = after.unwrap_or((false, 0));
        Ok(self.db.read_blocking(|c| {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(LINKS)?;
            let rows = statement.query_map(params![study.as_str(), variant, id, limit], link_of)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })?)
    }

    /// Points the rows of linked files to their copies, all in one transaction that is on disk when this returns. For
    /// each, whether its row points to the copy now: not where it does not say any more what it said. Blocking.
    pub fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<(Swap, bool)>, CatalogError> {
        Ok(self.db.write_blocking(move |tx| {
            swaps.into_iter().map(|swap| swap_one(tx, &swap).map(|done| (swap, done))).collect::<Result<_, DbError>>()
        })?)
    }
}

fn swap_one(tx: &Transaction<'_>, swap: &Swap) -> Result<bool, DbError> {
    let Swap { file, copy } = swap;
    let (sql, table) =
        if file.is_variant { (COPY, replace::Table::Copies) } else { (INSTANCE, replace::Table::Instances) };
    let bytes = tx.prepare_cached(sql)?.query_row([file.id], |row| Bytes::read(row, 0)).optional()?;
    let Some(bytes) = bytes else { return Ok(false) };
    if bytes.place == *copy.place() {
        return Ok(true);
    }
    let same_bytes = bytes.digest.is_none() || bytes.digest == copy.digest();
    if bytes.place.linked() != Some(&file.link) || !same_bytes {
        return Ok(false);
    }
    replace::point(tx, table, file.id, copy)?;
    Ok(true)
}

fn link_of(row: &Row<'_>) -> rusqlite::Result<Option<LinkedFile>> {
    let bytes = Bytes::read(row, 2)?;
    let Some(link) = bytes.place.linked().cloned() else { return Ok(None) };
    linked(row, &bytes, link).map(Some)
}

/// Reads what follows, and precedes, the columns of the bytes.
pub(super) fn linked(row: &Row<'_>, bytes: &Bytes, link: Link) -> rusqlite::Result<LinkedFile> {
    let uid = |at: usize| row.get_ref(Bytes::COLUMNS + 2 + at)?.as_str().map_err(rusqlite::Error::from);
    Ok(LinkedFile {
        identity: Identity {
            study: StudyInstanceUid::new(uid(4)?),
            series: SeriesInstanceUid::new(uid(1)?),
            instance: SopInstanceUid::new(uid(0)?),
            class: SopClassUid::new(uid(2)?),
        },
        link,
        transfer_syntax: TransferSyntaxUid::new(uid(3)?),
        digest: bytes.digest,
        is_variant: row.get(0)?,
        id: row.get(1)?,
    })
}

pub(super) const STUDIES: &str = "SELECT uid, study_date, study_time FROM studies
    WHERE linked > 0 AND study_date <= ?1
        AND (study_date < ?1 OR study_time < ?2 OR (study_time = ?2 AND uid > ?3))
    ORDER BY study_date DESC, study_time DESC, uid LIMIT ?4";

pub(super) const ANY: &str = "SELECT 1 FROM studies WHERE linked > 0";

pub(super) const LINKS: &str = concat!(
    "SELECT * FROM (
        SELECT 0 AS kind, i.id AS id, ",
    instance_bytes!(),
    ", i.uid, h.uid, cl.uid, t.uid, hs.uid
        FROM studies st CROSS JOIN series se ON se.study = st.id
            CROSS JOIN instances i ON i.series = se.id AND i.link_folder IS NOT NULL
            CROSS JOIN series h ON h.id = coalesce(i.home, i.series) CROSS JOIN studies hs ON hs.id = h.study
            CROSS JOIN uids cl ON cl.id = i.class CROSS JOIN uids t ON t.id = i.transfer_syntax
            LEFT JOIN folders f ON f.id = i.link_folder
        WHERE st.uid = ?1
        UNION ALL
        SELECT 1, c.id, ",
    copy_bytes!(),
    ", i.uid, se.uid, cl.uid, t.uid, st.uid
        FROM studies st CROSS JOIN series se ON se.study = st.id
            CROSS JOIN copies c ON c.series = se.id AND c.link_folder IS NOT NULL
            CROSS JOIN instances i ON i.id = c.instance
            CROSS JOIN uids cl ON cl.id = i.class CROSS JOIN uids t ON t.id = c.transfer_syntax
            LEFT JOIN folders f ON f.id = c.link_folder
        WHERE st.uid = ?1
    ) WHERE (kind, id) > (?2, ?3) ORDER BY kind, id LIMIT ?4"
);
pub(super) const INSTANCE: &str = concat!(
    "SELECT ",
    instance_bytes!(),
    " FROM instances i CROSS JOIN series se ON se.id = i.series
     LEFT JOIN folders f ON f.id = i.link_folder WHERE i.id = ?1"
);
pub(super) const COPY: &str =
    concat!("SELECT ", copy_bytes!(), " FROM copies c LEFT JOIN folders f ON f.id = c.link_folder WHERE c.id = ?1");
