//! The report for a browser or a printer: one page that needs nothing else and runs nothing.

use std::io::Write;

use super::escape::{html, thousands};
use super::text::{remedy, verdict};
use super::{
    FALLOUT, Report, ReportError, Style, Summary, YearTotals, day_text, folders, kind_text, local_time, state_text,
};
use crate::catalog::{Approval, Approved, Item, ItemState};
use crate::config::units::{format_bytes, format_duration};

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd }
td.n, th.n { text-align: right } table.small { width: auto }
code, td.uid { font: 13px ui-monospace, monospace; overflow-wrap: anywhere }
.sign { margin-top: 1rem } .sign tr + tr td { height: 3.5rem; border-bottom: 1px solid #000 }
.verdict { font-size: 1.1rem } .bad td { background: #fdeeee }
@media print { body { margin: 0; max-width: none; font-size: 11px } thead { display: table-header-group } tr { break-inside: avoid } }
</style>
"#;

pub(super) async fn write(report: &Report, style: &Style, out: &mut (dyn Write + Send)) -> Result<(), ReportError> {
    let summary = report.summary().await?;
    heading(report, out)?;
    numbers(report, out)?;
    let years = summary.years().map(|(year, t)| (year.map_or("no date".to_owned(), |year| year.to_string()), t));
    group("By year", "Year", years, out)?;
    group("By modality", "Modalities", summary.modalities().map(|(name, t)| (name.to_owned(), t)), out)?;
    reasons(&summary, report.job.id, style, out)?;
    notes(report, out)?;
    if report.folders.is_some() {
        folders::write_html(report, style, out).await?;
    }

    let (title, states): (_, &[ItemState]) =
        if style.failed_only { ("Studies that are not proven", &FALLOUT) } else { ("Studies, newest first", &[]) };
    writeln!(
        out,
        "<h2>{title}</h2>\n<table>\n<thead><tr><th>Date<th>Study Instance UID<th>Patient ID<th>State<th class=n>Filed<th class=n>Listed<th class=n>Attempts<th>Reason and the source's own words<th>Approved to stay behind</tr></thead>\n<tbody>"
    )?;
    report.each(states, |item, approval| row(item, approval, out).map_err(ReportError::Write)).await?;
    writeln!(out, "</tbody>\n</table>")?;
    sign(report, out)?;
    writeln!(out, "</body>\n</html>")?;
    Ok(())
}

fn heading(report: &Report, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let job = &report.job;
    let of = report.subject().map(|subject| format!(" of {}", html(&subject))).unwrap_or_default();
    let title = format!("Job {}: {}{of}, {}", job.id, kind_text(job.spec.kind), state_text(job.state));
    writeln!(out, "{HEAD}<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>")?;
    writeln!(out, "<p class=verdict>{}</p>", html(&verdict(report)))?;
    if let Some(message) = &job.message {
        writeln!(out, "<p>{}</p>", html(message))?;
    }
    let started = job.started.map_or("not started".into(), |at| format!("started {}", local_time(at)));
    let ended = job.ended.map(|at| format!(", ended {}", local_time(at))).unwrap_or_default();
    let took = report.elapsed().map(|took| format!(", {}", format_duration(took))).unwrap_or_default();
    writeln!(
        out,
        "<p>{started}{ended}{took}; written {} by pacsferry {}</p>",
        local_time(report.now),
        env!("CARGO_PKG_VERSION")
    )
}

fn numbers(report: &Report, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let i = &report.totals.items;
    let o = &report.totals.objects;
    let studies = [
        ("studies", i.total),
        ("proven", i.proven.saturating_sub(i.proven_by_count)),
        ("proven by count", i.proven_by_count),
        ("partial", i.partial),
        ("failed", i.failed),
        ("excluded", i.excluded),
        ("cancelled", i.cancelled),
        ("pending", i.pending()),
    ];
    let objects = [
        ("objects listed", o.listed),
        ("filed", o.filed),
        ("duplicate", o.duplicate),
        ("already moved", o.already_moved),
        ("variant", o.variant),
        ("collision", o.collision),
        ("quarantined", o.quarantined),
    ];
    writeln!(out, "<h2>Totals</h2>\n<table class=small>")?;
    for (name, count) in studies.iter().chain(&objects) {
        writeln!(out, "<tr><td>{name}<td class=n>{}</tr>", thousands(*count))?;
    }
    writeln!(out, "<tr><td>received<td class=n>{}</tr>\n</table>", format_bytes(report.totals.bytes))
}

/// Source against archive, group by group.
fn group(
    title: &str,
    head: &str,
    groups: impl Iterator<Item = (String, YearTotals)>,
    out: &mut (dyn Write + Send),
) -> std::io::Result<()> {
    writeln!(
        out,
        "<h2>{title}</h2>\n<table class=small>\n<thead><tr><th scope=col>{head}<th scope=col class=n>Studies at the source<th scope=col class=n>Proven here<th scope=col class=n>Not proven<th scope=col class=n>Pending<th scope=col class=n>Objects listed<th scope=col class=n>Of them filed here</tr></thead>"
    )?;
    for (name, t) in groups {
        let [total, proven, fallout, pending, listed, filed] =
            [t.total, t.proven, t.fallout, t.pending, t.listed, t.filed].map(thousands);
        writeln!(
            out,
            "<tr><td>{}<td class=n>{total}<td class=n>{proven}<td class=n>{fallout}<td class=n>{pending}<td class=n>{listed}<td class=n>{filed}</tr>",
            html(&name)
        )?;
    }
    writeln!(out, "</table>")
}

fn reasons(summary: &Summary, job: i64, style: &Style, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let reasons = summary.reasons();
    if reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Why, and what to do</h2>\n<table>\n<tr><th>Reason<th class=n>Studies<th>What to do</tr>")?;
    for (reason, count) in reasons {
        writeln!(
            out,
            "<tr><td>{}<td class=n>{}<td>{}</tr>",
            html(reason.as_text()),
            thousands(count),
            html(&remedy(reason, job, style))
        )?;
    }
    writeln!(out, "</table>")
}

fn notes(report: &Report, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    if report.notes.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Notes</h2>\n<ul>")?;
    for note in &report.notes {
        writeln!(out, "<li>{}: {}", html(&note.kind), html(&note.text))?;
    }
    writeln!(out, "</ul>")
}

fn row(item: &Item, approval: Option<&Approval>, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let bad = if FALLOUT.contains(&item.state) { " class=bad" } else { "" };
    let reason = item.reason.map_or("", |reason| reason.as_text());
    let between = if reason.is_empty() || item.detail.is_empty() { "" } else { ": " };
    let by_count = if item.evidence == Some(crate::catalog::Evidence::Count) { " by count" } else { "" };
    writeln!(
        out,
        "<tr{bad}><td>{}<td class=uid>{}<td>{}<td>{}{by_count}<td class=n>{}<td class=n>{}<td class=n>{}<td>{}{between}{}<td>{}</tr>",
        html(&day_text(item)),
        html(item.study.study_uid.as_str()),
        html(&item.study.patient_id),
        item.state.as_text(),
        item.counts.filed,
        item.counts.listed,
        item.attempt,
        html(reason),
        html(&item.detail),
        approval.map_or(String::new(), |a| format!("{}, {}: {}", html(&a.operator), local_time(a.at), html(&a.why))),
    )
}

/// Where whoever answers for the migration puts a name to it.
fn sign(report: &Report, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let Approved { behind, approved } = report.approved;
    let open = behind.saturating_sub(approved);
    let said = match (behind, open) {
        (0, _) => "No study stays behind.".to_owned(),
        (_, 0) => format!(
            "{} behind, approved.",
            if behind == 1 { "1 study stays".to_owned() } else { format!("{} stay", studies(behind)) }
        ),
        _ => format!(
            "Approved to stay behind: {} of {}; still to be decided: {}.",
            thousands(approved),
            studies(behind),
            thousands(open)
        ),
    };
    writeln!(out, "<h2>Sign-off</h2>\n<p>{said}</p>")?;
    writeln!(
        out,
        "<table class=sign><tr><td>Name<td>Function<td>Date<td>Signature</tr><tr><td><td><td><td></tr></table>"
    )
}

fn studies(count: u64) -> String {
    format!("{} {}", thousands(count), if count == 1 { "study" } else { "studies" })
}
