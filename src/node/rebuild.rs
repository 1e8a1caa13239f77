//! The catalog made anew from the storage folder.

mod corrections;
mod damaged;
mod links;

use std::path::{Path, PathBuf};

use tracing::info;

use super::{NodeError, STORAGE_ID};
use crate::catalog::{Catalog, CatalogError, NewInstance, Receipt, Recorded};
use crate::config::Config;
use crate::dataset::CharacterSet;
use crate::object::Origin;
use crate::store::{Destination, Found, QuarantineReasons, RelativePath, Store, StoreError};

/// Files that are read and recorded together.
const BATCH: usize = 256;
/// Problems that are told one by one.
const TOLD: usize = 1000;
/// Who filed what is recorded here, as far as receipts know.
const PROCESS: &str = "rebuild";

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Objects that are filed, variants included.
    pub objects: u64,
    /// Objects in quarantine.
    pub quarantined: u64,
    /// Files that could not be recorded, each with the reason.
    pub problems: Vec<String>,
    /// How many of them there were.
    pub problem_count: u64,
}

/// Reads every file of the storage folder, which no other process may have open, into a new catalog. The new one is
/// made beside its place and gets its name when it is whole.
pub async fn rebuild(config: Config) -> Result<Rebuilt, NodeError> {
    let path = config.storage.catalog.clone();
    let folder = config.storage.folder.clone();
    let store = Store::open(&folder, config.storage.minimum_free).and_then(|store| store.lock_alone().map(|()| store));
    let store = store.map_err(|source| NodeError::Store { folder: folder.clone(), source })?;
    let beside = with_suffix(&path, ".rebuilding");
    remove(&beside).map_err(|source| NodeError::Scratch { folder: beside.clone(), source })?;
    let of_catalog = |source| NodeError::Catalog { path: beside.clone(), source };
    let catalog = Catalog::open(&beside).map_err(of_catalog)?;
    catalog.meta_set(STORAGE_ID, store.id()).await.map_err(of_catalog)?;
    catalog.rebuilt_now().await.map_err(of_catalog)?;

    let work = {
        let catalog = catalog.clone();
        move || Rebuild { config: &config, store: &store, catalog: &catalog, done: Rebuilt::default() }.run()
    };
    let done = match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| match error {
            Trouble::Store(source) => NodeError::Store { folder, source },
            Trouble::Catalog(source) => NodeError::Catalog { path: beside.clone(), source },
        })?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    // A copy, because what is still in the write-ahead log would not come along with a new name.
    let whole = with_suffix(&path, ".whole");
    remove(&whole).map_err(|source| NodeError::Scratch { folder: whole.clone(), source })?;
    catalog.backup(&whole).map_err(of_catalog)?;
    catalog.close().map_err(of_catalog)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::rename(&whole, &path)
        .and_then(|()| std::fs::File::open(folder)?.sync_all())
        .and_then(|()| remove(&beside))
        .map_err(|source| NodeError::Scratch { folder: path.clone(), source })?;
    Ok(done)
}

enum Trouble {
    Store(StoreError),
    Catalog(CatalogError),
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

struct Rebuild<'r> {
    config: &'r Config,
    store: &'r Store,
    catalog: &'r Catalog,
    done: Rebuilt,
}

