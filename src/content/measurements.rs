//! Measurements in reports: those of moved images go to the destination's report, and what was calculated with one of
//! them leaves the source's, since it says nothing true any more.
//!
//! A study is an *AR study* (advanced reporting) when it holds a [measurement report](is_measurement_report). Without one
//! at the destination, measurements stay where they are.

mod evidence;
mod graft;
mod items;
mod sort;
#[cfg(test)]
mod tests;

use super::references::Moves;
use crate::dataset::Tree;
use crate::dicom::{Uid, tags};

use items::Items;
use sort::{Fate, Fates};

/// Reports with measurements: template identifier in the mapping resource DCMR, and the code of the title in DCM
/// (PS3.16 TID 1500 and TID 5200).
const REPORTS: [(&str, &str); 2] = [("1500", "126000"), ("5200", "125200")];

/// Whether an object is a report with measurements: by its template, or by its title where none is named.
pub fn is_measurement_report(object: &Tree) -> bool {
    let class = object.uid(tags::SOP_CLASS_UID).map(Into::into);
    if !class.is_some_and(|class| super::reports::is_report(&class)) {
        return false;
    }
    let template = object.item(tags::CONTENT_TEMPLATE_SEQUENCE);
    let template = template.and_then(|template| template.text(tags::TEMPLATE_IDENTIFIER));
    let title = object.item(tags::CONCEPT_NAME_CODE_SEQUENCE);
    let title = title.filter(|title| title.text(tags::CODING_SCHEME_DESIGNATOR) == Some("DCM"));
    let title = title.and_then(|title| title.text(tags::CODE_VALUE));
    REPORTS.iter().any(|(id, code)| template == Some(id) || (template.is_none() && title == Some(code)))
}

/// How many measurements a move touches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    /// Measurements of moved images.
    pub moving: usize,
    /// Calculations that used one of them.
    pub derived: usize,
    /// Measurements of moved images and others at once: true in neither study.
    pub torn: usize,
}

impl Touched {
    /// Whether nothing is touched.
    pub fn is_empty(self) -> bool {
        self == Touched::default()
    }

    fn of(fates: &Fates) -> Touched {
        let count = |fate| fates.of_measurements().filter(|of| *of == fate).count();
        Touched { moving: count(Fate::Moves), derived: count(Fate::Derived), torn: count(Fate::Torn) }
    }
}

/// Why a report cannot be looked through.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Its content items refer to each other in a way that nobody can follow.
    #[error("its content items refer to each other more often than can be followed ({MOST_STEPS} steps)")]
    TooTangled,
    /// What goes to the destination's report would fill the memory.
    #[error("its measurements of moved images would take more than {MOST_COPIED} bytes in the other report")]
    TooLarge,
}

/// Steps from item to item within a report. Real ones take some thousands.
const MOST_STEPS: usize = 1_000_000;
/// Bytes that are copied from one report into the other.
const MOST_COPIED: usize = 16 * 1024 * 1024;

/// What a move touches in a report that stays.
pub fn touched(report: &Tree, moves: &Moves) -> Result<Touched, MeasureError> {
    Ok(Touched::of(&Fates::of(&Items::read(report), &Leaving::of(report, moves))?))
}

/// What leaves the study of a report.
#[derive(Debug)]
struct Leaving<'a> {
    moves: &'a Moves,
    study: Uid,
}

impl Leaving<'_> {
    fn of<'a>(report: &Tree, moves: &'a Moves) -> Leaving<'a> {
        Leaving { moves, study: report.uid(tags::STUDY_INSTANCE_UID).unwrap_or_else(|| Uid::new("")) }
    }

    fn object(&self, uid: &Uid) -> bool {
        self.moves.takes(uid, &self.study)
    }

    fn series(&self, uid: &Uid) -> bool {
        self.moves.takes_series(uid, &self.study)
    }
}

/// What both reports say after a move. Their references are still the old ones: [`repair`](super::references::repair)
/// and [`new_version`](super::reports::new_version) come behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The report that measurements left.
    pub source: Tree,
    /// The report that they came to.
    pub destination: Tree,
    /// How many.
    pub touched: Touched,
}

/// Takes the measurements of moved images from one report to the other; `None` if there are none, nor anything that was
/// calculated with one.
pub fn split(source: &Tree, destination: &Tree, moves: &Moves) -> Result<Option<Split>, MeasureError> {
    let (items, leaving) = (Items::read(source), Leaving::of(source, moves));
    let fates = Fates::of(&items, &leaving)?;
    let touched = Touched::of(&fates);
    if touched.is_empty() {
        return Ok(None);
    }
    let mut there = Items::read(destination);
    let arrived = graft::graft(&items, &fates, &mut there, &leaving)?;
    let mut destination = there.write();
    evidence::arrive(&mut destination, &arrived, source, &leaving);
    let mut source = fates.remaining(items).write();
    evidence::leave(&mut source, &leaving);
    Ok(Some(Split { source, destination, touched }))
}

/// Which of several measurement reports measurements go to: the newest that none of the others has replaced; one of the
/// same template before one of another.
pub fn choose(reports: &[Tree], like: &Tree) -> Option<usize> {
    let template = |report: &Tree| report.item(tags::CONTENT_TEMPLATE_SEQUENCE).cloned();
    let wanted = template(like);
    let replaced: Vec<_> = reports.iter().flat_map(evidence::predecessors).collect();
    let key = |report: &Tree| {
        let text = |tag| report.text(tag).unwrap_or_default().to_owned();
        let current = report.uid(tags::SOP_INSTANCE_UID).is_some_and(|uid| !replaced.contains(&uid));
        let uid = text(tags::SOP_INSTANCE_UID);
        (current, template(report) == wanted, text(tags::CONTENT_DATE), text(tags::CONTENT_TIME), uid)
    };
    let found = reports.iter().enumerate().filter(|(_, report)| is_measurement_report(report));
    found.max_by_key(|(_, report)| key(report)).map(|(index, _)| index)
}
