//! What a file that is gone or damaged means: its object is not counted as filed any more, so that the next pull of its
//! study brings it again (promise 1: no object is counted that is not durable on disk *and* in the catalog).

use std::sync::Arc;
use std::time::Duration;

use super::against_files::blocking;
use super::engine::JobError;
use super::verify::Kind;
use crate::catalog::{Catalog, FileRole, KnownFile, Lost, UidLocks};
use crate::dicom::StudyInstanceUid;
use crate::store::{Link, Place, SetAside, Store, StoreError};

/// How often to ask for a UID that somebody files just now, and how long in between.
const ASKED: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

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
pub(super) fn compare(store: &Store, file: &KnownFile) -> Option<Fault> {
    if let Place::Linked(link) = &file.place {
        return compare_linked(store, file, link);
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
/// the time alone means nothing. Nothing is lost by it yet: a folder elsewhere may come back, and so may its files.
fn compare_linked(store: &Store, file: &KnownFile, link: &Link) -> Option<Fault> {
    let fault = |kind, how: &str| Some(Fault { kind, loss: Loss::None, detail: format!("{}: {how}", file.place) });
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
        Err(StoreError::Missing { .. }) => fault(Kind::LinkedFileMissing, "it is not there"),
        Err(error) => Some(Fault { kind: Kind::UnreadableFile, loss: Loss::None, detail: super::words(&error) }),
    }
}

/// Takes losses out of the catalog, while whoever files objects keeps away from their UIDs.
pub(super) struct Losses {
    catalog: Catalog,
    store: Store,
    locks: Arc<UidLocks>,
}

impl Losses {
    pub(super) fn new(catalog: &Catalog, store: &Store) -> Result<Losses, JobError> {
        Ok(Losses { catalog: catalog.clone(), store: store.clone(), locks: Arc::new(catalog.uid_locks()?) })
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
        let (store, file) = (self.store.clone(), file.clone());
        blocking(move || compare(&store, &file)).await
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
