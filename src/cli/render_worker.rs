//! `render-worker`: the process in which pictures are drawn.

use super::{Exit, Failure};
use crate::picture;

/// Draw pictures, as `serve` asks for them on standard input
///
/// `serve` starts it when pictures are asked for, since what strangers sent is best decoded by a process that may fail
/// alone. Nobody else needs it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  pacsferry render-worker --memory 1073741824 --seconds 10     as `serve` starts it"
)]
pub(super) struct Args {
    /// The most memory that it may take, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 2 << 30)]
    memory: u64,
    /// The most processor time that a picture may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    seconds: u64,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let failed = |error: &picture::WorkerError| {
        Failure::from_error("drawing pictures", error, "it is started by `pacsferry serve`; nobody else needs it")
    };
    picture::work(args.memory, args.seconds).map_err(|error| failed(&error))?;
    Ok(Exit::Done)
}
