//! Offers and answers as tables, each with its complement.

use super::*;
use crate::assoc::Proposed;
use crate::assoc::pdu::UserInformation;
use crate::dicom::AeTitle;

const JPEG_BASELINE: &str = "1.2.840.10008.1.2.4.50";
const JPEG_EXTENDED: &str = "1.2.840.10008.1.2.4.51";
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const PRIVATE: &str = "1.3.46.670589.33.1.4.1";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn syntaxes(texts: &[&str]) -> Vec<TransferSyntaxUid> {
    texts.iter().map(|t| TransferSyntaxUid::new(t)).collect()
}

#[test]
fn the_transfer_syntax_that_keeps_the_object_as_it_is_wins() {
    use uids::{EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE};
    for (offered, chosen) in [
        (&[IMPLICIT_LE][..], Some(IMPLICIT_LE)),
        (&[JPEG_BASELINE], Some(JPEG_BASELINE)),
        (&[PRIVATE], Some(PRIVATE)),
        (&[IMPLICIT_LE, EXPLICIT_LE], Some(EXPLICIT_LE)),
        (&[EXPLICIT_LE, IMPLICIT_LE], Some(EXPLICIT_LE)),
        (&[EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE], Some(EXPLICIT_BE)),
        (&[IMPLICIT_LE, EXPLICIT_BE], Some(IMPLICIT_LE)),
        (&[IMPLICIT_LE, JPEG_LOSSLESS], Some(JPEG_LOSSLESS)),
        (&[IMPLICIT_LE, PRIVATE], Some(PRIVATE)),
        (&[JPEG_BASELINE, IMPLICIT_LE], Some(IMPLICIT_LE)),
        (&[JPEG_BASELINE, JPEG_LOSSLESS, EXPLICIT_LE], Some(JPEG_LOSSLESS)),
        (&[JPEG_BASELINE, JPEG_EXTENDED], Some(JPEG_BASELINE)),
        (&["", EXPLICIT_LE], Some(EXPLICIT_LE)),
        (&[""], None),
        (&[], None),
    ] {
        let offered = syntaxes(offered);
        assert_eq!(choose_transfer_syntax(&offered).map(|s| s.as_str()), chosen, "{offered:?}");
    }
}

#[test]
fn whatever_is_offered_something_of_it_is_chosen() {
    let all =
        [uids::IMPLICIT_LE, uids::EXPLICIT_LE, uids::EXPLICIT_BE, JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, PRIVATE];
    for subset in 1..1u32 << all.len() {
        let offered: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(i, _)| subset & (1 << i) != 0)
            .map(|(_, t)| TransferSyntaxUid::new(t))
            .collect();
        let chosen = choose_transfer_syntax(&offered).unwrap();
        assert!(offered.contains(chosen));
        // The complement: a lossy one only when there is nothing else, Implicit VR only when no better one is there.
        assert!(!is_lossy(chosen) || offered.iter().all(is_lossy), "{offered:?}");
        let better =
            |s: &TransferSyntaxUid| !is_lossy(s) && !is_retired_big_endian(s) && s.as_str() != uids::IMPLICIT_LE;
        assert!(chosen.as_str() != uids::IMPLICIT_LE || !offered.iter().any(better), "{offered:?}");
    }
}

#[test]
fn every_uid_is_storage_but_those_known_to_be_something_else() {
    for yes in [
        CT,
        "1.2.840.10008.5.1.4.1.1.7",
        "1.2.840.10008.5.1.4.1.1.104.1",
        "1.2.840.10008.5.1.4.1.1.200.1",
        "1.2.840.10008.5.1.4.1.1.201.1",
        "1.2.840.10008.5.1.4.1.1.9999.1",
        "1.2.840.10008.5.1.4.34.7",
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.1.29",
        "1.2.840.113619.4.26",
        "1.3.46.670589.5.0.1",
        "2.25.1",
    ] {
        assert!(is_storage(yes), "{yes}");
    }
    for no in [
        uids::VERIFICATION,
        uids::STUDY_ROOT_FIND,
        uids::STUDY_ROOT_MOVE,
        uids::STUDY_ROOT_GET,
        uids::PATIENT_ROOT_FIND,
        uids::PATIENT_ROOT_MOVE,
        uids::PATIENT_ROOT_GET,
        "1.2.840.10008.1.20.1",
        "1.2.840.10008.3.1.2.3.3",
        "1.2.840.10008.5.1.1.9",
        "1.2.840.10008.5.1.4.1.1.200.4",
        "1.2.840.10008.5.1.4.1.1.201.6",
        "1.2.840.10008.5.1.4.31",
        "1.2.840.10008.5.1.4.34.6.1",
        "1.2.840.10008.5.1.4.38.2",
        uids::EXPLICIT_LE,
        "",
        "1",
        "CT Image Storage",
        "../1.2",
        "1.2.3.1111111111111111111111111111111111111111111111111111111111111",
    ] {
        assert!(!is_storage(no), "{no}");
    }
}

fn offered(id: u8, class: &str, texts: &[&str], roles: Option<(bool, bool)>) -> Offered {
    let roles = roles.map(|(scu, scp)| Roles { scu, scp });
    Offered { id, abstract_syntax: Uid::new(class), transfer_syntaxes: syntaxes(texts), roles }
}

