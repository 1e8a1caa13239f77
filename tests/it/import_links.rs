//! What only points to a file counts as long as the file is there, and is no copy.

use std::time::Duration;

use pacsferry::sample::{Archive, Profile};
use serde_json::Value;

use crate::import::{archive, ferry, report};
use crate::import_place::{assert_copied, contents, kinds, linked, links_and_copies};
use crate::support::medium::Medium;
use crate::support::peers::Ferry;
use crate::support::running::Running;
use crate::support::scene::{SOURCE, Scene};

fn import(ferry: &Ferry, medium: &Medium, how: &[&str]) {
    let done = ferry.run(&[&["import", medium.name()], how].concat());
    assert_eq!(done.code, 0, "{how:?}: {}{}", done.out, done.err);
}

#[test]
fn a_copy_is_made_of_what_was_only_linked() {
    for how in [&[][..], &["--hash"]] {
        // The linked files themselves, and the same objects in another folder.
        for elsewhere in [false, true] {
            let archive = archive();
            let (ferry, medium) = linked(&archive, how);
            let from = if elsewhere { &Medium::of(&archive) } else { &medium };
            import(&ferry, from, &["--copy"]);
            assert_eq!((links_and_copies(&ferry), report(&ferry).item("proven")), ((0, 10), 3), "{how:?} {elsewhere}");
            medium.remove();
            from.remove();
            assert_copied(&ferry, &archive, "the folders are gone");
            // A catalog made anew does not go back to the links.
            let catalog = ferry.folder().join("catalog.db");
            std::fs::remove_file(&catalog).unwrap();
            assert_eq!(ferry.run(&["rebuild"]).code, 0);
            assert_copied(&ferry, &archive, "rebuilt");
        }
    }
}

#[test]
fn what_was_copied_is_passed_over_as_long_as_it_is_a_copy() {
    let archive = archive();
    let (ferry, medium) = linked(&archive, &[]);
    import(&ferry, &medium, &["--copy"]);
    import(&ferry, &medium, &["--copy", "--new"]);
    assert_eq!((report(&ferry).object("listed"), links_and_copies(&ferry)), (0, (0, 10)));
    import(&ferry, &medium, &["--link", "--new"]);
    assert_eq!((report(&ferry).object("listed"), links_and_copies(&ferry)), (0, (0, 10)));
}

#[test]
fn of_two_imports_at_once_the_one_that_copies_has_its_copies() {
    let archive = Archive::with(|archive| {
        archive.studies("20240501", 12, 20);
    });
    let (ferry, medium) = (ferry(), Medium::of(&archive));
    let start = |how| Running::start(&ferry, &["import", medium.name(), how]);
    let (mut link, mut copy) = (start("--link"), start("--copy"));
    for import in [&mut link, &mut copy] {
        assert_eq!(import.ends(Duration::from_secs(120)), Some(0), "{}", import.said());
    }
    assert_copied(&ferry, &archive, "both have ended");
}

#[test]
fn a_linked_file_that_changed_under_its_digest_is_not_taken_for_what_it_was() {
    let archive = archive();
    let (ferry, medium) = linked(&archive, &["--hash"]);
    let (path, (mut bytes, modified)) = contents(&medium).into_iter().next().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_eq!(done.code, 3, "{}{}", done.out, done.err);
    assert_eq!((report(&ferry).item("proven"), report(&ferry).item("partial")), (2, 1));
    assert_eq!((links_and_copies(&ferry), ferry.quarantined().len()), ((1, 9), 1), "its bytes are kept");
    let verified = verify(&ferry);
    assert_eq!(
        (kinds(&verified), &verified["lost"]),
        (["changed linked file".to_owned()].into(), &1.into()),
        "{verified}"
    );
    // Now that nothing else is filed under its UID, it is what there is.
    import(&ferry, &medium, &["--copy"]);
    assert_eq!((report(&ferry).item("proven"), links_and_copies(&ferry)), (1, (0, 10)));
}

/// An old PACS whose folder of images is linked.
fn linked_scene(how: &[&str]) -> (Scene, Medium) {
    let scene = Scene::new(archive(), Profile::default());
    let medium = Medium::of(scene.pacs.archive());
    import(&scene.ferry, &medium, &[&["--link"], how].concat());
    (scene, medium)
}

