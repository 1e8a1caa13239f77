//! `work`: the service that owns the receiver and runs the jobs.

use tokio_util::sync::CancellationToken;

use super::signals::{Signals, until_stopped};
use super::{Exit, Failure, Global};
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
    let signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let worker = node::run_worker(config, WorkerScope::All, shutdown.clone());
    let remedy = "start it again: jobs go on from their checkpoints; please report what was logged";
    until_stopped(signals, shutdown, worker, "nothing is lost: jobs go on from their checkpoints", remedy).await
}
