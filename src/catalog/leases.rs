//! Leases by name: what several processes share and only one, or a limited number, may hold.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::codes::{millis, now, size};
use super::{Catalog, CatalogError};
use crate::db::DbError;

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

/// How long a lease that has run out is remembered.
const FORGOTTEN_AFTER_MS: i64 = 7 * 24 * 3600 * 1000;

/// What slots of a source are called.
fn slots_of(source: &str) -> String {
    format!("slot/{source}")
}

/// Writes the lease. The fence grows even when the row of the last holder has been forgotten.
fn take(
    tx: &Transaction<'_>,
    name: String,
    slot: u32,
    owner: String,
    ttl: Duration,
    now: i64,
) -> Result<Lease, DbError> {
    let fence = tx
        .prepare_cached(
            "INSERT INTO leases (name, slot, owner, fence, until) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET owner = excluded.owner, fence = max(fence + 1, excluded.fence), until = excluded.until
             RETURNING fence",
        )?
        .query_row(params![name, slot, owner, now, now + millis(ttl)], |row| row.get(0))?;
    Ok(Lease { name, slot, owner, fence })
}

impl Catalog {
    /// Takes what is free, has run out, or is held by the same owner.
    pub async fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>, CatalogError> {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        self.write(move |tx| {
            let now = now();
            tx.prepare_cached("DELETE FROM leases WHERE until < ?1")?.execute([now - FORGOTTEN_AFTER_MS])?;
            let held = tx
                .prepare_cached("SELECT 1 FROM leases WHERE name = ?1 AND slot = 0 AND until > ?2 AND owner <> ?3")?
                .exists(params![name, now, owner])?;
            if held { Ok(None) } else { take(tx, name, 0, owner, ttl, now).map(Some) }
        })
        .await
    }

    /// Takes one of the source's association slots. Never are there more than `limit` that have not run out, all
    /// processes together.
    pub async fn acquire_slot(
        &self,
        source: &str,
        limit: u32,
        owner: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, CatalogError> {
        let (name, owner) = (slots_of(source), owner.to_owned());
        self.write(move |tx| {
            let now = now();
            let live: Vec<u32> = tx
                .prepare_cached("SELECT slot FROM leases WHERE name = ?1 AND until > ?2 ORDER BY slot")?
                .query_map(params![name, now], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if live.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(None);
            }
            let Some(free) = (0..u32::MAX).find(|slot| !live.contains(slot)) else { return Ok(None) };
            take(tx, name, free, owner, ttl, now).map(Some)
        })
        .await
    }

    /// Prolongs it; `false` when it has run out or somebody else holds it.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, CatalogError> {
        let lease = lease.clone();
        self.write(move |tx| {
            let now = now();
            let renewed = tx
                .prepare_cached(
                    "UPDATE leases SET until = ?5 WHERE name = ?1 AND slot = ?2 AND owner = ?3 AND fence = ?4 AND until > ?6",
                )?
                .execute(params![lease.name, lease.slot, lease.owner, lease.fence, now + millis(ttl), now])?;
            Ok(renewed == 1)
        })
        .await
    }

    /// Gives it back.
    pub async fn release(&self, lease: &Lease) -> Result<(), CatalogError> {
        let lease = lease.clone();
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE leases SET until = ?5 WHERE name = ?1 AND slot = ?2 AND owner = ?3 AND fence = ?4",
            )?
            .execute(params![lease.name, lease.slot, lease.owner, lease.fence, now()])?;
            Ok(())
        })
        .await
    }

    /// Who holds it.
    pub async fn holder(&self, name: &str) -> Result<Option<String>, CatalogError> {
        let name = name.to_owned();
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT owner FROM leases WHERE name = ?1 AND slot = 0 AND until > ?2")?
                .query_row(params![name, now()], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    /// Live slots of the source: those of the owner, and all of them.
    pub async fn slots_held(&self, source: &str, owner: &str) -> Result<(usize, usize), CatalogError> {
        let (name, owner) = (slots_of(source), owner.to_owned());
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT count(*) FILTER (WHERE owner = ?2), count(*) FROM leases WHERE name = ?1 AND until > ?3",
            )?
            .query_row(params![name, owner, now()], |row| Ok((size(row.get(0)?), size(row.get(1)?))))?)
        })
        .await
    }
}
