//! At the start: what dead processes left in the incoming folder goes the way of everything else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::filing::{LOCKED, LONGEST_LOCK};
use super::inbox::Item;
use super::{Intake, IntakeError};
use crate::catalog::{Catalog, NewInstance, Receipt, Recorded, UidLocks};
use crate::dataset::CharacterSet;
use crate::dicom::SopInstanceUid;
use crate::object::Origin;
use crate::store::{Filed, Incoming};

/// What the sweep found and did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Folders of dead processes.
    pub folders: usize,
    /// Objects under their final name that the catalog did not know.
    pub recorded: usize,
    /// Whole objects without a final name, which were filed.
    pub filed: usize,
    /// Cut or unanswered ones, removed.
    pub removed: usize,
}

impl Intake {
    /// Finishes or undoes what dead processes left. `charset` is what a sender means that names no character set.
    pub async fn sweep<F>(&self, charset: F) -> Result<SweepReport, IntakeError>
    where
        F: Fn(&Origin) -> CharacterSet + Send + Sync + 'static,
    {
        let charset: Arc<F> = Arc::new(charset);
        let (store, of) = (self.store.clone(), Arc::clone(&charset));
        let found = blocking(move || Ok(store.sweep(&*of)?)).await?;
        let mut report = SweepReport::default();
        for mut swept in found {
            report.folders += 1;
            report.removed += swept.leftovers;
            let (finished, whole) = (std::mem::take(&mut swept.finished), std::mem::take(&mut swept.whole));
            let (intake, of) = (self.clone(), Arc::clone(&charset));
            let (recorded, refused) = blocking(move || intake.record_finished(finished, &*of)).await?;
            report.recorded += recorded;
            for incoming in whole.into_iter().chain(refused) {
                let charset = charset(&incoming.origin);
                self.file_again(incoming, charset).await?;
                report.filed += 1;
            }
            let store = self.store.clone();
            blocking(move || Ok(store.bury(swept)?)).await?;
        }
        Ok(report)
    }

    /// Records what has its final name and no row. What the catalog does not accept there is taken back.
    fn record_finished(
        &self,
        finished: Vec<Filed>,
        charset: &dyn Fn(&Origin) -> CharacterSet,
    ) -> Result<(usize, Vec<Incoming>), IntakeError> {
        // Until the end of this function nobody else files one of them.
        let _locks = lock(&self.catalog, finished.iter().map(|filed| &filed.identity().instance), LONGEST_LOCK)?;
        let mut unknown = Vec::new();
        for filed in finished {
            if !is_known(&self.catalog, &filed)? {
                unknown.push(filed);
            }
        }
        if unknown.is_empty() {
            return Ok((0, Vec::new()));
        }
        let row = |filed: &Filed| NewInstance::of(filed, Receipt::of(filed.origin(), &self.process));
        let outcomes = self.catalog.record(unknown.iter().map(row).collect())?;
        let mut refused = Vec::new();
        for (filed, outcome) in unknown.iter().zip(&outcomes) {
            if *outcome == Recorded::Contested {
                let Some(place) = filed.place().stored() else { continue };
                refused.push(self.store.take_back(place, filed.origin().clone(), &charset)?);
            }
        }
        Ok((outcomes.len() - refused.len(), refused))
    }

    /// Sends a whole object through the batch.
    async fn file_again(&self, incoming: Incoming, charset: CharacterSet) -> Result<Recorded, IntakeError> {
        let permit = self.inbox.permit().await?;
        let (reply, outcome) = oneshot::channel();
        self.inbox.put(Item::new(incoming, charset, Some(reply), permit))?;
        outcome.await.map_err(|_| IntakeError::Closed)?
    }
}

/// Takes hold of all these UIDs, each as soon as whoever is filing it is done with it. In their order: two that do so
/// do not wait for each other.
pub(super) fn lock<'u>(
    catalog: &Catalog,
    uids: impl IntoIterator<Item = &'u SopInstanceUid>,
    longest: Duration,
) -> Result<UidLocks, IntakeError> {
    let locks = catalog.uid_locks()?;
    let began = Instant::now();
    for uid in uids.into_iter().collect::<BTreeSet<_>>() {
        while !locks.try_lock(uid)? {
            if began.elapsed() >= longest {
                return Err(IntakeError::Locked { uid: uid.clone(), waited: longest });
            }
            std::thread::sleep(LOCKED);
        }
    }
    Ok(locks)
}

/// Whether the crash came after the commit. What is in quarantine is recorded again, which changes nothing.
fn is_known(catalog: &Catalog, filed: &Filed) -> Result<bool, IntakeError> {
    let existing = catalog.existing(&filed.identity().instance)?;
    let Some(existing) = existing else { return Ok(false) };
    let mut copies = std::iter::once(&existing.current).chain(&existing.variants);
    Ok(copies.any(|copy| copy.place == *filed.place() && copy.digest == filed.digest()))
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IntakeError> + Send + 'static,
) -> Result<T, IntakeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(IntakeError::Closed),
    }
}
