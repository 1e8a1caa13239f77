//! What the audit trail is told of viewers: a viewer asks for a study frame by frame, and is told of once in a while.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Caller, Site};
use crate::audit::Way;
use crate::catalog::HeldInstance;

/// How long one entry stands for all that somebody looks at in a study.
const INTERVAL: Duration = Duration::from_secs(15 * 60);
/// The most that are remembered; who is forgotten is told of again.
const MOST: usize = 1024;

/// Who has looked at which study of late.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<VecDeque<Look>>);

#[derive(Debug)]
struct Look {
    who: String,
    address: IpAddr,
    study: String,
    at: Instant,
}

impl Seen {
    /// Whether this is news.
    fn is_new(&self, caller: &Caller, study: &str, now: Instant) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while looks.front().is_some_and(|look| now.duration_since(look.at) >= INTERVAL || looks.len() > MOST) {
            looks.pop_front();
        }
        let same =
            |look: &Look| look.who == caller.operator.name && look.address == caller.address && look.study == study;
        if looks.iter().any(same) {
            return false;
        }
        let (who, study) = (caller.operator.name.clone(), study.to_owned());
        looks.push_back(Look { who, address: caller.address, study, at: now });
        true
    }
}

impl Site {
    /// Somebody looks at an instance, or at what is said of it.
    pub(super) fn looked_at(&self, caller: &Caller, held: &HeldInstance) {
        if self.seen.is_new(caller, held.study.as_str(), Instant::now()) {
            let mut transfers = self.audit.transfers(Way::Out, caller.party(), None);
            transfers.object(held.study.as_str(), held.class.as_str(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Operator;

    #[test]
    fn the_same_study_is_news_once_in_a_while() {
        let caller =
            |name: &str| Caller { operator: Operator::with_all(name), address: [127, 0, 0, 1].into(), page: false };
        let (seen, now) = (Seen::default(), Instant::now());
        assert!(seen.is_new(&caller("anna"), "1.2", now));
        assert!(!seen.is_new(&caller("anna"), "1.2", now + INTERVAL / 2));
        assert!(seen.is_new(&caller("anna"), "1.3", now));
        assert!(seen.is_new(&caller("ben"), "1.2", now));
        assert!(seen.is_new(&caller("anna"), "1.2", now + INTERVAL));
        for n in 0..2 * MOST {
            assert!(seen.is_new(&caller("eve"), &format!("2.{n}"), now + INTERVAL));
        }
        assert!(seen.0.lock().unwrap().len() <= MOST + 1);
    }
}
