//! The composition root: builds, spawns and drains what a process is made of.

mod adopt;
mod audit;
mod door;
mod dry_run;
mod held;
mod priors;
mod rebuild;
mod reload;
mod relocate;
mod serve;
#[cfg(test)]
mod testing;
mod verify;
mod worker;

use std::path::PathBuf;

use crate::catalog::{Catalog, CatalogError};
use crate::config::Config;
use crate::intake::IntakeError;
use crate::job::JobError;
use crate::scp::ListenError;
use crate::store::{Store, StoreError};

pub use adopt::{Adoption, Step, adopt};
pub use dry_run::{DryRun, dry_run};
pub use rebuild::{Rebuilt, rebuild};
pub use relocate::{Relocated, relocate};
pub use serve::serve;
pub use verify::{verify_files, verify_source};
pub use worker::{WorkerScope, run_worker};

pub use crate::job::control::{RECEIVER_LEASE, WORKER_LEASE};
pub(crate) use crate::job::process_name;

/// The name of the lease of a living node.
pub const NODE_LEASE: &str = "node";
/// The name of the lease of the process that sends what is in the outbox.
pub const OUTBOX_LEASE: &str = "outbox";
/// The id of the storage folder that the catalog belongs to.
const STORAGE_ID: &str = "storage.id";
/// Where that folder was when it was last used.
const STORAGE_FOLDER: &str = "storage.folder";

/// Why a process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The storage folder.
    #[error("the storage folder {} cannot be used", folder.display())]
    Store {
        /// As configured.
        folder: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The catalog.
    #[error("the catalog {} cannot be used", path.display())]
    Catalog {
        /// As configured.
        path: PathBuf,
        /// Why.
        source: CatalogError,
    },
    /// The catalog is of another storage folder.
    #[error(
        "the catalog {} belongs to another storage folder{} than {} (ids {expected} and {found})",
        catalog.display(), used.as_ref().map(|used| format!(", {used},")).unwrap_or_default(), folder.display()
    )]
    OtherFolder {
        /// As configured.
        catalog: PathBuf,
        /// As configured.
        folder: PathBuf,
        /// The folder's id that the catalog remembers.
        expected: String,
        /// The id in the folder's sentinel file.
        found: String,
        /// Where the catalog's own folder was when it was last used, if that was elsewhere.
        used: Option<String>,
    },
    /// The configuration names another storage folder than before, and nothing is there yet.
    #[error("the configuration names the storage folder {}, but the catalog belongs to {used}", folder.display())]
    FolderChanged {
        /// As configured.
        folder: PathBuf,
        /// Where the catalog's own folder was when it was last used.
        used: String,
    },
    /// One of two storage folders lies in the other.
    #[error("the storage folders {} and {} lie one in the other", from.display(), to.display())]
    Nested {
        /// The old one.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// The storage folder is in use, and the catalog of it is not there, or knows nothing of it.
    #[error(
        "the storage folder {} holds what was filed, and the catalog {} is not there or empty: it is lost, or another \
         one is meant", folder.display(), catalog.display()
    )]
    CatalogLost {
        /// As configured.
        catalog: PathBuf,
        /// As configured.
        folder: PathBuf,
    },
    /// A folder that is to become the storage folder of a catalog holds files that the catalog does not know.
    #[error("the storage folder {} holds files that are not in the catalog", .0.display())]
    Occupied(PathBuf),
    /// The catalog failed while running.
    #[error(transparent)]
    Running(#[from] CatalogError),
    /// The way in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The receiver's port.
    #[error("the receiver cannot listen")]
    Receiver(#[source] ListenError),
    /// The port of the hospital's node.
    #[error("the node cannot listen")]
    Port(#[source] ListenError),
    /// A job.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The scratch catalog of a dry run.
    #[error("a scratch catalog cannot be made in {}", folder.display())]
    Scratch {
        /// Below the temporary directory.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No such source.
    #[error("there is no source `{0}` in the configuration")]
    NoSuchSource(String),
}

/// An archive: its configuration, its catalog and its storage folder, opened and found to belong together.
#[derive(Clone)]
pub struct Node {
    /// The configuration.
    pub config: Config,
    /// The catalog.
    pub catalog: Catalog,
    /// The storage folder.
    pub store: Store,
}

/// Opens the archive of a configuration; makes folder and catalog at first use. A storage folder whose sentinel file is
/// missing, while the catalog knows one, is not mounted: nothing is written. Nor is a new catalog made for a folder that
/// is in use already: the old one is lost, and is to be made anew.
pub async fn open(config: Config) -> Result<Node, NodeError> {
    let (folder, path) = (config.storage.folder.clone(), config.storage.catalog.clone());
    let of_catalog = |source| NodeError::Catalog { path: path.clone(), source };
    let lost = || NodeError::CatalogLost { catalog: path.clone(), folder: folder.clone() };
    if !path.exists() && Store::open(&folder, 0).and_then(|store| store.is_used()).unwrap_or(false) {
        return Err(lost());
    }
    let catalog = Catalog::open(&path).map_err(of_catalog)?;
    let expected = catalog.meta_get(STORAGE_ID).await.map_err(of_catalog)?;
    let of_store = |source| NodeError::Store { folder: folder.clone(), source };
    let minimum_free = config.storage.minimum_free;
    let here = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone()).display().to_string();
    let used = catalog.meta_get(STORAGE_FOLDER).await.map_err(of_catalog)?;
    let elsewhere = used.clone().filter(|used| *used != here);
    let opened = match &expected {
        Some(_) => Store::open(&folder, minimum_free),
        None => Store::create(&folder, minimum_free),
    };
    let store = match (opened, elsewhere) {
        (Err(StoreError::NotMounted(_)), Some(used)) => return Err(NodeError::FolderChanged { folder, used }),
        (Ok(store), used) if expected.as_ref().is_some_and(|expected| expected != store.id()) => {
            let (expected, found) = (expected.unwrap_or_default(), store.id().to_owned());
            return Err(NodeError::OtherFolder { catalog: path, folder, expected, found, used });
        }
        (opened, _) => opened.map_err(of_store)?,
    };
    if expected.is_none() {
        // Another process may have begun with it just now.
        if store.is_used().map_err(of_store)? && catalog.meta_get(STORAGE_ID).await.map_err(of_catalog)?.is_none() {
            return Err(lost());
        }
        catalog.meta_set(STORAGE_ID, store.id()).await.map_err(of_catalog)?;
    }
    if used.as_ref() != Some(&here) {
        catalog.meta_set(STORAGE_FOLDER, &here).await.map_err(of_catalog)?;
    }
    Ok(Node { config, catalog, store })
}

/// Takes away what operations staged whose process is gone. One that cannot be taken away is in nobody's sight, and
/// keeps nobody from anything but its own studies.
async fn remove_leftovers(node: &Node) {
    if let Err(error) = crate::content::remove_leftovers(&node.catalog, &node.store).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "what dead operations left cannot be removed");
    }
}
