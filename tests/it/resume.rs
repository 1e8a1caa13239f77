//! A job is paused, resumed, cancelled and shared, by signals and from other processes, and pulls nothing twice.

use std::time::{Duration, Instant};

use pacsferry::dicom::QueryLevel;
use pacsferry::sample::{Archive, CancelPolicy, Ending, Event, Fate, Profile};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::peers::{listens, until};
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene};

const LONG: Duration = Duration::from_secs(60);
/// Nobody waits longer to write while nobody holds the catalog.
const SHORT: Duration = Duration::from_secs(15);

/// One study that takes its time, and some behind it.
fn slow() -> (Archive, Profile) {
    let archive = Archive::with(|b| {
        let study = b.study("20240105");
        for _ in 0..10 {
            study.series("CT").instances(15, 2000);
        }
        b.studies("20230101", 5, 3);
    });
    (archive, Profile { store_pause: Duration::from_millis(40), ..Profile::default() })
}

/// Starts a migration and waits until so many objects were sent.
fn under_way(scene: &Scene, objects: usize) -> Running {
    let migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
    until("objects", LONG, || (scene.pacs.objects_sent() >= objects).then_some(()));
    migration
}

fn state(scene: &Scene) -> String {
    scene.report().0["state"].as_str().unwrap().to_owned()
}

/// When something was logged first, at or after a moment.
fn first(scene: &Scene, since: Instant, what: impl Fn(&Event) -> bool) -> Option<Duration> {
    let found = scene.pacs.log().into_iter().find(|entry| entry.at >= since && what(&entry.event));
    found.map(|entry| entry.at.duration_since(since))
}

/// Goes on at full speed to the end, and sees that only what was missing came again.
fn goes_on(scene: &Scene, command: &[&str]) {
    let all = scene.pacs.archive().objects().len();
    scene.pacs.change(|profile| profile.store_pause = Duration::ZERO);
    let done = scene.ferry.run(command);
    assert_eq!(done.code, 0, "{}\n{}", done.err, scene.report().fallout());
    scene.has_everything();
    // A series that was under way may come once more, and what was in flight elsewhere.
    assert!(scene.pacs.objects_sent() <= all + 15 + 2, "{} of {all} objects were sent", scene.pacs.objects_sent());
}

