//! The impact sheet of an operation, for the clerk who has to say yes.

use std::io::{Result, Write};

use super::output::{count, table, thousands};
use crate::content::{Difference, Kind, Mode, Plan, StudySheet};
use crate::job::report::{escape, local_time};

/// References that are printed one by one; `--json` has all.
const REFERENCES: usize = 50;

/// Prints it.
pub(super) fn print(plan: &Plan, out: &mut dyn Write) -> Result<()> {
    let what = match plan.kind {
        Kind::Reallocate => "reallocate: objects go to another study",
        Kind::Merge => "merge: a study goes into another one",
        Kind::Split => "split: series become a study of their own",
    };
    let mode = match plan.mode {
        Mode::Local => "local: UIDs are kept, nobody else is told",
        Mode::Iocm => "iocm: new UIDs, and others are told",
    };
    writeln!(out, "{what}\n{mode}\n")?;
    table(out, &["", "from", "to"], &sides(plan))?;
    match plan.same_patient {
        true => writeln!(out, "\nThe same patient.")?,
        false => writeln!(out, "\nANOTHER PATIENT, or one of whom that is not certain.")?,
    }
    differences(out, "the patients", &plan.patient_differences)?;
    differences(out, "the studies", &plan.study_differences)?;
    moved(plan, out)?;
    touched(plan, out)?;
    copies(plan, out)?;
    for (number, warning) in plan.warnings.iter().enumerate() {
        let head = if number == 0 { "\nWarnings:\n" } else { "" };
        writeln!(out, "{head}  ! {}", escape::terminal(&warning.message()))?;
    }
    for (number, refusal) in plan.refusals.iter().enumerate() {
        let head = if number == 0 { "\nIt would be refused:\n" } else { "" };
        writeln!(out, "{head}  - {}", escape::terminal(&refusal.to_string()))?;
        writeln!(out, "    {}", escape::terminal(refusal.remedy()))?;
    }
    if plan.may_be_done() {
        writeln!(out, "\nNothing stands against it. Nothing was changed: leave out --dry-run to do it.")?;
    }
    Ok(())
}

/// Both studies, side by side.
fn sides(plan: &Plan) -> Vec<Vec<String>> {
    let row = |head: &str, show: &dyn Fn(&StudySheet) -> String| {
        vec![head.to_owned(), show(&plan.source), show(&plan.destination)]
    };
    let uid = |side: &StudySheet| match side.exists {
        true => side.uid.clone(),
        false => format!("{} (new)", side.uid),
    };
    let patient_id = |side: &StudySheet| match side.patient.issuer.as_str() {
        "" => side.patient.id.clone(),
        issuer => format!("{} ({issuer})", side.patient.id),
    };
    vec![
        row("study", &uid),
        row("patient", &|side| side.patient.name.clone()),
        row("patient ID", &patient_id),
        row("born", &|side| side.patient.birth_date.clone()),
        row("sex", &|side| side.patient.sex.clone()),
        row("study date", &|side| side.date.clone()),
        row("accession", &|side| side.accession_number.clone()),
        row("description", &|side| side.description.clone()),
        row("objects now", &|side| thousands(side.objects)),
        row("and then", &|side| thousands(side.objects_after)),
    ]
}

fn differences(out: &mut dyn Write, of: &str, all: &[Difference]) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWhat differs between {of}:")?;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<_> =
        all.iter().map(|one| vec![one.name.clone(), shown(&one.source), shown(&one.destination)]).collect();
    table(out, &["", "from", "to"], &rows)
}

fn moved(plan: &Plan, out: &mut dyn Write) -> Result<()> {
    let linked = match plan.linked_files {
        0 => String::new(),
        files => format!(", {} of them linked", thousands(files)),
    };
    writeln!(out, "\nWhat is moved: {}{linked}", count(plan.objects, "object", "objects"))?;
    let rows: Vec<_> = plan
        .series
        .iter()
        .map(|one| {
            let part = if one.part { ", a part of it" } else { "" };
            let objects = format!("{}{part}", thousands(one.objects));
            let mut row = vec![one.modality.clone(), one.number.clone(), one.description.clone(), objects];
            row.push(one.uid.clone());
            row.extend((one.new_uid != one.uid).then(|| one.new_uid.clone()));
            row
        })
        .collect();
    table(out, &["modality", "number", "description", "objects", "series", "becomes"], &rows)
}

fn touched(plan: &Plan, out: &mut dyn Write) -> Result<()> {
    if !plan.references.is_empty() {
        writeln!(out, "\nWhat refers to it:")?;
        let rows = plan.references.iter().take(REFERENCES).map(|one| {
            let fate = match (one.moves, one.replaced) {
                (true, _) => "moves with it",
                (false, true) => "stays, and is replaced by a new version",
                (false, false) => "stays as it is",
            };
            let verified = if one.verified { "verified or signed" } else { "" };
            vec![one.modality.clone(), one.uid.clone(), fate.to_owned(), verified.to_owned()]
        });
        table(out, &["modality", "object", "", ""], &rows.collect::<Vec<_>>())?;
        if plan.references.len() > REFERENCES {
            writeln!(out, "and {} more; --json has them all", plan.references.len() - REFERENCES)?;
        }
    }
    let sheet = &plan.measurements;
    if sheet.measurements > 0 {
        writeln!(
            out,
            "\nMeasurements of what is moved: {}; {} go to the destination's report, {} derived from them leave the \
             source's; new versions of reports: {}",
            sheet.measurements, sheet.moved, sheet.derived, sheet.reports
        )?;
    }
    let findings = plan.source.findings + plan.destination.findings;
    if findings > 0 {
        writeln!(
            out,
            "\nFindings of the AI platform: {} are cleared, and both studies are scanned again",
            thousands(findings)
        )?;
    }
    Ok(())
}

fn copies(plan: &Plan, out: &mut dyn Write) -> Result<()> {
    let sides = [("from", &plan.source), ("to", &plan.destination)];
    let rows: Vec<_> = sides
        .iter()
        .flat_map(|(side, study)| study.copies.iter().map(move |copy| (side, copy)))
        .map(|(side, copy)| {
            let told = if copy.told { "will be told" } else { "" };
            vec![
                copy.node.clone(),
                (*side).to_owned(),
                thousands(copy.objects),
                local_time(copy.last).to_string(),
                told.to_owned(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nNodes with copies:")?;
    table(out, &["node", "study", "objects", "last", ""], &rows)
}
