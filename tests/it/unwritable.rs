//! A terminal that hangs up, a full disk, `| head`: output that cannot be written.

use std::process::Stdio;

use pacsferry::sample::{Archive, Profile};

use crate::support::peers::text;
use crate::support::scene::{SOURCE, Scene};

/// Three studies of three objects each.
fn scene() -> Scene {
    let archive = Archive::with(|b| {
        b.studies("20240301", 3, 3);
    });
    Scene::new(archive, Profile::default())
}

/// A file that takes nothing, and a pipe that nobody reads.
fn unwritable() -> [Stdio; 2] {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    [full.into(), writer.into()]
}

#[test]
fn a_standard_error_that_takes_nothing_stops_no_work() {
    let scene = scene();
    let status = |arguments: &[&str], err| {
        scene.ferry.command(arguments).stdout(Stdio::null()).stderr(err).status().unwrap().code()
    };
    for err in unwritable() {
        assert_eq!(status(&["migrate", SOURCE, "--new"], err), Some(0));
    }
    for err in unwritable() {
        assert_eq!(status(&["migrate", SOURCE, "--new", "--log", "debug"], err), Some(0));
    }
    for err in unwritable() {
        assert_eq!(status(&["migrate", SOURCE, "--new", "--detach"], err), Some(0));
        let [err, _] = unwritable();
        assert_eq!(status(&["job", "last", "resume"], err), Some(0));
    }
    let [full, closed] = unwritable();
    assert_eq!(status(&["migrate", "nobody"], full), Some(2));
    assert_eq!(status(&["migrate"], closed), Some(2));
    for job in scene.ferry.json(&["jobs", "--json"]).as_array().unwrap() {
        assert_eq!(job["state"], "finished", "{job}");
    }
}

#[test]
fn results_that_cannot_be_written_are_said_to_be_lost_and_a_reader_that_has_left_is_no_error() {
    let scene = scene();
    assert_eq!(scene.migrate().code, 0);
    for arguments in
        [&["report", "last"][..], &["jobs"], &["find", "catalog"], &["migrate", SOURCE, "--new"], &["--help"]]
    {
        let [full, closed] = unwritable();
        let run = |out| {
            let done = scene.ferry.command(arguments).stdout(out).output().unwrap();
            (done.status.code(), text(&done.stderr))
        };
        let (code, err) = run(full);
        assert_eq!(code, Some(1), "{arguments:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
        let (code, err) = run(closed);
        assert_eq!(code, Some(0), "{arguments:?}: {err}");
        assert!(!err.contains("panicked") && !err.contains("error"), "{err}");
    }
}
