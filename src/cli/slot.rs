//! An association slot of a source for a command that asks it something: the source's limit holds over all processes,
//! and a query by hand is no exception.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Failure, open};
use crate::config::{Config, Source};
use crate::job::keeper::{Held, Keeper};

/// How long a free slot is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A slot that is held and prolonged.
pub(super) struct Slot {
    held: Option<Held>,
    stop: CancellationToken,
}

impl Slot {
    /// Waits for a slot. Where there is no catalog there is nobody to share the source with.
    pub(super) async fn take(config: &Config, source: &Source) -> Result<Slot, Failure> {
        let stop = CancellationToken::new();
        let limit = source.limits_at(&jiff::Zoned::now()).associations;
        if limit == 0 {
            return Err(Failure::new(
                format!("{} is closed at this hour", source.name),
                "its `hours` in the configuration give it no associations now",
            ));
        }
        let Some(catalog) = open::catalog_if_any(config)? else {
            return Ok(Slot { held: None, stop });
        };
        let keeper = Keeper::new(catalog, &crate::node::process_name())?;
        keeper.bury().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(held) = keeper.slot(&source.name, limit).await? {
                let (renewer, until) = (keeper.clone(), stop.clone());
                tokio::spawn(async move { renewer.run(until).await });
                return Ok(Slot { held: Some(held), stop });
            }
            if Instant::now() > deadline {
                return Err(Failure::new(
                    format!("all {limit} associations that {} allows are in use", source.name),
                    "wait until the worker leaves one, pause its job, or raise `associations` in the configuration",
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Gives it back.
    pub(super) async fn release(self) {
        if let Some(held) = self.held {
            held.release().await;
        }
        self.stop.cancel();
    }
}
