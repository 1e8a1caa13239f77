//! Connections that have not negotiated an association yet. When there are too many, the oldest of the address that has
//! the most of them makes room: whoever speaks DICOM is through in milliseconds, and a flood only pushes out itself.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Those who wait, in the order of their coming. A clone is another handle.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    most: usize,
    queue: Arc<Mutex<VecDeque<(IpAddr, CancellationToken)>>>,
}

/// A place among those who wait, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    waiting: Waiting,
    address: IpAddr,
    pushed_out: CancellationToken,
}

impl Waiting {
    pub(super) fn new(most: usize) -> Self {
        Waiting { most, queue: Arc::default() }
    }

    /// A place for one more, if need be that of another.
    pub(super) fn enter(&self, address: IpAddr) -> Ticket {
        let pushed_out = CancellationToken::new();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back((address, pushed_out.clone()));
        if queue.len() > self.most {
            let mut crowds: HashMap<IpAddr, usize> = HashMap::new();
            queue.iter().for_each(|(address, _)| *crowds.entry(*address).or_default() += 1);
            let most = crowds.values().max();
            // Of several crowds that are as large, the one that waits longest.
            let at = queue.iter().position(|(address, _)| crowds.get(address) == most);
            if let Some((_, out)) = at.and_then(|at| queue.remove(at)) {
                out.cancel();
            }
        }
        Ticket { waiting: self.clone(), address, pushed_out }
    }
}

impl Ticket {
    /// Resolves when the place is needed for another.
    pub(super) async fn pushed_out(&self) {
        self.pushed_out.cancelled().await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.pushed_out.is_cancelled() {
            return;
        }
        // So that the place is only given back once.
        self.pushed_out.cancel();
        let mut queue = self.waiting.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = queue.iter().position(|(address, out)| *address == self.address && out.is_cancelled()) {
            queue.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_out(ticket: &Ticket) -> bool {
        ticket.pushed_out.is_cancelled()
    }

    #[test]
    fn a_flood_pushes_out_itself_and_nobody_else() {
        let waiting = Waiting::new(8);
        let slow = waiting.enter(IpAddr::from([10, 0, 0, 2]));
        let flood: Vec<Ticket> = (0..1000).map(|_| waiting.enter(IpAddr::from([10, 0, 0, 1]))).collect();
        assert!(!is_out(&slow));
        assert_eq!(flood.iter().filter(|ticket| is_out(ticket)).count(), 993);
        assert!(!flood.iter().rev().take(7).any(is_out), "the newest have the places");
        assert_eq!(waiting.queue.lock().unwrap().len(), 8);
        drop((flood, slow));
        assert!(waiting.queue.lock().unwrap().is_empty());
    }

    #[test]
    fn of_many_addresses_the_oldest_makes_room() {
        let waiting = Waiting::new(2);
        let held = [1, 2, 3].map(|n| waiting.enter(IpAddr::from([10, 0, 0, n])));
        assert_eq!(held.each_ref().map(is_out), [true, false, false]);
    }
}
