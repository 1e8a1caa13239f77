//! The cases that broke other systems, each from outside: before, after the move, after the undo.

use std::collections::BTreeMap;
use std::time::Duration;

use pacsferry::dicom::{TransferSyntaxUid, uids};
use pacsferry::sample::{Archive, Profile};

use crate::support::medium::Medium;
use crate::support::peers::{PATIENCE, finish, string, text, until};
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene};
use crate::support::viewer::{get, instances, peer};
use crate::support::ward::{ANNA, JOHN, Object, TARO, Ward, make, series_uid, slices, study_uid};

/// What every move of these tests says: the other patient is right, and that tests have looked before is no matter.
const SURE: [&str; 2] = ["--confirm-patient", "--force-local"];

/// Moves something, looks, and takes it back: all must be as it was.
fn there_and_back(ward: &Ward, what: &str, to: &str, look: impl FnOnce(&Ward)) {
    let (before, stored) = (ward.seen(), ward.stored());
    let operation = ward.operation(&[&["reallocate", what, "--to", to][..], &SURE].concat());
    look(ward);
    ward.done(&["undo", &operation]);
    assert_eq!(ward.seen(), before);
    assert_eq!(ward.stored(), stored, "filed files never change");
}

/// How many objects `getscu` fetches of some studies.
fn counts(ward: &Ward, studies: &[usize]) -> Vec<usize> {
    studies.iter().map(|study| ward.get(&study_uid(*study)).files.len()).collect()
}

#[test]
fn every_character_set_moves_into_every_other() {
    let patients = [ANNA, TARO, JOHN];
    let objects: Vec<Object> =
        patients.into_iter().zip(1..).flat_map(|(one, study)| slices(one, study, 1, 1)).collect();
    let ward = Ward::of(&objects);
    for (from, study) in patients.iter().zip(1..) {
        for (into, other) in patients.iter().zip(1..).filter(|(_, other)| *other != study) {
            there_and_back(&ward, &series_uid(study, 1), &study_uid(other), |ward| {
                let object = &ward.get(&study_uid(other)).shown()[&format!("{}.1", series_uid(study, 1))];
                assert_eq!(string(object, "PatientName"), into.name, "{} into {}", from.id, into.id);
                let original = &object["OriginalAttributesSequence"][0]["ModifiedAttributesSequence"][0];
                assert_eq!(string(original, "PatientName"), from.name, "{} into {}", from.id, into.id);
                assert_eq!(string(object, "SeriesDescription"), "Series 1");
            });
        }
    }
}

#[test]
fn a_study_and_a_series_with_one_uid_are_told_apart() {
    let same = study_uid(1);
    let odd = |number| Object::ct(ANNA, 1, 1, number).with("SeriesInstanceUID", same.as_str());
    let ward = Ward::of(&[vec![odd(1), odd(2)], slices(ANNA, 1, 2, 1), slices(JOHN, 2, 1, 1)].concat());
    there_and_back(&ward, &same, &study_uid(2), |ward| {
        assert_eq!(counts(ward, &[1, 2]), [1, 3]);
        let shown = ward.get(&study_uid(2)).shown();
        let moved: Vec<_> = shown.values().filter(|object| object["SeriesInstanceUID"] == same.as_str()).collect();
        assert_eq!(moved.len(), 2);
        assert!(moved.iter().all(|object| object["StudyInstanceUID"] == study_uid(2).as_str()));
    });
}

#[test]
fn what_goes_on_to_a_third_study_or_back_is_undone_in_reverse() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(TARO, 2, 1, 1), slices(JOHN, 3, 1, 1)].concat());
    let series = series_uid(1, 1);
    let before = ward.seen();
    let go = |to: usize| ward.operation(&[&["reallocate", &series, "--to", &study_uid(to)][..], &SURE].concat());
    let first = go(2);
    assert_eq!(counts(&ward, &[1, 2, 3]), [0, 3, 1]);
    let second = go(3);
    assert_eq!(counts(&ward, &[1, 2, 3]), [0, 1, 3]);
    let shown = ward.get(&study_uid(3)).shown();
    let object = &shown[&format!("{series}.1")];
    assert_eq!((string(object, "PatientName"), string(object, "AccessionNumber")), (JOHN.name.into(), "ACC3".into()));
    let was =
        |n: usize| object["OriginalAttributesSequence"][n]["ModifiedAttributesSequence"][0]["PatientName"].clone();
    let mut history = [was(0), was(1)].map(|name| name.as_str().unwrap().to_owned());
    history.sort();
    let mut expected = [ANNA.name, TARO.name].map(str::to_owned);
    expected.sort();
    assert_eq!(history, expected, "both moves are told");
    ward.refused(&["undo", &first], "which came after it");
    let third = go(1);
    assert_eq!(counts(&ward, &[1, 2, 3]), [2, 1, 1]);
    for operation in [third, second, first] {
        ward.done(&["undo", &operation]);
    }
    assert_eq!(ward.seen(), before);
}

