//! `jobs`: all jobs, and how far they are.

use std::time::Duration;

use serde_json::{Value, json};

use super::output::thousands;
use super::{Exit, Failure, Global, follow, open, output};
use crate::catalog::{Catalog, Job, JobState, Totals};
use crate::config::units::{format_bytes, format_duration, format_rate};
use crate::dicom::Date;
use crate::job::report::{escape, items_json, kind_text, objects_json, state_text, timestamp};

/// List the jobs, the latest first, and how far they are
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry jobs\n  pacsferry jobs --json | jq '.[0].eta_seconds'")]
pub(super) struct Args {}

/// How far a job is, and how fast.
pub(super) struct Progress {
    pub(super) totals: Totals,
    pub(super) rate: u64,
    pub(super) eta: Option<Duration>,
    pub(super) newest_pending: Option<String>,
}

impl Progress {
    pub(super) async fn of(catalog: &Catalog, job: &Job) -> Result<Self, Failure> {
        let totals = catalog.totals(job.id).await?;
        let (_, bytes) = catalog.throughput(job.id, Duration::from_secs(60)).await?;
        Ok(Progress {
            rate: if follow::is_at_rest(job.state) { 0 } else { bytes / 60 },
            eta: follow::eta(catalog, job, &totals).await?,
            newest_pending: catalog.newest_pending(job.id).await?,
            totals,
        })
    }

    pub(super) fn json(&self, job: &Job) -> Value {
        json!({
            "job": job.id,
            "kind": kind_text(job.spec.kind),
            "source": job.spec.source,
            "state": state_text(job.state),
            "message": job.message,
            "created": timestamp(job.created),
            "started": job.started.and_then(timestamp),
            "ended": job.ended.and_then(timestamp),
            "enumerated": job.enumerated,
            "items": items_json(&self.totals.items),
            "objects": objects_json(&self.totals.objects),
            "bytes": self.totals.bytes,
            "rate_bytes_per_second": self.rate,
            "eta_seconds": self.eta.map(|eta| eta.as_secs()),
            "newest_pending": self.newest_pending,
        })
    }
}

pub(super) async fn run(global: &Global, _args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let mut rows = Vec::new();
    let mut documents = Vec::new();
    let mut waiting = Vec::new();
    let mut unattended = false;
    if let Some(catalog) = open::catalog_if_any(&config)? {
        for job in catalog.jobs().await? {
            unattended |= !follow::is_at_rest(job.state) && open::is_idle(&catalog, &job).await?;
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

/// Whether a running job tells that it cannot work now: the disk is full, the source does not answer, or it is not its
/// hour.
pub(super) fn is_waiting(job: &Job) -> bool {
    job.state == JobState::Running && job.message.is_some()
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
