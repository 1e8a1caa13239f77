//! What a file that is gone or damaged means: its object is not counted as filed any more, so that the next pull of its
//! study brings it again (promise 1: no object is counted that is not durable on disk *and* in the catalog).

use std::collections::BTreeSet;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::against_files::blocking;
use super::engine::JobError;
use super::verify::Kind;
use crate::catalog::{Catalog, FileRole, KnownFile, Lost, UidLocks};
use crate::dicom::{SopInstanceUid, StudyInstanceUid};
use crate::store::{Link, Place, SetAside, Store, StoreError};

/// How often to ask for a UID that somebody files just now, and how long in between.
const ASKED: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);
/// Linked files that are looked at together.
const LINKS: usize = 256;

/// What is wrong with a file.
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) loss: Loss,
    pub(super) detail: String,
}

/// What is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nobody knows: it could not be read, which may be a permission or the cable.
    None,
    /// Nothing.
    Gone,
    /// Bytes that are not what was filed.
    Damaged,
}

/// Compares a file with what was filed.
pub(super) fn compare(store: &Store, roots: &Roots, file: &KnownFile) -> Option<Fault> {
    if let Place::Linked(link) = &file.place {
        return compare_linked(store, roots, file, link);
    }
    let place = &file.place;
    let (kind, loss, detail) = match store.digest(place) {
        Ok((_, length)) if length != file.length => (
            Kind::SizeDiffers,
            Loss::Damaged,
            format!("{place}: the data set has {length} bytes, filed were {}", file.length),
        ),
        Ok((digest, _)) if file.digest.is_some_and(|known| known != digest) => {
            (Kind::DigestDiffers, Loss::Damaged, format!("{place}: the data set has other bytes than were filed"))
        }
        Ok(_) => return None,
        Err(StoreError::Missing { .. }) => {
            let instead = place.stored().and_then(|place| store.in_the_way(place)).map_or_else(String::new, |what| {
                format!(": {what} has its name; move that away, so that the object gets its name again")
            });
            (Kind::MissingFile, Loss::Gone, format!("{place} is not there{instead}"))
        }
        Err(error @ StoreError::Damaged { .. }) => (Kind::UnreadableFile, Loss::Damaged, super::words(&error)),
        Err(error) => (Kind::UnreadableFile, Loss::None, super::words(&error)),
    };
    Some(Fault { kind, loss, detail })
}

/// The same for a linked file. Where no digest is known, size and time are all that there is to compare; where one is,
/// the time alone means nothing. What is gone together with all of its folder is not lost yet: that may come back.
fn compare_linked(store: &Store, roots: &Roots, file: &KnownFile, link: &Link) -> Option<Fault> {
    let fault = |kind, how: &str| Some(Fault { kind, loss: Loss::Gone, detail: format!("{}: {how}", file.place) });
    let looked = match file.digest {
        None => store.open_data_set(&file.place).map(|_| None),
        Some(_) => store.digest(&Link { modified: None, ..link.clone() }.into()).map(|(digest, _)| Some(digest)),
    };
    match looked {
        Ok(digest) if digest == file.digest => None,
        Ok(_) => fault(Kind::LinkedFileChanged, "the data set has other bytes than when it was linked"),
        Err(StoreError::LinkChanged { .. }) => {
            fault(Kind::LinkedFileChanged, "its size or its time of modification is another one")
        }
        Err(StoreError::Missing { .. }) => match roots.missing(store, link) {
            None => fault(Kind::LinkedFileMissing, "it is not there"),
            Some(root) => {
                let root = root.display();
                let what = "nor anything else in";
                let detail = format!(
                    "{}: it is not there, {what} {root}: is a disk not mounted? It still counts as filed",
                    file.place
                );
                Some(Fault { kind: Kind::LinkedFileMissing, loss: Loss::None, detail })
            }
        },
        Err(error) => Some(Fault { kind: Kind::UnreadableFile, loss: Loss::None, detail: super::words(&error) }),
    }
}

/// The folders that were imported, as wholes.
pub(super) struct Roots(Vec<PathBuf>);

impl Roots {
    pub(super) async fn of(catalog: &Catalog) -> Result<Roots, JobError> {
        let imports = catalog.jobs().await?.into_iter().filter_map(|job| job.spec.import);
        let mut folders: Vec<_> = imports.flat_map(|import| import.folders).collect();
        folders.sort_unstable();
        folders.dedup();
        Ok(Roots(folders))
    }

