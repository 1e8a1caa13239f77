//! What only points to a file counts as long as the file is there, and is no copy.

use std::time::Duration;

use pacsferry::sample::Archive;

use crate::import::{archive, ferry, report};
use crate::import_place::{assert_copied, contents, kinds, linked, links_and_copies};
use crate::support::medium::Medium;
use crate::support::peers::Ferry;
use crate::support::running::Running;

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
    let verified = ferry.run(&["verify", "--all", "--files", "--json"]);
    let verified = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(kinds(&verified), ["changed linked file".to_owned()].into(), "{verified}");
}
