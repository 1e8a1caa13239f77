//! Cuts the bytes of an association into events, pure: no PDU is kept whole, and no length is believed.

use bytes::{Buf, Bytes, BytesMut};

use super::LONGEST_PDU;
use super::pdu::{Header, kind};

/// A fragment is handed on in parts of at least this size, when it is not here as a whole.
pub(crate) const PART: usize = 64 << 10;

/// The longest A-RELEASE or A-ABORT. They have 4 bytes; what a peer adds is skipped.
const LONGEST_SIGNAL: u32 = 1024;

/// What the bytes say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Pdv { context: u8, command: bool, last: bool, data: Bytes },
    ReleaseRq,
    ReleaseRp,
    Abort { source: u8, reason: u8 },
}

/// What the peer did against the protocol, and the reason of the A-ABORT for it (PS3.8 §9.3.8).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) reason: u8,
    pub(crate) what: String,
}

pub(crate) const UNRECOGNIZED_PDU: u8 = 1;
pub(crate) const UNEXPECTED_PDU: u8 = 2;
pub(crate) const UNEXPECTED_PARAMETER: u8 = 5;
pub(crate) const INVALID_PARAMETER: u8 = 6;

/// Where in the stream of PDUs we are.
#[derive(Debug)]
pub(crate) struct Framer {
    announced: u32,
    oversized: Option<u32>,
    begun: u64,
    /// What is left of the P-DATA PDU at hand, the open PDV included.
    pdu_left: u32,
    pdv: Option<Pdv>,
}

#[derive(Debug, Clone, Copy)]
struct Pdv {
    context: u8,
    command: bool,
    last: bool,
    left: u32,
}

impl Framer {
    /// `announced` is the longest PDU that we said we take.
    pub(crate) fn new(announced: u32) -> Self {
        Framer { announced, oversized: None, begun: 0, pdu_left: 0, pdv: None }
    }

    /// The next event, or `None` when more bytes are needed. `part` is the least that is handed on of a fragment
    /// that is not here as a whole.
    pub(crate) fn next(&mut self, bytes: &mut BytesMut, part: usize) -> Result<Option<Event>, Violation> {
        loop {
            if let Some(pdv) = self.pdv {
                return Ok(self.data(pdv, bytes, part));
            }
            if self.pdu_left > 0 {
                if !self.open_pdv(bytes)? {
                    return Ok(None);
                }
                continue;
            }
            let Some(header) = Header::read(bytes) else { return Ok(None) };
            match header.kind {
                kind::P_DATA => {
                    if header.length > LONGEST_PDU.max(self.announced) {
                        return Err(too_long("a P-DATA PDU", header.length));
                    }
                    if self.announced > 0 && header.length > self.announced && self.oversized.is_none() {
                        self.oversized = Some(header.length);
                    }
                    bytes.advance(Header::LENGTH);
                    self.begun += 1;
                    self.pdu_left = header.length;
                }
                kind::RELEASE_RQ | kind::RELEASE_RP | kind::ABORT => return signal(header, bytes),
                kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC | kind::ASSOCIATE_RJ => {
                    let what = format!("it sent {} on an association that is established", header.name());
                    return Err(Violation { reason: UNEXPECTED_PDU, what });
                }
                _ => return Err(unrecognized(header)),
            }
        }
    }

    /// Whether the peer is in the middle of a PDU.
    pub(crate) fn is_inside(&self, bytes: &BytesMut) -> bool {
        self.pdu_left > 0 || self.pdv.is_some() || !bytes.is_empty()
    }

    /// How many P-DATA PDUs have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// The length of the first PDU that was longer than announced.
    pub(crate) fn oversized(&self) -> Option<u32> {
        self.oversized
    }

    fn open_pdv(&mut self, bytes: &mut BytesMut) -> Result<bool, Violation> {
        const PDV_HEADER: u32 = 6;
        if self.pdu_left < PDV_HEADER {
            let what = format!("{} bytes at the end of a PDU are no presentation data value", self.pdu_left);
            return Err(Violation { reason: INVALID_PARAMETER, what });
        }
        let Some(&[a, b, c, d, context, control]) = bytes.first_chunk() else { return Ok(false) };
        let length = u32::from_be_bytes([a, b, c, d]);
        if length < 2 || length > self.pdu_left - 4 {
            let what =
                format!("a presentation data value says it has {length} bytes where its PDU has {}", self.pdu_left - 4);
            return Err(Violation { reason: INVALID_PARAMETER, what });
        }
        bytes.advance(PDV_HEADER as usize);
        self.pdu_left -= PDV_HEADER;
        self.pdv = Some(Pdv { context, command: control & 1 != 0, last: control & 2 != 0, left: length - 2 });
        Ok(true)
    }

    fn data(&mut self, mut pdv: Pdv, bytes: &mut BytesMut, part: usize) -> Option<Event> {
        let here = bytes.len().min(pdv.left as usize);
        if here < (pdv.left as usize).min(part) {
            return None;
        }
        // `here` is no more than `left`, which is a u32.
        let taken = u32::try_from(here).unwrap_or(pdv.left);
        pdv.left -= taken;
        self.pdu_left -= taken;
        self.pdv = (pdv.left > 0).then_some(pdv);
        let data = bytes.split_to(here).freeze();
        Some(Event::Pdv { context: pdv.context, command: pdv.command, last: pdv.last && pdv.left == 0, data })
    }
}

fn signal(header: Header, bytes: &mut BytesMut) -> Result<Option<Event>, Violation> {
    if header.length > LONGEST_SIGNAL {
        return Err(too_long(header.name(), header.length));
    }
    let whole = Header::LENGTH + header.length as usize;
    if bytes.len() < whole {
        return Ok(None);
    }
    let body = bytes.split_to(whole);
    let byte = |at: usize| body.get(Header::LENGTH + at).copied().unwrap_or(0);
    Ok(Some(match header.kind {
        kind::RELEASE_RQ => Event::ReleaseRq,
        kind::RELEASE_RP => Event::ReleaseRp,
        _ => Event::Abort { source: byte(2), reason: byte(3) },
    }))
}

/// An A-ABORT is due before anything of the PDU is kept.
pub(crate) fn too_long(what: &str, length: u32) -> Violation {
    Violation { reason: INVALID_PARAMETER, what: format!("{what} says it has {length} bytes") }
}

pub(crate) fn unrecognized(header: Header) -> Violation {
    Violation { reason: UNRECOGNIZED_PDU, what: format!("it sent {}", header.name()) }
}

#[cfg(test)]
mod tests;
