//! Whatever dies while files of folders are taken in, adopted or relocated: run again, it goes on, and nothing is lost.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

use rustix::process::Signal;

use crate::import::{archive, ferry};
use crate::import_place::{assert_copied, contents, linked};
use crate::kill::{each, fail_points, step};
use crate::support::medium::Medium;
use crate::support::peers::Ferry;

/// The fail points of these steps, at the first pass and at a later one.
fn points(steps: &[&str]) -> Vec<(String, u32)> {
    let wanted = fail_points().into_iter().filter(|point| steps.contains(&step(point)));
    let cases: Vec<_> = wanted.flat_map(|point| [1, 3].map(|pass| (point.clone(), pass))).collect();
    assert!(cases.len() > 4, "there are no fail points of {steps:?}");
    cases
}

/// Runs a command until it dies at a fail point, if it passes it; whether it died.
fn dies(ferry: &Ferry, arguments: &[&str], point: &str) -> bool {
    let done = ferry.run_until_fail_point(arguments, point);
    let died = done.status.signal() == Some(Signal::KILL.as_raw());
    assert!(died || done.status.code() == Some(0), "{point}: {}", String::from_utf8_lossy(&done.stderr));
    died
}

/// Tries every fail point; the ones that were never passed.
fn never_passed(steps: &[&str], try_it: impl Fn(&str) -> bool + Sync) -> BTreeSet<String> {
    let (all, passed) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    each(points(steps), |(point, pass)| {
        all.lock().unwrap().insert(point.clone());
        if try_it(&format!("{point}:{pass}")) {
            passed.lock().unwrap().insert(point);
        }
    });
    &all.into_inner().unwrap() - &passed.into_inner().unwrap()
}

#[test]
fn an_import_goes_on_after_a_kill_at_any_point_of_filing() {
    let never = never_passed(&["copy", "intake", "settle", "record"], |point| {
        let (ferry, archive) = (ferry(), archive());
        let medium = Medium::of(&archive);
        let died = dies(&ferry, &["import", medium.name(), "--copy"], point);
        let again = ferry.run(&["import", medium.name(), "--copy"]);
        assert_eq!(again.code, 0, "{point}: {}{}", again.out, again.err);
        assert_copied(&ferry, &archive, point);
        died
    });
    // Objects of associations alone are queued like that.
    assert_eq!(never, BTreeSet::from(["intake-queued".to_owned()]));
}

#[test]
fn links_survive_a_kill_at_any_point_of_filing() {
    let never = never_passed(&["settle", "record"], |point| {
        let (ferry, archive) = (ferry(), archive());
        let medium = Medium::of(&archive);
        let died = dies(&ferry, &["import", medium.name(), "--link"], point);
        let again = ferry.run(&["import", medium.name(), "--link"]);
        assert_eq!(again.code, 0, "{point}: {}{}", again.out, again.err);
        assert_eq!(ferry.instances().len(), archive.objects().len(), "{point}");
        assert_eq!(ferry.run(&["verify", "--all", "--files"]).code, 0, "{point}");
        died
    });
    // What has no bytes of its own has nothing to rename.
    assert!(never.iter().all(|point| point == "settle-renamed"), "{never:?}");
}

#[test]
fn a_copy_of_what_is_linked_goes_on_after_a_kill_at_any_point_of_filing() {
    let never = never_passed(&["copy", "settle", "record"], |point| {
        let archive = archive();
        let (ferry, medium) = linked(&archive, &[]);
        let before = contents(&medium);
        let died = dies(&ferry, &["import", medium.name(), "--copy"], point);
        let again = ferry.run(&["import", medium.name(), "--copy"]);
        assert_eq!(again.code, 0, "{point}: {}{}", again.out, again.err);
        assert_copied(&ferry, &archive, point);
        assert_eq!(contents(&medium), before, "{point}");
        died
    });
    assert!(never.is_empty(), "a copy does not pass {never:?}");
}

#[test]
fn an_adoption_goes_on_after_a_kill_at_any_point() {
    let never = never_passed(&["adopt", "copy", "settle"], |point| {
        let archive = archive();
        let (ferry, medium) = linked(&archive, &[]);
        let before = contents(&medium);
        let died = dies(&ferry, &["adopt", "--all"], point);
        let again = ferry.run(&["adopt", "--all"]);
        assert_eq!(again.code, 0, "{point}: {}{}", again.out, again.err);
        assert_copied(&ferry, &archive, point);
        assert_eq!(contents(&medium), before, "{point}");
        died
    });
    assert!(never.is_empty(), "an adoption does not pass {never:?}");
}

#[test]
fn a_relocation_goes_on_after_a_kill_at_any_point() {
    let never = never_passed(&["relocate", "adopt"], |point| {
        let (mut ferry, archive) = (ferry(), archive());
        let medium = Medium::of(&archive);
        // A truncated file, which goes to quarantine.
        let cut = std::fs::read(contents(&medium).into_keys().next().unwrap()).unwrap();
        medium.put("cut", &cut[..cut.len() - 100]);
        assert_eq!(ferry.run(&["import", medium.name(), "--copy"]).code, 3);
        let old = ferry.storage();
        ferry.store_in(&ferry.folder().join("new"), "64 MiB");
        ferry.configure(&[]);
        let relocate = ["relocate", old.to_str().unwrap()];
        let died = dies(&ferry, &relocate, point);
        let again = ferry.run(&relocate);
        assert_eq!(again.code, 0, "{point}: {}{}", again.out, again.err);
        std::fs::remove_dir_all(&old).unwrap();
        assert_copied(&ferry, &archive, point);
        assert_eq!(ferry.quarantined().len(), 1, "{point}");
        died
    });
    assert!(never.is_empty(), "a relocation does not pass {never:?}");
}
