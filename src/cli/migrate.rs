//! `migrate`: makes a job, or goes on with one, and follows it.

use std::io::Write;
use std::time::Duration;

use super::follow::{Ended, Follow};
use super::output::count;
use super::{Exit, Failure, Global, dry_run, log, open, output, report};
use crate::catalog::{Catalog, Job, JobKind, JobSpec};
use crate::config::Config;
use crate::dicom::{Date, StudyInstanceUid};
use crate::import::shown;
use crate::job::control;
use crate::job::report::{escape, is_gap, state_text};
use crate::node::{self, DryRun};

/// Carry the studies of a source over, newest first, and prove each one
///
/// The same command while its job is unfinished goes on with that job: after a pause, a crash or a power cut it
/// pulls only what is missing. Interrupt (Ctrl-C) to pause: the source is told to stop within a second.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry migrate oldpacs --dry-run                how many studies, of which years
  pacsferry migrate oldpacs --from 2024-01-01        a first small piece
  pacsferry migrate oldpacs                          everything, newest first
  pacsferry migrate oldpacs --follow                 ... and what arrives there meanwhile
  pacsferry migrate oldpacs --study 1.2.840.1.2.3    this study now")]
pub(super) struct Args {
    /// The name of the source in the configuration
    source: String,
    /// The earliest study date, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// The latest study date, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    to: Option<Date>,
    /// Only this study; may be given several times
    #[arg(long = "study", value_name = "UID", value_parser = study_uid)]
    studies: Vec<StudyInstanceUid>,
    /// Only studies with this modality; may be given several times
    #[arg(long = "modality", value_name = "M", value_parser = modality)]
    modalities: Vec<String>,
    /// Only tell how much there is
    #[arg(long, conflicts_with_all = ["follow", "detach", "new"])]
    dry_run: bool,
    /// Keep the job open and ask again for the newest days, every 15 minutes unless told otherwise
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "15m", value_parser = interval)]
    follow: Option<Duration>,
    /// Only queue the job for the worker (`pacsferry work`)
    #[arg(long)]
    detach: bool,
    /// Make a new job even if one like it is unfinished
    #[arg(long)]
    new: bool,
}

fn study_uid(text: &str) -> Result<StudyInstanceUid, String> {
    let uid = StudyInstanceUid::new(text);
    // Old archives hold malformed UIDs; but what could be a wildcard or a list would ask for something else.
    if uid.is_empty() || uid.as_str().chars().any(|c| c.is_control() || "*?\\".contains(c)) {
        return Err("a Study Instance UID is digits and dots".into());
    }
    Ok(uid)
}

fn modality(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let upper = text.to_ascii_uppercase();
    if upper.is_empty() || upper.len() > 16 || !upper.chars().all(good) {
        Err("a modality is a code such as CT, MR or US".into())
    } else {
        Ok(upper)
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = crate::config::units::parse_duration(text)?;
    if interval < Duration::from_secs(1) { Err("the interval is a second or more".into()) } else { Ok(interval) }
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    open::source(&config, &args.source)?;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        return Err(Failure::usage(format!("--from {} lies after --to {}", from.iso(), to.iso()), "swap them"));
    }
    let spec = JobSpec {
        kind: JobKind::Migration,
        source: Some(args.source.clone()),
        from: args.from,
        to: args.to,
        studies: args.studies.clone(),
        modalities: args.modalities.clone(),
        follow: args.follow,
        import: None,
    };
    if args.dry_run {
        return only_list(global, &config, &spec).await;
    }
    for uid in args.studies.iter().filter(|uid| !uid.is_conformant()) {
        log::say(&format!(
            "warning: `{uid}` is no well-formed UID (digits and dots); old archives hold such ones, so it is asked for as it stands"
        ));
    }
    open::operate(&config)?;
    let node = node::open(config.clone()).await?;
    port_is_free(global, &config, &node.catalog, args.detach).await?;
    let job = find_or_create(&node.catalog, &spec, args.new).await?;
    carry_on(global, &config, &node.catalog, job.id, args.detach).await
}

