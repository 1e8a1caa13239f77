//! Reports and presentation states: measurements go with their images, what spans two studies shows in both, and what
//! somebody has put his name to wants a yes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::peers::{PATIENCE, files_below, finish, python, string, text};
use crate::support::ward::{ANNA, CT, Object, TARO, Ward, series_uid, slices, study_uid};

/// The studies of documents.py, and the series of the three images of the first.
const S: &str = "1.2.3.1";
const R: &str = "1.2.3.1.5";
const D: &str = "1.2.3.2";
const REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.33";
const PRESENTATION_STATE: &str = "1.2.840.10008.5.1.4.1.1.11.1";

/// An archive with these objects of documents.py.
fn with_documents(names: &[&str]) -> Ward {
    let folder = tempfile::tempdir().unwrap();
    let mut command = python("documents.py");
    command.arg(folder.path());
    let done = finish(command, PATIENCE);
    assert!(done.status.success(), "documents.py: {}", text(&done.stderr));
    let of = |path: &PathBuf| names.contains(&path.file_stem().unwrap().to_str().unwrap());
    let files: Vec<PathBuf> = files_below(folder.path()).into_iter().filter(of).collect();
    assert_eq!(files.len(), names.len());
    let ward = Ward::of(&[]);
    ward.send(&files);
    ward
}

/// What DCMTK reads in the reports of a study, which must all be valid.
fn reports(ward: &Ward, study: &str) -> String {
    let fetched = ward.get(study);
    let mut said = String::new();
    for (uid, object) in fetched.shown() {
        if object["SOPClassUID"] != REPORT {
            continue;
        }
        assert_eq!(errors(&fetched.files[&uid]), [""; 0], "{uid}");
        let mut command = Command::new("dsrdump");
        command.args(["+Pu", "+Pl", "+U8"]).arg(&fetched.files[&uid]);
        let done = finish(command, PATIENCE);
        assert!(done.status.success(), "{}", text(&done.stderr));
        said += &text(&done.stdout);
    }
    said
}

fn errors(file: &Path) -> Vec<String> {
    let mut command = Command::new("dciodvfy");
    command.arg(file);
    let said = text(&finish(command, PATIENCE).stderr);
    said.lines().filter(|line| line.starts_with("Error")).map(str::to_owned).collect()
}

#[test]
fn measurements_of_moved_images_are_in_the_report_of_the_destination() {
    let ward = with_documents(&["ct1", "ct2", "ct3", "ct7", "sr-both", "sr-there"]);
    let (before, stored) = (ward.seen(), ward.stored());
    for mode in ["local", "iocm"] {
        let (one, two) = (format!("{R}.1"), format!("{R}.2"));
        let ask = ["reallocate", &one, &two, "--to", D, "--confirm-patient", "--force-local", "--mode", mode];
        let sheet = ward.done(&[&ask[..], &["--dry-run"]].concat());
        assert_eq!(
            (&sheet["measurements"]["moved"], &sheet["measurements"]["derived"]),
            (&json!(1), &json!(1)),
            "{mode}"
        );
        let operation = ward.operation(&ask);
        let (here, there) = (reports(&ward, S), reports(&ward, D));
        assert!(!here.contains("lesion 1") && here.contains("lesion 3"), "{mode}: {here}");
        assert!(there.contains("lesion 1") && there.contains("lesion 7"), "{mode}: {there}");
        assert!(!here.contains("Ratio") && !there.contains("Ratio"), "{mode}: what was derived is in neither");
        let patients: BTreeSet<String> =
            ward.get(D).shown().values().map(|object| string(object, "PatientID")).collect();
        assert_eq!(patients, BTreeSet::from(["4712".to_owned()]), "{mode}");
        ward.done(&["undo", &operation]);
        assert_eq!(ward.seen(), before, "{mode}");
    }
    let now = ward.stored();
    assert!(stored.iter().all(|(path, digest)| now.get(path) == Some(digest)), "filed files never change");
}

