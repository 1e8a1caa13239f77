//! What refers to what moved follows it, and nothing else changes.

use super::super::testing::{D, Q, R, S, image, listed, moves, series, study, tree};
use super::*;

fn owner(before: &'static str, after: &'static str) -> (StudyInstanceUid, StudyInstanceUid) {
    (StudyInstanceUid::new(before), StudyInstanceUid::new(after))
}

/// Repairs an object that was in one study and is in another.
fn repaired(object: &Tree, before: &'static str, after: &'static str) -> Option<Repaired> {
    let (before, after) = owner(before, after);
    repair(object, Owner { before: &before, after: &after }, &moves()).unwrap()
}

fn evidence(tree: &Tree) -> Vec<(String, String, Vec<String>)> {
    listed(tree.items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE), tags::REFERENCED_SOP_SEQUENCE)
}

fn row(study: &str, series: &str, objects: &[&str]) -> (String, String, Vec<String>) {
    (study.into(), series.into(), objects.iter().map(|uid| (*uid).into()).collect())
}

#[test]
fn a_study_of_which_some_objects_moved_becomes_two() {
    let whole = series(tags::REFERENCED_SOP_SEQUENCE, R, &["1", "3", "2"]);
    let other = series(tags::REFERENCED_SOP_SEQUENCE, "1.1.6", &["4"]);
    let object = tree! {CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE: study(S, vec![whole, other])};
    let done = repaired(&object, S, S).unwrap();
    assert_eq!(evidence(&done.tree), [row(D, Q, &["91", "92"]), row(S, R, &["3"]), row(S, "1.1.6", &["4"])]);
    assert_eq!(done.references, 2);
    assert_eq!(done.changed, [tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE]);
    assert_eq!(done.structured, done.changed);
    assert_eq!(done.patch(), done.tree);
}

#[test]
fn what_comes_together_becomes_one() {
    let old = study(S, vec![series(tags::REFERENCED_SOP_SEQUENCE, R, &["1"])]);
    let there = study(D, vec![series(tags::REFERENCED_SOP_SEQUENCE, "1.2.8", &["7"])]);
    let object = tree! {CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE: vec![there, old]};
    let done = repaired(&object, D, D).unwrap();
    assert_eq!(done.tree.items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).len(), 1);
    assert_eq!(evidence(&done.tree), [row(D, "1.2.8", &["7"]), row(D, Q, &["91"])]);
}

#[test]
fn an_object_that_keeps_its_uid_changes_its_study_only() {
    let mut moves = Moves::new();
    let to = Place { study: StudyInstanceUid::new(D), series: SeriesInstanceUid::new(R) };
    moves.instance(&SopInstanceUid::new("1"), Move { uid: SopInstanceUid::new("1"), to });
    let object = tree! {
        SOURCE_IMAGE_SEQUENCE: image("1"),
        PERTINENT_OTHER_EVIDENCE_SEQUENCE: study(S, vec![series(tags::REFERENCED_SOP_SEQUENCE, R, &["1"])]),
    };
    let (before, after) = owner(S, S);
    let done = repair(&object, Owner { before: &before, after: &after }, &moves).unwrap().unwrap();
    assert_eq!(done.changed, [tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE]);
    let rows = listed(done.tree.items(tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE), tags::REFERENCED_SOP_SEQUENCE);
    assert_eq!(rows, [row(D, R, &["1"])]);
}

#[test]
fn single_references_change_at_any_depth_and_need_no_patch() {
    let frame = |uid| tree! {DERIVATION_IMAGE_SEQUENCE: tree! {SOURCE_IMAGE_SEQUENCE: image(uid)}};
    let object = tree! {
        PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE: vec![frame("1"), frame("3"), frame("2")],
        REFERENCED_IMAGE_SEQUENCE: image("2"),
        PATIENT_NAME: "A^B",
    };
    let done = repaired(&object, S, S).unwrap();
    let frame = |uid| tree! {DERIVATION_IMAGE_SEQUENCE: tree! {SOURCE_IMAGE_SEQUENCE: image(uid)}};
    let expected = tree! {
        PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE: vec![frame("91"), frame("3"), frame("92")],
        REFERENCED_IMAGE_SEQUENCE: image("92"),
        PATIENT_NAME: "A^B",
    };
    assert_eq!(done.tree, expected);
    assert_eq!(done.changed, [tags::REFERENCED_IMAGE_SEQUENCE, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE]);
    assert_eq!(done.structured, []);
    assert!(done.patch().is_empty());
}

#[test]
fn structure_sets_name_the_study_as_an_object() {
    let part = |study: &str, series_uid: &str, images: &[&str]| {
        tree! {
            REFERENCED_SOP_CLASS_UID: "1.2.840.10008.3.1.2.3.1",
            REFERENCED_SOP_INSTANCE_UID: study,
            RT_REFERENCED_SERIES_SEQUENCE: series(tags::CONTOUR_IMAGE_SEQUENCE, series_uid, images),
        }
    };
    let frame = |studies: Vec<Tree>| tree! {FRAME_OF_REFERENCE_UID: "1.9", RT_REFERENCED_STUDY_SEQUENCE: studies};
    let object = tree! {REFERENCED_FRAME_OF_REFERENCE_SEQUENCE: frame(vec![part(S, R, &["1", "3"])])};
    let done = repaired(&object, S, S).unwrap();
    let expected = tree! {
        REFERENCED_FRAME_OF_REFERENCE_SEQUENCE: frame(vec![part(D, Q, &["91"]), part(S, R, &["3"])]),
    };
    assert_eq!(done.tree, expected);
}

