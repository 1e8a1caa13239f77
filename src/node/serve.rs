//! The hospital's node as a process: it answers on what the catalog holds while others fill it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::audit::{self, Auditing};
use super::held::while_held;
use super::priors::PRIORS_LEASE;
use super::worker::announce as announce_process;
use super::{NODE_LEASE, NodeError, OUTBOX_LEASE, WORKER_LEASE, door, process_name, reload};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::dicomweb::{DicomWeb, Parts};
use crate::intake::Intake;
use crate::job::{self, Keeper};
use crate::outbox::Outbox;
use crate::picture::Pictures;
use crate::scp::{Beyond, Bound, Commitments, Departures, Gates, Meter, Services, charset_of, deliver};
use crate::store::Cache;
use crate::web::{Accounts, Followers, Looks, Port, Provider, Web, first_account};

/// How long associations have to finish the message in hand when the node stops.
const FINISH: Duration = Duration::from_secs(30);

/// How long to wait before the port of the console is tried again.
const CONSOLE_PAUSE: Duration = Duration::from_secs(10);

/// Serves the hospital's nodes until `shutdown`. What is `beside` the node begins when the port is ours, and ends with
/// `shutdown` too.
pub async fn serve<B: Future<Output = ()> + Send + 'static>(
    mut config: Config,
    shutdown: CancellationToken,
    beside: impl FnOnce(Catalog) -> B,
) -> Result<(), NodeError> {
    for problem in config.resolve() {
        warn!(%problem, "an address");
    }
    let node = super::open(config).await?;
    super::remove_leftovers(&node).await;
    let owner = process_name();
    let (sender, config) = watch::channel(Arc::new(node.config.clone()));
    let intake = Intake::start(node.store.clone(), node.catalog.clone(), owner.clone())?;
    let auditing = Auditing::new(node.catalog.clone(), config.clone(), "serve");
    let background = TaskTracker::new();
    let stop_background = CancellationToken::new();
    let (departures, recording) = Departures::new(node.catalog.clone(), stop_background.clone());
    background.spawn(recording);
    let beyond = Beyond::new(node.catalog.clone(), job::asking(node.catalog.clone(), config.clone()));
    let (outlet, decoder) = door::outlet(&node);
    let services = Services {
        config: config.clone(),
        catalog: node.catalog.clone(),
        intake: intake.clone(),
        outlet,
        audit: auditing.audit.clone(),
        beyond,
        departures,
        commitments: Commitments::new(node.catalog.clone(), node.store.clone()),
        gates: Gates::default(),
        meter: Meter::default(),
    };
    let listener = services.bind().await.map_err(NodeError::Port)?;
    announce(&listener, &config.borrow());
    auditing.begin();
    let pictures = Pictures::new(services.outlet.clone(), door::limits(&node.config));
    let dicomweb = DicomWeb::new(Parts {
        config: config.clone(),
        catalog: node.catalog.clone(),
        intake: intake.clone(),
        outlet: services.outlet.clone(),
        pictures: pictures.clone(),
        audit: auditing.audit.clone(),
        departures: services.departures.clone(),
        meter: services.meter.clone(),
    });
    let console = Web {
        dicomweb,
        config: config.clone(),
        catalog: node.catalog.clone(),
        store: node.store.clone(),
        intake: intake.clone(),
        outlet: services.outlet.clone(),
        pictures: pictures.clone(),
        previews: Cache::new(beside_catalog(&node.config), node.config.pictures.cache),
        meter: services.meter.clone(),
        accounts: Accounts::default(),
        followers: Followers::default(),
        provider: Provider::default(),
        looks: Looks::default(),
        audit: auditing.audit.clone(),
        worker_lease: WORKER_LEASE,
        closing: shutdown.clone(),
    };
    background.spawn(hold_console(console, stop_background.clone()));
    background.spawn(stop_background.clone().run_until_cancelled_owned(async move { pictures.tidy().await }));
    if let Some(decoder) = decoder {
        background.spawn(stop_background.clone().run_until_cancelled_owned(async move { decoder.tidy().await }));
    }
    background.spawn(deliver(services.clone(), shutdown.clone()));
    let outbox = Outbox::new(&services.catalog, &services.outlet, &config, &services.audit);
    let serving = tokio::spawn(services.serve(listener, shutdown.clone()));
    let keeper = Keeper::new(node.catalog.clone(), &owner)?;
    background.spawn(announce_process(keeper.clone(), NODE_LEASE, stop_background.clone()));
    background.spawn({
        let (keeper, stop) = (keeper.clone(), stop_background.clone());
        async move { keeper.run(stop).await }
    });
    background.spawn(audit::deliver(node.catalog.clone(), config.clone(), keeper.clone(), stop_background.clone()));
    let (catalog, watched, audit) = (node.catalog.clone(), config.clone(), auditing.audit.clone());
    let priors = move |ended| super::priors::keep(catalog.clone(), watched.clone(), audit.clone(), ended);
    background.spawn(while_held(keeper.clone(), PRIORS_LEASE, stop_background.clone(), priors));
    background
        .spawn(while_held(keeper, OUTBOX_LEASE, stop_background.clone(), move |ended| outbox.clone().deliver(ended)));
    background.spawn(beside(node.catalog.clone()));
    background.spawn(reload::watch(sender, stop_background.clone()));
    let swept = intake.sweep(move |origin| charset_of(&config.borrow(), origin.source.as_deref())).await?;
    info!(folders = swept.folders, removed = swept.removed, "swept what dead processes left");

    shutdown.cancelled().await;
    // Upstream first: no listener, the messages in hand, nothing in the intake, nothing held, the console last.
    match tokio::time::timeout(FINISH, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => error!(%error, "the listener broke down"),
        Err(_) => warn!("associations that did not come to an end in time are cut off"),
    }
    let closed = intake.close().await;
    stop_background.cancel();
    background.close();
    if tokio::time::timeout(FINISH, background.wait()).await.is_err() {
        warn!("what runs beside the node did not come to an end in time");
    }
    node.catalog.release_owner(&owner).await?;
    auditing.end().await;
    Ok(closed?)
}