#[test]
fn a_study_that_everything_left_is_not_shown_and_takes_things_in_again() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(TARO, 2, 1, 2)].concat());
    let before = ward.seen();
    let merged = ward.operation(&[&["merge", &study_uid(1), "--into", &study_uid(2)][..], &SURE].concat());
    assert_eq!(ward.find("STUDY", &["StudyInstanceUID"]), [study_uid(2)]);
    assert_eq!(counts(&ward, &[1, 2]), [0, 4]);
    // Its patient and its order are remembered.
    let back = ward.operation(&[&["reallocate", &series_uid(2, 1), "--to", &study_uid(1)][..], &SURE].concat());
    let shown = ward.get(&study_uid(1)).shown();
    assert_eq!(shown.len(), 2);
    for object in shown.values() {
        assert_eq!((string(object, "PatientID"), string(object, "AccessionNumber")), ("A1".into(), "ACC1".into()));
        assert_eq!(string(object, "PatientName"), ANNA.name);
    }
    ward.done(&["undo", &back]);
    ward.done(&["undo", &merged]);
    assert_eq!(ward.seen(), before);
}

#[test]
fn a_study_is_split_into_a_new_one_of_the_same_patient() {
    let ward = Ward::of(&[slices(TARO, 1, 1, 2), slices(TARO, 1, 2, 1)].concat());
    let before = ward.seen();
    let done = ward.done(&["split", &study_uid(1), "--series", &series_uid(1, 2), "--force-local"]);
    let studies = ward.find("STUDY", &["StudyInstanceUID", "PatientID", "NumberOfStudyRelatedInstances"]);
    assert_eq!(studies.len(), 2, "{studies:?}");
    let new = studies.iter().find(|study| !study.starts_with(&study_uid(1))).expect("a new study");
    let uid = new.split(" | ").next().unwrap();
    assert!(new.ends_with("| B2 | 1") && uid.starts_with("2.25."), "{new}");
    assert_eq!(string(ward.get(uid).shown().values().next().unwrap(), "PatientName"), TARO.name);
    ward.done(&["undo", &done["correction"].to_string()]);
    assert_eq!(ward.seen(), before);
}

#[test]
fn what_was_moved_and_is_sent_again_stays_where_it_was_moved_to() {
    let mut ward = Ward::of(&[slices(ANNA, 1, 1, 3), slices(TARO, 2, 1, 1)].concat());
    let operation = ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &SURE].concat());
    let (after, stored) = (ward.seen(), ward.stored());
    ward.send(&ward.files());
    assert_eq!(ward.seen(), after);
    // After a restart, and with another header, which would be a variant of what is filed.
    ward.restart();
    let folder = tempfile::tempdir().unwrap();
    let other: Vec<_> = slices(ANNA, 1, 1, 3).into_iter().map(|one| one.with("SeriesDescription", "another")).collect();
    ward.send(&make(folder.path(), &other));
    assert_eq!(ward.seen(), after);
    assert_eq!(ward.stored(), stored, "nothing is written for them");
    // What is new in the old study stays in the old study.
    let folder = tempfile::tempdir().unwrap();
    ward.send(&make(folder.path(), &[Object::ct(ANNA, 1, 1, 9)]));
    assert_eq!(counts(&ward, &[1, 2]), [1, 4]);
    ward.done(&["undo", &operation]);
    assert_eq!(counts(&ward, &[1, 2]), [4, 1]);
}