#[test]
fn a_presentation_state_whose_images_come_to_lie_in_two_studies_shows_on_all_of_them() {
    let ward = with_documents(&["ct1", "ct2", "ct3", "ct7", "pr-both"]);
    let before = ward.seen();
    let one = format!("{R}.1");
    let operation = ward.operation(&["reallocate", &one, "--to", D, "--confirm-patient", "--mode", "iocm"]);
    let (here, there) = (ward.get(S), ward.get(D));
    let shown = here.shown();
    let (uid, state) = shown.iter().find(|(_, object)| object["SOPClassUID"] == PRESENTATION_STATE).expect("it stays");
    assert_eq!(errors(&here.files[uid]), [""; 0]);
    let text = here.dump(uid);
    let moved = there.files.keys().find(|uid| uid.starts_with("2.25.")).expect("the image has a new UID");
    assert!(text.contains(moved) && text.contains(&format!("{R}.3")) && !text.contains(&format!("[{one}]")), "{text}");
    let elsewhere = &state["StudiesContainingOtherReferencedInstancesSequence"][0];
    assert_eq!(elsewhere["StudyInstanceUID"], D, "{state}");
    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before);
}

#[test]
fn a_verified_report_is_replaced_when_somebody_says_so_and_a_signed_one_loses_its_signature() {
    let ward = with_documents(&["ct1", "ct2", "ct3", "ct7", "sr-verified"]);
    let before = ward.seen();
    let two = format!("{R}.2");
    let ask = ["reallocate", &two, "--to", D, "--confirm-patient", "--mode", "iocm"];
    let refused = ward.run(&[&ask[..], &["--json"]].concat());
    let told: Value = serde_json::from_str(&refused.out).unwrap_or_else(|e| panic!("{e}: {}", refused.out));
    assert_eq!((refused.code, &told["code"]), (1, &json!("documents-not-confirmed")), "{told}");
    let operation = ward.operation(&[&ask[..], &["--confirm-documents"]].concat());
    let fetched = ward.get(S);
    let shown = fetched.shown();
    let (uid, report) = shown.iter().find(|(_, object)| object["SOPClassUID"] == REPORT).expect("a report");
    assert_eq!((errors(&fetched.files[uid]), &report["VerificationFlag"]), (vec![], &json!("UNVERIFIED")));
    assert_eq!(report["PredecessorDocumentsSequence"].as_array().map(Vec::len), Some(1), "it names the verified one");
    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before);

    let image = json!({ "ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": format!("{}.1", series_uid(1, 1)) });
    let content = json!([{ "RelationshipType": "CONTAINS", "ValueType": "IMAGE", "ReferencedSOPSequence": image }]);
    let signature =
        json!({ "MACIDNumber": 1, "DigitalSignatureUID": "1.2.3.4", "DigitalSignatureDateTime": "20240101" });
    let signed = Object::ct(ANNA, 1, 3, 1)
        .kind(REPORT, "SR")
        .with("ContentSequence", content)
        .with("DigitalSignaturesSequence", json!([signature]));
    let ward = Ward::of(&[slices(ANNA, 1, 1, 1), slices(ANNA, 1, 2, 1), vec![signed], slices(TARO, 2, 1, 1)].concat());
    let before = ward.seen();
    let (series, report, to) = (series_uid(1, 1), series_uid(1, 3), study_uid(2));
    let ask = ["reallocate", &series, "--to", &to, "--confirm-patient", "--force-local"];
    ward.refused(&ask, "verified or signed documents");
    // The report goes along, since it refers to nothing else.
    let operation = ward.operation(&[&ask[..], &["--confirm-documents"]].concat());
    let fetched = ward.get(&to);
    let dump = fetched.dump(&format!("{report}.1"));
    assert!(!dump.contains("DigitalSignaturesSequence") && dump.contains("OriginalAttributesSequence"), "{dump}");
    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before);
}
