//! `jobs`: all jobs, and how far they are.

use serde_json::Value;

use super::output::thousands;
use super::{Exit, Failure, Global, open, output};
use crate::catalog::Job;
use crate::config::units::{format_bytes, format_duration, format_rate};
use crate::dicom::Date;
use crate::job::control;
use crate::job::progress::{self, Progress, is_waiting};
use crate::job::report::{escape, kind_text, state_text};

/// List the jobs, the latest first, and how far they are
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry jobs\n  pacsferry jobs --json | jq '.[0].eta_seconds'")]
pub(super) struct Args {}

pub(super) async fn run(global: &Global, _args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    let mut waiting = Vec::new();
    let mut unattended = false;
    if let Some(catalog) = open::catalog_if_any(&config)? {
        for job in catalog.jobs().await? {
            unattended |= !progress::is_at_rest(job.state) && control::is_idle(&catalog, &job).await?;
            let progress = Progress::of(&catalog, &job).await?;
            if let Some(why) = job.message.as_ref().filter(|_| is_waiting(&job)) {
                waiting.push((job.id, why.clone()));
            }
            if global.json { documents.push(progress.json(&job)) } else { rows.push(row(&job, &progress)) }
        }
    }
    if global.json {
        output::json(&Value::Array(documents))?;
    } else if rows.is_empty() {
        output::print(|out| writeln!(out, "no jobs yet; `{}` makes one", global.command("migrate SOURCE")))?;
    } else {
        let head = [
            "job",
            "source",
            "state",
            "proven",
            "of",
            "not proven",
            "objects",
            "received",
            "rate",
            "to go",
            "newest pending",
        ];
        output::print(|out| {
            output::table(out, &head, &rows)?;
            for (job, why) in &waiting {
                writeln!(out, "job {job}: {}", escape::terminal(why))?;
            }
            let work = global.command("work");
            if unattended { writeln!(out, "no worker is running: `{work}` takes the running jobs up") } else { Ok(()) }
        })?;
    }
    Ok(Exit::Done)
}

fn row(job: &Job, progress: &Progress) -> Vec<String> {
    let items = &progress.totals.items;
    vec![
        job.id.to_string(),
        job.spec.source.clone().unwrap_or_else(|| kind_text(job.spec.kind).to_owned()),
        if is_waiting(job) { "waiting" } else { state_text(job.state) }.to_owned(),
        thousands(items.proven),
        format!("{}{}", thousands(items.total), if job.enumerated { "" } else { "+" }),
        thousands(items.fallout()),
        thousands(progress.totals.objects.filed),
        format_bytes(progress.totals.bytes),
        if progress.rate > 0 { format_rate(progress.rate) } else { "-".into() },
        progress.eta.map_or("-".into(), format_duration),
        progress
            .newest_pending
            .as_deref()
            .map_or("-".into(), |day| Date::parse(day).map_or("no date".into(), Date::iso)),
    ]
}
