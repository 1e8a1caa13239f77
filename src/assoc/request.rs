//! Associations that we open.

use std::io::{self, IoSlice};

use tokio::net::{TcpStream, lookup_host};

use super::connection::Connection;
use super::error::{abort_text, rejection_text};
use super::framer::{INVALID_PARAMETER, UNEXPECTED_PDU, Violation};
use super::negotiate::conclude;
use super::pdu::{self, kind};
use super::tls::Connector;
use super::{
    AssocError, Association, MAX_PDU_UNSAID, Peer, Proposal, RequestTimeouts, SHORTEST_PEER_PDU, Transfer, opening,
    secure,
};
use crate::dicom::Uid;
use bytes::BytesMut;

/// Connects to a peer and negotiates. All addresses of the name are tried in their order.
pub async fn request(
    host: &str,
    port: u16,
    proposal: &Proposal,
    timeouts: &RequestTimeouts,
) -> Result<Association, AssocError> {
    let (connector, identity) = secure::prepare(host, proposal).await?;
    let rq = pdu::write_rq(proposal, identity.as_ref())?;
    let failed = |source| AssocError::Connect { host: host.to_string(), port, source };
    let connected = tokio::time::timeout(timeouts.connect, connect(host, port)).await;
    let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(failed)?;
    let connection = Connection::new(stream).map_err(failed)?;
    let negotiated =
        tokio::time::timeout(timeouts.negotiate, Box::pin(negotiate(connection, connector, &rq, proposal))).await;
    let (mut connection, peer, transfers, extended, rest) =
        negotiated.unwrap_or(Err(AssocError::Timeout { what: "the answer to the A-ASSOCIATE-RQ" }))?;
    if (1..SHORTEST_PEER_PDU).contains(&peer.max_pdu) {
        let violation = Violation {
            reason: INVALID_PARAMETER,
            what: format!("it takes PDUs of {} bytes at most, which is too short to speak with it", peer.max_pdu),
        };
        return Err(opening::refuse(&mut connection, violation).await);
    }
    Ok(Association::new(connection, &rest, peer, transfers, proposal.max_pdu, true).with_extended(extended))
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The connection, the peer, the accepted contexts, the extended negotiation, and what came behind the answer.
type Negotiated = (Connection, Peer, Vec<Transfer>, Vec<(Uid, Vec<u8>)>, BytesMut);

async fn negotiate(
    connection: Connection,
    connector: Option<Connector>,
    rq: &[u8],
    proposal: &Proposal,
) -> Result<Negotiated, AssocError> {
    let (mut connection, security) = match connector {
        Some(connector) => {
            let (connection, security) = secure::as_client(connection, connector).await?;
            (connection, Some(security))
        }
        None => (connection, None),
    };
    // The limit of the whole negotiation is the caller's.
    connection
        .write(&mut [IoSlice::new(rq)], std::time::Duration::MAX)
        .await
        .map_err(|source| AssocError::Broken { doing: "asking for the association", source })?;
    let (header, body, rest) = opening::read(&mut connection).await?;
    let byte = |at: usize| body.get(at).copied().unwrap_or(0);
    match header.kind {
        kind::ASSOCIATE_AC => {}
        kind::ASSOCIATE_RJ => {
            return Err(AssocError::Rejected {
                permanent: byte(1) != 2,
                source_code: byte(2),
                reason: byte(3),
                text: rejection_text(byte(2), byte(3)),
                called: proposal.called.clone(),
                calling: proposal.calling.clone(),
            });
        }
        kind::ABORT => {
            return Err(AssocError::Aborted {
                by_provider: byte(2) != 0,
                reason: byte(3),
                text: abort_text(byte(2), byte(3)),
            });
        }
        _ => {
            let what = format!("it answered an A-ASSOCIATE-RQ with {}", header.name());
            return Err(opening::refuse(&mut connection, Violation { reason: UNEXPECTED_PDU, what }).await);
        }
    }
    let ac = match pdu::read_ac(&body) {
        Ok(ac) => ac,
        Err(what) => return Err(opening::refuse(&mut connection, Violation { reason: INVALID_PARAMETER, what }).await),
    };
    let peer = Peer {
        address: connection.address(),
        calling: proposal.calling.to_string(),
        called: proposal.called.to_string(),
        implementation_class: ac.user.implementation_class.clone(),
        implementation_version: ac.user.implementation_version.clone(),
        max_pdu: ac.user.max_pdu.unwrap_or(MAX_PDU_UNSAID),
        security,
    };
    Ok((connection, peer, conclude(proposal, &ac), ac.user.extended, rest))
}
