//! `corrections`, `undo`, `lock`, `unlock`: what was corrected, back again, and who keeps others from it.

use std::io::Write;

use serde_json::{Value, json};

use super::content::{Desk, shows, tell};
use super::reallocate::reason;
use super::{Exit, Failure, Global, correction, log, open, output};
use crate::catalog::{Correction, CorrectionFilter, CorrectionState};
use crate::content::Why;
use crate::dicom::StudyInstanceUid;
use crate::job::report::{escape, local_time, timestamp};

/// Operations per page.
const PAGE: usize = 500;

/// Show what was corrected: moves, merges, splits, and what of it was taken back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry corrections
  pacsferry corrections --study 1.2.840.1.2.3      what went out of it and came into it
  pacsferry corrections show 12                    one of them, its objects, and what has come since
  pacsferry corrections --json | jq '.[] | select(.state == \"active\")'")]
pub(super) struct ListArgs {
    /// Only those that touch this study
    #[arg(long, value_name = "STUDY")]
    study: Option<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// One of them: its objects with their old and new UIDs, and what has happened since
    Show {
        /// The number of the operation
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
    },
}

/// Take a correction back
///
/// Everything shows again as it did before. What was moved a second time has to be undone in reverse.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry undo 12 --dry-run
  pacsferry undo 12
  pacsferry undo 12 --reason MISTAKE:'it was right before'")]
pub(super) struct UndoArgs {
    /// The number of the operation, see `pacsferry corrections`
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    number: i64,
    /// Only show what it would mean
    #[arg(long)]
    dry_run: bool,
    /// Why
    #[arg(long, value_name = "CODE[:TEXT]", value_parser = reason)]
    reason: Option<Why>,
}

/// Keep others from correcting a study
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry lock 1.2.840.1.2.3 --reason 'under review'")]
pub(super) struct LockArgs {
    /// Study Instance UID
    study: String,
    /// Why, for those who are kept from it
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Mark it as migrated by a cardiovascular system: nobody at all corrects it, as long as the mark is there
    #[arg(long)]
    cardiovascular: bool,
}

/// Take the lock of a study away
///
/// Your own, or with the privilege `unlock` that of somebody else.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry unlock 1.2.840.1.2.3")]
pub(super) struct UnlockArgs {
    /// Study Instance UID
    study: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Take away the mark of a cardiovascular system; needs the privilege `unlock`
    #[arg(long)]
    cardiovascular: bool,
}

pub(super) async fn list(global: &Global, args: ListArgs) -> Result<Exit, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    if let Some(Action::Show { number }) = args.action {
        return correction::show(global, &catalog, number).await;
    }
    let filter = match &args.study {
        Some(study) => CorrectionFilter::Study(StudyInstanceUid::new(study)),
        None => CorrectionFilter::All,
    };
    let (mut before, mut found) = (None, 0_u64);
    loop {
        let page = catalog.corrections(&filter, before, PAGE).await?;
        output::print(|out| {
            for one in &page {
                match global.json {
                    true => {
                        out.write_all(if found == 0 { b"[\n" } else { b",\n" })?;
                        serde_json::to_writer(&mut *out, &document(one))?;
                    }
                    false => text(one, out)?,
                }
                found += 1;
            }
            Ok(())
        })?;
        match page.last() {
            Some(last) if page.len() >= PAGE => before = Some(last.id),
            _ => break,
        }
    }
    output::print(|out| match (global.json, found) {
        (true, 0) => writeln!(out, "[]"),
        (true, _) => writeln!(out, "\n]"),
        (false, 0) => writeln!(out, "nothing was corrected"),
        (false, _) => writeln!(out, "{}", output::count(found, "correction", "corrections")),
    })?;
    Ok(Exit::Done)
}

pub(super) fn document(one: &Correction) -> Value {
    // What was planned is kept as the text that the plan was printed as.
    let sheet: Value = serde_json::from_str(&one.sheet).unwrap_or(Value::Null);
    json!({
        "correction": one.id,
        "kind": one.kind.word(),
        "mode": one.mode.word(),
        "state": one.state.word(),
        "at": timestamp(one.at),
        "operator": one.operator,
        "reason": one.reason,
        "reason_text": one.reason_text,
        "source": one.source.as_str(),
        "destination": one.destination.as_str(),
        "moved": one.moved,
        "hidden": one.hidden,
        "written": one.written,
        "undone_at": one.undone_at.map(timestamp),
        "undone_by": Some(&one.undone_by).filter(|by| !by.is_empty()),
        "sheet": sheet,
    })
}

