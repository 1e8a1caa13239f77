//! Measurements follow their images, and what was made of them does not outlive them.

use super::super::testing::{CT, D, Q, R, S, image, listed, moves, series, study, tree};
use super::*;
use crate::dicom::{Tag, Uid};

const EVIDENCE: Tag = tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE;

fn item(relation: &str, value_type: &str, concept: &str, children: Vec<Tree>) -> Tree {
    let mut item = tree! {RELATIONSHIP_TYPE: relation, VALUE_TYPE: value_type};
    if !concept.is_empty() {
        let name = tree! {CODE_VALUE: concept, CODING_SCHEME_DESIGNATOR: "DCM", CODE_MEANING: concept};
        item.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![name]);
    }
    if !children.is_empty() {
        item.put_items(tags::CONTENT_SEQUENCE, children);
    }
    item
}

fn num(name: &str, children: Vec<Tree>) -> Tree {
    item("CONTAINS", "NUM", name, children)
}

fn container(name: &str, children: Vec<Tree>) -> Tree {
    item("CONTAINS", "CONTAINER", name, children)
}

fn shows(relation: &str, uid: &str) -> Tree {
    let mut item = item(relation, "IMAGE", "", Vec::new());
    item.put_items(tags::REFERENCED_SOP_SEQUENCE, vec![image(uid)]);
    item
}

/// A region in an image.
fn region(relation: &str, uid: &str) -> Tree {
    item(relation, "SCOORD", "111030", vec![shows("SELECTED FROM", uid)])
}

fn from(path: &[u32]) -> Tree {
    let mut item = tree! {RELATIONSHIP_TYPE: "INFERRED FROM"};
    let bytes: Vec<u8> = path.iter().flat_map(|n| n.to_le_bytes()).collect();
    item.put_bytes(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER, *b"UL", &bytes);
    item
}

fn report(study_uid: &str, uid: &str, images: &[&str], content: Vec<Tree>) -> Tree {
    let title =
        tree! {CODE_VALUE: "126000", CODING_SCHEME_DESIGNATOR: "DCM", CODE_MEANING: "Imaging Measurement Report"};
    tree! {
        SOP_CLASS_UID: "1.2.840.10008.5.1.4.1.1.88.33",
        SOP_INSTANCE_UID: uid,
        STUDY_INSTANCE_UID: study_uid,
        SERIES_INSTANCE_UID: "1.7",
        VALUE_TYPE: "CONTAINER",
        CONCEPT_NAME_CODE_SEQUENCE: title,
        CONTENT_TEMPLATE_SEQUENCE: tree! {MAPPING_RESOURCE: "DCMR", TEMPLATE_IDENTIFIER: "1500"},
        CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE:
            study(study_uid, vec![series(tags::REFERENCED_SOP_SEQUENCE, R, images)]),
        CONTENT_SEQUENCE: content,
    }
}

/// The names of the items of a report, each below the other, with what they refer to by position.
fn outline(report: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open: Vec<(usize, &Tree)> =
        report.items(tags::CONTENT_SEQUENCE).iter().rev().map(|item| (0, item)).collect();
    while let Some((depth, item)) = open.pop() {
        let name = item.item(tags::CONCEPT_NAME_CODE_SEQUENCE).and_then(|name| name.text(tags::CODE_VALUE));
        let uid = item.item(tags::REFERENCED_SOP_SEQUENCE);
        let uid = uid.and_then(|item| item.text(tags::REFERENCED_SOP_INSTANCE_UID));
        let path = item.bytes(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER).map(|bytes| {
            let positions = bytes.chunks(4).map(|n| u32::from_le_bytes(n.try_into().unwrap()).to_string());
            positions.collect::<Vec<_>>().join(".")
        });
        let what = name.or(uid).map(str::to_owned).or(path.map(|path| format!("-> {path}"))).unwrap_or_default();
        lines.push(format!("{}{what}", "  ".repeat(depth)));
        open.extend(item.items(tags::CONTENT_SEQUENCE).iter().rev().map(|item| (depth + 1, item)));
    }
    lines
}

