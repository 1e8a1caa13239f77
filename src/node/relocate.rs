//! A change of the storage folder. What is in the old one is linked first, so that every entry stays valid whatever
//! comes; then the new folder becomes the storage folder; then the links are adopted, study by study.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::adopt::{self, Adoption, Step, Tell, kind_of};
use super::{NodeError, STORAGE_ID, process_name};
use crate::catalog::{Catalog, CatalogError, QuarantinedFile, StoredFile};
use crate::config::Config;
use crate::dicom::{Identity, SeriesInstanceUid, StudyInstanceUid};
use crate::failpoint;
use crate::intake::Intake;
use crate::job::verify::{Finding, Scope};
use crate::object::Disposition;
use crate::scp::charset_of;
use crate::store::{Destination, JournalEntry, Link, Store, StoreError};

/// Rows that change together.
const CHUNK: usize = 512;
/// Objects in quarantine that are moved together.
const QUARANTINE: usize = 32;
/// The storage folder that is about to be the one of the catalog.
const NEXT_ID: &str = "storage.next";
/// Those that were.
const FORMER_IDS: &str = "storage.former";

/// What a relocation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relocated {
    /// Entries that point into the old folder since.
    pub linked: u64,
    /// What was copied of it.
    pub adoption: Adoption,
}

/// Makes the configured storage folder the one of the catalog, which has used `from` until now. With `link_only` the files
/// stay there. Goes on where an earlier one was stopped or killed.
pub async fn relocate(
    config: Config,
    from: &Path,
    link_only: bool,
    stop: &CancellationToken,
    tell: Tell<'_>,
) -> Result<Relocated, NodeError> {
    let from = std::fs::canonicalize(from).unwrap_or_else(|_| from.to_owned());
    let (path, folder) = (config.storage.catalog.clone(), config.storage.folder.clone());
    let of_catalog = |source| NodeError::Catalog { path: path.clone(), source };
    let catalog = Catalog::open(&path).map_err(of_catalog)?;
    let expected = catalog.meta_get(STORAGE_ID).await?;
    let is_here = Store::open(&folder, 0).is_ok_and(|store| expected.as_deref() == Some(store.id()));
    let mut done = Relocated::default();
    if let Some(expected) = expected.filter(|_| !is_here) {
        let moving = Moving::begin(&config, &catalog, from.clone(), &expected).await?;
        let (work, stopping) = (moving.clone(), stop.clone());
        let leaving = blocking(move || work.leave(&stopping)).await?;
        for finding in leaving.findings {
            done.adoption.findings += 1;
            tell(Step::Left(finding));
        }
        done.linked = leaving.linked;
        if stop.is_cancelled() {
            done.adoption.stopped = true;
            return Ok(done);
        }
        moving.switch(&expected).await?;
    }
    if !link_only {
        let node = super::open(config).await?;
        let findings = done.adoption.findings;
        done.adoption = adopt::run(&node, &Scope::All, Some(&from), stop, tell).await?;
        done.adoption.findings += findings;
    }
    Ok(done)
}

/// From one folder to the other.
#[derive(Clone)]
struct Moving {
    catalog: Catalog,
    from: PathBuf,
    old: Store,
    new: Store,
}

/// What became of the entries.
#[derive(Default)]
struct Leaving {
    linked: u64,
    findings: Vec<Finding>,
}

enum Trouble {
    Store(StoreError),
    Catalog(CatalogError),
}

impl Moving {
    /// Opens both folders, the old one alone, and sees that they are what they should be.
    async fn begin(config: &Config, catalog: &Catalog, from: PathBuf, expected: &str) -> Result<Moving, NodeError> {
        let of_store = |folder: &Path| {
            let folder = folder.to_owned();
            move |source| NodeError::Store { folder, source }
        };
        let old = Store::open(&from, 0).map_err(of_store(&from))?;
        if old.id() != expected {
            return Err(NodeError::OtherFolder {
                catalog: config.storage.catalog.clone(),
                folder: from,
                expected: expected.to_owned(),
                found: old.id().to_owned(),
                used: None,
            });
        }
        old.lock_alone().map_err(of_store(&from))?;
        let folder = &config.storage.folder;
        let to = resolved(folder);
        if to.starts_with(&from) || from.starts_with(&to) {
            return Err(NodeError::Nested { from, to });
        }
        let new = Store::create(folder, config.storage.minimum_free).map_err(of_store(folder))?;
        let former = catalog.meta_get(FORMER_IDS).await?.unwrap_or_default();
        let next = catalog.meta_get(NEXT_ID).await?;
        let is_ours = next.as_deref() == Some(new.id()) || former.split(' ').any(|id| id == new.id());
        if !is_ours && new.walk().next().is_some() {
            return Err(NodeError::Occupied(to));
        }
        catalog.meta_set(NEXT_ID, new.id()).await?;
        // What dead processes left in the old folder is recorded while it still is the storage folder.
        let intake = Intake::start(old.clone(), catalog.clone(), process_name())?;
        let known = config.clone();
        intake.sweep(move |origin| charset_of(&known, origin.source.as_deref())).await?;
        intake.close().await?;
        Ok(Moving { catalog: catalog.clone(), from, old, new })
    }

