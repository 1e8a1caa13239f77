//! `job`: one job, and what the operator wants of it.

mod more;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::open::{self, JobRef};
use super::output::count;
use super::{Exit, Failure, Global, follow, migrate, output};
use crate::catalog::{Catalog, Checkpoint, Control, Job, JobState, Reason, Retry};
use crate::config::Config;
use crate::dicom::StudyInstanceUid;
use crate::import::shown;
use crate::job::control;
use crate::job::progress::{self, Progress};
use crate::job::report::{escape, local_time, state_text, timestamp};

/// The checkpoints that are shown.
const SHOWN: usize = 20;
/// Within this time whoever works on a job has seen that it is to stop.
const SEEN: Duration = Duration::from_secs(3);
/// How long a source may take to be quiet after a stop.
const QUIET: Duration = Duration::from_secs(40);

/// Show one job, pause it, go on with it, cancel it, try its fallout again, or agree to it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry job last                              how far it is, and what is being pulled
  pacsferry job 3 pause                           let go of the source within a second
  pacsferry job 3 resume                          go on, pulling only what is missing
  pacsferry job 3 retry                           try everything again that is not proven
  pacsferry job 3 retry --reason \"timed out\"      ... of one reason
  pacsferry job 3 exclude --study 1.2.3.4         leave a study out
  pacsferry job 3 approve --study 1.2.3.4 --why \"test patient\"
  pacsferry job 3 slow --rate \"5 MiB/s\" --for 2h   be gentle to the source")]
pub(super) struct Args {
    /// The number of the job, or `last`
    #[arg(value_name = "N|last")]
    job: JobRef,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// How far it is, with the association checkpoints (the default)
    Show,
    /// Stop it, to go on later
    Pause,
    /// Go on with it
    Resume {
        /// Leave the work to the worker (`pacsferry work`)
        #[arg(long)]
        detach: bool,
    },
    /// Give it up; what is filed stays filed
    Cancel,
    /// Try again what is not proven
    Retry {
        /// Only studies with this reason
        #[arg(long, value_parser = reason, conflicts_with = "study")]
        reason: Option<Reason>,
        /// Only this study
        #[arg(long, value_name = "UID")]
        study: Option<String>,
        /// Leave the work to the worker (`pacsferry work`)
        #[arg(long)]
        detach: bool,
    },
    /// Leave a study out
    Exclude {
        /// The study
        #[arg(long, value_name = "UID")]
        study: String,
        /// Why, for the report
        #[arg(long, value_name = "TEXT", default_value = "")]
        why: String,
    },
    /// Agree, in your name, that a study that is not proven stays behind
    Approve {
        /// The study
        #[arg(long, value_name = "UID")]
        study: String,
        /// Why it may
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Start a new job that is asked for the same
    Repeat {
        /// Leave the work to the worker (`pacsferry work`)
        #[arg(long)]
        detach: bool,
    },
    /// Be gentler to the source for a while, whatever the configuration allows
    Slow {
        /// The most associations
        #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
        associations: u32,
        /// The most bytes per second, such as `5 MiB/s`
        #[arg(long, value_parser = crate::config::units::parse_rate)]
        rate: Option<u64>,
        /// How long
        #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = crate::config::units::parse_duration)]
        how_long: Duration,
        /// Let what the configuration says hold again
        #[arg(long, conflicts_with_all = ["associations", "rate", "how_long"])]
        off: bool,
    },
}

fn reason(text: &str) -> Result<Reason, String> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_'], " ");
    let known = |reason: &&Reason| plain(reason.as_text()) == plain(text);
    Reason::ALL.iter().find(known).copied().ok_or_else(|| {
        let all: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_text()).collect();
        format!("the reasons are: {}", all.join(", "))
    })
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let job = open::job(global, &catalog, args.job).await?;
    let action = args.action.unwrap_or(Action::Show);
    if !matches!(action, Action::Show) {
        open::operate(&config)?;
    }
    match action {
        Action::Show => show(global, &catalog, &job).await,
        Action::Pause => stop(global, &catalog, &job, Control::Pause).await,
        Action::Cancel => stop(global, &catalog, &job, Control::Cancel).await,
        Action::Resume { detach } => resume(global, &config, &catalog, &job, detach).await,
        Action::Retry { reason, study, detach } => {
            let which = match (reason, study) {
                (Some(reason), _) => Retry::Reason(reason),
                (None, Some(study)) => Retry::Study(StudyInstanceUid::new(&study)),
                (None, None) => Retry::All,
            };
            retry(global, &config, &catalog, &job, which, detach).await
        }
        Action::Approve { study, why } => {
            more::approve(global, &config, &catalog, &job, &StudyInstanceUid::new(&study), &why).await
        }
        Action::Repeat { detach } => more::repeat(global, &config, &catalog, &job, detach).await,
        Action::Slow { off: true, .. } => more::free(global, &catalog, &job).await,
        Action::Slow { associations, rate, how_long, .. } => {
            let limits = crate::config::Limits { associations: usize::try_from(associations).unwrap_or(1), rate };
            more::slow(global, &config, &catalog, &job, limits, how_long).await
        }
        Action::Exclude { study, why } => {
            more::exclude(global, &catalog, &job, &StudyInstanceUid::new(&study), &why).await
        }
    }
}

