//! The lease of an item: claimed newest first, renewed, written to by its owner only, given back.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::checkpoints::close_open;
use super::codes::{READY, capped, millis, now};
use super::items::{COLUMNS, LONGEST_TEXT, item_of};
use super::recalls::Kind;
use super::{Catalog, CatalogError, FLAG_PATIENTS, Item, ItemState, ItemUpdate, recalls};
use crate::db::DbError;
use crate::failpoint;

/// How many items are looked at whose time has come, at each claim. Each claim takes one, so that they never heap up.
const WOKEN_AT_ONCE: i64 = 256;

pub(super) const DUE: &str =
    "SELECT id, owner IS NOT NULL FROM items WHERE job = ?1 AND due <= ?2 ORDER BY due LIMIT ?3";
pub(super) const NEWEST: &str =
    "SELECT rank, study_uid, id FROM items WHERE job = ?1 AND state = ?2 ORDER BY rank, study_uid LIMIT 1";
pub(super) const OF_OWNER: &str = "SELECT id FROM items WHERE owner = ?1";
pub(super) const CLAIMABLE: &str = "SELECT 1 FROM items WHERE job = ?1 AND state IN (0, 9) LIMIT 1";
pub(super) const NEXT_DUE: &str = "SELECT min(due) FROM items WHERE job = ?1 AND due IS NOT NULL";

