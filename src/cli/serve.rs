//! `serve`: the DICOM node that the hospital's devices talk to, with a worker beside it.

use tokio_util::sync::CancellationToken;

use super::attendant::Attendant;
use super::signals::Signals;
use super::{Exit, Failure, Global, log};
use crate::node;

/// Run the node: what viewers, modalities and other archives of the hospital talk to
///
/// It answers to the [[peer]]s of the configuration, on all that the catalog holds, while migrations fill it. It runs
/// until it is told to stop by SIGTERM or SIGINT. Unless one is running already, it starts a worker (`pacsferry work`),
/// which is a process of its own and goes on when the node stops.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry serve\n  pacsferry serve --no-worker    the worker is started by somebody else, or there is nothing to migrate\n  pacsferry serve --json         logs as one JSON document a line"
)]
pub(super) struct Args {
    /// Start no worker
    #[arg(long)]
    no_worker: bool,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let mut signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let attendant = (!args.no_worker).then(|| Attendant::new(global, &config));
    let attending = shutdown.clone();
    let ready = async move |catalog: crate::catalog::Catalog| {
        if let Some(attendant) = attendant {
            attendant.attend(&catalog, attending).await;
        }
    };
    let mut serving = tokio::spawn(node::serve(config, shutdown.clone(), ready));
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
