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
/// Studies that are not proven, one after the other, whose list may break off: then the source is to blame.
const BROKEN_OFF: u32 = 3;

/// Lists the studies of a job (or one of them) at the source once more and tells what differs, and which of them the job
/// has not proven. What one of the jobs `before` has looked at is not asked for again. The source's limits hold, together
/// with whatever else runs.
pub async fn against_source(
    engine: &Engine,
    job: Job,
    only: Option<&StudyInstanceUid>,
    before: &[Job],
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Looked, JobError> {
    let source = job.spec.source.clone().unwrap_or_default();
    let mut work = Work::new(engine.clone(), job, stop).ok_or(JobError::NoSource(source))?;
    work.patient = false;
    let Some(mut link) = work.link(false).await else { return Ok(Looked::default()) };
    let mut pass = Pass { work: &work, before, tell, looked: Looked::default(), broken_off: 0 };
    let result = pass.all(&mut link, only).await;
    let looked = pass.looked;
    link.close().await;
    result.map(|()| looked)
}

struct Pass<'p> {
    work: &'p Work,
    before: &'p [Job],
    tell: &'p mut (dyn FnMut(Finding) + Send),
    looked: Looked,
    broken_off: u32,
}

impl Pass<'_> {
    async fn all(&mut self, link: &mut Link, only: Option<&StudyInstanceUid>) -> Result<(), JobError> {
        let (catalog, job) = (&self.work.engine.catalog, self.work.job.id);
        if let Some(study) = only {
            let Some(item) = catalog.item_of_study(job, study).await? else { return Ok(()) };
            return self.item(link, &item).await;
        }
        let mut after = None;
        loop {
            let page = catalog.items(job, &[], after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.order_key());
            // What the operator took out, a person has looked at.
            for item in page.iter().filter(|item| item.state != ItemState::Excluded) {
                if self.work.stop.is_cancelled() {
                    return Ok(());
                }
                self.item(link, item).await?;
            }
        }
    }

    async fn item(&mut self, link: &mut Link, item: &Item) -> Result<(), JobError> {
        let (catalog, study) = (&self.work.engine.catalog, &item.study.study_uid);
        let mut is_counted = false;
        for job in self.before {
            let compared = catalog.item_of_study(job.id, study).await?.is_some_and(|item| is_concluded(item.state));
            if compared && job.spec.source == self.work.job.spec.source {
                return Ok(());
            }
            is_counted |= compared;
        }
        self.is_proven(item);
        if is_concluded(item.state) || item.state == ItemState::Excluded {
            self.compare(link, item, is_counted).await?;
        }
        Ok(())
    }

    /// Tells of a study that is not proven, whatever the source lists of it now.
    fn is_proven(&mut self, item: &Item) {
        let (job, state) = (item.job, item.state.as_text());
        let detail = match item.state {
            ItemState::Proven | ItemState::Excluded => return,
            ItemState::Partial | ItemState::Failed => {
                self.looked.jobs.insert(job);
                let reason = item.reason.map(|reason| format!(": {}", reason.as_text())).unwrap_or_default();
                format!("in job {job} it is {state}{reason}")
            }
            _ => format!("in job {job} it is {state}, and was not compared yet"),
        };
        self.find(Kind::NotProven, item, None, detail);
    }

    async fn compare(&mut self, link: &mut Link, item: &Item, is_counted: bool) -> Result<(), JobError> {
        let (catalog, study) = (&self.work.engine.catalog, &item.study.study_uid);
        let filed: BTreeSet<SopInstanceUid> =
            catalog.filed_of_study(study).await?.into_iter().map(|(_, uid)| uid).collect();
        let source = &self.work.source_name;
        match listing::list_study(self.work, link, &item.study).await {
            Ok(listed) => {
                self.broken_off = 0;
                match listed.listing {
                    Listing::Instances(listed) => {
                        for (uid, series) in listed.iter().filter(|(uid, _)| !filed.contains(*uid)) {
                            let detail = format!("{source} lists it in series {series}");
                            self.find(Kind::MissingInCatalog, item, Some(uid), detail);
                        }
                        for uid in filed.iter().filter(|uid| !listed.contains_key(*uid)) {
                            let detail = format!("{source} does not list it (any more)");
                            self.find(Kind::NotListedAtSource, item, Some(uid), detail);
                        }
                    }
                    Listing::Count(count) if count as usize != filed.len() => {
                        let detail = format!("{source} says {count}, {} are filed", filed.len());
                        self.find(Kind::CountDiffers, item, None, detail);
                    }
                    Listing::Count(_) => {}
                }
            }
            Err(NoList::NotFound) => {
                let detail = format!("{source} does not list the study (any more)");
                self.find(Kind::NotFoundAtSource, item, None, detail);
            }
            Err(NoList::NoEvidence(words)) => self.find(Kind::NoListFromSource, item, None, words),
            // What did not come because the source breaks off over it does so again, and keeps nothing else back.
            Err(NoList::Scu(error)) if item.state != ItemState::Proven && self.broken_off < BROKEN_OFF => {
                self.broken_off += 1;
                self.find(Kind::NoListFromSource, item, None, super::words(&error));
            }
            Err(NoList::Scu(error)) => return Err(error.into()),
            Err(NoList::Stopped) => return Ok(()),
        }
        if !is_counted {
            let is_empty = filed.is_empty() && catalog.files_of_study(study, None, 1).await?.is_empty();
            self.looked.studies += 1;
            self.looked.empty += u64::from(is_empty);
            self.looked.objects += filed.len() as u64;
        }
        Ok(())
    }

    fn find(&mut self, kind: Kind, item: &Item, instance: Option<&SopInstanceUid>, detail: String) {
        self.looked.findings += 1;
        (self.tell)(Finding { kind, study: Some(item.study.study_uid.clone()), instance: instance.cloned(), detail });
    }
}

/// Whether the job is through with a study, so that it can be held against the source.
fn is_concluded(state: ItemState) -> bool {
    matches!(state, ItemState::Proven | ItemState::Partial | ItemState::Failed)
}
