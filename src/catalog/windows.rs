//! The windows of a plan: which parts of the archive have been listed. What their keys mean is the job module's affair.

use super::{Catalog, CatalogError};

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

impl Catalog {
    /// Adds windows to the plan.
    pub async fn add_windows(&self, job: i64, windows: Vec<(i64, String)>) -> Result<(), CatalogError> {
        unimplemented!("{job} {}", windows.len())
    }

    /// The pending window that comes first.
    pub async fn next_window(&self, job: i64) -> Result<Option<Window>, CatalogError> {
        unimplemented!("{job}")
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
        unimplemented!("{job} {window} {state:?} {answers:?} {detail} {children:?} {plan_state:?}")
    }

    /// All windows of the job, in the order of asking.
    pub async fn windows(&self, job: i64) -> Result<Vec<Window>, CatalogError> {
        unimplemented!("{job}")
    }

    /// How many windows are pending, and how many there are.
    pub async fn window_counts(&self, job: i64) -> Result<(usize, usize), CatalogError> {
        unimplemented!("{job}")
    }
}