#[test]
fn objects_of_other_studies_are_listed_apart() {
    let of = tags::REFERENCED_INSTANCE_SEQUENCE;
    let object = tree! {
        REFERENCED_SERIES_SEQUENCE: series(of, R, &["1", "3"]),
        STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE: study(D, vec![series(of, "1.2.8", &["7"])]),
    };
    // It stays.
    let done = repaired(&object, S, S).unwrap().tree;
    assert_eq!(done.items(tags::REFERENCED_SERIES_SEQUENCE), [series(of, R, &["3"])]);
    let others = listed(done.items(tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE), of);
    assert_eq!(others, [row(D, Q, &["91"]), row(D, "1.2.8", &["7"])]);
    // It goes as well.
    let done = repaired(&object, S, D).unwrap().tree;
    let own = done.items(tags::REFERENCED_SERIES_SEQUENCE);
    assert_eq!(own, [series(of, Q, &["91"]), series(of, "1.2.8", &["7"])]);
    let others = listed(done.items(tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE), of);
    assert_eq!(others, [row(S, R, &["3"])]);
}

#[test]
fn a_list_that_is_left_empty_is_gone() {
    let object = tree! {REFERENCED_SERIES_SEQUENCE: series(tags::REFERENCED_INSTANCE_SEQUENCE, R, &["1", "2"])};
    let done = repaired(&object, S, S).unwrap();
    assert!(!done.tree.contains(tags::REFERENCED_SERIES_SEQUENCE));
    assert_eq!(done.gone().collect::<Vec<_>>(), [tags::REFERENCED_SERIES_SEQUENCE]);
}

#[test]
fn a_presentation_state_still_says_what_it_applies_to() {
    let of = tags::REFERENCED_IMAGE_SEQUENCE;
    let annotation = |uid| tree! {GRAPHIC_LAYER: "L", REFERENCED_IMAGE_SEQUENCE: image(uid)};
    let object = tree! {
        REFERENCED_SERIES_SEQUENCE: series(of, R, &["1", "3"]),
        GRAPHIC_ANNOTATION_SEQUENCE: vec![annotation("1"), annotation("3")],
    };
    let stays = repaired(&object, S, S).unwrap().tree;
    assert_eq!(stays.items(tags::REFERENCED_SERIES_SEQUENCE), [series(of, Q, &["91"]), series(of, R, &["3"])]);
    assert_eq!(stays.items(tags::GRAPHIC_ANNOTATION_SEQUENCE), [annotation("91"), annotation("3")]);
    let others = stays.items(tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE);
    assert_eq!(listed(others, tags::REFERENCED_INSTANCE_SEQUENCE), [row(D, Q, &["91"])]);

    // And when its images come back, they are not listed twice.
    let mut back = Moves::new();
    let home = Place { study: StudyInstanceUid::new(S), series: SeriesInstanceUid::new("2.25.7") };
    back.instance(&SopInstanceUid::new("91"), Move { uid: SopInstanceUid::new("81"), to: home });
    let (before, after) = owner(S, S);
    let back = repair(&stays, Owner { before: &before, after: &after }, &back).unwrap().unwrap().tree;
    assert_eq!(back.items(tags::REFERENCED_SERIES_SEQUENCE), [series(of, "2.25.7", &["81"]), series(of, R, &["3"])]);
    assert!(!back.contains(tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE));
}

#[test]
fn a_series_that_is_named_alone_follows_when_all_of_it_has_moved() {
    let segmented = |uid: &str| {
        let name = tree! {CODE_VALUE: "121232", CODING_SCHEME_DESIGNATOR: "DCM"};
        tree! {VALUE_TYPE: "UIDREF", CONCEPT_NAME_CODE_SEQUENCE: name, UID: uid}
    };
    let object = tree! {
        RELATED_SERIES_SEQUENCE: tree! {STUDY_INSTANCE_UID: S, SERIES_INSTANCE_UID: R},
        CONTENT_SEQUENCE: segmented(R),
    };
    assert_eq!(repaired(&object, S, S), None, "some of it stays");
    let mut moves = moves();
    moves.series(
        &SeriesInstanceUid::new(R),
        Place { study: StudyInstanceUid::new(D), series: SeriesInstanceUid::new(Q) },
    );
    let (before, after) = owner(S, S);
    let done = repair(&object, Owner { before: &before, after: &after }, &moves).unwrap().unwrap();
    let expected = tree! {
        RELATED_SERIES_SEQUENCE: tree! {STUDY_INSTANCE_UID: D, SERIES_INSTANCE_UID: Q},
        CONTENT_SEQUENCE: segmented(Q),
    };
    assert_eq!(done.tree, expected);
    assert_eq!(done.structured.len(), 2);
}

