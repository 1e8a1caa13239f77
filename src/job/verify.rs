//! What verification looks at, and what it finds.

use std::collections::BTreeSet;

use crate::dicom::{SopInstanceUid, StudyInstanceUid};

/// What is to be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The studies of a job.
    Job(i64),
    /// One study.
    Study(StudyInstanceUid),
    /// Everything that is filed.
    All,
}

/// What kind of difference was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The catalog has a row, the folder no file.
    MissingFile,
    /// The file has another size than was filed.
    SizeDiffers,
    /// The data set has another digest than was filed.
    DigestDiffers,
    /// The file cannot be read.
    UnreadableFile,
    /// A linked file is not there any more.
    LinkedFileMissing,
    /// A linked file is not what it was when it was linked.
    LinkedFileChanged,
    /// A file in the folder that no row knows.
    FileWithoutRow,
    /// The source lists an object that is not filed.
    MissingInCatalog,
    /// An object is filed that the source does not list any more.
    NotListedAtSource,
    /// The source counts otherwise.
    CountDiffers,
    /// The source does not know the study any more.
    NotFoundAtSource,
    /// A job has the study, and has not proven it.
    NotProven,
    /// The source gives no list that could be evidence.
    NoListFromSource,
}

impl Kind {
    /// The words that reports use.
    pub fn as_text(self) -> &'static str {
        match self {
            Kind::MissingFile => "missing file",
            Kind::SizeDiffers => "size differs",
            Kind::DigestDiffers => "digest differs",
            Kind::UnreadableFile => "unreadable file",
            Kind::LinkedFileMissing => "missing linked file",
            Kind::LinkedFileChanged => "changed linked file",
            Kind::FileWithoutRow => "file without row",
            Kind::MissingInCatalog => "missing in catalog",
            Kind::NotListedAtSource => "not listed at source",
            Kind::CountDiffers => "count differs",
            Kind::NotFoundAtSource => "not found at source",
            Kind::NotProven => "not proven",
            Kind::NoListFromSource => "no list from source",
        }
    }
}

/// Something that is not as the catalog says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind it is.
    pub kind: Kind,
    /// The study, when it is known.
    pub study: Option<StudyInstanceUid>,
    /// The instance, when it is about one.
    pub instance: Option<SopInstanceUid>,
    /// For people.
    pub detail: String,
}

/// How much was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looked {
    /// Studies.
    pub studies: u64,
    /// Those of them of which the storage folder has nothing.
    pub empty: u64,
    /// Objects.
    pub objects: u64,
    /// Files that are kept beside an object, with the same pixels and another header.
    pub variants: u64,
    /// Files in quarantine.
    pub quarantined: u64,
    /// Findings.
    pub findings: u64,
    /// Objects that are counted as filed no more, because their files are gone or damaged.
    pub lost: u64,
    /// The jobs that are to be tried again.
    pub jobs: BTreeSet<i64>,
}
