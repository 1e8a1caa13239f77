//! An association slot of a source for a command that asks it something.

use super::{Failure, open};
use crate::config::{Config, Source};
pub(super) use crate::job::slot::Slot;

/// Waits for a slot, with the words for why there is none.
pub(super) async fn take(config: &Config, source: &Source) -> Result<Slot, Failure> {
    let slot = Slot::take(open::catalog_if_any(config)?, source).await;
    slot.map_err(|error| Failure::from_error("", &error, error.remedy()))
}
