//! The cutting of a stream into events: fragments in any mix, lengths that lie, types that have no place.

use proptest::prelude::*;

use super::*;

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

fn pdv(context: u8, control: u8, data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len() + 2).unwrap().to_be_bytes()[..], &[context, control], data].concat()
}

/// Everything that comes of the bytes, fed in steps of these sizes.
fn run(framer: &mut Framer, mut bytes: &[u8], steps: &[usize], part: usize) -> Result<Vec<Event>, Violation> {
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    let mut steps = steps.iter().cycle();
    loop {
        while let Some(event) = framer.next(&mut buffer, part)? {
            events.push(event);
        }
        if bytes.is_empty() {
            return Ok(events);
        }
        let (step, rest) = bytes.split_at((*steps.next().unwrap()).clamp(1, bytes.len()));
        buffer.extend_from_slice(step);
        bytes = rest;
    }
}

fn violation(bytes: &[u8]) -> Violation {
    run(&mut Framer::new(16_384), bytes, &[usize::MAX], PART).unwrap_err()
}

#[test]
fn command_and_data_may_share_a_pdu() {
    let body = [pdv(1, 3, b"command"), pdv(1, 0, b"da"), pdv(1, 0, b""), pdv(1, 0xFE, b"ta")].concat();
    let mut framer = Framer::new(16_384);
    let mut buffer = BytesMut::from(&pdu(kind::P_DATA, &body)[..]);
    let mut seen = Vec::new();
    while let Some(Event::Pdv { context: 1, command, last, data }) = framer.next(&mut buffer, PART).unwrap() {
        seen.push((command, last, data.to_vec()));
    }
    let expected = [
        (true, true, b"command".to_vec()),
        (false, false, b"da".to_vec()),
        (false, false, vec![]),
        (false, true, b"ta".to_vec()),
    ];
    assert_eq!(seen, expected);
    assert!(!framer.is_inside(&buffer));
}

#[test]
fn a_fragment_is_handed_on_before_its_pdu_is_whole() {
    let bytes = pdu(kind::P_DATA, &pdv(1, 2, &vec![7; 3 * PART]));
    let mut framer = Framer::new(0);
    let mut buffer = BytesMut::from(&bytes[..PART + 20]);
    let Some(Event::Pdv { last: false, data, .. }) = framer.next(&mut buffer, PART).unwrap() else { panic!() };
    assert_eq!(data.len(), PART + 20 - 12);
    buffer.extend_from_slice(&bytes[PART + 20..PART + 30]);
    assert_eq!(framer.next(&mut buffer, PART).unwrap(), None);
    assert!(framer.is_inside(&buffer));
    let Some(Event::Pdv { last: false, data, .. }) = framer.next(&mut buffer, 1).unwrap() else { panic!() };
    assert_eq!(data.len(), 10);
    buffer.extend_from_slice(&bytes[PART + 30..]);
    let Some(Event::Pdv { last: true, data, .. }) = framer.next(&mut buffer, PART).unwrap() else { panic!() };
    assert_eq!(data.len(), 2 * PART - 18);
    assert!(!framer.is_inside(&buffer));
}

#[test]
fn a_pdu_beyond_the_cap_is_refused_at_its_header() {
    let header = |length: u32| [&[kind::P_DATA, 0][..], &length.to_be_bytes()].concat();
    for length in [LONGEST_PDU + 1, u32::MAX] {
        assert_eq!(violation(&header(length)).reason, INVALID_PARAMETER);
    }
    let mut framer = Framer::new(16_384);
    assert_eq!(run(&mut framer, &header(16_384), &[1], PART), Ok(vec![]));
    assert_eq!(framer.oversized(), None);
    let mut framer = Framer::new(16_384);
    assert_eq!(run(&mut framer, &header(LONGEST_PDU), &[1], PART), Ok(vec![]));
    assert_eq!(framer.oversized(), Some(LONGEST_PDU));
}

