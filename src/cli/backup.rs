//! `backup` and `rebuild`: the catalog copied, and made anew.

use std::path::{Path, PathBuf};

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
        return Err(Failure::usage(format!("{} exists already", args.file.display()), "name a new file"));
    }
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Failure::usage(
            format!("there is no folder {}, and no backup was made", folder.display()),
            "see that the disk for backups is mounted, or make the folder first",
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

/// Make the catalog anew from the storage folder, when it is lost
///
/// Reads every file. Jobs and their history, the retrieve log (which nodes got copies) and the outbox are not in the files
/// and are lost with the catalog. Digests are taken anew:
/// damage that a file had before shows no more. Where the old catalog or a backup of it can still be read, run
/// `verify --all --files` with it first; afterwards `migrate` each source again, which pulls only what is missing, and
/// `verify` that job. A catalog that exists is not touched: move it away first. No other pacsferry may run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  mv pacsferry-data/catalog.db /somewhere/else\n  pacsferry rebuild")]
pub(super) struct RebuildArgs {}

pub(super) async fn rebuild(global: &Global, _args: RebuildArgs) -> Result<Exit, Failure> {
    let config = global.load()?;
    let path = config.storage.catalog.clone();
    if path.exists() {
        return Err(Failure::usage(
            format!("there is a catalog at {}, and rebuild does not overwrite one", path.display()),
            "if it is damaged, end every pacsferry, move it away together with its -wal and -shm files, and run rebuild again",
        ));
    }
    let rebuilt = crate::node::rebuild(config).await?;
    if global.json {
        output::json(
            &json!({ "objects": rebuilt.objects, "quarantined": rebuilt.quarantined, "problems": rebuilt.problems,
                "lost": ["jobs", "accounts", "retrieve-log", "outbox", "audit-trail"] }),
        )?;
    } else {
        output::print(|out| {
            writeln!(
                out,
                "the catalog {} is made anew: {}, {} in quarantine",
                path.display(),
                output::count(rebuilt.objects, "object", "objects"),
                rebuilt.quarantined
            )?;
            for problem in &rebuilt.problems {
                writeln!(out, "  {}", crate::job::report::escape::terminal(problem))?;
            }
            let more = rebuilt.problem_count - rebuilt.problems.len() as u64;
            if more > 0 {
                writeln!(out, "  ... and {more} more")?;
            }
            writeln!(
                out,
                "Which nodes got copies before, and what they had still to be told, is not in the files: plans of corrections\n\
                 warn of it. Jobs and accounts of the console are not, either."
            )?;
            writeln!(
                out,
                "Digests were taken from the files as they are now: damage from before shows no more. Hold them against the\n\
                 sources: `{}` proves each study again and pulls what is missing, then `{}`.",
                global.command("migrate SOURCE"),
                global.command("verify last")
            )
        })?;
    }
    Ok(if rebuilt.problems.is_empty() { Exit::Done } else { Exit::Fallout })
}
