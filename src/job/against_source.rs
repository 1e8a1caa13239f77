//! Verification of the catalog against the source: what it lists now, held against what is filed.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::engine::{Engine, JobError};
use super::listing::{self, NoList};
use super::reconcile::Listing;
use super::verify::{Finding, Kind, Looked};
use super::work::{Link, Work};
use crate::catalog::{Item, ItemState, Job};
use crate::dicom::{SopInstanceUid, StudyInstanceUid};

const PAGE: usize = 200;

/// Lists the studies of a job (or one of them) at the source once more and tells what differs. The source's limits hold,
/// together with whatever else runs.
pub async fn against_source(
    engine: &Engine,
    job: Job,
    only: Option<&StudyInstanceUid>,
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Looked, JobError> {
    let source = job.spec.source.clone().unwrap_or_default();
    let mut work = Work::new(engine.clone(), job, stop).ok_or(JobError::NoSource(source))?;
    work.patient = false;
    let Some(mut link) = work.link(false).await else { return Ok(Looked::default()) };
    let result = all(&work, &mut link, only, tell).await;
    link.close().await;
    result
}

async fn all(
    work: &Work,
    link: &mut Link,
    only: Option<&StudyInstanceUid>,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Looked, JobError> {
    let mut looked = Looked::default();
    let catalog = &work.engine.catalog;
    if let Some(study) = only {
        let Some(item) = catalog.item_of_study(work.job.id, study).await? else { return Ok(looked) };
        one(work, link, &item, &mut looked, tell).await?;
        return Ok(looked);
    }
    let mut after = None;
    loop {
        let page = catalog.items(work.job.id, &[ItemState::Proven, ItemState::Partial], after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(looked) };
        after = Some(last.order_key());
        for item in &page {
            if work.stop.is_cancelled() {
                return Ok(looked);
            }
            one(work, link, item, &mut looked, tell).await?;
        }
    }
}

async fn one(
    work: &Work,
    link: &mut Link,
    item: &Item,
    looked: &mut Looked,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), JobError> {
    let study = &item.study.study_uid;
    let mut find = |kind, instance: Option<&SopInstanceUid>, detail: String| {
        looked.findings += 1;
        tell(Finding { kind, study: Some(study.clone()), instance: instance.cloned(), detail });
    };
    let filed: BTreeSet<SopInstanceUid> =
        work.engine.catalog.filed_of_study(study).await?.into_iter().map(|(_, uid)| uid).collect();
    let source = &work.source_name;
    match listing::list_study(work, link, &item.study).await {
        Ok(listed) => match listed.listing {
            Listing::Instances(listed) => {
                for (uid, series) in &listed {
                    if !filed.contains(uid) {
                        find(Kind::MissingInCatalog, Some(uid), format!("{source} lists it in series {series}"));
                    }
                }
                for uid in filed.iter().filter(|uid| !listed.contains_key(*uid)) {
                    find(Kind::NotListedAtSource, Some(uid), format!("{source} does not list it (any more)"));
                }
            }
            Listing::Count(count) if count as usize != filed.len() => {
                find(Kind::CountDiffers, None, format!("{source} says {count}, {} are filed", filed.len()));
            }
            Listing::Count(_) => {}
        },
        Err(NoList::NotFound) => {
            find(Kind::NotFoundAtSource, None, format!("{source} does not list the study (any more)"))
        }
        Err(NoList::NoEvidence(words)) => find(Kind::NoListFromSource, None, words),
        Err(NoList::Scu(error)) => return Err(error.into()),
        Err(NoList::Stopped) => return Ok(()),
    }
    looked.studies += 1;
    looked.objects += filed.len() as u64;
    Ok(())
}
