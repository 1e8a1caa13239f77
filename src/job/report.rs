//! The report of a job as a value: what is proven, what is not and why, and where to look next.
//!
//! The numbers come from the catalog's kept counts; studies are read page by page and written as they are read, so
//! that a report of a million studies needs no more memory than one of ten.

pub mod escape;
mod folder_page;
mod folders;
mod html;
mod studies;
mod summary;
mod tables;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::catalog::{
    Approval, Approved, Catalog, CatalogError, Item, ItemState, ItemTotals, Job, JobKind, JobState, Note, ObjectTotals,
    Totals,
};
use crate::import::shown;

pub use folder_page::{FolderPage, FolderRow, TroubledRow, WantedFolders};
pub use folders::{FolderEnd, FolderTotals};
pub use studies::{StudyPage, WantedStudies};
pub use summary::{Summary, YearTotals};
pub use text::remedy;

/// Studies per page.
const PAGE: usize = 500;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The catalog could not be read.
    #[error("the report cannot be read from the catalog")]
    Catalog(#[from] CatalogError),
    /// The report could not be written.
    #[error("the report cannot be written")]
    Write(#[from] std::io::Error),
}

/// Which form, for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person at a terminal.
    Text,
    /// For scripts.
    Json,
    /// For spreadsheets: one line a study.
    Csv,
    /// For a browser or a printer: one page that needs nothing else.
    Html,
}

/// How a report is written.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Only the studies that are not proven, and all of them.
    pub failed_only: bool,
    /// What follows a command that is suggested, such as ` --config site.toml`.
    pub command_suffix: String,
    /// The source is gone for good (the demo's), so that nothing is suggested that would ask it.
    pub source_gone: bool,
}

/// A job's report.
pub struct Report {
    catalog: Catalog,
    /// The job.
    pub job: Job,
    /// Its counts.
    pub totals: Totals,
    /// What the job noted.
    pub notes: Vec<Note>,
    /// When this was read, in unix milliseconds.
    pub now: i64,
    /// Objects and bytes of the last minute.
    pub recent: (u64, u64),
    /// The folders of an import, by how they ended.
    pub folders: Option<FolderTotals>,
    /// The studies that stay behind, and how many of them somebody agreed to.
    pub approved: Approved,
}

impl Report {
    /// Reads the report of a job; `None` when there is no such job.
    pub async fn of(catalog: &Catalog, job: i64) -> Result<Option<Report>, CatalogError> {
        let Some(job) = catalog.job(job).await? else {
            return Ok(None);
        };
        let mut report = Report {
            totals: catalog.totals(job.id).await?,
            approved: catalog.approved(job.id).await?,
            notes: catalog.notes(job.id).await?,
            recent: catalog.throughput(job.id, Duration::from_secs(60)).await?,
            now: jiff::Timestamp::now().as_millisecond(),
            catalog: catalog.clone(),
            folders: None,
            job,
        };
        if report.job.spec.kind == JobKind::Import {
            report.folders = Some(report.count_folders().await?);
        }
        Ok(Some(report))
    }

    /// Writes it in one of the forms.
    pub async fn write(&self, format: Format, style: &Style, out: &mut (dyn Write + Send)) -> Result<(), ReportError> {
        match format {
            Format::Text => text::write(self, style, out).await,
            Format::Json => tables::write_json(self, style, out).await,
            Format::Csv => tables::write_csv(self, style, out).await,
            Format::Html => html::write(self, style, out).await,
        }
    }

    /// Counts the studies by year and by reason.
    pub async fn summary(&self) -> Result<Summary, CatalogError> {
        let mut summary = Summary::default();
        let count = |item: &Item, _: Option<&Approval>| {
            summary.add(item);
            Ok::<(), CatalogError>(())
        };
        self.each(&[], count).await?;
        Ok(summary)
    }

    /// Whether the job came to an end and nothing of what it was about is left without proof: no study fell out, and
    /// everything could be listed.
    pub fn is_proven(&self) -> bool {
        self.job.state == JobState::Finished
            && self.totals.items.fallout() == 0
            && self.folders.is_none_or(|folders| folders.fallout == 0)
            && !self.notes.iter().any(|note| is_gap(&note.kind))
    }

    /// What the job is about: its source, or its folders.
    fn subject(&self) -> Option<String> {
        let folders = self.job.spec.import.as_ref().map(|import| &import.folders);
        let folders = folders.map(|all| all.iter().map(|folder| shown(folder)).collect::<Vec<_>>().join(", "));
        self.job.spec.source.clone().or(folders)
    }