#[test]
fn linked_files_are_moved_without_being_touched() {
    let folder = tempfile::tempdir().unwrap();
    let files = make(folder.path(), &[slices(ANNA, 1, 1, 2), slices(TARO, 2, 1, 1)].concat());
    let bytes = || files.iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect::<BTreeMap<_, _>>();
    let linked = bytes();
    let ward = Ward::of(&[]);
    let done = ward.run(&["import", &folder.path().display().to_string(), "--link"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    there_and_back(&ward, &series_uid(1, 1), &study_uid(2), |ward| {
        assert_eq!(counts(ward, &[1, 2]), [0, 3]);
        let findings = ward.run(&["verify", "--all", "--files"]);
        assert_eq!(findings.code, 0, "{}{}", findings.out, findings.err);
    });
    assert_eq!(bytes(), linked);
    assert!(ward.stored().is_empty(), "no copies were made");
}

#[test]
fn what_was_moved_away_and_is_imported_again_is_counted_as_that() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        make(folder.path(), &[slices(ANNA, 1, 1, 2), slices(TARO, 2, 1, 1)].concat());
    }
    let ward = Ward::of(&[]);
    let import = |at: usize| {
        let done = ward.run(&["import", &folders[at].path().display().to_string(), "--copy"]);
        assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    };
    import(0);
    ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &SURE].concat());
    let counts = || {
        let objects = ward.done(&["report", "last"])["objects"].clone();
        ["duplicate", "already_moved"].map(|key| objects[key].as_u64().unwrap())
    };
    import(1);
    assert_eq!(counts(), [1, 2]);
    let report = ward.run(&["report", "last", "--format", "text"]);
    assert!(report.out.contains("already moved"), "{}", report.out);
    import(1);
    assert_eq!(counts(), [0, 0]);
}

#[test]
fn of_two_operators_at_once_one_is_done_and_the_other_is_told() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 20), slices(TARO, 2, 1, 1), slices(JOHN, 3, 1, 1)].concat());
    // What was sent just now is no matter any more.
    let dry = ward.run(&["reallocate", &series_uid(1, 1), "--to", &study_uid(3), "--confirm-patient", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}{}", dry.out, dry.err);
    let start = |to: usize| {
        Running::start(&ward.ferry, &[&["reallocate", &series_uid(1, 1), "--to", &study_uid(to)][..], &SURE].concat())
    };
    let mut both = [start(2), start(3)];
    let codes = both.each_mut().map(|one| one.ends(Duration::from_secs(60)).unwrap());
    let said: Vec<_> = both.iter().map(Running::said).collect();
    assert!(codes.contains(&0), "{said:?}");
    let now = counts(&ward, &[1, 2, 3]);
    let operations = ward.done(&["corrections"]);
    let done = codes.iter().filter(|code| **code == 0).count();
    assert_eq!(operations.as_array().unwrap().len(), done, "{said:?}");
    // Both only when one came after the other: then the second one moved on what the first had moved.
    assert!(now == [0, 21, 1] || now == [0, 1, 21], "{now:?}: {said:?}");
    let one_by_one = ward.find("STUDY", &["StudyInstanceUID", "NumberOfStudyRelatedInstances"]);
    assert_eq!(one_by_one.len(), 2, "{one_by_one:?}");
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(TARO, 2, 1, 1)].concat());
    let (series, from, to) = (series_uid(1, 1), study_uid(1), study_uid(2));
    let counts = ["StudyInstanceUID", "NumberOfStudyRelatedInstances", "PatientID"];
    let before = ward.find("STUDY", &counts);
    ward.refused(&["reallocate", &series, "--to", &from], "both source and destination");
    ward.refused(&["reallocate", &series, "--to", "1.2.3.4.5"], "1.2.3.4.5");
    ward.refused(&["reallocate", "1.2.3.4.5", "--to", &to], "1.2.3.4.5");
    ward.refused(&["merge", &from, "--into", &from], "both source and destination");
    ward.refused(&["undo", "77"], "77");
    ward.refused(&["reallocate", &series, "--to", &to], "--confirm-patient");
    ward.refused(&["unlock", &from], "not locked");
    assert_eq!(ward.find("STUDY", &counts), before);
    assert_eq!(ward.done(&["corrections"]).as_array().map(Vec::len), Some(0));
    for (event, attempts) in [("reallocate", 4), ("merge", 1), ("unlock", 1)] {
        let told = ward.audited(event);
        assert_eq!(told.len(), attempts, "{event}: {told:?}");
        assert!(told.iter().all(|entry| entry["outcome"] == "minor failure"), "{told:?}");
    }
}

