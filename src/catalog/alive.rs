//! Which owners of leases are still alive: each holds a lock as long as its process lives, and the system gives it up
//! when it is killed. SQLite's shared memory binds all of them to one machine, so that nobody's lock is out of sight.

use super::claim::release;
use super::codes::now;
use super::{Catalog, CatalogError};
use crate::db::{DbError, Locks};

/// The sign of life of an owner. Dropped, or with its process, it is gone.
#[derive(Debug)]
pub struct SignOfLife {
    _locks: Locks,
}

fn name_of(owner: &str) -> String {
    format!("owner/{owner}")
}

impl Catalog {
    /// Shows that the owner of that name lives, as long as what is given back does.
    pub fn sign_of_life(&self, owner: &str) -> Result<SignOfLife, CatalogError> {
        let locks = self.db.locks()?;
        if locks.try_lock(&name_of(owner))? {
            Ok(SignOfLife { _locks: locks })
        } else {
            Err(CatalogError::OwnerTaken(owner.to_owned()))
        }
    }

    /// Takes from owners that show no sign of life what their leases still hold: nobody need wait until it runs out.
    /// Says who they were. One that lives and stands still keeps its leases until they do.
    pub async fn release_dead(&self) -> Result<Vec<String>, CatalogError> {
        let owners: Vec<String> = self
            .read(|c| {
                let mut statement = c.prepare_cached(HOLDERS)?;
                Ok(statement.query_map([now()], |row| row.get(0))?.collect::<Result<_, _>>()?)
            })
            .await?;
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let locks = self.db.locks()?;
        let mut dead = Vec::new();
        for owner in owners {
            let name = name_of(&owner);
            if !locks.try_lock(&name)? {
                continue;
            }
            self.write({
                let owner = owner.clone();
                move |tx| release(tx, &owner)
            })
            .await?;
            locks.unlock(&name)?;
            dead.push(owner);
        }
        Ok(dead)
    }
}

pub(super) const HOLDERS: &str =
    "SELECT owner FROM leases WHERE until > ?1 UNION SELECT owner FROM items WHERE owner IS NOT NULL";

/// Whether an owner shows no sign of life. Nothing is held after that.
pub(super) fn is_dead(locks: &Locks, owner: &str) -> Result<bool, DbError> {
    let name = name_of(owner);
    let dead = locks.try_lock(&name)?;
    if dead {
        locks.unlock(&name)?;
    }
    Ok(dead)
}
