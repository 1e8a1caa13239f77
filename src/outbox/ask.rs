//! What people may ask of the outbox: a rescan, and to try again what failed.

use crate::catalog::{Catalog, CatalogError};
use crate::config::{Config, Operator, Privilege};
use crate::dicom::StudyInstanceUid;

/// Why nothing was put into the outbox.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// He may not.
    #[error("{who} has not the privilege \"{privilege}\"")]
    NotAllowed {
        /// Who asked.
        who: String,
        /// What it takes.
        privilege: Privilege,
    },
    /// There is nobody to ask.
    #[error("no AI platform is configured")]
    NoPlatform,
    /// There is no such study, or it has no objects.
    #[error("there is no study {0} that has objects")]
    NoStudy(StudyInstanceUid),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl AskError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            AskError::NotAllowed { .. } => "add it to a [[role]] of this user, or ask somebody who has it",
            AskError::NoPlatform => "add [ai] to the configuration; `pacsferry guide config` shows it",
            AskError::NoStudy(_) => "`pacsferry find catalog` shows the studies",
            AskError::Catalog(_) => "look into the log, and at the disk of the catalog",
        }
    }
}

/// Asks that the AI platform scan a study again; the number of the entry in the outbox. One that waits or failed is tried
/// again at once.
pub async fn ask_rescan(
    catalog: &Catalog,
    config: &Config,
    who: &Operator,
    study: &StudyInstanceUid,
    reason: &str,
) -> Result<i64, AskError> {
    allowed(who)?;
    if config.ai.is_none() {
        return Err(AskError::NoPlatform);
    }
    match catalog.to_rescan(study).await? {
        Some((_, 1..)) => Ok(catalog.ask_rescan(study, reason).await?),
        _ => Err(AskError::NoStudy(study.clone())),
    }
}

/// Tries one entry again at once, or everything that failed; how many these are.
pub async fn retry(catalog: &Catalog, who: &Operator, entry: Option<i64>) -> Result<usize, AskError> {
    allowed(who)?;
    Ok(match entry {
        Some(id) => usize::from(catalog.retry_errand(id).await?),
        None => catalog.retry_failed_errands().await?,
    })
}

fn allowed(who: &Operator) -> Result<(), AskError> {
    let privilege = Privilege::Operate;
    match who.may(privilege) {
        true => Ok(()),
        false => Err(AskError::NotAllowed { who: who.name.clone(), privilege }),
    }
}
