//! SQLite, knowing no table.
use std::sync::Arc;
use crate::object::Disposition;

/// One database.
#[derive(Clone)]
pub struct Db;

/// Why the database refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// SQLite said so.
    #[error("the catalog refused a statement")]
    Sqlite(#[source] Arc<rusqlite::Error>),
}

impl DbError {
    /// What it means for the work at hand.
    pub fn disposition(&self) -> Disposition {
        Disposition::Halt
    }
}
