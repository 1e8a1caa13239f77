//! Verification of the catalog against the storage folder: every file is read again and compared with what was filed.
//! What is gone or damaged counts as filed no more.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::engine::JobError;
use super::loss::{self, Fault, Loss, Losses};
use super::verify::{Finding, Kind, Looked, Scope};
use crate::catalog::{Catalog, FileRole, KnownFile, Lost};
use crate::dataset::CharacterSet;
use crate::dicom::{SopInstanceUid, StudyInstanceUid};
use crate::store::{RelativePath, Store, StoreError};

/// Studies, and files, that are looked at together.
const PAGE: usize = 256;
/// Files without a row that are kept in mind to be looked at a second time.
const STRAYS: usize = 100_000;

/// Reads the files of a scope and tells what differs; for everything also which files no row knows.
pub async fn against_files(
    catalog: &Catalog,
    store: &Store,
    scope: &Scope,
    stop: &CancellationToken,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Looked, JobError> {
    let losses = Losses::new(catalog, store).await?;
    let mut pass = Pass { catalog, store, losses, stop, tell, looked: Looked::default() };
    match scope {
        Scope::Study(study) => pass.study(study).await?,
        Scope::Job(job) => pass.job(*job).await?,
        Scope::All => {
            pass.everything().await?;
            pass.strays().await?;
        }
    }
    Ok(pass.looked)
}

struct Pass<'p> {
    catalog: &'p Catalog,
    store: &'p Store,
    losses: Losses,
    stop: &'p CancellationToken,
    tell: &'p mut (dyn FnMut(Finding) + Send),
    looked: Looked,
}

impl Pass<'_> {
    async fn job(&mut self, job: i64) -> Result<(), JobError> {
        let mut after = None;
        loop {
            let page = self.catalog.items(job, &[], after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.order_key());
            for item in &page {
                self.study(&item.study.study_uid).await?;
            }
        }
    }

    async fn everything(&mut self) -> Result<(), JobError> {
        let mut after = i64::MIN;
        loop {
            let page = self.catalog.studies_after(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, study) in &page {
                self.study(study).await?;
            }
        }
    }

    async fn study(&mut self, study: &StudyInstanceUid) -> Result<(), JobError> {
        let mut after = None;
        while !self.stop.is_cancelled() {
            let page = self.catalog.files_of_study(study, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            self.looked.studies += u64::from(after.is_none());
            for file in &page {
                *match file.role {
                    FileRole::Instance => &mut self.looked.objects,
                    FileRole::Variant => &mut self.looked.variants,
                    FileRole::Quarantined => &mut self.looked.quarantined,
                } += 1;
            }
            after = Some(last.position());
            for (file, wrong) in self.read(page).await {
                let Some(mut fault) = wrong else { continue };
                let instance = file.instance.clone();
                if fault.loss != Loss::None {
                    match self.losses.lose(study, file, &fault.detail).await {
                        Err(error @ JobError::Store(StoreError::NotMounted(_))) => return Err(error),
                        Err(JobError::Store(error)) => {
                            let why = super::words(&error);
                            let why = if why == fault.detail { String::new() } else { format!(": {why}") };
                            fault.detail = format!("{}; it still counts as filed{why}", fault.detail);
                        }
                        Err(error) => return Err(error),
                        Ok(Some(Lost::Instance(jobs))) => {
                            self.looked.lost += 1;
                            self.looked.jobs.extend(jobs);
                        }
                        Ok(Some(Lost::Replaced)) => fault.detail.push_str("; a variant of it takes its place"),
                        Ok(Some(Lost::Beside | Lost::Changed) | None) => {}
                    }
                }
                self.find(fault.kind, Some(study), Some(instance), fault.detail);
            }
        }
        Ok(())
    }

    /// Reads files, several at a time.
    async fn read(&self, files: Vec<KnownFile>) -> Vec<(KnownFile, Option<Fault>)> {
        let (store, roots) = (self.store.clone(), Arc::clone(self.losses.roots()));
        blocking(move || {
            let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
            let share = files.len().div_ceil(threads).max(1);
            let mut shares = Vec::new();
            let mut left = files;
            while !left.is_empty() {
                let rest = left.split_off(share.min(left.len()));
                shares.push(std::mem::replace(&mut left, rest));
            }
            let compare = |file: KnownFile| {
                let wrong = loss::compare(&store, &roots, &file);
                (file, wrong)
            };
            std::thread::scope(|scope| {
                let compare = &compare;
                let running: Vec<_> = shares
                    .into_iter()
                    .map(|share| scope.spawn(move || share.into_iter().map(compare).collect::<Vec<_>>()))
                    .collect();
                running
                    .into_iter()
                    .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .collect()
            })
        })
        .await
    }

    /// Files that no row knows. A file gets its name before its row, so that what is unknown is looked at again when
    /// everything else has been.
    async fn strays(&mut self) -> Result<(), JobError> {
        let (store, catalog, stop) = (self.store.clone(), self.catalog.clone(), self.stop.clone());
        let walked = blocking(move || {
            let (mut strays, mut damaged) = (Vec::new(), Vec::new());
            for file in store.walk() {
                if stop.is_cancelled() || strays.len() + damaged.len() >= STRAYS {
                    break;
                }
                match file {
                    Ok(file) => {
                        if !is_known(&catalog, &store, &file.place)? {
                            strays.push(file.place);
                        }
                    }
                    Err(error) => damaged.push(super::words(&error)),
                }
            }
            let mut still = Vec::new();
            for place in strays {
                if !is_known(&catalog, &store, &place)? {
                    still.push(place);
                }
            }
            Ok::<_, JobError>((still, damaged))
        });
        let (strays, damaged) = walked.await?;
        for place in strays {
            self.find(Kind::FileWithoutRow, None, None, format!("{place} is not in the catalog"));
        }
        for words in damaged {
            self.find(Kind::UnreadableFile, None, None, words);
        }
        Ok(())
    }

    fn find(&mut self, kind: Kind, study: Option<&StudyInstanceUid>, instance: Option<SopInstanceUid>, detail: String) {
        self.looked.findings += 1;
        (self.tell)(Finding { kind, study: study.cloned(), instance, detail });
    }
}

fn is_known(catalog: &Catalog, store: &Store, place: &RelativePath) -> Result<bool, JobError> {
    let name = place.as_str().rsplit('/').next().unwrap_or_default();
    let stem = name.split('~').next().unwrap_or_default().trim_end_matches(".dcm");
    if catalog.knows_file(place, &SopInstanceUid::new(stem))? {
        return Ok(true);
    }
    // A malformed UID is not in the name: the file itself tells it. One that tells nothing is known by its place only.
    let charset = |_: &crate::object::Origin| CharacterSet::ascii();
    match store.examine(place, &charset) {
        Ok(found) => Ok(catalog.knows_file(place, &found.identity().instance)?),
        Err(_) => Ok(false),
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Blocking work is never cancelled once it runs; before, only when the runtime ends, and we with it.
            Err(_) => std::future::pending().await,
        },
    }
}
