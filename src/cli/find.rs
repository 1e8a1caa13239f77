//! `find`: query by example, at a source or in the catalog.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::keys::{self, Key, keyword};
use super::signals::Signals;
use super::slot;
use super::{Exit, Failure, Global, log, open, output};
use crate::config::{Config, Source};
use crate::dataset::{CharacterSet, Elements};
use crate::dicom::{QueryLevel, Status, tags};
use crate::job::report::escape;
use crate::scu::{Purpose, SourceSession};
use crate::store::Place;

/// Query a source, or what is filed here, by example
///
/// KEY is a DICOM keyword or eight hexadecimal digits. Values take the wildcards * and ?, dates and times take ranges
/// such as 20240101-20240131. A key without a value is only returned.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry find oldpacs StudyDate=20240101-20240131 ModalitiesInStudy=CT
  pacsferry find oldpacs --level series StudyInstanceUID=1.2.840.1.2.3
  pacsferry find catalog PatientName='mul*'
  pacsferry find catalog --level patient PatientName='mul*'
  pacsferry find catalog --level instance StudyInstanceUID=1.2.840.1.2.3 --json")]
pub(super) struct Args {
    /// The name of a source, or `catalog` for what is filed here
    #[arg(value_name = "SOURCE|catalog")]
    place: String,
    /// What must match
    #[arg(value_name = "KEY=VALUE")]
    keys: Vec<Key>,
    /// patient (in the catalog only), study, series or instance
    #[arg(long, default_value = "study", value_parser = keys::level)]
    level: QueryLevel,
    /// The most rows
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    limit: u32,
}

/// One answer, by DICOM keyword.
type Row = BTreeMap<String, Value>;

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let (rows, more) = if args.place == "catalog" {
        in_catalog(global, &config, &args, limit).await?
    } else {
        let source = open::source(&config, &args.place)?;
        if args.level == QueryLevel::Patient {
            return Err(Failure::usage(
                "patients are listed in the catalog only",
                "ask the source at study level: its answers name the patients",
            ));
        }
        at_source(&config, source, &args, limit).await?
    };
    if more {
        log::say(&format!("there are more than {limit} answers; --limit shows more, or narrow the keys"));
    }
    if global.json {
        output::json(&Value::Array(
            rows.into_iter().map(|row| Value::Object(row.into_iter().collect::<Map<_, _>>())).collect(),
        ))?;
    } else {
        output::print(|out| table(out, &args, &rows))?;
    }
    Ok(Exit::Done)
}

async fn in_catalog(global: &Global, config: &Config, args: &Args, limit: usize) -> Result<(Vec<Row>, bool), Failure> {
    let catalog = open::catalog(global, config)?;
    let keys: Vec<(String, String)> = args.keys.iter().map(|key| (keyword(key.tag), key.value.clone())).collect();
    let found = catalog.find(args.level, &keys, limit).await?;
    let rows = found.rows.into_iter().map(|found| {
        let mut row: Row =
            found.attributes.into_iter().map(|(keyword, value)| (keyword.to_owned(), Value::String(value))).collect();
        if let Some(file) = found.file {
            let path = match &file.file {
                Place::Stored(place) => config.storage.folder.join(place.as_str()),
                Place::Linked(link) => link.path.clone(),
            };
            row.insert("file".into(), path.display().to_string().into());
            row.insert("linked".into(), file.file.linked().is_some().into());
            row.insert("size".into(), file.size.into());
            row.insert("digest".into(), file.digest.map(|digest| digest.to_string()).into());
        }
        row
    });
    Ok((rows.collect(), found.more))
}

async fn at_source(config: &Config, source: &Source, args: &Args, limit: usize) -> Result<(Vec<Row>, bool), Failure> {
    let mut signals = Signals::new()?;
    let cancel = CancellationToken::new();
    let query = async {
        let slot = slot::take(config, source).await?;
        let found = ask(source, args, limit, &cancel).await;
        slot.release().await;
        found
    };
    let mut query = Box::pin(query);
    tokio::select! {
        found = &mut query => return found,
        _ = signals.next() => cancel.cancel(),
    }
    // The source is told; what came until then is no answer.
    tokio::select! {
        _ = &mut query => {}
        _ = signals.next() => {}
    }
    Err(Failure::new("interrupted", ""))
}

async fn ask(
    source: &Source,
    args: &Args,
    limit: usize,
    cancel: &CancellationToken,
) -> Result<(Vec<Row>, bool), Failure> {
    let target = crate::job::probe::target_of(source);
    let mut session = SourceSession::open(&target, Purpose::Query).await?;
    let mut rows = Vec::new();
    let mut more = false;
    let queries = match series_to_ask(source, args, &mut session, cancel).await? {
        None => vec![query(source, args, None)?],
        Some(series) => series.iter().map(|uid| query(source, args, Some(uid))).collect::<Result<_, _>>()?,
    };
    for query in queries {
        let mut find = session.find(args.level, &query, source.timeout.find, cancel).await?;
        while let Some(answer) = find.next().await? {
            if rows.len() < limit {
                rows.push(row_of(&answer));
            } else if !std::mem::replace(&mut more, true) {
                // The source is told, and what it still sends is read until it ends.
                cancel.cancel();
            }
        }
        if more {
            break;
        }
        let Some(end) = find.end() else { continue };
        if end.status != Status::SUCCESS {
            let words = end.comment.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
            return Err(Failure::new(
                format!("{} ended the query after {} rows with status {}{words}", source.name, rows.len(), end.status),
                "what came is not the whole answer; narrow the keys, or ask the administrator of the old PACS",
            ));
        }
    }
    session.release().await;
    by_modality(source, args, &mut rows);
    Ok((rows, more))
}

