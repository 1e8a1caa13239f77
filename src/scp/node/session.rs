//! One association of the hospital's node: each request to its service, if the caller has the right to it.

use std::time::Duration;

use tracing::{debug, warn};

use super::Services;
use crate::dicom::Status;
use crate::dimse::{Command, CommandField, DimseError, Session};
use crate::scp::caller::Caller;
use crate::scp::exchange::{self, Next, answer};
use crate::scp::service::Service;
use crate::scp::{commitment, find, retrieve, store};

/// How long an association may lie idle between two messages.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// Serves until the peer releases or the node stops; says how many messages came.
pub(super) async fn serve(mut session: Session, services: &Services, caller: &Caller) -> Result<u64, DimseError> {
    let _entered = caller.source.as_ref().map(|sender| sender.gate.enter());
    let mut messages = 0;
    let mut told = false;
    loop {
        match exchange::next(&mut session, IDLE, caller.stop.cancelled()).await? {
            Next::Released => return Ok(messages),
            Next::Stopped => {
                debug!("aborted: the node stops");
                session.abort().await;
                return Ok(messages);
            }
            Next::Request(_, command) if command.field == CommandField::CCancelRq => {}
            Next::Request(context, command) => {
                messages += 1;
                let refused = dispatch(&mut session, services, caller, context, &command).await?;
                // A peer that goes on with it is not given a line for each.
                if let Some(status) = refused
                    && !std::mem::replace(&mut told, true)
                {
                    warn!(field = ?command.field, %status, peer.ae = caller.ae_title, "a request that is not served");
                }
            }
        }
    }
}

/// Has a request answered; with which status, if it reached no service.
async fn dispatch(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    context: u8,
    command: &Command,
) -> Result<Option<Status>, DimseError> {
    let asked = Service::of_command(command.field);
    let negotiated = session.association().context(context).and_then(|c| Service::of_class(c.abstract_syntax.as_str()));
    let refusal = match asked {
        None => Some(Status::UNRECOGNIZED_OPERATION),
        Some(service) if negotiated != Some(service) => Some(Status::SOP_CLASS_NOT_SUPPORTED),
        Some(service) if service.right().is_some_and(|right| !caller.may(right)) => Some(Status::NOT_AUTHORIZED),
        Some(_) => None,
    };
    match (refusal, asked) {
        (Some(status), _) => answer(session, context, command, status).await?,
        (None, Some(Service::Storage)) if command.has_data_set => {
            store::serve(session, services, caller, context, command).await?
        }
        (None, Some(Service::Query)) => find::serve(session, services, caller, context, command).await?,
        (None, Some(Service::Retrieve)) => retrieve::serve(session, services, caller, context, command).await?,
        (None, Some(Service::Commitment)) => commitment::serve(session, services, caller, context, command).await?,
        (None, Some(Service::Verification)) => answer(session, context, command, Status::SUCCESS).await?,
        (None, Some(Service::Storage) | None) => {
            answer(session, context, command, Status::CANNOT_UNDERSTAND).await?;
            return Ok(Some(Status::CANNOT_UNDERSTAND));
        }
    }
    Ok(refusal)
}
