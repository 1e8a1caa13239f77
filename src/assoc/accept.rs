//! Associations that peers open to us.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::negotiate::Offered;
use super::{AssocError, Association, Rejection};
use crate::dicom::{AeTitle, TransferSyntaxUid};

/// What a listener lets in.
#[derive(Clone)]
pub struct AcceptPolicy {
    /// The AE titles that we answer to, whatever their case; empty is any.
    pub ae_titles: Vec<AeTitle>,
    /// The longest PDU that we say we take.
    pub max_pdu: u32,
    /// Whether a requestor may be the SCP of a SOP class (C-GET: we then store to it).
    pub accept_scp_role: bool,
    /// Looks at the offer, after version, application context and called AE title were found right.
    pub choose: Arc<dyn Fn(&Offer) -> Decision + Send + Sync>,
}

/// An association that a peer asks for. The texts are free of control characters.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Calling AE title, padding trimmed; may be empty.
    pub calling: String,
    /// Called AE title, padding trimmed.
    pub called: String,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The presentation contexts: those with an odd id that no earlier one has.
    pub contexts: Vec<Offered>,
    /// The peer's Implementation Class UID.
    pub implementation_class: Option<String>,
    /// The peer's Implementation Version Name.
    pub implementation_version: Option<String>,
}

/// Decides on one presentation context after the other.
pub type Choice = Box<dyn Fn(&Offered) -> Answer + Send + Sync>;

/// What to do with an offer.
pub enum Decision {
    /// Accept the association, and of its contexts those that the function accepts.
    Accept(Choice),
    /// Reject it.
    Reject(Rejection),
}

/// What to do with a presentation context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Accept it with this transfer syntax, which is one of the offered.
    Accept(TransferSyntaxUid),
    /// We do not speak this abstract syntax here.
    AbstractSyntaxNotSupported,
    /// None of the transfer syntaxes will do.
    TransferSyntaxesNotSupported,
    /// Not for this peer.
    UserRejection,
}

/// Negotiates an association on a connection that was just accepted, within [`super::ARTIM`]. A peer that is turned down was told why
/// when this returns its error.
pub async fn accept(socket: TcpStream, policy: &AcceptPolicy) -> Result<Association, AssocError> {
    let _ = (socket, policy);
    todo!()
}