/// Waiting items whose time has come, and those whose lease ran out, become ready.
fn wake(tx: &Transaction<'_>, job: i64, now: i64) -> Result<(), DbError> {
    let due: Vec<(i64, bool)> = tx
        .prepare_cached(DUE)?
        .query_map(params![job, now, WOKEN_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (item, leased) in due {
        if leased {
            close_open(tx, item, "lost", now)?;
        }
        make_ready(tx, item, now)?;
    }
    Ok(())
}

fn make_ready(tx: &Transaction<'_>, item: i64, now: i64) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE items SET state = ?2, owner = NULL, due = NULL, changed = ?3 WHERE id = ?1")?
        .execute(params![item, READY, now])?;
    Ok(())
}

/// The newest item of the job in a state.
fn first(tx: &Transaction<'_>, job: i64, state: i64) -> Result<Option<(i64, String, i64)>, DbError> {
    Ok(tx
        .prepare_cached(NEWEST)?
        .query_row([job, state], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?)
}

/// Gives back everything that an owner holds.
pub(super) fn release(tx: &Transaction<'_>, owner: &str) -> Result<(), DbError> {
    let now = now();
    let items: Vec<i64> =
        tx.prepare_cached(OF_OWNER)?.query_map([owner], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for item in items {
        close_open(tx, item, "lost", now)?;
        make_ready(tx, item, now)?;
    }
    tx.prepare_cached("UPDATE leases SET until = ?2 WHERE owner = ?1 AND until > ?2")?.execute(params![owner, now])?;
    Ok(())
}

fn take(tx: &Transaction<'_>, id: i64, owner: &str, lease: Duration, now: i64) -> Result<Item, DbError> {
    recalls::answered(tx, id)?;
    let sql = format!(
        "UPDATE items SET state = ?2, owner = ?3, due = ?4, fence = fence + 1, changed = ?5,
            first_pulled = coalesce(first_pulled, ?5)
         WHERE id = ?1 RETURNING {COLUMNS}"
    );
    failpoint!("claim-found");
    let claimed = params![id, ItemState::Pulling, owner, now + millis(lease), now];
    Ok(tx.prepare_cached(&sql)?.query_row(claimed, item_of)?)
}

impl Catalog {
    /// A study that nobody works on: what somebody waits for, what will be needed, else the newest of listed ones, waiting ones whose time has
    /// come, and those whose lease ran out. It is `Pulling` and belongs to the owner for the length of the lease.
    pub async fn claim(&self, job: i64, owner: &str, lease: Duration) -> Result<Option<Item>, CatalogError> {
        let owner = owner.to_owned();
        self.write(move |tx| {
            let now = now();
            wake(tx, job, now)?;
            let id = match recalls::first(tx, job, Kind::Prior)? {
                Some(id) => Some(id),
                None => [first(tx, job, 0)?, first(tx, job, READY)?].into_iter().flatten().min().map(|(_, _, id)| id),
            };
            id.map(|id| take(tx, id, &owner, lease, now)).transpose()
        })
        .await
    }

    /// The same of nothing but what somebody waits for.
    pub async fn claim_recalled(&self, job: i64, owner: &str, lease: Duration) -> Result<Option<Item>, CatalogError> {
        let owner = owner.to_owned();
        self.write(move |tx| {
            recalls::first(tx, job, Kind::Waited)?.map(|id| take(tx, id, &owner, lease, now())).transpose()
        })
        .await
    }

    /// Prolongs the lease; `false` when it is lost.
    pub async fn renew_item(&self, id: i64, fence: i64, lease: Duration) -> Result<bool, CatalogError> {
        self.write(move |tx| {
            let now = now();
            let renewed = tx
                .prepare_cached(
                    "UPDATE items SET due = ?3 WHERE id = ?1 AND fence = ?2 AND owner IS NOT NULL AND due > ?4",
                )?
                .execute(params![id, fence, now + millis(lease), now])?;
            Ok(renewed == 1)
        })
        .await
    }

    /// Writes the end of a step; `false` when the lease is lost, and then nothing is written.
    pub async fn update_item(&self, id: i64, fence: i64, update: ItemUpdate) -> Result<bool, CatalogError> {
        self.write(move |tx| {
            let now = now();
            let keep = update.state.is_leased() && !update.release;
            // A step that is given back before its end waits for whoever claims it next.
            let state = if update.state.is_leased() && !keep { ItemState::Waiting } else { update.state };
            let due = (state == ItemState::Waiting).then(|| update.due.unwrap_or(now));
            let missing = i64::try_from(update.missing.len()).unwrap_or(i64::MAX);
            let written = tx
                .prepare_cached(
                    "UPDATE items SET state = ?3, attempt = ?4, evidence = ?5, reason = ?6, detail = ?7,
                        listed = coalesce(?8, listed), filed = coalesce(?9, filed),
                        listing_digest = coalesce(?10, listing_digest), missing = ?11, changed = ?12,
                        due = CASE WHEN ?13 THEN due ELSE ?14 END, owner = CASE WHEN ?13 THEN owner END
                     WHERE id = ?1 AND fence = ?2 AND owner IS NOT NULL AND due > ?12",
                )?
                .execute(params![
                    id,
                    fence,
                    state,
                    update.attempt,
                    update.evidence,
                    update.reason,
                    capped(&update.detail, LONGEST_TEXT * 4),
                    update.listed,
                    update.filed,
                    update.listing_digest,
                    missing,
                    now,
                    keep,
                    due,
                ])?;
            if written == 0 {
                return Ok(false);
            }
            failpoint!("item-written");
            if !keep {
                close_open(tx, id, "ended", now)?;
                tell_of_patients(tx, id, now)?;
            }
            tx.prepare_cached("DELETE FROM missing WHERE item = ?1")?.execute([id])?;
            let mut insert = tx.prepare_cached(
                "INSERT INTO missing (item, uid, series_uid) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?;
            for (series, instance) in &update.missing {
                insert.execute(params![id, instance.as_str(), series.as_str()])?;
            }
            Ok(true)
        })
        .await
    }

    /// Gives back everything that a stopping process holds: its items can be claimed at once, its leases are free.
    pub async fn release_owner(&self, owner: &str) -> Result<(), CatalogError> {
        let owner = owner.to_owned();
        self.write(move |tx| release(tx, &owner)).await
    }

    /// When the next waiting or leased item of the job falls due; now or earlier, if one can be claimed.
    pub async fn next_due(&self, job: i64) -> Result<Option<i64>, CatalogError> {
        self.read(move |c| {
            if c.prepare_cached(CLAIMABLE)?.exists([job])? {
                return Ok(Some(now()));
            }
            Ok(c.prepare_cached(NEXT_DUE)?.query_row([job], |row| row.get(0))?)
        })
        .await
    }
}

/// Objects of several patients in one study are kept as they are, and somebody has to look at them.
fn tell_of_patients(tx: &Transaction<'_>, item: i64, now: i64) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO job_notes (job, at, kind, text)
         SELECT i.job, ?2, 'several patients', 'the objects of study ' || s.uid || ' name more than one Patient ID'
         FROM items i JOIN studies s ON s.uid = i.study_uid WHERE i.id = ?1 AND s.flags & ?3
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![item, now, FLAG_PATIENTS])?;
    Ok(())
}
