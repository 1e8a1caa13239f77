//! The configuration, read again when its file changes: limits, rates and hours take effect while running.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{self, Config, Receiver};

const POLL: Duration = Duration::from_secs(1);

/// Looks at the file's time until it is told to stop. A file that cannot be read, or that has mistakes, changes nothing.
pub(super) async fn watch(sender: watch::Sender<Arc<Config>>, stop: CancellationToken) {
    let Some(path) = sender.borrow().path.clone() else { return };
    let mut seen = modified(&path, &sender.borrow());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
        let now = modified(&path, &sender.borrow());
        if now == seen {
            continue;
        }
        seen = now;
        let load = path.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let mut config = config::load(Some(&load))?;
            for problem in config.resolve() {
                warn!(%problem, "a source's address");
            }
            Ok::<Config, config::ConfigError>(config)
        });
        match loaded.await {
            Ok(Ok(config)) => {
                let old = sender.borrow().clone();
                let fixed = |config: &Config| {
                    let receiver = Receiver { tls: None, ..config.receiver.clone() };
                    (config.storage.clone(), receiver, config.node.listen, config.web.clone())
                };
                if fixed(&old) != fixed(&config) {
                    warn!(
                        "changes of [storage], [receiver], [node] listen and [web] take effect when the process is \
                         started again"
                    );
                }
                // What is open stays as it was opened.
                let (storage, receiver, listen, web) = fixed(&old);
                let receiver = Receiver { tls: config.receiver.tls.clone(), ..receiver };
                let node = config::Node { listen, ..config.node };
                let config = Config { storage, receiver, node, web, ..config };
                sender.send_replace(Arc::new(config));
                info!(path = %path.display(), "the configuration was read again");
            }
            Ok(Err(error)) => warn!(%error, "the changed configuration has mistakes; the former one stays in force"),
            Err(error) => warn!(%error, "reading the configuration again failed"),
        }
    }
}

/// Time and length of the configuration's file, and of the certificates and keys that it names.
fn modified(path: &Path, config: &Config) -> Vec<Option<(SystemTime, u64)>> {
    let of = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    std::iter::once(of(path)).chain(config.secret_files().iter().map(|path| of(path))).collect()
}
