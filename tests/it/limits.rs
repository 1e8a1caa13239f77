//! The limits of the hospital's node: what is beyond them is turned away with a message that names the setting.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pacsferry::dimse::Command;

use crate::support::peers::{Ferry, PATIENCE, Server, echo, get, until};
use crate::support::wire::{VERIFICATION, associate, associate_rq, p_data, read_pdu};

const ACCEPTED: u8 = 2;
const REJECTED: u8 = 3;
const ABORT: u8 = 7;

/// A node with these limits.
fn node(limits: &str) -> (Ferry, Server) {
    let ferry = Ferry::new();
    ferry.configure_with(&[], &format!("[node.limits]\n{limits}\n"));
    let server = ferry.serve();
    (ferry, server)
}

fn told(ferry: &Ferry, what: &str) {
    until(&format!("`{what}` in the log: {}", ferry.served()), PATIENCE, || {
        ferry.served().contains(what).then_some(())
    });
}

/// Sends a byte every so often, until the peer has enough.
fn trickle(stream: &mut TcpStream, bytes: &[u8]) -> Duration {
    let begun = Instant::now();
    for byte in bytes {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the peer is patient beyond measure");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    begun.elapsed()
}

#[test]
fn who_negotiates_byte_by_byte_is_left() {
    let (ferry, _server) = node("negotiation = \"1s\"");
    let mut slow = TcpStream::connect(("127.0.0.1", ferry.node)).unwrap();
    let rq = associate_rq("SLOW", Ferry::NODE, VERIFICATION);
    trickle(&mut slow, &rq.repeat(4));
    assert!(read_pdu(&mut slow).is_none(), "it is not let in");
    told(&ferry, "timed out waiting for a whole A-ASSOCIATE-RQ");
    assert_eq!(echo(ferry.node, "OTHER", Ferry::NODE), Ok(()));
    assert!(get(ferry.web, "/metrics").contains("pacsferry_turned_away_total{reason=\"timeout\"} 1"));
}

#[test]
fn who_sends_byte_by_byte_is_left() {
    let (ferry, _server) = node("stall = \"1s\"");
    let (mut slow, kind, _) = associate(ferry.node, "SLOW", Ferry::NODE);
    assert_eq!(kind, ACCEPTED);
    trickle(&mut slow, &p_data(true, true, &[0; 4000]));
    told(&ferry, "`stall` in [node.limits]");
    assert_eq!(echo(ferry.node, "OTHER", Ferry::NODE), Ok(()));
}

#[test]
fn who_says_nothing_is_left() {
    let (ferry, _server) = node("idle = \"1s\"");
    let (mut silent, kind, _) = associate(ferry.node, "SILENT", Ferry::NODE);
    assert_eq!(kind, ACCEPTED);
    assert_eq!(read_pdu(&mut silent).map(|(kind, _)| kind), Some(ABORT));
    told(&ferry, "`idle` in [node.limits]");
}

#[test]
fn more_associations_than_a_peer_may_have_are_rejected_for_the_moment() {
    let local_limit = [2, 3, 2];
    let (ferry, _server) = node("associations_per_peer = 2");
    let held = [associate(ferry.node, "A", Ferry::NODE), associate(ferry.node, "A", Ferry::NODE)];
    assert!(held.iter().all(|(_, kind, _)| *kind == ACCEPTED));
    let (_, kind, codes) = associate(ferry.node, "A", Ferry::NODE);
    assert_eq!((kind, codes), (REJECTED, local_limit));
    told(&ferry, "raise `associations_per_peer` in [node.limits]");
    drop(held);
    until("a place is free again", PATIENCE, || (associate(ferry.node, "A", Ferry::NODE).1 == ACCEPTED).then_some(()));

    let (ferry, _server) = node("associations = 2");
    let held = [associate(ferry.node, "A", Ferry::NODE), associate(ferry.node, "B", Ferry::NODE)];
    assert!(held.iter().all(|(_, kind, _)| *kind == ACCEPTED));
    // Connections that say nothing take no place.
    let _idle: Vec<_> = (0..20).map(|_| TcpStream::connect(("127.0.0.1", ferry.node)).unwrap()).collect();
    let (_, kind, codes) = associate(ferry.node, "C", Ferry::NODE);
    assert_eq!((kind, codes), (REJECTED, local_limit));
    told(&ferry, "raise `associations` in [node.limits]");
    drop(held);
    until("a place is free again", PATIENCE, || (associate(ferry.node, "C", Ferry::NODE).1 == ACCEPTED).then_some(()));
}

#[test]
fn a_command_set_that_is_too_long_ends_the_association() {
    let (ferry, _server) = node("command = \"1 KiB\"");
    let (mut peer, kind, _) = associate(ferry.node, "LONG", Ferry::NODE);
    assert_eq!(kind, ACCEPTED);
    for _ in 0..2 {
        peer.write_all(&p_data(true, false, &[0; 600])).unwrap();
    }
    assert_eq!(read_pdu(&mut peer).map(|(kind, _)| kind), Some(ABORT));
    told(&ferry, "raise `command` in [node.limits]");
}

#[test]
fn a_pdu_that_is_too_long_ends_the_association() {
    let (ferry, _server) = node("");
    let (mut peer, kind, _) = associate(ferry.node, "LONG", Ferry::NODE);
    assert_eq!(kind, ACCEPTED);
    peer.write_all(&[4, 0, 0x7F, 0xFF, 0xFF, 0xFF]).unwrap();
    assert_eq!(read_pdu(&mut peer).map(|(kind, _)| kind), Some(ABORT));
    told(&ferry, "says it has 2147483647 bytes");
}

#[test]
fn who_asks_too_often_waits() {
    let (ferry, _server) = node("requests = 4");
    let (mut peer, kind, _) = associate(ferry.node, "EAGER", Ferry::NODE);
    assert_eq!(kind, ACCEPTED);
    let begun = Instant::now();
    for id in 0..9 {
        peer.write_all(&p_data(true, true, &Command::echo_rq(id).encode())).unwrap();
        assert_eq!(read_pdu(&mut peer).map(|(kind, _)| kind), Some(4), "an answer");
    }
    // A second's worth at once, and one more; the rest a quarter of a second each.
    assert!(begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
}
