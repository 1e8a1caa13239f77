//! The report for a person at a terminal.

use std::io::Write;

use super::escape::{terminal, thousands};
use super::{FALLOUT, Report, ReportError, Style, Summary, day_text, folders, kind_text, local_time, state_text};
use crate::catalog::{Approval, Item, ItemState, JobState, Reason};
use crate::config::units::{format_bytes, format_duration, format_rate};

/// The most studies that are listed when not all of them were asked for.
const SHOWN: usize = 40;

pub(super) async fn write(report: &Report, style: &Style, out: &mut (dyn Write + Send)) -> Result<(), ReportError> {
    if !style.failed_only {
        headline(report, out)?;
        totals(report, out)?;
        let summary = report.summary().await?;
        years(&summary, out)?;
        reasons(&summary, report.job.id, style, out)?;
    }
    folders::write_text(report, style, out).await?;
    fallout(report, style, out).await?;
    if !style.failed_only {
        notes(report, out)?;
        next(report, style, out)?;
    }
    Ok(())
}

fn headline(report: &Report, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let job = &report.job;
    let of = report.subject().map(|subject| format!(" of {}", terminal(&subject))).unwrap_or_default();
    writeln!(out, "Job {}: {}{of}, {}", job.id, kind_text(job.spec.kind), state_text(job.state))?;
    writeln!(out, "  {}", verdict(report))?;
    if let Some(message) = &job.message {
        writeln!(out, "  {}", terminal(message))?;
    }
    if let (Some(started), Some(elapsed)) = (job.started, report.elapsed()) {
        let until = job.ended.map(|ended| format!(", ended {}", local_time(ended))).unwrap_or_default();
        writeln!(out, "  started {}{until}, {}", local_time(started), format_duration(elapsed))?;
        let (objects, bytes) = if job.ended.is_some() {
            average(report, elapsed.as_millis())
        } else {
            (report.recent.0 / 60, report.recent.1 / 60)
        };
        let during = if job.ended.is_some() { "on average" } else { "in the last minute" };
        if bytes > 0 {
            writeln!(out, "  {} objects/s, {} {during}", thousands(objects), format_rate(bytes))?;
        }
    }
    writeln!(out)
}

fn average(report: &Report, milliseconds: u128) -> (u64, u64) {
    let per_second = |count: u64| u64::try_from(u128::from(count) * 1000 / milliseconds.max(1)).unwrap_or(u64::MAX);
    let objects = &report.totals.objects;
    (
        per_second(objects.filed + objects.duplicate + objects.already_moved + objects.variant),
        per_second(report.totals.bytes),
    )
}

/// What an import was to bring, as part of a sentence.
fn asked_of_folders(report: &Report) -> &'static str {
    let spec = &report.job.spec;
    let days = spec.import.as_ref().is_some_and(|i| i.received_from.is_some() || i.received_to.is_some());
    if days || spec.from.is_some() || spec.to.is_some() {
        "of the days that were asked for"
    } else {
        "that the folders hold"
    }
}

/// The one sentence that matters.
pub(super) fn verdict(report: &Report) -> String {
    let items = &report.totals.items;
    let studies = |n: u64| format!("{} {}", thousands(n), if n == 1 { "study" } else { "studies" });
    let over = items.fallout();
    match report.job.state {
        JobState::Finished if report.folders.is_some_and(|folders| folders.fallout > 0) => {
            let folders = report.folders.map_or(0, |folders| folders.fallout);
            let what = if folders == 1 { "folder has" } else { "folders have" };
            format!("{} proven; {} {what} files that are NOT filed.", studies(items.proven), thousands(folders))
        }
        JobState::Finished if items.total == 0 && report.folders.is_some() => {
            "Nothing new: no file in the folders that is not filed already.".into()
        }
        JobState::Finished if over == 0 && report.folders.is_some() => match items.proven {
            1 => format!("The one study is proven: every object {} is filed.", asked_of_folders(report)),
            n => format!("All {} are proven: every object {} is filed.", studies(n), asked_of_folders(report)),
        },
        JobState::Finished if over == 0 && !report.is_proven() => {
            format!("{} proven, but NOT everything could be listed: see the notes.", studies(items.proven))
        }
        JobState::Finished if items.total == 0 => "The source listed no study that was asked for.".into(),
        JobState::Finished if over == 0 => {
            let all = match items.total - items.excluded - items.cancelled {
                1 => "The one study that had to come is proven".to_owned(),
                n => format!("All {} that had to come are proven", studies(n)),
            };
            match items.proven_by_count {
                0 => format!("{all}: every object that the source lists is filed."),
                n => format!("{all}, {} of them by count only.", thousands(n)),
            }
        }
        JobState::Finished => {
            format!("{} proven, {} NOT; the reasons are below.", studies(items.proven), thousands(over))
        }
        _ => {
            let so_far = format!("{} of {} proven", thousands(items.proven), studies(items.total));
            let listed = if report.job.enumerated { "" } else { " (the list is not complete yet)" };
            format!("{so_far}{listed}, {} to go, {} given up.", thousands(items.pending()), thousands(over))
        }
    }
}

