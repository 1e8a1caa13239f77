//! The report for programs: JSON for scripts, CSV for spreadsheets.

use std::io::Write;

use serde_json::{Value, json};

use super::{FALLOUT, Report, ReportError, Style, Summary, YearTotals, escape, folders, timestamp};
use crate::catalog::{Approval, Item, ItemState};

/// One document, written study by study.
pub(super) async fn write_json(
    report: &Report,
    style: &Style,
    out: &mut (dyn Write + Send),
) -> Result<(), ReportError> {
    let mut head = serde_json::to_string(&report.head()).map_err(std::io::Error::from)?;
    // The studies follow inside the same object.
    head.pop();
    write!(out, "{head},\n\"studies\":[")?;
    let mut summary = Summary::default();
    let mut between = "\n";
    let write_study = |item: &Item, approval: Option<&Approval>| {
        summary.add(item);
        out.write_all(std::mem::replace(&mut between, ",\n").as_bytes())?;
        serde_json::to_writer(&mut *out, &study(item, approval)).map_err(|error| ReportError::Write(error.into()))
    };
    report.each(states(style), write_study).await?;
    let years = summary.years().map(|(year, totals)| totals_json("year", json!(year), totals)).collect();
    let modalities =
        summary.modalities().map(|(name, totals)| totals_json("modalities", json!(name), totals)).collect();
    let reasons: Vec<Value> = summary
        .reasons()
        .into_iter()
        .map(|(reason, studies)| json!({ "reason": reason.as_text(), "studies": studies, "remedy": reason.remedy() }))
        .collect();
    write!(out, "],\n\"years\":{},\n\"modalities\":{}", Value::Array(years), Value::Array(modalities))?;
    write!(out, ",\n\"reasons\":{}", Value::Array(reasons))?;
    if report.folders.is_some() {
        write!(out, ",\n\"folders\":")?;
        folders::write_json(report, style, out).await?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

fn totals_json(key: &str, value: Value, t: YearTotals) -> Value {
    json!({
        key: value, "total": t.total, "proven": t.proven, "fallout": t.fallout, "pending": t.pending,
        "objects_listed": t.listed, "objects_filed": t.filed,
    })
}

/// A study as scripts have it.
pub(super) fn study(item: &Item, approval: Option<&Approval>) -> Value {
    json!({
        "study_uid": item.study.study_uid.as_str(),
        "study_date": item.study.study_date.map(|date| date.to_string()),
        "patient_id": item.study.patient_id,
        "modalities": item.study.modalities,
        "state": item.state.as_text(),
        "evidence": item.evidence.map(|evidence| evidence.as_text()),
        "listed": item.counts.listed,
        "filed": item.counts.filed,
        "attempts": item.attempt,
        "reason": item.reason.map(|reason| reason.as_text()),
        "detail": item.detail,
        "patient_conflict": item.conflict,
        "approval": approval.map(|a| json!({ "at": timestamp(a.at), "by": a.operator, "why": a.why })),
    })
}

/// One line a study; of an import, one line a folder.
pub(super) async fn write_csv(report: &Report, style: &Style, out: &mut (dyn Write + Send)) -> Result<(), ReportError> {
    if report.folders.is_some() {
        return folders::write_csv(report, style, out).await;
    }
    let columns = [
        "study_uid",
        "study_date",
        "patient_id",
        "state",
        "evidence",
        "listed",
        "filed",
        "attempts",
        "reason",
        "detail",
        "remedy",
        "approved_at",
        "approved_by",
        "approved_why",
    ];
    row(out, &columns)?;
    let write_row = |item: &Item, approval: Option<&Approval>| {
        let [listed, filed, attempts] = [item.counts.listed, item.counts.filed, item.attempt].map(|n| n.to_string());
        row(
            out,
            &[
                item.study.study_uid.as_str(),
                &item.study.study_date.map(|date| date.to_string()).unwrap_or_default(),
                &item.study.patient_id,
                item.state.as_text(),
                item.evidence.map_or("", |evidence| evidence.as_text()),
                &listed,
                &filed,
                &attempts,
                item.reason.map_or("", |reason| reason.as_text()),
                &item.detail,
                item.reason.map_or("", |reason| reason.remedy()),
                &approval.and_then(|approval| timestamp(approval.at)).unwrap_or_default(),
                approval.map_or("", |approval| &approval.operator),
                approval.map_or("", |approval| &approval.why),
            ],
        )?;
        Ok(())
    };
    report.each(states(style), write_row).await
}

fn row(out: &mut (dyn Write + Send), fields: &[&str]) -> std::io::Result<()> {
    let fields: Vec<String> = fields.iter().map(|field| escape::csv(field)).collect();
    write!(out, "{}\r\n", fields.join(","))
}

fn states(style: &Style) -> &'static [ItemState] {
    if style.failed_only { &FALLOUT } else { &[] }
}
