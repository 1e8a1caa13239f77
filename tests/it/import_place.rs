//! Where the bytes of imported files are: links, copies of links, and another storage folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pacsferry::sample::Archive;
use rustix::process::Signal;
use serde_json::Value;

use crate::full::SmallDisk;
use crate::import::{archive, ferry};
use crate::support::medium::Medium;
use crate::support::peers::{Ferry, files_below, until};
use crate::support::running::Running;
use crate::support::scene::deliverable;

/// Every file of a medium with its bytes and its time.
pub(crate) fn contents(medium: &Medium) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let files = files_below(medium.path()).into_iter();
    files
        .map(|path| {
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            (path.clone(), (std::fs::read(path).unwrap(), modified))
        })
        .collect()
}

/// A ferry that has linked a medium.
pub(crate) fn linked(archive: &Archive, more: &[&str]) -> (Ferry, Medium) {
    let (ferry, medium) = (ferry(), Medium::of(archive));
    let done = ferry.run(&[&["import", medium.name(), "--link"], more].concat());
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    (ferry, medium)
}

/// How many instances are links, and how many are copies.
pub(crate) fn links_and_copies(ferry: &Ferry) -> (usize, usize) {
    let instances = ferry.instances();
    let links = instances.values().filter(|row| row["linked"] == true).count();
    (links, instances.len() - links)
}

pub(crate) fn kinds(verified: &Value) -> BTreeSet<String> {
    let findings = verified["findings"].as_array().expect("a list of findings");
    findings.iter().map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect()
}

/// Sees everything copied, as it was on the medium, and nothing wrong.
pub(crate) fn assert_copied(ferry: &Ferry, archive: &Archive, when: &str) {
    assert_eq!(ferry.filed(), deliverable(archive), "{when}");
    assert_eq!(links_and_copies(ferry).0, 0, "{when}");
    assert_eq!(ferry.leftovers(), Vec::<PathBuf>::new(), "{when}");
    let verified = ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{when}: {verified}");
}

#[test]
fn links_are_adopted_and_the_files_left_as_they_are() {
    for how in [&[][..], &["--hash"]] {
        let archive = archive();
        let (ferry, medium) = linked(&archive, how);
        let before = contents(&medium);
        assert_eq!(links_and_copies(&ferry), (10, 0));
        let row = ferry.instances().into_values().next().unwrap();
        assert!(before.contains_key(Path::new(row["file"].as_str().unwrap())), "{row}");
        assert_eq!(row["digest"].is_string(), !how.is_empty(), "{row}");

        let one = ferry.json(&["find", "catalog", "--json"])[0]["StudyInstanceUID"].as_str().unwrap().to_owned();
        let adopted = ferry.json(&["adopt", "--study", &one, "--json"]);
        assert_eq!((&adopted["studies"], &adopted["objects"]), (&1.into(), &5.into()), "{adopted}");
        assert_eq!(links_and_copies(&ferry), (5, 5));
        let adopted = ferry.json(&["adopt", "last", "--json"]);
        assert_eq!((&adopted["studies"], &adopted["objects"]), (&2.into(), &5.into()), "{adopted}");
        assert_copied(&ferry, &archive, "adopted");
        assert_eq!(contents(&medium), before);
        let again = ferry.run(&["adopt", "--all"]);
        assert_eq!(again.code, 0, "{}{}", again.out, again.err);
        assert!(again.out.contains("0 objects"), "{}", again.out);
    }
}

#[test]
fn linked_files_that_are_gone_or_changed_are_found_and_stay_links() {
    let archive = archive();
    let (ferry, medium) = linked(&archive, &[]);
    let files: Vec<_> = contents(&medium).into_keys().collect();
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[1], b"a shopping list").unwrap();
    let adopted = ferry.run(&["adopt", "--all", "--json"]);
    let told: Value = serde_json::from_str(&adopted.out).unwrap();
    let expected: BTreeSet<_> = ["changed linked file", "missing linked file"].map(str::to_owned).into();
    assert_eq!((adopted.code, kinds(&told)), (3, expected), "{told}");
    assert_eq!(links_and_copies(&ferry), (2, 8));
    let verified = ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!((kinds(&verified), verified["findings"].as_array().unwrap().len()), (kinds(&told), 2), "{verified}");
    assert_eq!((&verified["lost"], links_and_copies(&ferry)), (&2.into(), (0, 8)), "they count no more");

    // What was touched and is the same is no finding where a digest vouches for it.
    let (ferry, medium) = linked(&archive, &["--hash"]);
    for path in contents(&medium).into_keys() {
        std::fs::File::options().append(true).open(path).unwrap().set_modified(SystemTime::now()).unwrap();
    }
    assert_eq!(ferry.run(&["verify", "--all", "--files"]).code, 0);
    assert_eq!(ferry.run(&["adopt", "--study", "1.2.3.4"]).code, 2, "nobody knows that study");
    let adopted = ferry.run(&["adopt", "--all"]);
    assert_eq!(adopted.code, 0, "{}{}", adopted.out, adopted.err);
    assert_copied(&ferry, &archive, "the files were touched");
}

