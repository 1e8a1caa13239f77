//! The worker: runs jobs and owns the receiver. Stopped, it gives everything back and leaves its jobs running for the
//! next one; killed, it loses nothing but the time of its leases.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::audit::{self, Auditing};
use super::held::while_held;
use super::priors::PRIORS_LEASE;
use super::{Node, NodeError, OUTBOX_LEASE, RECEIVER_LEASE, WORKER_LEASE, door, process_name, reload};
use crate::audit::Audit;
use crate::catalog::{JobKind, JobState};
use crate::config::Config;
use crate::intake::Intake;
use crate::job::{Engine, Keeper, control};
use crate::outbox::Outbox;
use crate::scp::{Gates, Receiver, charset_of};

/// How often to look for new jobs, and whether the receiver has become free.
const POLL: Duration = Duration::from_millis(250);
/// How long to wait before a port that is taken, or a job that failed, is tried again.
pub(super) const PAUSE: Duration = Duration::from_secs(2);
/// How often it is said again that the port cannot be had.
const REMIND: Duration = Duration::from_secs(10 * 60);

/// Which jobs a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerScope {
    /// Every running job, until it is stopped.
    All,
    /// One job, until it comes to rest.
    Job(i64),
}

/// How holding the receiver's port has begun.
type Ready = watch::Sender<Option<bool>>;

/// Runs jobs until `shutdown`, or until the one job of its scope is at rest.
pub async fn run_worker(mut config: Config, scope: WorkerScope, shutdown: CancellationToken) -> Result<(), NodeError> {
    for problem in config.resolve() {
        warn!(%problem, "a source's address");
    }
    let node = super::open(config).await?;
    super::remove_leftovers(&node).await;
    let owner = process_name();
    let (sender, config) = watch::channel(Arc::new(node.config.clone()));
    let intake = Intake::start(node.store.clone(), node.catalog.clone(), owner.clone())?;
    let known = config.clone();
    let swept = intake.sweep(move |origin| charset_of(&known.borrow(), origin.source.as_deref())).await?;
    info!(folders = swept.folders, removed = swept.removed, "swept what dead processes left");
    let keeper = Keeper::new(node.catalog.clone(), &owner)?;
    let auditing = Auditing::new(node.catalog.clone(), config.clone(), "work");
    auditing.begin();
    let background = TaskTracker::new();
    let stop_background = CancellationToken::new();
    background.spawn({
        let (keeper, stop) = (keeper.clone(), stop_background.clone());
        async move { keeper.run(stop).await }
    });
    background.spawn(audit::deliver(node.catalog.clone(), config.clone(), keeper.clone(), stop_background.clone()));
    let (outlet, decoder) = door::outlet(&node);
    if let Some(decoder) = decoder {
        background.spawn(stop_background.clone().run_until_cancelled_owned(async move { decoder.tidy().await }));
    }
    let outbox = Outbox::new(&node.catalog, &outlet, &config, &auditing.audit);
    let send = move |ended| outbox.clone().deliver(ended);
    background.spawn(while_held(keeper.clone(), OUTBOX_LEASE, stop_background.clone(), send));
    let (catalog, watched, audit) = (node.catalog.clone(), config.clone(), auditing.audit.clone());
    let priors = move |ended| super::priors::keep(catalog.clone(), watched.clone(), audit.clone(), ended);
    background.spawn(while_held(keeper.clone(), PRIORS_LEASE, stop_background.clone(), priors));
    background.spawn(reload::watch(sender, stop_background.clone()));
    if scope == WorkerScope::All {
        background.spawn(announce(keeper.clone(), WORKER_LEASE, shutdown.clone()));
    }

    let engine = Engine {
        config: config.clone(),
        catalog: node.catalog.clone(),
        intake: intake.clone(),
        store: node.store.clone(),
        gates: Gates::default(),
        keeper: keeper.clone(),
        tasks: TaskTracker::new(),
    };
    let receiver =
        Receiver { config, catalog: node.catalog.clone(), intake: intake.clone(), gates: engine.gates.clone() };
    // The receiver outlives the jobs, so that what a source is still sending when they stop is told so in DICOM.
    let stop_receiver = CancellationToken::new();
    let (ready, mut is_ready) = watch::channel(None);
    let wanted = match scope {
        WorkerScope::All => true,
        WorkerScope::Job(id) => node.catalog.job(id).await?.is_none_or(|job| job.spec.kind == JobKind::Migration),
    };
    let holding = if wanted {
        background.spawn(hold_receiver(receiver, keeper, scope, ready, stop_receiver.clone()))
    } else {
        ready.send_replace(Some(true));
        background.spawn(async { Ok(()) })
    };
    let begun = tokio::select! {
        () = shutdown.cancelled() => false,
        begun = is_ready.wait_for(Option::is_some) => begun.is_ok_and(|begun| *begun == Some(true)),
    };
    let ran = if begun { run_jobs(&node, &engine, scope, &auditing.audit, &shutdown).await } else { Ok(()) };

    // Upstream first: no claims, no pulls, no listener, nothing in the intake, nothing held.
    engine.tasks.close();
    engine.tasks.wait().await;
    stop_receiver.cancel();
    let received = holding.await;
    let closed = intake.close().await;
    node.catalog.release_owner(&owner).await?;
    stop_background.cancel();
    background.close();
    background.wait().await;
    auditing.end().await;
    ran?;
    closed?;
    received.unwrap_or_else(|error| {
        error!(%error, "the receiver failed");
        Ok(())
    })
}

