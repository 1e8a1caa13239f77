//! One job as this process works on it: what planner and workers share, and their links to the source.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::engine::Engine;
use super::health::Health;
use super::keeper::Held;
use crate::catalog::{Job, Slowed};
use crate::config::{Limits, Source};
use crate::dicom::StudyInstanceUid;
use crate::scp::{Gate, charset_of};
use crate::scu::{Purpose, ScuError, SourceSession, Target};

/// How often a free slot of the source is looked for.
pub(super) const SLOT_POLL: Duration = Duration::from_millis(100);
/// The same where somebody waits, and how often it is looked whether somebody does.
pub(super) const PROMPT: Duration = Duration::from_millis(25);
/// A link is given back after this long when somebody else waits for a slot.
pub(super) const LONGEST_TURN: Duration = Duration::from_secs(5);
/// How long the planner keeps the only slot of a source before a worker has it.
const PLANNER_TURN: Duration = Duration::from_secs(2);
/// Studies that may wait for their last objects at the same time.
const SETTLING: usize = 64;

/// What everybody who works on a job shares.
pub(super) struct Work {
    pub(super) engine: Engine,
    pub(super) job: Job,
    pub(super) source_name: String,
    /// As it was configured when the job began here: what holds if it is taken out meanwhile.
    begun_with: Source,
    pub(super) health: Health,
    /// How this machine is doing at taking objects.
    pub(super) storage: Health,
    pub(super) gate: Arc<Gate>,
    /// Everything ends: paused, cancelled, halted, or the process stops.
    pub(super) stop: CancellationToken,
    /// New work may be there.
    pub(super) news: Notify,
    pub(super) settling: Arc<Semaphore>,
    /// Whether a source that cannot be reached is waited for.
    pub(super) patient: bool,
    /// Pulls that run end; replaced when there is room again.
    pulls: Mutex<CancellationToken>,
    suspended: AtomicBool,
    planner_waits: AtomicBool,
    /// Somebody waits for a study, and there is no slot for it yet.
    people_wait: AtomicBool,
    /// Studies that are known not to have the modalities that the job is about.
    pub(super) unwanted: Mutex<HashSet<StudyInstanceUid>>,
    /// Turns that workers have had.
    turns: AtomicU64,
    halted: Mutex<Option<String>>,
    /// An operator wants the source to be treated more gently.
    slowed: Mutex<Option<Slowed>>,
}

/// An association slot of the source, and the association in it, if one is open.
pub(super) struct Link {
    slot: Held,
    session: Option<(Purpose, SourceSession)>,
    since: Instant,
}

impl Work {
    /// `None` when the source is not configured.
    pub(super) fn new(engine: Engine, job: Job, stop: &CancellationToken) -> Option<Self> {
        let source_name = job.spec.source.clone().unwrap_or_default();
        let begun_with = engine.config.borrow().source(&source_name).cloned()?;
        let stop = stop.child_token();
        Some(Work {
            gate: engine.gates.of(&source_name),
            engine,
            job,
            source_name,
            begun_with,
            health: Health::default(),
            storage: Health::default(),
            pulls: Mutex::new(stop.child_token()),
            stop,
            news: Notify::new(),
            settling: Arc::new(Semaphore::new(SETTLING)),
            patient: true,
            suspended: AtomicBool::new(false),
            planner_waits: AtomicBool::new(false),
            people_wait: AtomicBool::new(false),
            unwanted: Mutex::default(),
            turns: AtomicU64::new(0),
            halted: Mutex::new(None),
            slowed: Mutex::new(None),
        })
    }

    /// The source as the configuration describes it now.
    pub(super) fn source(&self) -> Source {
        self.engine.config.borrow().source(&self.source_name).cloned().unwrap_or_else(|| self.begun_with.clone())
    }

    /// Whether the source is still configured.
    pub(super) fn is_configured(&self) -> bool {
        self.engine.config.borrow().source(&self.source_name).is_some()
    }

    /// Stops the job until a person has mended something.
    pub(super) fn halt(&self, message: String) {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
        self.stop.cancel();
    }

