//! How far a job is, from kept counts: flat, however many studies it has.

use std::time::Duration;

use super::{Catalog, CatalogError, Item, ItemState, OrderKey};

/// Items by state; they sum up to `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ItemTotals {
    /// All items.
    pub total: u64,
    /// Known, not begun.
    pub listed: u64,
    /// Being retrieved.
    pub pulling: u64,
    /// Being compared.
    pub verifying: u64,
    /// Between two attempts.
    pub waiting: u64,
    /// Proven, by whatever evidence.
    pub proven: u64,
    /// Those of the proven ones whose evidence is a count.
    pub proven_by_count: u64,
    /// Attempts spent, something filed.
    pub partial: u64,
    /// Nothing filed.
    pub failed: u64,
    /// Taken out by the operator.
    pub excluded: u64,
    /// Given up with the job.
    pub cancelled: u64,
}

impl ItemTotals {
    /// Items about which something is still to be done.
    pub fn pending(&self) -> u64 {
        self.listed + self.pulling + self.verifying + self.waiting
    }

    /// Items that ended without proof and without the operator's wish.
    pub fn fallout(&self) -> u64 {
        self.partial + self.failed
    }
}

/// Objects of all items of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectTotals {
    /// Listed by the source, as far as known.
    pub listed: u64,
    /// Filed.
    pub filed: u64,
    /// Arrived again with the same values.
    pub duplicate: u64,
    /// Kept beside the first with another header.
    pub variant: u64,
    /// Kept in quarantine because of their UID.
    pub collision: u64,
    /// Kept in quarantine for another reason.
    pub quarantined: u64,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Items by state.
    pub items: ItemTotals,
    /// Objects.
    pub objects: ObjectTotals,
    /// Bytes of data sets that arrived.
    pub bytes: u64,
}

impl Catalog {
    /// How far the job is.
    pub async fn totals(&self, job: i64) -> Result<Totals, CatalogError> {
        unimplemented!("{job}")
    }

    /// The study date (as YYYYMMDD, empty if unknown) of the newest item that is pending.
    pub async fn newest_pending(&self, job: i64) -> Result<Option<String>, CatalogError> {
        unimplemented!("{job}")
    }

    /// Objects and bytes that arrived for the job within the last while (ten minutes are kept).
    pub async fn throughput(&self, job: i64, last: Duration) -> Result<(u64, u64), CatalogError> {
        unimplemented!("{job} {last:?}")
    }

    /// A page of the job's items in these states (all states when there are none), newest first, after a place in that order.
    pub async fn items(
        &self,
        job: i64,
        states: &[ItemState],
        after: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<Item>, CatalogError> {
        unimplemented!("{job} {states:?} {after:?} {limit}")
    }
}

impl Item {
    /// Its place in the order of the job, for the next page.
    pub fn order_key(&self) -> OrderKey {
        OrderKey { rank: 0, study_uid: self.study.study_uid.as_str().to_owned() }
    }
}
