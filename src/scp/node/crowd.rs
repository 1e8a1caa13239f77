//! What all associations of a peer have together: their number, how often it asks, and how fast it sends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::assoc::Throttle;
use crate::config::NodeLimits;

/// The peers that have associations open. A clone is another handle. Peers are named by the configuration, so that their
/// number is bounded.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<String, Together>>>);

/// One peer.
#[derive(Debug)]
struct Together {
    open: usize,
    throttle: Arc<Throttle>,
    pace: Arc<Pace>,
}

/// An open association, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    name: String,
    /// How fast the peer may send.
    pub(super) throttle: Arc<Throttle>,
    /// How often it may ask.
    pub(super) pace: Arc<Pace>,
}

impl Crowd {
    /// A place for one more association of this peer, unless it has as many as it may.
    pub(super) fn enter(&self, name: &str, limits: &NodeLimits) -> Option<Place> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.entry(name.to_owned()).or_insert_with(|| Together {
            open: 0,
            throttle: Arc::new(Throttle::new(limits.rate)),
            pace: Arc::default(),
        });
        if peer.open >= limits.associations_per_peer {
            return None;
        }
        peer.open += 1;
        peer.throttle.set_rate(limits.rate);
        let (throttle, pace) = (Arc::clone(&peer.throttle), Arc::clone(&peer.pace));
        Some(Place { crowd: self.clone(), name: name.to_owned(), throttle, pace })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = peers.get_mut(&self.name) {
            peer.open -= 1;
            if peer.open == 0 {
                peers.remove(&self.name);
            }
        }
    }
}

/// So many requests a second: after a second's worth at once, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Notes a request, and says how long it has to wait.
    pub(super) fn next(&self, per_second: u32, now: Instant) -> Duration {
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = due.map_or(now, |due| due.max(now));
        *due = Some(at + Duration::from_secs(1) / per_second.max(1));
        (at - now).saturating_sub(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> NodeLimits {
        let config = crate::config::parse("[node.limits]\nassociations_per_peer = 2\n", None).unwrap();
        config.node.limits
    }

    #[test]
    fn a_peer_has_its_number_of_places_and_leaves_nothing_behind() {
        let (crowd, limits) = (Crowd::default(), limits());
        let (first, second) = (crowd.enter("a", &limits), crowd.enter("a", &limits));
        assert!(first.is_some() && second.is_some());
        assert!(crowd.enter("a", &limits).is_none());
        assert!(crowd.enter("b", &limits).is_some());
        drop(first);
        assert!(crowd.enter("a", &limits).is_some());
        drop(second);
        assert!(crowd.0.lock().unwrap().is_empty());
    }

    #[test]
    fn who_asks_too_often_waits_and_who_was_quiet_may_ask_at_once() {
        let (pace, now) = (Pace::default(), Instant::now());
        let waits: Vec<Duration> = (0..30).map(|_| pace.next(10, now)).collect();
        assert!(waits[..11].iter().all(Duration::is_zero), "{waits:?}");
        assert_eq!(waits[29], Duration::from_millis(1900));
        assert_eq!(pace.next(10, now + Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(pace.next(10, now + Duration::from_secs(60)), Duration::ZERO);
    }
}
