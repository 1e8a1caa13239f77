//! What only one process may do at a time: done for as long as its lease is held.

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::worker::{PAUSE, pause};
use crate::job::Keeper;

/// Does the work whenever the lease of that name can be had, until `stop`. The token that the work gets is cancelled when
/// the lease is lost, or with `stop`; the work then ends.
pub(super) async fn while_held<F: Future<Output = ()>>(
    keeper: Keeper,
    name: &'static str,
    stop: CancellationToken,
    work: impl Fn(CancellationToken) -> F,
) {
    while !stop.is_cancelled() {
        let lease = keeper.acquire(name).await.unwrap_or_else(|error| {
            error!(lease = name, %error, "cannot ask for a lease");
            None
        });
        let Some(lease) = lease else {
            pause(&stop, PAUSE).await;
            continue;
        };
        let ended = stop.child_token();
        let working = work(ended.clone());
        tokio::pin!(working);
        tokio::select! {
            () = &mut working => {}
            () = lease.lost().cancelled() => {
                ended.cancel();
                working.await;
            }
        }
        lease.release().await;
    }
}
