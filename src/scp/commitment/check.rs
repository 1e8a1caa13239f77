//! Whether an instance is safe with us: owned, alone under its UID, and just read.

use std::collections::BTreeMap;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::audit::StudyObjects;
use crate::catalog::{Catalog, CatalogError, ToCommit};
use crate::dicom::Status;
use crate::store::{Digest, Place, Store, StoreError};

/// Instances that are looked at before it is written down what was found.
const PAGE: usize = 128;
/// How many requests have their files read at a time.
const AT_ONCE: usize = 2;

static READING: Semaphore = Semaphore::const_new(AT_ONCE);

/// What was looked at, by study and SOP class: how many are committed, and how many are not.
#[derive(Default)]
pub(super) struct Seen {
    studies: BTreeMap<String, BTreeMap<(bool, String), u64>>,
    pub(super) committed: u64,
    pub(super) failed: u64,
}

impl Seen {
    fn add(&mut self, asked: &ToCommit, reason: Option<Status>) {
        let count = if reason.is_some() { &mut self.failed } else { &mut self.committed };
        *count += 1;
        let study = asked.filed.as_ref().map_or("", |(_, study)| study.as_str()).to_owned();
        // What a peer says of a class is not repeated: it may say anything.
        let class = asked.filed.as_ref().map_or("", |(class, _)| class.as_str()).to_owned();
        let class = (reason.is_some(), class);
        *self.studies.entry(study).or_default().entry(class).or_default() += 1;
    }

    /// Those that are committed, or those that are not.
    pub(super) fn objects(&self, failed: bool) -> Vec<StudyObjects> {
        let of = |(study, classes): (&String, &BTreeMap<(bool, String), u64>)| {
            let classes = classes.iter().filter(|((bad, _), _)| *bad == failed);
            let classes: Vec<_> = classes.map(|((_, class), count)| (class.clone(), *count)).collect();
            (!classes.is_empty()).then(|| StudyObjects { study: study.clone(), classes })
        };
        self.studies.iter().filter_map(of).collect()
    }
}

/// Looks at every instance of a request that has not been looked at; `None` when told to stop before the end.
pub(super) async fn check(
    catalog: &Catalog,
    store: &Store,
    id: i64,
    stop: &CancellationToken,
) -> Result<Option<Seen>, CatalogError> {
    // The semaphore is never closed.
    let _permit = READING.acquire().await.ok();
    let mut seen = Seen::default();
    loop {
        let page = catalog.to_commit(id, PAGE).await?;
        if page.is_empty() {
            catalog.set_commitment_checked(id).await?;
            return Ok(Some(seen));
        }
        let (store, stop) = (store.clone(), stop.clone());
        let work = move || {
            let until_stopped = page.into_iter().take_while(|_| !stop.is_cancelled());
            until_stopped.map(|asked| (reason(&store, &asked), asked)).collect::<Vec<_>>()
        };
        let looked = match tokio::task::spawn_blocking(work).await {
            Ok(looked) => looked,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The process ends.
            Err(_) => return Ok(None),
        };
        if looked.is_empty() {
            return Ok(None);
        }
        let results = looked.iter().map(|(reason, asked)| (asked.n, *reason)).collect();
        catalog.set_commitment_results(id, results).await?;
        looked.iter().for_each(|(reason, asked)| seen.add(asked, *reason));
    }
}

/// Why an instance is not committed.
fn reason(store: &Store, asked: &ToCommit) -> Option<Status> {
    let Some((class, _)) = &asked.filed else {
        // What is in quarantine is kept, but not as what the peer sent.
        let unknown = if asked.quarantined { Status::PROCESSING_FAILURE } else { Status::NO_SUCH_INSTANCE };
        return Some(unknown);
    };
    if *class != asked.class {
        return Some(Status::CLASS_INSTANCE_CONFLICT);
    }
    let ours = |(place, _, _): &(Place, u64, Option<Digest>)| place.stored().is_some();
    if asked.quarantined || !asked.files.iter().all(ours) {
        return Some(Status::PROCESSING_FAILURE);
    }
    // Variants as well: which of them the peer sent is not known.
    asked.files.iter().any(|file| !is_whole(store, asked, file)).then_some(Status::PROCESSING_FAILURE)
}

/// Whether the bytes of a file are what they were when they came.
fn is_whole(store: &Store, asked: &ToCommit, (place, length, digest): &(Place, u64, Option<Digest>)) -> bool {
    let instance = &asked.instance;
    match store.digest(place) {
        Ok(found) if Some(found) == digest.map(|digest| (digest, *length)) => true,
        Ok(_) => {
            error!(sop_instance.uid = %instance, file = %place, "the bytes of this file are not what they were; it is not committed");
            false
        }
        Err(error @ StoreError::Missing { .. }) => {
            error!(sop_instance.uid = %instance, file = %place, %error, "a file is gone; it is not committed");
            false
        }
        Err(error) => {
            warn!(sop_instance.uid = %instance, file = %place, error = &error as &dyn std::error::Error, "a file cannot be read; it is not committed");
            false
        }
    }
}
