//! Associations that peers open to us.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::connection::Connection;
use super::framer::{INVALID_PARAMETER, UNEXPECTED_PDU, Violation};
use super::negotiate::{Answer, Offered, answer};
use super::pdu::{self, AssociateRq, Passcode, UserIdentity, kind};
use super::tls::{Acceptor, Security};
use super::{ARTIM, AssocError, Association, MAX_PDU_UNSAID, Peer, Rejection, SHORTEST_PEER_PDU, Transfer};
use super::{opening, secure};
use crate::config::PasscodeHash;
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
    /// With what the connection is secured; `None` is plain DICOM.
    pub tls: Option<Acceptor>,
    /// Says whether the users of secured associations are who they say they are. May take its time.
    pub authenticate: Option<Authenticate>,
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
    /// What the association is secured by.
    pub security: Option<Arc<Security>>,
    /// The user, if it is who it says: see [`AcceptPolicy::authenticate`].
    pub user: Option<String>,
}

/// A user identity over a secured association, of which is to be said whether it is true.
#[derive(Debug)]
pub struct Claim {
    /// Calling AE title.
    pub calling: String,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The name of the user, as it came.
    pub user: String,
    /// `None` where only the name is told.
    passcode: Option<Passcode>,
}

impl Claim {
    /// Whether the passcode is the one of this hash. Takes its time.
    pub fn knows(&self, hash: &PasscodeHash) -> bool {
        self.passcode.as_ref().is_some_and(|passcode| hash.is_of(&passcode.0))
    }
}

/// Whether a user is who it says.
pub type Authenticate = Arc<dyn Fn(&Claim) -> bool + Send + Sync>;

/// Passcodes that are checked at one time: each costs a core some tenths of a second.
static CHECKS: Semaphore = Semaphore::const_new(2);

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
    let connection = Connection::new(socket).map_err(|source| AssocError::Broken { doing: "accepting it", source })?;
    match tokio::time::timeout(limit, Box::pin(negotiate(connection, policy))).await {
        Err(_) => Err(AssocError::Timeout { what: "a whole A-ASSOCIATE-RQ" }),
        Ok(Err(error)) => Err(error),
        Ok(Ok(Agreed { connection, peer, transfers, extended, rest })) => {
            Ok(Association::new(connection, &rest, peer, transfers, policy.max_pdu, false).with_extended(extended))
        }
    }
}

struct Agreed {
    connection: Connection,
    peer: Peer,
    transfers: Vec<Transfer>,
    extended: Vec<(Uid, Vec<u8>)>,
    rest: BytesMut,
}

async fn negotiate(connection: Connection, policy: &AcceptPolicy) -> Result<Agreed, AssocError> {
    let (mut connection, security) = match &policy.tls {
        Some(acceptor) => {
            let (connection, security) = secure::as_server(connection, acceptor).await?;
            (connection, Some(security))
        }
        None => (connection, None),
    };
    let (header, body, rest) = opening::read(&mut connection).await?;
    let rq = match header.kind {
        kind::ASSOCIATE_RQ => pdu::read_rq(&body),
        _ => {
            return Err(opening::refuse(
                &mut connection,
                Violation { reason: UNEXPECTED_PDU, what: format!("it began with {}", header.name()) },
            )
            .await);
        }
    };
    let mut rq = match rq {
        Ok(rq) => rq,
        Err(what) => return Err(opening::refuse(&mut connection, Violation { reason: INVALID_PARAMETER, what }).await),
    };
    drop(body);
    let peer = Peer {
        address: connection.address(),
        calling: rq.calling.clone(),
        called: rq.called.clone(),
        implementation_class: rq.user.implementation_class.clone(),
        implementation_version: rq.user.implementation_version.clone(),
        max_pdu: rq.user.max_pdu.unwrap_or(MAX_PDU_UNSAID),
        security,
    };
    let user = authenticated(&mut rq, &peer, policy).await;
    let (choice, extension) = match decide(&rq, &peer, user.clone(), policy) {
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
    let ac = pdu::write_ac(&rq, &results, policy.max_pdu, user.is_some())?;
    connection
        .write(&mut [IoSlice::new(&ac)], ARTIM)
        .await
        .map_err(|source| AssocError::Broken { doing: "accepting it", source })?;
    Ok(Agreed { connection, peer, transfers: results.transfers, extended: results.extended, rest })
}

/// The user, if it is who it says. A passcode that came in plain text is dropped unseen.
async fn authenticated(rq: &mut AssociateRq, peer: &Peer, policy: &AcceptPolicy) -> Option<String> {
    let UserIdentity { kind, user, passcode, .. } = rq.user.identity.as_mut()?;
    let passcode = std::mem::replace(passcode, Passcode(Vec::new()));
    let authenticate = policy.authenticate.clone().filter(|_| peer.security.is_some())?;
    let passcode = match *kind {
        UserIdentity::NAME => None,
        UserIdentity::NAME_AND_PASSCODE => Some(passcode),
        _ => return None,
    };
    let claim = Claim { calling: peer.calling.clone(), address: peer.address, user: user.clone(), passcode };
    let _permit = CHECKS.acquire().await.ok()?;
    let user = claim.user.clone();
    let known = tokio::task::spawn_blocking(move || authenticate(&claim)).await.unwrap_or(false);
    known.then_some(user)
}

fn decide(
    rq: &AssociateRq,
    peer: &Peer,
    user: Option<String>,
    policy: &AcceptPolicy,
) -> Result<(Choice, Option<Extension>), Rejection> {
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
        security: peer.security.clone(),
        user,
    };
    match (policy.choose)(&offer) {
        Decision::Accept(choice) => Ok((choice, None)),
        Decision::AcceptExtended(choice, extension) => Ok((choice, Some(extension))),
        Decision::Reject(rejection) => Err(rejection),
    }
}