    /// How long the job has been at work, from its start to its end or to now.
    pub fn elapsed(&self) -> Option<Duration> {
        let started = self.job.started?;
        let ended = self.job.ended.unwrap_or(self.now);
        u64::try_from(ended - started).ok().map(Duration::from_millis)
    }

    /// Everything but the studies, in the shape that scripts rely on.
    pub fn head(&self) -> Value {
        json!({
            "job": self.job.id,
            "kind": kind_text(self.job.spec.kind),
            "source": self.job.spec.source,
            "state": state_text(self.job.state),
            "message": self.job.message,
            "started": self.job.started.and_then(timestamp),
            "ended": self.job.ended.and_then(timestamp),
            "items": items_json(&self.totals.items),
            "objects": objects_json(&self.totals.objects),
            "bytes": self.totals.bytes,
            "enumerated": self.job.enumerated,
            "stays_behind": { "studies": self.approved.behind, "approved": self.approved.approved },
            "folder_totals": self.folders.map(|f| json!({
                "succeeded": f.succeeded, "partial": f.partial, "failed": f.failed, "pending": f.pending,
            })),
            "notes": self.notes.iter().map(|n| json!({ "at": timestamp(n.at), "kind": n.kind, "text": n.text })).collect::<Vec<_>>(),
        })
    }

    /// Hands every item in these states (all of them when there are none) to `use_item`, newest first, and who agreed
    /// that it stays behind.
    async fn each<E: From<CatalogError>>(
        &self,
        states: &[ItemState],
        mut use_item: impl FnMut(&Item, Option<&Approval>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = None;
        loop {
            let page = self.catalog.items(self.job.id, states, after, PAGE).await?;
            let approvals = match self.approved.approved {
                0 => HashMap::new(),
                _ => self.catalog.approvals_of(&page).await?,
            };
            for item in &page {
                use_item(item, approvals.get(&item.id))?;
            }
            match page.last() {
                Some(last) if page.len() >= PAGE => after = Some(last.order_key()),
                _ => return Ok(()),
            }
        }
    }
}

/// The kinds of notes that tell of studies that the source may hold and that could not be listed.
pub const GAPS: [&str; 2] = ["not enumerated", "row without UID"];

/// Whether notes of this kind are of those.
pub fn is_gap(kind: &str) -> bool {
    GAPS.contains(&kind)
}

/// The states of studies that ended without proof.
pub const FALLOUT: [ItemState; 4] = [ItemState::Partial, ItemState::Failed, ItemState::Excluded, ItemState::Cancelled];

/// The counts of items in the shape that scripts rely on: all but `total` sum up to `total`.
pub fn items_json(items: &ItemTotals) -> Value {
    json!({
        "total": items.total,
        "proven": items.proven.saturating_sub(items.proven_by_count),
        "proven_by_count": items.proven_by_count,
        "partial": items.partial,
        "failed": items.failed,
        "excluded": items.excluded,
        "cancelled": items.cancelled,
        "pending": items.pending(),
    })
}

/// The counts of objects in the shape that scripts rely on.
pub fn objects_json(objects: &ObjectTotals) -> Value {
    json!({
        "listed": objects.listed,
        "filed": objects.filed,
        "duplicate": objects.duplicate,
        "already_moved": objects.already_moved,
        "variant": objects.variant,
        "collision": objects.collision,
        "quarantined": objects.quarantined,
    })
}

/// The word for a kind of job.
pub fn kind_text(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Migration => "migration",
        JobKind::Import => "import",
    }
}

/// The word for a job's state.
pub fn state_text(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Stopping => "stopping",
        JobState::Paused => "paused",
        JobState::Halted => "halted",
        JobState::Finished => "finished",
        JobState::Cancelled => "cancelled",
    }
}

/// A time for scripts: RFC 3339 in UTC, to the second.
pub fn timestamp(milliseconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(milliseconds.div_euclid(1000)).ok().map(|t| t.to_string())
}

/// A time for people: local, to the second.
pub fn local_time(milliseconds: i64) -> String {
    match jiff::Timestamp::from_millisecond(milliseconds) {
        Ok(time) => time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "an impossible time".into(),
    }
}

/// The day of a study for people, or what the source says instead of one.
pub fn day_text(item: &Item) -> String {
    match item.study.study_date {
        Some(date) => date.iso(),
        None if item.study.study_date_raw.is_empty() => "no date".into(),
        None => format!("`{}`", item.study.study_date_raw),
    }
}