#[test]
fn every_type_of_pdu_has_its_answer() {
    let signal = |kind| run(&mut Framer::new(0), &pdu(kind, &[0, 0, 2, 6]), &[3], PART);
    for kind in 0..=u8::MAX {
        let answer = signal(kind);
        match kind {
            kind::RELEASE_RQ => assert_eq!(answer, Ok(vec![Event::ReleaseRq])),
            kind::RELEASE_RP => assert_eq!(answer, Ok(vec![Event::ReleaseRp])),
            kind::ABORT => assert_eq!(answer, Ok(vec![Event::Abort { source: 2, reason: 6 }])),
            kind::P_DATA => assert_eq!(answer.unwrap_err().reason, INVALID_PARAMETER),
            kind::ASSOCIATE_RQ | kind::ASSOCIATE_AC | kind::ASSOCIATE_RJ => {
                assert_eq!(answer.unwrap_err().reason, UNEXPECTED_PDU)
            }
            _ => assert_eq!(answer.unwrap_err().reason, UNRECOGNIZED_PDU),
        }
    }
    // Shorter and longer than they should be.
    assert_eq!(
        run(&mut Framer::new(0), &pdu(kind::ABORT, &[]), &[1], PART),
        Ok(vec![Event::Abort { source: 0, reason: 0 }])
    );
    assert_eq!(run(&mut Framer::new(0), &pdu(kind::RELEASE_RQ, &[0; 1024]), &[100], PART), Ok(vec![Event::ReleaseRq]));
    assert_eq!(violation(&pdu(kind::RELEASE_RQ, &[0; 1025])).reason, INVALID_PARAMETER);
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    for body in [
        vec![0],
        vec![0, 0, 0, 2, 1],
        vec![0, 0, 0, 0, 1, 3],
        vec![0, 0, 0, 1, 1, 3],
        vec![0, 0, 0, 3, 1, 3],
        vec![0xFF, 0xFF, 0xFF, 0xFF, 1, 3],
        [pdv(1, 3, b"ok"), vec![0, 0, 0]].concat(),
    ] {
        assert_eq!(violation(&pdu(kind::P_DATA, &body)).reason, INVALID_PARAMETER, "{body:?}");
    }
    // The complement: nothing at all is no contradiction.
    assert_eq!(run(&mut Framer::new(0), &pdu(kind::P_DATA, &[]), &[1], PART), Ok(vec![]));
}

proptest! {
    #[test]
    fn any_fragmentation_is_reassembled_to_the_same_bytes(
        data in proptest::collection::vec(any::<u8>(), 0..5000),
        fragments in proptest::collection::vec((0..600usize, any::<bool>()), 1..40),
        steps in proptest::collection::vec(1..700usize, 1..10),
        part in 1..300usize,
    ) {
        // PDVs of any length, gathered into PDUs by the flags.
        let (mut stream, mut body, mut rest) = (Vec::new(), Vec::new(), &data[..]);
        for (length, ends) in fragments.iter().cycle() {
            let (fragment, after) = rest.split_at(rest.len().min(*length));
            rest = after;
            body.extend(pdv(5, if rest.is_empty() { 2 } else { 0 }, fragment));
            if *ends || rest.is_empty() || body.len() > 10_000 {
                stream.extend(pdu(kind::P_DATA, &body));
                body.clear();
            }
            if rest.is_empty() {
                break;
            }
            if fragments.iter().all(|(length, _)| *length == 0) {
                return Ok(());
            }
        }
        stream.extend(pdu(kind::RELEASE_RQ, &[0; 4]));
        let mut events = run(&mut Framer::new(16_384), &stream, &steps, part).unwrap();
        prop_assert_eq!(events.pop(), Some(Event::ReleaseRq));
        let (mut whole, mut lasts) = (Vec::new(), Vec::new());
        for event in events {
            let Event::Pdv { context: 5, command: false, last, data } = event else { panic!("{event:?}") };
            whole.extend_from_slice(&data);
            lasts.push(last);
        }
        prop_assert_eq!(whole, data);
        prop_assert_eq!(lasts.iter().filter(|l| **l).count(), 1);
        prop_assert_eq!(lasts.last(), Some(&true));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_bring_no_more_than_they_are(
        bytes in proptest::collection::vec(prop_oneof![0..8u8, any::<u8>()], 0..400),
        steps in proptest::collection::vec(1..50usize, 1..5),
        part in 1..100usize,
    ) {
        if let Ok(events) = run(&mut Framer::new(100), &bytes, &steps, part) {
            let brought: usize = events.iter().map(|e| match e { Event::Pdv { data, .. } => data.len(), _ => 0 }).sum();
            prop_assert!(brought <= bytes.len());
        }
    }
}
