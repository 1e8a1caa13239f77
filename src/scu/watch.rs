//! The waits of an operation: its cancel, its idle limit, its total limit.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::CANCEL_PATIENCE;

/// What ended a wait.
pub(super) enum Wake<T> {
    /// What was waited for.
    Got(T),
    /// Something else.
    Not(Trouble),
}

/// What can end a wait before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A cancel is wanted, and the source must be told now. Comes once.
    Cancel,
    /// The source was told, and did not end the operation in time.
    CancelIgnored,
    /// No sign of life.
    Idle,
    /// No end.
    TooSlow,
}

/// Watches over one operation.
pub(super) struct Watch<'a> {
    cancel: &'a CancellationToken,
    told_at: Option<Instant>,
    idle: Duration,
    total: Duration,
    begun: Instant,
    last: Instant,
    elsewhere: Option<Alive<'a>>,
}

/// When a sign of life was last seen elsewhere.
pub(super) type Alive<'a> = &'a (dyn Fn() -> Instant + Send + Sync);

impl<'a> Watch<'a> {
    pub(super) fn new(
        cancel: &'a CancellationToken,
        idle: Duration,
        total: Duration,
        elsewhere: Option<Alive<'a>>,
    ) -> Self {
        let now = Instant::now();
        Watch { cancel, told_at: None, idle, total, begun: now, last: now, elsewhere }
    }

    /// Whether a cancel was wanted.
    pub(super) fn is_cancelled(&self) -> bool {
        self.told_at.is_some()
    }

    /// Which limit has passed.
    pub(super) fn limit(&self, trouble: Trouble) -> Duration {
        if trouble == Trouble::Idle { self.idle } else { self.total }
    }

    /// Waits for `future`, which must be cancel-safe: anything but [`Wake::Got`] drops it.
    pub(super) async fn wait<F: Future>(&mut self, future: F) -> Wake<F::Output> {
        let mut future = std::pin::pin!(future);
        // What we did ourselves before this wait is no silence of the source.
        self.last = Instant::now();
        loop {
            if let Some(trouble) = self.overdue() {
                return Wake::Not(trouble);
            }
            let until = self.next_look();
            // Cancel and time come first, so that a stream that never pauses cannot starve them.
            let output = tokio::select! {
                biased;
                () = self.cancel.cancelled(), if self.told_at.is_none() => None,
                () = sleep_until(until.into()) => continue,
                output = &mut future => Some(output),
            };
            return match output {
                Some(output) => Wake::Got(output),
                None => {
                    self.told_at = Some(Instant::now());
                    Wake::Not(Trouble::Cancel)
                }
            };
        }
    }

    fn overdue(&mut self) -> Option<Trouble> {
        let now = Instant::now();
        if let Some(told_at) = self.told_at {
            return (now >= told_at + CANCEL_PATIENCE).then_some(Trouble::CancelIgnored);
        }
        if now >= after(self.begun, self.total) {
            return Some(Trouble::TooSlow);
        }
        if now >= after(self.last, self.idle) {
            self.last = self.elsewhere.map_or(self.last, |seen| seen().max(self.last));
        }
        (now >= after(self.last, self.idle)).then_some(Trouble::Idle)
    }

    fn next_look(&self) -> Instant {
        match self.told_at {
            Some(told_at) => told_at + CANCEL_PATIENCE,
            None => after(self.last, self.idle).min(after(self.begun, self.total)),
        }
    }
}

/// A year is for ever, and does not overflow.
fn after(instant: Instant, duration: Duration) -> Instant {
    instant + duration.min(Duration::from_secs(365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn silence_ends_at_the_idle_limit_and_life_extends_it() {
        let cancel = CancellationToken::new();
        let start = Instant::now();
        let alive = move || start + 3 * TICK;
        let mut watch = Watch::new(&cancel, 5 * TICK, 6000 * TICK, Some(&alive));
        assert!(matches!(watch.wait(pending::<()>()).await, Wake::Not(Trouble::Idle)));
        assert!(start.elapsed() >= 8 * TICK);
        assert!(matches!(watch.wait(ready(7)).await, Wake::Got(7)));
    }

    #[tokio::test]
    async fn life_does_not_extend_the_total_limit() {
        let cancel = CancellationToken::new();
        let start = Instant::now();
        let mut watch = Watch::new(&cancel, 6000 * TICK, 12 * TICK, None);
        while let Wake::Got(()) = watch.wait(tokio::time::sleep(TICK)).await {}
        assert!(matches!(watch.wait(ready(())).await, Wake::Not(Trouble::TooSlow)));
        assert!(start.elapsed() >= 12 * TICK);
    }

    #[tokio::test]
    async fn a_cancel_is_told_once_and_then_has_its_own_limit() {
        let cancel = CancellationToken::new();
        let mut watch = Watch::new(&cancel, TICK, 2 * TICK, None);
        cancel.cancel();
        assert!(matches!(watch.wait(ready(())).await, Wake::Not(Trouble::Cancel)));
        let told = Instant::now();
        assert!(watch.is_cancelled());
        assert!(matches!(watch.wait(ready(())).await, Wake::Got(())));
        // A stream that never pauses does not outlive it either.
        while let Wake::Got(()) = watch.wait(tokio::time::sleep(TICK)).await {}
        assert!(matches!(watch.wait(ready(())).await, Wake::Not(Trouble::CancelIgnored)));
        assert!(told.elapsed() >= CANCEL_PATIENCE);
    }
}
