//! From links to copies, a study at a time: the files are copied and made durable, and then all rows of the study point
//! to the copies at once.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::filing::LONGEST_LOCK;
use super::sweep::{blocking, lock};
use super::{Intake, IntakeError};
use crate::catalog::{LinkedFile, Swap};
use crate::dataset::CharacterSet;
use crate::dicom::{SopInstanceUid, StudyInstanceUid};
use crate::failpoint;
use crate::object::Disposition;
use crate::store::{Destination, Filed, Incoming, StoreError};

/// Files that are copied, and made durable, together.
const PAGE: usize = 128;
/// The most threads that copy.
const COPIERS: usize = 4;

/// What came of the linked files of a study.
#[derive(Debug, Default)]
pub struct Adopted {
    /// Files that are copies now.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are still links, each with the reason.
    pub left: Vec<(SopInstanceUid, StoreError)>,
}

impl Intake {
    /// Copies the linked files of a study into the storage folder, those below `folder` if there is one, and points its
    /// rows to the copies in one transaction. What cannot be copied stays a link and is told; what stops everything (a
    /// full disk) is an error, and nothing of the study is changed.
    pub async fn adopt_study(&self, study: &StudyInstanceUid, folder: Option<&Path>) -> Result<Adopted, IntakeError> {
        let (intake, study, folder) = (self.clone(), study.clone(), folder.map(Path::to_owned));
        blocking(move || Adoption { intake: &intake, done: Adopted::default() }.run(&study, folder.as_deref())).await
    }
}

struct Adoption<'a> {
    intake: &'a Intake,
    done: Adopted,
}

impl Adoption<'_> {
    fn run(mut self, study: &StudyInstanceUid, folder: Option<&Path>) -> Result<Adopted, IntakeError> {
        let (mut swaps, mut numbers) = (Vec::new(), Vec::new());
        let copied = self.copy_all(study, folder, &mut swaps, &mut numbers);
        if let Err(error) = copied {
            self.undo(swaps.into_iter().map(|swap: Swap| swap.copy).collect(), &numbers)?;
            return Err(error);
        }
        failpoint!("adopt-copied");
        let outcomes = self.intake.catalog.swap(swaps)?;
        failpoint!("adopt-swapped");
        let mut refused = Vec::new();
        for (swap, done) in outcomes {
            if done {
                self.done.objects += 1;
                self.done.bytes += swap.copy.file_size();
            } else {
                // Another process has pointed the row elsewhere, or filed it.
                refused.push(swap.copy);
            }
        }
        self.undo(refused, &numbers)?;
        Ok(self.done)
    }

    /// Copies page by page, and keeps what the swap needs.
    fn copy_all(
        &mut self,
        study: &StudyInstanceUid,
        folder: Option<&Path>,
        swaps: &mut Vec<Swap>,
        numbers: &mut Vec<u64>,
    ) -> Result<(), IntakeError> {
        let mut after = None;
        loop {
            let page = self.intake.catalog.links_of_study(study, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.position());
            let wanted = page.into_iter().filter(|file| folder.is_none_or(|folder| file.link.path.starts_with(folder)));
            let mut files = Vec::new();
            let mut batch = Vec::new();
            for (file, copied) in self.copy(wanted.collect()) {
                match copied {
                    Ok(incoming) => {
                        let destination = if file.is_variant { Destination::Variant } else { Destination::Image };
                        files.push(file);
                        batch.push((incoming, destination));
                    }
                    Err(error) => self.leave(&file, error)?,
                }
            }
            failpoint!("adopt-read");
            let settled = self.intake.store.settle(batch);
            numbers.extend(settled.number);
            for (file, outcome) in files.into_iter().zip(settled.outcomes) {
                match outcome {
                    Ok(copy) => swaps.push(Swap { file, copy }),
                    Err(error) => self.leave(&file, error)?,
                }
            }
        }
    }

    /// Copies files, several at a time, in their order.
    fn copy(&self, files: Vec<LinkedFile>) -> Vec<(LinkedFile, Result<Incoming, StoreError>)> {
        let store = &self.intake.store;
        let (next, copied) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..COPIERS.min(files.len()) {
                scope.spawn(|| {
                    while let Some((index, file)) = take(&files, &next) {
                        let LinkedFile { link, identity, transfer_syntax, digest, .. } = file;
                        let outcome = store.adopt(link, identity, transfer_syntax, *digest);
                        copied.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
                    }
                });
            }
        });
        let mut copied = copied.into_inner().unwrap_or_else(PoisonError::into_inner);
        copied.sort_by_key(|(index, _)| *index);
        files.into_iter().zip(copied.into_iter().map(|(_, outcome)| outcome)).collect()
    }

    /// A file stays a link, unless the reason stops everything.
    fn leave(&mut self, file: &LinkedFile, error: StoreError) -> Result<(), IntakeError> {
        if error.disposition() == Disposition::Halt {
            return Err(error.into());
        }
        self.done.left.push((file.identity.instance.clone(), error));
        Ok(())
    }

    /// Removes copies that no row points to. Whoever files the same UID now may have come to rely on one of them, and
    /// must have recorded it first.
    fn undo(&self, copies: Vec<Filed>, numbers: &[u64]) -> Result<(), IntakeError> {
        let Intake { store, catalog, .. } = self.intake;
        for copy in copies.into_iter().filter(Filed::was_made) {
            let Some(place) = copy.place().stored() else { continue };
            let uid = &copy.identity().instance;
            let _lock = lock(catalog, [uid], LONGEST_LOCK)?;
            if !catalog.knows_file(place, uid)? {
                // Taken back into the incoming folder, and dropped there.
                store.take_back(place, copy.origin().clone(), &|_| CharacterSet::ascii())?;
            }
        }
        numbers.iter().for_each(|number| store.recorded(*number));
        Ok(())
    }
}

fn take<'f>(files: &'f [LinkedFile], next: &AtomicUsize) -> Option<(usize, &'f LinkedFile)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    files.get(index).map(|file| (index, file))
}
