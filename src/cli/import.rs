//! `import`: makes a job of folders, or goes on with one, and follows it.

use std::io::Write;
use std::path::PathBuf;

use super::output::count;
use super::{Exit, Failure, Global, dry_run, log, migrate, open, output};
use crate::catalog::{ImportHow, ImportSpec, JobKind, JobSpec};
use crate::config::Config;
use crate::dicom::Date;
use crate::job::folders;
use crate::node::{self, DryRun};

/// Take in folders of DICOM files, newest study first, and prove each study
///
/// The files are only read: nothing in the folders is altered, moved or deleted. The same command while its job is
/// unfinished goes on with that job; a later one passes over what has not changed and takes in what is new. Interrupt
/// (Ctrl-C) to pause.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry import /mnt/usb --copy --dry-run        how many studies, of which years
  pacsferry import /mnt/usb --copy                  copy them into the storage folder
  pacsferry import /old/images --link               leave them where they are; they must stay
  pacsferry import /old/images --link --hash        ... and read them whole, so that any change is found
  pacsferry import /old/images --copy --received-from 2024-05-01")]
#[command(group = clap::ArgGroup::new("how").args(["copy", "link", "link_only"]))]
pub(super) struct Args {
    /// The folders, with everything below them; links are not followed
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Copy the files into the storage folder
    #[arg(long)]
    copy: bool,
    /// Leave the files where they are and point to them; only what lies in archives (.gz, .zip) is copied
    #[arg(long)]
    link: bool,
    /// The same, and refuse what lies in archives
    #[arg(long)]
    link_only: bool,
    /// Read linked files whole, so that their digests are known
    #[arg(long, conflicts_with = "copy")]
    hash: bool,
    /// The earliest study date, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// The latest study date, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,
    /// The first day on which a file came into its folder (its modification time), YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    received_from: Option<Date>,
    /// The last such day
    #[arg(long, value_name = "DATE")]
    received_to: Option<Date>,
    /// Only tell how much there is
    #[arg(long, conflicts_with_all = ["detach", "new"])]
    dry_run: bool,
    /// Only queue the job for the worker (`pacsferry work`), which must see the same folders
    #[arg(long)]
    detach: bool,
    /// Make a new job even if one like it is unfinished
    #[arg(long)]
    new: bool,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    for (from, to, option) in [(args.from, args.to, ""), (args.received_from, args.received_to, "received-")] {
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            let what = format!("--{option}from {} lies after --{option}to {}", from.iso(), to.iso());
            return Err(Failure::usage(what, "swap them"));
        }
    }
    let (folders, how) = folders_of(&config, &args)?;
    let spec = JobSpec {
        kind: JobKind::Import,
        source: None,
        from: args.from,
        to: args.to,
        studies: Vec::new(),
        modalities: Vec::new(),
        follow: None,
        import: Some(ImportSpec {
            folders,
            how,
            hash: args.hash,
            received_from: args.received_from,
            received_to: args.received_to,
        }),
    };
    if args.dry_run {
        return only_count(global, &config, &spec).await;
    }
    open::operate(&config)?;
    let node = node::open(config.clone()).await?;
    let job = migrate::find_or_create(&node.catalog, &spec, args.new).await?;
    migrate::carry_on(global, &config, &node.catalog, job.id, args.detach).await
}

/// The folders, and what becomes of the files.
fn folders_of(config: &Config, args: &Args) -> Result<(Vec<PathBuf>, ImportHow), Failure> {
    let how = match (args.copy, args.link, args.link_only) {
        (true, ..) => Some(ImportHow::Copy),
        (_, true, _) => Some(ImportHow::Link),
        (.., true) => Some(ImportHow::LinkOnly),
        _ => None,
    };
    let found = folders::folders_of(&config.storage.folder, &args.folders, how);
    let (folders, how) = found.map_err(|error| Failure::usage(error.to_string(), error.remedy()))?;
    if how == ImportHow::Own {
        log::say("the files lie in the storage folder already: nothing is copied, they only get their entries");
    }
    Ok((folders, how))
}

async fn only_count(global: &Global, config: &Config, spec: &JobSpec) -> Result<Exit, Failure> {
    let Some(found) = dry_run::run(config, spec, "stopping").await? else { return Ok(Exit::Stopped) };
    if global.json {
        output::json(&serde_json::json!({
            "studies": found.studies,
            "objects": found.objects,
            "years": dry_run::years(&found),
            "troubled": found.not_enumerated,
        }))?;
    } else {
        output::print(|out| print_dry_run(&found, out))?;
    }
    Ok(Exit::Done)
}

fn print_dry_run(found: &DryRun, out: &mut dyn Write) -> std::io::Result<()> {
    let files = count(found.objects.unwrap_or(0), "file", "files");
    writeln!(out, "the folders hold {} in {files}", count(found.studies, "study", "studies"))?;
    dry_run::print_rest(found, out)
}
