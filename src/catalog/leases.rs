//! Leases by name: what several processes share and only one, or a limited number, may hold.

use std::time::Duration;

use super::{Catalog, CatalogError};

/// Something held until its time runs out. Names: `receiver`, `plan/<job>`, `worker/<process>`, `slot/<source>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is held.
    pub name: String,
    /// Which one of several under that name; 0 where there is one.
    pub slot: u32,
    /// Who holds it.
    pub owner: String,
    /// Grows with every holder.
    pub fence: i64,
}

impl Catalog {
    /// Takes what is free, has run out, or is held by the same owner.
    pub async fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, CatalogError> {
        unimplemented!("{name} {owner} {ttl:?}")
    }

    /// Takes one of the source's association slots. Never are there more than `limit` that have not run out, all
    /// processes together.
    pub async fn acquire_slot(&self, source: &str, limit: u32, owner: &str, ttl: Duration) -> Result<Option<Lease>, CatalogError> {
        unimplemented!("{source} {limit} {owner} {ttl:?}")
    }

    /// Prolongs it; `false` when it has run out or somebody else holds it.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, CatalogError> {
        unimplemented!("{lease:?} {ttl:?}")
    }

    /// Gives it back.
    pub async fn release(&self, lease: &Lease) -> Result<(), CatalogError> {
        unimplemented!("{lease:?}")
    }

    /// Who holds it.
    pub async fn holder(&self, name: &str) -> Result<Option<String>, CatalogError> {
        unimplemented!("{name}")
    }

    /// Live slots of the source: those of the owner, and all of them.
    pub async fn slots_held(&self, source: &str, owner: &str) -> Result<(usize, usize), CatalogError> {
        unimplemented!("{source} {owner}")
    }
}
