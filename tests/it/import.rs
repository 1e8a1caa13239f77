//! Folders are imported: copied or linked, newest first, going on where they stopped, and passed over when nothing has
//! changed.

use std::collections::BTreeMap;

use pacsferry::dicom::Date;
use pacsferry::sample::Archive;
use serde_json::Value;

use crate::support::medium::{Medium, age, digest, part10};
use crate::support::peers::{Ferry, data_set_digest, files_below, samples};
use crate::support::scene::{Report, deliverable};

pub(crate) fn archive() -> Archive {
    Archive::with(|archive| {
        archive.study("20240501").instances(5, 3_000);
        archive.study("20200202").instances(3, 200_000);
        archive.study("").instances(2, 3_000);
    })
}

pub(crate) fn ferry() -> Ferry {
    let ferry = Ferry::new();
    ferry.configure(&[]);
    ferry
}

pub(crate) fn report(ferry: &Ferry) -> Report {
    Report(ferry.json(&["report", "last", "--format", "json"]))
}

/// The entry of a folder, by the end of its path.
pub(crate) fn folder<'r>(report: &'r Report, end: &str) -> &'r Value {
    let folders = report.0["folders"].as_array().expect("a list of folders");
    let found = folders.iter().find(|folder| folder["folder"].as_str().is_some_and(|path| path.ends_with(end)));
    found.unwrap_or_else(|| panic!("{end} is not in the report: {}", report.0["folders"]))
}

/// State and reason of a folder.
pub(crate) fn verdict(report: &Report, end: &str) -> String {
    let folder = folder(report, end);
    let text = |key: &str| folder[key].as_str().unwrap_or_default().to_owned();
    if text("reason").is_empty() { text("state") } else { format!("{}: {}", text("state"), text("reason")) }
}

/// What is said of each file of a folder that is not filed.
pub(crate) fn told(report: &Report, end: &str) -> BTreeMap<String, String> {
    let files = folder(report, end)["files"].as_array().expect("a list of files").clone();
    files.iter().map(|file| (file["file"].as_str().unwrap().into(), file["detail"].as_str().unwrap().into())).collect()
}

#[test]
fn a_folder_is_copied_and_proven_and_then_passed_over() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(ferry.filed(), deliverable(&archive));
    let first = report(&ferry);
    assert_eq!((first.item("proven"), first.object("filed"), first.object("listed")), (3, 10, 10));
    assert_eq!((first.0["kind"].as_str(), verdict(&first, "study0")), (Some("import"), "succeeded".into()));
    // Newest first, and the one without a date last.
    let dates: Vec<_> = first.0["studies"].as_array().unwrap().iter().map(|s| s["study_date"].as_str()).collect();
    assert_eq!(dates, [Some("20240501"), Some("20200202"), None]);

    // One file is new, one was rewritten: only these are looked at.
    let more = Archive::with(|archive| {
        archive.seed(99).study("20231231").instances(1, 2_000);
    });
    medium.put("study1/new", &part10(&more.objects()[0]));
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let second = report(&ferry);
    assert_ne!(second.0["job"], first.0["job"]);
    assert_eq!((second.item("total"), second.object("listed")), (1, 1));
    assert_eq!(folder(&second, "study1")["unchanged"], 3);
    assert_eq!(folder(&second, "study1")["filed"], 4);
    assert_eq!(ferry.filed().len(), 11);
}

#[test]
fn links_stay_where_they_are_and_become_copies_when_asked() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let done = ferry.run(&["import", medium.name(), "--link"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let rows = ferry.instances();
    assert_eq!(rows.len(), 10);
    assert_eq!(report(&ferry).item("proven"), 3);
    let verified = ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
    // What is linked is not what is copied: the same folder is taken in once more, and then by its bytes.
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(report(&ferry).item("proven"), 3);
    assert_eq!(ferry.instances().len(), 10);
}

#[test]
fn only_what_was_asked_for_is_taken() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let late = medium.path().join("study2").read_dir().unwrap().next().unwrap().unwrap().path();
    age(&late, 400 * 86_400);
    let code = |arguments: &[&str]| ferry.run(&[&["import", medium.name(), "--copy"], arguments].concat()).code;
    assert_eq!(code(&["--from", "2024-01-01"]), 0);
    assert_eq!(report(&ferry).object("filed"), 5);
    assert_eq!(folder(&report(&ferry), "study1")["outside"], 3);
    assert_eq!(code(&["--to", "2020-12-31"]), 0);
    assert_eq!(report(&ferry).object("filed"), 3);
    // Yesterday, so that a test at midnight does not fail.
    let yesterday = Date::today().plus_days(-1).iso();
    assert_eq!(code(&["--received-from", &yesterday]), 0);
    assert_eq!((report(&ferry).object("filed"), folder(&report(&ferry), "study2")["outside"].as_u64()), (1, Some(1)));
    assert_eq!(code(&["--received-to", "2000-01-01"]), 0);
    assert_eq!(report(&ferry).object("filed"), 0);
    assert_eq!(code(&[]), 0);
    assert_eq!(ferry.filed(), deliverable(&archive));
    assert_eq!(code(&["--from", "2024-01-01", "--to", "2023-01-01"]), 2);
}

#[test]
fn a_dry_run_counts_and_takes_nothing() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    medium.put("truncated", &part10(&archive.objects()[5])[..5_000]);
    let found = ferry.json(&["import", medium.name(), "--copy", "--dry-run", "--json"]);
    assert_eq!((found["studies"].as_u64(), found["objects"].as_u64()), (Some(3), Some(11)), "{found}");
    let troubled = found["troubled"].as_array().unwrap();
    assert!(matches!(&**troubled, [one] if one.as_str().unwrap().contains("truncated: cut off")), "{found}");
    assert!(ferry.instances().is_empty() && ferry.quarantined().is_empty());
    assert!(ferry.json(&["jobs", "--json"]).as_array().unwrap().is_empty());
}

