//! `quarantine`: what could not be filed, why, where its bytes are kept; and what becomes of it.

use std::io::Write;

use serde_json::{Value, json};

use super::content::{Desk, tell};
use super::reallocate::reason;
use super::{Exit, Failure, Global, open, output};
use crate::catalog::{Catalog, Quarantined};
use crate::config::Config;
use crate::config::units::format_bytes;
use crate::content::{FileAs, Why};
use crate::dicom::{QueryLevel, SeriesInstanceUid, StudyInstanceUid};
use crate::job::report::{escape, local_time, timestamp};
use crate::store::Place;

/// Objects per page.
const PAGE: usize = 500;

/// List what is in quarantine, show an object and the one that is filed under its UID, file or discard it
///
/// What is filed or discarded from here is an operation like a move: `pacsferry corrections` lists it, and `pacsferry undo`
/// takes it back. The bytes stay where they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry quarantine list                      every object, why it is there, and its file
  pacsferry quarantine list --json | jq '.[].file'
  pacsferry quarantine show 1.2.840.1.2.3.4      this object, and the filed one with the same UID
  pacsferry quarantine file 7 --to 1.2.840.9.8.7 --reason ADDED:'belongs to this study'
  pacsferry quarantine discard 7 --reason BROKEN:'cut short by the modality'")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Every object in quarantine, in the order in which they came
    List,
    /// What is in quarantine under a UID, and what is filed under it
    Show {
        /// A SOP Instance UID, or a Study Instance UID
        uid: String,
    },
    /// File an object after all
    File(FileArgs),
    /// Take an object out of the list
    Discard {
        /// Its number, see `pacsferry quarantine list`
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
        /// Why
        #[arg(long, value_name = "CODE[:TEXT]", value_parser = reason)]
        reason: Option<Why>,
    },
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// Its number, see `pacsferry quarantine list`
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    number: i64,
    /// The study in which it belongs; the one that it names unless told
    #[arg(long, value_name = "STUDY")]
    to: Option<String>,
    /// The series in which it belongs; the one that it names unless told
    #[arg(long, value_name = "SERIES")]
    series: Option<String>,
    /// The patient of the study is another one than its own, and the right one
    #[arg(long)]
    confirm_patient: bool,
    /// Why
    #[arg(long, value_name = "CODE[:TEXT]", value_parser = reason)]
    reason: Option<Why>,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    match args.action {
        None | Some(Action::List) => list(global, None).await,
        Some(Action::Show { uid }) => list(global, Some(&uid)).await,
        Some(Action::File(args)) => file(global, args).await,
        Some(Action::Discard { number, reason }) => discard(global, number, reason.unwrap_or_default()).await,
    }
}

async fn file(global: &Global, args: FileArgs) -> Result<Exit, Failure> {
    let how = FileAs {
        to: args.to.as_deref().map(StudyInstanceUid::new),
        series: args.series.as_deref().map(SeriesInstanceUid::new),
        patient_confirmed: args.confirm_patient,
        why: args.reason.unwrap_or_default(),
    };
    let desk = Desk::open(global, "file").await?;
    let filed = desk.content.file(args.number, &how, &desk.who).await;
    desk.close().await?;
    done(global, args.number, "filed", filed?.operation)
}

async fn discard(global: &Global, number: i64, why: Why) -> Result<Exit, Failure> {
    let desk = Desk::open(global, "discard").await?;
    let discarded = desk.content.discard(number, &why, &desk.who).await;
    desk.close().await?;
    done(global, number, "discarded", discarded?.operation)
}

fn done(global: &Global, number: i64, what: &str, operation: i64) -> Result<Exit, Failure> {
    let back = global.command(&format!("undo {operation}"));
    let words = format!("operation {operation}: object {number} of the quarantine is {what}; `{back}` takes it back");
    tell(global, &json!({ "correction": operation, "number": number, "state": what }), &words)
}

