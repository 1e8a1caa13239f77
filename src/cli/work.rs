//! `work`: the service that owns the receiver and runs the jobs.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::signals::{Signals, until_stopped};
use super::{Exit, Failure, Global, open, output};
use crate::config::Config;
use crate::job::control::{self, WORKER_LEASE};
use crate::node::{self, WorkerScope};

/// Run the worker: the receiver that the old PACS sends to, and all queued jobs
///
/// It runs until it is told to stop by SIGTERM or SIGINT. Jobs stay as they are and go on with the next worker.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry work\n  pacsferry work --log debug\n  pacsferry work --json        logs as one JSON document a line\n  pacsferry work --stop        pause what runs, and end the worker"
)]
pub(super) struct Args {
    /// Pause whatever runs, end the worker when it is quiet, and start none beside the node until a job is started again
    #[arg(long)]
    stop: bool,
}

/// How long a worker may take to be quiet and to end.
const QUIET: Duration = Duration::from_secs(60);

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let mut config = global.load()?;
    for problem in config.resolve() {
        // A name service that is down at boot must not keep the worker down.
        tracing::warn!(what = %problem.where_, "{}; its objects are refused until this is mended", problem.message);
    }
    if args.stop {
        return stop(global, &config).await;
    }
    if let Some(catalog) = open::catalog_if_any(&config)? {
        // Whoever starts a worker wants one.
        control::open(&catalog).await?;
    }
    let signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let worker = node::run_worker(config, WorkerScope::All, shutdown.clone());
    let remedy = "start it again: jobs go on from their checkpoints; please report what was logged";
    until_stopped(signals, shutdown, worker, "nothing is lost: jobs go on from their checkpoints", remedy).await
}

/// Pauses what runs and waits for the end of the worker.
async fn stop(global: &Global, config: &Config) -> Result<Exit, Failure> {
    let catalog = open::catalog(global, config)?;
    let paused = control::stop_and_close(&catalog).await?;
    let asked = Instant::now();
    while control::is_held(&catalog, WORKER_LEASE).await? {
        if asked.elapsed() > QUIET {
            return Err(Failure::new(
                "the worker is told to end and still runs",
                "its log says what it waits for; it ends as soon as the old PACS has let go",
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if global.json {
        output::json(&json!({ "paused": paused, "worker": false }))?;
    } else {
        output::print(|out| {
            for job in &paused {
                writeln!(out, "job {job} is paused: `{}` goes on", global.command(&format!("job {job} resume")))?;
            }
            writeln!(out, "no worker is running")
        })?;
    }
    Ok(Exit::Done)
}
