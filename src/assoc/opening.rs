//! The first PDUs of a connection: read whole, since they are short, and as they arrive, since nobody's word on
//! their length is trusted.

use bytes::{Bytes, BytesMut};

use super::connection::Connection;
use super::framer::{UNRECOGNIZED_PDU, Violation, too_long, unrecognized};
use super::pdu::{self, Header, kind};
use super::{AssocError, LONGEST_PDU};

/// How the buffer begins and by what it grows: a stranger costs no more than what it sent.
const STEP: usize = 4 << 10;

/// How the requests of the other protocol begin that strays here.
const HTTP: [&[u8]; 8] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE", b"OPTION", b"CONNEC", b"PRI * "];

/// What a web browser is told at this port.
const NOT_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    This port speaks DICOM, not HTTP.\n";

/// Reads a PDU of the negotiation, and hands back what was read behind it. Has no limit in time of its own.
pub(super) async fn read(connection: &mut Connection) -> Result<(Header, Bytes, BytesMut), AssocError> {
    let mut bytes = BytesMut::with_capacity(STEP);
    loop {
        if let Some(header) = Header::read(&bytes) {
            if HTTP.iter().any(|request| bytes.starts_with(request)) {
                connection.farewell(NOT_HTTP).await;
                return Err(AssocError::Protocol { what: "it speaks HTTP, and this is a DICOM port".into() });
            }
            if header.is_tls() && !connection.is_secure() {
                connection.farewell(&pdu::provider_abort(UNRECOGNIZED_PDU)).await;
                return Err(AssocError::TlsOnPlain);
            }
            if let Err(violation) = check(header) {
                return Err(refuse(connection, violation).await);
            }
            let whole = Header::LENGTH + header.length as usize;
            if bytes.len() >= whole {
                let mut pdu = bytes.split_to(whole).freeze();
                return Ok((header, pdu.split_off(Header::LENGTH), bytes));
            }
        }
        bytes.reserve(STEP);
        match connection.read(&mut bytes).await {
            Ok(0) => return Err(AssocError::Closed),
            Ok(_) => {}
            Err(source) => return Err(AssocError::Broken { doing: "negotiating the association", source }),
        }
    }
}

/// Answers what is no DICOM with an A-ABORT, and makes the error of it.
pub(super) async fn refuse(connection: &mut Connection, violation: Violation) -> AssocError {
    connection.farewell(&pdu::provider_abort(violation.reason)).await;
    AssocError::Protocol { what: violation.what }
}

fn check(header: Header) -> Result<(), Violation> {
    match header.kind {
        kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC if header.length > LONGEST_PDU => {
            Err(too_long(header.name(), header.length))
        }
        kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC => Ok(()),
        kind::ASSOCIATE_RJ..=kind::ABORT if header.length <= 1024 => Ok(()),
        kind::ASSOCIATE_RJ..=kind::ABORT => Err(too_long(header.name(), header.length)),
        _ => Err(unrecognized(header)),
    }
}
