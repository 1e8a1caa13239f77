//! The impact sheet: what an operation would do, what it brings with it, and what stands against it.

use std::collections::HashMap;

use serde::Serialize;

use super::rewrite::Draft;
use super::{Difference, Kind, Mode, PatientSheet, Refusal, Request, Warning, Why};
use crate::catalog::{ObjectFacts, Stamp};
use crate::dataset::{Amendment, Header};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// One side of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StudySheet {
    /// Study Instance UID.
    pub uid: String,
    /// Whether there is such a study.
    pub exists: bool,
    /// Its patient.
    pub patient: PatientSheet,
    /// Study Date.
    pub date: String,
    /// Accession Number.
    pub accession_number: String,
    /// Study Description.
    pub description: String,
    /// Objects that it shows now.
    pub objects: u64,
    /// Objects that it will show.
    pub objects_after: u64,
    /// Nodes that have copies of some of it.
    pub copies: Vec<CopySheet>,
    /// Objects of the AI platform in it.
    pub findings: u64,
}

/// A series that is moved, or part of which is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesSheet {
    /// Series Instance UID.
    pub uid: String,
    /// The UID that it will have.
    pub new_uid: String,
    /// Modality.
    pub modality: String,
    /// Series Number.
    pub number: String,
    /// Series Description.
    pub description: String,
    /// Objects that are moved.
    pub objects: u64,
    /// Whether others of it stay.
    pub part: bool,
}

/// A node that has copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopySheet {
    /// Its AE title.
    pub node: String,
    /// Objects that it was sent.
    pub objects: u64,
    /// When it got the last of them, in unix milliseconds.
    pub last: i64,
    /// Whether it will be sent the corrected objects.
    pub told: bool,
}

/// An object that refers to what is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceSheet {
    /// SOP Instance UID.
    pub uid: String,
    /// Modality: PR, KO, SR, SEG.
    pub modality: String,
    /// Whether it is moved itself.
    pub moves: bool,
    /// Whether it stays and is replaced by a new version.
    pub replaced: bool,
    /// Whether it is a verified or signed document.
    pub verified: bool,
}

/// What becomes of measurements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MeasurementSheet {
    /// Measurements of moved images in the source's reports.
    pub measurements: usize,
    /// Those that go to the destination's report.
    pub moved: usize,
    /// Calculations that used one of them and leave the source's reports.
    pub derived: usize,
    /// Reports that become new versions.
    pub reports: usize,
}

/// An operation that has been thought through. What it says holds as long as neither study changes.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// What it is called.
    pub kind: Kind,
    /// Whether UIDs are kept.
    pub mode: Mode,
    /// Why.
    pub why: Why,
    /// Where the objects are.
    pub source: StudySheet,
    /// Where they go.
    pub destination: StudySheet,
    /// Whether both have the same patient.
    pub same_patient: bool,
    /// Every attribute of the patients that differs.
    pub patient_differences: Vec<Difference>,
    /// The same of the studies.
    pub study_differences: Vec<Difference>,
    /// What is moved.
    pub series: Vec<SeriesSheet>,
    /// How many objects these are.
    pub objects: u64,
    /// The SOP Instance UIDs of those whose digital signatures are removed.
    pub signed: Vec<String>,
    /// How many of them lie in files outside the archive.
    pub linked_files: u64,
    /// Objects that refer to what is moved.
    pub references: Vec<ReferenceSheet>,
    /// What becomes of measurements.
    pub measurements: MeasurementSheet,
    /// What should be known.
    pub warnings: Vec<Warning>,
    /// What stands against it.
    pub refusals: Vec<Refusal>,
    /// What was asked for.
    #[serde(skip)]
    pub(super) request: Request,
    /// What is done.
    #[serde(skip)]
    pub(super) work: Work,
}

/// What a plan knows that nobody is shown.
#[derive(Debug, Clone)]
pub(super) struct Work {
    /// What new UIDs are made of.
    pub(super) name: String,
    /// What is moved.
    pub(super) objects: Vec<ObjectFacts>,
    /// How both studies were when it was made.
    pub(super) stamps: Vec<Stamp>,
    /// Of whom and what the destination is, if it is new.
    pub(super) describes: Option<Box<Header>>,
    /// What moved objects have in another way.
    pub(super) amendment: Amendment,
    /// Whether the destination has exactly one order.
    pub(super) order_is_known: bool,
    /// The SOP Instance UIDs that objects get, by their numbers, where they do not keep their own.
    pub(super) new_uids: HashMap<i64, SopInstanceUid>,
    /// New UIDs of series, by the old ones, where they do not keep their own.
    pub(super) new_series: HashMap<SeriesInstanceUid, SeriesInstanceUid>,
    /// What is different in single objects.
    pub(super) patches: HashMap<i64, Amendment>,
    /// What is written.
    pub(super) drafts: Vec<Draft>,
    /// Objects that are shown nowhere from then on.
    pub(super) hidden: Vec<i64>,
    /// Studies that the AI platform is to scan again.
    pub(super) rescan: Vec<StudyInstanceUid>,
}

impl Plan {
    /// What identifies what this plan says is done, so that nobody confirms another one than he has seen: asked for again
    /// with it, the same plan has the same UIDs and the same seal. Why, by whom and what is confirmed is no part of it.
    pub fn seal(&self) -> String {
        let mut sheet = serde_json::json!(self);
        if let Some(sheet) = sheet.as_object_mut() {
            sheet.retain(|key, _| !matches!(key.as_str(), "why" | "refusals"));
        }
        format!("{}.{}", self.work.name, blake3::hash(sheet.to_string().as_bytes()).to_hex())
    }

    /// Whether nothing stands against it.
    pub fn may_be_done(&self) -> bool {
        self.refusals.is_empty()
    }

    /// Where the objects are.
    pub fn source(&self) -> StudyInstanceUid {
        StudyInstanceUid::new(&self.source.uid)
    }

    /// Where they go.
    pub fn destination(&self) -> StudyInstanceUid {
        StudyInstanceUid::new(&self.destination.uid)
    }

    /// The sheet as it is kept with the operation.
    pub(super) fn to_json(&self) -> String {
        // Nothing in it can fail to be written: no keys but texts, no numbers but whole ones.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The series that are moved, by their old UIDs.
    pub fn moved(&self) -> impl Iterator<Item = SeriesInstanceUid> {
        self.series.iter().map(|series| SeriesInstanceUid::new(&series.uid))
    }
}
