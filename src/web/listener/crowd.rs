//! Who is connected: how many from each address, and who keeps a connection without asking anything. Where there is no
//! more room, whoever has done that for longest makes room, so that nobody keeps others out by saying nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::guessing::neighbourhood;

/// All connections; never more addresses than connections. A clone is another handle.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<Everybody>>);

#[derive(Default)]
struct Everybody {
    counts: HashMap<IpAddr, usize>,
    guests: HashMap<u64, Standing>,
    next: u64,
}

/// What a connection does.
struct Standing {
    doing: Doing,
    /// Since when, or when the last of a request's body came.
    since: Instant,
    leave: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    /// The head of a request is to come.
    Waiting,
    /// The rest of one is to come.
    Asking,
    /// It has asked, and is being answered.
    Answered,
}

/// One of them; dropping it makes room.
pub(super) struct Guest {
    id: u64,
    address: IpAddr,
    crowd: Crowd,
    /// It has to leave: others wait.
    pub(super) leave: CancellationToken,
}

impl Crowd {
    /// One more from this address, unless it has the most already.
    pub(super) fn enter(&self, address: IpAddr, most: Option<usize>) -> Option<Guest> {
        let address = neighbourhood(address);
        let mut all = self.lock();
        let count = all.counts.entry(address).or_default();
        if most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        let (id, leave) = (all.next, CancellationToken::new());
        all.next += 1;
        all.guests.insert(id, Standing { doing: Doing::Waiting, since: Instant::now(), leave: leave.clone() });
        Some(Guest { id, address, crowd: self.clone(), leave })
    }

    /// Has the one leave who has had nothing to say for longest, save the one who needs the room; somebody in the middle of
    /// a request only when nobody else does. Whether there was one.
    pub(super) fn make_room(&self, fore: &Guest) -> bool {
        let all = self.lock();
        let others = all.guests.iter().filter(|(id, _)| **id != fore.id).map(|(_, standing)| standing);
        let idle = others.filter(|one| one.doing != Doing::Answered && !one.leave.is_cancelled());
        let longest = idle.min_by_key(|one| (one.doing, one.since));
        longest.inspect(|one| one.leave.cancel()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Everybody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// The head of a request has come, or all of it.
    pub(super) fn asks(&self, ended: bool) {
        self.does(if ended { Doing::Answered } else { Doing::Asking });
    }

    /// Something has come.
    pub(super) fn moved(&self) {
        if let Some(standing) = self.crowd.lock().guests.get_mut(&self.id).filter(|one| one.doing == Doing::Asking) {
            standing.since = Instant::now();
        }
    }

    fn does(&self, doing: Doing) {
        if let Some(standing) = self.crowd.lock().guests.get_mut(&self.id) {
            (standing.doing, standing.since) = (doing, Instant::now());
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.crowd.lock();
        all.guests.remove(&self.id);
        match all.counts.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.counts.remove(&self.address)),
        }
    }
}

/// The body of an answer; while there is one, its guest is being answered.
pub(super) struct Answer<B> {
    body: B,
    guest: Arc<Guest>,
}

impl<B> Answer<B> {
    /// The answer to this guest.
    pub(super) fn new(body: B, guest: Arc<Guest>) -> Self {
        guest.does(Doing::Answered);
        Answer { body, guest }
    }
}

impl<B> Drop for Answer<B> {
    fn drop(&mut self) {
        self.guest.does(Doing::Waiting);
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_says_nothing_for_longest_makes_room_and_who_is_answered_stays() {
        let crowd = Crowd::default();
        let enter = || crowd.enter([127, 0, 0, 1].into(), None).unwrap();
        let (first, second) = (enter(), enter());
        first.asks(true);
        second.asks(false);
        let (third, fourth, last) = (enter(), enter(), enter());
        assert!(crowd.make_room(&last) && third.leave.is_cancelled(), "the longest");
        assert!(crowd.make_room(&last) && fourth.leave.is_cancelled(), "then the next");
        assert!(crowd.make_room(&last) && second.leave.is_cancelled(), "then who asks, if slowly");
        assert!(!crowd.make_room(&last) && !first.leave.is_cancelled() && !last.leave.is_cancelled());
        drop(Answer::new((), Arc::new(first)));
        assert!(!crowd.make_room(&last), "it has gone");
    }
}