fn totals(report: &Report, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let i = &report.totals.items;
    let o = &report.totals.objects;
    let studies = [
        ("proven", i.proven.saturating_sub(i.proven_by_count), true),
        ("proven by count", i.proven_by_count, false),
        ("partial", i.partial, true),
        ("failed", i.failed, true),
        ("excluded", i.excluded, false),
        ("cancelled", i.cancelled, false),
        ("pending", i.pending(), false),
    ];
    let objects = [
        ("listed", o.listed, true),
        ("filed", o.filed, true),
        ("duplicate", o.duplicate, false),
        ("already moved", o.already_moved, false),
        ("variant", o.variant, false),
        ("collision", o.collision, false),
        ("quarantined", o.quarantined, false),
    ];
    let mut block = |title: &str, total: String, rows: &[(&str, u64, bool)]| {
        writeln!(out, "{}", format!("{title:<20}{total:>12}").trim_end())?;
        for (name, count, always) in rows {
            if *always || *count > 0 {
                writeln!(out, "  {name:<18}{:>12}", thousands(*count))?;
            }
        }
        std::io::Result::Ok(())
    };
    block("Studies", thousands(i.total), &studies)?;
    block("Objects", String::new(), &objects)?;
    writeln!(out, "  {:<18}{:>12}\n", "received", format_bytes(report.totals.bytes))
}

fn years(summary: &Summary, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    if summary.years().next().is_none() {
        return Ok(());
    }
    writeln!(out, "{:<10}{:>10}{:>10}{:>12}{:>10}", "Year", "studies", "proven", "not proven", "pending")?;
    for (year, t) in summary.years() {
        let year = year.map_or("no date".to_owned(), |year| year.to_string());
        let [total, proven, fallout, pending] = [t.total, t.proven, t.fallout, t.pending].map(thousands);
        writeln!(out, "{year:<10}{total:>10}{proven:>10}{fallout:>12}{pending:>10}")?;
    }
    writeln!(out)
}

fn reasons(summary: &Summary, job: i64, style: &Style, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let reasons = summary.reasons();
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "Why, and what to do")?;
    for (reason, count) in reasons {
        writeln!(out, "  {}: {}", reason.as_text(), thousands(count))?;
        writeln!(out, "      {}", remedy(reason, job, style))?;
    }
    writeln!(out)
}

/// The remedy with the commands as they can be typed.
pub fn remedy(reason: Reason, job: i64, style: &Style) -> String {
    let suffix = &style.command_suffix;
    reason
        .remedy()
        .replace("`job N retry --study UID`", &format!("`pacsferry job {job} retry --study UID{suffix}`"))
        .replace("`job N exclude --study UID`", &format!("`pacsferry job {job} exclude --study UID{suffix}`"))
        .replace("`quarantine show UID`", &format!("`pacsferry quarantine show UID{suffix}`"))
        .replace("`quarantine list`", &format!("`pacsferry quarantine list{suffix}`"))
        .replace("`job N retry`", &format!("`pacsferry job {job} retry{suffix}`"))
        .replace(
            "`find catalog --level instance`",
            &format!("`pacsferry find catalog --level instance StudyInstanceUID=UID{suffix}`"),
        )
}

