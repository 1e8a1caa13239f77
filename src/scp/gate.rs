//! What holds for everything that comes from one source, whichever association brings it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::assoc::Throttle;
use crate::dicom::Status;
use crate::intake::IntakeError;
use crate::object::{Disposition, Fault};

/// The gate of one source in this process.
#[derive(Debug)]
pub struct Gate {
    /// Bytes per second that the receiver takes from the source, all its associations together.
    pub throttle: Arc<Throttle>,
    stopped: watch::Sender<bool>,
    open: AtomicUsize,
    arrivals: AtomicU64,
    strangers: AtomicU64,
    pulls: AtomicUsize,
    refusal: Mutex<Option<(u64, String)>>,
    trouble: Mutex<Option<(u64, String)>>,
}

impl Gate {
    fn new() -> Self {
        Gate {
            throttle: Arc::new(Throttle::new(None)),
            stopped: watch::Sender::new(false),
            open: AtomicUsize::new(0),
            arrivals: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
            pulls: AtomicUsize::new(0),
            refusal: Mutex::new(None),
            trouble: Mutex::new(None),
        }
    }

    /// Stops the source: its associations are aborted after the object in flight, and new ones are rejected for the
    /// moment. Or lets it in again.
    pub fn stop(&self, stopped: bool) {
        self.stopped.send_replace(stopped);
    }

    /// Tells when the source is stopped.
    pub fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.subscribe()
    }

    /// Associations of the source that are open with the receiver.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Objects that arrived from the source since this process started: a sign of life during a silent C-MOVE.
    pub fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// Objects that arrived while something was pulled, and belong to no study that was being pulled: what a source
    /// sends that makes up Study Instance UIDs.
    pub fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }

    /// Something is pulled from the source, as long as what is given back lives.
    pub fn pulling(self: &Arc<Self>) -> Pulling {
        self.pulls.fetch_add(1, Ordering::Relaxed);
        Pulling(Arc::clone(self))
    }

    /// Whether something is being pulled from the source by this process.
    pub fn is_pulled(&self) -> bool {
        self.pulls.load(Ordering::Relaxed) > 0
    }

    /// Notes that an object of no study that is being pulled arrived.
    pub fn strange(&self) {
        if self.is_pulled() {
            self.strangers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The last object that was refused, and how many there were: why a study may be short through our own doing.
    pub fn refusal(&self) -> Option<(u64, String)> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last of these refusals that no object could have escaped (a full disk, a folder that is not mounted), and
    /// how many there were: asking for more makes it worse.
    pub fn trouble(&self) -> Option<(u64, String)> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn arrived(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that an object of the source was refused for this failure.
    pub fn refused(&self, status: Status, failure: &IntakeError) {
        let why = format!("{status}: {failure}");
        if failure.fault() == Fault::Local && failure.disposition() == Disposition::Halt {
            count(&self.trouble, failure.to_string());
        }
        count(&self.refusal, why);
    }

    pub(super) fn enter(self: &Arc<Self>) -> Entered {
        self.open.fetch_add(1, Ordering::Relaxed);
        Entered(Arc::clone(self))
    }
}

fn count(last: &Mutex<Option<(u64, String)>>, why: String) {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let count = last.as_ref().map_or(0, |(n, _)| *n);
    *last = Some((count + 1, why));
}

/// A pull under way, counted for as long as this lives.
#[derive(Debug)]
pub struct Pulling(Arc<Gate>);

impl Drop for Pulling {
    fn drop(&mut self) {
        self.0.pulls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open association, counted for as long as this lives.
pub(super) struct Entered(Arc<Gate>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The gates of all sources, by name. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub struct Gates(Arc<Mutex<HashMap<String, Arc<Gate>>>>);

impl Gates {
    /// The gate of a source; made when it is asked for first. Sources are named by the configuration, so that their
    /// number is bounded.
    pub fn of(&self, source: &str) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gates.entry(source.to_owned()).or_insert_with(|| Arc::new(Gate::new())))
    }
}
