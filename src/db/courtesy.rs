//! Fairness between processes that write: SQLite's lock goes to whoever asks at the right moment, and a process that
//! writes without pause leaves it for moments only. Whoever has waited for a while says so, and others let it in.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{DbError, Locks};

/// The name whose holder waits for its turn to write.
const WAITS: &str = "waits to write";
/// From so many vain attempts on a process says that it waits.
const PATIENT: i32 = 8;
/// How long, and how often at most, a process holds back for one that waits: one that stands still keeps nobody for long.
const PAUSE: Duration = Duration::from_millis(1);
const PAUSES: u32 = 12;

/// What a connection that writes knows of those of other processes. Nothing depends on it but who is next.
#[derive(Debug, Clone)]
pub(super) struct Courtesy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    locks: Locks,
    waits: AtomicBool,
}

impl Courtesy {
    pub(super) fn new(database: &Path) -> Result<Courtesy, DbError> {
        Ok(Courtesy(Arc::new(Inner { locks: Locks::open(database)?, waits: AtomicBool::new(false) })))
    }

    /// After so many vain attempts to begin.
    pub(super) fn tried(&self, tries: i32) {
        if tries >= PATIENT && !self.0.waits.load(Ordering::Relaxed) && self.0.locks.try_lock(WAITS).unwrap_or(false) {
            self.0.waits.store(true, Ordering::Relaxed);
        }
    }

    /// It is this one's turn: it waits no more.
    pub(super) fn begun(&self) {
        if self.0.waits.swap(false, Ordering::Relaxed) {
            self.let_go();
        }
    }

    /// Before a transaction begins: another process that waits is let in.
    pub(super) fn give_way(&self) {
        for _ in 0..PAUSES {
            match self.0.locks.try_lock(WAITS) {
                Ok(true) => return self.let_go(),
                Ok(false) => std::thread::sleep(PAUSE),
                Err(_) => return,
            }
        }
    }

    fn let_go(&self) {
        if let Err(error) = self.0.locks.unlock(WAITS) {
            tracing::warn!(%error, "other processes will hold back for this one for no reason");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn who_waits_is_let_in_and_keeps_nobody_for_long() {
        let temp = tempfile::tempdir().unwrap();
        let database = temp.path().join("catalog.db");
        let (busy, waiting) = (Courtesy::new(&database).unwrap(), Courtesy::new(&database).unwrap());
        waiting.tried(0);
        assert!(busy.0.locks.try_lock(WAITS).unwrap(), "a first attempt is no waiting");
        busy.let_go();
        waiting.tried(PATIENT);
        assert!(!busy.0.locks.try_lock(WAITS).unwrap());
        let began = Instant::now();
        busy.give_way();
        assert!(began.elapsed() >= PAUSE * PAUSES, "it holds back");
        waiting.begun();
        assert!(busy.0.locks.try_lock(WAITS).unwrap(), "whoever has begun waits no more");
    }
}