#[test]
fn what_has_left_under_its_old_identity_is_not_moved_locally_unless_forced() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(ANNA, 1, 2, 1), slices(ANNA, 2, 1, 1)].concat());
    ward.get(&study_uid(1));
    let arguments = ["reallocate", &series_uid(1, 1), "--to", &study_uid(2)];
    let told = until("the retrieve is remembered", PATIENCE, || {
        let done = ward.run(&[&arguments[..], &["--dry-run"]].concat());
        done.out.contains("WITNESS").then_some(done)
    });
    assert!(told.code == 1 && told.out.contains("--mode iocm"), "{}", told.out);
    ward.refused(&arguments, "WITNESS");
    ward.done(&[&arguments[..], &["--force-local"]].concat());
    assert_eq!(counts(&ward, &[1, 2]), [1, 3]);
}

#[test]
fn a_locked_study_is_left_alone_and_privileges_are_needed() {
    let roles = "[[role]]\nname = \"clerks\"\nprivileges = [\"view\", \"content\"]\nusers = [\"daemon\"]\n\
                 [[role]]\nname = \"chiefs\"\nusers = [\"bin\"]\nprivileges = \
                 [\"view\", \"content\", \"across-patients\", \"force-local\", \"unlock\", \"undo\", \"discard\"]\n";
    let objects = [slices(ANNA, 1, 1, 2), slices(ANNA, 2, 1, 1), slices(TARO, 3, 1, 1)].concat();
    let ward = Ward::configured(&objects, roles);
    // Root calls for others, as by sudo: `daemon` and `bin` are on every machine.
    let as_user = |uid: u32, arguments: &[&str]| {
        let mut command = ward.ferry.command(arguments);
        command.env("SUDO_UID", uid.to_string());
        let done = finish(command, PATIENCE);
        let said = text(&done.stdout) + &text(&done.stderr);
        (done.status.code(), said)
    };
    const CLERK: u32 = 1;
    const CHIEF: u32 = 2;
    let refused = |uid, arguments: &[&str], words: &str| {
        let (code, said) = as_user(uid, arguments);
        assert!(code == Some(1) && said.contains(words), "{arguments:?}: {code:?} {said}");
    };
    let done = |uid, arguments: &[&str]| {
        let (code, said) = as_user(uid, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
    };
    let (one, two, three) = (study_uid(1), study_uid(2), study_uid(3));
    let series = series_uid(1, 1);
    // Root itself is in no role.
    refused(0, &["reallocate", &series, "--to", &two], "privilege `view`");
    refused(CLERK, &["reallocate", &series, "--to", &three, "--confirm-patient"], "privilege `across-patients`");
    refused(CLERK, &["import", ".", "--copy"], "privilege `operate`");
    done(CHIEF, &["lock", &two, "--reason", "under review"]);
    refused(CHIEF, &["lock", &two, "--reason", "again"], "you have locked");
    refused(CLERK, &["reallocate", &series, "--to", &two], "locked by bin");
    refused(CLERK, &["unlock", &two], "privilege `unlock`");
    done(CHIEF, &["unlock", &two]);
    done(CLERK, &["lock", &one, "--reason", "mine"]);
    done(CLERK, &["reallocate", &series, "--to", &two]);
    refused(CLERK, &["undo", "1"], "privilege `undo`");
    done(CHIEF, &["unlock", &one]);
    done(CHIEF, &["undo", "1"]);
    assert_eq!(counts(&ward, &[1, 2, 3]), [2, 1, 1]);
    let who: Vec<String> = ward.audited("reallocate").iter().map(|entry| string(entry, "who")).collect();
    assert_eq!(who, ["root", "daemon", "daemon", "daemon"]);
    let message = string(ward.audited("reallocate").last().unwrap(), "message");
    for word in ["UserID=\"daemon\"", &one, &two, "Source Study", "SOPClass UID=\"1.2.840.10008.5.1.4.1.1.2\""] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn a_study_of_a_cardiovascular_system_is_left_alone() {
    let archive = Archive::with(|archive| {
        archive.studies("20240501", 2, 2);
    });
    let scene = Scene::keyed(archive, Profile::default(), &[("cardiovascular", "true")]);
    assert_eq!(scene.ferry.run(&["migrate", SOURCE]).code, 0);
    let (one, other) = (scene.study(0).to_string(), scene.study(1).to_string());
    let done = scene.ferry.run(&["merge", &one, "--into", &other, "--confirm-patient"]);
    assert!(done.code == 1 && done.err.contains("cardiovascular"), "{}{}", done.out, done.err);
}

#[test]
fn five_thousand_objects_move_and_come_back() {
    const OBJECTS: usize = 5000;
    let archive = Archive::with(|archive| {
        archive.studies("20240501", 1, OBJECTS);
        archive.studies("20240401", 1, 1);
    });
    let medium = Medium::of(&archive);
    let ward = Ward::configured(&[], &peer(crate::support::viewer::AE_TITLE, 104));
    assert_eq!(ward.run(&["import", medium.name(), "--link"]).code, 0);
    let [from, to] = [0, 1].map(|n| archive.studies()[n].to_string());
    let keys = ["StudyInstanceUID", "PatientID", "NumberOfStudyRelatedInstances"];
    let before = ward.find("STUDY", &keys);
    let dry = ward.done(&["merge", &from, "--into", &to, "--confirm-patient", "--dry-run"]);
    assert_eq!(dry["objects"], OBJECTS);
    let operation = ward.operation(&["merge", &from, "--into", &to, "--confirm-patient"]);
    assert_eq!(ward.find("STUDY", &keys), [format!("{to} | P00002 | {}", OBJECTS + 1)]);
    // The first and the last of them, as they leave.
    let objects = archive.objects().iter().filter(|object| object.identity.study.as_str() == from);
    let uids: Vec<_> = objects.map(|object| object.identity.clone()).collect();
    for one in [uids.first().unwrap(), uids.last().unwrap()] {
        let kinds = vec![(one.class.clone(), vec![TransferSyntaxUid::new(uids::EXPLICIT_LE)])];
        let got = get(ward.ferry.node, &kinds, &instances(&to, one.series.as_str(), &[one.instance.as_str()]));
        let (_, bytes) = &got.received[one.instance.as_str()];
        assert!(bytes.windows(6).any(|window| window == b"P00002"), "{}", one.instance);
    }
    ward.done(&["undo", &operation]);
    assert_eq!(ward.find("STUDY", &keys), before);
}
#[test]
fn a_catalog_made_anew_has_the_corrections() {
    let mut ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(TARO, 2, 1, 1), slices(JOHN, 3, 1, 1)].concat());
    let before = ward.seen();
    let go =
        |to: usize| ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(to)][..], &SURE].concat());
    let first = go(2);
    ward.done(&["undo", &first]);
    go(3);
    let after = ward.seen();
    assert_ne!(after, before);
    let (one, two, three) = (study_uid(1), study_uid(2), study_uid(3));
    ward.done(&["lock", &one, "--reason", "for a while"]);
    ward.done(&["unlock", &one]);
    ward.done(&["lock", &two, "--reason", "under review"]);
    ward.done(&["lock", &three, "--cardiovascular", "--reason", "came from there"]);
    ward.done(&["lock", &two, "--cardiovascular", "--reason", "a mistake"]);
    ward.done(&["unlock", &two, "--cardiovascular"]);
    ward.stop();
    let catalog = ward.ferry.folder().join("catalog.db");
    for file in [catalog.clone(), catalog.with_extension("db-wal"), catalog.with_extension("db-shm")] {
        let _may_be_gone = std::fs::remove_file(file);
    }
    let done = ward.run(&["rebuild"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    ward.restart();
    assert_eq!(ward.seen(), after);
    // And what was sent once still does not come back.
    ward.send(&ward.files());
    assert_eq!(ward.seen(), after);
    let operations = ward.done(&["corrections"]);
    let last = operations
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["state"] == "active")
        .map(|one| one["correction"].to_string());
    let last: Vec<_> = last.collect();
    assert_eq!(last.len(), 1, "{operations}");
    // Locks and marks are as they were left.
    let merged = ward.run(&[&["merge", &two, "--into", &three][..], &SURE].concat());
    assert!(
        merged.code == 1 && merged.err.contains(&format!("study {three} is marked")),
        "{}{}",
        merged.out,
        merged.err
    );
    ward.done(&["unlock", &three, "--cardiovascular"]);
    ward.done(&["unlock", &two]);
    let unlocked = ward.run(&["unlock", &one]);
    assert!(unlocked.code == 1 && unlocked.err.contains("not locked"), "{}{}", unlocked.out, unlocked.err);
    ward.done(&["undo", &last[0]]);
    assert_eq!(ward.seen(), before);
}
