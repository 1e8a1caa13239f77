//! The hospital's node as a process: it answers on what the catalog holds while others fill it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{NodeError, process_name, reload};
use crate::audit::{Audit, AuditEvent};
use crate::config::Config;
use crate::intake::Intake;
use crate::job::Keeper;
use crate::outlet::Outlet;
use crate::scp::{Commitments, Gates, Services, charset_of, deliver};

/// How long associations have to finish the message in hand when the node stops.
const FINISH: Duration = Duration::from_secs(30);

/// Serves the hospital's nodes until `shutdown`.
pub async fn serve(mut config: Config, shutdown: CancellationToken) -> Result<(), NodeError> {
    for problem in config.resolve() {
        warn!(%problem, "an address");
    }
    let node = super::open(config).await?;
    let owner = process_name();
    let (sender, config) = watch::channel(Arc::new(node.config.clone()));
    let intake = Intake::start(node.store.clone(), node.catalog.clone(), owner.clone())?;
    let stop_audit = CancellationToken::new();
    let (audit, auditing) = Audit::new(node.catalog.clone(), config.clone(), "serve", stop_audit.clone());
    let services = Services {
        config: config.clone(),
        catalog: node.catalog.clone(),
        intake: intake.clone(),
        outlet: Outlet::new(node.store.clone()),
        audit: audit.clone(),
        commitments: Commitments::new(node.catalog.clone(), node.store.clone()),
        gates: Gates::default(),
    };
    // The port first: a second `serve` is to leave without having touched anything.
    let listener = services.bind().await?;
    if let Ok(address) = listener.local_addr() {
        let closed = config.borrow().peers.is_empty();
        let to = if closed { "nobody but this machine: no [[peer]] is configured" } else { "the configured peers" };
        info!(%address, ae_title = %config.borrow().node.ae_title, "the node listens, and answers to {to}");
    }
    let known = config.clone();
    let swept = intake.sweep(move |origin| charset_of(&known.borrow(), origin.source.as_deref())).await?;
    info!(folders = swept.folders, removed = swept.removed, "swept what dead processes left");
    let auditing = tokio::spawn(auditing);
    audit.record(AuditEvent::Application { what: "pacsferry serve".into(), started: true });
    let keeper = Keeper::new(node.catalog.clone(), &owner)?;
    let background = TaskTracker::new();
    let stop_background = CancellationToken::new();
    background.spawn({
        let stop = stop_background.clone();
        async move { keeper.run(stop).await }
    });
    background.spawn(reload::watch(sender, stop_background.clone()));

    background.spawn(deliver(services.clone(), shutdown.clone()));
    let stop = shutdown.clone();
    let serving = tokio::spawn(services.serve(listener, stop));
    shutdown.cancelled().await;
    // Upstream first: no listener, the messages in hand, nothing in the intake, nothing held.
    let abort = serving.abort_handle();
    match tokio::time::timeout(FINISH, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "the listener broke down"),
        Err(_) => {
            warn!("associations that did not come to an end in time are cut off");
            abort.abort();
        }
    }
    let closed = intake.close().await;
    node.catalog.release_owner(&owner).await?;
    stop_background.cancel();
    background.close();
    background.wait().await;
    audit.record(AuditEvent::Application { what: "pacsferry serve".into(), started: false });
    stop_audit.cancel();
    if let Err(error) = auditing.await {
        warn!(%error, "the audit trail broke down");
    }
    Ok(closed?)
}
