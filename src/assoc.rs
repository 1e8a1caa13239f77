//! The DICOM upper layer (PS3.8): associations over TCP, what is negotiated in them, and the PDUs that they carry.
//!
//! # What is taken from `dicom-ul`, and what is not
//!
//! The structures of the association PDUs and their writer are `dicom-ul`'s. Reading is our own (`pdu`), since its
//! reader refuses an A-ASSOCIATE PDU with an item that it does not know (the standard says: skip it), a rejected
//! presentation context without a transfer syntax, and an A-ABORT or A-ASSOCIATE-RJ with a reserved reason, and
//! takes one malformed sub-item for the end of all. Ours skips, bounds and never trusts a length. P-DATA is framed
//! by us (`framer`): a fragment is a slice of the read buffer, and is handed on before its PDU is complete, so that
//! a PDU costs no memory of its own.
//!
//! # Bounds (I6)
//!
//! An association PDU has 1 MiB at most. A P-DATA PDU may exceed what we announced, as old peers do, up to 1 MiB;
//! beyond that the peer gets an A-ABORT when its header is read, before any of it is kept. Negotiation has 10 s
//! ([`ARTIM`]); the rest of a PDU whose first byte is here has [`PDU_PATIENCE`]; everything else waits for as long
//! as the caller says.
//!
//! # The state machine
//!
//! Before the A-ASSOCIATE only an A-ASSOCIATE-RQ (or its three answers) is expected; after it only P-DATA,
//! A-RELEASE-RQ and A-ABORT; while a release is awaited also A-RELEASE-RP. Everything else is answered with an
//! A-ABORT, and so is a fragment on a presentation context that was not accepted. An association that is dropped
//! sends an A-ABORT: only [`Association::release`] ends in peace.

mod accept;
mod association;
mod connection;
mod error;
mod framer;
pub mod negotiate;
mod opening;
mod outgoing;
mod pdu;
mod request;
mod secure;
mod throttle;
pub mod tls;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::config::{ClientTls, Login};
use crate::dicom::{AeTitle, TransferSyntaxUid, Uid};

pub use accept::{AcceptPolicy, Authenticate, Choice, Claim, Decision, Extension, Offer, accept, accept_within};
pub use association::{Association, NEXT_MESSAGE, REST_OF_PDU};
pub use error::{AssocError, Rejection};
pub use negotiate::{Answer, Offered, Roles};
pub(crate) use pdu::ae_title;
pub use request::request;
pub use throttle::Throttle;

/// How long the whole negotiation of an association that a peer opened may take (the ARTIM timer of PS3.8 §9.1.5).
pub const ARTIM: Duration = Duration::from_secs(10);

/// How long a peer may take over the rest of a PDU once its first byte is here, not counting the time in which we
/// did not read.
pub const PDU_PATIENCE: Duration = Duration::from_secs(60);

/// The longest PDU that is taken from a peer, whatever was announced.
pub const LONGEST_PDU: u32 = 1 << 20;

/// The longest PDU that is sent, also to a peer that takes PDUs of any length.
pub const LONGEST_SENT_PDU: u32 = 128 << 10;

/// The shortest maximum PDU length of a peer that one can speak with.
pub const SHORTEST_PEER_PDU: u32 = 1024;

/// What a peer takes that did not say: the length that every implementation has taken since 1993.
const MAX_PDU_UNSAID: u32 = 16 << 10;

/// The most presentation contexts of an association: the odd numbers of a byte.
pub const MOST_CONTEXTS: usize = 128;

/// A presentation context that both sides accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Presentation context id, odd.
    pub id: u8,
    /// The SOP class, or what else it is for.
    pub abstract_syntax: Uid,
    /// The transfer syntax of its data sets.
    pub transfer_syntax: TransferSyntaxUid,
    /// We may send requests on it.
    pub scu_role: bool,
    /// We may be sent requests on it (a requestor: the C-STORE sub-operations of a C-GET).
    pub scp_role: bool,
}

/// The other side of an association. The texts are free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The calling AE title of the association, padding trimmed; may be empty.
    pub calling: String,
    /// The called AE title of the association, padding trimmed.
    pub called: String,
    /// Its Implementation Class UID.
    pub implementation_class: Option<String>,
    /// Its Implementation Version Name.
    pub implementation_version: Option<String>,
    /// The longest PDU that it announced to take; 0 is unlimited.
    pub max_pdu: u32,
    /// What the association is secured by.
    pub security: Option<Arc<tls::Security>>,
}

/// What [`Association::receive`] brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A fragment of a message, or the part of one that is here.
    Pdv {
        /// The presentation context, which is an accepted one.
        context: u8,
        /// Of the command set, rather than of the data set.
        command: bool,
        /// The message's command set, or data set, ends with it.
        last: bool,
        /// The bytes: a slice of the read buffer. May be empty.
        data: Bytes,
    },
    /// The peer asked for release, and got it.
    Released,
}

/// What is proposed to a peer.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Called AE title.
    pub called: AeTitle,
    /// Calling AE title.
    pub calling: AeTitle,
    /// The presentation contexts, [`MOST_CONTEXTS`] at most; ids are 1, 3, 5 in this order.
    pub contexts: Vec<Proposed>,
    /// The longest PDU that we say we take.
    pub max_pdu: u32,
    /// SOP Class Extended Negotiation: SOP class and its application information.
    pub extended: Vec<(String, Vec<u8>)>,
    /// How the connection is secured; `None` is plain DICOM.
    pub tls: Option<Arc<ClientTls>>,
    /// Who we say we are; needs `tls`.
    pub identity: Option<Arc<Login>>,
}

/// A presentation context that is proposed.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// The abstract syntax.
    pub abstract_syntax: String,
    /// The transfer syntaxes, one at least, the preferred one first.
    pub transfer_syntaxes: Vec<String>,
    /// Role selection: `Some(true)` proposes that we are the SCP (C-GET), `None` proposes nothing.
    pub scp_role: Option<bool>,
}

/// The waits of [`request`].
#[derive(Debug, Clone, Copy)]
pub struct RequestTimeouts {
    /// Resolving the name and connecting, all addresses together.
    pub connect: Duration,
    /// Until the answer to the A-ASSOCIATE-RQ.
    pub negotiate: Duration,
}

/// Reads bytes as a stranger sends them: as the body of an association PDU, and as a stream of PDUs that arrives in
/// two pieces. Says how many bytes of fragments came of it. For fuzzing.
#[doc(hidden)]
pub fn read_anything(bytes: &[u8], cut: usize) -> usize {
    let announced = 16 << 10;
    let _ = (pdu::read_rq(bytes), pdu::read_ac(bytes));
    let (mut framer, mut buffer, mut read) = (framer::Framer::new(announced), bytes::BytesMut::new(), 0);
    let (first, second) = bytes.split_at(cut.min(bytes.len()));
    for piece in [first, second] {
        buffer.extend_from_slice(piece);
        loop {
            match framer.next(&mut buffer, framer::PART) {
                Ok(Some(framer::Event::Pdv { data, .. })) => read += data.len(),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return read,
            }
        }
    }
    read
}

#[cfg(test)]
mod tests;
