//! The windows of a plan: which parts of the archive have been listed. What their keys mean is the job module's affair.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::codes::{capped, size};
use super::{Catalog, CatalogError};
use crate::db::DbError;

/// What became of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowState {
    /// Not asked yet.
    Pending,
    /// Everything in it is listed.
    Listed,
    /// Its parts are windows of their own.
    Split,
    /// Could not be listed; the detail says why.
    Failed,
}

/// A window of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its number.
    pub id: i64,
    /// Its place in the order of asking; the lowest is asked first.
    pub seq: i64,
    /// What is asked for (JSON of the job module).
    pub keys: String,
    /// What became of it.
    pub state: WindowState,
    /// How many rows came.
    pub answers: Option<u32>,
    /// Why it was split or failed.
    pub detail: String,
}

const COLUMNS: &str = "id, seq, keys, state, answers, detail";

fn window_of(row: &Row<'_>) -> rusqlite::Result<Window> {
    Ok(Window {
        id: row.get(0)?,
        seq: row.get(1)?,
        keys: row.get(2)?,
        state: row.get(3)?,
        answers: row.get(4)?,
        detail: row.get(5)?,
    })
}

pub(super) fn next_sql() -> String {
    format!("SELECT {COLUMNS} FROM windows WHERE job = ?1 AND state = 0 ORDER BY seq, id LIMIT 1")
}

fn insert(tx: &Transaction<'_>, job: i64, windows: &[(i64, String)]) -> Result<(), DbError> {
    let mut statement = tx.prepare_cached("INSERT INTO windows (job, seq, keys) VALUES (?1, ?2, ?3)")?;
    for (seq, keys) in windows {
        statement.execute(params![job, seq, keys])?;
    }
    Ok(())
}

impl Catalog {
    /// Adds windows to the plan.
    pub async fn add_windows(&self, job: i64, windows: Vec<(i64, String)>) -> Result<(), CatalogError> {
        self.write(move |tx| insert(tx, job, &windows)).await
    }

    /// The pending window that comes first.
    pub async fn next_window(&self, job: i64) -> Result<Option<Window>, CatalogError> {
        self.read(move |c| Ok(c.prepare_cached(&next_sql())?.query_row([job], window_of).optional()?)).await
    }

    /// Says what became of a window, adds its parts, and keeps the plan's state, all at once.
    #[expect(clippy::too_many_arguments, reason = "one transaction, each argument a column")]
    pub async fn finish_window(
        &self,
        job: i64,
        window: i64,
        state: WindowState,
        answers: Option<u32>,
        detail: &str,
        children: Vec<(i64, String)>,
        plan_state: Option<String>,
    ) -> Result<(), CatalogError> {
        let detail = capped(detail, 4000).to_owned();
        self.write(move |tx| {
            tx.prepare_cached("UPDATE windows SET state = ?3, answers = ?4, detail = ?5 WHERE id = ?2 AND job = ?1")?
                .execute(params![job, window, state, answers, detail])?;
            insert(tx, job, &children)?;
            if let Some(plan) = plan_state {
                tx.prepare_cached("UPDATE jobs SET plan = ?2 WHERE id = ?1")?.execute(params![job, plan])?;
            }
            Ok(())
        })
        .await
    }

    /// All windows of the job, in the order of asking.
    pub async fn windows(&self, job: i64) -> Result<Vec<Window>, CatalogError> {
        self.read(move |c| {
            let sql = format!("SELECT {COLUMNS} FROM windows WHERE job = ?1 ORDER BY seq, id");
            Ok(c.prepare_cached(&sql)?.query_map([job], window_of)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// How many windows are pending, and how many there are.
    pub async fn window_counts(&self, job: i64) -> Result<(usize, usize), CatalogError> {
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT count(*) FILTER (WHERE state = 0), count(*) FROM windows WHERE job = ?1")?
                .query_row([job], |row| Ok((size(row.get(0)?), size(row.get(1)?))))?)
        })
        .await
    }
}
