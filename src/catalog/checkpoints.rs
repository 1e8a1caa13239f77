//! The association checkpoint of each pull: written before the request, while it runs, and at its end.

use super::{Catalog, CatalogError};
use crate::dicom::StudyInstanceUid;

/// What is known of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub id: i64,
    /// The item that is pulled.
    pub item: i64,
    /// The source.
    pub source: String,
    /// The study.
    pub study_uid: StudyInstanceUid,
    /// Who pulls.
    pub owner: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Our number of the association.
    pub association: u64,
    /// The Message ID of the request.
    pub message_id: u16,
    /// The level of the request: STUDY, SERIES or IMAGE.
    pub level: String,
    /// requested, pending, ended, cancelled or lost.
    pub phase: String,
    /// Sub-operations remaining, completed, failed, warning, as the source last said.
    pub counters: [Option<u16>; 4],
    /// Objects that arrived while it was open.
    pub received: u32,
    /// When it was opened.
    pub opened: i64,
    /// When it last changed.
    pub updated: i64,
    /// When it was closed.
    pub closed: Option<i64>,
}

/// What is written before the request goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheckpoint {
    /// Who pulls.
    pub owner: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Our number of the association.
    pub association: u64,
    /// The Message ID of the request.
    pub message_id: u16,
    /// The level of the request: STUDY, SERIES or IMAGE.
    pub level: String,
}

/// What the source said since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// requested, pending, ended, cancelled or lost.
    pub phase: String,
    /// The association, when the request went out on another one than foreseen.
    pub association: Option<u64>,
    /// Sub-operations remaining, completed, failed, warning.
    pub counters: [Option<u16>; 4],
}

impl Catalog {
    /// Opens a checkpoint for a leased item; `None` when the lease is lost. Until it is closed, arrivals of the study
    /// from the source are the item's, and counted in the checkpoint.
    pub async fn open_checkpoint(&self, item: i64, fence: i64, checkpoint: NewCheckpoint) -> Result<Option<i64>, CatalogError> {
        unimplemented!("{item} {fence} {checkpoint:?}")
    }

    /// Keeps what the source said; `false` when the checkpoint is closed already.
    pub async fn update_checkpoint(&self, id: i64, progress: Progress) -> Result<bool, CatalogError> {
        unimplemented!("{id} {progress:?}")
    }

    /// Closes it with the last that the source said; `false` when it is closed already.
    pub async fn close_checkpoint(&self, id: i64, progress: Progress) -> Result<bool, CatalogError> {
        unimplemented!("{id} {progress:?}")
    }

    /// The checkpoints of a job, the latest first.
    pub async fn checkpoints(&self, job: i64, limit: usize) -> Result<Vec<Checkpoint>, CatalogError> {
        unimplemented!("{job} {limit}")
    }

    /// Whether somebody who holds the lease is pulling this study from this source. Blocking, a few microseconds.
    pub fn pull_open(&self, source: &str, study: &StudyInstanceUid) -> Result<bool, CatalogError> {
        unimplemented!("{source} {study}")
    }
}