fn verify(ferry: &Ferry) -> Value {
    serde_json::from_str(&ferry.run(&["verify", "--all", "--files", "--json"]).out).unwrap()
}

#[test]
fn a_migration_brings_what_is_linked_and_no_longer_there() {
    for how in [&[][..], &["--hash"]] {
        let (scene, medium) = linked_scene(how);
        assert_eq!(scene.migrate().code, 0);
        assert_eq!(scene.report().item("proven"), 3);
        assert_eq!((scene.pacs.objects_sent(), links_and_copies(&scene.ferry)), (0, (10, 0)), "{how:?}");
        medium.remove();
        // All of the folder is away: a disk may come back, so that nothing is forgotten.
        let verified = verify(&scene.ferry);
        assert_eq!((&verified["lost"], links_and_copies(&scene.ferry)), (&0.into(), (10, 0)), "{verified}");
        assert_eq!(kinds(&verified), ["missing linked file".to_owned()].into(), "{verified}");
        assert!(verified["findings"][0]["detail"].as_str().unwrap().contains("not mounted"), "{verified}");
        // But what is not here is asked for.
        let done = scene.ferry.run(&["migrate", SOURCE, "--new"]);
        assert_eq!(done.code, 0, "{}\n{}", done.err, scene.report().fallout());
        assert_eq!(scene.pacs.objects_sent(), 10, "{how:?}");
        assert_copied(&scene.ferry, scene.pacs.archive(), "migrated");
    }
}

#[test]
fn linked_files_that_are_gone_or_changed_count_no_more_and_come_again() {
    let (scene, medium) = linked_scene(&[]);
    assert_eq!(scene.migrate().code, 0);
    let files: Vec<_> = contents(&medium).into_keys().collect();
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[5], b"a shopping list").unwrap();
    let verified = verify(&scene.ferry);
    assert_eq!((&verified["lost"], &verified["jobs_to_retry"]), (&2.into(), &serde_json::json!([1, 2])), "{verified}");
    let report = scene.report();
    assert_eq!((report.item("proven"), report.item("partial")), (1, 2), "{}", report.0);
    let retried = scene.ferry.run(&["job", "2", "retry"]);
    assert_eq!(retried.code, 0, "{}\n{}", retried.err, scene.report().fallout());
    assert_eq!((scene.pacs.objects_sent(), links_and_copies(&scene.ferry)), (2, (8, 2)));
    assert_eq!(scene.report().item("proven"), 3);
    assert_eq!(verify(&scene.ferry)["findings"], serde_json::json!([]));
}

#[test]
fn a_link_to_a_file_that_is_gone_is_made_anew_from_another_folder() {
    let archive = archive();
    let (ferry, medium) = linked(&archive, &[]);
    let other = Medium::of(&archive);
    import(&ferry, &other, &["--link"]);
    medium.remove();
    assert_eq!(verify(&ferry)["findings"].as_array().map(Vec::len), Some(10));
    import(&ferry, &other, &["--link", "--new"]);
    assert_eq!(verify(&ferry)["findings"], serde_json::json!([]));
    let rows = ferry.instances();
    assert!(rows.values().all(|row| row["file"].as_str().unwrap().starts_with(other.name())), "{rows:?}");
}

#[test]
fn a_folder_that_became_a_symbolic_link_leads_nobody_elsewhere() {
    let archive = archive();
    let (ferry, medium) = linked(&archive, &[]);
    let outside = tempfile::tempdir().unwrap();
    let (within, without) = (medium.path().join("study0"), outside.path().join("study0"));
    std::fs::create_dir(&without).unwrap();
    for entry in std::fs::read_dir(&within).unwrap() {
        let entry = entry.unwrap();
        let copy = without.join(entry.file_name());
        std::fs::copy(entry.path(), &copy).unwrap();
        let modified = entry.metadata().unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&copy).unwrap().set_modified(modified).unwrap();
    }
    std::fs::remove_dir_all(&within).unwrap();
    std::os::unix::fs::symlink(&without, &within).unwrap();
    let verified = verify(&ferry);
    assert_eq!(verified["findings"].as_array().map(Vec::len), Some(5), "{verified}");
    assert_eq!(ferry.run(&["adopt", "--all"]).code, 3);
    assert_eq!(links_and_copies(&ferry), (5, 5), "what lies outside is not copied");
}
