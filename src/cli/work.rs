//! `work`: the service that owns the receiver and runs the jobs.

use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Exit, Failure, Global, log};
use crate::node::{self, WorkerScope};

/// Run the worker: the receiver that the old PACS sends to, and all queued jobs
///
/// It runs until it is told to stop by SIGTERM or SIGINT. Jobs stay as they are and go on with the next worker.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry work\n  pacsferry work --log debug\n  pacsferry work --json        logs as one JSON document a line"
)]
pub(super) struct Args {}

pub(super) async fn run(global: &Global, _args: Args) -> Result<Exit, Failure> {
    let mut config = global.load()?;
    for problem in config.resolve() {
        // A name service that is down at boot must not keep the worker down.
        tracing::warn!(what = %problem.where_, "{}; its objects are refused until this is mended", problem.message);
    }
    let mut signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let mut worker = tokio::spawn(node::run_worker(config, WorkerScope::All, shutdown.clone()));
    tokio::select! {
        ended = &mut worker => return finished(ended),
        _ = signals.next() => shutdown.cancel(),
    }
    tokio::select! {
        ended = &mut worker => finished(ended),
        _ = signals.next() => {
            log::say("stopped at once; nothing is lost: jobs go on from their checkpoints");
            Ok(Exit::Stopped)
        }
    }
}

fn finished(ended: Result<Result<(), node::NodeError>, tokio::task::JoinError>) -> Result<Exit, Failure> {
    match ended {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(Failure::new(
            format!("the worker broke down: {error}"),
            "start it again: jobs go on from their checkpoints; please report what was logged",
        )),
    }
}
