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
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid};
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
  pacsferry quarantine show 7                    this object, and the filed one with the same UID
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
    /// What is in quarantine under a number or a UID, and what is filed under it
    Show {
        /// Its number, or a SOP Instance UID, or a Study Instance UID
        #[arg(value_name = "N|UID")]
        which: Which,
    },
    /// File an object after all
    File(FileArgs),
    /// Take an object out of the list
    Discard {
        /// Its number, see `pacsferry quarantine list`; or its SOP Instance UID, where only one has it
        #[arg(value_name = "N|UID")]
        which: Which,
        /// Why
        #[arg(long, value_name = "CODE[:TEXT]", value_parser = reason)]
        reason: Option<Why>,
    },
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// Its number, see `pacsferry quarantine list`; or its SOP Instance UID, where only one has it
    #[arg(value_name = "N|UID")]
    which: Which,
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

/// An object in quarantine, as somebody names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Number(i64),
    Uid(String),
}

impl std::str::FromStr for Which {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<i64>() {
            Ok(number) if number > 0 => Ok(Which::Number(number)),
            Ok(_) => Err("numbers begin with 1".into()),
            Err(_) => Ok(Which::Uid(text.to_owned())),
        }
    }
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    match args.action {
        None | Some(Action::List) => list(global, None).await,
        Some(Action::Show { which }) => list(global, Some(&which)).await,
        Some(Action::File(args)) => file(global, args).await,
        Some(Action::Discard { which, reason }) => discard(global, &which, reason.unwrap_or_default()).await,
    }
}

async fn file(global: &Global, args: FileArgs) -> Result<Exit, Failure> {
    let how = FileAs {
        to: args.to.as_deref().map(StudyInstanceUid::new),
        series: args.series.as_deref().map(SeriesInstanceUid::new),
        patient_confirmed: args.confirm_patient,
        why: args.reason.unwrap_or_default(),
    };
    let number = number(global, &args.which).await?;
    let desk = Desk::open(global, "file").await?;
    let filed = desk.content.file(number, &how, &desk.who).await;
    desk.close().await?;
    done(global, number, "filed", filed?.operation)
}

/// The number of the one object that is meant.
async fn number(global: &Global, which: &Which) -> Result<i64, Failure> {
    let uid = match which {
        Which::Number(number) => return Ok(*number),
        Which::Uid(uid) => uid,
    };
    let config = global.load()?;
    let found = open::catalog(global, &config)?.in_quarantine(Some(uid), 0, PAGE).await?;
    let own: Vec<i64> = found.iter().filter(|held| held.instance.as_str() == uid).map(|held| held.position).collect();
    match own.as_slice() {
        [one] => Ok(*one),
        [] => Err(nothing(global, which)),
        several => {
            let numbers: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Failure::usage(
                format!("several objects in quarantine have the UID {}", escape::terminal(uid)),
                format!("say which one is meant by its number: {}", numbers.join(", ")),
            ))
        }
    }
}

fn nothing(global: &Global, which: &Which) -> Failure {
    let which = match which {
        Which::Number(number) => format!("the number {number}"),
        Which::Uid(uid) => format!("the UID {}", escape::terminal(uid)),
    };
    let remedy = format!("`{}` lists what there is", global.command("quarantine list"));
    Failure::new(format!("nothing in quarantine has {which}"), remedy)
}

async fn discard(global: &Global, which: &Which, why: Why) -> Result<Exit, Failure> {
    let number = number(global, which).await?;
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

async fn list(global: &Global, which: Option<&Which>) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let (uid, mut position, most) = match which {
        None => (None, 0, PAGE),
        Some(Which::Uid(uid)) => (Some(uid.as_str()), 0, PAGE),
        Some(Which::Number(number)) => (None, number - 1, 1),
    };
    let mut found: u64 = 0;
    loop {
        let mut page = catalog.in_quarantine(uid, position, most).await?;
        if let Some(Which::Number(number)) = which {
            page.retain(|held| held.position == *number);
        }
        let mut documents = Vec::with_capacity(page.len());
        for object in &page {
            let filed = if which.is_some() { filed(&catalog, &config, object).await? } else { None };
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
            Some(last) if most == PAGE && page.len() >= PAGE => position = last.position,
            _ => break,
        }
    }
    if let (Some(which), 0) = (which, found) {
        return Err(nothing(global, which));
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
    let found = if object.collision { catalog.filed_under(&object.instance).await? } else { None };
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