/// Runs what there is to run; returns when stopped, or when the one job is at rest.
async fn run_jobs(
    node: &Node,
    engine: &Engine,
    scope: WorkerScope,
    audit: &Audit,
    shutdown: &CancellationToken,
) -> Result<(), NodeError> {
    if let WorkerScope::Job(id) = scope {
        if let Some(job) = node.catalog.job(id).await? {
            audit::job_begun(audit, &job);
            let ran = engine.run(job, shutdown).await;
            audit::job_ended(audit, &node.catalog, id).await;
            ran?;
        }
        return Ok(());
    }
    let running: Arc<Mutex<HashSet<i64>>> = Arc::default();
    let tasks = TaskTracker::new();
    while !shutdown.is_cancelled() {
        if lock(&running).is_empty() && control::is_closed(&node.catalog).await? {
            info!("the worker was told to end, and has nothing in hand");
            shutdown.cancel();
            break;
        }
        for job in node.catalog.jobs().await? {
            let to_run = matches!(job.state, JobState::Running | JobState::Stopping);
            if !to_run || !lock(&running).insert(job.id) {
                continue;
            }
            let (engine, shutdown, running, id) = (engine.clone(), shutdown.clone(), Arc::clone(&running), job.id);
            info!(job = id, "running a job");
            audit::job_begun(audit, &job);
            let (audit, catalog) = (audit.clone(), node.catalog.clone());
            tasks.spawn(async move {
                if let Err(error) = engine.run(job, &shutdown).await {
                    error!(job = id, error = &error as &dyn std::error::Error, "a job failed");
                    pause(&shutdown, PAUSE).await;
                }
                audit::job_ended(&audit, &catalog, id).await;
                lock(&running).remove(&id);
            });
        }
        pause(shutdown, POLL).await;
    }
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Tells other processes that one of this kind lives, by a lease. One says it for all.
pub(super) async fn announce(keeper: Keeper, lease: &'static str, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match keeper.acquire(lease).await {
            Ok(Some(lease)) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = lease.lost().cancelled() => {}
                }
                lease.release().await;
            }
            Ok(None) => pause(&stop, PAUSE).await,
            Err(error) => {
                warn!(%error, lease, "cannot ask for a lease");
                pause(&stop, PAUSE).await;
            }
        }
    }
}

/// Holds the receiver's port whenever no other process does.
async fn hold_receiver(
    receiver: Receiver,
    keeper: Keeper,
    scope: WorkerScope,
    ready: Ready,
    stop: CancellationToken,
) -> Result<(), NodeError> {
    let mut told: Option<(tokio::time::Instant, String)> = None;
    while !stop.is_cancelled() {
        let lease = keeper.acquire(RECEIVER_LEASE).await.unwrap_or_else(|error| {
            warn!(%error, "cannot ask for the receiver's lease");
            None
        });
        let Some(lease) = lease else {
            // Another process receives; its arrivals show in the catalog. One that was killed keeps the lease until it
            // runs out, and until then what is pulled could not be sent.
            let known = ready.borrow().is_some();
            if !known && receiver.somebody_listens().await {
                ready.send_replace(Some(true));
            }
            pause(&stop, POLL).await;
            continue;
        };
        match receiver.bind().await {
            Ok(listener) => {
                if let Ok(address) = listener.local_addr() {
                    info!(%address, "the receiver listens");
                }
                told = None;
                ready.send_replace(Some(true));
                let ended = stop.child_token();
                let serving = receiver.clone().serve(listener, ended.clone());
                tokio::pin!(serving);
                tokio::select! {
                    () = &mut serving => {}
                    () = lease.lost().cancelled() => {
                        warn!("the receiver's lease is lost to another process");
                        ended.cancel();
                        serving.await;
                    }
                }
                lease.release().await;
            }
            Err(error) => {
                lease.release().await;
                let known = ready.borrow().is_some();
                if matches!(scope, WorkerScope::Job(_)) && !known {
                    ready.send_replace(Some(false));
                    return Err(NodeError::Receiver(error));
                }
                // Tried again every other second: said once, and again when it changes or has lasted long.
                let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                if told.as_ref().is_none_or(|(at, said)| *said != why || at.elapsed() > REMIND) {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "the receiver cannot listen; C-MOVE brings nothing until it can"
                    );
                    told = Some((tokio::time::Instant::now(), why));
                }
                ready.send_replace(Some(true));
                pause(&stop, PAUSE).await;
            }
        }
    }
    Ok(())
}

pub(super) async fn pause(stop: &CancellationToken, duration: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(duration) => {}
    }
}

fn lock(running: &Mutex<HashSet<i64>>) -> std::sync::MutexGuard<'_, HashSet<i64>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
