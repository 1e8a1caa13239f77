//! The folders of an import: which succeeded, which did so in part, which failed and why, and below each of them the
//! files that are not filed.

use std::io::Write;

use serde_json::{Value, json};

use super::escape::{self, terminal, thousands};
use super::{Report, ReportError, Style};
use crate::catalog::{CatalogError, FileState, FolderReport, FolderState, Reason, TroubledFile};
use crate::import::{name_shown, shown};

/// Folders per page, and folders shown when not all of them were asked for.
const PAGE: usize = 200;
const SHOWN: u64 = 20;
/// Files told of one folder.
const FILES: usize = 1000;
const FEW: usize = 5;

/// How a folder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderEnd {
    /// Every DICOM file in it is filed.
    Succeeded,
    /// Some are, some are not.
    Partial,
    /// None is.
    Failed,
    /// It is being worked on.
    Pending,
}

impl FolderEnd {
    /// Every end.
    pub const ALL: [FolderEnd; 4] = [FolderEnd::Succeeded, FolderEnd::Partial, FolderEnd::Failed, FolderEnd::Pending];

    /// The word that reports use.
    pub fn as_text(self) -> &'static str {
        match self {
            FolderEnd::Succeeded => "succeeded",
            FolderEnd::Partial => "partial",
            FolderEnd::Failed => "failed",
            FolderEnd::Pending => "pending",
        }
    }
}

/// What is said of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) end: FolderEnd,
    pub(super) filed: u64,
    pub(super) reason: Option<Reason>,
    pub(super) detail: String,
    /// Whether something that may be an object is not filed.
    pub(super) is_fallout: bool,
}

/// Folders by how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FolderTotals {
    /// Every DICOM file in them is filed.
    pub succeeded: u64,
    /// Some are.
    pub partial: u64,
    /// None is.
    pub failed: u64,
    /// Being worked on.
    pub pending: u64,
    /// Those in which something that may be an object is not filed.
    pub fallout: u64,
}

/// Judges a folder; `None` when there was nothing in it but other folders.
pub(super) fn judge(folder: &FolderReport) -> Option<Verdict> {
    use FileState::{
        AlreadyMoved, Collision, Directory, Duplicate, Faulty, Filed, Left, Listed, Refused, SetAside, Unreadable,
        Variant, Young,
    };
    let sum = |states: &[FileState]| states.iter().map(|state| folder.count(*state)).sum::<u64>();
    let filed = sum(&[Filed, Duplicate, AlreadyMoved, Variant]) + folder.unchanged;
    let troubled = sum(&[Collision, SetAside, Left, Unreadable, Refused]);
    let of_directory: u64 = folder.reasons.iter().filter(|(r, _)| *r == Reason::NotFoundAtSource).map(|(_, n)| n).sum();
    let foreign = folder.not_dicom();
    let open = sum(&[Listed, Faulty, Young]) > 0 || folder.state == FolderState::Pending;
    let verdict = |end, reason, detail: String, is_fallout| Some(Verdict { end, filed, reason, detail, is_fallout });
    let part = |filed: u64| if filed > 0 { FolderEnd::Partial } else { FolderEnd::Failed };
    if folder.state == FolderState::Unreadable {
        return verdict(part(filed), Some(Reason::UnreadableFile), folder.detail.clone(), true);
    }
    if open {
        return verdict(FolderEnd::Pending, None, String::new(), false);
    }
    if troubled + of_directory > 0 {
        let worst = folder.reasons.iter().filter(|(reason, _)| *reason != Reason::NotDicom).max_by_key(|(_, n)| *n);
        let reason = worst.map(|(reason, _)| *reason);
        let detail = match reason {
            Some(Reason::NoStudyInstanceUid) if filed == 0 => "no file has a Study Instance UID".into(),
            _ if troubled == 0 => "files that a DICOMDIR names are not there".into(),
            _ => format!("{} of {} files are not filed", thousands(troubled), thousands(filed + troubled)),
        };
        return verdict(part(filed), reason, detail, true);
    }
    if filed == 0 && foreign > 0 && folder.outside + folder.count(Directory) == 0 {
        return verdict(FolderEnd::Failed, Some(Reason::NotDicom), "no DICOM files".into(), false);
    }
    let nothing = filed + foreign + folder.outside + folder.skipped + folder.count(Directory) == 0;
    if nothing { None } else { verdict(FolderEnd::Succeeded, None, aside(folder), false) }
}

