//! Established associations on loopback: state machine, release, cancellation, throttle.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::assoc::pdu::kind;
use crate::assoc::tests::{SOON, pdu, read_pdu, sockets, storage_only, usual};
use crate::assoc::{LONGEST_PDU, accept};

/// A raw peer, and our side of the association that it opened: context 1 is accepted, 3 was refused.
async fn established() -> (TcpStream, Association) {
    let (mut peer, socket) = sockets().await;
    peer.write_all(&pdu::write_rq(&usual(), None).unwrap()).await.unwrap();
    let association = accept(socket, &storage_only()).await.unwrap();
    assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::ASSOCIATE_AC);
    (peer, association)
}

/// The same, but we are the requestor.
async fn requested() -> (TcpStream, Association) {
    let (peer, mut association) = established().await;
    association.requestor = true;
    (peer, association)
}

fn pdv(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len() + 2).unwrap().to_be_bytes()[..], &[context, control], data].concat()
}

fn p_data(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
    pdu(kind::P_DATA, &pdv(context, control, data))
}

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn what_the_protocol_does_not_allow_ends_in_an_abort() {
    let long = u32::to_be_bytes(LONGEST_PDU + 1);
    for (bytes, reason) in [
        (pdu::write_rq(&usual(), None).unwrap(), 2),
        (pdu(kind::ASSOCIATE_AC, &[0; 80]), 2),
        (pdu(kind::ASSOCIATE_RJ, &[0; 4]), 2),
        (pdu(kind::RELEASE_RP, &[0; 4]), 2),
        (pdu(0, &[]), 1),
        (pdu(8, &[]), 1),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 1),
        (p_data(77, 3, b"x"), 5),
        (p_data(3, 3, b"x"), 5),
        (p_data(0, 3, b"x"), 5),
        (pdu(kind::P_DATA, &[0, 0, 0, 1, 1, 3]), 6),
        (pdu(kind::P_DATA, &[0xFF, 0xFF, 0xFF, 0xFF, 1, 3]), 6),
        ([&[kind::P_DATA, 0][..], &long].concat(), 6),
        (vec![kind::P_DATA, 0, 0xFF, 0xFF, 0xFF, 0xFF], 6),
        (vec![kind::ABORT, 0, 0xFF, 0xFF, 0xFF, 0xFF], 6),
    ] {
        let (mut peer, mut association) = established().await;
        peer.write_all(&bytes).await.unwrap();
        let hearing = async {
            assert_eq!(read_pdu(&mut peer).await, Some((kind::ABORT, vec![0, 0, 2, reason])), "{bytes:?}");
            assert_eq!(read_pdu(&mut peer).await, None);
            peer.shutdown().await.unwrap();
        };
        let (result, ()) = tokio::join!(association.receive(SOON), hearing);
        assert!(matches!(result, Err(AssocError::Protocol { .. })), "{bytes:?}: {result:?}");
        // It is over, for both.
        assert!(matches!(association.receive(SOON).await, Err(AssocError::Closed)));
        assert!(matches!(association.send(1, b"", None, SOON).await, Err(AssocError::Closed)));
    }
}

