//! A job of the kind import: the list first, then the studies, newest first, across folders.
//!
//! It shares claims, leases, control and verdicts with a migration. There is no source to be gentle with: what it waits
//! for is the disk.

mod filer;
mod lister;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, error_span, info, warn};

use super::engine::{Engine, JobError, SUPERVISION, decided};
use crate::catalog::{ImportHow, ImportSpec, Job, JobState, Way};
use crate::config::Storage as StorageConfig;
use crate::dicom::DateRange;
use crate::import::Sieve;
use crate::object::Disposition;
use crate::scp::charset_of;
use lister::Lister;

/// Studies that are filed at the same time: many small ones share a flush.
const WORKERS: usize = 16;
/// How often to look whether the process that makes the list has ended.
const LEASE_POLL: Duration = Duration::from_millis(500);
/// How long everybody waits after the machine refused something.
const PAUSE: Duration = Duration::from_secs(2);

/// What everybody who works on an import shares.
pub(super) struct Work {
    engine: Engine,
    job: Job,
    spec: ImportSpec,
    /// Everything ends: paused, cancelled, halted, or the process stops.
    stop: CancellationToken,
    news: Notify,
    /// Everything may be done.
    idle: Notify,
    /// Why nothing is filed just now, and until when.
    trouble: Mutex<Option<(Instant, String)>>,
    halted: Mutex<Option<String>>,
}

impl Engine {
    /// Runs an import until it is finished, paused, cancelled or halted, or until `stop`.
    pub(super) async fn run_import(&self, job: Job, stop: &CancellationToken) -> Result<JobState, JobError> {
        let id = job.id;
        let Some(spec) = job.spec.import.clone() else {
            let message = "the job names no folders; make another with `pacsferry import`";
            self.catalog.set_job_state(id, JobState::Halted, Some(message)).await?;
            return Ok(JobState::Halted);
        };
        let work = Arc::new(Work {
            engine: self.clone(),
            job,
            spec,
            stop: stop.child_token(),
            news: Notify::new(),
            idle: Notify::new(),
            trouble: Mutex::default(),
            halted: Mutex::default(),
        });
        self.catalog.set_job_state(id, JobState::Running, None).await?;
        let tasks = TaskTracker::new();
        let span = error_span!("job", job = id);
        tasks.spawn(list(Arc::clone(&work)).instrument(span.clone()));
        for _ in 0..WORKERS {
            tasks.spawn(worker(Arc::clone(&work)).instrument(span.clone()));
        }
        tasks.close();
        let running = self.keeper.acquire(&super::run_lease(id)).await?;
        let state = work.supervise().instrument(span).await;
        work.stop.cancel();
        work.news.notify_waiters();
        tasks.wait().await;
        self.intake.flush().await?;
        let Some(state) = state? else { return Ok(JobState::Running) };
        if state == JobState::Cancelled {
            self.catalog.cancel_items(id).await?;
        }
        let message = work.halted().filter(|_| state == JobState::Halted);
        self.catalog.set_job_state(id, state, message.as_deref()).await?;
        if let Some(running) = running {
            running.release().await;
        }
        info!(state = ?state, "the import has come to rest");
        Ok(state)
    }

    /// Only makes the list.
    pub(super) async fn list_import(&self, job: Job, stop: &CancellationToken) -> Result<(), JobError> {
        let Some(spec) = job.spec.import.clone() else { return Ok(()) };
        let (stop, news, idle) = (stop.child_token(), Notify::new(), Notify::new());
        let (trouble, halted) = (Mutex::default(), Mutex::default());
        let work = Work { engine: self.clone(), job, spec, stop, news, idle, trouble, halted };
        work.make_list(false).await
    }
}

impl Work {
    /// Stops the job until a person has mended something.
    fn halt(&self, message: String) {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
        self.stop.cancel();
    }

