//! Associations that peers open to us.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;

use super::connection::Connection;
use super::framer::{INVALID_PARAMETER, UNEXPECTED_PDU, Violation};
use super::negotiate::{Answer, Offered, answer};
use super::opening;
use super::pdu::{self, AssociateRq, kind};
use super::{ARTIM, AssocError, Association, MAX_PDU_UNSAID, Peer, Rejection, SHORTEST_PEER_PDU, Transfer};
use crate::dicom::{AeTitle, Uid, uids};

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

/// Answers the SOP Class Extended Negotiation of a SOP class, of which a context was accepted: its application
/// information (PS3.7 §D.3.3.5); `None` says nothing.
pub type Extension = Box<dyn Fn(&Uid, &[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// What to do with an offer.
pub enum Decision {
    /// Accept the association, and of its contexts those that the function accepts.
    Accept(Choice),
    /// The same, with an answer to extended negotiation.
    AcceptExtended(Choice, Extension),
    /// Reject it.
    Reject(Rejection),
}

/// Negotiates an association on a connection that was just accepted, within [`ARTIM`]. A peer that is turned down
/// was told why when this returns its error.
pub async fn accept(socket: TcpStream, policy: &AcceptPolicy) -> Result<Association, AssocError> {
    accept_within(socket, policy, ARTIM).await
}

/// [`accept`] with another limit.
pub async fn accept_within(
    socket: TcpStream,
    policy: &AcceptPolicy,
    limit: Duration,
) -> Result<Association, AssocError> {
    let mut connection =
        Connection::new(socket).map_err(|source| AssocError::Broken { doing: "accepting it", source })?;
    match tokio::time::timeout(limit, negotiate(&mut connection, policy)).await {
        Err(_) => Err(AssocError::Timeout { what: "a whole A-ASSOCIATE-RQ" }),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Agreed { peer, transfers, extended, rest })) => {
            Ok(Association::new(connection, &rest, peer, transfers, policy.max_pdu, false).with_extended(extended))
        }
    }
}

struct Agreed {
    peer: Peer,
    transfers: Vec<Transfer>,
    extended: Vec<(Uid, Vec<u8>)>,
    rest: BytesMut,
}

async fn negotiate(connection: &mut Connection, policy: &AcceptPolicy) -> Result<Agreed, AssocError> {
    let (header, body, rest) = opening::read(connection).await?;
    let rq = match header.kind {
        kind::ASSOCIATE_RQ => pdu::read_rq(&body),
        _ => {
            return Err(opening::refuse(
                connection,
                Violation { reason: UNEXPECTED_PDU, what: format!("it began with {}", header.name()) },
            )
            .await);
        }
    };
    let rq = match rq {
        Ok(rq) => rq,
        Err(what) => return Err(opening::refuse(connection, Violation { reason: INVALID_PARAMETER, what }).await),
    };
    drop(body);
    let peer = Peer {
        address: connection.address(),
        calling: rq.calling.clone(),
        called: rq.called.clone(),
        implementation_class: rq.user.implementation_class.clone(),
        implementation_version: rq.user.implementation_version.clone(),
        max_pdu: rq.user.max_pdu.unwrap_or(MAX_PDU_UNSAID),
    };
    let (choice, extension) = match decide(&rq, &peer, policy) {
        Ok(decided) => decided,
        Err(rejection) => {
            connection.farewell(&pdu::rejection(rejection)).await;
            return Err(AssocError::Refused {
                rejection,
                calling: peer.calling,
                called: peer.called,
                address: peer.address,
            });
        }
    };
    let mut results = answer(&rq.contexts, &choice, policy.accept_scp_role);
    if let Some(extension) = extension {
        results.extend(&rq.user.extended, &extension);
    }
    let ac = pdu::write_ac(&rq, &results, policy.max_pdu)?;
    connection
        .write(&mut [IoSlice::new(&ac)], ARTIM)
        .await
        .map_err(|source| AssocError::Broken { doing: "accepting it", source })?;
    Ok(Agreed { peer, transfers: results.transfers, extended: results.extended, rest })
}

fn decide(rq: &AssociateRq, peer: &Peer, policy: &AcceptPolicy) -> Result<(Choice, Option<Extension>), Rejection> {
    if rq.version & 1 == 0 {
        return Err(Rejection::ProtocolVersion);
    }
    // An old peer that leaves it out speaks DICOM none the less.
    if rq
        .application_context
        .as_ref()
        .is_some_and(|name| !name.is_empty() && name.as_str() != uids::APPLICATION_CONTEXT)
    {
        return Err(Rejection::ApplicationContext);
    }
    if !policy.ae_titles.is_empty()
        && !policy.ae_titles.iter().any(|ours| ours.as_str().eq_ignore_ascii_case(&rq.called))
    {
        return Err(Rejection::CalledNotRecognized);
    }
    if (1..SHORTEST_PEER_PDU).contains(&peer.max_pdu) {
        tracing::warn!(peer.address = %peer.address, max_pdu = peer.max_pdu, "the peer takes too short PDUs only");
        return Err(Rejection::NoReason);
    }
    if rq.calling.is_empty() {
        tracing::info!(peer.address = %peer.address, "the peer calls without an AE title");
    }
    let offer = Offer {
        calling: peer.calling.clone(),
        called: peer.called.clone(),
        address: peer.address,
        contexts: rq.contexts.clone(),
        implementation_class: peer.implementation_class.clone(),
        implementation_version: peer.implementation_version.clone(),
    };
    match (policy.choose)(&offer) {
        Decision::Accept(choice) => Ok((choice, None)),
        Decision::AcceptExtended(choice, extension) => Ok((choice, Some(extension))),
        Decision::Reject(rejection) => Err(rejection),
    }
}
