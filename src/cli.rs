//! The command line: one file a command. Results go to standard output, progress and logs to standard error.

mod adopt;
mod attendant;
mod audit;
mod backup;
mod check;
mod checkup;
mod content;
mod correction;
mod corrections;
mod demo;
mod dry_run;
mod echo;
mod exit;
mod find;
mod follow;
mod generate;
mod guide;
mod import;
mod job;
mod jobs;
mod keys;
mod log;
mod migrate;
mod open;
mod outbox;
mod output;
mod passcode;
mod priors;
mod quarantine;
mod reallocate;
mod relocate;
mod remedy;
mod render_worker;
mod report;
mod rescan;
mod scope;
mod serve;
mod sheet;
mod signals;
mod slot;
#[cfg(test)]
mod tests;
mod user;
mod verify;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

use exit::{Exit, Failure};

/// What `--help` says below the commands.
const AFTER_HELP: &str = "\
Examples:
  pacsferry demo                         see a whole migration, no PACS needed
  pacsferry check                        is everything in place?
  pacsferry migrate oldpacs --dry-run    how much is there?
  pacsferry migrate oldpacs              carry it over, newest first
  pacsferry import /mnt/usb --copy       take in a folder of files
  pacsferry report last --failed         what did not come, and why
  pacsferry reallocate SERIES --to STUDY --dry-run    what a move to another study would mean

Exit codes:
  0  done, and proven     1  failed     2  usage or configuration
  3  finished with fallout, not ready   4  paused or cancelled
  143  ended by SIGTERM: the job stays running and goes on with the next worker

The configuration is the file of --config, else of PACSFERRY_CONFIG, else ./pacsferry.toml,
else /etc/pacsferry/pacsferry.toml. `pacsferry guide` is the manual.";

/// Carries every study of an old PACS into a new archive over DICOM, newest first, and proves it.
#[derive(Debug, Parser)]
#[command(name = "pacsferry", version, about, after_help = AFTER_HELP, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print results as one JSON document
    #[arg(long, global = true)]
    json: bool,
    /// How much is logged: error, warn, info, debug, trace, or a filter such as `pacsferry::scp=debug`
    #[arg(long, global = true, value_name = "LEVEL", env = "PACSFERRY_LOG", hide_env_values = true)]
    log: Option<String>,
}

impl Global {
    fn load(&self) -> Result<Config, Failure> {
        Ok(crate::config::load(self.config.as_deref())?)
    }

    /// The command line that runs this program on the same configuration, for hints that can be copied.
    fn command(&self, rest: &str) -> String {
        match &self.config {
            Some(path) => format!("pacsferry {rest} --config {}", output::shell_word(&path.display().to_string())),
            None => format!("pacsferry {rest}"),
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Check(check::Args),
    Echo(echo::Args),
    Find(find::Args),
    Migrate(migrate::Args),
    Import(import::Args),
    Priors(priors::Args),
    Jobs(jobs::Args),
    Job(job::Args),
    Report(report::Args),
    Reallocate(reallocate::ReallocateArgs),
    Merge(reallocate::MergeArgs),
    Split(reallocate::SplitArgs),
    Undo(corrections::UndoArgs),
    Corrections(corrections::ListArgs),
    Lock(corrections::LockArgs),
    Unlock(corrections::UnlockArgs),
    Quarantine(quarantine::Args),
    Rescan(rescan::Args),
    Outbox(outbox::Args),
    Audit(audit::Args),
    Verify(verify::Args),
    Adopt(adopt::Args),
    Relocate(relocate::Args),
    Work(work::Args),
    Serve(serve::Args),
    Rebuild(backup::RebuildArgs),
    Backup(backup::BackupArgs),
    Passcode(passcode::Args),
    User(user::Args),
    Guide(guide::Args),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
    #[command(hide = true)]
    RenderWorker(render_worker::Args),
}

/// Reads the command line, runs the command and tells how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, everything else a mistake of the caller, whether or not somebody reads it.
            let written = error.print();
            let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
            return match written {
                _ if error.use_stderr() => Exit::Usage,
                Err(error) if !gone(&error) => Exit::Failed,
                _ => Exit::Done,
            }
            .into();
        }
    };
    let json = cli.global.json;
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell(json).into(),
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    // Without a runtime, whose threads would count against its limits.
    if let Command::RenderWorker(args) = &cli.command {
        return render_worker::run(args);
    }
    let service = matches!(cli.command, Command::Work(_) | Command::Serve(_));
    let usual = if service { "info" } else { "warn" };
    log::start(cli.global.log.as_deref().unwrap_or(usual), cli.global.json && service)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(
            format!("the asynchronous runtime cannot start: {error}"),
            "check the limits of this user (ulimit -u)",
        )
    })?;
    let result = runtime.block_on(Box::pin(dispatch(cli)));
    // Whatever still blocks in a thread (a name look-up, say) does not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Demo(args) => demo::run(global, args).await,
        Command::Check(args) => check::run(global, args).await,
        Command::Echo(args) => echo::run(global, args).await,
        Command::Find(args) => find::run(global, args).await,
        Command::Migrate(args) => migrate::run(global, args).await,
        Command::Import(args) => import::run(global, args).await,
        Command::Priors(args) => Box::pin(priors::run(global, args)).await,
        Command::Jobs(args) => jobs::run(global, args).await,
        Command::Job(args) => job::run(global, args).await,
        Command::Report(args) => report::run(global, args).await,
        Command::Reallocate(args) => Box::pin(reallocate::reallocate(global, args)).await,
        Command::Merge(args) => Box::pin(reallocate::merge(global, args)).await,
        Command::Split(args) => Box::pin(reallocate::split(global, args)).await,
        Command::Undo(args) => Box::pin(corrections::undo(global, args)).await,
        Command::Corrections(args) => corrections::list(global, args).await,
        Command::Lock(args) => Box::pin(corrections::lock(global, args)).await,
        Command::Unlock(args) => Box::pin(corrections::unlock(global, args)).await,
        Command::Quarantine(args) => quarantine::run(global, args).await,
        Command::Rescan(args) => rescan::run(global, args).await,
        Command::Outbox(args) => outbox::run(global, args).await,
        Command::Audit(args) => audit::run(global, args).await,
        Command::Verify(args) => verify::run(global, args).await,
        Command::Adopt(args) => Box::pin(adopt::run(global, args)).await,
        Command::Relocate(args) => Box::pin(relocate::run(global, args)).await,
        Command::Work(args) => work::run(global, args).await,
        Command::Serve(args) => serve::run(global, args).await,
        Command::Rebuild(args) => backup::rebuild(global, args).await,
        Command::Backup(args) => backup::backup(global, args).await,
        Command::Passcode(args) => passcode::run(global, args),
        Command::User(args) => user::run(global, args).await,
        Command::Guide(args) => guide::run(args),
        Command::Completions(args) => generate::completions(args),
        Command::Man(args) => generate::man(args),
        Command::RenderWorker(args) => render_worker::run(&args),
    }
}
