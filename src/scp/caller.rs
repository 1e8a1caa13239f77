//! Who is at the other end of an association of the hospital's node, and what it may ask for.
//!
//! A peer is an AE title *and* an address: AE titles are no secret, and an address alone says nothing of who uses it. A
//! source may store from its addresses under any AE title, as at the receiver. While no peer is configured, in which case
//! nobody else can reach the port, this machine may do everything; from then on it is a peer like any other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::gate::Gates;
use super::identity;
use super::sender::Sender;
use crate::audit::Party;
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
    /// The person or program at it, if the association said who that is, and showed it.
    pub user: Option<String>,
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
        let peer = identity::peer_of(config, address, calling);
        let caller = Caller {
            ae_title: calling.to_owned(),
            address,
            peer: peer.cloned().map(Arc::new),
            source: Sender::of(config, gates, address, calling),
            unguarded: is_unguarded(config, address.ip()),
            user: None,
            stop,
        };
        (caller.peer.is_some() || caller.source.is_some() || caller.unguarded).then_some(caller)
    }

    /// Whether it may ask for this.
    pub fn may(&self, right: Right) -> bool {
        self.unguarded
            || self.peer.as_ref().is_some_and(|peer| peer.allow.contains(&right))
            || (right == Right::Store && self.source.is_some())
    }

    /// Who it is in the audit trail.
    pub fn party(&self) -> Party {
        Party { name: self.ae_title.clone(), address: Some(self.address.ip()), user: self.user.clone() }
    }

    /// Whether it may ask for this by what the configuration says now.
    pub(super) fn may_now(&self, config: &Config, right: Right) -> bool {
        let ip = self.address.ip();
        let stores = right == Right::Store && config.source_of_address(ip).is_some();
        let peer = identity::peer_of(config, self.address, &self.ae_title);
        self.may(right) && (is_unguarded(config, ip) || stores || peer.is_some_and(|peer| peer.allow.contains(&right)))
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
    is_unguarded(config, address)
        || config.source_of_address(address).is_some()
        || config.peers.iter().any(|peer| peer.may_call_from(address))
}

/// Whether nobody is configured, and it is on this machine.
fn is_unguarded(config: &Config, address: IpAddr) -> bool {
    config.peers.is_empty() && address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHTS: [Right; 4] = [Right::Query, Right::Retrieve, Right::Store, Right::Commit];
    const PEERS: &str = "[node]\nlisten = \"0.0.0.0:11112\"\n\
        [[source]]\nname = \"old\"\nae_title = \"OLDPACS\"\naddress = \"10.0.0.9:104\"\n\
        [[peer]]\nae_title = \"WS1\"\naddress = \"10.0.0.1:104\"\nallow = [\"query\", \"retrieve\"]\n\
        [[peer]]\nae_title = \"CT1\"\naddress = \"10.0.0.1:104\"\nfrom = [\"10.2.0.0/16\"]\nallow = [\"store\", \"commit\"]\n";

    /// What one who calls so from there may do; `None` when it is not let in.
    fn may(config: &str, calling: &str, address: &str) -> Option<Vec<Right>> {
        let config = crate::config::parse(config, None).unwrap();
        let address: IpAddr = address.parse().unwrap();
        let caller =
            Caller::of(&config, &Gates::default(), (address, 40_000).into(), calling, CancellationToken::new());
        assert!(caller.is_none() || is_known(&config, address), "who is let in has a place among the known");
        caller.map(|caller| RIGHTS.into_iter().filter(|right| caller.may(*right)).collect())
    }

    #[test]
    fn a_peer_is_its_title_and_its_address_and_its_rights() {
        use Right::{Commit, Query, Retrieve, Store};
        for (calling, address, expected) in [
            ("WS1", "10.0.0.1", Some(vec![Query, Retrieve])),
            ("ws1", "::ffff:10.0.0.1", Some(vec![Query, Retrieve])),
            ("CT1", "10.2.77.1", Some(vec![Store, Commit])),
            // The right title from the wrong address, and the reverse.
            ("WS1", "10.2.77.1", None),
            ("CT1", "10.0.0.1", None),
            ("WS2", "10.0.0.1", None),
            ("", "10.0.0.1", None),
            ("WS1", "10.0.0.2", None),
            // A source stores under any title.
            ("WHATEVER", "10.0.0.9", Some(vec![Store])),
            // Where peers are configured this machine is nobody.
            ("WS1", "127.0.0.1", None),
        ] {
            assert_eq!(may(PEERS, calling, address), expected, "{calling} at {address}");
        }
    }

    #[test]
    fn who_is_shut_out_is_shut_out_at_once_and_nobody_gets_more_than_was_negotiated() {
        let config = |text: &str| crate::config::parse(text, None).unwrap();
        let address = ("10.0.0.1".parse::<IpAddr>().unwrap(), 40_000).into();
        let opened = config(PEERS);
        let caller = Caller::of(&opened, &Gates::default(), address, "WS1", CancellationToken::new()).unwrap();
        assert!(caller.may_now(&opened, Right::Query) && !caller.may_now(&opened, Right::Store));
        let less = config(&PEERS.replace("[\"query\", \"retrieve\"]", "[\"retrieve\", \"store\"]"));
        assert!(!caller.may_now(&less, Right::Query) && caller.may_now(&less, Right::Retrieve));
        assert!(!caller.may_now(&less, Right::Store), "that is for the next association");
        let gone = config(&PEERS.replace("WS1", "WS9"));
        assert!(RIGHTS.iter().all(|right| !caller.may_now(&gone, *right)));
    }

    #[test]
    fn without_peers_this_machine_may_do_everything_and_nobody_else_anything() {
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(may("", "ANY", address), Some(RIGHTS.to_vec()), "{address}");
        }
        assert_eq!(may("", "ANY", "10.0.0.1"), None);
        assert_eq!(may("", "ANY", "::2"), None);
    }
}
