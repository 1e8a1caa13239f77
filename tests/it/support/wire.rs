//! Associations byte by byte, for peers that misbehave in ways that the library does not allow.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::peers::PATIENCE;

/// Verification.
pub(crate) const VERIFICATION: &str = "1.2.840.10008.1.1";

/// An A-ASSOCIATE-RQ that proposes one presentation context, of id 1, in Implicit VR Little Endian.
pub(crate) fn associate_rq(calling: &str, called: &str, class: &str) -> Vec<u8> {
    let item = |kind: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 0, length[0], length[1]], body].concat()
    };
    let context = [&[1, 0, 0, 0][..], &item(0x30, class.as_bytes()), &item(0x40, b"1.2.840.10008.1.2")].concat();
    let user = [item(0x51, &16_384_u32.to_be_bytes()), item(0x52, b"1.2.3.4")].concat();
    let body = [
        &[0, 1, 0, 0][..],
        format!("{called:<16}{calling:<16}").as_bytes(),
        &[0; 32],
        &item(0x10, b"1.2.840.10008.3.1.1.1"),
        &item(0x20, &context),
        &item(0x50, &user),
    ]
    .concat();
    [&[1, 0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

/// Opens an association and reads the answer: its PDU type, and result, source and reason of a rejection.
pub(crate) fn associate(port: u16, calling: &str, called: &str) -> (TcpStream, u8, [u8; 3]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&associate_rq(calling, called, VERIFICATION)).unwrap();
    let (kind, body) = read_pdu(&mut stream).expect("an answer to the A-ASSOCIATE-RQ");
    let codes = if kind == 3 { [body[1], body[2], body[3]] } else { [0; 3] };
    (stream, kind, codes)
}

/// The next PDU; `None` at the end of the connection.
pub(crate) fn read_pdu(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let mut body = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some((head[0], body))
}

/// A P-DATA PDU with one fragment on context 1; `last` and `command` as its header says.
pub(crate) fn p_data(command: bool, last: bool, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    let control = u8::from(command) | (u8::from(last) << 1);
    [&[4, 0][..], &(length + 6).to_be_bytes(), &(length + 2).to_be_bytes(), &[1, control], data].concat()
}
