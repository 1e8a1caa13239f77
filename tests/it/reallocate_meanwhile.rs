//! The archive goes on while something is moved: retrieves end with what they began with, migrations pull, objects come.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Duration;

use pacsferry::dicom::Status;
use pacsferry::sample::{Archive, Profile};

use crate::support::destination::{Destination, Verdict};
use crate::support::peers::{PATIENCE, until};
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene};
use crate::support::viewer::{move_to, peer, study};
use crate::support::ward::{ANNA, TARO, Ward, make, series_uid, slices, study_uid, unhindered};

const SURE: [&str; 2] = ["--confirm-patient", "--force-local"];

#[test]
fn a_retrieve_ends_with_what_it_began_with() {
    const OBJECTS: usize = 12;
    // The destination keeps the retrieve waiting at its third object until the series has been moved.
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let destination = Destination::start(move |number| {
        if number == 2 {
            let _gone = wait.lock().unwrap().recv_timeout(PATIENCE);
        }
        Verdict::Answer(0)
    });
    let viewers = peer("SLOW", destination.port) + &peer("VIEWER", 104);
    let ward = Ward::configured(&[slices(ANNA, 1, 1, OBJECTS), slices(TARO, 2, 1, 1)].concat(), &viewers);
    let node = ward.ferry.node;
    let retrieve = std::thread::spawn(move || move_to(node, "SLOW", &study(&study_uid(1)), None));
    until("the retrieve is under way", PATIENCE, || (destination.heard().len() >= 3).then_some(()));
    let operation = ward.operation(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &SURE].concat());
    go.send(()).unwrap();
    let seen = retrieve.join().unwrap();
    assert_eq!(seen.end.status, Status::SUCCESS, "{:?}", seen.end);
    assert_eq!(seen.end.counters.completed, Some(u16::try_from(OBJECTS).unwrap()));
    assert_eq!(destination.heard().len(), OBJECTS);
    // The next one finds it where it is now.
    let next = move_to(node, "SLOW", &study(&study_uid(2)), None);
    assert_eq!(next.end.counters.completed, Some(u16::try_from(OBJECTS + 1).unwrap()));
    ward.done(&["undo", &operation]);
}

#[test]
fn objects_that_come_while_a_series_is_moved_are_all_somewhere_and_once() {
    const OBJECTS: usize = 60;
    let ward = Ward::of(&[slices(ANNA, 1, 1, 1), slices(TARO, 2, 1, 1)].concat());
    let folder = tempfile::tempdir().unwrap();
    let files = make(folder.path(), &slices(ANNA, 1, 1, OBJECTS));
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| files.chunks(6).for_each(|some| ward.send(some)));
        // Refused while the association files into the study, or done between two of them.
        let mut codes = BTreeMap::<i32, usize>::new();
        while !sending.is_finished() {
            let done = ward.run(&[&["reallocate", &series_uid(1, 1), "--to", &study_uid(2)][..], &SURE].concat());
            *codes.entry(done.code).or_default() += 1;
            assert!(matches!(done.code, 0..=2), "{}{}", done.out, done.err);
        }
        assert!(!codes.is_empty());
    });
    let mut all: Vec<String> = [1, 2].iter().flat_map(|study| ward.get(&study_uid(*study)).files.into_keys()).collect();
    all.sort();
    let unique = all.len();
    all.dedup();
    assert_eq!((unique, all.len()), (OBJECTS + 1, OBJECTS + 1));
    let findings = ward.run(&["verify", "--all", "--files"]);
    assert_eq!(findings.code, 0, "{}{}", findings.out, findings.err);
}