    fn halted(&self) -> Option<String> {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nothing is filed for a moment.
    fn troubled(&self, why: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now() + PAUSE, why));
    }

    /// Why nothing can be filed just now.
    fn trouble(&self) -> Option<String> {
        if let Err(error) = self.engine.store.check_room() {
            return Some(super::words(&error));
        }
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_ref().filter(|(until, _)| *until > Instant::now()).map(|(_, why)| why.clone())
    }

    async fn sleep(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Watches until there is a reason to stop; `None` when the process stops.
    async fn supervise(&self) -> Result<Option<JobState>, JobError> {
        let catalog = &self.engine.catalog;
        let mut told: Option<String> = None;
        loop {
            if let Some(message) = self.halted() {
                error!(message, "the import is halted");
                return Ok(Some(JobState::Halted));
            }
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            let Some(job) = catalog.job(self.job.id).await? else { return Ok(None) };
            if let ControlFlow::Break(state) = decided(&job) {
                return Ok(state);
            }
            let trouble = self.trouble().map(|why| format!("waiting: {why}"));
            if trouble != told {
                if let Some(trouble) = &trouble {
                    warn!(trouble, "waiting");
                }
                catalog.set_job_state(self.job.id, JobState::Running, trouble.as_deref()).await?;
                told = trouble;
            }
            let totals = catalog.totals(self.job.id).await?;
            if job.enumerated && totals.items.pending() == 0 {
                return Ok(Some(JobState::Finished));
            }
            if totals.items.pending() > 0 {
                self.news.notify_waiters();
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.idle.notified() => {}
                () = tokio::time::sleep(SUPERVISION) => {}
            }
        }
    }

    /// How files are taken in, as far as a later run must know.
    fn way(&self) -> Way {
        match (self.spec.how, self.spec.hash) {
            (ImportHow::Copy | ImportHow::Own, _) => Way::Copied,
            (_, true) => Way::Hashed,
            (_, false) => Way::Linked,
        }
    }

    /// What was asked for.
    fn sieve(&self, stop: &CancellationToken) -> Sieve {
        Sieve {
            days: DateRange { from: self.job.spec.from, to: self.job.spec.to },
            charset: charset_of(&self.engine.config.borrow(), None),
            refuse_archives: self.spec.how == ImportHow::LinkOnly,
            stop: stop.clone(),
        }
    }

    /// One process at a time makes the list.
    async fn make_list(&self, set_aside: bool) -> Result<(), JobError> {
        let catalog = &self.engine.catalog;
        let lease = loop {
            let done = catalog.job(self.job.id).await?.is_none_or(|job| job.enumerated);
            if done || self.stop.is_cancelled() {
                return Ok(());
            }
            match self.engine.keeper.acquire(&format!("plan/{}", self.job.id)).await? {
                Some(lease) => break lease,
                None => self.sleep(LEASE_POLL).await,
            }
        };
        let stop = self.stop.child_token();
        let ended = stop.clone().drop_guard();
        let (lost, losing) = (lease.lost().clone(), stop.clone());
        self.engine.tasks.spawn(async move {
            tokio::select! {
                () = lost.cancelled() => losing.cancel(),
                () = losing.cancelled() => {}
            }
        });
        let result = self.list_under(stop.clone(), set_aside).await;
        if result.is_ok() && !stop.is_cancelled() {
            catalog.set_enumerated(self.job.id, true).await?;
        }
        drop(ended);
        self.news.notify_waiters();
        self.idle.notify_one();
        lease.release().await;
        result
    }

    async fn list_under(&self, stop: CancellationToken, set_aside: bool) -> Result<(), JobError> {
        let StorageConfig { folder, catalog, .. } = self.engine.config.borrow().storage.clone();
        let [storage, catalog_file] = [folder, catalog].map(|path| path.canonicalize().unwrap_or(path));
        let lister = Lister {
            catalog: self.engine.catalog.clone(),
            job: self.job.id,
            sieve: self.sieve(&stop),
            way: self.way(),
            copies: self.spec.how == ImportHow::Copy,
            store: self.engine.store.clone(),
            received: DateRange { from: self.spec.received_from, to: self.spec.received_to },
            ours: ours(&storage, &self.spec.folders),
            storage,
            catalog_file,
            stop: stop.clone(),
        };
        let roots = self.spec.folders.clone();
        let listed = tokio::task::spawn_blocking(move || lister.run(roots)).await;
        match listed {
            Ok(listed) => listed?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        if stop.is_cancelled() || !set_aside { Ok(()) } else { filer::set_aside_strays(self, &stop).await }
    }
}

/// What the walk passes over: a storage folder that lies below a folder of the import is none of its business; in one
/// that is the import's folder, what arrives there and what is in quarantine.
fn ours(storage: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    if folders.iter().any(|folder| folder.starts_with(storage)) {
        vec![storage.join("incoming"), storage.join("quarantine")]
    } else {
        vec![storage.to_owned()]
    }
}

async fn list(work: Arc<Work>) {
    if let Err(error) = work.make_list(true).await {
        work.halt(super::words(&error));
    }
}

/// Files one study after the other.
async fn worker(work: Arc<Work>) {
    let mut busy = false;
    while !work.stop.is_cancelled() {
        // Asked for before looking, so that news in between is not missed.
        let news = work.news.notified();
        let claimed = if work.trouble().is_some() { Ok(None) } else { work.claim().await };
        let result = match claimed {
            Ok(Some((item, held))) => {
                busy = true;
                let span = error_span!("study", study.uid = %item.study.study_uid);
                filer::file(&work, item, held).instrument(span).await
            }
            Ok(None) => {
                // Once for each spell of work: whoever is told looks, and wakes everybody.
                if std::mem::take(&mut busy) {
                    work.idle.notify_one();
                }
                tokio::select! {
                    () = work.stop.cancelled() => return,
                    () = news => {}
                    () = tokio::time::sleep(SUPERVISION * 4) => {}
                }
                continue;
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            if error.disposition() == Disposition::Halt {
                work.halt(super::words(&error));
            } else {
                warn!(error = &error as &dyn std::error::Error, "a worker stumbled");
                work.sleep(PAUSE).await;
            }
        }
    }
}

impl Work {
    /// The newest study that nobody works on, once everything is listed.
    async fn claim(&self) -> Result<Option<(crate::catalog::Item, super::keeper::Held)>, JobError> {
        let catalog = &self.engine.catalog;
        let listed = catalog.job(self.job.id).await?.is_some_and(|job| job.enumerated);
        // A read first, so that an idle worker writes nothing.
        if !listed || catalog.next_due(self.job.id).await?.is_none_or(|due| due > super::now()) {
            return Ok(None);
        }
        Ok(self.engine.keeper.claim(self.job.id, false).await?)
    }
}