async fn show(global: &Global, catalog: &Catalog, job: &Job) -> Result<Exit, Failure> {
    let progress = Progress::of(catalog, job).await?;
    let checkpoints = catalog.checkpoints(job.id, SHOWN).await?;
    let (pending, windows) = catalog.window_counts(job.id).await?;
    if global.json {
        let mut document = progress.json(job);
        if let Value::Object(fields) = &mut document {
            fields.insert("windows".into(), json!({ "total": windows, "pending": pending }));
            fields.insert("checkpoints".into(), checkpoints.iter().map(checkpoint_json).collect());
        }
        output::json(&document)?;
        return Ok(Exit::Done);
    }
    let line = follow::status_line(catalog, job, &progress.totals).await?;
    let unattended = !progress::is_at_rest(job.state) && control::is_idle(catalog, job).await?;
    output::print(|out| {
        writeln!(out, "Job {} of {}: {line}", job.id, job.spec.source.as_deref().unwrap_or("folders"))?;
        writeln!(out, "  asked for: {}", asked(job))?;
        if unattended {
            writeln!(out, "  nobody works on it now: `{}` does", global.command(&format!("job {} resume", job.id)))?;
        }
        if let Some(message) = &job.message {
            writeln!(out, "  {}", escape::terminal(message))?;
        }
        if let Some(import) = &job.spec.import {
            for folder in &import.folders {
                writeln!(out, "  folder: {}", escape::terminal(&shown(folder)))?;
            }
            let list = if job.enumerated { "complete" } else { "being made" };
            return writeln!(out, "  list: {list}");
        }
        writeln!(
            out,
            "  list: {} of {} asked for{}",
            windows - pending.min(windows),
            count(windows as u64, "window", "windows"),
            if job.enumerated { ", complete" } else { "" }
        )?;
        if checkpoints.is_empty() {
            return writeln!(out, "  nothing has been pulled yet");
        }
        writeln!(out, "\nAssociation checkpoints, the latest first")?;
        let head = [
            "updated",
            "phase",
            "level",
            "attempt",
            "assoc",
            "msg",
            "remaining",
            "completed",
            "failed",
            "warning",
            "received",
            "study",
        ];
        let rows: Vec<Vec<String>> = checkpoints.iter().map(checkpoint_row).collect();
        output::table(out, &head, &rows)
    })?;
    Ok(Exit::Done)
}

fn asked(job: &Job) -> String {
    let spec = &job.spec;
    let mut parts = Vec::new();
    match (spec.from, spec.to) {
        (None, None) => {}
        (Some(from), None) => parts.push(format!("from {}", from.iso())),
        (None, Some(to)) => parts.push(format!("to {}", to.iso())),
        (Some(from), Some(to)) => parts.push(format!("{} to {}", from.iso(), to.iso())),
    }
    if !spec.studies.is_empty() {
        parts.push(count(spec.studies.len() as u64, "study by its UID", "studies by their UIDs"));
    }
    if !spec.modalities.is_empty() {
        parts.push(format!("modality {}", spec.modalities.join(", ")));
    }
    if let Some(follow) = spec.follow {
        parts.push(format!("asking again every {}", crate::config::units::format_duration(follow)));
    }
    if let Some(import) = &spec.import {
        parts.push(import.how.as_text().to_owned());
        parts.extend(import.received_from.map(|day| format!("received from {}", day.iso())));
        parts.extend(import.received_to.map(|day| format!("received to {}", day.iso())));
    }
    if parts.is_empty() { "everything".into() } else { parts.join("; ") }
}