#[test]
fn a_pause_from_another_process_reaches_the_source_within_a_second() {
    let (archive, profile) = slow();
    let scene = Scene::keyed(archive, profile, &[("associations", "1")]);
    let mut migration = under_way(&scene, 20);
    let asked = Instant::now();
    let done = scene.ferry.run(&["job", "last", "pause"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let cancelled = first(&scene, asked, |event| *event == Event::Cancel).expect("a C-CANCEL");
    assert!(cancelled < Duration::from_millis(1500), "{cancelled:?}, the start of a process included");
    assert_eq!(migration.ends(LONG), Some(4), "{}", migration.said());
    assert_eq!(state(&scene), "paused");
    assert_eq!((scene.pacs.associations(), scene.pacs.store_associations()), (0, 0));
    let sent = scene.pacs.objects_sent();
    assert!(sent < 100, "{sent} objects before it stopped");
    assert_eq!(scene.report().object("filed"), scene.ferry.filed().len());
    goes_on(&scene, &["job", "last", "resume"]);
}

#[test]
fn a_stop_in_the_middle_of_a_list_leaves_no_verdict() {
    // The source delivers half of what it lists, ends every list with success, and hears no C-CANCEL.
    let archive = Archive::with(|b| {
        let study = b.study("20240105");
        study.series("CT").instances(4, 500);
        study.series("CT").instances(4, 500).fate(4, Fate::Fails(u32::MAX));
        b.studies("20230101", 1, 4);
    });
    let profile = Profile {
        cancel: CancelPolicy::Ignored,
        success_always: true,
        row_pause: Duration::from_millis(60),
        ..Profile::default()
    };
    for list in 2..7 {
        let scene = Scene::keyed(archive.clone(), profile.clone(), &[("associations", "1"), ("attempts", "2")]);
        let study = scene.study(0);
        let mut migration = Running::start(&scene.ferry, &["migrate", SOURCE, "--study", study.as_str()]);
        let below =
            |event: &Event| matches!(event, Event::Find { level: Some(level), .. } if *level != QueryLevel::Study);
        let lists = || scene.pacs.log().iter().filter(|entry| below(&entry.event)).count();
        until("a list", LONG, || (lists() >= list || !migration.is_running()).then_some(()));
        migration.signal(Signal::INT);
        migration.ends(LONG);
        let stopped = scene.report().study(&study).clone();
        assert_ne!(stopped["state"], "proven", "{stopped}");
        assert!(stopped["state"] != "failed" && stopped["reason"] != "over count", "{stopped}");
        let done = scene.ferry.run(&["migrate", SOURCE, "--study", study.as_str()]);
        let report = scene.report();
        assert_eq!((done.code, report.study(&study)["state"].as_str()), (3, Some("partial")), "{}", report.fallout());
        assert_eq!(
            (report.study(&study)["listed"].as_u64(), report.study(&study)["filed"].as_u64()),
            (Some(8), Some(4))
        );
    }
}

#[test]
fn a_cancel_that_is_ignored_is_followed_by_an_abort_and_the_stores_end_too() {
    let (archive, profile) = slow();
    let scene = Scene::keyed(archive, Profile { cancel: CancelPolicy::Ignored, ..profile }, &[("associations", "1")]);
    let mut migration = under_way(&scene, 20);
    let asked = Instant::now();
    scene.ferry.run(&["job", "last", "pause"]);
    assert_eq!(migration.ends(LONG), Some(4), "{}", migration.said());
    let cancelled = first(&scene, asked, |event| *event == Event::Cancel).expect("a C-CANCEL");
    let aborted = first(&scene, asked, |event| *event == Event::Closed { ending: Ending::Lost }).expect("an A-ABORT");
    assert!(aborted - cancelled < Duration::from_secs(2), "{cancelled:?}, {aborted:?}");
    until("quiet", LONG, || (scene.pacs.store_associations() == 0).then_some(()));
    assert!(scene.pacs.objects_sent() < 140, "{}", scene.pacs.objects_sent());
    scene.pacs.change(|profile| profile.cancel = CancelPolicy::Obeyed);
    goes_on(&scene, &["migrate", SOURCE]);
}

#[test]
fn an_interrupt_pauses_within_five_seconds_and_the_same_command_goes_on() {
    let (archive, profile) = slow();
    let scene = Scene::keyed(archive, profile, &[("associations", "1")]);
    let mut migration = under_way(&scene, 20);
    let job = scene.report().0["job"].clone();
    let asked = Instant::now();
    migration.signal(Signal::INT);
    assert_eq!(migration.ends(LONG), Some(4), "{}", migration.said());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(state(&scene), "paused");
    goes_on(&scene, &["migrate", SOURCE]);
    assert_eq!(scene.report().0["job"], job, "the same job goes on");
}

#[test]
fn a_termination_leaves_the_job_running_for_the_next_worker() {
    let (archive, profile) = slow();
    let scene = Scene::keyed(archive, profile, &[("associations", "1")]);
    let mut migration = under_way(&scene, 20);
    migration.signal(Signal::TERM);
    assert_eq!(migration.ends(LONG), Some(143), "{}", migration.said());
    assert!(migration.said().contains("stays running: the next worker goes on with it"), "{}", migration.said());
    assert_eq!(state(&scene), "running");
    scene.pacs.change(|profile| profile.store_pause = Duration::ZERO);
    let worker = Running::start(&scene.ferry, &["work"]);
    until("the end of the job", LONG, || (state(&scene) == "finished").then_some(()));
    drop(worker);
    scene.has_everything();
}

#[test]
fn a_cancelled_job_stays_cancelled_and_keeps_what_it_has() {
    let (archive, profile) = slow();
    let scene = Scene::keyed(archive, profile, &[("associations", "1")]);
    let mut migration = under_way(&scene, 20);
    let done = scene.ferry.run(&["job", "last", "cancel"]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(migration.ends(LONG), Some(4), "{}", migration.said());
    let report = scene.report();
    assert_eq!(report.0["state"], "cancelled");
    assert_eq!(report.item("cancelled") + report.item("proven"), 6);
    let retried = scene.ferry.run(&["job", "last", "retry"]);
    assert!(retried.code == 1 && retried.err.contains("makes a new job"), "{}", retried.err);
    assert!(report.object("filed") >= 15 && scene.ferry.filed().len() == report.object("filed"), "{}", report.0);
}

#[test]
fn two_workers_share_a_job_within_the_limits_of_the_source() {
    let archive = Archive::with(|b| {
        b.studies("20240105", 40, 6);
    });
    // Longer than one turn of a worker, after which the others have theirs.
    let profile = Profile { max_associations: 3, store_pause: Duration::from_millis(120), ..Profile::default() };
    let scene = Scene::keyed(archive, profile, &[("associations", "3")]);
    let first = Running::start(&scene.ferry, &["work"]);
    until("a receiver", LONG, || listens(scene.ferry.receiver).then_some(()));
    let second = Running::start(&scene.ferry, &["work"]);
    let done = scene.ferry.run(&["migrate", SOURCE, "--detach"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let owners = |scene: &Scene| -> std::collections::BTreeSet<String> {
        let shown = scene.ferry.json(&["job", "last", "show", "--json"]);
        let checkpoints = shown["checkpoints"].as_array().unwrap().clone();
        checkpoints.iter().map(|row| row["owner"].as_str().unwrap().to_owned()).collect()
    };
    let mut seen = std::collections::BTreeSet::new();
    until("the end of the job", LONG, || {
        seen.extend(owners(&scene));
        (state(&scene) == "finished").then_some(())
    });
    drop((first, second));
    assert_eq!(seen.len(), 2, "both took part: {seen:?}");
    let rejected = scene.pacs.log().iter().filter(|entry| matches!(entry.event, Event::Rejected { .. })).count();
    assert_eq!(rejected, 0, "more associations than the source allows");
    assert_eq!(scene.report().item("proven"), 40);
    scene.has_everything();
}

#[test]
fn a_worker_that_stalls_loses_its_leases_and_its_late_writes() {
    let archive = Archive::with(|b| {
        b.studies("20240105", 40, 20);
    });
    let profile = Profile { store_pause: Duration::from_millis(25), ..Profile::default() };
    let scene = Scene::keyed(archive, profile, &[("associations", "2")]);
    let receiver = Running::start(&scene.ferry, &["work"]);
    until("a receiver", LONG, || listens(scene.ferry.receiver).then_some(()));
    let stalling = Running::start(&scene.ferry, &["work"]);
    assert_eq!(scene.ferry.run(&["migrate", SOURCE, "--detach"]).code, 0);
    let pulls = |process: u32| {
        let shown = scene.ferry.json(&["job", "last", "show", "--json"]);
        let checkpoints = shown["checkpoints"].as_array().unwrap().clone();
        let open =
            |row: &&Value| row["closed"].is_null() && row["owner"].as_str().unwrap().contains(&process.to_string());
        checkpoints.iter().find(open).map(|row| row["study_uid"].as_str().unwrap().to_owned())
    };
    let mut attempts = 0;
    let study = until("a pull of the second worker, which is not writing just then", LONG * 2, || {
        let study = pulls(stalling.id())?;
        stalling.signal(Signal::STOP);
        // Stopped in the middle of a write it holds the catalog, and nobody else gets on: not then.
        attempts += 1;
        let mut writes = Running::start(&scene.ferry, &["user", "add", &format!("user{attempts}")]);
        let begun = Instant::now();
        while writes.is_running() && begun.elapsed() < SHORT {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // Nor may it have both of the associations: they are open at the source, so that nobody else gets one.
        let both = pulls(receiver.id()).is_some();
        if !writes.is_running() && both && pulls(stalling.id()).as_ref() == Some(&study) {
            return Some(study);
        }
        stalling.signal(Signal::CONT);
        None
    });
    scene.pacs.change(|profile| profile.store_pause = Duration::ZERO);
    until("the end of the job", LONG * 2, || (state(&scene) == "finished").then_some(()));
    let before = scene.report();
    stalling.signal(Signal::CONT);
    // It finds its leases gone, and what it still has to say is not heard.
    until("it lives", LONG, || stalling.said().contains("lost").then_some(()));
    assert_eq!(scene.report().0["items"], before.0["items"]);
    drop(stalling);
    drop(receiver);
    let report = scene.report();
    assert_eq!(report.item("proven"), 40, "{}", report.fallout());
    assert_eq!(report.study(&pacsferry::dicom::StudyInstanceUid::new(&study))["state"], "proven");
    scene.has_everything();
}

#[test]
fn a_job_that_follows_takes_what_comes_later() {
    let (archive, _) = slow();
    let mut archive = archive;
    let study = archive.studies()[0].clone();
    let late = archive.objects_mut().iter_mut().filter(|o| o.identity.study == study).take(3);
    late.for_each(|object| object.fate = pacsferry::sample::Fate::Later(1));
    let scene = Scene::new(archive, Profile::default());
    let mut migration = Running::start(&scene.ferry, &["migrate", SOURCE, "--follow", "1s"]);
    until("objects", LONG, || (scene.pacs.objects_sent() > 0).then_some(()));
    let all = scene.pacs.archive().objects().len();
    until("every object", LONG, || (scene.report().object("filed") >= all).then_some(()));
    assert!(migration.is_running(), "it stays open: {}", migration.said());
    migration.signal(Signal::INT);
    assert_eq!(migration.ends(LONG), Some(4), "{}", migration.said());
    scene.has_everything();
}

#[test]
fn a_kill_between_two_pending_responses_goes_on_from_the_checkpoint() {
    let (archive, profile) = slow();
    let scene = Scene::keyed(archive, profile, &[("associations", "1")]);
    let mut migration = under_way(&scene, 20);
    let seen = until("a checkpoint with some objects", LONG, || {
        let shown = scene.ferry.json(&["job", "last", "show", "--json"]);
        let rows = shown["checkpoints"].as_array().cloned().unwrap_or_default();
        let counted = |row: &Value| row["phase"] == "pending" && row["completed"].as_u64() > Some(5);
        rows.into_iter().find(counted)
    });
    migration.kill();
    assert_eq!(seen["study_uid"], scene.study(0).as_str());
    assert!(seen["received"].as_u64() > Some(5), "{seen}");
    assert!(scene.report().object("filed") > 10);
    until("the source noticed", LONG, || {
        (scene.pacs.store_associations() == 0 && scene.pacs.associations() == 0).then_some(())
    });
    // Nobody waits until the leases of the dead process run out.
    let jobs = scene.ferry.run(&["jobs"]).out;
    assert!(jobs.contains("no worker is running"), "{jobs}");
    let shown = scene.ferry.json(&["job", "last", "show", "--json"]);
    assert!(shown["checkpoints"].as_array().unwrap().iter().all(|row| !row["closed"].is_null()), "{shown}");
    goes_on(&scene, &["migrate", SOURCE]);
}

#[test]
fn a_source_that_goes_on_sending_to_nobody_does_no_harm() {
    let (archive, profile) = slow();
    let scene = Scene::keyed(archive, Profile { cancel: CancelPolicy::Ignored, ..profile }, &[("attempts", "20")]);
    let mut migration = under_way(&scene, 20);
    migration.kill();
    // The next one receives what the killed one asked for, beside what it asks for itself.
    scene.proves_everything();
    let verified = scene.ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!(verified["findings"], Value::Array(Vec::new()), "{verified}");
}

#[test]
fn a_rate_holds_and_can_be_changed_while_running() {
    let archive = Archive::with(|b| {
        b.studies("20240105", 4, 1);
        b.study("20230105").series("CT").instances(40, 50_000);
    });
    let slow = [("rate", "\"100 KiB/s\"")];
    let scene = Scene::keyed(archive, Profile::default(), &slow);
    let mut migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
    until("the large study", LONG, || (scene.pacs.objects_sent() > 6).then_some(()));
    let (began, before) = (Instant::now(), scene.pacs.objects_sent());
    until("some objects more", LONG, || (scene.pacs.objects_sent() >= before + 8).then_some(()));
    // Eight objects of 50 kB at 100 KiB/s are four seconds; what waits in buffers on the way comes on top.
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(migration.is_running(), "{}", migration.said());
    let changed = Instant::now();
    scene.configure(scene.pacs.addr().port(), &[]);
    assert_eq!(migration.ends(LONG), Some(0), "{}", migration.said());
    assert!(changed.elapsed() < Duration::from_secs(10), "{:?}", changed.elapsed());
    scene.has_everything();
}
