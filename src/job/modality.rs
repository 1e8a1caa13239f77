//! A job about some modalities, at a source that does not tell the modalities of its studies: their series do.

use std::sync::PoisonError;

use super::engine::JobError;
use super::listing::{self, MOST_SERIES, NoList};
use super::work::{Link, Work};
use crate::catalog::ListedStudy;
use crate::dicom::{QueryLevel, tags};

/// Studies of other modalities that are remembered, so that no other window asks for their series again.
const REMEMBERED: usize = 50_000;

/// What the series of a study say.
enum Said {
    /// One of them has a modality that is wanted; all that were told.
    Wanted(String),
    Other,
    /// They do not tell either, or not all of them.
    Nothing,
    /// We took the question back; the window will be asked for once more.
    Stopped,
}

/// Whether the job is about this modality.
pub(super) fn is_wanted(work: &Work, modality: &str) -> bool {
    work.job.spec.modalities.iter().any(|wanted| wanted.eq_ignore_ascii_case(modality.trim()))
}

/// Those of the studies that the job is about, by the modalities of their series. A study whose series tell nothing is
/// carried over rather than left out, and the report says so.
pub(super) async fn wanted(
    work: &Work,
    link: &mut Link,
    undecided: Vec<ListedStudy>,
) -> Result<Vec<ListedStudy>, JobError> {
    let catalog = &work.engine.catalog;
    let mut wanted = Vec::new();
    for mut study in undecided {
        if work.stop.is_cancelled() {
            break;
        }
        let is_unwanted = lock(work).contains(&study.study_uid);
        if is_unwanted || catalog.item_of_study(work.job.id, &study.study_uid).await?.is_some() {
            continue;
        }
        match ask(work, link, &study).await? {
            Said::Wanted(modalities) => {
                study.modalities = modalities;
                wanted.push(study);
            }
            Said::Other => {
                let mut unwanted = lock(work);
                if unwanted.len() < REMEMBERED {
                    unwanted.insert(study.study_uid);
                }
            }
            Said::Stopped => break,
            Said::Nothing => {
                let text = "the source tells the modalities of some studies neither at STUDY nor at SERIES level: \
                            they are part of this job, whatever they are";
                catalog.append_note(work.job.id, "modalities", text).await?;
                wanted.push(study);
            }
        }
    }
    Ok(wanted)
}

async fn ask(work: &Work, link: &mut Link, study: &ListedStudy) -> Result<Said, JobError> {
    let mut query = listing::parents(study);
    query.put(tags::MODALITY, "").put(tags::SERIES_INSTANCE_UID, "");
    let rows = match listing::rows(work, link, study, QueryLevel::Series, &query, MOST_SERIES).await {
        Ok(rows) => rows,
        Err(NoList::Scu(error)) => {
            link.broken().await;
            return Err(error.into());
        }
        Err(NoList::NoEvidence(_) | NoList::NotFound) => return Ok(Said::Nothing),
        Err(NoList::Stopped) => {
            link.broken().await;
            return Ok(Said::Stopped);
        }
    };
    let mut told: Vec<String> = Vec::new();
    let mut all = !rows.is_empty();
    for row in rows.iter().filter(|row| listing::of_study(row, study)) {
        match row.text(tags::MODALITY).map(|modality| modality.trim().to_owned()).filter(|m| !m.is_empty()) {
            Some(modality) if !told.contains(&modality) => told.push(modality),
            Some(_) => {}
            None => all = false,
        }
    }
    Ok(if told.iter().any(|modality| is_wanted(work, modality)) {
        Said::Wanted(told.join("\\"))
    } else if all && !told.is_empty() {
        Said::Other
    } else {
        Said::Nothing
    })
}

fn lock(work: &Work) -> std::sync::MutexGuard<'_, std::collections::HashSet<crate::dicom::StudyInstanceUid>> {
    work.unwanted.lock().unwrap_or_else(PoisonError::into_inner)
}