/// What else is in a folder, in words.
fn aside(folder: &FolderReport) -> String {
    let parts = [
        (folder.unchanged, "unchanged since an earlier run"),
        (folder.count(FileState::Duplicate), "filed already"),
        (folder.count(FileState::AlreadyMoved), "filed already and moved by a correction"),
        (folder.outside, "of other days"),
        (folder.not_dicom(), "not DICOM"),
        (folder.skipped, "links, pipes or devices"),
    ];
    let told = parts.iter().filter(|(files, _)| *files > 0);
    told.map(|(files, what)| format!("{} {what}", thousands(*files))).collect::<Vec<_>>().join(", ")
}

/// What is done with a folder; `false` ends the walk.
type UseFolder<'f> = dyn FnMut(&FolderReport, &Verdict, &[TroubledFile]) -> std::io::Result<bool> + Send + 'f;

impl Report {
    /// Counts the folders of an import.
    pub(super) async fn count_folders(&self) -> Result<FolderTotals, CatalogError> {
        let mut totals = FolderTotals::default();
        let mut after = None;
        loop {
            let page = self.catalog.import_folders(self.job.id, after.as_deref(), PAGE).await?;
            for verdict in page.iter().filter_map(judge) {
                *match verdict.end {
                    FolderEnd::Succeeded => &mut totals.succeeded,
                    FolderEnd::Partial => &mut totals.partial,
                    FolderEnd::Failed => &mut totals.failed,
                    FolderEnd::Pending => &mut totals.pending,
                } += 1;
                totals.fallout += u64::from(verdict.is_fallout);
            }
            match page.last() {
                Some(last) if page.len() >= PAGE => after = Some(last.path.clone()),
                _ => return Ok(totals),
            }
        }
    }

    /// Hands every folder, with the files that are not filed, to `use_folder`.
    async fn each_folder(
        &self,
        failed_only: bool,
        files: usize,
        use_folder: &mut UseFolder<'_>,
    ) -> Result<(), ReportError> {
        let mut after = None;
        loop {
            let page = self.catalog.import_folders(self.job.id, after.as_deref(), PAGE).await?;
            for folder in &page {
                let Some(verdict) = judge(folder) else { continue };
                if failed_only && verdict.end == FolderEnd::Succeeded {
                    continue;
                }
                let troubled = if verdict.is_fallout {
                    self.catalog.troubled_files(self.job.id, folder.id, files + 1).await?
                } else {
                    Vec::new()
                };
                if !use_folder(folder, &verdict, &troubled)? {
                    return Ok(());
                }
            }
            match page.last() {
                Some(last) if page.len() >= PAGE => after = Some(last.path.clone()),
                _ => return Ok(()),
            }
        }
    }
}

pub(super) fn name_of(file: &TroubledFile) -> String {
    let name = name_shown(&file.key.name);
    if file.key.member.is_empty() {
        return name;
    }
    format!("{name}: {}", String::from_utf8_lossy(&file.key.member))
}

fn reason_text(reason: Option<Reason>) -> &'static str {
    reason.map_or("", |reason| reason.as_text())
}

/// The array of folders, for the document of a report.
pub(super) async fn write_json(
    report: &Report,
    style: &Style,
    out: &mut (dyn Write + Send),
) -> Result<(), ReportError> {
    let mut between = "\n";
    write!(out, "[")?;
    let mut write_folder = |folder: &FolderReport, verdict: &Verdict, troubled: &[TroubledFile]| {
        out.write_all(std::mem::replace(&mut between, ",\n").as_bytes())?;
        let files: Vec<Value> = troubled.iter().take(FILES).map(file_json).collect();
        let document = json!({
            "folder": shown(&folder.path),
            "state": verdict.end.as_text(),
            "filed": verdict.filed,
            "reason": verdict.reason.map(|reason| reason.as_text()),
            "detail": verdict.detail,
            "unchanged": folder.unchanged,
            "not_dicom": folder.not_dicom(),
            "outside": folder.outside,
            "skipped": folder.skipped,
            "files": files,
        });
        serde_json::to_writer(&mut *out, &document)?;
        Ok(true)
    };
    report.each_folder(style.failed_only, FILES, &mut write_folder).await?;
    write!(out, "]")?;
    Ok(())
}

fn file_json(file: &TroubledFile) -> Value {
    json!({
        "file": name_of(file),
        "reason": file.reason.map(|reason| reason.as_text()),
        "detail": file.detail,
    })
}

