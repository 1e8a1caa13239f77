//! Moves that others are told of: new UIDs, repaired references, rejection notes, and receivers that get them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::peers::{Orthanc, PATIENCE, finish, string, text, until};
use crate::support::viewer::peer;
use crate::support::ward::{ANNA, CT, Fetched, Object, TARO, Ward, series_uid, slices, study_uid};

const PRESENTATION_STATE: &str = "1.2.840.10008.5.1.4.1.1.11.1";
const KEY_OBJECTS: &str = "1.2.840.10008.5.1.4.1.1.88.59";
const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const STRUCTURE_SET: &str = "1.2.840.10008.5.1.4.1.1.481.3";

/// An image as others refer to it.
fn image(study: usize, series: usize, number: usize) -> Value {
    json!({
        "ReferencedSOPClassUID": CT,
        "ReferencedSOPInstanceUID": Object::ct(ANNA, study, series, number).uid(),
    })
}

/// A series with images of it.
fn of_series(study: usize, series: usize, keyword: &str, numbers: &[usize]) -> Value {
    let images: Vec<Value> = numbers.iter().map(|number| image(study, series, *number)).collect();
    json!({ "SeriesInstanceUID": series_uid(study, series), keyword: images })
}

/// Every reference to an image in an object, as deep as it may be, but for what it says of its past and of its order.
fn references(value: &Value) -> BTreeSet<String> {
    const ELSEWHERE: [&str; 2] = ["OriginalAttributesSequence", "ReferencedPerformedProcedureStepSequence"];
    let mut found = BTreeSet::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(values) => {
                found.extend(values.get("ReferencedSOPInstanceUID").and_then(Value::as_str).map(str::to_owned));
                open.extend(
                    values.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())).map(|(_, value)| value),
                );
            }
            _ => {}
        }
    }
    found
}

/// The objects of a SOP class.
fn of_class<'a>(shown: &'a BTreeMap<String, Value>, class: &str) -> Vec<&'a Value> {
    shown.values().filter(|object| object["SOPClassUID"] == class).collect()
}

/// Everything that a study shows, checked by DCMTK to be readable.
fn all(ward: &Ward, study: usize) -> (Fetched, BTreeMap<String, Value>) {
    let fetched = ward.get(&study_uid(study));
    for uid in fetched.files.keys() {
        assert!(fetched.dump(uid).contains("StudyInstanceUID"));
    }
    let shown = fetched.shown();
    (fetched, shown)
}

/// What `dciodvfy` calls an error.
fn errors(file: &std::path::Path) -> Vec<String> {
    let mut command = std::process::Command::new("dciodvfy");
    command.arg(file);
    let said = text(&finish(command, PATIENCE).stderr);
    said.lines().filter(|line| line.starts_with("Error")).map(str::to_owned).collect()
}

const IOCM: [&str; 3] = ["--mode", "iocm", "--confirm-patient"];

#[test]
fn moved_objects_have_new_uids_and_the_old_ones_are_rejected_where_they_were() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 3), slices(ANNA, 1, 2, 1), slices(TARO, 2, 1, 1)].concat());
    let (before, stored) = (ward.seen(), ward.stored());
    let operation = ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &IOCM].concat());
    let (moved, shown) = all(&ward, 2);
    assert_eq!(shown.len(), 4);
    let new: Vec<_> = shown
        .iter()
        .filter(|(_, object)| {
            object["SeriesDescription"] == "Series 1" && object["SeriesInstanceUID"] != series_uid(2, 1).as_str()
        })
        .collect();
    assert_eq!(new.len(), 3);
    for (uid, object) in &new {
        assert!(uid.starts_with("2.25.") && string(object, "SeriesInstanceUID").starts_with("2.25."), "{uid}");
        assert_eq!(string(object, "PatientName"), TARO.name);
        assert_eq!(string(object, "SOPInstanceUID"), **uid);
        // It is what its File Meta Information and the answers of queries say.
        assert!(moved.files.contains_key(*uid));
    }
    let (notes, shown) = all(&ward, 1);
    let key_objects = of_class(&shown, KEY_OBJECTS);
    assert_eq!((shown.len(), key_objects.len()), (2, 1), "what stays, and the rejection note");
    let note = key_objects[0];
    assert_eq!(string(note, "PatientName"), ANNA.name);
    assert_eq!(string(&note["ConceptNameCodeSequence"][0], "CodeValue"), "113038");
    let rejected: BTreeSet<_> = (1..=3).map(|number| format!("{}.{number}", series_uid(1, 1))).collect();
    assert!(references(note).is_superset(&rejected), "{note}");
    let file = &notes.files[&string(note, "SOPInstanceUID")];
    assert_eq!(errors(file), Vec::<String>::new());
    // Old objects sent again stay away.
    let now = ward.seen();
    ward.send(&ward.files());
    assert_eq!(ward.seen(), now);
    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before, "the note is gone as well");
    let after = ward.stored();
    assert!(stored.iter().all(|(path, digest)| after.get(path) == Some(digest)), "filed files never change");
}