pub(super) fn text(one: &Correction, out: &mut dyn Write) -> std::io::Result<()> {
    let state = match (one.state, one.undone_at) {
        (CorrectionState::Undone, Some(at)) => {
            format!("undone {} by {}", local_time(at), escape::terminal(&one.undone_by))
        }
        (state, _) => state.word().to_owned(),
    };
    let (kind, mode) = (one.kind.word(), one.mode.word());
    writeln!(out, "{}  {kind}, {mode}, {state}", one.id)?;
    writeln!(out, "  {} by {}", local_time(one.at), escape::terminal(&one.operator))?;
    writeln!(out, "  from  {}", escape::terminal(one.source.as_str()))?;
    writeln!(out, "  to    {}", escape::terminal(one.destination.as_str()))?;
    let also = [(one.hidden, "shown no more"), (one.written, "written")];
    let also: String =
        also.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {} {what}", output::thousands(*n))).collect();
    writeln!(out, "  {} moved{also}", output::count(one.moved, "object", "objects"))?;
    if !one.reason.is_empty() {
        writeln!(out, "  why   {} {}", escape::terminal(&one.reason), escape::terminal(&one.reason_text))?;
    }
    writeln!(out)
}

pub(super) async fn undo(global: &Global, args: UndoArgs) -> Result<Exit, Failure> {
    let desk = Desk::open(global, "undo").await?;
    let undone = match args.dry_run {
        true => desk.content.plan_undo(args.number, &desk.who).await,
        false => desk.content.undo(args.number, &args.reason.unwrap_or_default(), &desk.who).await,
    };
    desk.close().await?;
    let undone = undone?;
    let (operation, objects) = (undone.operation, output::count(undone.objects, "object", "objects"));
    let words = match args.dry_run {
        true => format!("operation {operation} can be undone: {objects} would show as before"),
        false => format!("operation {operation} is undone: {objects} {} as before", shows(undone.objects)),
    };
    let warnings: Vec<String> = undone.warnings.iter().map(|warning| warning.message()).collect();
    warnings.iter().for_each(|warning| log::say(&format!("note: {warning}")));
    let state = if args.dry_run { CorrectionState::Active } else { CorrectionState::Undone };
    let document = json!({
        "correction": operation, "state": state.word(), "objects": undone.objects, "warnings": warnings,
    });
    tell(global, &document, &words)
}

pub(super) async fn lock(global: &Global, args: LockArgs) -> Result<Exit, Failure> {
    let study = StudyInstanceUid::new(&args.study);
    if args.cardiovascular {
        return mark(global, &study, true, &args.reason).await;
    }
    let desk = Desk::open(global, "lock").await?;
    let locked = desk.content.lock(&study, &args.reason, &desk.who).await;
    let who = desk.who.name.clone();
    desk.close().await?;
    locked?;
    let words = format!("study {study} is locked by {who}; `{}` ends that", global.command(&format!("unlock {study}")));
    tell(global, &json!({ "study_uid": study.as_str(), "locked": true, "by": who, "reason": args.reason }), &words)
}

pub(super) async fn unlock(global: &Global, args: UnlockArgs) -> Result<Exit, Failure> {
    let study = StudyInstanceUid::new(&args.study);
    if args.cardiovascular {
        return mark(global, &study, false, &args.reason.unwrap_or_default()).await;
    }
    let desk = Desk::open(global, "unlock").await?;
    let unlocked = desk.content.unlock(&study, &args.reason.unwrap_or_default(), &desk.who).await;
    desk.close().await?;
    unlocked?;
    tell(
        global,
        &json!({ "study_uid": study.as_str(), "locked": false }),
        &format!("study {study} is not locked any more"),
    )
}

async fn mark(global: &Global, study: &StudyInstanceUid, is: bool, reason: &str) -> Result<Exit, Failure> {
    let desk = Desk::open(global, if is { "lock" } else { "unlock" }).await?;
    let marked = desk.content.mark_cardiovascular(study, is, reason, &desk.who).await;
    desk.close().await?;
    marked?;
    let words = match is {
        true => format!("study {study} is marked as migrated by a cardiovascular system: nobody corrects it"),
        false => format!("study {study} is not marked as migrated by a cardiovascular system any more"),
    };
    tell(global, &json!({ "study_uid": study.as_str(), "cardiovascular": is, "reason": reason }), &words)
}
