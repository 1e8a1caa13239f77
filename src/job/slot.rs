//! An association slot of a source for somebody who asks it something by hand: the source's limit holds over all processes, and
//! a question by hand is no exception.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::keeper::{Held, Keeper};
use super::process_name;
use crate::catalog::{Catalog, CatalogError};
use crate::config::Source;

/// How long a free slot is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// Its hours allow no association now.
    #[error("{0} is closed at this hour")]
    Closed(String),
    /// Others have all of them.
    #[error("all {limit} associations that {source_name} allows are in use")]
    Busy {
        /// How many it allows.
        limit: usize,
        /// Which source.
        source_name: String,
    },
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl SlotError {
    /// What the administrator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            SlotError::Closed(_) => "its `hours` in the configuration give it no associations now",
            SlotError::Busy { .. } => {
                "wait until the worker leaves one, pause its job, or raise `associations` in the configuration"
            }
            SlotError::Catalog(_) => "`pacsferry check` looks for the cause",
        }
    }
}

/// A slot that is held and prolonged.
pub struct Slot {
    held: Option<Held>,
    stop: CancellationToken,
}

impl Slot {
    /// Waits for a slot. Where there is no catalog there is nobody to share the source with.
    pub async fn take(catalog: Option<Catalog>, source: &Source) -> Result<Slot, SlotError> {
        let stop = CancellationToken::new();
        let limit = source.limits_at(&jiff::Zoned::now()).associations;
        if limit == 0 {
            return Err(SlotError::Closed(source.name.clone()));
        }
        let Some(catalog) = catalog else { return Ok(Slot { held: None, stop }) };
        let keeper = Keeper::new(catalog, &process_name())?;
        keeper.bury().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(held) = keeper.slot(&source.name, limit).await? {
                let (renewer, until) = (keeper.clone(), stop.clone());
                tokio::spawn(async move { renewer.run(until).await });
                return Ok(Slot { held: Some(held), stop });
            }
            if Instant::now() > deadline {
                return Err(SlotError::Busy { limit, source_name: source.name.clone() });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Gives it back.
    pub async fn release(self) {
        if let Some(held) = self.held {
            held.release().await;
        }
        self.stop.cancel();
    }
}
