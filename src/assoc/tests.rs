//! Negotiation on loopback, with peers that know no manners.

mod extended;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::pdu::kind;
use super::*;
use crate::dicom::{TransferSyntaxUid, uids};

pub(super) const SOON: Duration = Duration::from_secs(10);
pub(super) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

pub(super) fn proposal(contexts: &[(&str, &[&str])]) -> Proposal {
    let proposed = contexts.iter().map(|(class, syntaxes)| Proposed {
        abstract_syntax: (*class).into(),
        transfer_syntaxes: syntaxes.iter().map(|s| (*s).into()).collect(),
        scp_role: None,
    });
    Proposal {
        called: AeTitle::new("THERE").unwrap(),
        calling: AeTitle::new("HERE").unwrap(),
        contexts: proposed.collect(),
        max_pdu: 16_384,
        extended: Vec::new(),
        tls: None,
        identity: None,
    }
}

/// Storage and echo, each in Implicit VR.
pub(super) fn usual() -> Proposal {
    proposal(&[(CT, &[uids::IMPLICIT_LE]), (uids::VERIFICATION, &[uids::IMPLICIT_LE])])
}

pub(super) fn policy(decide: impl Fn(&Offer) -> Decision + Send + Sync + 'static) -> AcceptPolicy {
    AcceptPolicy {
        ae_titles: vec![AeTitle::new("there").unwrap()],
        max_pdu: 16_384,
        accept_scp_role: false,
        tls: None,
        authenticate: None,
        choose: Arc::new(decide),
    }
}

/// Takes storage and refuses everything else.
pub(super) fn storage_only() -> AcceptPolicy {
    policy(|_| {
        Decision::Accept(Box::new(|o| match negotiate::is_storage(o.abstract_syntax.as_str()) {
            true => o.accept(),
            false => Answer::AbstractSyntaxNotSupported,
        }))
    })
}

pub(super) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

pub(super) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// The next PDU that a raw peer gets: its type and its body. `None` is the end of the connection.
pub(super) async fn read_pdu(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let read = async {
        let mut header = [0; 6];
        socket.read_exact(&mut header).await.ok()?;
        let mut body = vec![0; u32::from_be_bytes(header[2..].try_into().unwrap()) as usize];
        socket.read_exact(&mut body).await.ok()?;
        Some((header[0], body))
    };
    tokio::time::timeout(SOON, read).await.expect("a PDU or the end within the limit")
}

async fn accepting(socket: TcpStream, policy: &AcceptPolicy) -> Result<Association, AssocError> {
    tokio::time::timeout(SOON, accept::accept_within(socket, policy, Duration::from_secs(5))).await.unwrap()
}

/// What a peer that sends these bytes gets to read, and what we make of it.
async fn send_raw(bytes: &[u8], policy: &AcceptPolicy) -> (Option<(u8, Vec<u8>)>, Result<Association, AssocError>) {
    let (mut peer, socket) = sockets().await;
    // The peer closes when it has its answer.
    let speaking = async move {
        peer.write_all(bytes).await.unwrap();
        read_pdu(&mut peer).await
    };
    tokio::join!(speaking, accepting(socket, policy))
}

