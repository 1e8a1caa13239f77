//! Seeing to requests: having their instances looked at, and telling the peers, again and again until they know.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::check::{self, Seen};
use super::{Busy, Commitments, lock};
use crate::audit::{AuditEvent, AuditOutcome, Party};
use crate::catalog::{CatalogError, Commitment};
use crate::config::Config;
use crate::dataset::write_commitment_result;
use crate::dicom::{Status, uids};
use crate::scp::node::Services;
use crate::scu::{Report, ScuError, Target, report};

/// Event types: every instance is committed, or some are not.
const ALL_COMMITTED: u16 = 1;
const SOME_FAILED: u16 = 2;
/// How often to look for requests whose time has come.
const POLL: Duration = Duration::from_secs(1);
/// How many requests are seen to at a time.
const AT_ONCE: usize = 8;
/// Pauses before a peer is tried again: the first, which doubles, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15 * 60));
/// When a peer is given up that cannot be told.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long negotiation, or an answer, may take: some write the result to a slow database first.
const RESPOND: Duration = Duration::from_secs(60);
/// Studies that one entry of the audit trail names.
const STUDIES: usize = 16;

/// Sees to requests until it is told to stop. What is not done then is done after the next start.
pub async fn deliver(services: Services, stop: CancellationToken) {
    let commitments = services.commitments.clone();
    let tasks = TaskTracker::new();
    while !stop.is_cancelled() {
        for commitment in commitments.next().await {
            if tasks.len() >= AT_ONCE {
                break;
            }
            if let Some(busy) = commitments.take(commitment.id) {
                tasks.spawn(see_to(services.clone(), commitment, busy, stop.clone()));
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = commitments.state.wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
    tasks.close();
    tasks.wait().await;
}

impl Commitments {
    /// Requests that were just made, and those whose time has come.
    async fn next(&self) -> Vec<Commitment> {
        let fresh = std::mem::take(&mut *lock(&self.state.fresh));
        let mut next = Vec::new();
        for id in fresh {
            match self.catalog.commitment(id).await {
                Ok(found) => next.extend(found),
                Err(error) => warn!(%error, "cannot look for a storage commitment request"),
            }
        }
        match self.catalog.due_commitments(AT_ONCE * 2).await {
            Ok(due) => next.extend(due),
            Err(error) => warn!(%error, "cannot look for storage commitment requests"),
        }
        next
    }
}

async fn see_to(services: Services, commitment: Commitment, busy: Busy, stop: CancellationToken) {
    let transaction = commitment.transaction.clone();
    if let Err(error) = try_to(&services, commitment, busy, &stop).await {
        error!(%transaction, error = &error as &dyn std::error::Error, "a storage commitment request is put off");
    }
}

async fn try_to(
    services: &Services,
    commitment: Commitment,
    busy: Busy,
    stop: &CancellationToken,
) -> Result<(), CatalogError> {
    let Commitments { catalog, store, state } = &services.commitments;
    if !commitment.checked {
        match check::check(catalog, store, commitment.id, stop).await? {
            Some(seen) => tell_audit(services, &commitment, &seen),
            None => return Ok(()),
        }
    }
    // The association on which it was asked for comes first.
    let waiting = lock(&state.waiting).remove(&commitment.id);
    let busy = match waiting {
        Some(waiting) => match waiting.send(busy) {
            Ok(()) => return Ok(()),
            Err(busy) => busy,
        },
        None => busy,
    };
    let age = Duration::from_millis(u64::try_from(now() - commitment.at).unwrap_or(0));
    let Some(telling) = Telling::of(services, busy).await else { return Ok(()) };
    let config = services.config.borrow().clone();
    let answer = match target(&config, &commitment.peer) {
        Some(target) => {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                answer = report_to(&target, telling.report()) => answer,
            }
        }
        None => Err("no [[peer]] of that AE title is configured, so that there is no address to tell it at".to_owned()),
    };
    match answer {
        Ok(status) if status == Status::SUCCESS => telling.answered(status).await,
        Ok(status) => put_off(services, &commitment, age, format!("it answered with status {status}")).await?,
        Err(why) => put_off(services, &commitment, age, why).await?,
    }
    Ok(())
}

async fn report_to(target: &Target, told: &Report) -> Result<Status, String> {
    report(target, told).await.map_err(|error: ScuError| {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
    })
}

/// Tries again later, or, after a week, no more.
async fn put_off(services: &Services, commitment: &Commitment, age: Duration, why: String) -> Result<(), CatalogError> {
    let Commitment { id, peer, transaction, attempts, .. } = commitment;
    let catalog = &services.commitments.catalog;
    if age > LONGEST {
        error!(%transaction, peer.ae = peer, attempts, why, "gave up telling a peer what is committed; it must ask again");
        return catalog.end_commitment(*id, false).await;
    }
    let pause = PAUSES.0.saturating_mul(2_u32.saturating_pow(*attempts)).min(PAUSES.1);
    warn!(%transaction, peer.ae = peer, attempts = attempts + 1, why, "cannot tell a peer what is committed; trying again in {pause:?}");
    catalog.put_off_commitment(*id, pause).await
}

/// Whom to tell, as configured.
fn target(config: &Arc<Config>, peer: &str) -> Option<Target> {
    let peer = config.peers.iter().find(|known| known.is_called(peer))?;
    Some(Target::of_peer(peer, config.node.ae_title.clone(), CONNECT, RESPOND))
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// What succeeded and what failed are entries of their own.
fn tell_audit(services: &Services, commitment: &Commitment, seen: &Seen) {
    info!(
        transaction = %commitment.transaction, peer.ae = commitment.peer, committed = seen.committed, failed = seen.failed,
        "storage commitment checked"
    );
    let who = Party { name: commitment.peer.clone(), ..Party::default() };
    for failed in [false, true] {
        let outcome = if failed { AuditOutcome::Minor("not committed".into()) } else { AuditOutcome::Success };
        for objects in seen.objects(failed).chunks(STUDIES) {
            services.audit.record(AuditEvent::Commitment {
                who: who.clone(),
                transaction: commitment.transaction.to_string(),
                objects: objects.to_vec(),
                outcome: outcome.clone(),
            });
        }
    }
}

/// What a peer is about to be told.
pub(super) struct Telling {
    commitments: Commitments,
    commitment: Commitment,
    report: Report,
    _busy: Busy,
}

impl Telling {
    /// Reads what a peer is to be told; `None` when there is nothing, or it cannot be read now.
    pub(super) async fn of(services: &Services, busy: Busy) -> Option<Telling> {
        let commitments = services.commitments.clone();
        let read = async {
            let commitment = commitments.catalog.commitment(busy.id).await?;
            Ok::<_, CatalogError>((commitment, commitments.catalog.commitment_results(busy.id).await?))
        };
        let (commitment, results) = match read.await {
            Ok((Some(commitment), results)) => (commitment, results),
            Ok((None, _)) => return None,
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "cannot read what a peer is to be told");
                return None;
            }
        };
        let event = if results.iter().all(|(_, _, reason)| reason.is_none()) { ALL_COMMITTED } else { SOME_FAILED };
        let (transaction, from) = (commitment.transaction.clone(), services.config.borrow().node.ae_title.to_string());
        let data = move |encoding| write_commitment_result(&transaction, &from, &results, encoding);
        let (class, instance) = (uids::STORAGE_COMMITMENT, uids::STORAGE_COMMITMENT_INSTANCE);
        let report = Report { class, instance, event, data: Arc::new(data) };
        Some(Telling { commitments, commitment, report, _busy: busy })
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    /// The peer has answered.
    pub(super) async fn answered(self, status: Status) {
        let Commitment { id, transaction, peer, .. } = &self.commitment;
        if status != Status::SUCCESS {
            warn!(%transaction, peer.ae = peer, %status, "a peer did not take what it was told of its instances");
            return;
        }
        info!(%transaction, peer.ae = peer, "a peer was told what is committed");
        if let Err(error) = self.commitments.catalog.end_commitment(*id, true).await {
            error!(%transaction, error = &error as &dyn std::error::Error, "cannot write down that a peer was told; it will be told again");
        }
    }
}