#[tokio::test]
async fn what_it_does_allow_is_received() {
    let (mut peer, mut association) = established().await;
    // Longer than announced, and as long as is taken; no PDV at all; an odd one; an empty one.
    let longest = LONGEST_PDU as usize - 6;
    let writing = async {
        peer.write_all(&p_data(1, 3, b"command")).await.unwrap();
        peer.write_all(&pdu(kind::P_DATA, &[])).await.unwrap();
        peer.write_all(&p_data(1, 0, b"")).await.unwrap();
        peer.write_all(&p_data(1, 0, &vec![1; 65_536])).await.unwrap();
        peer.write_all(&p_data(1, 2, &vec![2; longest])).await.unwrap();
        peer.write_all(&pdu(kind::ABORT, &[0, 0, 0, 0])).await.unwrap();
    };
    let reading = async {
        let Received::Pdv { context: 1, command: true, last: true, data } = association.receive(SOON).await.unwrap()
        else {
            panic!()
        };
        assert_eq!(data, "command");
        let mut whole = Vec::new();
        loop {
            let Received::Pdv { context: 1, command: false, last, data } = association.receive(SOON).await.unwrap()
            else {
                panic!()
            };
            whole.extend_from_slice(&data);
            if last {
                break;
            }
        }
        assert!(whole == [vec![1; 65_536], vec![2; longest]].concat());
        assert!(matches!(association.receive(SOON).await, Err(AssocError::Aborted { by_provider: false, .. })));
        assert!(association.said_oversized);
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn dropping_a_receive_loses_nothing() {
    let (mut peer, mut association) = established().await;
    let data: Vec<u8> = (0..=255).collect();
    let bytes =
        [p_data(1, 3, b"cmd"), p_data(1, 0, &data[..100]), p_data(1, 2, &data[100..]), pdu(kind::RELEASE_RQ, &[0; 4])]
            .concat();
    let trickling = tokio::spawn(async move {
        peer.set_nodelay(true).unwrap();
        for byte in bytes {
            peer.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        peer
    });
    let (mut whole, mut dropped) = (Vec::new(), 0);
    loop {
        let received = tokio::select! {
            biased;
            received = association.receive(SOON) => received.unwrap(),
            () = tokio::task::yield_now() => {
                dropped += 1;
                continue;
            }
        };
        match received {
            Received::Pdv { command: true, .. } => {}
            Received::Pdv { data, .. } => whole.extend_from_slice(&data),
            Received::Released => break,
        }
    }
    assert_eq!(whole, data);
    assert!(dropped > 0);
    let mut peer = trickling.await.unwrap();
    assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RP);
    assert_eq!(association.receive(SOON).await.unwrap(), Received::Released);
    drop(association);
    assert_eq!(read_pdu(&mut peer).await, None);
}

#[tokio::test]
async fn a_silent_peer_leaves_the_association_good() {
    let (mut peer, mut association) = established().await;
    assert!(matches!(association.receive(SHORT).await, Err(AssocError::Timeout { .. })));
    let bytes = p_data(1, 3, b"late");
    peer.write_all(&bytes[..8]).await.unwrap();
    assert!(matches!(association.receive(SHORT).await, Err(AssocError::Timeout { .. })));
    peer.write_all(&bytes[8..]).await.unwrap();
    assert!(matches!(association.receive(SOON).await, Ok(Received::Pdv { .. })));
}

#[tokio::test]
async fn a_pdu_that_is_never_finished_ends_in_an_abort_however_often_one_asks() {
    let (mut peer, mut association) = established().await;
    association.patience.whole = Duration::from_millis(200);
    // Another PDU between two slow ones gives new patience.
    for _ in 0..2 {
        let bytes = p_data(1, 0, b"slow");
        peer.write_all(&bytes[..9]).await.unwrap();
        assert!(matches!(association.receive(Duration::from_millis(120)).await, Err(AssocError::Timeout { .. })));
        peer.write_all(&bytes[9..]).await.unwrap();
        assert!(matches!(association.receive(SOON).await, Ok(Received::Pdv { .. })));
    }
    peer.write_all(&p_data(1, 2, b"never")[..7]).await.unwrap();
    let asking = async {
        for asked in 1.. {
            if association.receive(SHORT).await.is_ok() || association.state == State::Over {
                return asked;
            }
        }
        unreachable!()
    };
    let (asked, answer) = tokio::join!(asking, read_pdu(&mut peer));
    assert!((3..=8).contains(&asked), "{asked}");
    assert_eq!(answer, Some((kind::ABORT, vec![0, 0, 2, 0])));
}

#[tokio::test]
async fn fragments_on_the_wire_are_even_and_fit() {
    let data: Vec<u8> = (0..=255).cycle().take(300_001).collect();
    for (max_pdu, longest) in
        [(0u32, 131_066), (1024, 1018), (4097, 4090), (16_383, 16_376), (131_072, 131_066), (u32::MAX, 131_066)]
    {
        let (mut peer, mut association) = established().await;
        association.fragment = fragment_length(max_pdu);
        let sending = async {
            association.send(1, &[9; 2500], Some(&data), SOON).await.unwrap();
            association.release(SOON).await;
        };
        let reading = async {
            let (mut command, mut whole) = (0, Vec::new());
            loop {
                let (kind, body) = read_pdu(&mut peer).await.unwrap();
                if kind == kind::RELEASE_RQ {
                    peer.write_all(&pdu::RELEASE_RP).await.unwrap();
                    break;
                }
                assert_eq!(
                    (kind, u32::from_be_bytes(body[..4].try_into().unwrap()) as usize),
                    (kind::P_DATA, body.len() - 4)
                );
                assert!(body.len() <= longest + 6 && body.len() % 2 == 0, "{} for {max_pdu}", body.len());
                match body[5] {
                    1 | 3 => command += body.len() - 6,
                    control => {
                        whole.extend_from_slice(&body[6..]);
                        assert_eq!(control == 2, whole.len() == data.len() + 1);
                    }
                }
            }
            assert_eq!(command, 2500);
            assert!(whole.strip_suffix(&[0]).unwrap() == data);
        };
        tokio::join!(sending, reading);
    }
}

#[tokio::test]
async fn a_message_given_up_half_way_never_looks_finished() {
    // Between two pieces: an abort.
    let (mut peer, mut association) = established().await;
    association.send_command(1, b"command!", SOON).await.unwrap();
    association.send_data(1, &[5; 1001], false, SOON).await.unwrap();
    assert!(matches!(association.send(1, b"other", None, SOON).await, Err(AssocError::Unspeakable { .. })));
    drop(association);
    let mut kinds = Vec::new();
    while let Some((kind, body)) = read_pdu(&mut peer).await {
        kinds.push((kind, if kind == kind::P_DATA { body[5] } else { 0 }));
    }
    assert_eq!(kinds, [(kind::P_DATA, 3), (kind::P_DATA, 0), (kind::ABORT, 0)]);

    // In the middle of a write that the peer does not take: the connection just ends.
    let (mut peer, mut association) = established().await;
    let data = vec![0; 64 << 20];
    let result = tokio::time::timeout(SHORT, association.send(1, b"command!", Some(&data), SOON)).await;
    assert!(result.is_err());
    assert!(matches!(association.send(1, b"other", None, SOON).await, Err(AssocError::Unspeakable { .. })));
    drop(association);
    let mut last = false;
    while let Some((kind, body)) = read_pdu(&mut peer).await {
        assert_eq!(kind, kind::P_DATA);
        last |= body[5] == 2;
    }
    assert!(!last);

    // Not taken within the limit: an error, and the end.
    let (_peer, mut association) = established().await;
    assert!(matches!(association.send(1, b"command!", Some(&data), SHORT).await, Err(AssocError::Timeout { .. })));
    assert!(matches!(association.send(1, b"other", None, SOON).await, Err(AssocError::Closed)));
}

#[tokio::test]
async fn nothing_is_sent_where_nothing_was_agreed() {
    let (_peer, mut association) = established().await;
    for context in [0, 3, 77] {
        assert!(matches!(association.send(context, b"", None, SOON).await, Err(AssocError::Unspeakable { .. })));
        assert!(matches!(association.send_command(context, b"", SOON).await, Err(AssocError::Unspeakable { .. })));
    }
    assert!(matches!(association.send_data(1, b"", true, SOON).await, Err(AssocError::Unspeakable { .. })));
}

#[tokio::test]
async fn a_release_is_peaceful_whatever_the_peer_does() {
    let release_rq = pdu(kind::RELEASE_RQ, &[0; 4]);
    let release_rp = pdu(kind::RELEASE_RP, &[0; 4]);
    // What was under way, then the answer.
    let (mut peer, association) = requested().await;
    let answer = [p_data(1, 3, b"late"), p_data(1, 2, &[0; 5000]), release_rp.clone()].concat();
    peer.write_all(&answer).await.unwrap();
    association.release(SOON).await;
    assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RQ);
    assert_eq!(read_pdu(&mut peer).await, None);

    // Both at once: the requestor answers first.
    let (mut peer, association) = requested().await;
    let colliding = async {
        peer.write_all(&release_rq).await.unwrap();
        assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RQ);
        assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RP);
        peer.write_all(&release_rp).await.unwrap();
        assert_eq!(read_pdu(&mut peer).await, None);
    };
    tokio::join!(association.release(SOON), colliding);
    let (mut peer, association) = established().await;
    let colliding = async {
        peer.write_all(&[release_rq.clone(), release_rp.clone()].concat()).await.unwrap();
        assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RQ);
        assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RP);
        assert_eq!(read_pdu(&mut peer).await, None);
    };
    tokio::join!(association.release(SOON), colliding);

    // The peer closes, aborts, talks nonsense, or says nothing.
    for (answer, heard) in [(vec![], 1), (pdu(kind::ABORT, &[0; 4]), 1), (b"nonsense".to_vec(), 2)] {
        let (mut peer, association) = requested().await;
        let rude = async {
            assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RQ);
            peer.write_all(&answer).await.unwrap();
            peer.shutdown().await.unwrap();
            if heard == 2 {
                assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::ABORT);
            }
            assert_eq!(read_pdu(&mut peer).await, None);
        };
        tokio::join!(association.release(SOON), rude);
    }
    let (mut peer, association) = requested().await;
    association.release(SHORT).await;
    assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::RELEASE_RQ);
    assert_eq!(read_pdu(&mut peer).await.unwrap().0, kind::ABORT);
}