impl Rebuild<'_> {
    fn run(mut self) -> Result<Rebuilt, Trouble> {
        let reasons = self.store.journal().quarantine_reasons().map_err(Trouble::Store)?;
        let mut known = self.store.journal().damaged()?;
        let (mut batch, mut again, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        for walked in self.store.walk() {
            match walked {
                Ok(file) => match known.remove(&file.place) {
                    Some(text) => damaged.push((file.place, text)),
                    None => batch.push(file.place),
                },
                Err(error) => self.problem(&crate::job::words(&error)),
            }
            if batch.len() >= BATCH {
                again.extend(self.record(&std::mem::take(&mut batch), &reasons, false)?);
                info!(objects = self.done.objects, quarantined = self.done.quarantined, "reading the storage folder");
            }
        }
        again.extend(self.record(&batch, &reasons, false)?);
        self.damaged(&damaged)?;
        self.links()?;
        // A variant may lie in a folder that comes before the one of its instance, or be the first of several that
        // are left of it: as long as that helps, what was refused is tried again.
        loop {
            let mut refused = Vec::new();
            for places in again.chunks(BATCH) {
                refused.extend(self.record(places, &reasons, true)?);
            }
            if refused.len() == again.len() {
                break;
            }
            again = refused;
        }
        self.catalog.number_quarantine(self.store.journal().quarantined()?)?;
        self.corrections()?;
        self.marks()?;
        for place in again {
            self.problem(&format!("{place} has the SOP Instance UID of another file"));
        }
        Ok(self.done)
    }

    /// Records files; gives back those that the catalog does not accept as they are. `again` when everything else has
    /// been.
    fn record(
        &mut self,
        places: &[RelativePath],
        reasons: &QuarantineReasons,
        again: bool,
    ) -> Result<Vec<RelativePath>, Trouble> {
        let (mut rows, mut recorded) = (Vec::new(), Vec::new());
        for (place, examined) in places.iter().zip(self.examine(places)) {
            match examined {
                Err(error) => self.problem(&crate::job::words(&error)),
                Ok(found) => {
                    let mut destination = destination_of(&found, reasons);
                    if again
                        && destination == Destination::Variant
                        && self.catalog.existing(&found.identity().instance)?.is_none()
                    {
                        // What had its name before it was nobody's file, and is gone.
                        destination = Destination::Image;
                    }
                    let filed = found.filed(destination);
                    rows.push(NewInstance::of(&filed, Receipt::of(filed.origin(), PROCESS)));
                    recorded.push(place);
                }
            }
        }
        let mut refused = Vec::new();
        for (place, outcome) in recorded.into_iter().zip(self.catalog.record(rows)?) {
            match outcome {
                Recorded::New | Recorded::Variant | Recorded::Duplicate => self.done.objects += 1,
                Recorded::Quarantined(_) | Recorded::Collision => self.done.quarantined += 1,
                Recorded::Contested | Recorded::AlreadyMoved => refused.push(place.clone()),
            }
        }
        Ok(refused)
    }

    /// Reads files, several at a time, in their order.
    fn examine(&self, places: &[RelativePath]) -> Vec<Result<Found, StoreError>> {
        let charset = |origin: &Origin| self.charset(origin);
        in_parallel(places, |place| self.store.examine(place, &charset))
    }

    /// What a sender means that names no character set.
    fn charset(&self, origin: &Origin) -> CharacterSet {
        let source = origin.source.as_deref().and_then(|name| self.config.source(name));
        let terms = source.and_then(|source| source.charset.as_deref());
        terms.map_or_else(CharacterSet::ascii, CharacterSet::from_terms)
    }

    fn problem(&mut self, words: &str) {
        self.done.problem_count += 1;
        if self.done.problems.len() < TOLD {
            self.done.problems.push(words.to_owned());
        }
    }
}

/// Does the same with all of them, several at a time; the outcomes in their order.
fn in_parallel<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = all.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> =
            all.chunks(share).map(|share| scope.spawn(move || share.iter().map(work).collect::<Vec<_>>())).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().flat_map(join).collect()
    })
}

/// What a file is, from its place and the journal.
fn destination_of(found: &Found, reasons: &QuarantineReasons) -> Destination {
    let name = found.place().as_str().rsplit('/').next().unwrap_or_default();
    if !found.place().is_quarantine() {
        return if name.contains('~') { Destination::Variant } else { Destination::Image };
    }
    match reasons.get(&(found.digest(), found.identity().instance.clone())) {
        Some((_, true)) => Destination::Collision,
        Some((reason, false)) => Destination::Quarantine { reason: reason.clone() },
        None => Destination::Quarantine { reason: "the journal does not tell why".into() },
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Removes a catalog and what lies beside it, if there is one.
fn remove(path: &Path) -> std::io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-locks"] {
        match std::fs::remove_file(with_suffix(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
