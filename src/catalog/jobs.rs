//! Jobs: what was asked for, what the operator wants, how far it is.

use std::time::Duration;

use super::{Catalog, CatalogError};
use crate::dicom::{Date, StudyInstanceUid};

/// What kind of job it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Studies of a source PACS.
    Migration,
    /// Folders of files.
    Import,
}

/// What was asked for. Two jobs with the same specification are the same job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Migration or import.
    pub kind: JobKind,
    /// The name of the source.
    pub source: Option<String>,
    /// The earliest study date.
    pub from: Option<Date>,
    /// The latest study date.
    pub to: Option<Date>,
    /// These studies only, when there are any.
    pub studies: Vec<StudyInstanceUid>,
    /// Studies with one of these modalities only, when there are any.
    pub modalities: Vec<String>,
    /// Ask again for the newest days at this interval.
    pub follow: Option<Duration>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Has work to do; queued as long as `started` is empty.
    Running,
    /// Was told to stop and is not quiet yet.
    Stopping,
    /// Stopped by the operator.
    Paused,
    /// Something must be mended by an administrator; the message says what.
    Halted,
    /// Nothing is left to do.
    Finished,
    /// Given up by the operator.
    Cancelled,
}

/// What the operator wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// That it goes on.
    Run,
    /// That it stops, to go on later.
    Pause,
    /// That it is given up.
    Cancel,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// What was asked for.
    pub spec: JobSpec,
    /// How far it is.
    pub state: JobState,
    /// What the operator wants.
    pub control: Control,
    /// What must be mended, when it is halted.
    pub message: Option<String>,
    /// When it was made.
    pub created: i64,
    /// When it ran for the first time.
    pub started: Option<i64>,
    /// When it was finished or cancelled.
    pub ended: Option<i64>,
    /// Whether everything that was asked for is listed.
    pub enumerated: bool,
}

/// Something about a job that its report must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When it was noted.
    pub at: i64,
    /// A short word for what it is about.
    pub kind: String,
    /// The sentence.
    pub text: String,
}

impl Catalog {
    /// Makes a job.
    pub async fn create_job(&self, spec: &JobSpec) -> Result<Job, CatalogError> {
        unimplemented!("{spec:?}")
    }

    /// The job of that number.
    pub async fn job(&self, id: i64) -> Result<Option<Job>, CatalogError> {
        unimplemented!("{id}")
    }

    /// The job that was made last.
    pub async fn last_job(&self) -> Result<Option<Job>, CatalogError> {
        unimplemented!()
    }

    /// All jobs, the latest first.
    pub async fn jobs(&self) -> Result<Vec<Job>, CatalogError> {
        unimplemented!()
    }

    /// The latest job with the same specification that is neither finished nor cancelled.
    pub async fn unfinished_like(&self, spec: &JobSpec) -> Result<Option<Job>, CatalogError> {
        unimplemented!("{spec:?}")
    }

    /// Says what the operator wants.
    pub async fn set_control(&self, id: i64, control: Control) -> Result<(), CatalogError> {
        unimplemented!("{id} {control:?}")
    }

    /// Says how far the job is. Running sets `started` once and clears `ended`; finished and cancelled set `ended`.
    pub async fn set_job_state(&self, id: i64, state: JobState, message: Option<&str>) -> Result<(), CatalogError> {
        unimplemented!("{id} {state:?} {message:?}")
    }

    /// Says whether everything that was asked for is listed.
    pub async fn set_enumerated(&self, id: i64, enumerated: bool) -> Result<(), CatalogError> {
        unimplemented!("{id} {enumerated}")
    }

    /// Keeps a sentence for the report. The same sentence is kept once.
    pub async fn append_note(&self, job: i64, kind: &str, text: &str) -> Result<(), CatalogError> {
        unimplemented!("{job} {kind} {text}")
    }

    /// The sentences kept for the report, the earliest first, 10,000 at most.
    pub async fn notes(&self, job: i64) -> Result<Vec<Note>, CatalogError> {
        unimplemented!("{job}")
    }

    /// What the plan of the job remembers (JSON of the job module).
    pub async fn plan_state(&self, job: i64) -> Result<Option<String>, CatalogError> {
        unimplemented!("{job}")
    }

    /// Remembers the plan's state.
    pub async fn set_plan_state(&self, job: i64, state: &str) -> Result<(), CatalogError> {
        unimplemented!("{job} {state}")
    }
}
