//! Names what is in quarantine of a study, so that a person can look at it.

use crate::catalog::{Catalog, CatalogError, Quarantined};
use crate::dicom::StudyInstanceUid;

/// Objects that are named; the command at the end names all of them.
const NAMED: usize = 3;

/// A few of the study's objects in quarantine that `which` picks, with their places in the storage folder.
pub(super) async fn name_kept(
    catalog: &Catalog,
    study: &StudyInstanceUid,
    which: impl Fn(&Quarantined) -> bool,
) -> Result<String, CatalogError> {
    let mut kept = catalog.quarantined_of_study(study).await?;
    kept.retain(which);
    let mut names: Vec<String> = kept.iter().take(NAMED).map(|q| format!("{} ({})", q.instance, q.place)).collect();
    if kept.len() > NAMED {
        names.push(format!("and {} more", kept.len() - NAMED));
    }
    Ok(if names.is_empty() {
        String::new()
    } else {
        format!("; kept: {}; `quarantine show {study}` tells more", names.join(", "))
    })
}
