//! A configured source at the other end of an association, whichever port it came to.

use std::net::SocketAddr;
use std::sync::Arc;

use super::gate::{Gate, Gates};
use crate::config::{Config, Source};

/// The source that is at the other end.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Its name in the configuration.
    pub name: String,
    /// What holds for it in this process.
    pub gate: Arc<Gate>,
}

impl Sender {
    /// The sender of an association, if it is a source.
    pub(super) fn of(config: &Config, gates: &Gates, address: SocketAddr, calling: &str) -> Option<Self> {
        let name = source_of(config, address, calling)?.name.clone();
        Some(Sender { gate: gates.of(&name), name })
    }

    /// Resolves when the source is stopped.
    pub(super) async fn stopped(&self) {
        let mut stopped = self.gate.stopped();
        // The gate lives as long as the sender, so that the wait cannot fail.
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The source that an association belongs to: by address, and by AE title where several sources share an address.
pub(super) fn source_of<'a>(config: &'a Config, address: SocketAddr, calling: &str) -> Option<&'a Source> {
    let mut there = config.sources.iter().filter(|source| source.may_send_from(address.ip()));
    let first = there.clone().next();
    there.find(|source| source.ae_title.as_str().eq_ignore_ascii_case(calling)).or(first)
}