async fn fallout(report: &Report, style: &Style, out: &mut (dyn Write + Send)) -> Result<(), ReportError> {
    let i = &report.totals.items;
    let count = usize::try_from(i.partial + i.failed + i.excluded + i.cancelled).unwrap_or(usize::MAX);
    if count == 0 {
        if style.failed_only {
            writeln!(out, "No study of job {} has ended without proof.", report.job.id)?;
        }
        return Ok(());
    }
    writeln!(out, "Not proven")?;
    if style.failed_only || count <= SHOWN {
        report.each(&FALLOUT, |item, approval| line(item, approval, out).map_err(ReportError::Write)).await?;
    } else {
        let items = report.catalog.items(report.job.id, &FALLOUT, None, SHOWN).await?;
        let approvals = report.catalog.approvals_of(&items).await?;
        for item in &items {
            line(item, approvals.get(&item.id), out)?;
        }
        writeln!(
            out,
            "  ... and {} more: pacsferry report {} --failed{}",
            count - SHOWN,
            report.job.id,
            style.command_suffix
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn objects(count: u32) -> String {
    format!("{} {}", thousands(count.into()), if count == 1 { "object" } else { "objects" })
}

fn line(item: &Item, approval: Option<&Approval>, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let reason = match (item.state, item.reason) {
        (ItemState::Cancelled, None) => "cancelled with the job",
        (_, reason) => reason.map_or("no reason was kept", |reason| reason.as_text()),
    };
    let counts = &item.counts;
    writeln!(out, "  {}  {}", terminal(&day_text(item)), item.study.study_uid)?;
    let attempts = format!("{} {}", item.attempt, if item.attempt == 1 { "attempt" } else { "attempts" });
    let filed = match (counts.filed, counts.listed) {
        // It was given up before the source was asked.
        (filed, 0) => format!("{} filed, not known of how many", objects(filed)),
        (filed, listed) => format!("{} of {} filed", thousands(filed.into()), objects(listed)),
    };
    writeln!(out, "      {}: {reason}; {filed}, {attempts}", item.state.as_text())?;
    if !item.detail.is_empty() {
        writeln!(out, "      {}", terminal(&item.detail))?;
    }
    match approval {
        Some(Approval { at, operator, why }) => {
            writeln!(out, "      approved by {} on {}: {}", terminal(operator), local_time(*at), terminal(why))
        }
        None => Ok(()),
    }
}

fn notes(report: &Report, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    if report.notes.is_empty() {
        return Ok(());
    }
    writeln!(out, "Notes")?;
    for note in &report.notes {
        writeln!(out, "  {}: {}", terminal(&note.kind), terminal(&note.text))?;
    }
    writeln!(out)
}

fn next(report: &Report, style: &Style, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let (id, items, suffix) = (report.job.id, &report.totals.items, &style.command_suffix);
    let import = report.folders.is_some();
    let mut hints = Vec::new();
    match report.job.state {
        JobState::Paused | JobState::Halted => hints.push((format!("job {id} resume"), "goes on where it stopped")),
        JobState::Running | JobState::Stopping => {
            hints.push((format!("job {id}"), "shows how far it is"));
            let pause = if import {
                "stops it within a second, to go on later"
            } else {
                "lets go of the source within a second"
            };
            hints.push((format!("job {id} pause"), pause));
        }
        JobState::Finished | JobState::Cancelled => {}
    }
    if items.fallout() > 0 {
        hints.push((format!("report {id} --failed"), "every study that is not proven"));
        if !style.source_gone {
            hints.push((format!("job {id} retry"), "tries these again, and takes in only what is missing"));
        }
    }
    if report.job.state == JobState::Finished && !style.source_gone {
        let verify =
            if import { "compares again with the files" } else { "compares again with the source, and with the files" };
        hints.push((format!("verify {id}"), verify));
    }
    hints.push((format!("report {id} --format html > report.html"), "the same to print and to keep"));
    writeln!(out, "Where to look next")?;
    for (command, what) in hints {
        let (command, redirect) =
            command.split_once(" >").map_or((command.as_str(), String::new()), |(c, r)| (c, format!(" >{r}")));
        writeln!(out, "  pacsferry {command}{suffix}{redirect}\n      {what}")?;
    }
    Ok(())
}
