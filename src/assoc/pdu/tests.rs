//! Association PDUs: held against another reader, odd ones, cut ones and arbitrary bytes.

use dicom_ul::pdu::{UserIdentity, UserIdentityType, read_pdu};
use proptest::prelude::*;

use super::*;
use crate::assoc::Roles;
use crate::assoc::{Answer, Proposed};
use crate::dicom::AeTitle;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn proposal(contexts: usize, syntaxes: usize) -> Proposal {
    let context = |at: usize| Proposed {
        abstract_syntax: format!("{CT}.{at}"),
        transfer_syntaxes: (0..syntaxes).map(|s| format!("1.2.840.10008.1.2.4.{s}")).collect(),
        scp_role: (at == 0).then_some(true),
    };
    Proposal {
        called: AeTitle::new("THERE").unwrap(),
        calling: AeTitle::new("HERE").unwrap(),
        contexts: (0..contexts).map(context).collect(),
        max_pdu: 131_072,
        extended: vec![(uids::STUDY_ROOT_FIND.into(), vec![1, 1, 0])],
        tls: None,
        identity: None,
    }
}

fn body(bytes: &[u8]) -> &[u8] {
    let header = Header::read(bytes).unwrap();
    assert_eq!(header.length as usize, bytes.len() - Header::LENGTH);
    &bytes[Header::LENGTH..]
}

fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// The body of an A-ASSOCIATE-RQ or -AC.
fn fixed(version: u16, called: &[u8; 16], calling: &[u8; 16], items: &[Vec<u8>]) -> Vec<u8> {
    [&version.to_be_bytes()[..], &[0, 0], called, calling, &[0; 32], &items.concat()].concat()
}