/// One line a folder, and one for each file that is not filed.
pub(super) async fn write_csv(report: &Report, style: &Style, out: &mut (dyn Write + Send)) -> Result<(), ReportError> {
    let row =
        |out: &mut (dyn Write + Send), fields: [&str; 7]| write!(out, "{}\r\n", fields.map(escape::csv).join(","));
    row(out, ["folder", "file", "state", "filed", "reason", "detail", "remedy"])?;
    let mut write_rows = |folder: &FolderReport, verdict: &Verdict, troubled: &[TroubledFile]| {
        let (path, filed) = (shown(&folder.path), verdict.filed.to_string());
        let remedy = |reason: Option<Reason>| reason.map_or("", |reason| reason.remedy());
        let reason = reason_text(verdict.reason);
        row(out, [&path, "", verdict.end.as_text(), &filed, reason, &verdict.detail, remedy(verdict.reason)])?;
        for file in troubled.iter().take(FILES) {
            let reason = reason_text(file.reason);
            row(out, [&path, &name_of(file), "", "", reason, &file.detail, remedy(file.reason)])?;
        }
        Ok(true)
    };
    report.each_folder(style.failed_only, FILES, &mut write_rows).await
}

/// For a person at a terminal: the counts, and what did not succeed.
pub(super) async fn write_text(
    report: &Report,
    style: &Style,
    out: &mut (dyn Write + Send),
) -> Result<(), ReportError> {
    let Some(totals) = report.folders else { return Ok(()) };
    let all = totals.succeeded + totals.partial + totals.failed + totals.pending;
    if !style.failed_only {
        writeln!(out, "{}", format!("{:<20}{:>12}", "Folders", thousands(all)).trim_end())?;
        for (name, count, always) in [
            ("succeeded", totals.succeeded, true),
            ("partial", totals.partial, true),
            ("failed", totals.failed, true),
            ("pending", totals.pending, false),
        ] {
            if always || count > 0 {
                writeln!(out, "  {name:<18}{:>12}", thousands(count))?;
            }
        }
        writeln!(out)?;
    }
    let bad = totals.partial + totals.failed;
    if bad == 0 {
        return Ok(());
    }
    writeln!(out, "Folders that did not succeed")?;
    let (mut told, files) = (0, if style.failed_only { FILES } else { FEW });
    let mut write_folder = |folder: &FolderReport, verdict: &Verdict, troubled: &[TroubledFile]| {
        if verdict.end == FolderEnd::Pending {
            return Ok(true);
        }
        if told >= SHOWN && !style.failed_only {
            return Ok(false);
        }
        told += 1;
        writeln!(out, "  {}", terminal(&shown(&folder.path)))?;
        let (end, reason) = (verdict.end.as_text(), reason_text(verdict.reason));
        writeln!(out, "      {end}: {reason}; {} ({} filed)", terminal(&verdict.detail), thousands(verdict.filed))?;
        for file in troubled.iter().take(files) {
            writeln!(out, "      - {}: {}", terminal(&name_of(file)), terminal(&file.detail))?;
        }
        if troubled.len() > files {
            writeln!(out, "      - ... and more")?;
        }
        Ok(true)
    };
    report.each_folder(true, files, &mut write_folder).await?;
    if told < bad {
        let (more, id, suffix) = (bad - told, report.job.id, &style.command_suffix);
        writeln!(out, "  ... and {more} more: pacsferry report {id} --failed{suffix}")?;
    }
    writeln!(out, "Mend what can be mended and run the same import again: it passes over what is filed.")?;
    writeln!(out)?;
    Ok(())
}

/// For a browser or a printer.
pub(super) async fn write_html(
    report: &Report,
    style: &Style,
    out: &mut (dyn Write + Send),
) -> Result<(), ReportError> {
    let html = escape::html;
    writeln!(
        out,
        "<h2>Folders</h2>\n<table>\n<thead><tr><th>Folder<th>State<th class=n>Filed<th>Reason, and files that are not filed</tr></thead>\n<tbody>"
    )?;
    let mut write_row = |folder: &FolderReport, verdict: &Verdict, troubled: &[TroubledFile]| {
        let bad = if matches!(verdict.end, FolderEnd::Partial | FolderEnd::Failed) { " class=bad" } else { "" };
        let reason = reason_text(verdict.reason);
        let between = if reason.is_empty() || verdict.detail.is_empty() { "" } else { ": " };
        write!(
            out,
            "<tr{bad}><td class=uid>{}<td>{}<td class=n>{}<td>{}{between}{}",
            html(&shown(&folder.path)),
            verdict.end.as_text(),
            verdict.filed,
            html(reason),
            html(&verdict.detail)
        )?;
        for file in troubled.iter().take(FILES) {
            write!(out, "<br>{}: {}", html(&name_of(file)), html(&file.detail))?;
        }
        writeln!(out, "</tr>")?;
        Ok(true)
    };
    report.each_folder(style.failed_only, FILES, &mut write_row).await?;
    writeln!(out, "</tbody>\n</table>")?;
    Ok(())
}