fn checkpoint_row(c: &Checkpoint) -> Vec<String> {
    let number = |n: Option<u16>| n.map_or("-".to_owned(), |n| n.to_string());
    let mut row = vec![
        local_time(c.updated),
        c.phase.clone(),
        c.level.clone(),
        c.attempt.to_string(),
        c.association.to_string(),
        c.message_id.to_string(),
    ];
    row.extend(c.counters.map(number));
    row.push(c.received.to_string());
    row.push(c.study_uid.to_string());
    row
}

fn checkpoint_json(c: &Checkpoint) -> Value {
    let [remaining, completed, failed, warning] = c.counters;
    json!({
        "source": c.source,
        "study_uid": c.study_uid.as_str(),
        "owner": c.owner,
        "attempt": c.attempt,
        "association": c.association,
        "message_id": c.message_id,
        "level": c.level,
        "phase": c.phase,
        "remaining": remaining,
        "completed": completed,
        "failed": failed,
        "warning": warning,
        "received": c.received,
        "opened": timestamp(c.opened),
        "updated": timestamp(c.updated),
        "closed": c.closed.and_then(timestamp),
    })
}

async fn stop(global: &Global, catalog: &Catalog, job: &Job, wish: Control) -> Result<Exit, Failure> {
    let goal = control::goal(wish);
    if matches!(job.state, JobState::Finished | JobState::Cancelled) {
        return Err(Failure::usage(format!("job {} is {} already", job.id, state_text(job.state)), ""));
    }
    catalog.set_control(job.id, wish).await?;
    let asked = Instant::now();
    loop {
        let now = open::job(global, catalog, JobRef::Number(job.id)).await?;
        if now.state == goal || now.state == JobState::Finished {
            return done(global, &now);
        }
        // Whoever works on a job sees a wish at once and says so. When nobody does, nobody else will write the end.
        if control::is_idle(catalog, job).await? || (now.state != JobState::Stopping && asked.elapsed() > SEEN) {
            control::end_unattended(catalog, job, wish).await?;
        } else if asked.elapsed() > QUIET {
            return Err(Failure::new(
                format!("job {} is told to stop and is still {}", job.id, state_text(now.state)),
                format!(
                    "look again with `{}`; the worker's log says what it waits for",
                    global.command(&format!("job {}", job.id))
                ),
            ));
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn done(global: &Global, job: &Job) -> Result<Exit, Failure> {
    if global.json {
        output::json(&json!({ "job": job.id, "state": state_text(job.state) }))?;
    } else {
        output::print(|out| {
            writeln!(out, "job {} is {}", job.id, state_text(job.state))?;
            if job.state == JobState::Paused {
                writeln!(out, "go on with `{}`", global.command(&format!("job {} resume", job.id)))
            } else {
                Ok(())
            }
        })?;
    }
    Ok(Exit::Done)
}

async fn resume(global: &Global, config: &Config, catalog: &Catalog, job: &Job, detach: bool) -> Result<Exit, Failure> {
    if matches!(job.state, JobState::Finished | JobState::Cancelled) {
        return Err(Failure::usage(
            format!("job {} is {}: there is nothing to go on with", job.id, state_text(job.state)),
            format!("`{}` tries again what is not proven", global.command(&format!("job {} retry", job.id))),
        ));
    }
    migrate::port_is_free(global, config, catalog, detach).await?;
    control::set_running(catalog, job).await?;
    migrate::carry_on(global, config, catalog, job.id, detach).await
}

async fn retry(
    global: &Global,
    config: &Config,
    catalog: &Catalog,
    job: &Job,
    which: Retry,
    detach: bool,
) -> Result<Exit, Failure> {
    migrate::port_is_free(global, config, catalog, detach).await?;
    let again = catalog.retry_items(job.id, which).await?;
    if again == 0 && job.state == JobState::Cancelled {
        let source = job.spec.source.as_deref().unwrap_or("SOURCE");
        return Err(Failure::new(
            format!(
                "job {} was cancelled: what it gave up then is not tried again, and nothing else of it fell out",
                job.id
            ),
            format!(
                "`{}` makes a new job, which pulls only what is not here",
                global.command(&format!("migrate {source}"))
            ),
        ));
    }
    if again == 0 {
        return Err(Failure::new(
            format!("job {} has no such study that is partial or failed: there is nothing to try again", job.id),
            format!("`{}` lists what is not proven", global.command(&format!("report {} --failed", job.id))),
        ));
    }
    super::log::say(&format!("{} to be tried again", count(again as u64, "study", "studies")));
    control::set_running(catalog, job).await?;
    migrate::carry_on(global, config, catalog, job.id, detach).await
}
