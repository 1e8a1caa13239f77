//! `adopt`: linked studies become copies.

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::open;
use super::output::count;
use super::scope::ScopeArgs;
use super::signals::Signals;
use super::verify::{KEPT, document, lines};
use super::{Exit, Failure, Global, log, output};
use crate::config::units::format_bytes;
use crate::job::verify::Finding;
use crate::node::{self, Adoption, Step};

/// Copy linked studies into the storage folder
///
/// Newest study first. The files are copied, compared with what is known of them, and then all entries of the study point
/// to the copies at once; the linked files stay as they are. Interrupted (Ctrl-C) it ends after the study at hand, and
/// goes on from there when it is run again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry adopt last                       everything that the last job linked
  pacsferry adopt --study 1.2.840.1.2.3
  pacsferry adopt --all")]
pub(super) struct Args {
    #[command(flatten)]
    what: ScopeArgs,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    open::operate(&config)?;
    let catalog = open::catalog(global, &config)?;
    let scope = args.what.scope(global, &catalog).await?;
    super::verify::knows(global, &catalog, &scope).await?;
    drop(catalog);
    let stop = CancellationToken::new();
    let mut told = Told::default();
    let done = Box::pin(until_stopped(&stop, node::adopt(config, &scope, &stop, &mut |step| told.take(step)))).await?;
    told.finish(global, done)
}

/// Runs it; the first signal asks it to stop, the second one ends the process.
pub(super) async fn until_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, node::NodeError>>,
) -> Result<Option<T>, Failure> {
    let mut signals = Signals::new()?;
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return Ok(Some(done?)),
        _ = signals.next() => {}
    }
    stop.cancel();
    log::say("stopping after the study at hand; once more stops at once");
    tokio::select! {
        done = &mut work => Ok(Some(done?)),
        _ = signals.next() => Ok(None),
    }
}

/// What was told on the way.
#[derive(Default)]
pub(super) struct Told {
    findings: Vec<Finding>,
}

impl Told {
    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Left(finding) if self.findings.len() < KEPT => self.findings.push(finding),
            Step::Left(_) => {}
            Step::Study(done) => {
                if done.studies.is_multiple_of(100) {
                    log::say(&format!("{} copied", amount(&done)));
                }
            }
        }
    }

    /// Prints what came of it; nothing is known of a process that was stopped at once.
    pub(super) fn finish(self, global: &Global, done: Option<Adoption>) -> Result<Exit, Failure> {
        let Some(done) = done else { return Ok(Exit::Stopped) };
        if global.json {
            let findings: Vec<_> = self.findings.iter().map(document).collect();
            output::json(&json!({
                "studies": done.studies, "objects": done.objects, "bytes": done.bytes, "stopped": done.stopped,
                "findings": findings, "findings_total": done.findings,
            }))?;
        } else {
            output::print(|out| {
                lines(out, &self.findings, done.findings)?;
                let left = match done.findings {
                    0 => String::new(),
                    n => format!("; {} left as they are", count(n, "file is", "files are")),
                };
                let stopped = if done.stopped { "; stopped before the end, run it again to go on" } else { "" };
                writeln!(out, "{} copied{left}{stopped}", amount(&done))
            })?;
        }
        Ok(match done {
            Adoption { stopped: true, .. } => Exit::Stopped,
            Adoption { findings: 0, .. } => Exit::Done,
            _ => Exit::Fallout,
        })
    }
}

fn amount(done: &Adoption) -> String {
    format!(
        "{} with {} ({})",
        count(done.studies, "study", "studies"),
        count(done.objects, "object", "objects"),
        format_bytes(done.bytes)
    )
}
