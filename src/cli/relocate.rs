//! `relocate`: another storage folder.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::adopt::{Told, until_stopped};
use super::{Exit, Failure, Global, log, open};
use crate::node;

/// Change over to another storage folder
///
/// Name the new folder in `[storage] folder` first, end every other pacsferry, and then tell this command where the old one
/// is. The entries of the old folder stay valid as links into it; then its files are copied into the new one, newest study
/// first, each compared before its entry points to the copy. Interrupted (Ctrl-C) it ends after the study at hand; run it
/// again to go on. The old folder is never changed: remove it yourself, when `pacsferry verify --all --files` finds nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry relocate /mnt/old/images
  pacsferry relocate /mnt/old/images --link-only     work goes on at once; `pacsferry adopt --all` copies later")]
pub(super) struct Args {
    /// The old storage folder
    #[arg(value_name = "OLD-FOLDER")]
    from: PathBuf,
    /// Leave the files in the old folder
    #[arg(long)]
    link_only: bool,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    open::operate(&config)?;
    drop(open::catalog(global, &config)?);
    let stop = CancellationToken::new();
    let mut told = Told::default();
    let mut tell = |step| told.take(step);
    let work = Box::pin(node::relocate(config, &args.from, args.link_only, &stop, &mut tell));
    let done = until_stopped(&stop, work).await?;
    if let Some(linked) = done.map(|done| done.linked).filter(|linked| *linked > 0) {
        log::say(&format!("{linked} entries point into {} now", args.from.display()));
    }
    told.finish(global, done.map(|done| done.adoption))
}
