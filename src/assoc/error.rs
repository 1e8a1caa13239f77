//! What can go wrong with an association, and whose move it is.

use std::net::SocketAddr;

use super::tls::TlsError;
use crate::dicom::AeTitle;

/// Why we reject an association (PS3.8 §9.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Permanent: no reason that DICOM has a word for.
    NoReason,
    /// Permanent: the application context is not DICOM's.
    ApplicationContext,
    /// Permanent: the protocol version is not version 1.
    ProtocolVersion,
    /// Permanent: the called AE title is not ours.
    CalledNotRecognized,
    /// Permanent: we do not know the calling AE title, or not from that address.
    CallingNotRecognized,
    /// Transient: busy for the moment.
    Congestion,
    /// Transient: as many associations as we allow are open.
    LocalLimit,
}

impl Rejection {
    /// Result, source and reason as they go over the wire.
    pub fn codes(self) -> (u8, u8, u8) {
        match self {
            Rejection::NoReason => (1, 1, 1),
            Rejection::ApplicationContext => (1, 1, 2),
            Rejection::CallingNotRecognized => (1, 1, 3),
            Rejection::CalledNotRecognized => (1, 1, 7),
            Rejection::ProtocolVersion => (1, 2, 2),
            Rejection::Congestion => (2, 3, 1),
            Rejection::LocalLimit => (2, 3, 2),
        }
    }
}

impl Rejection {
    fn text(self) -> &'static str {
        let (_, source, reason) = self.codes();
        rejection_text(source, reason)
    }
}

/// The words of PS3.8 §9.3.4 for the source and reason of an A-ASSOCIATE-RJ.
pub(crate) fn rejection_text(source: u8, reason: u8) -> &'static str {
    match (source, reason) {
        (1, 1) | (2, 1) => "no reason given",
        (1, 2) => "application context name not supported",
        (1, 3) => "calling AE title not recognized",
        (1, 7) => "called AE title not recognized",
        (2, 2) => "protocol version not supported",
        (3, 1) => "temporary congestion",
        (3, 2) => "local limit exceeded",
        _ => "a reason that the standard does not name",
    }
}

/// The words of PS3.8 §9.3.8 for the source and reason of an A-ABORT.
pub(crate) fn abort_text(source: u8, reason: u8) -> &'static str {
    match (source, reason) {
        (0, _) => "by the application, without a reason",
        (2, 0) => "reason not specified",
        (2, 1) => "unrecognized PDU",
        (2, 2) => "unexpected PDU",
        (2, 4) => "unrecognized PDU parameter",
        (2, 5) => "unexpected PDU parameter",
        (2, 6) => "invalid PDU parameter value",
        _ => "a reason that the standard does not name",
    }
}

