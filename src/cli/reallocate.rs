//! `reallocate`, `merge`, `split`: objects go to the study where they belong.

use super::{Exit, Failure, Global, content, open};
use crate::content::{Mode, Request, To, What, Why};
use crate::dicom::{QueryLevel, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// Move series, or single objects, to another study
///
/// They show there with the patient and the order of that study; the files are never touched, and `pacsferry undo` takes
/// it back. `pacsferry guide reallocate` has the rest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry reallocate 1.2.840.1.2.3.4 --to 1.2.840.9.8.7 --dry-run      what it would mean
  pacsferry reallocate 1.2.840.1.2.3.4 --to 1.2.840.9.8.7 --reason WRONG_PATIENT:'worklist mixed up' --confirm-patient
  pacsferry reallocate 1.2.840.1.2.3.4 --to 1.2.840.9.8.7 --mode iocm    new UIDs, and others are told")]
pub(super) struct ReallocateArgs {
    /// Series Instance UIDs, or SOP Instance UIDs
    #[arg(value_name = "SERIES|INSTANCE", required = true)]
    what: Vec<String>,
    /// The Study Instance UID of the study in which they belong
    #[arg(long, value_name = "STUDY")]
    to: String,
    /// The study where they are now, when the UIDs alone do not tell
    #[arg(long, value_name = "STUDY")]
    from: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Move everything of a study into another one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry merge 1.2.840.1.2.3 --into 1.2.840.9.8.7 --dry-run
  pacsferry merge 1.2.840.1.2.3 --into 1.2.840.9.8.7 --reason DOUBLE:'registered twice'")]
pub(super) struct MergeArgs {
    /// The Study Instance UID of the study that is dissolved
    #[arg(value_name = "STUDY")]
    study: String,
    /// The Study Instance UID of the study that takes it in
    #[arg(long, value_name = "STUDY")]
    into: String,
    #[command(flatten)]
    how: How,
}

/// Move series of a study into a new study of the same patient
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pacsferry split 1.2.840.1.2.3 --series 1.2.840.1.2.3.4 1.2.840.1.2.3.5 --dry-run
  pacsferry split 1.2.840.1.2.3 --series 1.2.840.1.2.3.4 --reason TWO_EXAMS")]
pub(super) struct SplitArgs {
    /// The Study Instance UID of the study that is split
    #[arg(value_name = "STUDY")]
    study: String,
    /// The Series Instance UIDs that leave it
    #[arg(long, value_name = "SERIES", required = true, num_args = 1..)]
    series: Vec<String>,
    /// The Study Instance UID of the new study; one is made unless told
    #[arg(long, value_name = "STUDY")]
    to: Option<String>,
    #[command(flatten)]
    how: How,
}

/// How it is done.
#[derive(Debug, clap::Args)]
struct How {
    /// Only show what it would mean
    #[arg(long)]
    dry_run: bool,
    /// Do what this dry run said, with the very same UIDs, or nothing if anything has changed since
    #[arg(long, value_name = "SEAL", conflicts_with = "dry_run")]
    seen: Option<String>,
    /// Why, for the audit trail and for those who look later
    #[arg(long, value_name = "CODE[:TEXT]", value_parser = reason)]
    reason: Option<Why>,
    /// The patient of the destination is another one, and the right one
    #[arg(long)]
    confirm_patient: bool,
    /// Verified or signed documents may be replaced by new versions
    #[arg(long)]
    confirm_documents: bool,
    /// Keep the UIDs, although others hold the objects under their old identity
    #[arg(long)]
    force_local: bool,
    /// Leave behind what refers to nothing but the moved objects
    #[arg(long)]
    leave_companions: bool,
    /// local keeps the UIDs; iocm gives new ones and tells others; as configured unless told
    #[arg(long, value_name = "MODE", value_parser = mode)]
    mode: Option<Mode>,
}

impl How {
    fn request(self, what: What, from: Option<StudyInstanceUid>, to: To) -> Request {
        Request {
            from,
            mode: self.mode,
            why: self.reason.unwrap_or_default(),
            patient_confirmed: self.confirm_patient,
            documents_confirmed: self.confirm_documents,
            force_local: self.force_local,
            companions: !self.leave_companions,
            seen: self.seen,
            ..Request::new(what, to)
        }
    }
}

pub(super) async fn reallocate(global: &Global, args: ReallocateArgs) -> Result<Exit, Failure> {
    let what = what(global, &args.what).await?;
    let (dry_run, to) = (args.how.dry_run, To::Study(StudyInstanceUid::new(&args.to)));
    let from = args.from.as_deref().map(StudyInstanceUid::new);
    content::operate(global, args.how.request(what, from, to), dry_run).await
}

pub(super) async fn merge(global: &Global, args: MergeArgs) -> Result<Exit, Failure> {
    let (dry_run, to) = (args.how.dry_run, To::Study(StudyInstanceUid::new(&args.into)));
    let what = What::Study(StudyInstanceUid::new(&args.study));
    content::operate(global, args.how.request(what, None, to), dry_run).await
}

pub(super) async fn split(global: &Global, args: SplitArgs) -> Result<Exit, Failure> {
    let (dry_run, to) = (args.how.dry_run, To::New(args.to.as_deref().map(StudyInstanceUid::new)));
    let what = What::Series(args.series.iter().map(|uid| SeriesInstanceUid::new(uid)).collect());
    let from = Some(StudyInstanceUid::new(&args.study));
    content::operate(global, args.how.request(what, from, to), dry_run).await
}

/// Whether the UIDs are those of series or of objects; it is series where both bear them.
async fn what(global: &Global, uids: &[String]) -> Result<What, Failure> {
    let config = global.load()?;
    let catalog = open::catalog(global, &config)?;
    let (mut series, mut instances) = (Vec::new(), Vec::new());
    for uid in uids {
        // A wildcard would be one to a query; a UID with one is known to nobody.
        let known = async |level, keyword: &str| match uid.contains(['*', '?', '\\']) {
            true => Ok::<_, Failure>(false),
            false => Ok(!catalog.find(level, &[(keyword.to_owned(), uid.clone())], 1).await?.rows.is_empty()),
        };
        if known(QueryLevel::Series, "SeriesInstanceUID").await? {
            series.push(SeriesInstanceUid::new(uid));
        } else if known(QueryLevel::Image, "SOPInstanceUID").await? {
            instances.push(SopInstanceUid::new(uid));
        } else {
            // Whoever plans says that it is not known, and the audit trail as well.
            series.push(SeriesInstanceUid::new(uid));
        }
    }
    match (series.is_empty(), instances.is_empty()) {
        (_, true) => Ok(What::Series(series)),
        (true, false) => Ok(What::Instances(instances)),
        (false, false) => Err(Failure::usage(
            "some of these UIDs are those of series, others those of objects",
            "move series and single objects one after the other",
        )),
    }
}

/// `CODE` or `CODE:TEXT`.
pub(super) fn reason(text: &str) -> Result<Why, String> {
    let why = Why::parse(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if why.code.is_empty() || why.code.len() > 32 || !why.code.chars().all(plain) {
        return Err(
            "write a code of letters, digits, `_`, `-` and `.`, 32 at most, and perhaps a colon and a text".into()
        );
    }
    if why.text.chars().count() > 1000 {
        return Err("the text is longer than 1,000 characters".into());
    }
    Ok(why)
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "local" => Ok(Mode::Local),
        "iocm" => Ok(Mode::Iocm),
        _ => Err("write local or iocm".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_a_code_that_can_be_counted() {
        let why = reason("WRONG_PATIENT: mixed: up").unwrap();
        assert_eq!((why.code.as_str(), why.text.as_str()), ("WRONG_PATIENT", "mixed: up"));
        assert_eq!(reason("X").unwrap().text, "");
        for wrong in ["", ":text", "two words:x", "\u{1b}[2J", &"x".repeat(33), &format!("X:{}", "x".repeat(1001))] {
            assert!(reason(wrong).is_err(), "{wrong}");
        }
    }
}
