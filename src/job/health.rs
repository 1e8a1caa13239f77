//! How a source is doing: faults that are the source's (not a study's) make everybody wait together, and are told once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::backoff;
use crate::config::Retry;

/// As many C-MOVE requests that are answered by an abort, with no success in between, are no accident.
const ABORTS_THAT_MEAN_SOMETHING: u32 = 3;

/// The state of a source as seen by one job in one process.
#[derive(Debug, Default)]
pub struct Health(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    not_before: Option<Instant>,
    message: Option<String>,
    aborted_moves: u32,
    prefer_get: bool,
}

impl Health {
    /// The source could not be reached, or sent us away for the moment; the next try is after a growing pause.
    pub fn failed(&self, retry: &Retry, message: String) {
        let mut inner = self.lock();
        // Several associations that fail together are one failure.
        if inner.not_before.is_none_or(|at| at <= Instant::now()) {
            inner.failures += 1;
            let pause = backoff::pause(inner.failures, retry.first, retry.longest);
            inner.not_before = Some(Instant::now() + pause);
        }
        inner.message = Some(message);
    }

    /// It answered.
    pub fn answered(&self) {
        let mut inner = self.lock();
        inner.failures = 0;
        inner.not_before = None;
        inner.message = None;
    }

    /// How long to wait before the next association, and why.
    pub fn pause(&self) -> Option<(Duration, String)> {
        let inner = self.lock();
        let left = inner.not_before?.checked_duration_since(Instant::now())?;
        Some((left, inner.message.clone().unwrap_or_default()))
    }

    /// A C-MOVE request was answered by an abort. `true` when that has happened too often to be an accident.
    pub fn move_aborted(&self) -> bool {
        let mut inner = self.lock();
        inner.aborted_moves += 1;
        inner.aborted_moves >= ABORTS_THAT_MEAN_SOMETHING
    }

    /// A C-MOVE was answered with a response.
    pub fn move_answered(&self) {
        self.lock().aborted_moves = 0;
    }

    /// From now on C-GET: the source does not know our move destination.
    pub fn prefer_get(&self) {
        self.lock().prefer_get = true;
    }

    /// Whether C-GET is to be used although C-MOVE was not ruled out by the configuration.
    pub fn prefers_get(&self) -> bool {
        self.lock().prefer_get
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_is_left_alone_for_a_while_and_then_forgiven() {
        let health = Health::default();
        let retry = Retry { first: Duration::from_secs(8), longest: Duration::from_secs(60) };
        assert!(health.pause().is_none());
        health.failed(&retry, "connection refused".into());
        health.failed(&retry, "connection refused".into());
        let (left, why) = health.pause().expect("a pause");
        assert!(left <= Duration::from_secs(8), "two at once are one failure: {left:?}");
        assert_eq!(why, "connection refused");
        health.answered();
        assert!(health.pause().is_none());
        assert!(!health.move_aborted() && !health.move_aborted());
        health.move_answered();
        assert!(!health.move_aborted() && !health.move_aborted() && health.move_aborted());
    }
}
