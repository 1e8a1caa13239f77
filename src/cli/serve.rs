//! `serve`: the DICOM node that the hospital's devices talk to.

use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Exit, Failure, Global, log};
use crate::node;

/// Run the node: what viewers, modalities and other archives of the hospital talk to
///
/// It answers to the [[peer]]s of the configuration, on all that the catalog holds, while migrations fill it. It runs
/// until it is told to stop by SIGTERM or SIGINT.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry serve\n  pacsferry serve --json       logs as one JSON document a line")]
pub(super) struct Args {}

pub(super) async fn run(global: &Global, _args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let mut signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let mut serving = tokio::spawn(node::serve(config, shutdown.clone()));
    tokio::select! {
        ended = &mut serving => return finished(ended),
        _ = signals.next() => shutdown.cancel(),
    }
    tokio::select! {
        ended = &mut serving => finished(ended),
        _ = signals.next() => {
            log::say("stopped at once; nothing that was acknowledged is lost");
            Ok(Exit::Stopped)
        }
    }
}

fn finished(ended: Result<Result<(), node::NodeError>, tokio::task::JoinError>) -> Result<Exit, Failure> {
    match ended {
        Ok(Ok(())) => Ok(Exit::Done),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => {
            Err(Failure::new(format!("the node broke down: {error}"), "start it again; please report what was logged"))
        }
    }
}
