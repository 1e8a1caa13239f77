//! Runs a job in this process: one planner, as many workers as the source allows, and a supervisor that obeys the
//! operator, watches the disk, and says when the job is done. Several processes may run the same job at once; they
//! meet in the catalog.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, error_span, info, warn};

use super::keeper::Keeper;
use super::load::Load;
use super::state::InvalidTransition;
use super::work::{self, Link, Work};
use super::{planner, pull};
use crate::catalog::{Catalog, CatalogError, Control, Job, JobKind, JobState};
use crate::config::Config;
use crate::intake::{Intake, IntakeError};
use crate::object::Disposition;
use crate::scp::Gates;
use crate::scu::ScuError;
use crate::store::{Store, StoreError};

/// Control is seen within 250 ms (design §3).
pub(super) const SUPERVISION: Duration = Duration::from_millis(200);
/// How long a stopped job may take to be quiet at the source before that is said anyway.
const QUIET: Duration = Duration::from_secs(30);
/// How long an idle worker keeps its association open.
const IDLE: Duration = Duration::from_secs(1);

/// Why a job cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The source.
    #[error(transparent)]
    Scu(Box<ScuError>),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The way in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The storage folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source was taken out of the configuration.
    #[error("source `{0}` is not in the configuration; add it, then resume the job")]
    NoSource(String),
    /// A defect of this program.
    #[error(transparent)]
    Transition(#[from] InvalidTransition),
    /// The plan in the catalog is not one.
    #[error("reading the plan of the job from the catalog")]
    Plan(#[source] serde_json::Error),
}

impl From<ScuError> for JobError {
    fn from(error: ScuError) -> Self {
        JobError::Scu(Box::new(error))
    }
}

impl JobError {
    /// What it means for the work at hand.
    pub fn disposition(&self) -> Disposition {
        match self {
            JobError::Scu(error) => error.disposition(),
            JobError::Catalog(error) => error.disposition(),
            JobError::Intake(error) => error.disposition(),
            JobError::Store(error) => error.disposition(),
            JobError::Plan(_) | JobError::Transition(_) | JobError::NoSource(_) => Disposition::Halt,
        }
    }
}

/// What jobs run on. A clone is another handle.
#[derive(Clone)]
pub struct Engine {
    /// The configuration, which may change while running.
    pub config: watch::Receiver<Arc<Config>>,
    /// What should happen and what has.
    pub catalog: Catalog,
    /// The single door in.
    pub intake: Intake,
    /// Where room is looked for.
    pub store: Store,
    /// What holds for each source at the receiver.
    pub gates: Gates,
    /// What this process holds.
    pub keeper: Keeper,
    /// Every task that belongs to jobs.
    pub tasks: TaskTracker,
}

impl Engine {
    /// Runs a job until it is finished, paused, cancelled or halted, or until `stop`, which leaves it running for the
    /// next process. Says in which state it left the job.
    pub async fn run(&self, job: Job, stop: &CancellationToken) -> Result<JobState, JobError> {
        if job.spec.kind == JobKind::Import {
            return Box::pin(self.run_import(job, stop)).await;
        }
        let id = job.id;
        let source = job.spec.source.clone().unwrap_or_default();
        let Some(work) = Work::new(self.clone(), job, stop).map(Arc::new) else {
            self.catalog.set_job_state(id, JobState::Halted, Some(&JobError::NoSource(source).to_string())).await?;
            return Ok(JobState::Halted);
        };
        self.catalog.set_job_state(id, JobState::Running, None).await?;
        let tasks = TaskTracker::new();
        let span = error_span!("job", job = id, source = %work.source_name);
        tasks.spawn(plan(Arc::clone(&work)).instrument(span.clone()));
        let workers = most_associations(&work);
        for number in 0..workers {
            // One is kept for people who wait, where there are several.
            let reserved = number + 1 == workers && workers > 1 && self.config.borrow().node.union;
            tasks.spawn(worker(Arc::clone(&work), reserved).instrument(span.clone()));
        }
        tasks.close();
        let state = self.supervise(&work).instrument(span).await;
        work.stop.cancel();
        work.news.notify_waiters();
        tasks.wait().await;
        match state? {
            Some(JobState::Finished) => {
                self.catalog.set_job_state(id, JobState::Finished, None).await?;
                Ok(JobState::Finished)
            }
            Some(state) => self.come_to_rest(&work, state).await,
            None => Ok(JobState::Running),
        }
    }

    /// Only lists what the job is about, and gives up when the source cannot be asked.
    pub async fn enumerate(&self, job: Job, stop: &CancellationToken) -> Result<(), JobError> {
        if job.spec.kind == JobKind::Import {
            return self.list_import(job, stop).await;
        }
        let source = job.spec.source.clone().unwrap_or_default();
        let mut work = Work::new(self.clone(), job, stop).ok_or(JobError::NoSource(source))?;
        work.patient = false;
        work.gate.throttle.set_rate(work.source().limits_at(&jiff::Zoned::now()).rate);
        planner::run(&work).await
    }

    /// Watches until there is a reason to stop; `None` when the process stops.
    async fn supervise(&self, work: &Work) -> Result<Option<JobState>, JobError> {
        let mut told: Option<String> = None;
        let mut load = Load::default();
        loop {
            if let Some(message) = work.halted() {
                error!(message, "the job is halted");
                return Ok(Some(JobState::Halted));
            }
            if work.stop.is_cancelled() {
                return Ok(None);
            }
            let Some(job) = self.catalog.job(work.job.id).await? else { return Ok(None) };
            if let ControlFlow::Break(state) = decided(&job) {
                return Ok(state);
            }
            work.set_slowed(self.catalog.slowed(&work.source_name).await?);
            load.look(self, work).await?;
            let trouble = self.look_around(work);
            if trouble != told {
                // The countdown to the next try is for the job's page; the log has each cause once.
                let cause = |text: &Option<String>| {
                    text.as_deref().and_then(|t| t.split("; next try").next().map(str::to_owned))
                };
                if trouble.is_some() && cause(&trouble) != cause(&told) {
                    warn!(trouble, "waiting");
                }
                self.catalog.set_job_state(work.job.id, JobState::Running, trouble.as_deref()).await?;
                told = trouble;
            }
            let totals = self.catalog.totals(work.job.id).await?;
            if job.enumerated && totals.items.pending() == 0 && work.job.spec.follow.is_none() {
                return Ok(Some(JobState::Finished));
            }
            if totals.items.pending() > 0 {
                work.news.notify_waiters();
            }
            work.sleep(SUPERVISION).await;
        }
    }

    /// What keeps the job from going on just now, in words for its page; sets limits on the way.
    fn look_around(&self, work: &Work) -> Option<String> {
        // A disk may have room for nothing but what was just refused: whoever was told so waits a while as well.
        let room = self.store.check_room().map_err(|error| super::words(&error));
        let crowded = room.err().or_else(|| work.storage.pause().map(|(_, why)| why));
        work.suspend(crowded.is_some());
        if !work.is_configured() {
            work.halt(JobError::NoSource(work.source_name.clone()).to_string());
            return None;
        }
        let source = work.source();
        let limits = work.limits();
        work.gate.throttle.set_rate(limits.rate);
        if let Some(why) = crowded {
            return Some(format!("waiting: {why}"));
        }
        if limits.associations == 0 {
            return Some(format!("waiting: the hours of {} allow no association now", source.name));
        }
        work.health
            .pause()
            .map(|(left, why)| format!("waiting for {}: {why}; next try within {} s", source.name, round_up(left)))
    }

    /// After a stop: the source's own associations end after the object in flight, and the job says `stopping` until
    /// it is quiet.
    async fn come_to_rest(&self, work: &Work, state: JobState) -> Result<JobState, JobError> {
        let id = work.job.id;
        self.catalog.set_job_state(id, JobState::Stopping, None).await?;
        work.gate.stop(true);
        let began = Instant::now();
        while began.elapsed() < QUIET {
            let (_, slots) = self.catalog.slots_held(&work.source_name, self.keeper.owner()).await?;
            let others_run = self.others_run(work).await?;
            if work.gate.open() == 0 && (slots == 0 || others_run) {
                break;
            }
            tokio::time::sleep(SUPERVISION / 4).await;
        }
        self.intake.flush().await?;
        work.gate.stop(false);
        if state == JobState::Cancelled {
            self.catalog.cancel_items(id).await?;
        }
        let message = work.halted().filter(|_| state == JobState::Halted);
        self.catalog.set_job_state(id, state, message.as_deref()).await?;
        info!(state = ?state, "the job has come to rest");
        Ok(state)
    }

    /// Whether another job pulls from the same source: its slots are not ours to wait for.
    async fn others_run(&self, work: &Work) -> Result<bool, JobError> {
        let jobs = self.catalog.jobs().await?;
        Ok(jobs.iter().any(|job| {
            job.id != work.job.id && job.state == JobState::Running && job.spec.source == work.job.spec.source
        }))
    }
}

async fn plan(work: Arc<Work>) {
    if let Err(error) = planner::run(&work).await {
        work.halt(sentence(&error));
    }
}

/// Pulls one study after the other over one association; a reserved one only those that somebody waits for.
async fn worker(work: Arc<Work>, reserved: bool) {
    while !work.stop.is_cancelled() {
        // Asked for before looking, so that news in between is not missed.
        let news = work.news.notified();
        if work.suspended() || !work.is_there_work(reserved).await {
            tokio::select! {
                () = work.stop.cancelled() => return,
                () = news => {}
                () = tokio::time::sleep(if reserved { work::PROMPT } else { IDLE }) => {}
            }
            continue;
        }
        let link = if reserved { work.link_for_people().await } else { work.link(false).await };
        let Some(mut link) = link else { return };
        let began = Instant::now();
        let result = turn(&work, &mut link, reserved).await;
        link.close().await;
        if let Err(error) = result {
            if error.disposition() == Disposition::Halt {
                work.halt(sentence(&error));
            } else {
                warn!(error = &error as &dyn std::error::Error, "a worker stumbled");
                work.sleep(IDLE).await;
            }
        }
        if work.suspended() {
            continue;
        }
        // Whoever waits for a slot gets a chance: after a whole turn, for as long as they take to look.
        let whole_turn = began.elapsed() >= work::LONGEST_TURN;
        work.sleep(if whole_turn { work::SLOT_POLL * 3 / 2 } else { SUPERVISION / 4 }).await;
    }
}

/// Pulls until there is nothing to claim for a while, or somebody else should have the slot.
async fn turn(work: &Arc<Work>, link: &mut Link, reserved: bool) -> Result<(), JobError> {
    let mut idle = Instant::now();
    while !work.stop.is_cancelled() && work.may_keep(link).await && work.health.pause().is_none() {
        let news = work.news.notified();
        match work.engine.keeper.claim(work.job.id, reserved).await? {
            Some((item, held)) => {
                let span = error_span!("study", study.uid = %item.study.study_uid, attempt = item.attempt + 1);
                pull::pull(work, link, item, held).instrument(span).await?;
                idle = Instant::now();
            }
            None if idle.elapsed() > IDLE => return Ok(()),
            None => {
                tokio::select! {
                    () = work.stop.cancelled() => return Ok(()),
                    () = news => {}
                    () = tokio::time::sleep(SUPERVISION) => {}
                }
                // A read, so that an idle worker writes nothing.
                while !work.is_there_work(reserved).await && idle.elapsed() < IDLE && !work.stop.is_cancelled() {
                    work.sleep(SUPERVISION / 4).await;
                }
            }
        }
    }
    Ok(())
}

/// Workers for the most associations that any hour allows; the slots keep them within the present one.
fn most_associations(work: &Work) -> usize {
    let source = work.source();
    let hours = source.hours.iter().filter_map(|hours| hours.associations).max().unwrap_or(0);
    source.associations.max(hours).max(1)
}

fn round_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// An error with its causes and its remedy, as one line.
fn sentence(error: &JobError) -> String {
    let remedy = match error {
        JobError::Scu(scu) => scu.remedy(),
        _ => None,
    };
    let words = super::words(error);
    remedy.map_or(words.clone(), |remedy| format!("{words}; {remedy}"))
}

/// Whether a running job is to come to an end by what an operator wants or another process has done, and in which state;
/// without one, this process has nothing more to say about it.
pub(super) fn decided(job: &Job) -> ControlFlow<Option<JobState>> {
    match (job.control, job.state) {
        (Control::Pause, _) => ControlFlow::Break(Some(JobState::Paused)),
        (Control::Cancel, _) => ControlFlow::Break(Some(JobState::Cancelled)),
        // Another process has come to an end with it.
        (Control::Run, JobState::Finished) => ControlFlow::Break(Some(JobState::Finished)),
        (Control::Run, JobState::Halted) => ControlFlow::Break(None),
        (Control::Run, _) => ControlFlow::Continue(()),
    }
}
