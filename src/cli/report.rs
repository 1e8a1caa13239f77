//! `report`: what succeeded, what failed and why. Also what `migrate` prints at its end.

use std::io::{BufWriter, ErrorKind, Write};

use super::open::{self, JobRef};
use super::{Exit, Failure, Global, output};
use crate::catalog::{Catalog, Job, JobState};
use crate::job::report::{Format, Report, ReportError, Style};

/// What succeeded, what failed and why
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry report last                          what to know, for people
  pacsferry report 3 --failed                    every study that is not proven
  pacsferry report 3 --format html > report.html to print and to keep
  pacsferry report 3 --format json | jq .items   for scripts")]
pub(super) struct Args {
    /// The number of the job, or `last`
    #[arg(value_name = "N|last", default_value = "last")]
    job: JobRef,
    /// The form
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Only the studies that are not proven, and all of them
    #[arg(long)]
    failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For scripts
    Json,
    /// For spreadsheets
    Csv,
    /// For a browser or a printer
    Html,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let job = open::job(global, &catalog, args.job).await?;
    let format = match args.format {
        None if global.json => Format::Json,
        None | Some(Form::Text) => Format::Text,
        Some(Form::Json) => Format::Json,
        Some(Form::Csv) => Format::Csv,
        Some(Form::Html) => Format::Html,
    };
    let style = Style { failed_only: args.failed, command_suffix: suffix(global), source_gone: false };
    write(&catalog, &job, format, &style).await?;
    Ok(Exit::Done)
}

/// The report at the end of a job that was followed, and how that ended.
pub(super) async fn print_end(
    global: &Global,
    catalog: &Catalog,
    job: &Job,
    source_gone: bool,
) -> Result<Exit, Failure> {
    let format = if global.json { Format::Json } else { Format::Text };
    let style = Style { failed_only: false, command_suffix: suffix(global), source_gone };
    let report = write(catalog, job, format, &style).await?;
    Ok(exit_of(&report))
}

/// How a job ended, as an exit code.
pub(super) fn exit_of(report: &Report) -> Exit {
    match report.job.state {
        JobState::Finished if report.is_proven() => Exit::Done,
        JobState::Finished => Exit::Fallout,
        JobState::Halted => Exit::Failed,
        JobState::Paused | JobState::Cancelled | JobState::Running | JobState::Stopping => Exit::Stopped,
    }
}

/// What follows a suggested command, so that it works as it stands.
fn suffix(global: &Global) -> String {
    let option = |path: &std::path::PathBuf| format!(" --config {}", output::shell_word(&path.display().to_string()));
    global.config.as_ref().map(option).unwrap_or_default()
}

async fn write(catalog: &Catalog, job: &Job, format: Format, style: &Style) -> Result<Report, Failure> {
    let gone = || Failure::new(format!("job {} is no longer in the catalog", job.id), "");
    let report = Report::of(catalog, job.id).await?.ok_or_else(gone)?;
    let mut out = BufWriter::new(std::io::stdout());
    let written = report.write(format, style, &mut out).await.and_then(|()| Ok(out.flush()?));
    match written {
        Ok(()) => Ok(report),
        // A reader that has seen enough is no error.
        Err(ReportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(report),
        Err(ReportError::Catalog(error)) => Err(error.into()),
        Err(error) => Err(Failure::from_error("", &error, "")),
    }
}
