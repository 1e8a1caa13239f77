//! An import is a job like any other: paused, cancelled, killed, queued, beside others, and every object is there once.

use std::time::{Duration, Instant};

use pacsferry::sample::{Archive, Profile};
use rustix::process::Signal;

use crate::import::{ferry, report};
use crate::support::medium::Medium;
use crate::support::peers::{PATIENCE, until};
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene, deliverable};

/// Enough that it takes a while.
fn archive() -> Archive {
    Archive::with(|archive| {
        archive.studies("20240501", 60, 20).studies("20210101", 40, 3);
    })
}

#[test]
fn an_import_survives_kills_at_random_moments() {
    let archive = archive();
    let (ferry, medium) = (ferry(), Medium::of(&archive));
    let arguments = ["import", medium.name(), "--copy"];
    let mut kills = 0;
    for round in 0_u64..6 {
        let mut running = Running::start(&ferry, &arguments);
        let moment = Instant::now() + Duration::from_millis(150 + 170 * round);
        until("the moment of a kill", PATIENCE, || (Instant::now() >= moment || !running.is_running()).then_some(()));
        kills += u32::from(running.is_running());
        running.kill();
    }
    assert!(kills > 0, "every import was quicker than its kill");
    let done = ferry.run(&arguments);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(ferry.filed(), deliverable(&archive));
    assert_eq!(ferry.leftovers(), Vec::<std::path::PathBuf>::new());
    let report = report(&ferry);
    // A job is finished at times before its last kill; then the next command made another, which has less to do.
    assert_eq!(report.item("proven"), report.item("total"), "{}", report.fallout());
    assert!(report.object("listed") <= 1320);
    let verified = ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
}

#[test]
fn an_import_pauses_resumes_and_is_cancelled() {
    let archive = archive();
    let (ferry, medium) = (ferry(), Medium::of(&archive));
    let queued = ferry.json(&["import", medium.name(), "--copy", "--detach", "--json"]);
    assert_eq!(queued["job"], 1);
    let worker = ferry.work();
    until("something filed", PATIENCE, || (report(&ferry).object("filed") > 0).then_some(()));
    let asked = Instant::now();
    let paused = ferry.run(&["job", "1", "pause"]);
    assert_eq!(paused.code, 0, "{}{}", paused.out, paused.err);
    assert!(asked.elapsed() < Duration::from_secs(20));
    let filed = ferry.instances().len();
    assert_eq!(report(&ferry).0["state"].as_str().map(|s| s == "paused" || s == "finished"), Some(true));
    drop(worker);
    // The same command goes on with it.
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(ferry.instances().len() >= filed);
    assert_eq!(ferry.filed(), deliverable(&archive));
    let second = Medium::of(&archive);
    assert_eq!(ferry.run(&["import", second.name(), "--copy", "--detach"]).code, 0);
    assert_eq!(ferry.run(&["job", "last", "cancel"]).code, 0);
    assert_eq!(report(&ferry).0["state"], "cancelled");
}

#[test]
fn an_interrupt_pauses_and_a_new_job_is_made_when_asked() {
    let archive = archive();
    let (ferry, medium) = (ferry(), Medium::of(&archive));
    let mut running = Running::start(&ferry, &["import", medium.name(), "--copy"]);
    until("a job", PATIENCE, || running.said().contains("job 1").then_some(()));
    running.signal(Signal::INT);
    let code = running.ends(PATIENCE);
    assert!(code == Some(4) || code == Some(0), "{code:?}: {}", running.said());
    let done = ferry.run(&["import", medium.name(), "--copy", "--new"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(report(&ferry).0["job"], 2);
    assert_eq!(ferry.filed(), deliverable(&archive));
}

#[test]
fn two_imports_of_overlapping_folders_at_once_file_every_object_once() {
    let archive = archive();
    let (ferry, medium) = (ferry(), Medium::of(&archive));
    let inner = medium.path().join("study3");
    // The archive is made by the first command; three at once would be another test.
    assert_eq!(ferry.run(&["import", Medium::new().name(), "--copy"]).code, 0);
    let mut all = Running::start(&ferry, &["import", medium.name(), "--copy"]);
    let mut part = Running::start(&ferry, &["import", inner.to_str().unwrap(), "--copy"]);
    let mut linked = Running::start(&ferry, &["import", medium.name(), "--link"]);
    for running in [&mut all, &mut part, &mut linked] {
        let code = running.ends(PATIENCE * 2);
        assert_eq!(code, Some(0), "{}", running.said());
    }
    let expected = deliverable(&archive);
    assert_eq!(ferry.instances().keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let verified = ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
}

#[test]
fn an_import_beside_a_migration_of_the_same_studies_files_every_object_once() {
    let scene = Scene::new(archive(), Profile::default());
    let medium = Medium::of(scene.pacs.archive());
    let mut migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
    let mut import = Running::start(&scene.ferry, &["import", medium.name(), "--copy"]);
    for running in [&mut migration, &mut import] {
        let code = running.ends(PATIENCE * 4);
        assert_eq!(code, Some(0), "{}", running.said());
    }
    scene.has_everything();
    let jobs = scene.ferry.json(&["jobs", "--json"]);
    for job in jobs.as_array().unwrap() {
        assert_eq!((&job["state"], job["items"]["proven"].as_u64()), (&"finished".into(), Some(100)), "{job}");
    }
}
