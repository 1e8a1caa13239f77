//! The retrieve log, written beside the retrieves: which node got objects of which series, and under which identity. A
//! retrieve hands over what it has sent a few times a second and does not wait for the disk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::catalog::{Catalog, Left, ShownAs};

/// Batches that may wait for the catalog.
const QUEUE: usize = 256;
/// The most that go into one transaction.
const BATCH: usize = 64;
/// How long a retrieve keeps to itself what it has sent, and of how many series.
const KEPT: (Duration, usize) = (Duration::from_millis(250), 256);
/// Pauses before the catalog is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Where retrieves tell what has left. A clone is another handle.
#[derive(Debug, Clone)]
pub struct Departures(mpsc::Sender<Vec<Left>>);

impl Departures {
    /// The log of this process, and what writes it until it is told to stop; what was told by then is written.
    pub fn new(catalog: Catalog, stop: CancellationToken) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, batches) = mpsc::channel(QUEUE);
        (Departures(sender), record(catalog, batches, stop))
    }

    /// What one node takes in one retrieve; whether it is told of corrections.
    pub fn to(&self, peer: &str, corrected: bool) -> Leaving {
        Leaving { log: self.clone(), peer: peer.to_owned(), corrected, series: BTreeMap::new(), told: None }
    }
}

/// What a node has taken and the log does not know yet. Dropped, it tells.
#[derive(Debug)]
pub struct Leaving {
    log: Departures,
    peer: String,
    corrected: bool,
    series: BTreeMap<ShownAs, Left>,
    told: Option<Instant>,
}

impl Leaving {
    /// The node has taken an object.
    pub fn taken(&mut self, shown: ShownAs) {
        let now = jiff::Timestamp::now().as_millisecond();
        let (peer, corrected) = (&self.peer, self.corrected);
        let new = || Left { peer: peer.clone(), shown, first: now, last: now, instances: 0, corrected };
        let left = self.series.entry(shown).or_insert_with(new);
        left.last = now;
        left.instances += 1;
    }

    /// Tells the log, if it is time: of the first object at once.
    pub async fn tell_if_due(&mut self) {
        let due = self.told.is_none_or(|told| told.elapsed() >= KEPT.0) || self.series.len() >= KEPT.1;
        if due && !self.series.is_empty() {
            self.tell().await;
        }
    }

    /// Tells the log. It waits only when the catalog has not been able to write for long.
    pub async fn tell(&mut self) {
        self.told = Some(Instant::now());
        let batch: Vec<Left> = std::mem::take(&mut self.series).into_values().collect();
        if !batch.is_empty() && self.log.0.send(batch).await.is_err() {
            error!(peer.ae = self.peer, "what a node took came too late for the retrieve log: the node has stopped");
        }
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let batch: Vec<Left> = std::mem::take(&mut self.series).into_values().collect();
        if !batch.is_empty() && self.log.0.try_send(batch).is_err() {
            error!(
                peer.ae = self.peer,
                "what a node took is missing in the retrieve log: the catalog could not take it"
            );
        }
    }
}

async fn record(catalog: Catalog, mut batches: mpsc::Receiver<Vec<Left>>, stop: CancellationToken) {
    let mut received = Vec::with_capacity(BATCH);
    loop {
        let more = tokio::select! {
            biased;
            count = batches.recv_many(&mut received, BATCH) => count > 0,
            () = stop.cancelled() => false,
        };
        if !more {
            break;
        }
        write(&catalog, merged(received.drain(..)), &stop).await;
    }
    batches.close();
    while batches.recv_many(&mut received, BATCH).await > 0 {
        write(&catalog, merged(received.drain(..)), &stop).await;
    }
}

/// One row for each node and series.
fn merged(batches: impl Iterator<Item = Vec<Left>>) -> Vec<Left> {
    let mut rows: BTreeMap<(String, ShownAs), Left> = BTreeMap::new();
    for left in batches.flatten() {
        match rows.get_mut(&(left.peer.clone(), left.shown)) {
            Some(known) => {
                known.first = known.first.min(left.first);
                known.last = known.last.max(left.last);
                known.instances += left.instances;
            }
            None => drop(rows.insert((left.peer.clone(), left.shown), left)),
        }
    }
    rows.into_values().collect()
}

/// However often the catalog must be asked; only a process that stops gives up.
async fn write(catalog: &Catalog, rows: Vec<Left>, stop: &CancellationToken) {
    let mut pause = PAUSES.0;
    while let Err(error) = catalog.add_departures(rows.clone()).await {
        if stop.is_cancelled() {
            let error = &error as &dyn std::error::Error;
            return error!(error, rows = rows.len(), "what nodes took is missing in the retrieve log");
        }
        warn!(
            error = &error as &dyn std::error::Error,
            rows = rows.len(),
            "the retrieve log cannot be written; trying again"
        );
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_node_took_of_one_series_is_one_row() {
        let left = |peer: &str, series, at, instances| {
            let shown = ShownAs { series, correction: 0 };
            Left { peer: peer.to_owned(), shown, first: at, last: at, instances, corrected: false }
        };
        let rows = merged(
            [vec![left("A", 1, 5, 2), left("A", 2, 5, 1)], vec![left("A", 1, 9, 3), left("B", 1, 1, 1)]].into_iter(),
        );
        let expected = [Left { last: 9, ..left("A", 1, 5, 5) }, left("A", 2, 5, 1), left("B", 1, 1, 1)];
        assert_eq!(rows, expected);
    }
}