/// Two series, and what refers to them: a presentation state and key objects that stay, a segmentation and a structure set
/// that are moved.
fn with_references() -> Vec<Object> {
    let other = |series: usize, class: &str, modality: &str| Object::ct(ANNA, 1, series, 1).kind(class, modality);
    let state = other(3, PRESENTATION_STATE, "PR")
        .with("ReferencedSeriesSequence", of_series(1, 1, "ReferencedImageSequence", &[1, 2]));
    let evidence = json!({ "StudyInstanceUID": study_uid(1),
        "ReferencedSeriesSequence": [of_series(1, 1, "ReferencedSOPSequence", &[1]), of_series(1, 2, "ReferencedSOPSequence", &[1])] });
    let content = |series: usize| json!({ "RelationshipType": "CONTAINS", "ValueType": "IMAGE", "ReferencedSOPSequence": image(1, series, 1) });
    let keys = other(4, KEY_OBJECTS, "KO")
        .with("CurrentRequestedProcedureEvidenceSequence", evidence)
        .with("ContentSequence", json!([content(1), content(2)]));
    let segmentation = other(5, SEGMENTATION, "SEG")
        .with("ReferencedSeriesSequence", of_series(1, 2, "ReferencedInstanceSequence", &[1]));
    let structures = other(5, STRUCTURE_SET, "RTSTRUCT").with("SOPInstanceUID", format!("{}.2", series_uid(1, 5))).with(
        "ReferencedFrameOfReferenceSequence",
        json!({ "RTReferencedStudySequence": { "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": study_uid(1),
            "RTReferencedSeriesSequence": of_series(1, 2, "ContourImageSequence", &[1, 2]) } }),
    );
    [slices(ANNA, 1, 1, 2), slices(ANNA, 1, 2, 2), vec![state, keys, segmentation, structures], slices(ANNA, 2, 1, 1)]
        .concat()
}

#[test]
fn references_in_moved_objects_and_in_those_that_stay_name_what_is_there() {
    let ward = Ward::of(&with_references());
    let before = ward.seen();
    let dry = ward.run(
        &[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2), "--leave-companions", "--dry-run"][..], &IOCM]
            .concat(),
    );
    assert!(dry.code == 0 && dry.out.contains("What refers to it"), "{}{}", dry.out, dry.err);
    // The images that a presentation state and key objects refer to leave; both stay.
    let first = ward.operation(
        &[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2), "--leave-companions"][..], &IOCM].concat(),
    );
    let (_, there) = all(&ward, 2);
    let new: BTreeSet<String> = there
        .iter()
        .filter(|(_, o)| o["SeriesInstanceUID"] != series_uid(2, 1).as_str())
        .map(|(uid, _)| uid.clone())
        .collect();
    assert_eq!(new.len(), 2);
    let (_, here) = all(&ward, 1);
    let state = of_class(&here, PRESENTATION_STATE);
    assert_eq!(state.len(), 1);
    assert_eq!(references(state[0]), new, "the presentation state shows on the moved images");
    assert_ne!(string(state[0], "SOPInstanceUID"), format!("{}.1", series_uid(1, 3)), "replaced under a new UID");
    let keys = of_class(&here, KEY_OBJECTS)
        .into_iter()
        .filter(|object| object["ConceptNameCodeSequence"][0]["CodeValue"] != "113038");
    let keys: Vec<_> = keys.collect();
    assert_eq!(keys.len(), 1);
    let named = references(keys[0]);
    assert!(named.intersection(&new).count() == 1 && named.contains(&format!("{}.1", series_uid(1, 2))), "{named:?}");
    ward.done(&["undo", &first]);
    assert_eq!(ward.seen(), before);
    // A segmentation and a structure set leave the images that they were made of, which stay.
    let second = ward.operation(&[&["reallocate", &series_uid(1, 5), "--to", &study_uid(2)][..], &IOCM].concat());
    let (_, there) = all(&ward, 2);
    for class in [SEGMENTATION, STRUCTURE_SET] {
        let found = of_class(&there, class);
        assert_eq!(found.len(), 1, "{class}");
        let named = references(found[0]);
        assert!(named.contains(&format!("{}.1", series_uid(1, 2))), "{class}: {named:?}");
    }
    ward.done(&["undo", &second]);
    assert_eq!(ward.seen(), before);
}

