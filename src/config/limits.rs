//! `[node] limits`: how much may be asked of the node at one time, so that nobody can take it from the others.

use std::time::Duration;

use super::raw::Section;
use super::units::{parse_bytes, parse_rate};
use super::values::{count, positive};

/// The bounds of the hospital's node. *Per peer* means all associations of a peer together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLimits {
    /// The most associations at one time.
    pub associations: usize,
    /// The most associations of one peer.
    pub associations_per_peer: usize,
    /// The most connections that have not negotiated an association yet; the oldest makes room for the next.
    pub waiting: usize,
    /// How long the negotiation of an association may take, TLS included (ARTIM).
    pub negotiation: Duration,
    /// How long an association may lie idle between two messages.
    pub idle: Duration,
    /// How long a peer may take over the rest of a PDU, or over the next fragment of a message.
    pub stall: Duration,
    /// The longest PDU that we announce, in bytes.
    pub max_pdu: u32,
    /// The longest command set, in bytes.
    pub command: usize,
    /// The longest identifier of a query or retrieve, in bytes.
    pub identifier: usize,
    /// The longest value in an identifier, in bytes: lists of UIDs are long.
    pub value: usize,
    /// How deep the sequences of an identifier may be nested.
    pub nesting: usize,
    /// Requests per second and peer; more wait. C-STORE is not counted.
    pub requests: u32,
    /// Bytes per second that are taken from each peer; more wait.
    pub rate: Option<u64>,
}

impl NodeLimits {
    pub(super) fn read(s: &Section<'_>) -> Self {
        let bytes = |key, least, most| s.text(key, |text| within(text, least, most));
        let limits = NodeLimits {
            associations: count(s.number("associations", 1..=1000)).unwrap_or(100),
            associations_per_peer: count(s.number("associations_per_peer", 1..=1000)).unwrap_or(32),
            waiting: count(s.number("waiting", 8..=1000)).unwrap_or(128),
            negotiation: s.text("negotiation", positive).unwrap_or(Duration::from_secs(10)),
            idle: s.text("idle", positive).unwrap_or(Duration::from_secs(15 * 60)),
            stall: s.text("stall", positive).unwrap_or(Duration::from_secs(60)),
            max_pdu: s.number("max_pdu", 4096..=1_048_576).and_then(|n| u32::try_from(n).ok()).unwrap_or(131_072),
            command: bytes("command", 1 << 10, 64 << 10).unwrap_or(64 << 10),
            identifier: bytes("identifier", 1 << 10, 16 << 20).unwrap_or(2 << 20),
            value: bytes("value", 64, 16 << 20).unwrap_or(1 << 20),
            nesting: count(s.number("nesting", 1..=64)).unwrap_or(16),
            requests: s.number("requests", 1..=100_000).and_then(|n| u32::try_from(n).ok()).unwrap_or(100),
            rate: s.text("rate", parse_rate),
        };
        s.finish();
        limits
    }
}

/// A number of bytes within bounds.
fn within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let bytes = usize::try_from(parse_bytes(text)?).unwrap_or(usize::MAX);
    if (least..=most).contains(&bytes) {
        Ok(bytes)
    } else {
        Err(format!("{text} is out of bounds; write something from {least} to {most} bytes"))
    }
}
