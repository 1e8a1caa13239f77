//! How much is held, at a cost that does not grow with it.

use super::codes::unsigned;
use super::{Catalog, CatalogError};

/// How much was ever recorded: the highest number of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Studies, those included of which only receipts are known.
    pub studies: u64,
    /// Instances.
    pub instances: u64,
    /// Objects put into quarantine.
    pub quarantined: u64,
}

impl Catalog {
    /// How much was ever recorded.
    pub async fn figures(&self) -> Result<Figures, CatalogError> {
        self.read(|c| {
            let highest = |sql: &str| -> Result<u64, rusqlite::Error> {
                Ok(unsigned(c.prepare_cached(sql)?.query_row([], |row| row.get(0))?))
            };
            Ok(Figures {
                studies: highest("SELECT coalesce(max(id), 0) FROM studies")?,
                instances: highest("SELECT coalesce(max(id), 0) FROM instances")?,
                quarantined: highest("SELECT coalesce(max(id), 0) FROM quarantine")?,
            })
        })
        .await
    }

    /// Whether the catalog can be written now: takes the right to write, and gives it back.
    pub async fn check_writable(&self) -> Result<(), CatalogError> {
        self.write(|_| Ok(())).await
    }
}