#[test]
fn another_storage_folder_is_told_from_one_that_is_not_mounted_and_changed_over_to() {
    let archive = archive();
    let mut ferry = ferry();
    let medium = Medium::of(&archive);
    assert_eq!(ferry.run(&["import", medium.name(), "--copy"]).code, 0);
    let old = ferry.storage();
    let parked = old.with_extension("parked");
    std::fs::rename(&old, &parked).unwrap();
    let refused = ferry.run(&["verify", "--all", "--files"]);
    assert!(refused.err.contains("not mounted") && !refused.err.contains("relocate"), "{}", refused.err);
    std::fs::rename(&parked, &old).unwrap();

    ferry.store_in(&ferry.folder().join("new storage"), "64 MiB");
    ferry.configure(&[]);
    let refused = ferry.run(&["verify", "--all", "--files"]);
    let remedy = format!("pacsferry relocate {}", old.display());
    assert!(refused.code == 1 && refused.err.contains(&remedy), "{}", refused.err);
    let checked = ferry.run(&["check"]);
    assert!(checked.out.contains(&remedy), "{}", checked.out);
    let done = ferry.run(&["relocate", old.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_copied(&ferry, &archive, "relocated");
    std::fs::remove_dir_all(&old).unwrap();
    assert_copied(&ferry, &archive, "the old folder is gone");
    let again = ferry.run(&["import", medium.name(), "--copy", "--new"]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert_copied(&ferry, &archive, "imported again");
}

#[test]
fn a_full_disk_ends_an_adoption_and_leaves_links() {
    let archive = Archive::with(|archive| {
        archive.study("20240501").instances(4, 500_000);
        archive.study("20200202").instances(20, 500_000);
    });
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&folder.path().join("disk"), 8);
    let mut ferry = ferry();
    ferry.store_in(&disk.path().join("storage"), "1 KiB");
    ferry.configure(&[]);
    let medium = Medium::of(&archive);
    assert_eq!(ferry.run(&["import", medium.name(), "--link"]).code, 0);
    let adopted = ferry.run(&["adopt", "--all"]);
    assert_eq!(adopted.code, 1, "{}{}", adopted.out, adopted.err);
    assert!(adopted.err.contains("full"), "{}", adopted.err);
    assert_eq!(links_and_copies(&ferry), (20, 4), "the newest study is copied, of the other one nothing");
    assert_eq!(ferry.leftovers(), Vec::<PathBuf>::new());
    disk.resize(64);
    // Nothing of the study that did not fit lies about.
    assert_eq!(ferry.run(&["verify", "--all", "--files"]).code, 0);
    assert_eq!(ferry.run(&["adopt", "--all"]).code, 0);
    assert_copied(&ferry, &archive, "there is room");
}

#[test]
fn an_adoption_that_is_interrupted_ends_after_the_study_at_hand() {
    let archive = Archive::with(|archive| {
        archive.studies("20240501", 12, 20);
    });
    let (ferry, medium) = linked(&archive, &[]);
    let before = contents(&medium);
    let mut adoption = Running::start(&ferry, &["adopt", "--all", "--json"]);
    until("a study is copied", Duration::from_secs(60), || {
        (!adoption.is_running() || links_and_copies(&ferry).1 > 0).then_some(())
    });
    adoption.signal(Signal::INT);
    let code = adoption.ends(Duration::from_secs(60));
    assert!(matches!(code, Some(0 | 4)), "{code:?}: {}", adoption.said());
    let rows = ferry.instances();
    let mut of_study: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for row in rows.values() {
        of_study.entry(row["StudyInstanceUID"].as_str().unwrap()).or_default().insert(row["linked"] == true);
    }
    assert!(of_study.values().all(|kinds| kinds.len() == 1), "a study is linked or copied: {of_study:?}");
    assert_eq!(ferry.run(&["adopt", "--all"]).code, 0);
    assert_copied(&ferry, &archive, "all of it");
    assert_eq!(contents(&medium), before);
}
