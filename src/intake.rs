//! The single door in: stream → incoming → batch → recorded. Whoever brings an object, over whichever association or
//! from whichever folder, comes through here.
//!
//! One thread makes batches durable and hands them to the thread that writes the catalog; a next batch that is large
//! enough is synced while the last one is committed. There is no timer: whatever queued up during the last flush is
//! the next batch. Another thread compares what came twice with other bytes, which may take long.

mod adopt;
mod compare;
mod decide;
mod files;
mod filing;
mod inbox;
mod settling;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::catalog::{Catalog, CatalogError, Recorded};
use crate::dataset::CharacterSet;
use crate::dicom::{Identity, SopInstanceUid};
use crate::failpoint;
use crate::object::{Disposition, Fault, ObjectStream};
use crate::store::{Store, StoreError};

use files::Readers;
use inbox::{Inbox, Item};

pub use adopt::Adopted;
pub use files::How;
pub use sweep::SweepReport;

pub use crate::store::SourceFile;

/// The door. A clone is another handle on the same threads; they end when the last one goes, or with
/// [`Intake::close`].
#[derive(Clone)]
pub struct Intake {
    store: Store,
    catalog: Catalog,
    process: Arc<str>,
    inbox: Arc<Inbox>,
    readers: Arc<Readers>,
}

/// What became of an object, as far as the sender may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Whole and valid, and queued; a small one is still in memory. Not durable: only for a sender that keeps its copy.
    Received,
    /// Durable on disk and in the catalog, as this.
    Recorded(Recorded),
}

/// Why an object could not be stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IntakeError {
    /// Its bytes could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be recorded.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The catalog kept changing under its UID.
    #[error("other objects with the same SOP Instance UID kept being filed while this one was")]
    Contested,
    /// Another process is filing an object with its UID, and does not come to an end.
    #[error("another process has kept the SOP Instance UID {uid} to itself for {} s: if it stands still, end it", .waited.as_secs())]
    Locked {
        /// The SOP Instance UID.
        uid: SopInstanceUid,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The door is closed.
    #[error("the program is stopping and takes no more objects")]
    Closed,
}

impl IntakeError {
    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self {
            IntakeError::Store(error) => error.fault(),
            IntakeError::Catalog(error) => error.fault(),
            IntakeError::Contested | IntakeError::Locked { .. } | IntakeError::Closed => Fault::Local,
        }
    }

    /// What it means for the work at hand.
    pub fn disposition(&self) -> Disposition {
        match self {
            IntakeError::Store(error) => error.disposition(),
            IntakeError::Catalog(error) => error.disposition(),
            IntakeError::Contested | IntakeError::Locked { .. } | IntakeError::Closed => Disposition::Retry,
        }
    }
}

impl Intake {
    /// Starts the threads that file into this store and this catalog. `process` names this process in receipts.
    pub fn start(store: Store, catalog: Catalog, process: String) -> Result<Intake, IntakeError> {
        let process: Arc<str> = process.into();
        let inbox = filing::start(store.clone(), catalog.clone(), Arc::clone(&process))?;
        let inbox = Arc::new(inbox);
        let readers = Arc::new(Readers::new(store.clone(), Arc::clone(&inbox)));
        Ok(Intake { store, catalog, process, inbox, readers })
    }

    /// Takes an object in.
    ///
    /// When it is whole and its header valid, `may_answer` is asked whether the sender may be told already: if so
    /// this returns [`Stored::Received`], otherwise when it is durable and recorded. What goes to quarantine is always
    /// waited for, since the sender is told why. `charset` is what a header means that names no character set.
    pub async fn store(
        &self,
        stream: ObjectStream,
        charset: CharacterSet,
        may_answer: &(dyn Fn(&Identity) -> bool + Send + Sync),
    ) -> Result<Stored, IntakeError> {
        let permit = self.inbox.permit().await?;
        let incoming = self.store.receive(stream, charset.clone()).await?;
        let early = decide::is_valid(&incoming) && may_answer(&incoming.identity);
        let (reply, outcome) = oneshot::channel();
        let uid = incoming.identity.instance.clone();
        self.inbox.put(Item::new(incoming, charset, (!early).then_some(reply), permit))?;
        failpoint!("intake-queued");
        if early {
            return Ok(Stored::Received);
        }
        tracing::trace!(sop.uid = %uid, "waiting for the batch");
        outcome.await.map_err(|_| IntakeError::Closed)?.map(Stored::Recorded)
    }

    /// Waits until everything that was queued before is durable and recorded, or has failed.
    pub async fn flush(&self) -> Result<(), IntakeError> {
        self.inbox.flush().await;
        Ok(())
    }

    /// Takes no more objects, finishes those that are queued, and ends the threads.
    pub async fn close(self) -> Result<(), IntakeError> {
        let (inbox, readers) = (Arc::clone(&self.inbox), Arc::clone(&self.readers));
        drop(self);
        let end = move || {
            readers.close();
            inbox.close();
        };
        tokio::task::spawn_blocking(end).await.map_err(|_| IntakeError::Closed)
    }
}

#[cfg(test)]
mod tests;
