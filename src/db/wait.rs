//! Waiting: for another process' lock, bounded and jittered, and for a future on a thread that is not a task.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// The longest that a transaction waits for other processes.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// What a connection does when another process holds the lock it needs: it tries again after a short random while.
/// The while stays short: a process that writes without pause leaves the lock for moments only, and whoever sleeps
/// long never meets one.
pub(super) fn patience(longest: Duration) -> impl FnMut(i32) -> bool + Send + 'static {
    let mut since = Instant::now();
    move |tries| {
        if tries == 0 {
            since = Instant::now();
        }
        if since.elapsed() >= longest {
            return false;
        }
        let ceiling = 500 + 250 * u64::try_from(tries.min(16)).unwrap_or(0);
        std::thread::sleep(Duration::from_micros(fastrand::u64(100..ceiling)));
        true
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future that needs no runtime, on a thread that may wait.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    // Where the caller stands in a task after all, the runtime's budget must not make the future wait for itself.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
