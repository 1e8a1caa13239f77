//! `serve`: the DICOM node that the hospital's devices talk to, with a worker beside it.

use tokio_util::sync::CancellationToken;

use super::attendant::Attendant;
use super::signals::{Signals, until_stopped};
use super::{Exit, Failure, Global};
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
    let signals = Signals::new()?;
    let shutdown = CancellationToken::new();
    let attendant = (!args.no_worker).then(|| Attendant::new(global, &config));
    let attending = shutdown.clone();
    let ready = async move |catalog: crate::catalog::Catalog| {
        if let Some(attendant) = attendant {
            attendant.attend(&catalog, attending).await;
        }
    };
    let serving = node::serve(config, shutdown.clone(), ready);
    let remedy = "start it again; please report what was logged";
    until_stopped(signals, shutdown, serving, "nothing that was acknowledged is lost", remedy).await
}
