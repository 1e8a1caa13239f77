//! A series that hung in the wrong study: seen from outside before it is moved, after it, and after the undo.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::peers::{DCMTK_SYNTAXES, Ferry, Sample, Storescp, distinct, samples, send};
use crate::support::ward::{ANNA, Object, TARO, Ward, changed_beyond_the_move, series_uid, show, slices, study_uid};

/// Two series of one patient, and a study of another.
fn ward() -> Ward {
    Ward::of(&[slices(ANNA, 1, 1, 3), slices(ANNA, 1, 2, 2), slices(TARO, 2, 1, 2)].concat())
}

#[test]
fn a_series_moved_to_another_patient_is_his_on_every_way_out_and_comes_back() {
    let ward = ward();
    let (series, from, to) = (series_uid(1, 1), study_uid(1), study_uid(2));
    let (before, stored) = (ward.seen(), ward.stored());
    let originals = ward.get(&from);

    // The test has looked before, which is a copy that has left.
    let sure = ["--confirm-patient", "--force-local", "--reason", "WRONG_PATIENT:mixed up"];
    let operation = ward.operation(&[&["reallocate", &series, "--to", &to][..], &sure].concat());

    // Queries.
    let counts = ["StudyInstanceUID", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"];
    assert_eq!(ward.find("STUDY", &counts), [format!("{from} | 1 | 2"), format!("{to} | 2 | 5")]);
    let of_taro = ward
        .find("SERIES", &[&format!("StudyInstanceUID={to}"), "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"]);
    assert_eq!(of_taro, [format!("{to} | {series} | 3"), format!("{to} | {} | 2", series_uid(2, 1))]);
    assert_eq!(
        ward.find(
            "IMAGE",
            &[&format!("StudyInstanceUID={to}"), &format!("SeriesInstanceUID={series}"), "SOPInstanceUID"]
        )
        .len(),
        3
    );
    assert!(
        ward.find("SERIES", &[&format!("StudyInstanceUID={from}"), &format!("SeriesInstanceUID={series}")]).is_empty()
    );

    // C-GET: the patient, the study and the order of the destination; everything else as it was.
    let fetched = ward.get(&to);
    assert_eq!(fetched.files.len(), 5);
    let shown = fetched.shown();
    let mut pairs: Vec<(PathBuf, PathBuf)> = Vec::new();
    for number in 1..=3 {
        let uid = format!("{series}.{number}");
        let object = &shown[&uid];
        for (keyword, value) in [
            ("PatientID", TARO.id),
            ("PatientName", TARO.name),
            ("IssuerOfPatientID", "ISSUERB2"),
            ("PatientBirthDate", TARO.birth),
            ("PatientSex", "M"),
            ("PatientAge", "038Y"),
            ("StudyInstanceUID", &to),
            ("AccessionNumber", "ACC2"),
            ("StudyDescription", "Study 2"),
            ("ReferringPhysicianName", "Doctor^Number2"),
            ("SeriesInstanceUID", &series),
            ("SeriesDescription", "Series 1"),
            ("SpecificCharacterSet", "ISO_IR 192"),
        ] {
            assert_eq!(object[keyword], value, "{keyword} of {uid}");
        }
        assert!(
            object.get("PatientWeight").is_none() && object.get("ReferencedPerformedProcedureStepSequence").is_none()
        );
        assert_eq!(object["RequestAttributesSequence"][0]["RequestedProcedureID"], "RP2");
        let original = &object["OriginalAttributesSequence"][0];
        assert_eq!(original["ReasonForTheAttributeModification"], "CORRECT");
        assert_eq!(original["ModifiedAttributesSequence"][0]["PatientName"], ANNA.name);
        assert_eq!(original["ModifiedAttributesSequence"][0]["StudyInstanceUID"], from.as_str());
        assert!(object["ContributingEquipmentSequence"].as_array().is_some_and(|items| !items.is_empty()));
        pairs.push((originals.files[&uid].clone(), fetched.files[&uid].clone()));
        // DCMTK reads it without complaint.
        assert!(fetched.dump(&uid).contains("(0010,0020) LO [B2]"), "{}", fetched.dump(&uid));
    }
    assert_eq!(changed_beyond_the_move(&pairs), Vec::<String>::new());
    // C-MOVE sends the same, and what was not moved leaves as it was.
    assert_eq!(ward.moved(&to), fetched.digests());
    assert_eq!(ward.get(&from).digests().len(), 2);
    for (uid, digest) in ward.get(&from).digests() {
        assert_eq!(originals.digests()[&uid], digest, "{uid} was not moved");
    }
    // The old study answers no more for what has left it.
    let old = [&format!("StudyInstanceUID={from}"), &format!("SeriesInstanceUID={series}"), "SOPInstanceUID"];
    assert!(ward.find("IMAGE", &old).is_empty());

    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before);
    assert_eq!(ward.stored(), stored, "filed files never change");
}