    /// What a person must mend.
    pub(super) fn halted(&self) -> Option<String> {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops pulling while there is no room, and goes on when there is.
    pub(super) fn suspend(&self, suspended: bool) {
        let was = self.suspended.swap(suspended, Ordering::SeqCst);
        if was == suspended {
            return;
        }
        let mut pulls = self.pulls.lock().unwrap_or_else(PoisonError::into_inner);
        if suspended {
            pulls.cancel();
        } else {
            *pulls = self.stop.child_token();
            self.news.notify_waiters();
        }
    }

    pub(super) fn suspended(&self) -> bool {
        self.suspended.load(Ordering::SeqCst)
    }

    /// A token that ends one pull: with everything, for want of room, with a lost lease, or when the limits of the
    /// hour no longer allow its slot.
    pub(super) fn pull_token(self: &Arc<Self>, item: &Held, link: &Link) -> (CancellationToken, DropGuard) {
        let token = self.pulls.lock().unwrap_or_else(PoisonError::into_inner).child_token();
        let (lost, slot_lost, slot) = (item.lost().clone(), link.slot.lost().clone(), link.slot.slot());
        let (work, ended) = (Arc::clone(self), token.clone());
        self.engine.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = lost.cancelled() => break,
                    () = slot_lost.cancelled() => break,
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                }
                if slot >= work.associations() {
                    break;
                }
            }
            ended.cancel();
        });
        let guard = token.clone().drop_guard();
        (token, guard)
    }

    /// What an operator wants beside the configuration, from now on.
    pub(super) fn set_slowed(&self, slowed: Option<Slowed>) {
        *self.slowed.lock().unwrap_or_else(PoisonError::into_inner) = slowed;
    }

    /// What holds for the source now: the configuration at this hour, or what an operator wants if that is less.
    pub(super) fn limits(&self) -> Limits {
        let Limits { associations, rate } = self.source().limits_at(&jiff::Zoned::now());
        let slowed = self.slowed.lock().unwrap_or_else(PoisonError::into_inner);
        match slowed.as_ref().filter(|slowed| slowed.until > super::now()) {
            None => Limits { associations, rate },
            Some(slowed) => Limits {
                associations: associations.min(usize::try_from(slowed.associations).unwrap_or(usize::MAX)),
                rate: rate.into_iter().chain(slowed.rate).min(),
            },
        }
    }

    /// Associations that the source is asked for now.
    pub(super) fn associations(&self) -> usize {
        self.limits().associations
    }

    /// Waits for a slot of the source; `None` when the job stops.
    pub(super) async fn link(&self, planner: bool) -> Option<Link> {
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            let pause = self.health.pause().map(|(left, _)| left.min(Duration::from_secs(1)));
            if let Some(pause) = pause {
                self.sleep(pause).await;
                continue;
            }
            // The planner goes first: without a plan there is nothing to pull.
            if planner {
                self.planner_waits.store(true, Ordering::SeqCst);
            }
            let limit = self.associations();
            let people_wait = self.people_wait.load(Ordering::SeqCst);
            if (planner || people_wait || !self.planner_waits.load(Ordering::SeqCst)) && limit > 0 {
                match self.engine.keeper.slot(&self.source_name, limit).await {
                    Ok(Some(slot)) => {
                        if planner {
                            self.planner_waits.store(false, Ordering::SeqCst);
                        } else {
                            self.turns.fetch_add(1, Ordering::SeqCst);
                        }
                        return Some(Link { slot, session: None, since: Instant::now() });
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "cannot take an association slot"),
                }
            }
            self.sleep(if people_wait { PROMPT } else { SLOT_POLL }).await;
        }
    }

    /// The same for a study that somebody waits for: the planner lets go of its own.
    pub(super) async fn link_for_people(&self) -> Option<Link> {
        self.people_wait.store(true, Ordering::SeqCst);
        let link = self.link(false).await;
        self.people_wait.store(false, Ordering::SeqCst);
        link
    }

    /// Whether the planner may keep its link for one more window: where workers have slots of their own, and nobody waits.
    pub(super) fn planner_may_keep(&self, link: &Link) -> bool {
        let associations = self.associations();
        let people_wait = self.people_wait.load(Ordering::SeqCst);
        let enough = if associations > 1 { !people_wait } else { link.since.elapsed() < PLANNER_TURN };
        enough && !link.slot.lost().is_cancelled() && link.slot.slot() < associations && self.health.pause().is_none()
    }

    /// Lets a worker have the only slot for a study, if there is one to pull.
    pub(super) async fn let_workers_in(&self) {
        let (before, began) = (self.turns.load(Ordering::SeqCst), Instant::now());
        let nobody_yet = || self.turns.load(Ordering::SeqCst) == before && began.elapsed() < PLANNER_TURN;
        while self.is_there_work(false).await && nobody_yet() && !self.stop.is_cancelled() {
            self.sleep(SLOT_POLL).await;
        }
    }

    /// Whether there is something to claim: listed, or due; for a reserved worker, what somebody waits for.
    pub(super) async fn is_there_work(&self, reserved: bool) -> bool {
        let catalog = &self.engine.catalog;
        if reserved {
            return catalog.is_recalled(self.job.id).await.is_ok_and(|recalled| recalled);
        }
        let listed = catalog.totals(self.job.id).await.is_ok_and(|totals| totals.items.listed > 0);
        listed || catalog.next_due(self.job.id).await.is_ok_and(|due| due.is_some_and(|due| due <= super::now()))
    }

    /// Whether a worker may keep its link for one more study.
    pub(super) async fn may_keep(&self, link: &Link) -> bool {
        if self.suspended() || link.slot.lost().is_cancelled() || link.slot.slot() >= self.associations() {
            return false;
        }
        if self.planner_waits.load(Ordering::SeqCst) {
            return false;
        }
        if link.since.elapsed() < LONGEST_TURN {
            return true;
        }
        // Others may be waiting, in other processes too: with every slot taken, let them have a turn.
        let taken = self.engine.catalog.slots_held(&self.source_name, self.engine.keeper.owner()).await;
        taken.is_ok_and(|(mine, all)| mine == all && all < self.associations().max(2))
    }

    /// Sleeps, or returns at once when the job stops.
    pub(super) async fn sleep(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    fn target(&self, source: &Source) -> Target {
        Target {
            name: source.name.clone(),
            host: source.address.host.clone(),
            port: source.address.port,
            called: source.ae_title.clone(),
            calling: source.calling.clone(),
            connect: source.timeout.connect,
            respond: source.timeout.find,
            default_charset: charset_of(&self.engine.config.borrow(), Some(&source.name)),
            throttle: Some(Arc::clone(&self.gate.throttle)),
            tls: source.tls.clone(),
            identity: source.identity.clone(),
        }
    }
}

impl Link {
    /// The association, opened for this purpose if it is not yet. Another one is released first, so that a slot never
    /// has two.
    pub(super) async fn session(&mut self, work: &Work, purpose: &Purpose) -> Result<&mut SourceSession, ScuError> {
        let open = match self.session.take() {
            Some((open, session)) if open == *purpose && session.is_usable() => (open, session),
            other => {
                self.session = other;
                self.hang_up().await;
                let session = SourceSession::open(&work.target(&work.source()), purpose.clone()).await?;
                work.health.answered();
                (purpose.clone(), session)
            }
        };
        Ok(&mut self.session.insert(open).1)
    }

    /// Ends the association in peace; the slot stays.
    pub(super) async fn hang_up(&mut self) {
        if let Some((_, session)) = self.session.take() {
            session.release().await;
        }
    }

    /// Drops an association that broke, or that is in an unknown state; the slot stays.
    pub(super) async fn broken(&mut self) {
        if let Some((_, session)) = self.session.take() {
            session.abort().await;
        }
    }

    /// Gives everything back.
    pub(super) async fn close(mut self) {
        self.hang_up().await;
        self.slot.release().await;
    }
}
