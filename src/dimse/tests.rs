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
    AcceptPolicy { ae_titles: Vec::new(), max_pdu, accept_scp_role: true, tls: None, authenticate: None, choose }
}

fn proposal(max_pdu: u32) -> Proposal {
    let context = |class: &str| Proposed {
        abstract_syntax: class.into(),
        transfer_syntaxes: vec![uids::EXPLICIT_LE.into()],
        scp_role: None,
    };
    Proposal {
        called: AeTitle::new("THERE").unwrap(),
        calling: AeTitle::new("HERE").unwrap(),
        contexts: vec![context(uids::VERIFICATION), context(CT)],
        max_pdu,
        extended: Vec::new(),
        tls: None,
        identity: None,
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

#[tokio::test]
async fn many_messages_go_out_in_one_write_and_arrive_one_by_one() {
    for max_pdu in [0, 1024, 131_072] {
        let (mut ours, mut theirs) = pair(131_072, max_pdu).await;
        let response = Command { has_data_set: true, ..Command::response(&store(), Status::PENDING) };
        let bytes = response.encode();
        let data: Vec<Vec<u8>> = (0..100).map(|number: u8| vec![number; usize::from(number) * 30]).collect();
        let sending = async {
            let messages = data.iter().map(|data| (bytes.as_slice(), data.as_slice()));
            ours.association_mut().send_all(3, messages, SOON).await.unwrap();
            ours.release(SOON).await;
        };
        let receiving = async {
            for data in &data {
                let (context, received) = theirs.receive(SOON).await.unwrap().unwrap();
                assert_eq!((context, &received), (3, &response));
                assert_eq!(theirs.collect_data(1 << 20, SOON).await.unwrap(), *data);
            }
            assert!(theirs.receive(SOON).await.unwrap().is_none());
        };
        tokio::join!(sending, receiving);
    }
}

/// A raw peer on an association whose contexts 1 (verification) and 3 (CT) are accepted.
async fn raw() -> (tokio::net::TcpStream, Session) {
    use tokio::io::AsyncReadExt;
    let item =
        |kind: u8, value: &[u8]| [&[kind, 0][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat();
    let context = |id: u8, class: &str| {
        let items = [item(0x30, class.as_bytes()), item(0x40, uids::IMPLICIT_LE.as_bytes())].concat();
        item(0x20, &[&[id, 0, 0, 0][..], &items].concat())
    };
    let mut body = vec![0; 68];
    body[1] = 1;
    body.extend([context(1, uids::VERIFICATION), context(3, CT)].concat());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut peer, &pdu(1, &body)).await.unwrap();
    let association = accept(listener.accept().await.unwrap().0, &policy(16_384)).await.unwrap();
    let mut header = [0; 6];
    peer.read_exact(&mut header).await.unwrap();
    let mut ac = vec![0; u32::from_be_bytes(header[2..].try_into().unwrap()) as usize];
    peer.read_exact(&mut ac).await.unwrap();
    (peer, Session::new(association))
}

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

const COMMAND: u8 = 1;
const LAST: u8 = 2;

fn pdv(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len() + 2).unwrap().to_be_bytes()[..], &[context, control], data].concat()
}

/// What comes of these PDUs: command, data set, and so on until an error or the release.
async fn outcome(pdus: &[Vec<u8>]) -> (Vec<(Command, Vec<u8>)>, Option<DimseError>) {
    let (mut peer, mut session) = raw().await;
    let bytes: Vec<u8> = pdus.iter().flat_map(|body| pdu(4, body)).chain(pdu(5, &[0; 4])).collect();
    let reading = async move {
        let mut messages = Vec::new();
        loop {
            let (_, command) = match session.receive(SOON).await {
                Ok(Some(message)) => message,
                Ok(None) => return (messages, None),
                Err(error) => return (messages, Some(error)),
            };
            match session.collect_data(100_000, SOON).await {
                Ok(data) => messages.push((command, data)),
                Err(error) => return (messages, Some(error)),
            }
        }
    };
    tokio::join!(reading, async { tokio::io::AsyncWriteExt::write_all(&mut peer, &bytes).await.unwrap() }).0
}

fn store() -> Command {
    Command::store_rq(4, &SopClassUid::new(CT), &SopInstanceUid::new("1.2"), None)
}

#[tokio::test]
async fn fragments_may_come_in_any_mix() {
    let (command, echo) = (store().encode(), Command::echo_rq(5).encode());
    let (begin, end) = command.split_at(21);
    for pdus in [
        // Everything in one PDU, two messages; everything in its own; split in odd places with empty fragments between.
        vec![[pdv(3, 3, &command), pdv(3, 0, b"da"), pdv(3, 2, b"ta"), pdv(1, 3, &echo)].concat()],
        vec![pdv(3, 3, &command), pdv(3, 2, b"data"), pdv(1, 3, &echo)],
        vec![
            [pdv(3, 1, begin), pdv(3, 1, b"")].concat(),
            [pdv(3, 3, end), pdv(3, 0, b"")].concat(),
            [pdv(3, 0, b"data"), pdv(3, 2, b""), pdv(1, 1, &echo), pdv(1, 3, b"")].concat(),
        ],
    ] {
        let (messages, error) = outcome(&pdus).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(messages, [(store(), b"data".to_vec()), (Command::echo_rq(5), vec![])]);
    }
}

#[tokio::test]
async fn fragments_that_have_no_place_are_errors() {
    let (command, echo) = (store().encode(), Command::echo_rq(5).encode());
    for (pdus, shown) in [
        (vec![pdv(3, LAST, b"data")], "a fragment of a data set came where a command set was due"),
        (
            vec![pdv(3, COMMAND, &command[..20]), pdv(3, LAST, b"data")],
            "a fragment of a data set came where a command set was due",
        ),
        (
            vec![pdv(1, COMMAND | LAST, &echo), pdv(1, LAST, b"data")],
            "a fragment of a data set came where a command set was due",
        ),
        (
            vec![pdv(3, COMMAND | LAST, &command), pdv(3, COMMAND | LAST, &echo)],
            "a command set came where a data set was due",
        ),
        (
            vec![pdv(3, COMMAND | LAST, &command), pdv(3, 0, b"da"), pdv(3, COMMAND, &echo)],
            "a command set came where a data set was due",
        ),
        (
            vec![pdv(3, COMMAND | LAST, &command), pdv(1, LAST, b"data")],
            "the data set that is due on presentation context 3 came on 1",
        ),
        (
            vec![pdv(3, COMMAND, &command[..20]), pdv(1, COMMAND | LAST, &command[20..])],
            "a command set that began on presentation context 3 went on on 1",
        ),
        (vec![pdv(3, COMMAND, &command[..20])], "the peer asked for release in the middle of a command set"),
        (
            vec![pdv(3, COMMAND | LAST, &command), pdv(3, 0, b"da")],
            "the peer asked for release where a data set was due",
        ),
        (vec![pdv(3, COMMAND | LAST, b"")], "cannot read the command set: 0 bytes without a Command Field (0000,0100)"),
        (vec![pdv(3, COMMAND, &[0; 10_000]); 7], "a command set is longer than 65536 bytes"),
        (
            vec![pdv(3, COMMAND | LAST, &command), pdv(3, 0, &[0; 16_000]).repeat(7)],
            "the data set of a message is longer than 100000 bytes",
        ),
    ] {
        let (messages, error) = outcome(&pdus).await;
        assert_eq!(error.unwrap().to_string(), shown);
        assert!(messages.len() <= 1);
    }
}

#[tokio::test]
async fn a_data_set_that_was_not_read_is_not_passed_over_in_silence() {
    let (mut peer, mut session) = raw().await;
    let message = pdu(
        4,
        &[pdv(3, 3, &store().encode()), pdv(3, 0, b"da"), pdv(3, 2, b"ta"), pdv(1, 3, &Command::echo_rq(5).encode())]
            .concat(),
    );
    tokio::io::AsyncWriteExt::write_all(&mut peer, &message).await.unwrap();
    assert!(session.receive(SOON).await.unwrap().unwrap().1.has_data_set);
    assert!(matches!(session.receive(SOON).await, Err(DimseError::Unexpected { .. })));
    session.discard_data(SOON).await.unwrap();
    assert_eq!(session.receive(SOON).await.unwrap().unwrap().1, Command::echo_rq(5));
    assert_eq!(session.read_data(SOON).await.unwrap(), None);
    assert!(matches!(session.send(1, &store(), None, SOON).await, Err(DimseError::Unexpected { .. })));
}

#[tokio::test]
async fn a_connection_that_ends_before_the_last_fragment_is_an_error() {
    let (mut peer, mut session) = raw().await;
    let message = pdu(4, &[pdv(3, 3, &store().encode()), pdv(3, 0, b"data")].concat());
    tokio::io::AsyncWriteExt::write_all(&mut peer, &message).await.unwrap();
    drop(peer);
    session.receive(SOON).await.unwrap().unwrap();
    let (data, last) = session.read_data(SOON).await.unwrap().unwrap();
    assert_eq!((&data[..], last), (&b"data"[..], false));
    assert!(matches!(session.read_data(SOON).await, Err(DimseError::Association(AssocError::Closed))));
}

#[tokio::test]
async fn a_cancel_is_seen_without_waiting() {
    let (mut ours, mut theirs) = pair(131_072, 131_072).await;
    let find = Command::find_rq(3, uids::STUDY_ROOT_FIND);
    ours.send(1, &find, Some(&[0; 8]), SOON).await.unwrap();
    theirs.receive(SOON).await.unwrap();
    theirs.discard_data(SOON).await.unwrap();
    assert!(!theirs.cancel_asked(3).await.unwrap());
    let cancelled = async |session: &mut Session| {
        let end = tokio::time::Instant::now() + SOON;
        while !session.cancel_asked(3).await? {
            assert!(tokio::time::Instant::now() < end);
            tokio::task::yield_now().await;
        }
        Ok::<(), DimseError>(())
    };
    // That of something else is none of ours.
    ours.send(1, &Command::cancel_rq(2), None, SOON).await.unwrap();
    ours.send(1, &Command::cancel_rq(3), None, SOON).await.unwrap();
    cancelled(&mut theirs).await.unwrap();
    assert!(!theirs.cancel_asked(3).await.unwrap(), "it is told once");
    ours.send(1, &Command::echo_rq(4), None, SOON).await.unwrap();
    let error = cancelled(&mut theirs).await.unwrap_err();
    assert!(matches!(error, DimseError::Unexpected { .. }), "{error}");
    let (ours, mut theirs) = pair(131_072, 131_072).await;
    ours.abort().await;
    let error = cancelled(&mut theirs).await.unwrap_err();
    assert!(matches!(error, DimseError::Association(AssocError::Aborted { .. })), "{error}");
}