/// Some sources ignore the key Modalities in Study: answers that tell others are dropped, and of those that tell none it
/// is said that nobody knows.
fn by_modality(source: &Source, args: &Args, rows: &mut Vec<Row>) {
    let Some(key) = args.keys.iter().find(|key| key.tag == tags::MODALITIES_IN_STUDY && !key.value.is_empty()) else {
        return;
    };
    if args.level != QueryLevel::Study || key.value.contains(['*', '?']) {
        return;
    }
    let name = keyword(tags::MODALITIES_IN_STUDY);
    let told = |row: &Row| row.get(&name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
    let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
    let has = |told: &str| told.split('\\').any(|m| key.value.split('\\').any(|wanted| same(m, wanted)));
    rows.retain(|row| told(row).is_empty() || has(&told(row)));
    let untold = rows.iter().filter(|row| told(row).is_empty()).count();
    if untold > 0 {
        log::say(&format!(
            "{} does not tell the modalities of {untold} of these studies: that they match is its word alone; \
             `find {} --level series StudyInstanceUID=...` shows those of their series",
            source.name, source.name
        ));
    }
}

/// Images are asked for series by series (PS3.4 C.4.1.2.2.1); without a series key these are the ones of the study.
async fn series_to_ask(
    source: &Source,
    args: &Args,
    session: &mut SourceSession,
    cancel: &CancellationToken,
) -> Result<Option<Vec<String>>, Failure> {
    let given = |tag| args.keys.iter().any(|key| key.tag == tag && !key.value.is_empty());
    if args.level != QueryLevel::Study && !given(tags::STUDY_INSTANCE_UID) {
        return Err(Failure::usage(
            "below study level a query at a source needs the study",
            "add StudyInstanceUID=...",
        ));
    }
    if args.level != QueryLevel::Image || given(tags::SERIES_INSTANCE_UID) {
        return Ok(None);
    }
    let mut query = Elements::new();
    for key in args.keys.iter().filter(|key| key.tag == tags::STUDY_INSTANCE_UID) {
        query.put(key.tag, &key.value);
    }
    query.put(tags::SERIES_INSTANCE_UID, "");
    let mut find = session.find(QueryLevel::Series, &query, source.timeout.find, cancel).await?;
    let mut series = Vec::new();
    while let Some(answer) = find.next().await? {
        series.extend(answer.uid(tags::SERIES_INSTANCE_UID).map(|uid| uid.as_str().to_owned()));
    }
    Ok(Some(series))
}

fn query(source: &Source, args: &Args, series: Option<&String>) -> Result<Elements, Failure> {
    let mut query = Elements::new();
    for tag in keys::shown(args.level) {
        query.put(*tag, "");
    }
    let foreign = args.keys.iter().any(|key| !key.value.is_ascii());
    let terms = source.charset.as_deref().filter(|_| foreign).unwrap_or("ISO_IR 192");
    let charset = CharacterSet::from_terms(terms);
    for key in &args.keys {
        if key.value.is_ascii() {
            query.put(key.tag, &key.value);
            continue;
        }
        let unable = || {
            Failure::usage(
                format!("{} cannot be written in the character set {terms}", keyword(key.tag)),
                "use a wildcard (* or ?) for these characters",
            )
        };
        query.put(key.tag, "");
        let bytes = charset.encode(&key.value).ok_or_else(unable)?;
        let vr = if key.tag == tags::PATIENT_NAME { *b"PN" } else { *b"LO" };
        query.put_bytes(key.tag, vr, &bytes);
    }
    if foreign {
        query.put(tags::SPECIFIC_CHARACTER_SET, terms);
    }
    if let Some(series) = series {
        query.put(tags::SERIES_INSTANCE_UID, series);
    }
    Ok(query)
}

/// Every attribute of an answer, decoded.
fn row_of(answer: &Elements) -> Row {
    let of_the_protocol = [tags::SPECIFIC_CHARACTER_SET, tags::QUERY_RETRIEVE_LEVEL, tags::RETRIEVE_AE_TITLE];
    let tags = answer.iter().map(|(tag, _)| tag).filter(|tag| !of_the_protocol.contains(tag));
    tags.map(|tag| (keyword(tag), Value::String(answer.text(tag).unwrap_or_default()))).collect()
}

fn table(out: &mut dyn Write, args: &Args, rows: &[Row]) -> std::io::Result<()> {
    let mut columns: Vec<String> = keys::shown(args.level).iter().map(|tag| keyword(*tag)).collect();
    let asked = args.keys.iter().map(|key| keyword(key.tag));
    for name in asked.chain(["file".into()]) {
        if !columns.contains(&name) && rows.iter().any(|row| row.contains_key(&name)) {
            columns.push(name);
        }
    }
    columns.retain(|name| rows.iter().any(|row| row.get(name).is_some_and(|value| !text(value).is_empty())));
    if rows.is_empty() {
        return writeln!(out, "nothing matches");
    }
    let head: Vec<&str> = columns.iter().map(|keyword| keys::heading(keyword)).collect();
    let cells = |row: &Row| columns.iter().map(|name| row.get(name).map(text).unwrap_or_default()).collect();
    output::table(out, &head, &rows.iter().map(cells).collect::<Vec<_>>())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => escape::terminal(text).into_owned(),
        other => other.to_string(),
    }
}
