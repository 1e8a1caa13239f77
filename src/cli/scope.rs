//! What `verify` and `adopt` are about: a job, a study, or everything.

use super::open::{self, JobRef};
use super::{Failure, Global};
use crate::catalog::Catalog;
use crate::dicom::StudyInstanceUid;
use crate::job::verify::Scope;

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct ScopeArgs {
    /// The number of a job, or `last`
    #[arg(value_name = "N|last")]
    job: Option<JobRef>,
    /// This study
    #[arg(long, value_name = "UID")]
    study: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

impl ScopeArgs {
    /// What is meant; the job must exist.
    pub(super) async fn scope(&self, global: &Global, catalog: &Catalog) -> Result<Scope, Failure> {
        Ok(match (&self.job, &self.study) {
            (Some(job), _) => Scope::Job(open::job(global, catalog, *job).await?.id),
            (None, Some(uid)) => Scope::Study(StudyInstanceUid::new(uid)),
            (None, None) => Scope::All,
        })
    }
}
