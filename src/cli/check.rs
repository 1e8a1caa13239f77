//! `check`: tries everything that a migration needs, and says what is wrong and how to mend it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::checkup::{Checkup, tell};
use super::exit::chain;
use super::{Exit, Failure, Global, open, remedy};
use crate::assoc::tls::{self, Finding};
use crate::catalog::Catalog;
use crate::config::{Config, Right, Source};
use crate::job::{control, probe};
use crate::node::{self, NODE_LEASE, RECEIVER_LEASE};
use crate::outbox;
use crate::store::Store;
use crate::web::Provider;

/// Read the configuration and try everything in it
///
/// Folders, catalog, free space, certificates, ports, the AI platform, and C-ECHO to each source. Says what is wrong and how to mend it, and what to
/// register at the old PACS.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pacsferry check\n  pacsferry check --peers\n  pacsferry check --json | jq .ok")]
pub(super) struct Args {
    /// Also C-ECHO to each peer that C-MOVE may send to
    #[arg(long)]
    peers: bool,
}

pub(super) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let mut checkup = Checkup::default();
    let config = match crate::config::load(global.config.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            for problem in error.problems() {
                checkup.error(&problem.where_, &problem.message, &problem.remedy);
            }
            tell(global, &checkup)?;
            return Ok(Exit::Usage);
        }
    };
    configuration(&config, &mut checkup);
    security(&config, &mut checkup);
    let catalog = storage(&config, &mut checkup).await;
    ports(&config, catalog.as_ref(), &mut checkup).await;
    for source in &config.sources {
        one_source(&config, source, catalog.as_ref(), &mut checkup).await;
    }
    platform(&config, &mut checkup).await;
    provider(&config, &mut checkup).await;
    if args.peers {
        peers(&config, &mut checkup).await;
    }
    tell(global, &checkup)?;
    Ok(if checkup.ok() { Exit::Done } else { Exit::Failed })
}

fn configuration(config: &Config, checkup: &mut Checkup) {
    match &config.path {
        Some(path) => checkup.good(format!("configuration {}", path.display())),
        None => checkup.warn(
            "configuration",
            "there is no configuration file, the defaults hold",
            "`pacsferry guide config > pacsferry.toml` writes one to be filled in",
        ),
    }
    if config.sources.is_empty() {
        checkup.warn("source", "there is no source to migrate from", "add a [[source]] to the configuration");
    }
    for problem in config.clone().resolve() {
        checkup.error(&problem.where_, problem.message, problem.remedy);
    }
}

/// Certificates, keys and passcodes.
fn security(config: &Config, checkup: &mut Checkup) {
    let findings = tls::examine(config, SystemTime::now());
    let files = config.secret_files().len();
    if findings.is_empty() && files > 0 {
        checkup.good(format!("{files} files of certificates, keys and passcodes"));
    }
    for Finding { severe, problem } in findings {
        match severe {
            true => checkup.error(&problem.where_, problem.message, problem.remedy),
            false => checkup.warn(&problem.where_, problem.message, problem.remedy),
        }
    }
}

/// Folder, room and catalog. Nothing is made that is not there.
async fn storage(config: &Config, checkup: &mut Checkup) -> Option<Catalog> {
    let (folder, path) = (&config.storage.folder, &config.storage.catalog);
    match (path.exists(), folder.exists()) {
        (false, false) => {
            for (key, wanted) in [("storage.folder", folder), ("storage.catalog", path)] {
                can_be_made(key, wanted, checkup);
            }
            None
        }
        (true, _) => match node::open(config.clone()).await {
            Ok(node) => {
                match node.store.check_room() {
                    Ok(()) => {
                        checkup.good(format!("storage folder {} and catalog {}", folder.display(), path.display()))
                    }
                    Err(error) => {
                        checkup.error("storage.minimum_free", chain(&error), "make room, or lower `minimum_free`")
                    }
                }
                Some(node.catalog)
            }
            Err(error) => {
                checkup.error("storage", chain(&error), remedy::of_node(&error));
                open::catalog_if_any(config).ok().flatten()
            }
        },
        (false, true) => {
            let empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
                || Store::open(folder, 0).and_then(|store| store.is_used()).is_ok_and(|used| !used);
            if empty {
                can_be_made("storage.folder", folder, checkup);
            } else {
                checkup.error(
                    "storage.catalog",
                    format!(
                        "the storage folder {} holds files, and there is no catalog at {}",
                        folder.display(),
                        path.display()
                    ),
                    "name the right catalog; or, when it is lost, make it anew with `pacsferry rebuild`",
                );
            }
            can_be_made("storage.catalog", path, checkup);
            None
        }
    }
}

