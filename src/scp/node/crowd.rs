//! How many associations each peer has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Open associations by peer. A clone is another handle. Peers are named by the configuration, so that their number is
/// bounded.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<String, usize>>>);

/// An open association, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    name: String,
}

impl Crowd {
    /// A place for one more association of this peer, unless it has `most` already.
    pub(super) fn enter(&self, name: &str, most: usize) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(name.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), name: name.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_its_number_of_places_and_leaves_nothing_behind() {
        let crowd = Crowd::default();
        let (first, second) = (crowd.enter("a", 2), crowd.enter("a", 2));
        assert!(first.is_some() && second.is_some());
        assert!(crowd.enter("a", 2).is_none());
        assert!(crowd.enter("b", 2).is_some());
        drop(first);
        assert!(crowd.enter("a", 2).is_some());
        drop(second);
        assert!(crowd.0.lock().unwrap().is_empty());
    }
}