#[test]
fn what_we_propose_is_read_by_us_and_by_dicom_ul() {
    let bytes = write_rq(&proposal(3, 2), None).unwrap();
    let rq = read_rq(body(&bytes)).unwrap();
    assert_eq!((rq.version, rq.called.as_str(), rq.calling.as_str()), (1, "THERE", "HERE"));
    assert_eq!(rq.application_context.as_ref().unwrap().as_str(), uids::APPLICATION_CONTEXT);
    assert_eq!(rq.contexts.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 3, 5]);
    assert_eq!(rq.contexts[0].roles, Some(Roles { scu: false, scp: true }));
    assert_eq!(rq.contexts[1].roles, None);
    assert_eq!(rq.user.max_pdu, Some(131_072));
    assert_eq!(rq.user.extended, [(Uid::new(uids::STUDY_ROOT_FIND), vec![1, 1, 0])]);

    let Ok(Some(Pdu::AssociationRQ(theirs))) = read_pdu(&bytes[..], 131_072, true) else { panic!() };
    assert_eq!(theirs.called_ae_title, rq.called);
    assert_eq!(theirs.presentation_contexts.len(), rq.contexts.len());
    for (theirs, ours) in theirs.presentation_contexts.iter().zip(&rq.contexts) {
        assert_eq!((theirs.id, theirs.abstract_syntax.as_str()), (ours.id, ours.abstract_syntax.as_str()));
        assert_eq!(theirs.transfer_syntaxes, ours.transfer_syntaxes.iter().map(|s| s.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn what_we_answer_is_read_by_us_and_by_dicom_ul() {
    let rq = read_rq(body(&write_rq(&proposal(4, 2), None).unwrap())).unwrap();
    let results = super::super::negotiate::answer(
        &rq.contexts,
        &|o: &Offered| match o.id {
            1 => o.accept(),
            3 => Answer::AbstractSyntaxNotSupported,
            5 => Answer::TransferSyntaxesNotSupported,
            _ => Answer::UserRejection,
        },
        true,
    );
    let bytes = write_ac(&rq, &results, 16_384, false).unwrap();
    let ac = read_ac(body(&bytes)).unwrap();
    assert_eq!(
        ac.contexts.iter().map(|(id, result, _)| (*id, *result)).collect::<Vec<_>>(),
        [(1, 0), (3, 3), (5, 4), (7, 1)]
    );
    assert_eq!(ac.user.roles, [(Uid::new(&format!("{CT}.0")), Roles { scu: false, scp: true })]);
    assert_eq!(ac.user.implementation_version.as_deref(), Some(uids::IMPLEMENTATION_VERSION));
    let Ok(Some(Pdu::AssociationAC(theirs))) = read_pdu(&bytes[..], 131_072, true) else { panic!() };
    assert_eq!(theirs.presentation_contexts.len(), 4);

    for rejection in
        [Rejection::NoReason, Rejection::CalledNotRecognized, Rejection::LocalLimit, Rejection::ProtocolVersion]
    {
        let bytes = super::rejection(rejection);
        assert!(matches!(read_pdu(&bytes[..], 131_072, true), Ok(Some(Pdu::AssociationRJ(_)))));
    }
    assert!(matches!(read_pdu(&USER_ABORT[..], 131_072, true), Ok(Some(Pdu::AbortRQ { .. }))));
    assert!(matches!(read_pdu(&provider_abort(6)[..], 131_072, true), Ok(Some(Pdu::AbortRQ { .. }))));
    assert!(matches!(read_pdu(&RELEASE_RQ[..], 131_072, true), Ok(Some(Pdu::ReleaseRQ))));
    assert!(matches!(read_pdu(&RELEASE_RP[..], 131_072, true), Ok(Some(Pdu::ReleaseRP))));
}

#[test]
fn a_request_as_large_as_they_get_is_written_and_read() {
    let mut large = proposal(128, 35);
    for context in &mut large.contexts {
        context.scp_role = Some(true);
    }
    let rq = read_rq(body(&write_rq(&large, None).unwrap())).unwrap();
    assert_eq!(rq.contexts.len(), 128);
    assert_eq!(rq.contexts[127].id, 255);
    assert!(
        rq.contexts.iter().all(|c| c.transfer_syntaxes.len() == 35 && c.roles == Some(Roles { scu: false, scp: true }))
    );
}

#[test]
fn what_does_not_fit_is_not_proposed() {
    let unspeakable = |proposal: &Proposal| matches!(write_rq(proposal, None), Err(AssocError::Unspeakable { .. }));
    assert!(unspeakable(&proposal(129, 1)));
    assert!(unspeakable(&proposal(1, 0)));
    assert!(unspeakable(&proposal(1, 3000)));
    let mut long = proposal(1, 1);
    long.extended = vec![(CT.into(), vec![0; 40_000]), (CT.into(), vec![0; 40_000])];
    assert!(unspeakable(&long));
}

#[test]
fn odd_requests_are_understood() {
    let context = |id, items: &[Vec<u8>]| item(0x20, &[&[id, 0, 0xFF, 0][..], &items.concat()].concat());
    let syntaxes = [item(0x30, format!("{CT}\0").as_bytes()), item(0x77, b"?"), item(0x40, b"1.2.840.10008.1.2 ")];
    let user = [
        item(0x51, &[0, 0, 0x40]),
        item(0x53, &[0, 1, 0, 1]),
        item(0x54, &[0xFF, 0xFF, 1]),
        item(0x54, b""),
        item(0x56, &[0xFF, 0xFF, 1]),
        item(0x99, b"private"),
        item(0x55, b"EVIL\x1b[2J\n_1\0"),
        item(0x58, &[2, 1, 0xFF, 0xFF]),
    ];
    let items = [
        item(0x77, b"unknown"),
        item(0x10, format!("{}\0", uids::APPLICATION_CONTEXT).as_bytes()),
        context(1, &syntaxes),
        context(2, &syntaxes),
        context(1, &[]),
        context(255, &[]),
        item(0x50, &user.concat()),
    ];
    let rq = read_rq(&fixed(0x0003, b"OLDPACS\0\0junk\x01\x02\x03", b"                ", &items)).unwrap();
    assert_eq!((rq.version, rq.called.as_str(), rq.calling.as_str()), (3, "OLDPACS", ""));
    assert_eq!(rq.contexts.iter().map(|c| c.id).collect::<Vec<_>>(), [1, 255]);
    assert_eq!(rq.contexts[0].abstract_syntax.as_str(), CT);
    assert_eq!(rq.contexts[0].transfer_syntaxes, [TransferSyntaxUid::new(uids::IMPLICIT_LE)]);
    assert_eq!(rq.user.implementation_version.as_deref(), Some("EVIL?[2J?_1"));
    assert_eq!((rq.user.max_pdu, rq.user.roles.len(), rq.user.extended.len()), (None, 0, 0));
    let smallest = fixed(1, &[0; 16], b"\0\0A\nERROR: fake\0", &[]);
    assert_eq!(read_rq(&smallest).unwrap().calling, "A?ERROR: fake");
}

#[test]
fn odd_answers_are_understood() {
    let items = [
        item(0x21, &[1, 0, 3, 0]),
        item(0x21, &[&[3, 0, 4, 0][..], &item(0x40, b"")].concat()),
        item(0x21, &[&[5, 0, 0, 0][..], &item(0x40, b"1.2.840.10008.1.2\0"), &item(0x40, b"1.2")].concat()),
        item(0x21, &[7, 0, 99, 0, 0x40, 0, 0xFF, 0xFF]),
        item(0x77, b""),
    ];
    let ac = read_ac(&fixed(1, b"any             ", b"any             ", &items)).unwrap();
    assert_eq!(
        ac.contexts,
        [(1, 3, None), (3, 4, None), (5, 0, Some(TransferSyntaxUid::new(uids::IMPLICIT_LE))), (7, 99, None)]
    );
}

#[test]
fn user_identity_is_passed_over() {
    let rq = AssociationRQ {
        protocol_version: 1,
        calling_ae_title: "A".into(),
        called_ae_title: "B".into(),
        application_context_name: uids::APPLICATION_CONTEXT.into(),
        presentation_contexts: vec![],
        user_variables: vec![
            UserVariableItem::UserIdentityItem(UserIdentity::new(
                true,
                UserIdentityType::Username,
                b"user".to_vec(),
                vec![],
            )),
            UserVariableItem::MaxLength(4096),
        ],
    };
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, &rq.into()).unwrap();
    assert_eq!(read_rq(body(&bytes)).unwrap().user.max_pdu, Some(4096));
}

#[test]
fn a_cut_pdu_is_an_error_at_every_place_but_between_items() {
    let bytes = write_rq(&proposal(1, 1), None).unwrap();
    let whole = body(&bytes);
    let between: Vec<_> = (0..whole.len()).filter(|cut| read_rq(&whole[..*cut]).is_ok()).collect();
    // Behind the fixed part, the application context and the presentation context.
    assert_eq!(between.len(), 3, "{between:?}");
    assert_eq!(between[0], 68);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_nor_grow(
        fixed_part: bool,
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let bytes = if fixed_part { [vec![0; 68], bytes].concat() } else { bytes };
        if let Ok(rq) = read_rq(&bytes) {
            prop_assert!(rq.contexts.len() <= MOST_CONTEXTS);
        }
        if let Ok(ac) = read_ac(&bytes) {
            prop_assert!(ac.contexts.len() <= MOST_CONTEXTS);
        }
    }

    #[test]
    fn a_request_with_changed_bytes_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = write_rq(&proposal(3, 3), None).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read_rq(&bytes[Header::LENGTH..]);
        let _ = read_ac(&bytes[Header::LENGTH..]);
    }
}
