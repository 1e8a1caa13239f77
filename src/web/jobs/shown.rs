//! A job and what fell out of it, as people read it.

use crate::catalog::{Approval, Catalog, Item, ItemState, Job, Reason};
use crate::config::units::{format_bytes, format_duration, format_rate};
use crate::dicom::Date;
use crate::import::shown;
use crate::job::progress::{Progress, is_at_rest, is_waiting};
use crate::job::report::{FALLOUT, FolderEnd, FolderRow, Style, local_time, remedy, state_text};
use crate::web::answer::Refused;

/// A job, ready to be shown.
pub(super) struct Row {
    /// What is being done now.
    pub(super) line: String,
    pub(super) id: i64,
    pub(super) of: String,
    pub(super) state: &'static str,
    pub(super) runs: bool,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) more: bool,
    pub(super) proven: u64,
    pub(super) fallout: u64,
    pub(super) filed: u64,
    pub(super) received: String,
    pub(super) rate: String,
    pub(super) eta: String,
    pub(super) at: String,
    pub(super) message: String,
}

/// What has to be known of a job: what it says itself, or that some of what the source holds was never listed.
pub(super) fn notice(job: &Job, progress: &Progress) -> String {
    match &job.message {
        Some(message) => message.clone(),
        None if progress.gaps > 0 => "NOT everything could be listed: see the notes of its report.".to_owned(),
        None => String::new(),
    }
}

/// What is being done now: which study, how much of it has come, how fast.
pub(super) async fn line(catalog: &Catalog, job: &Job, progress: &Progress) -> Result<String, Refused> {
    if is_at_rest(job.state) {
        return Ok(String::new());
    }
    let checkpoints = catalog.checkpoints(job.id, 8).await?;
    let Some(open) = checkpoints.iter().find(|checkpoint| checkpoint.closed.is_none()) else {
        return Ok(if job.enumerated { String::new() } else { "listing studies".to_owned() });
    };
    let Some(item) = catalog.item_of_study(job.id, &open.study_uid).await? else { return Ok(String::new()) };
    let study = &item.study;
    let modalities = if study.modalities.is_empty() { "study".to_owned() } else { study.modalities.replace('\\', "+") };
    let of = study.instances.map_or(String::new(), |n| format!(" of {n}"));
    let rate = if progress.rate > 0 { format!(", {}", format_rate(progress.rate)) } else { String::new() };
    Ok(format!("{modalities} of {}, {}{of} objects{rate}", date(study.study_date), open.received))
}

pub(super) fn asked(job: &Job) -> Vec<String> {
    let spec = &job.spec;
    let mut asked = Vec::new();
    asked.extend(spec.from.map(|day| format!("from {}", day.iso())));
    asked.extend(spec.to.map(|day| format!("to {}", day.iso())));
    if !spec.studies.is_empty() {
        asked.push(format!("{} studies by their UIDs", spec.studies.len()));
    }
    if !spec.modalities.is_empty() {
        asked.push(format!("modality {}", spec.modalities.join(", ")));
    }
    if let Some(import) = &spec.import {
        asked.push(import.how.as_text().to_owned());
        asked.extend(import.folders.iter().map(|folder| shown(folder)));
    }
    asked
}

fn day(text: &str) -> String {
    date(Date::parse(text).ok())
}

pub(super) fn date(day: Option<Date>) -> String {
    day.map_or("no date".to_owned(), Date::iso)
}

impl Row {
    pub(super) async fn of(catalog: &Catalog, job: &Job, progress: &Progress) -> Result<Row, Refused> {
        let items = &progress.totals.items;
        Ok(Row {
            line: line(catalog, job, progress).await?,
            id: job.id,
            of: job.spec.source.clone().unwrap_or_else(|| "folders".to_owned()),
            state: if is_waiting(job) { "waiting" } else { state_text(job.state) },
            runs: !is_at_rest(job.state),
            done: items.total - items.pending(),
            total: items.total,
            more: !job.enumerated,
            proven: items.proven,
            fallout: items.fallout(),
            filed: progress.totals.objects.filed,
            received: format_bytes(progress.totals.bytes),
            rate: if progress.rate > 0 { format_rate(progress.rate) } else { "–".to_owned() },
            eta: progress.eta.map_or("–".to_owned(), format_duration),
            at: progress.newest_pending.as_deref().map_or("–".to_owned(), day),
            message: notice(job, progress),
        })
    }
}

/// A study of a report.
pub(super) struct Study {
    pub(super) uid: String,
    pub(super) date: String,
    pub(super) modalities: String,
    pub(super) patient_id: String,
    pub(super) state: &'static str,
    pub(super) filed: u32,
    pub(super) listed: u32,
    pub(super) reason: &'static str,
    pub(super) detail: String,
    pub(super) remedy: String,
    pub(super) approval: Option<String>,
    /// It ended without proof.
    pub(super) behind: bool,
    /// It can be tried again.
    pub(super) again: bool,
}

impl Study {
    pub(super) fn of(item: &Item, approval: Option<&Approval>, style: &Style) -> Study {
        Study {
            uid: item.study.study_uid.to_string(),
            date: date(item.study.study_date),
            modalities: item.study.modalities.replace('\\', "+"),
            patient_id: item.study.patient_id.clone(),
            state: item.state.as_text(),
            filed: item.counts.filed,
            listed: item.counts.listed,
            reason: item.reason.map_or("", Reason::as_text),
            detail: item.detail.clone(),
            remedy: item.reason.map_or(String::new(), |reason| remedy(reason, item.job, style)),
            approval: approval.map(|a| format!("{}, {}: {}", a.operator, local_time(a.at), a.why)),
            behind: FALLOUT.contains(&item.state),
            again: FALLOUT.contains(&item.state) && item.state != ItemState::Cancelled,
        }
    }
}

/// A folder of a report.
pub(super) struct Folder {
    pub(super) path: String,
    pub(super) state: &'static str,
    /// The class that gives it its colour.
    pub(super) class: &'static str,
    pub(super) filed: u64,
    pub(super) reason: &'static str,
    pub(super) detail: String,
    pub(super) files: Vec<(String, String)>,
    pub(super) more: bool,
    pub(super) remedy: &'static str,
}

impl Folder {
    pub(super) fn of(row: FolderRow) -> Folder {
        Folder {
            path: row.folder,
            state: row.end.as_text(),
            class: if row.end == FolderEnd::Succeeded { "proven" } else { row.end.as_text() },
            filed: row.filed,
            reason: row.reason.map_or("", Reason::as_text),
            detail: row.detail,
            files: row.files.into_iter().map(|file| (file.name, file.detail)).collect(),
            more: row.more,
            remedy: row.reason.map_or("", Reason::remedy),
        }
    }
}
