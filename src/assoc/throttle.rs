//! A limit in bytes per second that several associations share and that changes while they run.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// The slowest rate: below it a peer would take our patience for death.
const SLOWEST: u64 = 1024;

/// How often a waiting association looks whether the rate was changed.
const LOOK: Duration = Duration::from_millis(100);

/// A token bucket that holds a twentieth of a second. What was read is spent at once and may leave a debt; nobody
/// reads until it is paid, so that the peer meets a closed TCP window and nothing is queued on our side.
#[derive(Debug)]
pub struct Throttle(Mutex<Bucket>);

#[derive(Debug)]
struct Bucket {
    rate: Option<u64>,
    /// Bytes that may be read now; negative is a debt.
    balance: f64,
    at: Instant,
}

impl Throttle {
    /// `None` is no limit. Rates below 1,024 bytes per second count as 1,024.
    pub fn new(rate: Option<u64>) -> Self {
        Throttle(Mutex::new(Bucket { rate: rate.map(|r| r.max(SLOWEST)), balance: 0.0, at: Instant::now() }))
    }

    /// Changes the rate from now on; those who wait notice within a tenth of a second.
    pub fn set_rate(&self, rate: Option<u64>) {
        let mut bucket = self.bucket();
        bucket.refill(Instant::now());
        bucket.rate = rate.map(|r| r.max(SLOWEST));
        if bucket.rate.is_none() {
            bucket.balance = 0.0;
        }
    }

    /// The rate in bytes per second.
    pub fn rate(&self) -> Option<u64> {
        self.bucket().rate
    }

    /// Spends `n` bytes and waits until the debt is paid.
    pub async fn take(&self, n: usize) {
        self.spend(n);
        self.ready().await;
    }

    /// Notes that `n` bytes were read.
    pub fn spend(&self, n: usize) {
        self.bucket().spend(n, Instant::now());
    }

    /// Waits until there is no debt. May be dropped at any time: nothing is spent here.
    pub async fn ready(&self) {
        while let Some(wait) = self.wait() {
            tokio::time::sleep(wait.min(LOOK)).await;
        }
    }

    /// How much may be read in one go, so that several that share the limit stay close to it.
    pub(crate) fn piece(&self) -> usize {
        self.bucket().rate.map_or(usize::MAX, |rate| usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1024))
    }

    fn wait(&self) -> Option<Duration> {
        self.bucket().wait(Instant::now())
    }

    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        // The numbers are right after every statement, so that a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        if let Some(rate) = self.rate {
            let rate = rate as f64;
            let earned = now.duration_since(self.at).as_secs_f64() * rate;
            self.balance = (self.balance + earned).min(rate / 20.0);
        }
        self.at = now;
    }

    fn spend(&mut self, n: usize, now: Instant) {
        if self.rate.is_some() {
            self.refill(now);
            self.balance -= n as f64;
        }
    }

    /// How long until the debt is paid, if there is one.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        let rate = self.rate?;
        self.refill(now);
        (self.balance < 0.0).then(|| Duration::from_secs_f64((-self.balance / rate as f64).clamp(0.001, 3600.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: u64, at: Instant) -> Bucket {
        Bucket { rate: Some(rate), balance: 0.0, at }
    }

    #[test]
    fn a_debt_is_paid_at_the_rate() {
        let start = Instant::now();
        let mut bucket = bucket(100_000, start);
        bucket.spend(50_000, start);
        assert_eq!(bucket.wait(start), Some(Duration::from_millis(500)));
        assert_eq!(bucket.wait(start + Duration::from_millis(400)), Some(Duration::from_millis(100)));
        assert_eq!(bucket.wait(start + Duration::from_millis(500)), None);
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let start = Instant::now();
        let mut bucket = bucket(100_000, start);
        let later = start + Duration::from_secs(3600);
        bucket.spend(105_000, later);
        assert_eq!(bucket.wait(later), Some(Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_change_reaches_those_who_wait() {
        let throttle = std::sync::Arc::new(Throttle::new(Some(0)));
        assert_eq!(throttle.rate(), Some(SLOWEST));
        assert_eq!(throttle.piece(), 1024);
        let waiting = {
            let throttle = throttle.clone();
            tokio::spawn(async move { throttle.take(10_000_000).await })
        };
        tokio::task::yield_now().await;
        throttle.set_rate(None);
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
        throttle.take(usize::MAX / 2).await;
        assert_eq!(throttle.rate(), None);
    }

    #[tokio::test]
    async fn the_rate_holds_for_all_who_share_it() {
        let throttle = std::sync::Arc::new(Throttle::new(Some(1_000_000)));
        let start = Instant::now();
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let throttle = throttle.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        throttle.take(5_000).await;
                    }
                })
            })
            .collect();
        for taker in takers {
            taker.await.unwrap();
        }
        assert!(start.elapsed() >= Duration::from_millis(330), "{:?}", start.elapsed());
    }
}
