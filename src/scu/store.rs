//! C-STORE as SCU (PS3.4 annex B): which presentation contexts objects need, and one object after the other from the
//! outlet onto an association, whichever side opened it.

mod plan;

use std::time::Duration;

use super::{ScuError, Target, session};
use crate::assoc::{Proposed, Transfer};
use crate::dicom::{Category, SopClassUid, Status, TransferSyntaxUid};
use crate::dimse::{Command, CommandField, DimseError, Session};
use crate::outlet::{Departing, OutletError, can_convert};

pub use plan::{Plan, plan};

/// How long a receiver may take nothing of an object.
const TAKING: Duration = Duration::from_secs(60);
/// How long a receiver may take to answer once it has an object: some archives answer when it is on tape.
const ANSWER: Duration = Duration::from_secs(300);

/// Why an object was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The object is the trouble, and none of it was sent: the association is good for the next.
    #[error(transparent)]
    Object(OutletError),
    /// The object broke in the middle: the association is only good for dropping, lest a part be taken for the whole.
    #[error("the object broke while it was sent")]
    Torn(#[source] OutletError),
    /// The association broke.
    #[error(transparent)]
    Association(#[from] DimseError),
}

/// Opens an association to send objects on.
pub async fn open(target: &Target, contexts: Vec<Proposed>) -> Result<Session, ScuError> {
    session::connect(target, contexts).await
}

/// The presentation context for an object, and the transfer syntax to send it in: that which it is held in, or else one
/// that it can be converted into.
pub fn choose(
    transfers: &[Transfer],
    class: &SopClassUid,
    held: &TransferSyntaxUid,
    decoding: bool,
) -> Option<(u8, TransferSyntaxUid)> {
    let ours = || transfers.iter().filter(|t| t.scu_role && t.abstract_syntax.as_str() == class.as_str());
    let as_held = ours().find(|transfer| transfer.transfer_syntax == *held);
    // An explicit one before Implicit, which does not say what private elements are.
    let explicit = || ours().find(|t| t.transfer_syntax.as_str() == crate::dicom::uids::EXPLICIT_LE);
    let any = || ours().find(|transfer| can_convert(held, &transfer.transfer_syntax, decoding));
    as_held
        .or_else(|| explicit().filter(|transfer| can_convert(held, &transfer.transfer_syntax, decoding)))
        .or_else(any)
        .map(|transfer| (transfer.id, transfer.transfer_syntax.clone()))
}

/// Sends an object and waits for what the receiver says. `request` is its C-STORE-RQ. A C-CANCEL-RQ that comes before
/// the answer, as it may on the association of a C-GET, is noted in `cancelled`, by the message that it is for.
pub async fn send(
    session: &mut Session,
    context: u8,
    request: &Command,
    object: &mut Departing,
    cancelled: &mut Option<u16>,
) -> Result<Command, SendError> {
    object.begin().await.map_err(SendError::Object)?;
    let association = session.association_mut();
    association.send_command(context, &request.encode(), TAKING).await.map_err(DimseError::from)?;
    while let Some(piece) = object.piece().await.map_err(SendError::Torn)? {
        association.send_data(context, &piece, piece.last, TAKING).await.map_err(DimseError::from)?;
    }
    loop {
        let Some((_, answer)) = session.receive(ANSWER).await? else {
            return Err(unexpected("it asked for release instead of answering a C-STORE"));
        };
        if answer.has_data_set {
            session.discard_data(TAKING).await?;
        }
        match answer.field {
            CommandField::CStoreRsp => return Ok(answer),
            CommandField::CCancelRq => *cancelled = Some(answer.message_id),
            field => return Err(unexpected(&format!("it answered a C-STORE with {field:?}"))),
        }
    }
}

/// What an answer means: stored, stored with something to say, or not stored. An object that the receiver had already
/// (0111) is there.
pub fn outcome(answer: &Command) -> Category {
    match answer.status {
        Some(Status(0x0111)) => Category::Warning,
        Some(status) => match status.category() {
            Category::Success => Category::Success,
            Category::Warning => Category::Warning,
            _ => Category::Failure,
        },
        None => Category::Failure,
    }
}

fn unexpected(what: &str) -> SendError {
    SendError::Association(DimseError::Unexpected { what: what.to_owned() })
}

#[cfg(test)]
mod tests;