async fn list(global: &Global, uid: Option<&str>) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let mut position = 0;
    let mut found: u64 = 0;
    loop {
        let page = catalog.in_quarantine(uid, position, PAGE).await?;
        let mut documents = Vec::with_capacity(page.len());
        for object in &page {
            let filed = if uid.is_some() { filed(&catalog, &config, object).await? } else { None };
            documents.push((object, filed));
        }
        output::print(|out| {
            for (object, filed) in &documents {
                match global.json {
                    true => {
                        out.write_all(if found == 0 { b"[\n" } else { b",\n" })?;
                        serde_json::to_writer(&mut *out, &document(&config, object, filed.as_ref()))?;
                    }
                    false => text(&config, object, filed.as_ref(), out)?,
                }
                found += 1;
            }
            Ok(())
        })?;
        match page.last() {
            Some(last) if page.len() >= PAGE => position = last.position,
            _ => break,
        }
    }
    if let (Some(uid), 0) = (uid, found) {
        return Err(Failure::new(
            format!("nothing in quarantine has the UID {}", escape::terminal(uid)),
            format!("`{}` lists what there is", global.command("quarantine list")),
        ));
    }
    output::print(|out| match (global.json, found) {
        (true, 0) => writeln!(out, "[]"),
        (true, _) => writeln!(out, "\n]"),
        (false, 0) => writeln!(out, "nothing is in quarantine"),
        (false, _) => writeln!(out, "{} in quarantine", output::count(found, "object", "objects")),
    })?;
    Ok(Exit::Done)
}

/// Where an object is that is filed under the same UID.
async fn filed(catalog: &Catalog, config: &Config, object: &Quarantined) -> Result<Option<Value>, Failure> {
    if !object.collision || object.instance.as_str().contains(['*', '?', '\\']) {
        return Ok(None);
    }
    let keys = [("SOPInstanceUID".to_owned(), object.instance.as_str().to_owned())];
    let found = catalog.find(QueryLevel::Image, &keys, 1).await?.rows.into_iter().next();
    Ok(found.map(|row| {
        let file = row.file.as_ref().map(|file| match &file.file {
            Place::Stored(place) => config.storage.folder.join(place.as_str()).display().to_string(),
            Place::Linked(link) => link.path.display().to_string(),
        });
        json!({ "study_uid": row.get("StudyInstanceUID"), "file": file })
    }))
}

fn path(config: &Config, object: &Quarantined) -> String {
    config.storage.folder.join(object.place.as_str()).display().to_string()
}

fn document(config: &Config, object: &Quarantined, filed: Option<&Value>) -> Value {
    json!({
        "number": object.position,
        "sop_instance_uid": object.instance.as_str(),
        "series_uid": object.series.as_str(),
        "study_uid": object.study.as_str(),
        "collision": object.collision,
        "reason": object.why(),
        "file": path(config, object),
        "data_set_bytes": object.length,
        "digest": object.digest.to_string(),
        "at": timestamp(object.at),
        "filed": filed,
    })
}

fn text(config: &Config, object: &Quarantined, filed: Option<&Value>, out: &mut dyn Write) -> std::io::Result<()> {
    let known = |uid: &str| if uid.is_empty() { "unknown".to_owned() } else { escape::terminal(uid).into_owned() };
    writeln!(out, "{}  {}", object.position, known(object.instance.as_str()))?;
    writeln!(out, "  why     {}", escape::terminal(object.why()))?;
    writeln!(out, "  study   {}", known(object.study.as_str()))?;
    writeln!(out, "  series  {}", known(object.series.as_str()))?;
    writeln!(out, "  file    {}", escape::terminal(&path(config, object)))?;
    writeln!(out, "  since   {}, {}", local_time(object.at), format_bytes(object.length))?;
    if let Some(filed) = filed {
        let of = |key: &str| filed.get(key).and_then(Value::as_str).unwrap_or("unknown").to_owned();
        writeln!(out, "  filed under this UID")?;
        writeln!(out, "  study   {}", escape::terminal(&of("study_uid")))?;
        writeln!(out, "  file    {}", escape::terminal(&of("file")))?;
    }
    writeln!(out)
}
