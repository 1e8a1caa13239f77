//! What people and the system ask of a running process: SIGINT pauses, SIGTERM and SIGHUP end it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, log};
use crate::node::NodeError;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGINT: pause the job.
    Pause,
    /// SIGTERM, SIGHUP: end the process, leave the job running.
    Leave,
}

/// The signals of this process.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on these signals no longer end the process by themselves.
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Pause,
            _ = self.terminate.recv() => Asked::Leave,
            () = hangup(&mut self.hangup) => Asked::Leave,
        }
    }
}

/// Runs a service until a signal asks it to stop, and lets it come to its end; a second signal does not wait for that.
/// `lost` says what becomes of what was under way then, `remedy` what to do when the service breaks down.
pub(super) async fn until_stopped(
    mut signals: Signals,
    shutdown: CancellationToken,
    service: impl Future<Output = Result<(), NodeError>> + Send + 'static,
    lost: &str,
    remedy: &str,
) -> Result<Exit, Failure> {
    let mut running = tokio::spawn(service);
    let finished = |ended: Result<Result<(), NodeError>, JoinError>| match ended {
        Ok(ended) => Ok(ended.map(|()| Exit::Done)?),
        Err(error) => Err(Failure::new(format!("the service broke down: {error}"), remedy)),
    };
    tokio::select! {
        ended = &mut running => return finished(ended),
        _ = signals.next() => shutdown.cancel(),
    }
    tokio::select! {
        ended = &mut running => finished(ended),
        _ = signals.next() => {
            log::say(&format!("stopped at once; {lost}"));
            Ok(Exit::Stopped)
        }
    }
}

async fn hangup(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether this process was started by `nohup`, which a handler would undo. Where that cannot be told, the end of the
/// terminal ends the process, which is no worse than a kill.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 == 1)
}