/// Where previews are kept.
fn beside_catalog(config: &Config) -> PathBuf {
    config.storage.catalog.parent().unwrap_or(Path::new("")).join("previews")
}

/// Says where the node listens, and to whom it answers.
fn announce(listener: &Bound, config: &Config) {
    let Ok(address) = listener.local_addr() else { return };
    let to = match config.peers.len() {
        0 if config.sources.is_empty() => "nobody but this machine: no [[peer]] is configured".to_owned(),
        0 => "this machine, and takes objects from the [[source]]s: no [[peer]] is configured".to_owned(),
        peers => format!("{peers} configured peers"),
    };
    info!(%address, ae_title = %config.node.ae_title, "the node listens, and answers to {to}");
}

/// Answers on the console's port whenever it can be had. The hospital's nodes do not depend on it.
async fn hold_console(console: Web, stop: CancellationToken) {
    let mut told: Option<String> = None;
    while !stop.is_cancelled() {
        let config = console.config.borrow().clone();
        match Port::bind(&config).await {
            Ok(port) => {
                let address = port.address();
                info!(%address, "the console: {address}/; metrics and health: {address}/metrics, /healthz, /readyz");
                introduce(&console, &address).await;
                return console.serve(port, stop).await;
            }
            Err(error) => {
                let why = error.to_string();
                if told.as_ref() != Some(&why) {
                    warn!(
                        address = %config.web.listen, error = &error as &dyn std::error::Error,
                        "the console cannot listen, and there are no metrics: end the program that holds the port (`ss \
                         -ltnp` names it), mend `[web] tls`, or set another address in `[web] listen`. The node itself \
                         goes on"
                    );
                    told = Some(why);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(CONSOLE_PAUSE) => {}
        }
    }
}

/// Where there is no account yet, makes the first, and says its password where only whoever started this sees it.
async fn introduce(console: &Web, address: &str) {
    match first_account(&console.catalog).await {
        Ok(None) => {}
        Ok(Some((name, made))) => eprintln!(
            "\nThe console has its first account. Sign in at {address}/ as `{name}` with the password\n\n    {}\n\n\
             It is shown this once, and {}; after that\n`pacsferry user password {name}` makes another. `pacsferry user` \
             makes more accounts.\n",
            made.password,
            made.terms()
        ),
        Err(error) => warn!(error = &error as &dyn std::error::Error, "the first account of the console was not made"),
    }
}