#[test]
fn a_dry_run_changes_nothing_and_shows_both_patients() {
    let ward = ward();
    let (series, to) = (series_uid(1, 1), study_uid(2));
    let before = ward.seen();
    let sheet = ward.run(&["reallocate", &series, "--to", &to, "--confirm-patient", "--force-local", "--dry-run"]);
    assert_eq!(sheet.code, 0, "{}{}", sheet.out, sheet.err);
    for word in ["Müller^Änne", "山田", "A1", "B2", "3 objects", "Patient Birth Date"] {
        assert!(sheet.out.contains(word), "{word} is missing: {}", sheet.out);
    }
    // Without the confirmation it says what it would be refused for.
    let refused = ward.run(&["reallocate", &series, "--to", &to, "--dry-run"]);
    assert!(refused.code == 1 && refused.out.contains("--confirm-patient"), "{}{}", refused.out, refused.err);
    ward.refused(&["reallocate", &series, "--to", &to], "--confirm-patient");
    assert_eq!(ward.seen(), before);
    assert_eq!(ward.audited("reallocate").len(), 1, "the refused attempt is told, dry runs are not");
}

#[test]
fn single_objects_of_one_patient_move_with_their_age_and_weight() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 3), slices(ANNA, 2, 1, 1)].concat());
    let uid = Object::ct(ANNA, 1, 1, 2).uid().to_owned();
    let before = ward.seen();
    let operation = ward.operation(&["reallocate", &uid, "--to", &study_uid(2), "--force-local"]);
    let fetched = ward.get(&study_uid(2));
    assert_eq!(fetched.files.len(), 2);
    let object = &fetched.shown()[&uid];
    assert_eq!((object["PatientAge"].as_str(), object["PatientWeight"].as_str()), (Some("031Y"), Some("70")));
    assert_eq!(
        (object["SpecificCharacterSet"].as_str(), object["AccessionNumber"].as_str()),
        (Some("ISO_IR 100"), Some("ACC2"))
    );
    assert_eq!(ward.get(&study_uid(1)).files.len(), 2);
    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before);
}

#[test]
fn samples_of_every_syntax_and_character_set_move_and_keep_what_is_theirs() {
    let samples = samples();
    // One study of each transfer syntax and of each character set; studies whose UIDs no other sample has.
    let mut kinds = BTreeSet::new();
    let taken: Vec<&Sample> = distinct(&samples)
        .into_iter()
        .filter(|sample| DCMTK_SYNTAXES.contains(&sample.transfer_syntax.as_str()))
        .filter(|sample| {
            // The charset files are one each.
            let own = sample.path.components().any(|part| part.as_os_str() == "charset_files").then(|| sample.name());
            kinds.insert((sample.transfer_syntax.clone(), own))
        })
        .collect();
    assert!(taken.len() > 15, "{}", taken.len());
    let ward = Ward::of(&slices(TARO, 2, 1, 1));
    assert_eq!(send(ward.ferry.node, Ferry::NODE, &taken), vec![0; taken.len()]);
    let studies: BTreeSet<&String> = taken.iter().filter_map(|sample| sample.study.as_ref()).collect();
    for study in &studies {
        ward.done(&["merge", study, "--into", &study_uid(2), "--confirm-patient"]);
    }
    let storescp = Storescp::start(ward.witness);
    ward.move_to(&study_uid(2), Storescp::AE_TITLE);
    let received = storescp.files();
    let pairs: Vec<_> =
        taken.iter().map(|sample| (sample.path.clone(), received[&sample.sop_instance].clone())).collect();
    assert_eq!(changed_beyond_the_move(&pairs), Vec::<String>::new());
    for (sample, shown) in taken.iter().zip(show(&pairs.into_iter().map(|(_, after)| after).collect::<Vec<_>>())) {
        assert_eq!(shown["PatientName"], TARO.name, "{}", sample.name());
        assert_eq!(shown["StudyInstanceUID"], study_uid(2).as_str(), "{}", sample.name());
    }
}
