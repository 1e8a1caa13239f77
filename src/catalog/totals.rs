//! How far a job is, from kept counts: flat, however many studies it has.

use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension, params};

use super::codes::{READY, millis, now, unsigned};
use super::items::{COLUMNS, item_of};
use super::{Catalog, CatalogError, Item, ItemState, OrderKey};
use crate::db::DbError;

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
    /// Arrived again although a person has moved or hidden them; nothing was filed.
    pub already_moved: u64,
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

/// For how long it is remembered what arrived when.
pub(super) const REMEMBERED_SECONDS: i64 = 600;

impl Catalog {
    /// How far the job is.
    pub async fn totals(&self, job: i64) -> Result<Totals, CatalogError> {
        self.read(move |c| {
            let mut totals = objects(c, job)?;
            let items = &mut totals.items;
            let mut statement = c.prepare_cached("SELECT state, items FROM job_states WHERE job = ?1")?;
            let mut rows = statement.query([job])?;
            while let Some(row) = rows.next()? {
                let number = unsigned(row.get(1)?);
                items.total += number;
                *match row.get(0)? {
                    ItemState::Listed => &mut items.listed,
                    ItemState::Pulling => &mut items.pulling,
                    ItemState::Verifying => &mut items.verifying,
                    ItemState::Waiting => &mut items.waiting,
                    ItemState::Proven => &mut items.proven,
                    ItemState::Partial => &mut items.partial,
                    ItemState::Failed => &mut items.failed,
                    ItemState::Excluded => &mut items.excluded,
                    ItemState::Cancelled => &mut items.cancelled,
                } += number;
            }
            Ok(totals)
        })
        .await
    }

    /// The study date (as YYYYMMDD, empty if unknown) of the newest item that is pending.
    pub async fn newest_pending(&self, job: i64) -> Result<Option<String>, CatalogError> {
        self.read(move |c| {
            let mut newest: Option<(i64, String)> = None;
            for state in [0, 1, 2, 3, READY] {
                let first = c
                    .prepare_cached(
                        "SELECT rank, study_date FROM items WHERE job = ?1 AND state = ?2 ORDER BY rank, study_uid LIMIT 1",
                    )?
                    .query_row([job, state], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                newest = [newest, first].into_iter().flatten().min();
            }
            Ok(newest.map(|(_, date)| date))
        })
        .await
    }

    /// Objects and bytes that arrived for the job within the last while (ten minutes are kept).
    pub async fn throughput(&self, job: i64, last: Duration) -> Result<(u64, u64), CatalogError> {
        self.read(move |c| {
            let since = (now() - millis(last)) / 1000;
            Ok(c.prepare_cached(
                "SELECT coalesce(sum(objects), 0), coalesce(sum(bytes), 0) FROM throughput WHERE job = ?1 AND second > ?2",
            )?
            .query_row([job, since], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?)
        })
        .await
    }

    /// A page of the job's items in these states (all states when there are none), newest first, after a place in that order.
    pub async fn items(
        &self,
        job: i64,
        states: &[ItemState],
        after: Option<OrderKey>,
        limit: usize,
    ) -> Result<Vec<Item>, CatalogError> {
        let states = if states.is_empty() { ItemState::ALL.to_vec() } else { states.to_vec() };
        self.read(move |c| {
            let mut page = Vec::new();
            for state in states {
                read_state(c, job, state.to_sql()?, after.as_ref(), limit, &mut page)?;
                if state == ItemState::Waiting {
                    read_state(c, job, READY.into(), after.as_ref(), limit, &mut page)?;
                }
            }
            page.sort_by_cached_key(Item::order_key);
            page.truncate(limit);
            Ok(page)
        })
        .await
    }
}

pub(super) fn page_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM items WHERE job = ?1 AND state = ?2 AND (rank, study_uid) > (?3, ?4)
         ORDER BY rank, study_uid LIMIT ?5"
    )
}

/// The next items of one state: one range of one index.
fn read_state(
    c: &Connection,
    job: i64,
    state: ToSqlOutput<'_>,
    after: Option<&OrderKey>,
    limit: usize,
    page: &mut Vec<Item>,
) -> Result<(), DbError> {
    let (rank, uid) = after.map_or((i64::MIN, ""), |key| (key.rank, key.study_uid.as_str()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    for item in c.prepare_cached(&page_sql())?.query_map(params![job, state, rank, uid, limit], item_of)? {
        page.push(item?);
    }
    Ok(())
}

/// Kept among the duplicates of items and jobs.
pub(super) const MOVED: &str = "SELECT
    (SELECT count(*) FROM receipts r CROSS JOIN items i ON i.id = r.item WHERE r.outcome = 4 AND i.job = ?1)
    + (SELECT count(*) FROM import_files WHERE state = 14 AND item IS NOT NULL AND job = ?1)";

fn objects(c: &Connection, job: i64) -> Result<Totals, DbError> {
    let moved: u64 = unsigned(c.prepare_cached(MOVED)?.query_row([job], |row| row.get(0))?);
    let found = c
        .prepare_cached(
            "SELECT listed, filed, duplicate, variant, collision, quarantined, bytes, proven_by_count FROM jobs WHERE id = ?1",
        )?
        .query_row([job], |row| {
            let number = |column| row.get(column).map(unsigned);
            Ok(Totals {
                objects: ObjectTotals {
                    listed: number(0)?,
                    filed: number(1)?,
                    duplicate: number(2)?.saturating_sub(moved),
                    already_moved: moved,
                    variant: number(3)?,
                    collision: number(4)?,
                    quarantined: number(5)?,
                },
                bytes: number(6)?,
                items: ItemTotals { proven_by_count: number(7)?, ..ItemTotals::default() },
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}
