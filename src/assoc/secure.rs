//! The TLS handshake in front of an association, whichever side begins it. Whoever calls these sets the limit in time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio_rustls::TlsStream;
use tokio_rustls::rustls::{CommonState, Error};

use super::connection::Connection;
use super::framer::UNRECOGNIZED_PDU;
use super::pdu::{self, Header};
use super::tls::{self, Acceptor, Certificate, Connector, Security};
use super::transport::{Socket, Transport};
use super::{AssocError, Proposal, Throttle};
use crate::config::Login;
use pdu::{Passcode, UserIdentity};

/// The first byte of every TLS connection: a record of the handshake.
const HANDSHAKE: u8 = 0x16;

/// Takes the handshake of a caller. One who speaks plain DICOM is told so by an A-ABORT.
pub(super) async fn as_server(
    connection: Connection,
    acceptor: &Acceptor,
) -> Result<(Connection, Arc<Security>), AssocError> {
    let broken = |source| AssocError::Broken { doing: "waiting for the TLS handshake", source };
    let (address, throttle, socket) = parts(connection)?;
    match socket.first_byte().await.map_err(broken)? {
        Some(HANDSHAKE) => {}
        Some(kind) => {
            let mut connection = Connection::of(Transport::Plain(socket), address, throttle);
            connection.farewell(&pdu::provider_abort(UNRECOGNIZED_PDU)).await;
            return Err(AssocError::PlainOnTls { what: Header { kind, length: 0 }.name() });
        }
        None => return Err(AssocError::Closed),
    }
    match acceptor.0.accept(socket.buffered()).into_fallible().await {
        Ok(stream) => {
            let security = security(stream.get_ref().1)?;
            Ok((Connection::of(Transport::over_tls(TlsStream::Server(stream)), address, throttle), security))
        }
        Err((error, socket)) => {
            hang_up(Connection::of(Transport::Plain(socket.into_inner()), address, throttle)).await;
            Err(failed(&error, tls::explain_as_server, "the caller"))
        }
    }
}

/// Begins the handshake with somebody whom we call.
pub(super) async fn as_client(
    connection: Connection,
    connector: Connector,
) -> Result<(Connection, Arc<Security>), AssocError> {
    let (address, throttle, socket) = parts(connection)?;
    let Connector { connector, name } = connector;
    match connector.connect(name, socket.buffered()).into_fallible().await {
        Ok(stream) => {
            let security = security(stream.get_ref().1)?;
            Ok((Connection::of(Transport::over_tls(TlsStream::Client(stream)), address, throttle), security))
        }
        Err((error, socket)) => {
            hang_up(Connection::of(Transport::Plain(socket.into_inner()), address, throttle)).await;
            Err(failed(&error, tls::explain_as_client, "the peer"))
        }
    }
}

/// Reads what a proposal needs of files: certificates and keys, and who we say we are.
pub(super) async fn prepare(
    host: &str,
    proposal: &Proposal,
) -> Result<(Option<Connector>, Option<UserIdentity>), AssocError> {
    if proposal.identity.is_some() && proposal.tls.is_none() {
        return Err(AssocError::Unspeakable { what: "a user identity over plain DICOM".into() });
    }
    let Some(tls) = proposal.tls.clone() else { return Ok((None, None)) };
    let (host, identity) = (host.to_owned(), proposal.identity.clone());
    let read = tokio::task::spawn_blocking(move || {
        Ok((Some(Connector::load(&tls, &host)?), identity.as_deref().map(user_identity).transpose()?))
    });
    let panicked = |error| AssocError::Broken { doing: "reading certificates", source: io::Error::other(error) };
    read.await.map_err(panicked)?.map_err(|error: tls::TlsError| AssocError::Files(Box::new(error)))
}

fn user_identity(login: &Login) -> Result<UserIdentity, tls::TlsError> {
    let passcode = login.passcode_file.as_deref().map(tls::passcode).transpose()?;
    let kind = if passcode.is_some() { UserIdentity::NAME_AND_PASSCODE } else { UserIdentity::NAME };
    let passcode = Passcode(passcode.unwrap_or_default());
    Ok(UserIdentity { kind, answer: false, user: login.user.clone(), passcode })
}

fn parts(connection: Connection) -> Result<(SocketAddr, Option<Arc<Throttle>>, Socket), AssocError> {
    match connection.into_parts() {
        (Transport::Plain(socket), address, throttle) => Ok((address, throttle, socket)),
        (Transport::Tls(_), ..) => Err(AssocError::Unspeakable { what: "TLS over TLS".into() }),
    }
}

/// Lets the peer read the alert that tells it why.
async fn hang_up(mut connection: Connection) {
    connection.farewell(&[]).await;
}

fn security(session: &CommonState) -> Result<Arc<Security>, AssocError> {
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = shown
        .map(|der| {
            Certificate::read(der).ok_or_else(|| AssocError::Handshake {
                what: "the certificate was good, and cannot be read".into(),
                remedy: "let it have a certificate of X.509 version 3".into(),
                transient: false,
            })
        })
        .transpose()?;
    let name = |name: Option<String>| name.unwrap_or_default();
    Ok(Arc::new(Security {
        version: name(session.protocol_version().map(|version| format!("{version:?}"))),
        suite: name(session.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()))),
        certificate,
    }))
}

fn failed(error: &io::Error, explain: fn(&Error) -> (String, String), who: &str) -> AssocError {
    match tls::of_handshake(error) {
        Some(error) => {
            let (what, remedy) = explain(error);
            AssocError::Handshake { what, remedy, transient: false }
        }
        None => AssocError::Handshake {
            what: format!("{who} ended the connection within it ({error})"),
            remedy: format!("see that {who} speaks TLS 1.2 or 1.3 on this port, and look into its log"),
            transient: true,
        },
    }
}
