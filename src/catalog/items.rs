//! The items of a job: listing, claiming by lease, and the writes of the lease's owner.

use std::time::Duration;

use super::{Catalog, CatalogError, Item, ItemUpdate, ListedStudy, Retry};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

impl Catalog {
    /// Adds what a source listed and says how many items are new. A study that is an item already stays one; a row
    /// that differs is kept as evidence, and one with another patient marks the item. A proven study that has more
    /// instances than the source ever said is listed again and counts as new.
    pub async fn add_studies(&self, job: i64, studies: Vec<ListedStudy>) -> Result<usize, CatalogError> {
        unimplemented!("{job} {}", studies.len())
    }

    /// The newest study that nobody works on: listed ones, waiting ones whose time has come, and those whose lease
    /// ran out. It is `Pulling` and belongs to the owner for the length of the lease.
    pub async fn claim(&self, job: i64, owner: &str, lease: Duration) -> Result<Option<Item>, CatalogError> {
        unimplemented!("{job} {owner} {lease:?}")
    }

    /// Prolongs the lease; `false` when it is lost.
    pub async fn renew_item(&self, id: i64, fence: i64, lease: Duration) -> Result<bool, CatalogError> {
        unimplemented!("{id} {fence} {lease:?}")
    }

    /// Writes the end of a step; `false` when the lease is lost, and then nothing is written.
    pub async fn update_item(&self, id: i64, fence: i64, update: ItemUpdate) -> Result<bool, CatalogError> {
        unimplemented!("{id} {fence} {update:?}")
    }

    /// The instances that the last comparison missed.
    pub async fn missing_of(&self, item: i64) -> Result<Vec<(SeriesInstanceUid, SopInstanceUid)>, CatalogError> {
        unimplemented!("{item}")
    }

    /// Gives back everything that a stopping process holds: its items can be claimed at once, its leases are free.
    pub async fn release_owner(&self, owner: &str) -> Result<(), CatalogError> {
        unimplemented!("{owner}")
    }

    /// The item of a study in a job.
    pub async fn item_of_study(&self, job: i64, study: &StudyInstanceUid) -> Result<Option<Item>, CatalogError> {
        unimplemented!("{job} {study}")
    }

    /// The item of that number.
    pub async fn item(&self, id: i64) -> Result<Option<Item>, CatalogError> {
        unimplemented!("{id}")
    }

    /// The rows of the source's answers about an item that differ from the one it was made of.
    pub async fn other_rows(&self, item: i64) -> Result<Vec<ListedStudy>, CatalogError> {
        unimplemented!("{item}")
    }

    /// Lists partial and failed items again, with no attempts spent; says how many.
    pub async fn retry_items(&self, job: i64, which: Retry) -> Result<usize, CatalogError> {
        unimplemented!("{job} {which:?}")
    }

    /// Takes a study that is not finished out of the job; `false` when there is no such item. Whoever works on it
    /// loses its lease.
    pub async fn exclude(&self, job: i64, study: &StudyInstanceUid, why: &str) -> Result<bool, CatalogError> {
        unimplemented!("{job} {study} {why}")
    }

    /// Gives up everything of the job that is pending; says how many items that were.
    pub async fn cancel_items(&self, job: i64) -> Result<usize, CatalogError> {
        unimplemented!("{job}")
    }

    /// When the next waiting or leased item of the job falls due.
    pub async fn next_due(&self, job: i64) -> Result<Option<i64>, CatalogError> {
        unimplemented!("{job}")
    }
}