/// The unfinished job that was asked for the same, or a new one.
pub(super) async fn find_or_create(catalog: &Catalog, spec: &JobSpec, new: bool) -> Result<Job, Failure> {
    let unfinished = if new { None } else { catalog.unfinished_like(spec).await? };
    let Some(job) = unfinished else {
        let job = catalog.create_job(spec).await?;
        let of = match &spec.import {
            Some(import) => import.folders.iter().map(|folder| shown(folder)).collect::<Vec<_>>().join(", "),
            None => spec.source.clone().unwrap_or_default(),
        };
        log::say(&format!("job {}: {} of {}", job.id, spec.kind.as_text(), escape::terminal(&of)));
        return Ok(job);
    };
    log::say(&format!("going on with job {}, which is {}; --new makes another", job.id, state_text(job.state)));
    control::set_running(catalog, &job).await?;
    Ok(job)
}

/// Sees, before anything is queued, that this process can receive, if it is to do the work.
pub(super) async fn port_is_free(
    global: &Global,
    config: &Config,
    catalog: &Catalog,
    detach: bool,
) -> Result<(), Failure> {
    let others =
        control::is_held(catalog, node::WORKER_LEASE).await? || control::is_held(catalog, node::RECEIVER_LEASE).await?;
    if detach || others {
        return Ok(());
    }
    let listen = config.receiver.listen;
    match std::net::TcpListener::bind(listen) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::from_error(
            &format!("the receiver cannot listen on {listen}, and nothing was begun"),
            &error,
            format!(
                "end the program that holds the port (`ss -ltnp 'sport = :{}'` names it) and try again; or set another one \
                 in `[receiver] listen`, register that at the old PACS, and see `{}`",
                listen.port(),
                global.command("check")
            ),
        )),
    }
}

/// Queues a job, or works on it and follows it.
pub(super) async fn carry_on(
    global: &Global,
    config: &Config,
    catalog: &Catalog,
    job: i64,
    detach: bool,
) -> Result<Exit, Failure> {
    if !detach {
        return match Box::pin(Follow::new(global, config, catalog, job).until_rest()).await? {
            Ended::AtRest(job) => report::print_end(global, catalog, &job, false).await,
            Ended::Left => Ok(Exit::Stopped),
            Ended::Terminated => Ok(Exit::Terminated),
        };
    }
    let by = if control::is_held(catalog, node::WORKER_LEASE).await? {
        "a worker is running and takes it up".to_owned()
    } else {
        format!("no worker is running; start one with `{}`", global.command("work"))
    };
    let follow = global.command(&format!("job {job}"));
    if global.json {
        output::json(&serde_json::json!({ "job": job }))?;
    } else {
        output::print(|out| writeln!(out, "job {job} is queued: {by}\nfollow it with `{follow}`"))?;
    }
    Ok(Exit::Done)
}

async fn only_list(global: &Global, config: &Config, spec: &JobSpec) -> Result<Exit, Failure> {
    let Some(found) = dry_run::run(config, spec, "stopping: the source is told to stop").await? else {
        return Ok(Exit::Stopped);
    };
    if global.json {
        output::json(&serde_json::json!({
            "studies": found.studies,
            "objects": found.objects,
            "studies_without_count": found.studies_without_count,
            "years": dry_run::years(&found),
            "not_enumerated": found.not_enumerated,
        }))?;
    } else {
        output::print(|out| print_dry_run(spec, &found, out))?;
    }
    let gap = found.not_enumerated.iter().any(|note| is_gap(note.split(':').next().unwrap_or(note)));
    Ok(if gap { Exit::Fallout } else { Exit::Done })
}

fn print_dry_run(spec: &JobSpec, found: &DryRun, out: &mut dyn Write) -> std::io::Result<()> {
    let source = spec.source.as_deref().unwrap_or_default();
    writeln!(out, "{source} lists {}", count(found.studies, "study", "studies"))?;
    match found.objects {
        Some(objects) if found.studies_without_count == 0 => {
            writeln!(out, "with {}", count(objects, "object", "objects"))?
        }
        Some(objects) => writeln!(
            out,
            "with {} and more: for {} it gives no number",
            count(objects, "object", "objects"),
            count(found.studies_without_count, "study", "studies")
        )?,
        None => writeln!(out, "and gives no number of objects")?,
    }
    dry_run::print_rest(found, out)
}