/// An association that could not be opened, or that broke. No text in it holds a control character of the peer.
#[derive(Debug, thiserror::Error)]
pub enum AssocError {
    /// No TCP connection.
    #[error("connecting to {host} port {port}")]
    Connect {
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// The peer rejected the association.
    #[error(
        "{called} rejected the association of {calling} ({}): {text}",
        if *permanent { "permanent" } else { "transient" }
    )]
    Rejected {
        /// Trying again will not help.
        permanent: bool,
        /// Source as it came: 1 service user, 2 ACSE, 3 presentation.
        source_code: u8,
        /// Reason as it came.
        reason: u8,
        /// The standard's words for the two.
        text: &'static str,
        /// Whom we called.
        called: AeTitle,
        /// As whom.
        calling: AeTitle,
    },
    /// We rejected the association of a peer.
    #[error("rejected the association of `{calling}` at {address} with `{called}`: {}", .rejection.text())]
    Refused {
        /// Why.
        rejection: Rejection,
        /// Calling AE title, free of control characters.
        calling: String,
        /// Called AE title, free of control characters.
        called: String,
        /// The peer.
        address: SocketAddr,
    },
    /// The peer sent an A-ABORT.
    #[error("the peer aborted the association: {text}")]
    Aborted {
        /// By the service provider, that is the peer's upper layer, rather than by its application.
        by_provider: bool,
        /// Reason as it came.
        reason: u8,
        /// The standard's words.
        text: &'static str,
    },
    /// The connection ended without release or abort.
    #[error("the peer closed the connection")]
    Closed,
    /// The connection broke.
    #[error("the connection broke while {doing}")]
    Broken {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The peer was silent, or took nothing, for too long.
    #[error("timed out waiting for {what}")]
    Timeout {
        /// What was being waited for.
        what: &'static str,
    },
    /// Our own certificates, keys or passcodes cannot be used.
    #[error("the files for TLS")]
    Files(#[source] Box<TlsError>),
    /// The TLS handshake failed.
    #[error("no TLS: {what}")]
    Handshake {
        /// What was wrong.
        what: String,
        /// What can be done about it.
        remedy: String,
        /// Trying again may help.
        transient: bool,
    },
    /// Plain DICOM, or something else, came to a port that speaks TLS.
    #[error("the port speaks TLS, and the caller began with {what}")]
    PlainOnTls {
        /// What it began with.
        what: &'static str,
    },
    /// TLS came where plain DICOM is spoken.
    #[error("the other side speaks TLS on this connection, and we were told to speak plain DICOM")]
    TlsOnPlain,
    /// The peer sent what the protocol does not allow; it was told so by an A-ABORT.
    #[error("the peer broke the protocol: {what}")]
    Protocol {
        /// What it did.
        what: String,
    },
    /// More than the bounds allow.
    #[error("{what} has {length} bytes, {limit} is the most")]
    TooLong {
        /// What was too long.
        what: &'static str,
        /// How long it is, or says it is.
        length: u64,
        /// The bound.
        limit: u64,
    },
    /// What we were told to propose or to send does not fit into the protocol.
    #[error("cannot ask for that: {what}")]
    Unspeakable {
        /// Why.
        what: String,
    },
}

impl AssocError {
    /// Whether trying again later, with nothing changed, may help.
    pub fn is_transient(&self) -> bool {
        match self {
            AssocError::Rejected { permanent, .. } => !permanent,
            AssocError::Refused { rejection, .. } => rejection.codes().0 == 2,
            AssocError::Handshake { transient, .. } => *transient,
            AssocError::Unspeakable { .. }
            | AssocError::TooLong { .. }
            | AssocError::Files(_)
            | AssocError::PlainOnTls { .. }
            | AssocError::TlsOnPlain => false,
            AssocError::Connect { .. }
            | AssocError::Aborted { .. }
            | AssocError::Closed
            | AssocError::Broken { .. }
            | AssocError::Timeout { .. }
            | AssocError::Protocol { .. } => true,
        }
    }

    /// What an administrator can do about it, if there is something.
    pub fn remedy(&self) -> Option<String> {
        match self {
            AssocError::Connect { host, port, .. } => Some(format!(
                "check that {host} is up, that its DICOM service listens on port {port}, and that no firewall is \
                 between"
            )),
            AssocError::Rejected { source_code: 1, reason: 3, called, calling, .. } => {
                Some(format!("register the AE title {calling}, with this machine's address, at {called}"))
            }
            AssocError::Rejected { source_code: 1, reason: 7, called, .. } => {
                Some(format!("the peer does not answer to the AE title {called}: correct it in the configuration"))
            }
            AssocError::Rejected { permanent: true, called, calling, .. } => Some(format!(
                "look into the log of {called} for why it rejects {calling}; often the AE title or the address is \
                 not registered there"
            )),
            AssocError::Rejected { permanent: false, called, .. } => {
                Some(format!("{called} is busy: allow fewer associations to it, or wait"))
            }
            AssocError::Files(error) => Some(error.remedy()),
            AssocError::Handshake { remedy, .. } => Some(remedy.clone()),
            AssocError::PlainOnTls { .. } => {
                Some("let the caller speak TLS; or take `tls` from the section of this port, for plain DICOM".into())
            }
            AssocError::TlsOnPlain => Some(
                "give the section (of the port, the source or the peer) `tls`, or let the other side speak plain DICOM"
                    .into(),
            ),
            AssocError::Protocol { .. } => Some("check that the port is the DICOM port of the peer".into()),
            AssocError::Refused { .. }
            | AssocError::Aborted { .. }
            | AssocError::Closed
            | AssocError::Broken { .. }
            | AssocError::Timeout { .. }
            | AssocError::TooLong { .. }
            | AssocError::Unspeakable { .. } => None,
        }
    }
}
