//! Who is at the other end of an association of the hospital's node, and what it may ask for.
//!
//! A peer is an AE title *and* an address: AE titles are no secret, and an address alone says nothing of who uses it. A
//! source may store from its addresses under any AE title, as at the receiver. This machine may always ask whether we
//! are here; while no peer is configured, in which case nobody else can reach the port, it may do everything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::gate::Gates;
use super::sender::Sender;
use crate::config::{Config, Peer, Right};

/// Who is at the other end of an association of the node.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its calling AE title, free of control characters.
    pub ae_title: String,
    /// Its address.
    pub address: SocketAddr,
    /// The configured peer that it is.
    pub peer: Option<Arc<Peer>>,
    /// The configured source that it is.
    pub source: Option<Sender>,
    /// Nobody is configured, and it is on this machine: it may do everything.
    pub unguarded: bool,
    /// The node is stopping: what takes long ends soon.
    pub stop: CancellationToken,
}

impl Caller {
    /// Who calls; `None` when nobody knows it.
    pub(super) fn of(
        config: &Config,
        gates: &Gates,
        address: SocketAddr,
        calling: &str,
        stop: CancellationToken,
    ) -> Option<Self> {
        let peer = config.peers.iter().find(|peer| peer.is_called(calling) && peer.may_call_from(address.ip()));
        let caller = Caller {
            ae_title: calling.to_owned(),
            address,
            peer: peer.cloned().map(Arc::new),
            source: Sender::of(config, gates, address, calling),
            unguarded: config.peers.is_empty() && address.ip().to_canonical().is_loopback(),
            stop,
        };
        let known = caller.peer.is_some() || caller.source.is_some() || address.ip().to_canonical().is_loopback();
        known.then_some(caller)
    }

    /// Whether it may ask for this.
    pub fn may(&self, right: Right) -> bool {
        self.unguarded
            || self.peer.as_ref().is_some_and(|peer| peer.allow.contains(&right))
            || (right == Right::Store && self.source.is_some())
    }

    /// What it is called where it is counted: by its name in the configuration.
    pub(super) fn name(&self) -> &str {
        match (&self.peer, &self.source) {
            (Some(peer), _) => peer.ae_title.as_str(),
            (None, Some(source)) => &source.name,
            (None, None) => "this machine",
        }
    }
}

/// Whether anybody who is known calls from this address.
pub(super) fn is_known(config: &Config, address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
        || config.source_of_address(address).is_some()
        || config.peers.iter().any(|peer| peer.may_call_from(address))
}
