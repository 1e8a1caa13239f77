//! One association of the hospital's node: each request to its service, if the caller has the right to it.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::Services;
use super::crowd::Place;
use crate::assoc::{self, AssocError};
use crate::audit::{Transfers, Way};
use crate::config::NodeLimits;
use crate::dicom::Status;
use crate::dimse::{Command, CommandField, DimseError, Session};
use crate::scp::caller::Caller;
use crate::scp::exchange::{self, Next, answer};
use crate::scp::service::Service;
use crate::scp::{commitment, find, retrieve, store};

/// Serves until the peer releases or the node stops; says how many messages came.
pub(super) async fn serve(
    mut session: Session,
    services: &Services,
    caller: &Caller,
    place: &Place,
    limits: &NodeLimits,
) -> Result<u64, DimseError> {
    let _entered = caller.source.as_ref().map(|sender| sender.gate.enter());
    session.limit_commands(limits.command);
    session.association_mut().set_patience(limits.stall);
    session.association_mut().set_throttle(Some(Arc::clone(&place.throttle)));
    // What this association brings, told by study and at its end.
    let mut received = services.audit.transfers(Way::In, caller.party(), None);
    let mut messages = 0;
    let mut told = false;
    loop {
        match exchange::next(&mut session, limits.idle, caller.stop.cancelled()).await? {
            Next::Released => return Ok(messages),
            Next::Stopped => {
                debug!("aborted: the node stops");
                session.abort().await;
                return Ok(messages);
            }
            Next::Request(_, command) if command.field == CommandField::CCancelRq => {}
            Next::Request(context, command) => {
                messages += 1;
                if command.field != CommandField::CStoreRq {
                    let wait = place.pace.next(limits.requests, Instant::now());
                    if !wait.is_zero() {
                        debug!(wait_ms = wait.as_millis(), "slowed down: `requests` of [node.limits]");
                        tokio::time::sleep(wait).await;
                    }
                }
                let refused = dispatch(&mut session, services, caller, &mut received, context, &command).await?;
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

/// Which limit ended an association, and how to change it.
pub(super) fn remedy(error: &DimseError) -> Option<&'static str> {
    match error {
        DimseError::TooLong { what: "a command set", .. } => {
            Some("if the peer is a sound one, raise `command` in [node.limits]")
        }
        DimseError::TooLong { .. } => Some("if the peer is a sound one, raise `identifier` in [node.limits]"),
        DimseError::Association(AssocError::Timeout { what: assoc::NEXT_MESSAGE }) => {
            Some("it was idle for longer than `idle` in [node.limits]")
        }
        DimseError::Association(AssocError::Timeout { what: assoc::REST_OF_PDU }) => {
            Some("it sent less than a PDU in the time of `stall` in [node.limits]")
        }
        _ => None,
    }
}

/// Has a request answered; with which status, if it reached no service.
async fn dispatch(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    received: &mut Transfers,
    context: u8,
    command: &Command,
) -> Result<Option<Status>, DimseError> {
    let asked = Service::of_command(command.field);
    let negotiated = session.association().context(context).and_then(|c| Service::of_class(c.abstract_syntax.as_str()));
    let refusal = match asked {
        None => Some(Status::UNRECOGNIZED_OPERATION),
        Some(service) if negotiated != Some(service) => Some(Status::SOP_CLASS_NOT_SUPPORTED),
        // The configuration may have changed since the association was opened.
        Some(service) if service.right().is_some_and(|right| !caller.may_now(&services.config.borrow(), right)) => {
            Some(Status::NOT_AUTHORIZED)
        }
        Some(_) => None,
    };
    match (refusal, asked) {
        (None, Some(service)) => services.meter.asked(service),
        _ => services.meter.refused(),
    }
    match (refusal, asked) {
        (Some(status), _) => answer(session, context, command, status).await?,
        (None, Some(Service::Storage)) if command.has_data_set => {
            store::serve(session, services, caller, received, context, command).await?
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
