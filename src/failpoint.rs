//! Fail points: named places between two steps where the kill tests let the process die. Without the feature
//! `failpoints` they are nothing at all.

/// Dies here, if the environment says so: `PACSFERRY_FAILPOINT=name` at the first pass, `name:3` at the third.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::pass($name);
    };
}

/// The environment variable that names the fail point.
#[cfg(feature = "failpoints")]
const VARIABLE: &str = "PACSFERRY_FAILPOINT";

/// Counts a pass of the named place, and kills the process when it is the one that was asked for.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSES: AtomicU32 = AtomicU32::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), count.parse().unwrap_or(1)))
    });
    let Some((wanted, count)) = wanted else { return };
    if wanted == name && PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *count {
        // SIGKILL, so that nothing is flushed, dropped or handled: the same as a power cut to the process.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal may reach another thread first; this one does no further step.
        loop {
            std::thread::park();
        }
    }
}