#[test]
fn a_study_and_a_series_may_bear_one_uid() {
    let of = tags::REFERENCED_SOP_SEQUENCE;
    let object = tree! {CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE: study(R, vec![series(of, R, &["1", "3"])])};
    let done = repaired(&object, R, R).unwrap();
    assert_eq!(evidence(&done.tree), [row(D, Q, &["91"]), row(R, R, &["3"])]);
}

#[test]
fn history_orders_and_private_elements_are_left_alone() {
    let mut object = tree! {
        ORIGINAL_ATTRIBUTES_SEQUENCE: tree! {REFERENCED_IMAGE_SEQUENCE: image("1")},
        REQUEST_ATTRIBUTES_SEQUENCE: tree! {REFERENCED_STUDY_SEQUENCE: image("1"), STUDY_INSTANCE_UID: S},
        REFERENCED_STUDY_SEQUENCE: image("1"),
    };
    object.put_items(Tag(0x0009, 0x1001), vec![image("1")]);
    assert_eq!(repaired(&object, S, S), None);
    assert_eq!(referred(&object).len(), 0);
}

#[test]
fn an_object_that_refers_to_nothing_that_moved_is_not_touched() {
    let of = tags::REFERENCED_SOP_SEQUENCE;
    let object = tree! {
        CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE: vec![
            study(S, vec![series(of, R, &["3"]), series(of, R, &["3"])]),
            study(S, vec![series(of, R, &["3"])]),
        ],
        REFERENCED_SERIES_SEQUENCE: Vec::<Tree>::new(),
    };
    assert_eq!(repaired(&object, S, S), None);
}

#[test]
fn what_cannot_be_split_within_bounds_is_refused() {
    // Each object in a series of its own, with a big attribute beside: every part would carry it.
    let mut moves = Moves::new();
    let uids: Vec<String> = (1..=200).map(|n| n.to_string()).collect();
    for uid in &uids {
        let to = Place { study: StudyInstanceUid::new(D), series: SeriesInstanceUid::new(&format!("7.{uid}")) };
        moves.instance(&SopInstanceUid::new(uid), Move { uid: SopInstanceUid::new(uid), to });
    }
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let mut item = series(tags::REFERENCED_SOP_SEQUENCE, R, &uids);
    let (before, after) = owner(S, S);
    let repair = |item: &Tree| {
        let object = tree! {CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE: study(S, vec![item.clone()])};
        repair(&object, Owner { before: &before, after: &after }, &moves)
    };
    assert_eq!(repair(&item).unwrap().unwrap().references, 200);
    item.put_text(tags::RETRIEVE_URL, &"x".repeat(100_000));
    assert!(matches!(repair(&item), Err(RepairError::TooLarge)));
}

#[test]
fn references_are_found_wherever_they_are() {
    let object = tree! {
        SOP_INSTANCE_UID: "9",
        REFERENCED_SERIES_SEQUENCE: series(tags::REFERENCED_IMAGE_SEQUENCE, R, &["1", "3"]),
        CONTENT_SEQUENCE: tree! {CONTENT_SEQUENCE: tree! {REFERENCED_SOP_SEQUENCE: image("5")}},
        SOURCE_IMAGE_SEQUENCE: image("9"),
        PREDECESSOR_DOCUMENTS_SEQUENCE: study(S, vec![series(tags::REFERENCED_SOP_SEQUENCE, R, &["8"])]),
        REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE: tree! {
            REFERENCED_SOP_CLASS_UID: "1.2.840.10008.3.1.2.3.3", REFERENCED_SOP_INSTANCE_UID: "7",
        },
    };
    let found: Vec<String> = referred(&object).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["1", "3", "5"]);
}

#[test]
fn companions_go_with_what_they_are_about() {
    let uid = SopInstanceUid::new;
    let refers = |own: &str, to: &[&str]| (uid(own), to.iter().map(|to| uid(to)).collect());
    let candidates = [
        refers("dose", &["plan"]),
        refers("plan", &["structures"]),
        refers("structures", &["1", "2"]),
        refers("both", &["1", "3"]),
        refers("of both", &["both", "plan"]),
        refers("of nothing", &[]),
        refers("of others", &["4"]),
        refers("1", &["2"]),
    ];
    let moved = [uid("1"), uid("2")].into();
    assert_eq!(companions(&candidates, &moved), [uid("dose"), uid("plan"), uid("structures")]);
    assert_eq!(companions(&candidates, &std::collections::HashSet::new()), []);
}

#[test]
fn images_are_no_companions() {
    use crate::dicom::SopClassUid;
    let is = |arc: &str| is_companion_class(&SopClassUid::new(&format!("1.2.840.10008.5.1.4.1.1.{arc}")));
    for arc in ["11.1", "11.12", "88.59", "88.33", "66.4", "66", "30", "481.2", "481.3", "481.5", "67"] {
        assert_eq!(is(arc), arc != "66", "{arc}");
    }
    for arc in ["2", "4.1", "481.1", "7", "110", "1", "9.1.1", "104.1", "881"] {
        assert!(!is(arc), "{arc}");
    }
}