#[tokio::test]
async fn strangers_are_turned_away_at_their_first_bytes() {
    let giant = |kind: u8| [kind, 0, 0xFF, 0xFF, 0xFF, 0xFF];
    let rq = pdu::write_rq(&usual(), None).unwrap();
    for (bytes, reason) in [
        (&b"SSH-2.0-OpenSSH_9.6\r\n"[..], 1),
        (&giant(1), 6),
        (&giant(2), 6),
        (&giant(5), 6),
        (&giant(99), 1),
        (&[1, 0, 0, 0x10, 0, 1], 6),
        (&pdu(kind::ASSOCIATE_RQ, &[]), 6),
        (&pdu(kind::ASSOCIATE_RQ, &rq[6..rq.len() - 1]), 6),
        (&pdu(kind::ASSOCIATE_AC, &[0; 80]), 2),
        (&pdu(kind::ASSOCIATE_RJ, &[0; 4]), 2),
        (&pdu(kind::P_DATA, &[0, 0, 0, 4, 1, 3, 0, 0]), 2),
        (&pdu(kind::RELEASE_RQ, &[0; 4]), 2),
        (&pdu(kind::RELEASE_RP, &[0; 4]), 2),
        (&pdu(kind::ABORT, &[0; 4]), 2),
    ] {
        let (answer, result) = send_raw(bytes, &storage_only()).await;
        assert_eq!(answer, Some((kind::ABORT, vec![0, 0, 2, reason])), "{bytes:?}");
        assert!(matches!(result, Err(AssocError::Protocol { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn a_peer_that_stays_silent_or_trickles_is_left_in_time() {
    let rq = pdu::write_rq(&usual(), None).unwrap();
    for sent in [0, 1, 5, 6, 80] {
        let (mut peer, socket) = sockets().await;
        peer.write_all(&rq[..sent]).await.unwrap();
        let started = Instant::now();
        let result = accept::accept_within(socket, &storage_only(), Duration::from_millis(200)).await;
        assert!(matches!(result, Err(AssocError::Timeout { .. })), "{result:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(read_pdu(&mut peer).await, None);
    }
    let (mut peer, socket) = sockets().await;
    let trickling = tokio::spawn(async move {
        for byte in rq.into_iter().cycle() {
            if peer.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let result = accept::accept_within(socket, &storage_only(), Duration::from_millis(200)).await;
    assert!(matches!(result, Err(AssocError::Timeout { .. })), "{result:?}");
    tokio::time::timeout(SOON, trickling).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_goes_away_at_any_byte_is_closed() {
    let rq = pdu::write_rq(&usual(), None).unwrap();
    for cut in 0..rq.len() {
        let (mut peer, socket) = sockets().await;
        peer.write_all(&rq[..cut]).await.unwrap();
        drop(peer);
        let result = accepting(socket, &storage_only()).await;
        assert!(matches!(result, Err(AssocError::Closed | AssocError::Broken { .. })), "{cut}: {result:?}");
    }
}

/// Both sides of a negotiation.
async fn negotiate(
    proposal: &Proposal,
    policy: &AcceptPolicy,
) -> (Result<Association, AssocError>, Result<Association, AssocError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = async { accepting(listener.accept().await.unwrap().0, policy).await };
    tokio::join!(request("127.0.0.1", port, proposal, &RequestTimeouts { connect: SOON, negotiate: SOON }), accepting)
}

#[tokio::test]
async fn what_both_sides_agreed_on_is_the_same() {
    let (ours, theirs) = negotiate(&usual(), &storage_only()).await;
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_ne!(ours.id(), theirs.id());
    assert_eq!(ours.contexts().iter().map(|c| c.id).collect::<Vec<_>>(), [1]);
    assert_eq!(ours.context_for(CT), ours.context(1));
    assert_eq!(ours.context_for(uids::VERIFICATION), None);
    let transfer = theirs.context(1).unwrap();
    assert_eq!(transfer.transfer_syntax, TransferSyntaxUid::new(uids::IMPLICIT_LE));
    assert!(transfer.scp_role && !transfer.scu_role);
}

#[tokio::test]
async fn a_request_of_128_contexts_with_35_syntaxes_each_is_taken() {
    let syntaxes: Vec<String> = (0..35).map(|s| format!("1.2.840.10008.1.2.4.1{s:02}.1.1.1.1.1.1.1.1")).collect();
    let classes: Vec<String> = (0..128).map(|c| format!("1.3.46.670589.2.{c}")).collect();
    let syntaxes: Vec<&str> = syntaxes.iter().map(String::as_str).collect();
    let contexts: Vec<(&str, &[&str])> = classes.iter().map(|c| (c.as_str(), &syntaxes[..])).collect();
    let proposal = proposal(&contexts);
    assert!(pdu::write_rq(&proposal, None).unwrap().len() > 180_000);
    let (ours, theirs) = negotiate(&proposal, &storage_only()).await;
    assert_eq!((ours.unwrap().contexts().len(), theirs.unwrap().contexts().len()), (128, 128));
}

#[tokio::test]
async fn roles_are_granted_when_the_policy_says_so() {
    let mut get = usual();
    get.contexts[0].scp_role = Some(true);
    for accept_scp_role in [true, false] {
        let (ours, theirs) = negotiate(&get, &AcceptPolicy { accept_scp_role, ..storage_only() }).await;
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        let roles = |a: &Association| (a.contexts()[0].scu_role, a.contexts()[0].scp_role);
        assert_eq!((roles(&ours), roles(&theirs)), ((false, accept_scp_role), (accept_scp_role, false)));
    }
}

#[tokio::test]
async fn every_rejection_arrives_as_what_it_is() {
    for rejection in [
        Rejection::NoReason,
        Rejection::ApplicationContext,
        Rejection::ProtocolVersion,
        Rejection::CalledNotRecognized,
        Rejection::CallingNotRecognized,
        Rejection::Congestion,
        Rejection::LocalLimit,
    ] {
        let (ours, theirs) = negotiate(&usual(), &policy(move |_| Decision::Reject(rejection))).await;
        let transient = matches!(rejection, Rejection::Congestion | Rejection::LocalLimit);
        let ours = ours.unwrap_err();
        assert_eq!(ours.is_transient(), transient);
        assert!(ours.remedy().is_some());
        let AssocError::Rejected { permanent, source_code, reason, text, .. } = ours else { panic!("{ours}") };
        assert_eq!((if permanent { 1 } else { 2 }, source_code, reason), rejection.codes());
        let theirs = theirs.unwrap_err();
        assert!(theirs.to_string().ends_with(text), "{theirs}");
        assert!(matches!(theirs, AssocError::Refused { rejection: r, .. } if r == rejection));
    }
}

#[tokio::test]
async fn what_is_not_for_us_is_rejected_and_what_is_only_odd_is_not() {
    let good = pdu::write_rq(&usual(), None).unwrap();
    let changed = |at: usize, bytes: &[u8]| {
        let mut rq = good.clone();
        rq[at..at + bytes.len()].copy_from_slice(bytes);
        rq
    };
    let max_pdu_at = good.windows(4).position(|w| w == [0x51, 0, 0, 4]).unwrap() + 4;
    let max_pdu = |n: u32| changed(max_pdu_at, &n.to_be_bytes());
    let context_at = good.windows(4).position(|w| w == [0x10, 0, 0, 21]).unwrap();
    for (rq, rejection) in [
        (changed(6, &[0, 2]), Some(Rejection::ProtocolVersion)),
        (changed(10, b"ELSEWHERE       "), Some(Rejection::CalledNotRecognized)),
        (changed(10, &[b' '; 16]), Some(Rejection::CalledNotRecognized)),
        (changed(context_at + 4, b"2"), Some(Rejection::ApplicationContext)),
        (max_pdu(1), Some(Rejection::NoReason)),
        (max_pdu(6), Some(Rejection::NoReason)),
        (max_pdu(7), Some(Rejection::NoReason)),
        (max_pdu(1023), Some(Rejection::NoReason)),
        (max_pdu(1024), None),
        (max_pdu(4097), None),
        (max_pdu(16_383), None),
        (max_pdu(0), None),
        (max_pdu(u32::MAX), None),
        (good.clone(), None),
        (changed(6, &[0, 3]), None),
        (changed(8, &[0xFF, 0xFF]), None),
        (changed(10, b"THERE\0\0\0\0\0\0\0\0\0\0\0"), None),
        (changed(10, b"  there         "), None),
        (changed(26, &[b' '; 16]), None),
        (changed(26, &[0; 16]), None),
        (changed(42, &[0xAA; 32]), None),
        // An item that nobody knows in the place of the application context.
        (changed(context_at, &[0x77]), None),
    ] {
        let (answer, result) = send_raw(&rq, &storage_only()).await;
        let (kind, body) = answer.unwrap();
        match rejection {
            None => {
                assert_eq!(kind, kind::ASSOCIATE_AC);
                assert_eq!(result.unwrap().contexts().len(), 1);
            }
            Some(rejection) => {
                let (result_code, source, reason) = rejection.codes();
                assert_eq!((kind, body), (kind::ASSOCIATE_RJ, vec![0, result_code, source, reason]), "{rejection:?}");
                assert!(matches!(result, Err(AssocError::Refused { rejection: r, .. }) if r == rejection));
            }
        }
    }
}

#[tokio::test]
async fn no_text_of_a_peer_brings_control_characters_into_a_log() {
    let mut rq = pdu::write_rq(&usual(), None).unwrap();
    rq[10..26].copy_from_slice(b"A\nERROR \x1b[31m\r\x7f\xff");
    rq[26..42].copy_from_slice(b"\x1b]0;owned\x07 \xe4\xb8\xad\t\x01");
    let (_, result) = send_raw(&rq, &storage_only()).await;
    let error = result.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(matches!(error, AssocError::Refused { .. }));
    assert!(shown.chars().all(|c| !c.is_control() && c.is_ascii()), "{shown:?}");
}

/// How many contexts we have with a peer that answers our request with these bytes and waits for us to close.
async fn answered(bytes: Vec<u8>) -> Result<usize, AssocError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = async {
        let mut socket = listener.accept().await.unwrap().0;
        assert_eq!(read_pdu(&mut socket).await.unwrap().0, kind::ASSOCIATE_RQ);
        socket.write_all(&bytes).await.unwrap();
        while socket.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
    };
    let proposal = usual();
    let timeouts = RequestTimeouts { connect: SOON, negotiate: Duration::from_millis(200) };
    let (result, ()) = tokio::join!(
        async { request("127.0.0.1", port, &proposal, &timeouts).await.map(|a| a.contexts().len()) },
        answering
    );
    result
}

fn ac(max_pdu: u32, contexts: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let item =
        |kind: u8, value: &[u8]| [&[kind, 0][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat();
    let mut body = vec![0; 68];
    body[1] = 1;
    for (id, result, syntax) in contexts {
        body.extend(item(0x21, &[&[*id, 0, *result, 0][..], syntax].concat()));
    }
    body.extend(item(0x77, b"?"));
    body.extend(item(0x50, &item(0x51, &max_pdu.to_be_bytes())));
    pdu(kind::ASSOCIATE_AC, &body)
}

#[tokio::test]
async fn every_answer_to_a_request_is_told_apart() {
    let implicit = [&[0x40, 0, 0, 17][..], uids::IMPLICIT_LE.as_bytes()].concat();
    assert_eq!(answered(ac(16_384, &[(1, 0, &implicit), (3, 3, &[])])).await.unwrap(), 1);
    for max_pdu in [1, 6, 7, 1023] {
        let result = answered(ac(max_pdu, &[(1, 0, &implicit)])).await;
        assert!(matches!(result, Err(AssocError::Protocol { .. })), "{result:?}");
    }
    assert!(matches!(
        answered(pdu(kind::ABORT, &[0, 0, 0, 0])).await,
        Err(AssocError::Aborted { by_provider: false, .. })
    ));
    assert!(matches!(
        answered(pdu(kind::ABORT, &[0, 0, 2, 200])).await,
        Err(AssocError::Aborted { by_provider: true, reason: 200, .. })
    ));
    assert!(matches!(
        answered(pdu(kind::ASSOCIATE_RJ, &[0, 9, 9, 9])).await,
        Err(AssocError::Rejected { permanent: true, .. })
    ));
    assert!(matches!(answered(pdu(kind::ASSOCIATE_RJ, &[])).await, Err(AssocError::Rejected { .. })));
    assert!(matches!(answered(pdu(kind::P_DATA, &[])).await, Err(AssocError::Protocol { .. })));
    assert!(matches!(answered(pdu(kind::RELEASE_RP, &[0; 4])).await, Err(AssocError::Protocol { .. })));
    assert!(matches!(answered(b"HTTP/1.1 400 Bad Request\r\n".to_vec()).await, Err(AssocError::Protocol { .. })));
    assert!(matches!(answered(pdu(kind::ASSOCIATE_AC, &[0; 10])).await, Err(AssocError::Protocol { .. })));
    assert!(matches!(answered(Vec::new()).await, Err(AssocError::Timeout { .. })));
}

#[tokio::test]
async fn nobody_there_is_an_error_that_names_the_address() {
    let timeouts = RequestTimeouts { connect: SOON, negotiate: SOON };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = request("127.0.0.1", port, &usual(), &timeouts).await.unwrap_err();
    assert_eq!(error.to_string(), format!("connecting to 127.0.0.1 port {port}"));
    assert!(error.is_transient() && error.remedy().unwrap().contains(&port.to_string()));
}