fn measured(content: Vec<Tree>) -> Tree {
    report(S, "31", &["1", "2", "3"], vec![container("126010", content)])
}

fn empty() -> Tree {
    report(D, "41", &["7"], vec![container("126010", vec![num("there", vec![shows("INFERRED FROM", "7")])])])
}

#[test]
fn measurements_of_moved_images_go_and_the_others_stay() {
    let source = measured(vec![
        num("moved", vec![shows("INFERRED FROM", "1")]),
        num("region", vec![region("INFERRED FROM", "2")]),
        num("stays", vec![shows("INFERRED FROM", "3")]),
        num("of nothing", vec![]),
    ]);
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    assert_eq!(done.touched, Touched { moving: 2, derived: 0, torn: 0 });
    assert_eq!(outline(&done.source), ["126010", "  stays", "    3", "  of nothing"]);
    let there = ["126010", "  there", "    7", "  moved", "    1", "  region", "    111030", "      2"];
    assert_eq!(outline(&done.destination), there);
    let row = |study: &str, images: &[&str]| {
        (study.to_owned(), R.to_owned(), images.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(listed(done.source.items(EVIDENCE), tags::REFERENCED_SOP_SEQUENCE), [row(S, &["3"])]);
    let arrived = listed(done.destination.items(EVIDENCE), tags::REFERENCED_SOP_SEQUENCE);
    assert_eq!(arrived, [row(D, &["7"]), row(S, &["1", "2"])]);
}

#[test]
fn references_are_repaired_behind_it() {
    use super::super::references::{Owner, repair};
    let source = measured(vec![num("moved", vec![shows("INFERRED FROM", "1")])]);
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    let d = crate::dicom::StudyInstanceUid::new(D);
    let there = repair(&done.destination, Owner { before: &d, after: &d }, &moves()).unwrap().unwrap().tree;
    let row = |series: &str, images: &[&str]| {
        (D.to_owned(), series.to_owned(), images.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let rows = listed(there.items(EVIDENCE), tags::REFERENCED_SOP_SEQUENCE);
    assert_eq!(rows, [row(R, &["7"]), row(Q, &["91"])]);
    assert_eq!(outline(&there), ["126010", "  there", "    7", "  moved", "    91"]);
}

#[test]
fn what_was_calculated_with_a_moved_measurement_leaves_and_does_not_arrive() {
    let source = measured(vec![
        num("a", vec![shows("INFERRED FROM", "1")]),
        num("b", vec![shows("INFERRED FROM", "3")]),
        num("ratio", vec![from(&[1, 1, 1]), from(&[1, 1, 2])]),
        num("of ratio", vec![num("ratio again", vec![from(&[1, 1, 3])])]),
        num("twice b", vec![from(&[1, 1, 2])]),
        num("of both", vec![shows("INFERRED FROM", "2"), shows("INFERRED FROM", "3")]),
    ]);
    assert_eq!(touched(&source, &moves()).unwrap(), Touched { moving: 1, derived: 3, torn: 1 });
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    assert_eq!(outline(&done.source), ["126010", "  b", "    3", "  twice b", "    -> 1.1.1"]);
    assert_eq!(outline(&done.destination), ["126010", "  there", "    7", "  a", "    1"]);
}

#[test]
fn a_measurement_within_a_calculation_outlives_it() {
    let source = measured(vec![num(
        "ratio",
        vec![num("a", vec![shows("INFERRED FROM", "1")]), num("b", vec![shows("INFERRED FROM", "3")])],
    )]);
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    assert_eq!(outline(&done.source), ["126010", "  b", "    3"]);
    assert_eq!(outline(&done.destination), ["126010", "  there", "    7", "  a", "    1"]);
    let b = &done.source.items(tags::CONTENT_SEQUENCE)[0].items(tags::CONTENT_SEQUENCE)[0];
    assert_eq!(b.text(tags::RELATIONSHIP_TYPE), Some("CONTAINS"));
}

#[test]
fn the_images_of_a_group_are_those_of_its_measurements() {
    let group = |uid: &str, id: &str| {
        container(
            "125007",
            vec![item("HAS OBS CONTEXT", "TEXT", id, vec![]), region("CONTAINS", uid), num("area", vec![])],
        )
    };
    let source = measured(vec![group("1", "first"), group("3", "second")]);
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    let second = ["126010", "  125007", "    second", "    111030", "      3", "    area"];
    assert_eq!(outline(&done.source), second);
    let there = ["126010", "  there", "    7", "  125007", "    first", "    111030", "      1", "    area"];
    assert_eq!(outline(&done.destination), there);
}

#[test]
fn a_group_is_parted_when_only_some_of_its_measurements_go() {
    let source = measured(vec![container(
        "125007",
        vec![
            item("HAS OBS CONTEXT", "TEXT", "tracking", vec![]),
            num("a", vec![shows("INFERRED FROM", "1")]),
            num("b", vec![shows("INFERRED FROM", "3")]),
        ],
    )]);
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    assert_eq!(outline(&done.source), ["126010", "  125007", "    tracking", "    b", "      3"]);
    let there = ["126010", "  there", "    7", "  125007", "    tracking", "    a", "      1"];
    assert_eq!(outline(&done.destination), there);
}

#[test]
fn images_of_a_library_go_along_and_are_found_where_they_are() {
    let library = container("111028", vec![container("126200", vec![shows("CONTAINS", "1"), shows("CONTAINS", "3")])]);
    let measurements = vec![num("a", vec![from(&[1, 1, 1, 1])]), num("b", vec![from(&[1, 1, 1, 2])])];
    let source = report(S, "31", &["1", "3"], vec![library, container("126010", measurements)]);
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    assert_eq!(outline(&done.source), ["111028", "  126200", "    3", "126010", "  b", "    -> 1.1.1.1"]);
    let there = ["126010", "  there", "    7", "  a", "    -> 1.2.1.1", "111028", "  126200", "    1"];
    assert_eq!(outline(&done.destination), there);
}

#[test]
fn what_is_elsewhere_in_the_report_comes_as_a_copy() {
    let outline_of = region("CONTAINS", "1");
    let source = report(
        S,
        "31",
        &["1"],
        vec![container("121070", vec![outline_of]), container("126010", vec![num("a", vec![from(&[1, 1, 1])])])],
    );
    let done = split(&source, &empty(), &moves()).unwrap().unwrap();
    assert_eq!(outline(&done.source), ["121070", "  111030", "    1"], "what is no measurement stays");
    let there = ["126010", "  there", "    7", "  a", "    111030", "      1"];
    assert_eq!(outline(&done.destination), there);
    let uid = Uid::new("1");
    let still = listed(done.source.items(EVIDENCE), tags::REFERENCED_SOP_SEQUENCE);
    assert_eq!(still[0].2, [uid.as_str()], "and what it refers to is listed");
}

#[test]
fn containers_are_those_that_say_the_same() {
    let section = |site: &str, content: Vec<Tree>| {
        let mut children = vec![item("HAS CONCEPT MOD", "CODE", site, vec![])];
        children.extend(content);
        container("121070", children)
    };
    let moved = |name: &str| num(name, vec![shows("INFERRED FROM", "1")]);
    let source = report(
        S,
        "31",
        &["1"],
        vec![section("left", vec![moved("a")]), section("right", vec![moved("b"), moved("c")])],
    );
    let there = report(D, "41", &["7"], vec![section("right", vec![num("there", vec![])])]);
    let done = split(&source, &there, &moves()).unwrap().unwrap();
    assert_eq!(outline(&done.source), [""; 0]);
    let expected = ["121070", "  right", "  there", "  b", "    1", "  c", "    1", "121070", "  left", "  a", "    1"];
    assert_eq!(outline(&done.destination), expected);
}

#[test]
fn what_is_replaced_where_it_is_has_not_moved() {
    use super::super::references::{Move, Place};
    use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
    let mut moves = moves();
    let to = Place { study: StudyInstanceUid::new(S), series: SeriesInstanceUid::new(R) };
    moves.instance(&SopInstanceUid::new("3"), Move { uid: SopInstanceUid::new("93"), to });
    let of = |uid: &str| num("n", vec![shows("INFERRED FROM", uid)]);
    let both = num("n", vec![shows("INFERRED FROM", "1"), shows("INFERRED FROM", "3")]);
    assert_eq!(touched(&measured(vec![of("3")]), &moves).unwrap(), Touched::default());
    let expected = Touched { moving: 1, derived: 0, torn: 1 };
    assert_eq!(touched(&measured(vec![of("1"), of("3"), both]), &moves).unwrap(), expected);
}

#[test]
fn a_report_without_them_is_not_touched() {
    let source = measured(vec![num("stays", vec![shows("INFERRED FROM", "3")]), shows("CONTAINS", "1")]);
    assert_eq!(split(&source, &empty(), &moves()).unwrap(), None);
    assert!(touched(&source, &moves()).unwrap().is_empty());
}

#[test]
fn reports_are_known_by_template_or_title() {
    let mut report = measured(vec![]);
    assert!(is_measurement_report(&report));
    report.remove(tags::CONTENT_TEMPLATE_SEQUENCE);
    assert!(is_measurement_report(&report), "by its title");
    report.remove(tags::CONCEPT_NAME_CODE_SEQUENCE);
    assert!(!is_measurement_report(&report));
    report.put_items(tags::CONTENT_TEMPLATE_SEQUENCE, vec![tree! {TEMPLATE_IDENTIFIER: "5200"}]);
    assert!(is_measurement_report(&report));
    report.put_text(tags::SOP_CLASS_UID, CT);
    assert!(!is_measurement_report(&report));
}

#[test]
fn the_newest_version_is_chosen() {
    let dated = |uid: &str, date: &str| {
        let mut report = report(D, uid, &[], vec![]);
        report.put_text(tags::CONTENT_DATE, date);
        report
    };
    let mut third = dated("3", "20200103");
    third.put_items(
        tags::PREDECESSOR_DOCUMENTS_SEQUENCE,
        vec![study(D, vec![series(tags::REFERENCED_SOP_SEQUENCE, "1.7", &["2"])])],
    );
    let source = measured(vec![]);
    assert_eq!(choose(&[dated("1", "20200101"), dated("2", "20990101"), third], &source), Some(2));
    assert_eq!(choose(&[tree! {SOP_CLASS_UID: CT}], &source), None);
}

#[test]
fn hostile_reports_are_bounded() {
    // Everything refers to everything by position, in circles.
    let count = 3_000_u32;
    let items = (1..=count).map(|n| num("n", vec![from(&[1, 1, n % count + 1]), from(&[1, 1, 1])])).collect();
    let mut source = measured(items);
    assert!(split(&source, &empty(), &moves()).unwrap().is_none());
    // A scaffold of references of which each doubles what it stands for.
    let mut content = vec![shows("CONTAINS", "1")];
    for n in 1..=40_u32 {
        content.push(item("CONTAINS", "SCOORD", "x", vec![from(&[1, n]), from(&[1, n])]));
    }
    content.push(container("126010", vec![num("a", vec![from(&[1, 41])])]));
    source.put_items(tags::CONTENT_SEQUENCE, content);
    assert!(matches!(split(&source, &empty(), &moves()), Err(MeasureError::TooLarge)));
    // Each of very many measurements has a long way to its image.
    let shared = item("CONTAINS", "SCOORD", "x", (0..3_000).map(|_| shows("SELECTED FROM", "1")).collect());
    let mut content = vec![shared];
    content.extend((0..3_000).map(|_| num("n", vec![from(&[1, 1])])));
    source.put_items(tags::CONTENT_SEQUENCE, content);
    assert!(matches!(touched(&source, &moves()), Err(MeasureError::TooTangled)));
}
