//! One association of the receiver: C-ECHO and C-STORE, one message after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::exchange::{self, Next, answer};
use super::listener::Receiver;
use super::sender::Sender;
use super::store;
use crate::assoc::negotiate::is_storage;
use crate::dicom::Status;
use crate::dimse::{CommandField, DimseError, Session};

/// How long an association may lie idle between two messages: a source that reads from tape pauses for long.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// The same for a peer that is no source.
const STRANGER_IDLE: Duration = Duration::from_secs(30);
/// Serves until the peer releases, the source is stopped, or the receiver is; says how many objects came.
pub(super) async fn serve(
    mut session: Session,
    receiver: &Receiver,
    sender: Option<Sender>,
    stop: CancellationToken,
) -> Result<u64, DimseError> {
    let mut objects = 0;
    let mut told = false;
    let _entered = sender.as_ref().map(|sender| sender.gate.enter());
    if let Some(sender) = &sender {
        session.association_mut().set_throttle(Some(Arc::clone(&sender.gate.throttle)));
    }
    let idle = if sender.is_some() { IDLE } else { STRANGER_IDLE };
    loop {
        let stopped = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = stopped(sender.as_ref()) => {}
            }
        };
        match exchange::next(&mut session, idle, stopped).await? {
            Next::Released => return Ok(objects),
            Next::Stopped => {
                debug!("aborted: stopped");
                session.abort().await;
                return Ok(objects);
            }
            Next::Request(context, command) => match (command.field, &sender) {
                (CommandField::CEchoRq, _) => answer(&mut session, context, &command, Status::SUCCESS).await?,
                (CommandField::CStoreRq, Some(sender)) if command.has_data_set && takes_objects(&session, context) => {
                    store::receive(&mut session, receiver, sender, context, &command).await?;
                    objects += 1;
                }
                (CommandField::CCancelRq, _) => {}
                (field, _) => {
                    // A peer that goes on with it is not given a line for each.
                    if !std::mem::replace(&mut told, true) {
                        warn!(?field, "a request that is not served here");
                    }
                    // Objects on a context for something else.
                    let status = match (field, &sender) {
                        (CommandField::CStoreRq, Some(_)) if command.has_data_set => Status::SOP_CLASS_NOT_SUPPORTED,
                        _ => Status::UNRECOGNIZED_OPERATION,
                    };
                    answer(&mut session, context, &command, status).await?;
                }
            },
        }
    }
}

/// Resolves when the source is stopped; never for a peer that is no source.
async fn stopped(sender: Option<&Sender>) {
    match sender {
        Some(sender) => sender.stopped().await,
        None => std::future::pending().await,
    }
}

/// Whether the context was negotiated for objects. Of which storage class does not matter: sources mix these up, and
/// nothing that can be kept is refused.
fn takes_objects(session: &Session, context: u8) -> bool {
    // One that is not there is an error, and told as such.
    session.association().context(context).is_none_or(|transfer| is_storage(transfer.abstract_syntax.as_str()))
}