#[test]
fn what_refers_to_nothing_else_moves_along_and_still_refers_to_it() {
    let ward = Ward::of(&with_references());
    let before = ward.seen();
    let operation = ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &IOCM].concat());
    let (_, there) = all(&ward, 2);
    let state = of_class(&there, PRESENTATION_STATE);
    assert_eq!(state.len(), 1, "{:?}", there.keys());
    let named = references(state[0]);
    assert!(named.len() == 2 && named.iter().all(|uid| there.contains_key(uid)), "{named:?}");
    let (_, here) = all(&ward, 1);
    assert!(of_class(&here, PRESENTATION_STATE).is_empty());
    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before);
}

#[test]
fn receivers_that_had_copies_get_the_note_and_the_corrected_objects() {
    // Orthanc must exist before the ward knows its port; it asks nobody.
    let orthanc = Orthanc::start(&[], 0);
    let corrected = peer(Orthanc::AE_TITLE, orthanc.port) + "corrections = true\n";
    let mut ward = Ward::configured(&[slices(ANNA, 1, 1, 2), slices(ANNA, 2, 1, 1)].concat(), &corrected);
    ward.serve_with_worker();
    ward.move_to(&study_uid(1), Orthanc::AE_TITLE);
    assert_eq!(orthanc.files().len(), 2);
    let dry = until("the retrieve is remembered", PATIENCE, || {
        let done =
            ward.run(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2), "--dry-run"][..], &IOCM].concat());
        done.out.contains(Orthanc::AE_TITLE).then_some(done)
    });
    assert!(dry.code == 0 && dry.out.contains("will be told"), "{}{}", dry.out, dry.err);
    ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &IOCM].concat());
    // Two old ones, two corrected ones, and the note.
    until("Orthanc is told", PATIENCE, || (orthanc.files().len() >= 5).then_some(()));
}

#[test]
fn a_receiver_that_has_only_what_is_replaced_is_told_too() {
    let orthanc = Orthanc::start(&[], 0);
    let corrected = peer(Orthanc::AE_TITLE, orthanc.port) + "corrections = true\n";
    let evidence = json!({ "StudyInstanceUID": study_uid(1),
        "ReferencedSeriesSequence": of_series(1, 1, "ReferencedSOPSequence", &[1]) });
    let content =
        json!({ "RelationshipType": "CONTAINS", "ValueType": "IMAGE", "ReferencedSOPSequence": image(1, 1, 1) });
    let keys = Object::ct(ANNA, 2, 2, 1)
        .kind(KEY_OBJECTS, "KO")
        .with("CurrentRequestedProcedureEvidenceSequence", evidence)
        .with("ContentSequence", content);
    let mut ward = Ward::configured(&[slices(ANNA, 1, 1, 1), vec![keys]].concat(), &corrected);
    ward.serve_with_worker();
    ward.move_to(&study_uid(2), Orthanc::AE_TITLE);
    assert_eq!(orthanc.files().len(), 1, "the key objects alone");
    until("the retrieve is remembered", PATIENCE, || {
        let done =
            ward.run(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2), "--dry-run"][..], &IOCM].concat());
        done.out.contains("will be told").then_some(())
    });
    ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &IOCM].concat());
    // The old key objects and the new ones, the note, and the image.
    until("Orthanc is told", PATIENCE, || (orthanc.files().len() >= 4).then_some(()));
}
