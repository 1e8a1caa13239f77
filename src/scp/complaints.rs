//! What one address does wrong a thousand times is a few lines in the log and then a number a minute.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

/// Lines of one kind for one address before only their number is told.
const FEW: u32 = 3;
/// How often the number is told.
pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are told apart; what others do is counted together, as that of 0.0.0.0.
const ADDRESSES: usize = 1024;

/// What was complained about, of whom.
type Key = (&'static str, IpAddr);

/// How often, in this minute.
#[derive(Debug, Default)]
struct Count {
    said: u32,
    unsaid: u64,
}

/// Who was complained about in the last minute.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<HashMap<Key, Count>>);

impl Complaints {
    /// Whether there is still room for a line of this kind about this address; if not, it is counted.
    pub(super) fn may_say(&self, what: &'static str, address: IpAddr) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.len() < ADDRESSES || counts.contains_key(&(what, address));
        let address = if known { address } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let count = counts.entry((what, address)).or_default();
        let may = count.said < FEW;
        if may {
            count.said += 1
        } else {
            count.unsaid += 1
        }
        may
    }

    /// Tells the numbers of the last minute.
    pub(super) fn sum_up(&self) {
        for ((what, ip), more) in self.take() {
            warn!(peer.ip = %ip, more, "{what}: so often again that the single lines are left out");
        }
    }

    /// What was not said. Who goes on gets no new lines, only a number again; who was quiet is forgotten.
    fn take(&self) -> Vec<(Key, u64)> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, count| count.unsaid > 0);
        counts.iter_mut().map(|(key, count)| (*key, std::mem::take(&mut count.unsaid))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_a_few_lines_and_then_a_number_a_minute() {
        let complaints = Complaints::default();
        let (a, b) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let said = |address, times| (0..times).filter(|_| complaints.may_say("flood", address)).count();
        assert_eq!((said(a, 2000), said(b, 2)), (3, 2));
        assert!(complaints.may_say("other", a), "another kind is another matter");
        assert_eq!(complaints.take(), [(("flood", a), 1997)]);
        assert_eq!((said(a, 10), said(b, 10)), (0, 3));
        let mut second = complaints.take();
        second.sort_unstable();
        assert_eq!(second, [(("flood", a), 10), (("flood", b), 7)]);
        assert_eq!(complaints.take(), []);
        assert_eq!(complaints.take(), []);
        assert_eq!(said(a, 10), 3, "who was quiet for a minute begins anew");
    }

    #[test]
    fn any_number_of_addresses_needs_bounded_room() {
        let complaints = Complaints::default();
        for n in 0..100_000_u32 {
            complaints.may_say("flood", IpAddr::V4(Ipv4Addr::from_bits(n + 1)));
        }
        assert_eq!(complaints.0.lock().unwrap().len(), ADDRESSES + 1);
        assert_eq!(complaints.take().iter().map(|(_, n)| n).sum::<u64>(), 100_000 - ADDRESSES as u64 - u64::from(FEW));
    }
}
