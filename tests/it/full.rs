//! A disk that fills up stops a job before it is full, says why, and lets it go on when there is room; a storage folder
//! that is not mounted stops everything.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pacsferry::sample::{Archive, Event, Profile};
use serde_json::Value;

use crate::support::peers::{Ferry, until};
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene};

const LONG: Duration = Duration::from_secs(60);

/// A file system of so many MiB in memory, unmounted when it is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, mebibytes: usize) -> Self {
        std::fs::create_dir_all(at).unwrap();
        as_root(&["mount", "-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=0777"), "pacsferry-test"], at);
        SmallDisk(at.to_owned())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn resize(&self, mebibytes: usize) {
        as_root(&["mount", "-o", &format!("remount,size={mebibytes}m")], &self.0);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy"], &self.0);
    }
}

/// Runs a command on a folder as root, by `sudo` where the tests are not.
fn as_root(command: &[&str], at: &Path) {
    let root = rustix::process::geteuid().is_root();
    let words = [if root { &[][..] } else { &["sudo", "-n"] }, command].concat();
    let done = Command::new(words[0]).args(&words[1..]).arg(at).output().unwrap();
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Studies of 3 MiB each.
fn archive(studies: usize) -> Archive {
    Archive::with(|b| {
        for number in 0..studies {
            b.study(&format!("202401{:02}", number + 1)).series("CT").instances(12, 256 << 10);
        }
    })
}

fn job(scene: &Scene) -> Value {
    scene.ferry.json(&["job", "last", "show", "--json"])
}

#[test]
fn a_full_disk_stops_the_job_says_why_and_lets_it_go_on_when_there_is_room() {
    for minimum_free in ["2 MiB", "1 KiB"] {
        let folder = tempfile::tempdir().unwrap();
        let disk = SmallDisk::mount(&folder.path().join("disk"), 9);
        let mut ferry = Ferry::new();
        ferry.store_in(&disk.0.join("storage"), minimum_free);
        let scene = Scene::of(ferry, archive(6), Profile::default(), &[]);
        let mut migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
        until("objects", LONG, || (scene.pacs.objects_sent() > 0).then_some(()));
        let message = until("the job waits for room", LONG, || {
            assert!(migration.is_running(), "{}", migration.said());
            job(&scene)["message"].as_str().filter(|text| text.contains("waiting")).map(str::to_owned)
        });
        assert!(message.contains("free") || message.contains("full"), "{message}");
        // The list of jobs says so too; between two tries the job may seem to run for a moment.
        until("jobs say it", LONG, || {
            let jobs = scene.ferry.run(&["jobs"]).out;
            (jobs.contains("waiting  ") && jobs.contains(": waiting: ")).then_some(())
        });
        let refused = |entry: &pacsferry::sample::Entry| matches!(entry.event, Event::Stored { status: Some(status), .. } if status.0 == 0xA700);
        if minimum_free == "1 KiB" {
            assert!(scene.pacs.log().iter().any(refused), "nothing was answered with A700");
        }
        let before = scene.report();
        assert_eq!(before.0["state"], "running");
        assert_eq!(before.object("filed"), scene.ferry.filed().len(), "what is counted is there");
        assert_eq!(before.item("failed") + before.item("partial"), 0, "{}", before.fallout());
        disk.resize(64);
        assert_eq!(migration.ends(LONG), Some(0), "{}", migration.said());
        assert_eq!(scene.report().item("proven"), 6);
        scene.has_everything();
    }
}

#[test]
fn a_storage_folder_that_is_not_mounted_stops_everything_before_a_byte_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("disk");
    let mut ferry = Ferry::new();
    {
        let _disk = SmallDisk::mount(&at, 32);
        ferry.store_in(&at, "1 MiB");
        let scene = Scene::of(ferry, archive(2), Profile::default(), &[]);
        scene.proves_everything();
        ferry = scene.ferry;
    }
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0, "the disk is gone");
    let scene = Scene::of(ferry, archive(3), Profile::default(), &[]);
    let done = scene.ferry.run(&["migrate", SOURCE, "--new"]);
    assert_eq!(done.code, 1, "{}", done.err);
    assert!(done.err.contains("mounted"), "{}", done.err);
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0, "something was written to the bare mount point");
    assert_eq!(scene.pacs.objects_sent(), 0);
}

#[test]
fn a_disk_that_goes_away_under_way_halts_the_job_and_writes_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("storage");
    let mut ferry = Ferry::new();
    ferry.store_in(&storage, "1 MiB");
    let profile = Profile { store_pause: Duration::from_millis(30), ..Profile::default() };
    let scene = Scene::of(ferry, archive(4), profile, &[]);
    let mut migration = Running::start(&scene.ferry, &["migrate", SOURCE]);
    until("objects", LONG, || (scene.pacs.objects_sent() > 0).then_some(()));
    until("some objects", LONG, || (scene.report().object("filed") > 5).then_some(()));
    let aside = folder.path().join("aside");
    std::fs::rename(&storage, &aside).unwrap();
    std::fs::create_dir(&storage).unwrap();
    until("the job says it", LONG, || {
        let stopped = !migration.is_running();
        let told = job(&scene)["message"].as_str().is_some_and(|text| text.contains("mounted"));
        (stopped || told).then_some(())
    });
    let files = walk(&storage);
    assert!(files.is_empty(), "{files:?}");
    migration.kill();
    std::fs::remove_dir(&storage).unwrap();
    std::fs::rename(&aside, &storage).unwrap();
    scene.pacs.change(|profile| profile.store_pause = Duration::ZERO);
    let done = scene.ferry.run(&["job", "last", "resume"]);
    assert_eq!(done.code, 0, "{}\n{}\n{}", migration.said(), done.err, scene.report().fallout());
    scene.has_everything();
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
