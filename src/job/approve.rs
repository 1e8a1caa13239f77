//! Somebody agrees that a study stays behind.

use crate::catalog::{Approval, Catalog, CatalogError, ItemState};
use crate::dicom::StudyInstanceUid;
use crate::store::{Store, StoreError};

/// Why nothing was agreed to.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// The job has no such study.
    #[error("job {0} has no study {1}")]
    NoSuchStudy(i64, StudyInstanceUid),
    /// It does not stay behind.
    #[error("study {0} is {state}: it does not stay behind", state = .1.as_text())]
    NotBehind(StudyInstanceUid, ItemState),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The catalog has it, and the journal of the storage folder, which a catalog made anew is told by, has not.
    #[error("that study {study} stays behind is written into the catalog only")]
    Journal {
        /// The study.
        study: StudyInstanceUid,
        /// What is wrong there.
        source: StoreError,
    },
}

/// Writes down that a study of a job stays behind, and that `operator` agreed to it: in the catalog, and in the journal, so
/// that it is not lost with the catalog.
pub async fn approve(
    catalog: &Catalog,
    store: &Store,
    job: i64,
    study: &StudyInstanceUid,
    operator: &str,
    why: &str,
) -> Result<Approval, ApproveError> {
    let agreed = match catalog.approve(job, study, operator, why).await? {
        None => return Err(ApproveError::NoSuchStudy(job, study.clone())),
        Some(Err(state)) => return Err(ApproveError::NotBehind(study.clone(), state)),
        Some(Ok(agreed)) => agreed,
    };
    let (store, entry) = (store.clone(), agreed.entry());
    let written = tokio::task::spawn_blocking(move || store.journal().append(&[entry])).await;
    // A panic there is one here.
    let written = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    written.map_err(|source| ApproveError::Journal { study: study.clone(), source })?;
    Ok(agreed.approval)
}
