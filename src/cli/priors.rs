//! `priors`: lifts the studies of those who are expected to the head of the queue, and says how ready they are.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Exit, Failure, Global, log, open, output};
use crate::audit::Audit;
use crate::catalog::{Catalog, ReadyPatient};
use crate::config::Config;
use crate::job::priors::{
    BadLine, LONGEST_LIST, List, PriorsError, Ready, Whom, Wish, json_of_patient, prepare, read_list,
};
use crate::job::report::{escape, local_time};

/// Patients per page of the catalog.
const PAGE: usize = 500;
/// Bad lines and patients that are named; --json has all.
const SHOWN: usize = 20;

/// See to it that the earlier studies of those who are expected are filed first, and say how ready they are
///
/// The patients come from the Modality Worklist of a source, or from a list of Patient IDs. What sources have listed of them
/// and is not filed yet goes to the head of the queue, the newest first, behind what somebody is waiting for. Without
/// either, it says how the last preparation stands. The exit code is 0 when everything is filed, else 3.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry priors --worklist ris                            today and tomorrow
  pacsferry priors --worklist ris --days 3 --prior-months 60
  pacsferry priors --csv tomorrow.csv                        a list of Patient IDs
  pacsferry priors                                           how ready are we?
  pacsferry priors --json | jq '.per_patient[] | select(.filed < .priors)'")]
pub(super) struct Args {
    /// The source whose Modality Worklist names the patients
    #[arg(long, value_name = "SOURCE", conflicts_with = "csv")]
    worklist: Option<String>,
    /// A list of Patient IDs: one a line, with the issuer behind if there is one, with a heading or without
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Days of the worklist after today
    #[arg(long, value_name = "N", default_value_t = 1, requires = "worklist", value_parser = clap::value_parser!(u32).range(0..=31))]
    days: u32,
    /// Only studies of the last N months; all unless told
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1200))]
    prior_months: Option<u32>,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let mut bad = Vec::new();
    let whom = match (&args.worklist, &args.csv) {
        (Some(name), _) => {
            open::source(&config, name)?;
            Some(Whom::Worklist { source: name.clone(), days: args.days })
        }
        (None, Some(path)) => {
            let List { patients, bad: lines } = list(path)?;
            bad = lines;
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            Some(Whom::List { named_by: format!("the list {name}"), patients })
        }
        (None, None) if args.prior_months.is_some() => {
            return Err(Failure::usage("--prior-months is about a worklist or a list", "add --worklist or --csv"));
        }
        (None, None) => None,
    };
    let ready = match whom {
        Some(whom) => {
            open::operate(&config)?;
            let catalog = open::catalog(global, &config)?;
            let asker = open::operator(&config)?.name;
            let wish = Wish { whom, prior_months: args.prior_months, asker, schedule: String::new() };
            Some((prepared(&config, &catalog, &wish).await?, catalog))
        }
        None => {
            let catalog = open::catalog(global, &config)?;
            Ready::latest(&catalog).await?.map(|ready| (ready, catalog))
        }
    };
    let Some((ready, catalog)) = ready else {
        return Err(Failure::usage(
            "nobody has been prepared for yet",
            format!("begin with `{}`", global.command("priors --worklist SOURCE")),
        ));
    };
    let patients = patients(&catalog, &ready).await?;
    for line in bad.iter().take(SHOWN) {
        log::say(&format!("warning: {line}"));
    }
    if bad.len() > SHOWN {
        log::say(&format!("warning: and {} more such lines; --json names all", bad.len() - SHOWN));
    }
    if global.json {
        output::json(&document(&ready, &patients, &bad))?;
    } else {
        output::print(|out| text(out, &ready, &patients))?;
    }
    Ok(if ready.readiness.is_ready() && bad.is_empty() { Exit::Done } else { Exit::Fallout })
}

fn list(path: &Path) -> Result<List, Failure> {
    let unreadable = |error: &std::io::Error| {
        Failure::from_error(&format!("the list {} cannot be read", path.display()), error, "see that the file is there")
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    let longest = u64::try_from(LONGEST_LIST).unwrap_or(u64::MAX);
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    read_list(&bytes)
        .map_err(|error| Failure::usage(error.to_string(), "`pacsferry guide priors` shows how it may look"))
}

async fn prepared(config: &Config, catalog: &Catalog, wish: &Wish) -> Result<Ready, Failure> {
    let (_sender, watched) = watch::channel(Arc::new(config.clone()));
    // Everything is written by this command itself: nothing is left to the task behind.
    let (audit, _recording) = Audit::new(catalog.clone(), watched, "priors", CancellationToken::new());
    let mut signals = Signals::new()?;
    let cancel = CancellationToken::new();
    let mut preparing = Box::pin(prepare(config, catalog, &audit, wish, &cancel));
    let prepared = tokio::select! {
        prepared = &mut preparing => prepared,
        _ = signals.next() => {
            cancel.cancel();
            preparing.await
        }
    };
    let preparation = prepared.map_err(|error: PriorsError| Failure::from_error("", &error, error.remedy()))?;
    Ok(Ready::of(catalog, preparation).await?)
}

async fn patients(catalog: &Catalog, ready: &Ready) -> Result<Vec<ReadyPatient>, Failure> {
    let mut all: Vec<ReadyPatient> = Vec::new();
    loop {
        let after = all.last().map_or(0, |last| last.n);
        let page = catalog.ready_patients(&ready.preparation, after, PAGE).await?;
        let more = page.len() == PAGE;
        all.extend(page);
        if !more {
            return Ok(all);
        }
    }
}

fn document(ready: &Ready, patients: &[ReadyPatient], bad: &[BadLine]) -> Value {
    let mut document = ready.json();
    if let Value::Object(fields) = &mut document {
        fields.insert("per_patient".into(), patients.iter().map(json_of_patient).collect());
        let line = |bad: &BadLine| serde_json::json!({ "line": bad.line, "why": bad.why });
        fields.insert("bad_lines".into(), bad.iter().map(line).collect());
    }
    document
}

fn text(out: &mut dyn Write, ready: &Ready, patients: &[ReadyPatient]) -> std::io::Result<()> {
    let preparation = &ready.preparation;
    writeln!(out, "{}", ready.line())?;
    let named_by = escape::terminal(&preparation.named_by);
    writeln!(
        out,
        "patients of {named_by}, {}; {} studies were put first",
        local_time(preparation.at),
        preparation.lifted
    )?;
    for hindrance in &ready.hindrances {
        writeln!(out, "{hindrance}")?;
    }
    let open: Vec<&ReadyPatient> = patients.iter().filter(|one| one.filed < one.studies).collect();
    if open.is_empty() {
        return Ok(());
    }
    let row = |one: &&ReadyPatient| {
        let ReadyPatient { patient, studies, filed, .. } = one;
        vec![patient.id.clone(), patient.issuer.clone(), filed.to_string(), studies.to_string()]
    };
    writeln!(out)?;
    output::table(out, &["patient", "issuer", "filed", "of"], &open.iter().take(SHOWN).map(row).collect::<Vec<_>>())?;
    match open.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more patients; --json has all"),
    }
}