    /// Everything in the old folder is linked, or copied where it cannot be. Until all is, the old folder is the storage
    /// folder, and whoever goes back to it finds that every entry is valid.
    fn leave(&self, stop: &CancellationToken) -> Result<Leaving, Trouble> {
        let mut leaving = Leaving::default();
        self.carry_journal_over()?;
        failpoint!("relocate-journal");
        self.move_quarantine(&mut leaving, stop)?;
        let mut after = None;
        while !stop.is_cancelled() {
            let page = self.catalog.stored_files(after, CHUNK)?;
            let Some(last) = page.last() else { break };
            after = Some(last.file.position());
            leaving.linked += page.len() as u64;
            let page: Vec<_> = page.into_iter().map(|file| self.linked(file)).collect();
            let links = page.iter().map(|StoredFile { file, .. }| {
                (&file.link, &file.identity, &file.transfer_syntax, file.digest, file.is_variant)
            });
            self.new.journal().append(&JournalEntry::links(links))?;
            self.catalog.link_stored(page)?;
            failpoint!("relocate-linked");
        }
        Ok(leaving)
    }

    fn linked(&self, mut file: StoredFile) -> StoredFile {
        file.file.link.path = self.from.join(file.place.as_str());
        file
    }

    /// Links that were there before are in the old journal only; why something is in quarantine is written anew with it.
    fn carry_journal_over(&self) -> Result<(), Trouble> {
        let (mut batch, mut failed) = (Vec::new(), None);
        self.old.journal().read(|entry| {
            if matches!(entry, JournalEntry::Linked { .. }) {
                batch.push(entry);
            }
            if batch.len() >= CHUNK {
                failed = failed.take().or(self.new.journal().append(&std::mem::take(&mut batch)).err());
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok(self.new.journal().append(&batch)?)
    }

    /// Objects in quarantine are copied to the same places: their rows need no change.
    fn move_quarantine(&self, leaving: &mut Leaving, stop: &CancellationToken) -> Result<(), Trouble> {
        let mut after = 0;
        while !stop.is_cancelled() {
            let page = self.catalog.quarantined_files(after, QUARANTINE)?;
            let Some(last) = page.last() else { break };
            after = last.position;
            let mut batch = Vec::new();
            for file in &page {
                match self.copy_quarantined(file) {
                    Ok(copied) => batch.extend(copied),
                    Err(error) if error.disposition() == Disposition::Halt => return Err(error.into()),
                    Err(error) => leaving.findings.push(Finding {
                        kind: kind_of(&error),
                        study: None,
                        instance: Some(file.instance.clone()),
                        detail: crate::job::words(&error),
                    }),
                }
            }
            let settled = self.new.settle(batch);
            for outcome in settled.outcomes {
                outcome?;
            }
            settled.number.into_iter().for_each(|number| self.new.recorded(number));
            failpoint!("relocate-quarantine");
        }
        Ok(())
    }

    /// `None` where it is already.
    fn copy_quarantined(
        &self,
        file: &QuarantinedFile,
    ) -> Result<Option<(crate::store::Incoming, Destination)>, StoreError> {
        let there = file.place.clone().into();
        if self.new.digest(&there).is_ok_and(|(digest, _)| Some(digest) == file.digest) {
            return Ok(None);
        }
        let QuarantinedFile { instance, class, .. } = file;
        let identity = Identity {
            study: StudyInstanceUid::new(""),
            series: SeriesInstanceUid::new(""),
            instance: instance.clone(),
            class: class.clone(),
        };
        let link = Link {
            path: self.from.join(file.place.as_str()),
            offset: file.file_size.saturating_sub(file.length),
            size: file.file_size,
            modified: None,
        };
        let mut copied = self.new.adopt(&link, &identity, &file.transfer_syntax, file.digest)?;
        copied.restores(there);
        let reason = file.reason.clone();
        let destination = if file.collision { Destination::Collision } else { Destination::Quarantine { reason } };
        Ok(Some((copied, destination)))
    }

    /// The new folder is the storage folder from now on.
    async fn switch(&self, expected: &str) -> Result<(), NodeError> {
        let mut former = self.catalog.meta_get(FORMER_IDS).await?.unwrap_or_default();
        if !former.split(' ').any(|id| id == expected) {
            former = format!("{former} {expected}");
            self.catalog.meta_set(FORMER_IDS, former.trim()).await?;
        }
        self.catalog.meta_set(STORAGE_ID, self.new.id()).await?;
        failpoint!("relocate-switched");
        Ok(())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error)
    }
}

impl From<CatalogError> for Trouble {
    fn from(error: CatalogError) -> Self {
        Trouble::Catalog(error)
    }
}

/// A path, which need not exist, with every link in it followed.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = |above: &Path| Some((above.to_owned(), std::fs::canonicalize(above).ok()?));
    match path.ancestors().find_map(real) {
        Some((above, real)) => path.strip_prefix(above).map_or(real.clone(), |below| real.join(below)),
        None => path,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, NodeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|trouble| match trouble {
            Trouble::Store(error) => NodeError::Intake(error.into()),
            Trouble::Catalog(error) => NodeError::Running(error),
        }),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