    /// The folder with which a linked file came, or else the one that it lies in, if nothing of that is there.
    fn missing<'l>(&'l self, store: &Store, link: &'l Link) -> Option<&'l Path> {
        let around = self.0.iter().filter(|root| link.path.starts_with(root)).max_by_key(|root| root.as_os_str().len());
        let root = around.map(PathBuf::as_path).or_else(|| link.path.parent())?;
        (!store.is_occupied(root)).then_some(root)
    }
}

/// The linked objects of a study whose files are not what they were, as far as size and time tell: they are not here, until
/// they come again.
pub(super) async fn gone(
    catalog: &Catalog,
    store: &Store,
    study: &StudyInstanceUid,
) -> Result<BTreeSet<SopInstanceUid>, JobError> {
    let (catalog, store, study) = (catalog.clone(), store.clone(), study.clone());
    blocking(move || {
        let (mut gone, mut after) = (BTreeSet::new(), None);
        loop {
            let page = catalog.links_of_study(&study, after, LINKS)?;
            let Some(last) = page.last() else { return Ok(gone) };
            after = Some(last.position());
            for file in page.into_iter().filter(|file| !store.still_has(&file.link)) {
                let existing = catalog.existing(&file.identity.instance)?;
                let mut copies =
                    existing.iter().flat_map(|existing| iter::once(&existing.current).chain(&existing.variants));
                if !copies.any(|copy| store.open_data_set(&copy.place).is_ok()) {
                    gone.insert(file.identity.instance);
                }
            }
        }
    })
    .await
}

/// Takes losses out of the catalog, while whoever files objects keeps away from their UIDs.
pub(super) struct Losses {
    catalog: Catalog,
    store: Store,
    locks: Arc<UidLocks>,
    roots: Arc<Roots>,
}

impl Losses {
    pub(super) async fn new(catalog: &Catalog, store: &Store) -> Result<Losses, JobError> {
        let (locks, roots) = (Arc::new(catalog.uid_locks()?), Arc::new(Roots::of(catalog).await?));
        Ok(Losses { catalog: catalog.clone(), store: store.clone(), locks, roots })
    }

    /// Looks at a faulty file once more, sets its bytes aside if there are any, and forgets it. `None` when it is whole
    /// after all, when somebody files its object at this moment, or when nothing can be done about it.
    pub(super) async fn lose(
        &self,
        study: &StudyInstanceUid,
        file: KnownFile,
        detail: &str,
    ) -> Result<Option<Lost>, JobError> {
        // A ruin stays where it is, in quarantine: there is no better place for it.
        let may_go = |fault: &Fault| match fault.loss {
            Loss::None => false,
            Loss::Gone => true,
            Loss::Damaged => file.role != FileRole::Quarantined,
        };
        if !self.take(&file).await? {
            return Ok(None);
        }
        let lost = match self.look(&file).await.filter(may_go) {
            Some(fault) => self.forget(study, &file, fault.loss, detail).await.map(Some),
            None => Ok(None),
        };
        self.locks.unlock(&file.instance)?;
        lost
    }

    /// The folders that were imported.
    pub(super) fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    async fn take(&self, file: &KnownFile) -> Result<bool, JobError> {
        for _ in 0..ASKED {
            if self.locks.try_lock(&file.instance)? {
                return Ok(true);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(false)
    }

    async fn look(&self, file: &KnownFile) -> Option<Fault> {
        let (store, roots, file) = (self.store.clone(), Arc::clone(&self.roots), file.clone());
        blocking(move || compare(&store, &roots, &file)).await
    }

    async fn forget(
        &self,
        study: &StudyInstanceUid,
        file: &KnownFile,
        loss: Loss,
        detail: &str,
    ) -> Result<Lost, JobError> {
        // A folder that is not mounted has lost nothing.
        self.store.check_mounted()?;
        let why = format!("verify: {detail}; the object is not counted as filed any more");
        let aside = match loss {
            Loss::Damaged => self.set_aside(study, file, &why).await?,
            Loss::Gone | Loss::None => None,
        };
        Ok(self.catalog.lose(file.clone(), aside, &why).await?)
    }

    async fn set_aside(
        &self,
        study: &StudyInstanceUid,
        file: &KnownFile,
        why: &str,
    ) -> Result<Option<SetAside>, JobError> {
        let Some(place) = file.place.stored().cloned() else { return Ok(None) };
        let (store, instance, study) = (self.store.clone(), file.instance.clone(), study.clone());
        let why = why.to_owned();
        Ok(Some(blocking(move || store.set_aside(&place, &instance, &study, &why)).await?))
    }
}
