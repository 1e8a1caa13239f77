//! Leases held by this process, and the one task that prolongs them.
//!
//! What is held can be lost: to the clock, when the process was stopped for longer than a lease lasts, or to the
//! operator. Whoever works under a lease watches [`Held::lost`] and stops at once; the fencing number refuses what a
//! latecomer still writes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::catalog::{Catalog, CatalogError, Item, Lease, SignOfLife};

/// How long a lease lasts: what others wait for when a process stands still. One that is gone is noticed at once.
pub const LEASE: Duration = Duration::from_secs(12);
const RENEWAL: Duration = Duration::from_secs(3);

/// Prolongs what this process holds.
#[derive(Clone)]
pub struct Keeper {
    catalog: Catalog,
    owner: Arc<str>,
    /// Others can tell that this process lives.
    _alive: Arc<SignOfLife>,
    kept: Arc<Mutex<HashMap<u64, Kept>>>,
    next: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Kept {
    what: What,
    lost: CancellationToken,
    renewed: Instant,
}

#[derive(Clone)]
enum What {
    Lease(Lease),
    Item { id: i64, fence: i64 },
}

/// Something that is held until it is given back, dropped (then its time runs out), or lost.
pub struct Held {
    key: u64,
    keeper: Keeper,
    lost: CancellationToken,
    slot: u32,
}

impl Keeper {
    /// For the owner of that name, which no other process has.
    pub fn new(catalog: Catalog, owner: &str) -> Result<Self, CatalogError> {
        let _alive = Arc::new(catalog.sign_of_life(owner)?);
        Ok(Keeper { catalog, owner: owner.into(), _alive, kept: Arc::default(), next: Arc::default() })
    }

    /// Frees what processes hold that are gone.
    pub async fn bury(&self) {
        match self.catalog.release_dead().await {
            Ok(dead) => {
                for process in dead {
                    info!(process, "a process is gone; what it held is free");
                }
            }
            // What it held runs out by itself.
            Err(error) => warn!(%error, "cannot look for processes that are gone"),
        }
    }

    /// The name under which this process holds things.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Prolongs everything until it is told to stop, and frees what dead processes hold.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            self.bury().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RENEWAL) => {}
            }
            let all: Vec<(u64, Kept)> = self.lock().iter().map(|(key, kept)| (*key, kept.clone())).collect();
            for (key, kept) in all {
                self.renew(key, kept).await;
            }
        }
    }

    async fn renew(&self, key: u64, kept: Kept) {
        let renewed = match &kept.what {
            What::Lease(lease) => self.catalog.renew(lease, LEASE).await,
            What::Item { id, fence } => self.catalog.renew_item(*id, *fence, LEASE).await,
        };
        match renewed {
            Ok(true) => {
                if let Some(kept) = self.lock().get_mut(&key) {
                    kept.renewed = Instant::now();
                }
            }
            Ok(false) => {
                if self.lock().remove(&key).is_some() {
                    kept.lost.cancel();
                }
            }
            Err(error) => {
                warn!(%error, "cannot prolong a lease");
                if kept.renewed.elapsed() > LEASE && self.lock().remove(&key).is_some() {
                    kept.lost.cancel();
                }
            }
        }
    }

    /// Takes the lease of that name, if it is free.
    pub async fn acquire(&self, name: &str) -> Result<Option<Held>, CatalogError> {
        Ok(self.catalog.acquire(name, &self.owner, LEASE).await?.map(|lease| self.keep_lease(lease)))
    }

    /// Takes one of the association slots of a source, if fewer than `limit` are taken by all processes together.
    pub async fn slot(&self, source: &str, limit: usize) -> Result<Option<Held>, CatalogError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let lease = self.catalog.acquire_slot(source, limit, &self.owner, LEASE).await?;
        Ok(lease.map(|lease| self.keep_lease(lease)))
    }

    /// Claims what somebody waits for, or else, unless that is all that it is for, the newest study of a job that nobody
    /// works on.
    pub async fn claim(&self, job: i64, reserved: bool) -> Result<Option<(Item, Held)>, CatalogError> {
        let item = match reserved {
            true => self.catalog.claim_recalled(job, &self.owner, LEASE).await?,
            false => self.catalog.claim(job, &self.owner, LEASE).await?,
        };
        Ok(item.map(|item| {
            let held = self.keep(What::Item { id: item.id, fence: item.fence }, 0);
            (item, held)
        }))
    }

    fn keep_lease(&self, lease: Lease) -> Held {
        let slot = lease.slot;
        self.keep(What::Lease(lease), slot)
    }

    fn keep(&self, what: What, slot: u32) -> Held {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        let lost = CancellationToken::new();
        self.lock().insert(key, Kept { what, lost: lost.clone(), renewed: Instant::now() });
        Held { key, keeper: self.clone(), lost, slot }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Cancelled when it is lost.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Which of several slots it is, from 0.
    pub fn slot(&self) -> usize {
        usize::try_from(self.slot).unwrap_or(usize::MAX)
    }

    /// Gives a lease back at once. An item is given back by its last update instead.
    pub async fn release(self) {
        let kept = self.keeper.lock().remove(&self.key);
        if let Some(Kept { what: What::Lease(lease), .. }) = kept
            && let Err(error) = self.keeper.catalog.release(&lease).await
        {
            // It runs out by itself.
            warn!(%error, lease = lease.name, "cannot give a lease back");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keeper.lock().remove(&self.key);
    }
}
