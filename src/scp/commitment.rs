//! Storage commitment as SCP (PS3.4 annex J, push model): a peer lists instances, and is told which of them are safe.
//!
//! A request is kept in the catalog before it is answered, so that the peer will be told whatever happens to this
//! process. Only bytes of ours that were just read, and are what they were when they came, are committed. The peer is
//! told on the association on which it asked, as long as that is idle, else on one of our own, until it has understood.

mod check;
mod deliver;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use deliver::deliver;

use tokio::sync::{Notify, Semaphore, oneshot};
use tracing::{error, info, warn};

use super::caller::Caller;
use super::exchange::RESPONSE;
use super::node::Services;
use crate::catalog::{Begun, Catalog, NewCommitment};
use crate::dataset::{References, read_references};
use crate::dicom::{SopClassUid, SopInstanceUid, Status, encoding_of, uids};
use crate::dimse::{Command, DimseError, Session};
use crate::scu::{Told, report_on};
use crate::store::{Digest, Store};

/// The most instances of one request.
const MOST_INSTANCES: usize = 100_000;
/// The longest data set of a request.
const LONGEST: usize = 16 << 20;
/// How many requests are read at a time: each may take that much memory.
const READ_AT_ONCE: usize = 4;
/// How long the data set of a request may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a peer must have been quiet before it is told on its own association: many release it at once.
const QUIET: Duration = Duration::from_millis(500);

static READING: Semaphore = Semaphore::const_new(READ_AT_ONCE);

/// What is being seen to in this process. A clone is another handle.
#[derive(Clone)]
pub struct Commitments {
    catalog: Catalog,
    store: Store,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// There is something to do.
    wake: Notify,
    /// Requests that were just answered: they wait for no time to come.
    fresh: Mutex<Vec<i64>>,
    /// Requests that somebody is at.
    busy: Mutex<HashSet<i64>>,
    /// Associations that wait for the result of a request.
    waiting: Mutex<HashMap<i64, oneshot::Sender<Busy>>>,
}

/// Somebody is at a request, as long as this lives.
struct Busy {
    id: i64,
    state: Arc<State>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.state.busy).remove(&self.id);
        self.state.wake.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Commitments {
    /// For a catalog and its storage folder.
    pub fn new(catalog: Catalog, store: Store) -> Self {
        Commitments { catalog, store, state: Arc::default() }
    }

    /// Takes a request, unless somebody is at it.
    fn take(&self, id: i64) -> Option<Busy> {
        lock(&self.state.busy).insert(id).then(|| Busy { id, state: Arc::clone(&self.state) })
    }
}

/// Takes an N-ACTION-RQ.
pub(super) async fn serve(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    context: u8,
    command: &Command,
) -> Result<(), DimseError> {
    let (status, comment, id) = request(session, services, caller, context, command).await?;
    let mut response = Command::response(command, status);
    response.comment = comment.map(str::to_owned);
    // Before anybody can have the result.
    let state = &services.commitments.state;
    let waiting = id.and_then(|id| Waiting::register(state, id));
    session.send(context, &response, None, RESPONSE).await?;
    if let Some(id) = id {
        lock(&state.fresh).push(id);
        state.wake.notify_one();
    }
    match waiting {
        Some(waiting) => tell_here(session, services, caller, context, waiting).await,
        None => Ok(()),
    }
}

/// Waits for the result as long as the association is idle, and tells it.
async fn tell_here(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    context: u8,
    mut waiting: Waiting,
) -> Result<(), DimseError> {
    let idle = services.config.borrow().node.limits.idle;
    let result = async {
        let (result, ()) = tokio::join!(&mut waiting.result, tokio::time::sleep(QUIET));
        result
    };
    let busy = tokio::select! {
        biased;
        () = caller.stop.cancelled() => return Ok(()),
        received = session.receive(idle) => {
            session.put_back(received?);
            return Ok(());
        }
        // Without a result somebody else sees to it.
        result = result => match result {
            Ok(busy) => busy,
            Err(_) => return Ok(()),
        },
    };
    let Some(told) = deliver::Telling::of(services, busy).await else { return Ok(()) };
    match report_on(session, context, told.report(), RESPONSE).await? {
        Told::Answered(status) => told.answered(status).await,
        // Told on another association then.
        Told::Released => session.put_back(None),
        Told::Interrupted(context, command) => session.put_back(Some((context, command))),
    }
    Ok(())
}