#[test]
fn a_migration_that_pulls_the_study_while_it_is_moved_loses_and_doubles_nothing() {
    let archive = Archive::with(|archive| {
        archive.study("20240501").series("CT").instances(40, 3_000).series("CT").instances(4, 3_000);
        archive.studies("20240401", 1, 3);
    });
    let scene = Scene::new(archive, Profile::default());
    scene.proves_everything();
    let (one, other) = (scene.study(0).to_string(), scene.study(1).to_string());
    let uids = || scene.ferry.instances().into_keys().collect::<Vec<_>>();
    let all = uids();
    // Each command comes when the job is somewhere else: before, while and after it pulls the study.
    let (mut moves, mut refusals) = (0, 0);
    for _ in 0..3 {
        let mut again = Running::start(&scene.ferry, &["migrate", SOURCE, "--new"]);
        while again.is_running() {
            let moved = scene.ferry.run(&["merge", &one, "--into", &other, "--confirm-patient", "--json"]);
            if moved.code == 0 {
                moves += 1;
                let told: serde_json::Value = serde_json::from_str(&moved.out).unwrap();
                let number = told["correction"].to_string();
                assert_eq!(uids(), all);
                let undone = unhindered(&scene.ferry, &["undo", &number]);
                assert_eq!(undone.code, 0, "{}{}", undone.out, undone.err);
            } else {
                refusals += 1;
                let told: serde_json::Value = serde_json::from_str(&moved.out).unwrap();
                assert!(["filing", "changed"].contains(&told["code"].as_str().unwrap()), "{told}");
            }
        }
        assert_eq!(again.ends(Duration::from_secs(120)), Some(0), "{}", again.said());
    }
    assert!(moves + refusals > 0);
    assert_eq!(uids(), all);
    // And once for good: the job proves both.
    let done = unhindered(&scene.ferry, &["merge", &one, "--into", &other, "--confirm-patient"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let mut again = Running::start(&scene.ferry, &["migrate", SOURCE, "--new"]);
    assert_eq!(again.ends(Duration::from_secs(120)), Some(0), "{}", again.said());
    assert_eq!(scene.report().item("proven"), 2, "{}", scene.report().fallout());
    let verified = scene.ferry.json(&["verify", "--all", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
}

#[test]
fn a_migration_that_pulls_a_moved_study_again_leaves_it_and_proves_it() {
    let archive = Archive::with(|archive| {
        archive.study("20240501").series("CT").instances(6, 3_000).series("CT").instances(4, 3_000);
        archive.studies("20240401", 2, 3);
    });
    let scene = Scene::new(archive, Profile::default());
    scene.proves_everything();
    let (one, other) = (scene.study(0).to_string(), scene.study(1).to_string());
    let series: String = {
        let rows =
            scene.ferry.json(&["find", "catalog", "--level", "series", &format!("StudyInstanceUID={one}"), "--json"]);
        rows.as_array().unwrap().iter().find(|row| row["NumberOfSeriesRelatedInstances"] == "6").unwrap()["SeriesInstanceUID"].as_str().unwrap().to_owned()
    };
    let done = unhindered(&scene.ferry, &["reallocate", &series, "--to", &other, "--confirm-patient"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let placed = || -> BTreeMap<String, String> {
        scene
            .ferry
            .instances()
            .into_iter()
            .map(|(uid, row)| (uid, row["StudyInstanceUID"].as_str().unwrap().to_owned()))
            .collect()
    };
    let now = placed();
    assert_eq!(now.values().filter(|study| **study == other).count(), 9);
    // All of it once more.
    let mut again = Running::start(&scene.ferry, &["migrate", SOURCE, "--new"]);
    assert_eq!(again.ends(Duration::from_secs(120)), Some(0), "{}", again.said());
    assert_eq!(placed(), now, "nothing came back");
    let report = scene.report();
    assert_eq!(report.item("proven"), 3, "{}", report.fallout());
    let verified = scene.ferry.json(&["verify", "--all", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
    // The undo, and everything is as the source has it.
    assert_eq!(scene.ferry.run(&["undo", "1"]).code, 0);
    let verified = scene.ferry.json(&["verify", "--all", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
    assert_eq!(placed().values().filter(|study| **study == one).count(), 10);
}