#[test]
fn an_offer_is_answered_context_by_context() {
    let offer = [
        offered(1, CT, &[uids::IMPLICIT_LE, uids::EXPLICIT_LE], None),
        offered(3, uids::VERIFICATION, &[uids::IMPLICIT_LE], None),
        offered(5, "", &[uids::IMPLICIT_LE], None),
        offered(7, CT, &[], None),
        offered(9, CT, &[JPEG_BASELINE], Some((true, true))),
    ];
    let choice = |o: &Offered| {
        if is_storage(o.abstract_syntax.as_str()) { o.accept() } else { Answer::AbstractSyntaxNotSupported }
    };
    let results = answer(&offer, &choice, false);
    assert_eq!(
        results.contexts,
        [
            (1, Answer::Accept(TransferSyntaxUid::new(uids::EXPLICIT_LE))),
            (3, Answer::AbstractSyntaxNotSupported),
            (5, Answer::AbstractSyntaxNotSupported),
            (7, Answer::TransferSyntaxesNotSupported),
            (9, Answer::Accept(TransferSyntaxUid::new(JPEG_BASELINE))),
        ]
    );
    assert_eq!(results.transfers.iter().map(|t| t.id).collect::<Vec<_>>(), [1, 9]);
    assert_eq!(results.roles, [(Uid::new(CT), Roles { scu: true, scp: false })]);
}

#[test]
fn the_role_of_the_acceptor_is_the_other_side_of_what_was_granted() {
    for (proposed, accept_scp, scu_role, scp_role) in [
        (None, true, false, true),
        (Some((true, false)), true, false, true),
        (Some((true, true)), true, true, true),
        (Some((false, true)), true, true, false),
        (Some((false, true)), false, false, false),
        (Some((true, true)), false, false, true),
    ] {
        let results = answer(&[offered(1, CT, &[uids::EXPLICIT_LE], proposed)], &Offered::accept, accept_scp);
        let transfer = &results.transfers[0];
        assert_eq!((transfer.scu_role, transfer.scp_role), (scu_role, scp_role), "{proposed:?} {accept_scp}");
        assert_eq!(results.roles.is_empty(), proposed.is_none());
    }
}

fn proposal(contexts: &[(&str, &[&str], Option<bool>)]) -> Proposal {
    let contexts = contexts.iter().map(|(class, texts, scp_role)| Proposed {
        abstract_syntax: (*class).into(),
        transfer_syntaxes: texts.iter().map(|t| (*t).into()).collect(),
        scp_role: *scp_role,
    });
    Proposal {
        called: AeTitle::new("OLD").unwrap(),
        calling: AeTitle::new("NEW").unwrap(),
        contexts: contexts.collect(),
        max_pdu: 131_072,
        extended: Vec::new(),
        tls: None,
        identity: None,
    }
}

fn concluded(
    proposal: &Proposal,
    contexts: &[(u8, u8, Option<&str>)],
    roles: &[(&str, bool, bool)],
) -> Vec<(u8, String, bool, bool)> {
    let contexts =
        contexts.iter().map(|(id, result, syntax)| (*id, *result, syntax.map(TransferSyntaxUid::new))).collect();
    let roles = roles.iter().map(|(class, scu, scp)| (Uid::new(class), Roles { scu: *scu, scp: *scp })).collect();
    let ac = AssociateAc { contexts, user: UserInformation { roles, ..UserInformation::default() } };
    conclude(proposal, &ac).into_iter().map(|t| (t.id, t.transfer_syntax.to_string(), t.scu_role, t.scp_role)).collect()
}

#[test]
fn only_what_was_proposed_and_accepted_is_used() {
    let (le, be) = (uids::EXPLICIT_LE, uids::EXPLICIT_BE);
    let proposal = proposal(&[(CT, &[le, be], None), (CT, &[JPEG_BASELINE], None), (uids::VERIFICATION, &[le], None)]);
    let answer = [
        (1, 0, Some(be)),
        (3, 4, Some(uids::IMPLICIT_LE)),
        (5, 0, None),
        (5, 0, Some(le)),
        (7, 0, Some(le)),
        (2, 0, Some(le)),
        (0, 0, Some(le)),
        (255, 0, Some(le)),
    ];
    assert_eq!(concluded(&proposal, &answer, &[]), [(1, be.into(), true, false), (5, le.into(), true, false)]);
    // Several were proposed and none named; one was named that was not proposed.
    assert_eq!(concluded(&proposal, &[(1, 0, None), (3, 0, Some(le))], &[]), []);
    // No other result is acceptance.
    for result in 1..=255 {
        assert_eq!(concluded(&proposal, &[(1, result, Some(le))], &[]), []);
    }
}

#[test]
fn a_role_is_ours_when_it_was_proposed_and_granted() {
    let le = uids::EXPLICIT_LE;
    for (scp_role, granted, roles) in [
        (None, None, (true, false)),
        (None, Some((true, true)), (true, false)),
        (Some(true), None, (true, false)),
        (Some(true), Some((false, true)), (false, true)),
        (Some(true), Some((true, true)), (false, true)),
        (Some(true), Some((false, false)), (false, false)),
        (Some(false), Some((true, false)), (true, false)),
        (Some(false), Some((true, true)), (true, false)),
    ] {
        let proposal = proposal(&[(CT, &[le], scp_role)]);
        let granted: Vec<_> = granted.map(|(scu, scp)| (CT, scu, scp)).into_iter().collect();
        assert_eq!(
            concluded(&proposal, &[(1, 0, Some(le))], &granted),
            [(1, le.to_string(), roles.0, roles.1)],
            "{scp_role:?} {granted:?}"
        );
    }
}
