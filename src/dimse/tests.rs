//! Messages over real associations on loopback.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::*;
use crate::assoc::{AcceptPolicy, Association, Decision, Proposal, Proposed, RequestTimeouts, accept, request};
use crate::dicom::{AeTitle, SopClassUid, SopInstanceUid, Status, uids};

const SOON: Duration = Duration::from_secs(10);
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn policy(max_pdu: u32) -> AcceptPolicy {
    let choose = Arc::new(|_: &crate::assoc::Offer| Decision::Accept(Box::new(|o| o.accept())));
    AcceptPolicy { ae_titles: Vec::new(), max_pdu, accept_scp_role: true, choose }
}

fn proposal(max_pdu: u32) -> Proposal {
    let context = |class: &str| Proposed { abstract_syntax: class.into(), transfer_syntaxes: vec![uids::EXPLICIT_LE.into()], scp_role: None };
    Proposal {
        called: AeTitle::new("THERE").unwrap(),
        calling: AeTitle::new("HERE").unwrap(),
        contexts: vec![context(uids::VERIFICATION), context(CT)],
        max_pdu,
        extended: Vec::new(),
    }
}

/// The requestor's and the acceptor's side.
async fn pair(requestor_max: u32, acceptor_max: u32) -> (Session, Session) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = async { accept(listener.accept().await.unwrap().0, &policy(acceptor_max)).await };
    let proposal = proposal(requestor_max);
    let timeouts = RequestTimeouts { connect: SOON, negotiate: SOON };
    let (ours, theirs) = tokio::join!(request("127.0.0.1", port, &proposal, &timeouts), accepting);
    let sessions: [Association; 2] = [ours.unwrap(), theirs.unwrap()];
    let [ours, theirs] = sessions.map(Session::new);
    (ours, theirs)
}

#[tokio::test]
async fn an_echo_is_answered_and_released() {
    let (mut ours, mut theirs) = pair(131_072, 131_072).await;
    let peer = theirs.association().peer();
    assert_eq!((peer.calling.as_str(), peer.called.as_str(), peer.max_pdu), ("HERE", "THERE", 131_072));
    assert_eq!(peer.implementation_class.as_deref(), Some(uids::IMPLEMENTATION_CLASS));
    assert_eq!(ours.association().peer().implementation_version.as_deref(), Some(uids::IMPLEMENTATION_VERSION));
    let answering = async {
        let (context, command) = theirs.receive(SOON).await.unwrap().unwrap();
        assert_eq!(command, Command::echo_rq(7));
        theirs.send(context, &Command::response(&command, Status::SUCCESS), None, SOON).await.unwrap();
        assert!(theirs.receive(SOON).await.unwrap().is_none());
    };
    let asking = async {
        ours.send(1, &Command::echo_rq(7), None, SOON).await.unwrap();
        let (context, response) = ours.receive(SOON).await.unwrap().unwrap();
        assert_eq!((context, response.field, response.message_id), (1, CommandField::CEchoRsp, 7));
        assert_eq!(response.status, Some(Status::SUCCESS));
        ours.release(SOON).await;
    };
    tokio::join!(answering, asking);
}

#[tokio::test]
async fn a_data_set_arrives_as_it_was_sent_whatever_the_peer_takes() {
    let data: Vec<u8> = (0..251).cycle().take(1_000_000).collect();
    for max_pdu in [0, 1024, 4097, 16_383, 131_072, u32::MAX] {
        let (mut ours, mut theirs) = pair(131_072, max_pdu).await;
        let command = Command::store_rq(1, &SopClassUid::new(CT), &SopInstanceUid::new("1.2.3"), Some(("MOVER", 9)));
        let sending = async {
            for length in [0, 1, 2, 999, data.len()] {
                ours.send(3, &command, Some(&data[..length]), SOON).await.unwrap();
            }
            // Piece by piece, odd ones too.
            let association = ours.association_mut();
            association.send_command(3, &command.encode(), SOON).await.unwrap();
            let mut rest = &data[..];
            for length in [1, 0, 1, 3, 70_001, 2, 400_000].into_iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(length));
                rest = after;
                association.send_data(3, piece, rest.is_empty(), SOON).await.unwrap();
                if rest.is_empty() {
                    break;
                }
            }
            ours.release(SOON).await;
        };
        let receiving = async {
            for length in [0, 1, 2, 999, data.len(), data.len()] {
                let (context, received) = theirs.receive(SOON).await.unwrap().unwrap();
                assert_eq!((context, &received), (3, &command));
                let bytes = theirs.collect_data(1 << 20, SOON).await.unwrap();
                assert_eq!(bytes.len(), length.next_multiple_of(2));
                assert!(bytes[..length] == data[..length], "{max_pdu} {length}");
            }
            assert!(theirs.receive(SOON).await.unwrap().is_none());
        };
        tokio::join!(sending, receiving);
    }
}
