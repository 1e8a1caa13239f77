//! `outbox`: what others have to be told of corrections, and what they say to it.

use serde_json::{Value, json};

use super::rescan::refused;
use super::{Exit, Failure, Global, open, output};
use crate::catalog::{Errand, ErrandState, OutboxEntry, OutboxFilter};
use crate::dicom::StudyInstanceUid;
use crate::job::control;
use crate::job::report::{escape, local_time, timestamp};
use crate::node::OUTBOX_LEASE;

/// The most entries of one list.
const MOST: usize = 10_000;

/// List what others have to be told of corrections, and what they say to it
///
/// Rescans that the AI platform was asked for, and corrected objects that nodes are sent. `pacsferry serve` and `pacsferry
/// work` send what waits, again and again; what failed waits for somebody to try it again.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  pacsferry outbox                        what waits and what failed, and why
  pacsferry outbox --all                  also what was told
  pacsferry outbox --study 1.2.840.1.2.3
  pacsferry outbox retry 17               try this entry again at once
  pacsferry outbox retry failed           try everything again that failed"
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Also what was told or withdrawn
    #[arg(long)]
    all: bool,
    /// Everything about this study
    #[arg(long, value_name = "UID", conflicts_with = "all")]
    study: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Try an entry again at once, or all that failed
    Retry {
        /// The number of an entry, or `failed`
        #[arg(value_name = "N|failed", value_parser = which)]
        entry: Which,
    },
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Entry(i64),
    Failed,
}

fn which(text: &str) -> Result<Which, String> {
    match text {
        "failed" => Ok(Which::Failed),
        number => number.parse().map(Which::Entry).map_err(|_| "write the number of an entry, or `failed`".into()),
    }
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    if let Some(Action::Retry { entry }) = args.action {
        let id = match entry {
            Which::Entry(id) => Some(id),
            Which::Failed => None,
        };
        let count = crate::outbox::retry(&catalog, &open::operator(&config)?, id).await.map_err(refused)?;
        if let (0, Some(id)) = (count, id) {
            let remedy = format!("`{}` shows what there is", global.command("outbox"));
            return Err(Failure::usage(format!("no entry {id} waits or has failed"), remedy));
        }
        match global.json {
            true => output::json(&json!({ "tried_again": count }))?,
            false => output::print(|out| {
                writeln!(out, "{} tried again", output::count(count as u64, "entry is", "entries are"))
            })?,
        }
        return Ok(Exit::Done);
    }
    let filter = match (&args.study, args.all) {
        (Some(study), _) => OutboxFilter::Study(StudyInstanceUid::new(study)),
        (None, true) => OutboxFilter::All,
        (None, false) => OutboxFilter::Open,
    };
    let entries = catalog.outbox(&filter, MOST).await?;
    if global.json {
        output::json(&entries.iter().map(document).collect())?;
        return Ok(Exit::Done);
    }
    let waits = entries.iter().any(|entry| entry.state == ErrandState::Waiting);
    let unattended = waits && !control::is_held(&catalog, OUTBOX_LEASE).await?;
    output::print(|out| {
        for entry in &entries {
            writeln!(out, "{}", line(entry))?;
        }
        match (entries.is_empty(), unattended) {
            (true, _) => writeln!(out, "nothing has to be told"),
            (_, true) => writeln!(out, "nobody sends what waits: start `{}`", global.command("serve")),
            _ => Ok(()),
        }
    })?;
    Ok(Exit::Done)
}

pub(super) fn state(state: ErrandState) -> &'static str {
    match state {
        ErrandState::Waiting => "waiting",
        ErrandState::Done => "done",
        ErrandState::Failed => "failed",
        ErrandState::Withdrawn => "withdrawn",
    }
}

/// An entry for people.
pub(super) fn line(entry: &OutboxEntry) -> String {
    let study = escape::terminal(entry.errand.study().as_str()).into_owned();
    let what = match &entry.errand {
        Errand::Rescan { .. } => format!("rescan of {study}"),
        Errand::Publish { peer, .. } => format!("corrected objects of {study} to {}", escape::terminal(peer)),
    };
    let operation = entry.operation.map(|operation| format!(" (correction {operation})")).unwrap_or_default();
    let tried = match entry.state {
        ErrandState::Waiting if entry.attempts > 0 => {
            format!(", tried {} in vain, again at {}", times(entry.attempts), local_time(entry.due))
        }
        _ => String::new(),
    };
    let detail = match entry.detail.as_str() {
        "" => String::new(),
        detail => format!("\n      {}", escape::terminal(detail)),
    };
    format!(
        "{:>4}  {:<9}  {what}{operation}, since {}{tried}{detail}",
        entry.id,
        state(entry.state),
        local_time(entry.at)
    )
}

fn times(count: u32) -> String {
    output::count(count.into(), "time", "times")
}

/// An entry for scripts.
pub(super) fn document(entry: &OutboxEntry) -> Value {
    let (kind, peer) = match &entry.errand {
        Errand::Rescan { .. } => ("rescan", None),
        Errand::Publish { peer, .. } => ("publish", Some(peer)),
    };
    json!({
        "entry": entry.id,
        "kind": kind,
        "peer": peer,
        "study_uid": entry.errand.study().as_str(),
        "correction": entry.operation,
        "state": state(entry.state),
        "attempts": entry.attempts,
        "at": timestamp(entry.at),
        "next": (entry.state == ErrandState::Waiting).then(|| timestamp(entry.due)).flatten(),
        "ended": entry.ended.and_then(timestamp),
        "sent": entry.sent,
        "refused": entry.refused,
        "detail": entry.detail,
    })
}
