//! `verify`: the catalog compared with the source, and with the files on disk.

use std::io::Write;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::open;
use super::output::count;
use super::scope::ScopeArgs;
use super::signals::Signals;
use super::{Exit, Failure, Global, log, output};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::job::report::escape;
use crate::job::verify::{Finding, Looked, Scope};
use crate::node;

/// Findings that are kept to be printed; all are counted.
pub(super) const KEPT: usize = 100_000;

/// Compare the catalog with the source, and with the files on disk
///
/// At the source every study is listed once more, within the source's limits. Of the files, size and digest are compared with
/// what was filed: an object whose file is gone or damaged is not counted as filed any more, and its study is to be tried
/// again. Damaged bytes are kept in quarantine; nothing is deleted. The same holds for linked files that are gone or have
/// changed, unless all of the folder that was imported is away.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry verify last                      everything that the last job brought
  pacsferry verify --study 1.2.840.1.2.3
  pacsferry verify --all --files             all files, the sources left in peace")]
pub(super) struct Args {
    #[command(flatten)]
    what: ScopeArgs,
    /// Only compare with the files
    #[arg(long, conflicts_with = "source")]
    files: bool,
    /// Only compare with the source
    #[arg(long)]
    source: bool,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let scope = args.what.scope(global, &catalog).await?;
    knows(global, &catalog, &scope).await?;
    drop(catalog);
    let stop = CancellationToken::new();
    let mut signals = Signals::new()?;
    let mut work = Box::pin(compare(&config, &args, &scope, &stop));
    let (looked, findings) = tokio::select! {
        done = &mut work => done?,
        _ = signals.next() => {
            stop.cancel();
            log::say("stopping");
            tokio::select! {
                done = &mut work => { done?; }
                _ = signals.next() => {}
            }
            return Ok(Exit::Stopped);
        }
    };
    if global.json {
        let findings: Vec<_> = findings.iter().map(document).collect();
        output::json(&json!({ "studies": looked.studies, "objects": looked.objects,
                "variants": looked.variants, "quarantined": looked.quarantined, "findings": findings,
                "findings_total": looked.findings, "lost": looked.lost, "jobs_to_retry": looked.jobs }))?;
    } else {
        output::print(|out| text(global, out, args.files, &looked, &findings))?;
    }
    Ok(if looked.findings == 0 { Exit::Done } else { Exit::Fallout })
}

/// Refuses a study that nobody has heard of.
pub(super) async fn knows(global: &Global, catalog: &Catalog, scope: &Scope) -> Result<(), Failure> {
    match scope {
        Scope::Study(uid) if !catalog.knows_study(uid).await? => Err(Failure::usage(
            format!("nothing is filed of the study `{uid}`, and no job has it"),
            format!("check the UID; `{}` finds studies", global.command("find catalog")),
        )),
        _ => Ok(()),
    }
}

async fn compare(
    config: &Config,
    args: &Args,
    scope: &Scope,
    stop: &CancellationToken,
) -> Result<(Looked, Vec<Finding>), Failure> {
    let mut findings = Vec::new();
    let mut keep = |finding: Finding| {
        if findings.len() < KEPT {
            findings.push(finding);
        }
    };
    let mut looked = Looked::default();
    if !args.source {
        looked = node::verify_files(config.clone(), scope, stop, &mut keep).await?;
    }
    if !args.files {
        let at_source = node::verify_source(config.clone(), scope, stop, &mut keep).await?;
        if args.source {
            looked = at_source;
        } else {
            looked.studies += at_source.empty;
            looked.findings += at_source.findings;
            looked.jobs.extend(at_source.jobs);
        }
    }
    Ok((looked, findings))
}

fn are_not(objects: u64) -> String {
    format!("{} {} not", count(objects, "object", "objects"), if objects == 1 { "is" } else { "are" })
}

pub(super) fn document(finding: &Finding) -> serde_json::Value {
    json!({
        "kind": finding.kind.as_text(),
        "study_uid": finding.study.as_ref().map(|uid| uid.as_str()),
        "sop_instance_uid": finding.instance.as_ref().map(|uid| uid.as_str()),
        "detail": finding.detail,
    })
}

/// One line for each finding, and how many more there are.
pub(super) fn lines(out: &mut dyn Write, findings: &[Finding], total: u64) -> std::io::Result<()> {
    for finding in findings {
        let mut about = finding.kind.as_text().to_owned();
        if let Some(study) = &finding.study {
            about.push_str(&format!(", study {study}"));
        }
        if let Some(instance) = &finding.instance {
            about.push_str(&format!(", object {instance}"));
        }
        writeln!(out, "{about}: {}", escape::terminal(&finding.detail))?;
    }
    match total.saturating_sub(findings.len() as u64) {
        0 => Ok(()),
        more => writeln!(out, "... and {}", count(more, "more finding", "more findings")),
    }
}

fn text(
    global: &Global,
    out: &mut dyn Write,
    files: bool,
    looked: &Looked,
    findings: &[Finding],
) -> std::io::Result<()> {
    lines(out, findings, looked.findings)?;
    let mut what =
        format!("{} with {}", count(looked.studies, "study", "studies"), count(looked.objects, "object", "objects"));
    let beside =
        [(looked.variants, "variant", "variants"), (looked.quarantined, "file in quarantine", "files in quarantine")];
    for (number, one, many) in beside.into_iter().filter(|(number, ..)| *number > 0) {
        what.push_str(&format!(", {}", count(number, one, many)));
    }
    match looked.findings {
        0 if looked.studies == 0 => writeln!(out, "there is no study to compare")?,
        0 if files => writeln!(out, "{what} compared with the files: every file is as the catalog says")?,
        0 => writeln!(out, "{what} compared: everything is as it should be")?,
        n => writeln!(out, "{what} compared: {}", count(n, "finding", "findings"))?,
    }
    if looked.lost > 0 {
        writeln!(out, "{} counted as filed any more; damaged bytes are kept in quarantine", are_not(looked.lost))?;
        if looked.jobs.is_empty() {
            writeln!(
                out,
                "no job knows their studies: send them again, or migrate them with `migrate SOURCE --study UID`"
            )?;
        }
    }
    for job in &looked.jobs {
        writeln!(out, "`{}` pulls what is missing", global.command(&format!("job {job} retry")))?;
    }
    Ok(())
}
