//! Whether the node can do its work now.

use super::Web;
use std::time::Duration;

/// How long the catalog may take for an empty write.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is in the way; empty when nothing is.
pub(super) async fn look(web: &Web) -> Vec<&'static str> {
    let mut findings = Vec::new();
    if web.closing.is_cancelled() {
        findings.push("node: it is stopping");
    }
    let (store, writable) = (web.store.clone(), web.catalog.check_writable());
    // The disk may hang.
    let mounted = tokio::task::spawn_blocking(move || (store.check_mounted().is_ok(), store.check_room().is_ok()));
    match tokio::time::timeout(PATIENCE, mounted).await {
        Ok(Ok((true, true))) => {}
        Ok(Ok((true, false))) => findings.push("storage: the disk is full, or below the reserve"),
        Ok(Ok((false, _))) => findings.push("storage: the folder is not mounted"),
        Ok(Err(_)) | Err(_) => findings.push("storage: the disk does not answer"),
    }
    match tokio::time::timeout(PATIENCE, writable).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => findings.push("catalog: it cannot be written"),
        Err(_) => findings.push("catalog: it does not answer"),
    }
    findings
}