/// Whether the nearest folder above that exists may be written.
fn can_be_made(key: &str, wanted: &Path, checkup: &mut Checkup) {
    let here = PathBuf::from(".");
    let above = wanted
        .ancestors()
        .skip(usize::from(!wanted.is_dir()))
        .find(|above| above.exists())
        .filter(|above| !above.as_os_str().is_empty())
        .unwrap_or(&here);
    use rustix::fs::{Access, access};
    match access(above, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => checkup.good(format!("{} will be made at first use", wanted.display())),
        Err(error) => checkup.error(
            key,
            format!("{} cannot be made: {} may not be written ({error})", wanted.display(), above.display()),
            "give this user the permission, or name another place in [storage]",
        ),
    }
}

/// A port that one of our processes listens on, or is to.
struct Port<'a> {
    /// Its key in the configuration.
    key: &'a str,
    /// Who listens there.
    who: &'a str,
    address: SocketAddr,
    /// What a living process of this kind holds.
    lease: &'a str,
    /// What else is to be done when another port is chosen.
    elsewhere: &'a str,
}

async fn port(port: Port<'_>, catalog: Option<&Catalog>, checkup: &mut Checkup) {
    let Port { key, who, address, lease, elsewhere } = port;
    let holder = match catalog {
        Some(catalog) if control::is_held(catalog, lease).await.unwrap_or(false) => {
            catalog.holder(lease).await.ok().flatten()
        }
        _ => None,
    };
    match (TcpListener::bind(address), holder) {
        (Ok(_), _) => checkup.good(format!("{who} can listen on {address}")),
        (Err(error), Some(owner)) if error.kind() == ErrorKind::AddrInUse => {
            checkup.good(format!("{who} listens on {address} (process {owner})"))
        }
        (Err(error), None) if error.kind() == ErrorKind::AddrInUse => checkup.error(
            key,
            format!("another program listens on {address}"),
            format!("end it (`ss -ltnp 'sport = :{}'` names it), or choose another port{elsewhere}", address.port()),
        ),
        (Err(error), _) => checkup.error(
            key,
            format!("{who} cannot listen on {address}: {error}"),
            "choose an address of this machine, and a port above 1023 or the permission for a lower one",
        ),
    }
}

async fn ports(config: &Config, catalog: Option<&Catalog>, checkup: &mut Checkup) {
    for wanted in [
        Port {
            key: "receiver.listen",
            who: "the receiver",
            address: config.receiver.listen,
            lease: RECEIVER_LEASE,
            elsewhere: " and register that at the old PACS",
        },
        Port {
            key: "node.listen",
            who: "the node",
            address: config.node.listen,
            lease: NODE_LEASE,
            elsewhere: " and tell it to the hospital's nodes",
        },
        Port {
            key: "web.listen",
            who: "the console (metrics and health)",
            address: config.web.listen,
            lease: NODE_LEASE,
            elsewhere: "",
        },
    ] {
        port(wanted, catalog, checkup).await;
    }
    if config.peers.is_empty() {
        checkup.good("no [[peer]] is configured: the node answers to nobody but this machine");
    }
    for peer in config.peers.iter().filter(|peer| peer.allow.is_empty()) {
        checkup.warn(
            &format!("peer.{}", peer.ae_title),
            "it may ask whether the node is there, and nothing else",
            "add allow = [\"query\", \"retrieve\"] to its [[peer]], or \"store\", \"commit\"",
        );
    }
}

/// C-ECHO to the peers that C-MOVE may send to.
async fn peers(config: &Config, checkup: &mut Checkup) {
    for peer in config.peers.iter().filter(|peer| peer.allow.contains(&Right::Retrieve)) {
        checkup.take(&format!("peer.{}", peer.ae_title), probe::peer(config, peer).await);
    }
}

/// Whether the AI platform is there. Nothing is asked of it.
async fn platform(config: &Config, checkup: &mut Checkup) {
    let Some(ai) = &config.ai else { return };
    match outbox::reach(ai).await {
        Ok(()) => checkup.good(format!("the AI platform listens at {}", ai.rescan_url)),
        Err(error) => checkup.warn(
            "ai.rescan_url",
            error,
            "see that the platform runs, and that `rescan_url`, `tls` and `token_file` are right; until then requests wait",
        ),
    }
}

/// Whether the identity provider is there, and is who we think.
async fn provider(config: &Config, checkup: &mut Checkup) {
    let Some(oidc) = &config.web.oidc else { return };
    match Provider::reach(oidc).await {
        Ok(()) => checkup.good(format!("the identity provider {} answers", oidc.issuer)),
        Err(error) => checkup.warn(
            "web.oidc",
            chain(&error),
            "see that it runs, and that `issuer`, `tls` and `secret_file` are right; until then only passwords open the console",
        ),
    }
}

async fn one_source(config: &Config, source: &Source, catalog: Option<&Catalog>, checkup: &mut Checkup) {
    let probe = probe::source(config, source, catalog.cloned()).await;
    checkup.register.extend(probe.register.clone());
    checkup.take(&format!("source.{}", source.name), probe);
}
