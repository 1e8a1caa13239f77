//! Sending the audit trail to a collector, in order, from where it was left; and forgetting what is old.
//!
//! Syslog has no answers. An entry counts as sent when the connection has outlived it by a few seconds, or was closed in
//! peace; after a break what may be lost is sent again, so that an entry may come twice but never be missing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::collector::{self, Connection};
use super::{now, syslog};
use crate::catalog::{Catalog, CatalogError};
use crate::config::{Collector, Config};

/// Entries that are read and written at once.
const PAGE: usize = 64;
/// How often to look for new entries.
const POLL: Duration = Duration::from_millis(500);
/// How long a connection must have outlived what was written to it.
const PROOF: Duration = Duration::from_secs(3);
/// How long writing may take, or closing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pauses before a collector is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often it is said again that a collector is away.
const REMIND: Duration = Duration::from_secs(10 * 60);
/// How often old entries are forgotten.
const FORGET: Duration = Duration::from_secs(10 * 60);

/// Sends the audit trail, and keeps it within its bounds. One process at a time does that.
pub struct Delivery {
    /// Where the audit trail is.
    pub catalog: Catalog,
    /// Which collector there is, if any; it may change while running.
    pub config: watch::Receiver<Arc<Config>>,
}

/// Why sending ended.
enum End {
    /// It was told to stop, or to use another collector.
    Asked,
    /// The collector is away.
    Lost(std::io::Error),
}

impl Delivery {
    /// Until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let forgetting = forget(self.catalog.clone(), self.config.clone(), stop.clone());
        tokio::join!(forgetting, self.deliver(&stop));
    }

    async fn deliver(&mut self, stop: &CancellationToken) {
        let (mut pause, mut said) = (PAUSES.0, None::<Instant>);
        while !stop.is_cancelled() {
            let Some(collector) = self.config.borrow_and_update().audit.collector.clone() else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = self.config.changed() => if changed.is_err() { return stop.cancelled().await },
                }
                continue;
            };
            let begun = Instant::now();
            let end = match self.send(&collector, stop).await {
                Ok(end) => end,
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "the audit trail cannot be read to be sent");
                    End::Asked
                }
            };
            if let End::Lost(error) = end {
                if begun.elapsed() > PAUSES.1 {
                    (pause, said) = (PAUSES.0, None);
                }
                if said.is_none_or(|at| at.elapsed() > REMIND) {
                    let address = &collector.address;
                    warn!(%address, %error, "the audit trail waits: its collector cannot be reached");
                    said = Some(Instant::now());
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Sends entries on one connection as long as that holds.
    async fn send(&mut self, collector: &Collector, stop: &CancellationToken) -> Result<End, CatalogError> {
        let connecting = tokio::select! {
            () = stop.cancelled() => return Ok(End::Asked),
            connected = tokio::time::timeout(PATIENCE, collector::connect(collector)) => connected,
        };
        let connection = match connecting {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Ok(End::Lost(error)),
            Err(_) => return Ok(End::Lost(std::io::ErrorKind::TimedOut.into())),
        };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut sent = self.catalog.audit_sent().await?;
        info!(address = %collector.address, after = sent, "the audit trail is sent to its collector");
        // What was written, and when: not yet proven to have arrived.
        let mut open: VecDeque<(Instant, i64)> = VecDeque::new();
        let (mut reading, mut writing) = tokio::io::split(connection);
        let mut ignored = [0; 256];
        loop {
            let proven = open.iter().take_while(|(at, _)| at.elapsed() > PROOF).count();
            if let Some((_, id)) = open.drain(..proven).next_back() {
                self.catalog.set_audit_sent(id).await?;
            }
            let page = self.catalog.audit_after(sent, PAGE).await?;
            if let Some(last) = page.last() {
                let mut frames = Vec::with_capacity(page.len() * 2048);
                page.iter().for_each(|entry| syslog::frame(entry, &host, &mut frames));
                if let Err(error) = write(&mut writing, &frames).await {
                    return Ok(End::Lost(error));
                }
                sent = last.id;
                open.push_back((Instant::now(), sent));
            }
            let wait = if page.len() < PAGE { POLL } else { Duration::ZERO };
            tokio::select! {
                biased;
                // A collector has nothing to say: it is gone, or what it says is passed over.
                read = reading.read(&mut ignored) => match read {
                    Ok(0) => return Ok(End::Lost(std::io::ErrorKind::ConnectionReset.into())),
                    Ok(_) => {}
                    Err(error) => return Ok(End::Lost(error)),
                },
                () = stop.cancelled() => break,
                changed = self.config.changed() => {
                    let other = self.config.borrow_and_update().audit.collector.as_ref() != Some(collector);
                    if changed.is_err() || other {
                        break;
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        if !open.is_empty() && farewell(reading.unsplit(writing)).await {
            self.catalog.set_audit_sent(sent).await?;
        }
        Ok(End::Asked)
    }
}

async fn write(writing: &mut (impl AsyncWriteExt + Unpin), frames: &[u8]) -> std::io::Result<()> {
    let all = async {
        writing.write_all(frames).await?;
        writing.flush().await
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// Closes our side; whether the collector closed its own in peace, having read all there was.
async fn farewell(mut connection: Connection) -> bool {
    let closing = async {
        connection.shutdown().await?;
        let mut ignored = [0; 256];
        while connection.read(&mut ignored).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    matches!(tokio::time::timeout(PROOF, closing).await, Ok(Ok(())))
}

/// Forgets what is too old or too much, again and again.
async fn forget(catalog: Catalog, config: watch::Receiver<Arc<Config>>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let audit = config.borrow().audit.clone();
        let keep = i64::try_from(audit.keep.as_millis()).unwrap_or(i64::MAX);
        let (mut entries, mut unsent) = (0, 0);
        loop {
            match catalog.forget_audit(now().saturating_sub(keep), audit.most).await {
                Ok(gone) if gone.entries > 0 => {
                    entries += gone.entries;
                    unsent += gone.unsent;
                }
                Ok(_) => break,
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "old entries of the audit trail cannot be forgotten"
                    );
                    break;
                }
            }
        }
        if unsent > 0 && audit.collector.is_some() {
            error!(
                entries,
                unsent,
                "entries of the audit trail were forgotten before its collector had them: see [audit] keep and most"
            );
        } else if entries > 0 {
            info!(entries, "entries of the audit trail were forgotten");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FORGET) => {}
        }
    }
}

#[cfg(test)]
mod tests;