/// Reads and keeps a request: with what it is answered, and its number when there is something to wait for.
async fn request(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    context: u8,
    command: &Command,
) -> Result<(Status, Option<&'static str>, Option<i64>), DimseError> {
    let instance = command.instance.as_ref().map_or("", |instance| instance.as_str());
    let refusal = match (instance, command.kind, command.has_data_set) {
        (uids::STORAGE_COMMITMENT_INSTANCE, Some(1), true) => None,
        (uids::STORAGE_COMMITMENT_INSTANCE, Some(1), false) => {
            Some((Status::INVALID_ARGUMENT, "a request without a list"))
        }
        (uids::STORAGE_COMMITMENT_INSTANCE, _, _) => Some((Status::NO_SUCH_ACTION, "the action type is not 1")),
        _ => Some((Status::NO_SUCH_INSTANCE, "not the well-known instance of storage commitment")),
    };
    if let Some((status, why)) = refusal {
        let stall = services.config.borrow().node.limits.stall;
        session.discard_data(stall).await?;
        return Ok((status, Some(why), None));
    }
    let syntax = session.association().context(context).map(|context| context.transfer_syntax.clone());
    let Some(syntax) = syntax else {
        return Err(DimseError::Unexpected { what: "a message on a context that is not there".into() });
    };
    let read = {
        // The semaphore is never closed.
        let _permit = READING.acquire().await.ok();
        let data = session.collect_data(LONGEST, PATIENCE).await?;
        read_references(&data, encoding_of(&syntax), MOST_INSTANCES)
    };
    let refused = |status, why| Ok((status, Some(why), None));
    let request = match read {
        Ok(References { too_many: true, .. }) => {
            return refused(Status::RESOURCE_LIMITATION, "more than 100000 instances in one request");
        }
        Ok(References { instances, .. }) if instances.is_empty() => {
            return refused(Status::INVALID_ARGUMENT, "the request lists no instance");
        }
        Ok(References { instances, .. }) if instances.iter().any(|(class, uid)| class.is_empty() || uid.is_empty()) => {
            return refused(Status::INVALID_ARGUMENT, "an instance without its class or UID");
        }
        Ok(References { transaction: None, .. }) => {
            return refused(Status::INVALID_ARGUMENT, "no Transaction UID");
        }
        Ok(References { transaction: Some(transaction), instances, .. }) => {
            let peer = caller.peer.as_ref().map_or(caller.ae_title.as_str(), |peer| peer.ae_title.as_str()).to_owned();
            NewCommitment { peer, transaction, list: digest(&instances), instances }
        }
        Err(error) => {
            warn!(peer.ae = caller.ae_title, %error, "cannot read a storage commitment request");
            return refused(Status::INVALID_ARGUMENT, "the list cannot be read");
        }
    };
    let (transaction, instances) = (request.transaction.clone(), request.instances.len());
    match services.commitments.catalog.begin_commitment(request).await {
        Ok(Begun::Kept(id) | Begun::Known(id)) => {
            info!(%transaction, instances, peer.ae = caller.ae_title, "storage commitment asked for");
            Ok((Status::SUCCESS, None, Some(id)))
        }
        Ok(Begun::Conflict) => refused(Status::PROCESSING_FAILURE, "the Transaction UID is in use for another list"),
        Ok(Begun::TooMuch) => refused(Status::RESOURCE_LIMITATION, "too many open requests of this peer"),
        Err(error) => {
            error!(%transaction, error = &error as &dyn std::error::Error, "cannot keep a storage commitment request");
            refused(Status::RESOURCE_LIMITATION, "the archive cannot take it now")
        }
    }
}

/// By which a request that comes again is known.
fn digest(instances: &[(SopClassUid, SopInstanceUid)]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for (class, instance) in instances {
        for text in [class.as_str(), "\0", instance.as_str(), "\0"] {
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().into()
}

/// An association that waits for the result of a request.
struct Waiting {
    id: i64,
    state: Arc<State>,
    result: oneshot::Receiver<Busy>,
}

impl Waiting {
    /// Registers it; not when another one waits for the same.
    fn register(state: &Arc<State>, id: i64) -> Option<Waiting> {
        let mut waiting = lock(&state.waiting);
        if waiting.contains_key(&id) {
            return None;
        }
        let (sender, result) = oneshot::channel();
        waiting.insert(id, sender);
        Some(Waiting { id, state: Arc::clone(state), result })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.state.waiting).remove(&self.id);
    }
}