#[test]
fn files_of_the_storage_folder_only_get_their_entries() {
    let (ferry, archive) = (ferry(), archive());
    let placed = ferry.storage().join("images/old");
    // The folder is made, as any first command does.
    assert_eq!(ferry.run(&["import", Medium::new().name(), "--copy"]).code, 0);
    std::fs::create_dir_all(&placed).unwrap();
    for (n, object) in archive.objects().iter().enumerate() {
        let path = placed.join(format!("im{n}.dcm"));
        std::fs::write(&path, part10(object)).unwrap();
        age(&path, 3600);
    }
    let kept = ferry.storage().join("quarantine");
    std::fs::create_dir_all(&kept).unwrap();
    assert_eq!(ferry.run(&["import", kept.to_str().unwrap()]).code, 2, "what is in quarantine is no folder of files");
    let done = ferry.run(&["import", placed.to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert!(done.err.contains("storage folder already"), "{}", done.err);
    assert_eq!(ferry.instances().len(), 10);
    let here = std::fs::read_dir(&placed).unwrap().count();
    assert_eq!((here, report(&ferry).item("proven")), (10, 3));
    let digests: Vec<_> = archive.objects().iter().map(digest).collect();
    assert!(ferry.instances().values().all(|row| digests.contains(&row["digest"].as_str().unwrap().to_owned())));
}

#[test]
fn what_is_gone_from_the_archive_comes_again() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let lose = || {
        let row = ferry.instances().into_values().next().unwrap();
        std::fs::remove_file(ferry.storage().join(row["file"].as_str().unwrap())).unwrap();
        assert_eq!(ferry.run(&["verify", "--all", "--files"]).code, 3);
        assert_eq!(ferry.instances().len(), 9);
    };
    assert_eq!(ferry.run(&["import", medium.name(), "--copy"]).code, 0);
    lose();
    let done = ferry.run(&["job", "1", "retry"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(ferry.filed(), deliverable(&archive));
    lose();
    let done = ferry.run(&["import", medium.name(), "--copy", "--new"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(ferry.filed(), deliverable(&archive));
    assert_eq!(report(&ferry).object("listed"), 1);
}

#[test]
fn mistakes_are_told_before_anything_is_done() {
    let ferry = ferry();
    let medium = Medium::new();
    let file = medium.put("a", b"x");
    assert_eq!(ferry.run(&["import", medium.name()]).code, 2);
    assert_eq!(ferry.run(&["import", medium.name(), "--copy", "--link"]).code, 2);
    assert_eq!(ferry.run(&["import", "/does/not/exist", "--copy"]).code, 2);
    assert_eq!(ferry.run(&["import", file.to_str().unwrap(), "--copy"]).code, 2);
    assert_eq!(ferry.run(&["import", "--copy"]).code, 2);
}

#[test]
fn pydicoms_test_data_is_filed_object_by_object_as_pydicom_reads_it() {
    let ferry = ferry();
    let samples = samples();
    let first = samples.iter().find(|sample| sample.path.ends_with("CT_small.dcm")).expect("CT_small.dcm");
    let root = first.path.parent().unwrap().parent().unwrap();
    let done = ferry.run(&["import", root.to_str().unwrap(), "--copy"]);
    // Some of its files name no study, some are cut off, some share a UID.
    assert_eq!(done.code, 3, "{}{}", done.out, done.err);
    let report = report(&ferry);
    let troubled: BTreeMap<String, String> = report.0["folders"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|folder| folder["files"].as_array().unwrap())
        .map(|file| (file["file"].as_str().unwrap().to_owned(), file["detail"].as_str().unwrap().to_owned()))
        .collect();
    let (filed, quarantined) = (ferry.instances(), ferry.quarantined());
    let in_images = digests_of_images(&ferry);
    let mut wrong = Vec::new();
    for sample in samples.iter().filter(|sample| sample.path.starts_with(root)) {
        let (name, digest) = (sample.name(), sample.digest());
        let (Some(study), Some(series)) = (&sample.study, &sample.series) else {
            if !quarantined.contains(&digest) {
                wrong.push(format!("{name} has no study or series, and is not in quarantine"));
            }
            continue;
        };
        if troubled.get(&name).is_some_and(|detail| detail.contains("cut off at byte")) {
            if !name.contains("truncated") || !quarantined.contains(&digest) {
                wrong.push(format!("{name} is said to be cut off: {}", troubled[&name]));
            }
            continue;
        }
        let Some(row) = filed.get(&sample.sop_instance) else {
            wrong.push(format!("{name} is not filed: {:?}", troubled.get(&name)));
            continue;
        };
        if row["digest"] == digest.as_str() {
            for (key, expected) in [("StudyInstanceUID", study), ("SeriesInstanceUID", series)] {
                if row[key] != expected.as_str() {
                    wrong.push(format!("{name}: {key} is {}, not {expected}", row[key]));
                }
            }
        } else if !in_images.contains(&digest) && !quarantined.contains(&digest) && troubled.contains_key(&name) {
            wrong.push(format!("{name} is neither filed nor kept: {:?}", troubled.get(&name)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(troubled.contains_key("MR_truncated.dcm") && troubled.contains_key("rtplan_truncated.dcm"), "{troubled:?}");
    let verified = ferry.json(&["verify", "--all", "--files", "--json"]);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(0), "{verified}");
}

fn digests_of_images(ferry: &Ferry) -> Vec<String> {
    files_below(&ferry.storage().join("images")).iter().map(|path| data_set_digest(path)).collect()
}
