//! `audit`: the audit trail, for people and for programs.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure, Global, open, output};
use crate::audit::{Audit, AuditEvent};
use crate::catalog::AuditEntry;
use crate::config::units::parse_duration;
use crate::job::report::{escape, local_time, timestamp};

/// Entries per page.
const PAGE: usize = 500;

/// Show who started, asked, sent, was turned away: the audit trail of DICOM PS3.15 A.5
///
/// Reading it is an entry of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry audit --since 24h                    what happened since yesterday
  pacsferry audit --since 2026-11-01             since a day, local time
  pacsferry audit --json | jq -r '.[].message'   the messages, as a collector gets them")]
pub(super) struct Args {
    /// Only what happened since: a day (2026-11-01), or so long ago (90m, 24h, 7d)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<i64>,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let since = args.since.unwrap_or(0);
    let sent = catalog.audit_sent().await?;
    let collected = config.audit.collector.is_some();
    let (mut after, mut found) = (0, 0);
    loop {
        let page = catalog.audit_since(since, after, PAGE).await?;
        output::print(|out| {
            for entry in &page {
                match global.json {
                    true => {
                        out.write_all(if found == 0 { b"[\n" } else { b",\n" })?;
                        serde_json::to_writer(&mut *out, &document(entry, collected.then_some(entry.id <= sent)))?;
                    }
                    false => text(entry, out)?,
                }
                found += 1;
            }
            Ok(())
        })?;
        match page.last() {
            Some(last) if page.len() >= PAGE => after = last.id,
            _ => break,
        }
    }
    output::print(|out| match (global.json, found) {
        (true, 0) => writeln!(out, "[]"),
        (true, _) => writeln!(out, "\n]"),
        (false, 0) => writeln!(out, "the audit trail has no entry of that time"),
        (false, _) => writeln!(out, "{}", output::count(found, "entry", "entries")),
    })?;
    // That it was read is an entry as well.
    let (_, config) = watch::channel(Arc::new(config));
    let (audit, recording) = Audit::new(catalog, config, "audit", CancellationToken::new());
    audit.record(AuditEvent::LogUsed);
    drop(audit);
    recording.await;
    Ok(Exit::Done)
}

fn document(entry: &AuditEntry, sent: Option<bool>) -> Value {
    json!({
        "id": entry.id,
        "at": timestamp(entry.at),
        "event": entry.event,
        "outcome": outcome(entry),
        "who": entry.who,
        "what": entry.what,
        "sent": sent,
        "message": entry.message,
    })
}

fn outcome(entry: &AuditEntry) -> &'static str {
    match entry.outcome {
        0 => "success",
        4 => "minor failure",
        8 => "serious failure",
        _ => "major failure",
    }
}

fn text(entry: &AuditEntry, out: &mut dyn Write) -> std::io::Result<()> {
    let bad = if entry.outcome == 0 { "" } else { outcome(entry) };
    let (who, what) = (escape::terminal(&entry.who), escape::terminal(&entry.what));
    writeln!(out, "{}  {:<14} {bad:<15} {who}: {what}", local_time(entry.at), entry.event)
}

/// A day, local time, or a time that has passed since.
fn since(text: &str) -> Result<i64, String> {
    let now = jiff::Zoned::now();
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        let midnight = day.to_zoned(now.time_zone().clone()).map_err(|error| error.to_string())?;
        return Ok(midnight.timestamp().as_millisecond());
    }
    let ago: Duration =
        parse_duration(text).map_err(|_| "write a day (2026-11-01) or a time (90m, 24h, 7d)".to_owned())?;
    let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Ok(now.timestamp().as_millisecond().saturating_sub(ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_how_long_ago() {
        let now = jiff::Timestamp::now().as_millisecond();
        let day = since("24h").unwrap();
        assert!((0..60_000).contains(&(now - 86_400_000 - day).abs()), "{day}");
        assert!(since("2020-01-01").unwrap() < since("2020-01-02").unwrap());
        assert!(since("yesterday").is_err() && since("").is_err());
    }
}
