//! `rescan`: asks the AI platform to scan a study again.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::outbox::{document, line};
use super::{Exit, Failure, Global, open, output};
use crate::catalog::{Catalog, ErrandState, OutboxEntry};
use crate::dicom::StudyInstanceUid;
use crate::job::control;
use crate::node::OUTBOX_LEASE;
use crate::outbox;

/// How long to wait for an answer, and for somebody who sends; after that the request goes on without us.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3));
/// How often to look for it.
const POLL: Duration = Duration::from_millis(100);

/// Ask the AI platform to scan a study again
///
/// The request is kept in the outbox and sent by `pacsferry serve` or `pacsferry work`, again and again until the platform
/// accepts it. The platform is that of [ai] in the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry rescan 1.2.840.1.2.3                 ask, and say what the platform answers
  pacsferry rescan 1.2.840.1.2.3 --reason \"wrong side\"
  pacsferry outbox                               what has not been accepted yet, and why")]
pub(super) struct Args {
    /// The Study Instance UID
    study: String,
    /// Why, for the platform
    #[arg(long, value_name = "TEXT", default_value = "asked for by hand")]
    reason: String,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let who = open::operator(&config)?;
    let study = StudyInstanceUid::new(&args.study);
    let id = outbox::ask_rescan(&catalog, &config, &who, &study, &args.reason).await.map_err(refused)?;
    let (entry, sends) = answered(&catalog, id).await?;
    let Some(entry) = entry else {
        return Err(Failure::new("the request is not in the outbox any more", "ask again"));
    };
    match global.json {
        true => output::json(&json!({ "sends": sends, "entry": document(&entry) }))?,
        false => output::print(|out| {
            writeln!(out, "{}", line(&entry))?;
            match (entry.state, sends) {
                (ErrandState::Waiting, true) => writeln!(out, "it is tried until the platform accepts it"),
                (ErrandState::Waiting, false) => {
                    writeln!(out, "nobody sends it now: start `{}`", global.command("serve"))
                }
                _ => Ok(()),
            }
        })?,
    }
    Ok(if entry.state == ErrandState::Failed { Exit::Failed } else { Exit::Done })
}

/// The entry after its first attempt, or as it is when that takes long, and whether somebody sends.
async fn answered(catalog: &Catalog, id: i64) -> Result<(Option<OutboxEntry>, bool), Failure> {
    let begun = Instant::now();
    loop {
        let entry = catalog.outbox_entry(id).await?;
        let tried = |entry: &OutboxEntry| entry.state != ErrandState::Waiting || entry.attempts > 0;
        let sends = control::is_held(catalog, OUTBOX_LEASE).await?;
        let patience = if sends { PATIENCE.0 } else { PATIENCE.1 };
        if entry.as_ref().is_none_or(tried) || begun.elapsed() > patience {
            return Ok((entry, sends));
        }
        tokio::time::sleep(POLL).await;
    }
}

pub(super) fn refused(error: outbox::AskError) -> Failure {
    let remedy = error.remedy();
    match error {
        outbox::AskError::Catalog(error) => error.into(),
        error => Failure::from_error("", &error, remedy),
    }
}
