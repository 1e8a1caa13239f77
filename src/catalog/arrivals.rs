//! What has arrived, and what is filed, of a study.

use super::{Catalog, CatalogError, Outcome};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// One object that arrived, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its SOP Instance UID.
    pub instance: SopInstanceUid,
    /// What became of it.
    pub outcome: Outcome,
    /// When it was recorded.
    pub at: i64,
    /// The item that it was counted for.
    pub item: Option<i64>,
}

/// An object in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// SOP Instance UID, as the command gave it.
    pub instance: SopInstanceUid,
    /// Series Instance UID, empty if unknown.
    pub series: SeriesInstanceUid,
    /// Why it is there.
    pub reason: String,
    /// Its place in the storage folder.
    pub place: String,
    /// When it was recorded.
    pub at: i64,
}

impl Catalog {
    /// The instances of a study that are filed, current ones and variants.
    pub async fn filed_of_study(&self, study: &StudyInstanceUid) -> Result<Vec<(SeriesInstanceUid, SopInstanceUid)>, CatalogError> {
        unimplemented!("{study}")
    }

    /// Everything that arrived of a study from a source, in the order of arrival.
    pub async fn receipts_of_study(&self, source: &str, study: &StudyInstanceUid) -> Result<Vec<Arrival>, CatalogError> {
        unimplemented!("{source} {study}")
    }

    /// When the last object of a study arrived from a source.
    pub async fn last_arrival(&self, source: &str, study: &StudyInstanceUid) -> Result<Option<i64>, CatalogError> {
        unimplemented!("{source} {study}")
    }

    /// The objects of a study that are in quarantine, whatever brought them.
    pub async fn quarantined_of_study(&self, study: &StudyInstanceUid) -> Result<Vec<Quarantined>, CatalogError> {
        unimplemented!("{study}")
    }
}
