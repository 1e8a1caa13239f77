//! A few threads that sync. Concurrent syncs share the journal commits of the file system, so that four of them cost
//! little more than one.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::incoming::PartHandle;

/// Threads beside the one that waits, which helps.
const HELPERS: usize = 3;

/// What is to be made durable.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// The bytes of an incoming file.
    Part(Arc<PartHandle>),
    /// The bytes of a file that grows.
    Data(Arc<File>),
    /// The names in a folder.
    Folder(Arc<File>),
}

impl Target {
    fn sync(&self) -> io::Result<()> {
        match self {
            Target::Part(part) => part.sync(),
            Target::Data(file) => file.sync_data(),
            Target::Folder(folder) => folder.sync_all(),
        }
    }
}

impl Target {
    /// A sync of everything has gone well; what that means for it.
    pub(super) fn was_synced(&self) -> io::Result<()> {
        match self {
            Target::Part(part) => part.was_synced(),
            Target::Data(_) | Target::Folder(_) => Ok(()),
        }
    }
}

/// An error once more, for another who is told of it.
pub(super) fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[derive(Debug)]
pub(super) struct SyncPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    work: VecDeque<Arc<Batch>>,
    closed: bool,
}

/// Targets that are taken one by one by whoever is free.
#[derive(Debug)]
struct Batch {
    targets: Vec<Target>,
    next: AtomicUsize,
    outcomes: Mutex<(usize, Vec<io::Result<()>>)>,
    done: Condvar,
}

impl SyncPool {
    pub(super) fn start() -> io::Result<SyncPool> {
        let shared = Arc::new(Shared::default());
        let threads = (0..HELPERS)
            .map(|n| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("sync-{n}"))
                    .stack_size(128 * 1024)
                    .spawn(move || shared.help())
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(SyncPool { shared, threads })
    }

    /// Makes all of them durable and says of each, in order, how it went.
    pub(super) fn sync(&self, targets: Vec<Target>) -> Vec<io::Result<()>> {
        if let [only] = targets.as_slice() {
            return vec![only.sync()];
        }
        let count = targets.len();
        let outcomes = Mutex::new((0, (0..count).map(|_| Ok(())).collect()));
        let batch = Arc::new(Batch { targets, next: AtomicUsize::new(0), outcomes, done: Condvar::new() });
        let helpers = HELPERS.min(count.saturating_sub(1));
        self.shared.push((0..helpers).map(|_| Arc::clone(&batch)));
        batch.help();
        batch.wait()
    }
}

impl Drop for SyncPool {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.filled.notify_all();
        for thread in self.threads.drain(..) {
            // A helper has nothing to panic with; if it did, its batch would have shown it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn push(&self, work: impl Iterator<Item = Arc<Batch>>) {
        let mut queue = lock(&self.queue);
        for work in work {
            queue.work.push_back(work);
            self.filled.notify_one();
        }
    }

    fn help(&self) {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(work) = queue.work.pop_front() {
                drop(queue);
                work.help();
                queue = lock(&self.queue);
            } else if queue.closed {
                return;
            } else {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Batch {
    fn help(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = self.targets.get(index) else { return };
            let outcome = target.sync();
            let mut outcomes = lock(&self.outcomes);
            outcomes.0 += 1;
            if let Some(slot) = outcomes.1.get_mut(index) {
                *slot = outcome;
            }
            if outcomes.0 == self.targets.len() {
                self.done.notify_all();
            }
        }
    }

    fn wait(&self) -> Vec<io::Result<()>> {
        let mut outcomes = lock(&self.outcomes);
        while outcomes.0 < self.targets.len() {
            outcomes = self.done.wait(outcomes).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut outcomes.1)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn each_target_gets_its_own_outcome_in_order() {
        let pool = SyncPool::start().unwrap();
        let temp = tempfile::tempdir().unwrap();
        let (reader, _writer) = std::io::pipe().unwrap();
        // A pipe cannot be synced: the system says so.
        let bad = Arc::new(File::from(OwnedFd::from(reader)));
        let good = Arc::new(File::create(temp.path().join("x")).unwrap());
        for _ in 0..50 {
            let targets = (0..20).map(|n| Target::Data(Arc::clone(if n % 7 == 3 { &bad } else { &good }))).collect();
            let outcomes = pool.sync(targets);
            assert_eq!(outcomes.len(), 20);
            for (n, outcome) in outcomes.iter().enumerate() {
                assert_eq!(outcome.is_err(), n % 7 == 3, "target {n}");
            }
        }
        assert!(pool.sync(Vec::new()).is_empty());
    }
}
