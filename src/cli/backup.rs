//! `backup` and `rebuild`: the catalog copied, and made anew.

use std::path::PathBuf;

use serde_json::json;

use super::{Exit, Failure, Global, open, output};

/// Copy the catalog into a file, also while it is in use
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry backup /mnt/backup/catalog-$(date +%F).db")]
pub(super) struct BackupArgs {
    /// The new file
    file: PathBuf,
}

pub(super) async fn backup(global: &Global, args: BackupArgs) -> Result<Exit, Failure> {
    let config = global.load()?;
    if args.file.exists() {
        return Err(Failure::usage(
            format!("{} exists already", args.file.display()),
            "name a new file",
        ));
    }
    let catalog = open::catalog(global, &config)?;
    let file = args.file.clone();
    let copied = tokio::task::spawn_blocking(move || catalog.backup(&file)).await;
    copied.map_err(|error| Failure::new(format!("the backup broke down: {error}"), ""))??;
    let bytes = std::fs::metadata(&args.file)?.len();
    if global.json {
        output::json(&json!({ "file": args.file, "bytes": bytes }))?;
    } else {
        output::print(|out| {
            writeln!(
                out,
                "the catalog is copied to {} ({})",
                args.file.display(),
                crate::config::units::format_bytes(bytes)
            )
        })?;
    }
    Ok(Exit::Done)
}
