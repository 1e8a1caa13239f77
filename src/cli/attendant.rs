//! Sees to it that a worker runs beside the node: a process of its own, so that a migration goes on whatever becomes of
//! the node.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Global, log};
use crate::catalog::{Catalog, CatalogError};
use crate::config::Config;
use crate::job::control::{self, WORKER_LEASE};

/// How often to look whether a worker lives.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait before the next start when a worker has ended by itself: doubled every time, up to the longest.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
/// A log that is longer is set aside when the next worker begins.
const LONGEST_LOG: u64 = 16 << 20;

/// Starts a worker whenever none lives.
pub(super) struct Attendant {
    arguments: Vec<OsString>,
    /// Where the worker logs to when there is a terminal, which the worker may outlive.
    log: PathBuf,
}

impl Attendant {
    /// For workers with the same configuration and the same way of logging.
    pub(super) fn new(global: &Global, config: &Config) -> Self {
        let mut arguments: Vec<OsString> = vec!["work".into()];
        if let Some(path) = &global.config {
            arguments.extend(["--config".into(), path.into()]);
        }
        if let Some(level) = &global.log {
            arguments.extend(["--log".into(), level.into()]);
        }
        if global.json {
            arguments.push("--json".into());
        }
        Attendant { arguments, log: config.storage.catalog.with_file_name("work.log") }
    }

    /// Starts a worker now and whenever none lives, until it is told to stop. The worker is not stopped.
    pub(super) async fn attend(self, catalog: &Catalog, stop: CancellationToken) {
        let mut ours: Option<Child> = None;
        let mut pause = PAUSE;
        while !stop.is_cancelled() {
            let mut next = LOOK;
            let ended = match ours.as_mut().map(Child::try_wait) {
                // It may not have taken its lease yet.
                Some(Ok(None)) => None,
                Some(Ok(Some(status))) => Some(status.to_string()),
                Some(Err(error)) => Some(error.to_string()),
                None => Some(String::new()),
            };
            if let Some(how) = ended {
                let closed = control::is_closed(catalog).await.unwrap_or(false);
                if ours.take().is_some() && closed {
                    info!("the worker has ended as it was told to; one begins again with the next job that is started");
                    (next, pause) = (LOOK, PAUSE);
                } else if !how.is_empty() {
                    warn!(how, again_after_s = pause.as_secs(), "the worker has ended; jobs wait until one runs again");
                    (next, pause) = (pause, LONGEST_PAUSE.min(pause * 2));
                } else {
                    match wanted(catalog).await {
                        Ok(false) => {}
                        Ok(true) => match self.start() {
                            Ok(child) => {
                                info!(pid = child.id(), "started a worker, which goes on when the node stops");
                                ours = Some(child);
                            }
                            Err(error) => {
                                warn!(%error, "cannot start a worker; start `pacsferry work` by hand");
                                (next, pause) = (pause, LONGEST_PAUSE.min(pause * 2));
                            }
                        },
                        Err(error) => {
                            warn!(error = &error as &dyn std::error::Error, "cannot tell whether a worker runs")
                        }
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
        if let Some(child) = ours {
            info!(pid = child.id(), "the worker goes on; to stop it as well: kill {}", child.id());
        }
    }

    /// Starts a worker in a process group of its own: Ctrl-C at the node is not meant for it.
    fn start(&self) -> std::io::Result<Child> {
        let errors = if log::is_terminal() {
            info!(log = %self.log.display(), "the worker logs to a file");
            Stdio::from(open_log(&self.log)?)
        } else {
            Stdio::inherit()
        };
        Command::new(std::env::current_exe()?)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .spawn()
    }
}

/// Whether a worker is to be started: none lives, and an operator has not closed it.
async fn wanted(catalog: &Catalog) -> Result<bool, CatalogError> {
    Ok(!control::is_closed(catalog).await? && !control::is_held(catalog, WORKER_LEASE).await?)
}

/// Opens a log to be written on; one that has grown long is set aside.
fn open_log(path: &Path) -> std::io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > LONGEST_LOG) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}