#[tokio::test]
async fn dropping_and_aborting_are_aborts() {
    let (mut peer, association) = established().await;
    drop(association);
    assert_eq!(read_pdu(&mut peer).await, Some((kind::ABORT, vec![0; 4])));
    let (mut peer, association) = established().await;
    let started = Instant::now();
    association.abort().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(read_pdu(&mut peer).await, Some((kind::ABORT, vec![0; 4])));
    assert_eq!(read_pdu(&mut peer).await, None);
}

#[tokio::test]
async fn a_peer_that_is_gone_is_an_error_and_not_the_end_of_data() {
    let (peer, mut association) = established().await;
    drop(peer);
    assert!(matches!(association.receive(SOON).await, Err(AssocError::Closed)));
    let (mut peer, mut association) = established().await;
    peer.write_all(&p_data(1, 2, &[1; 500])[..200]).await.unwrap();
    drop(peer);
    assert!(matches!(association.receive(SOON).await, Err(AssocError::Closed)));
}

#[tokio::test]
async fn a_throttle_slows_what_is_read_and_nothing_is_queued() {
    let (mut peer, mut association) = established().await;
    association.set_throttle(Some(Arc::new(Throttle::new(Some(2_000_000)))));
    let bytes: Vec<u8> = (0..62).flat_map(|_| p_data(1, 0, &[0; 16_384 - 12])).collect();
    let started = Instant::now();
    let reading = async {
        let mut read = 0;
        while read < bytes.len() - 62 * 12 {
            // The peer is not to blame: waits for the throttle do not count.
            let Received::Pdv { data, .. } = association.receive(SHORT * 10).await.unwrap() else { panic!() };
            read += data.len();
        }
    };
    let (written, ()) = tokio::join!(peer.write_all(&bytes), reading);
    written.unwrap();
    let elapsed = started.elapsed();
    assert!((Duration::from_millis(400)..Duration::from_secs(3)).contains(&elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn many_small_pdus_come_by_few_reads_and_their_bytes_are_not_copied() {
    let (mut peer, mut association) = established().await;
    let bytes: Vec<u8> = (0..200).flat_map(|i| p_data(1, 0, &[i; 100])).collect();
    peer.write_all(&bytes).await.unwrap();
    let mut held = Vec::new();
    for i in 0..200 {
        let Received::Pdv { data, .. } = association.receive(SOON).await.unwrap() else { panic!() };
        assert!(data.len() == 100 && data.iter().all(|b| *b == i));
        held.push(data);
    }
    let neighbours = held.windows(2).filter(|w| w[1].as_ptr() as usize - w[0].as_ptr() as usize == 112).count();
    assert_eq!(neighbours, 199);
}

#[tokio::test]
async fn the_socket_is_set_for_speed_and_for_death() {
    let (_peer, association) = established().await;
    let socket = association.connection.socket();
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
}
