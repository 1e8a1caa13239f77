//! What a folder may hold: every row of the quirks of files and folders, with real files.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use flate2::Compression;
use flate2::write::GzEncoder;
use pacsferry::dicom::uids;
use pacsferry::sample::{Archive, SampleObject};

use crate::import::{archive, ferry, folder, report, told, verdict};
use crate::support::medium::{Medium, digest, head, part10, zip};
use crate::support::peers::{Ferry, samples};
use crate::support::scene::deliverable;

/// Objects in several transfer syntaxes.
fn one(syntax: &str) -> SampleObject {
    let archive = Archive::with(|archive| {
        archive.study("20240501").syntax(syntax).instances(1, 3_000);
    });
    archive.objects()[0].clone()
}

fn copy(ferry: &Ferry, medium: &Medium) -> i32 {
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_ne!(done.code, 1, "{}{}", done.out, done.err);
    done.code
}

#[test]
fn files_without_a_proper_head_are_what_their_bytes_say() {
    for syntax in [uids::IMPLICIT_LE, uids::EXPLICIT_LE, uids::EXPLICIT_BE] {
        let object = one(syntax);
        let (whole, data) = (part10(&object), object.body.to_vec());
        let meta_at = head(&object).len() - 132;
        let cases: [(&str, Vec<u8>); 4] = [
            ("bare data set, no extension", data.clone()),
            ("no preamble.jpg", whole[128..].to_vec()),
            ("only the magic", [&[0; 128][..], b"DICM", &data].concat()),
            // The element that tells the length of the group is left out.
            ("no group length.txt", [&whole[..132], &whole[144..]].concat()),
        ];
        assert!(meta_at > 12);
        for (name, bytes) in cases {
            let (ferry, medium) = (ferry(), Medium::new());
            medium.put(name, &bytes);
            assert_eq!(copy(&ferry, &medium), 0, "{syntax} {name}: {}", report(&ferry).0);
            assert_eq!(ferry.filed().values().collect::<Vec<_>>(), [&digest(&object)], "{syntax} {name}");
            let row = ferry.instances().into_values().next().unwrap();
            assert_eq!(row["TransferSyntaxUID"].as_str().unwrap_or(syntax), syntax, "{name}");
        }
    }
}

#[test]
fn a_head_that_is_wrong_or_carries_a_program_is_written_anew() {
    let object = one(uids::EXPLICIT_LE);
    let (ferry, medium) = (ferry(), Medium::new());
    let mut polyglot = part10(&object);
    polyglot[..4].copy_from_slice(b"MZ\x90\0");
    medium.put("program.dcm", &polyglot);
    assert_eq!(copy(&ferry, &medium), 0);
    let row = ferry.instances().into_values().next().unwrap();
    let filed = std::fs::read(ferry.storage().join(row["file"].as_str().unwrap())).unwrap();
    assert_eq!((&filed[..128], &filed[128..132]), (&[0; 128][..], &b"DICM"[..]));
    assert_eq!(ferry.filed().into_values().collect::<Vec<_>>(), [digest(&object)]);
}

#[test]
fn links_loops_pipes_and_foreign_names_stop_nothing() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let odd = OsString::from_vec(b"caf\xE9/na\xFFme\n".to_vec());
    let more = Archive::with(|archive| {
        archive.seed(5).study("20210101").instances(1, 2_000);
    });
    medium.put(odd, &part10(&more.objects()[0]));
    let at = |name: &str| medium.path().join(name);
    symlink(medium.path(), at("loop")).unwrap();
    symlink("/etc/passwd", at("study0/passwd")).unwrap();
    symlink("nowhere", at("study0/dangling")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("study0/pipe")).status().unwrap().success());
    let _socket = UnixListener::bind(at("study0/socket")).unwrap();
    assert_eq!(copy(&ferry, &medium), 0);
    let report = report(&ferry);
    assert_eq!(folder(&report, "study0")["skipped"], 4);
    assert_eq!(verdict(&report, "caf\\xe9"), "succeeded");
    let mut expected = deliverable(&archive);
    expected.extend(deliverable(&more));
    assert_eq!(ferry.filed(), expected);
}

#[test]
fn one_bad_file_does_not_fail_its_folder() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let large = archive.objects().iter().find(|object| object.body.len() > 100_000).unwrap();
    let nameless = Archive::with(|archive| {
        archive.seed(7).study("20210101").without(pacsferry::dicom::tags::STUDY_INSTANCE_UID).instances(2, 2_000);
    });
    medium.put("study1/cut", &part10(large)[..50_000]);
    medium.put("study1/empty", b"");
    medium.put("study1/Thumbs.db", b"not at all DICOM, and long enough to be looked at as if it were");
    medium.put("nameless/a", &part10(&nameless.objects()[0]));
    medium.put("nameless/b", &part10(&nameless.objects()[1]));
    medium.put("papers/readme.dcm", b"only its name says that it is a DICOM file, and names decide nothing");
    assert_eq!(copy(&ferry, &medium), 3);
    let report = report(&ferry);
    assert_eq!(verdict(&report, "study0"), "succeeded");
    assert_eq!(folder(&report, "study1")["state"], "partial");
    let told = told(&report, "study1");
    assert!(told["cut"].starts_with("cut off at byte 50000: the file ends inside element (7FE0,0010)"), "{told:?}");
    assert_eq!((told["empty"].as_str(), told.len()), ("the file is empty", 2));
    assert_eq!(verdict(&report, "nameless"), "failed: no Study Instance UID");
    assert_eq!(folder(&report, "nameless")["detail"], "no file has a Study Instance UID");
    assert_eq!(
        (verdict(&report, "papers"), &folder(&report, "papers")["detail"]),
        ("failed: not DICOM".into(), &"no DICOM files".into())
    );
    assert_eq!(ferry.filed(), deliverable(&archive));
    // Everything that could not be filed is kept, as far as it is there.
    let quarantined = ferry.quarantined();
    for object in nameless.objects() {
        assert!(quarantined.contains(&digest(object)));
    }
    assert_eq!(quarantined.len(), 3);
    // All four forms tell it.
    for (format, word) in [("text", "did not succeed"), ("csv", "nameless"), ("html", "no DICOM files")] {
        let text = ferry.run(&["report", "last", "--format", format]).out;
        assert!(text.contains(word), "{format}: {text}");
    }
    // The next run passes over them, keeps nothing twice, and still tells.
    assert_eq!(copy(&ferry, &medium), 3);
    assert_eq!(ferry.quarantined().len(), 3);
    let again = crate::import::report(&ferry);
    assert_eq!((again.object("listed"), crate::import::told(&again, "nameless").len()), (0, 2));
}

#[test]
fn a_file_that_is_cut_anywhere_is_never_filed_as_if_it_were_whole() {
    let samples = samples();
    let names = ["CT_small.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "image_dfl.dcm"];
    let (ferry, medium) = (ferry(), Medium::new());
    let mut cuts = 0;
    for name in names {
        let sample = samples.iter().find(|sample| sample.name() == name).unwrap_or_else(|| panic!("no {name}"));
        let bytes = std::fs::read(&sample.path).unwrap();
        // Every byte near the ends of the header and of the file, and some in between.
        // Behind the end of its deflated stream this one has eight bytes that mean nothing.
        let last = if name == "image_dfl.dcm" { 9 } else { 1 };
        let ends = (last..48).map(|back| bytes.len() - back);
        let between = (1..40).map(|part| bytes.len() * part / 40);
        for at in ends.chain(between) {
            medium.put(format!("{name}/{at:07}"), &bytes[..at]);
            cuts += 1;
        }
    }
    assert_eq!(copy(&ferry, &medium), 3);
    assert_eq!(ferry.instances().len(), 0, "{:?}", ferry.instances());
    assert!(cuts > 400);
}

#[test]
fn a_compressed_image_that_ends_where_its_pixels_should_begin_is_cut_off_and_a_document_is_not() {
    let (ferry, medium) = (ferry(), Medium::new());
    let samples = samples();
    let sample = samples.iter().find(|sample| sample.name() == "JPEG2000.dcm").unwrap();
    let mut bytes = std::fs::read(&sample.path).unwrap();
    bytes.truncate(bytes.windows(4).rposition(|tag| tag == [0xE0, 0x7F, 0x10, 0x00]).unwrap());
    medium.put("cut/image", &bytes);
    // A structured report is no image, whatever transfer syntax it was sent in.
    let report_class = "1.2.840.10008.5.1.4.1.1.88.11";
    let sample = samples.iter().find(|sample| sample.name() == "reportsi.dcm").unwrap();
    let mut bytes = std::fs::read(&sample.path).unwrap();
    let at = bytes.windows(19).position(|uid| uid == uids::EXPLICIT_LE.as_bytes()).unwrap();
    // Of the same length, so that nothing else moves.
    bytes[at..at + 19].copy_from_slice(b"1.2.840.113619.5.99");
    medium.put("whole/document", &bytes);
    assert_eq!(copy(&ferry, &medium), 3);
    let report = report(&ferry);
    let told = told(&report, "cut");
    assert!(told["image"].contains("the file ends before the pixel data"), "{told:?}");
    assert_eq!(verdict(&report, "whole"), "succeeded");
    assert_eq!(
        ferry.instances().values().map(|row| row["SOPClassUID"].as_str()).collect::<Vec<_>>(),
        [Some(report_class)]
    );
}

#[test]
fn what_may_not_be_read_is_told_and_taken_later() {
    if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root: the same by a folder that goes away.
        return;
    }
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let allow = |name: &str, mode: u32| {
        std::fs::set_permissions(medium.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    allow("study0", 0o000);
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    allow("study0", 0o755);
    assert_eq!(done.code, 3, "{}{}", done.out, done.err);
    let report = report(&ferry);
    assert_eq!(verdict(&report, "study0"), "failed: unreadable file");
    assert_eq!(folder(&report, "study0")["detail"], "permission denied");
    assert_eq!(copy(&ferry, &medium), 0);
    assert_eq!(ferry.filed(), deliverable(&archive));
}

#[test]
fn a_file_that_is_still_being_written_is_left_for_the_next_run() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    let path = medium.path().join("study0/growing");
    let more = Archive::with(|archive| {
        archive.seed(5).study("20210101").instances(1, 100_000);
    });
    let bytes = part10(&more.objects()[0]);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn({
        let (path, bytes) = (path.clone(), bytes[..bytes.len() - 50_000].to_vec());
        move || {
            let mut file = std::fs::File::create(path).unwrap();
            file.write_all(&bytes).unwrap();
            // A byte now and then, as a slow copy does.
            while stopped.recv_timeout(std::time::Duration::from_millis(20)).is_err() {
                file.write_all(b"x").unwrap();
            }
        }
    });
    let code = copy(&ferry, &medium);
    stop.send(()).unwrap();
    writer.join().unwrap();
    assert_eq!(code, 3);
    let first = report(&ferry);
    assert_eq!(told(&first, "study0")["growing"], "the file is still being written; the next run takes it");
    assert!(ferry.quarantined().is_empty());
    medium.put("study0/growing", &bytes);
    assert_eq!(copy(&ferry, &medium), 0);
    assert_eq!(ferry.filed().len(), 11);
}

#[test]
fn archives_are_unpacked_one_level_deep() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::new();
    let objects = archive.objects();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&part10(&objects[0])).unwrap();
    medium.put("one.dcm.gz", &gzip.finish().unwrap());
    let members: Vec<(String, Vec<u8>)> =
        objects[1..].iter().enumerate().map(|(n, object)| (format!("disc/IM{n}"), part10(object))).collect();
    let inner = zip(&members[..1]);
    let mut with_more = members.clone();
    with_more.push(("readme.txt".into(), b"not DICOM".to_vec()));
    with_more.push(("letter.docx".into(), zip(&[("[Content_Types].xml".into(), b"<Types/>".to_vec())])));
    medium.put("disc.without-extension", &zip(&with_more));
    medium.put("letters.zip", &zip(&[("letter.txt".into(), b"nothing".to_vec())]));
    // What is refused is told, and nothing of it is taken.
    let done = ferry.run(&["import", medium.name(), "--link-only"]);
    assert_eq!(done.code, 3, "{}{}", done.out, done.err);
    assert!(done.out.contains("only links were asked for"), "{}", done.out);
    assert_eq!(ferry.instances().len(), 0);
    // With links, members are copied.
    let done = ferry.run(&["import", medium.name(), "--link"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    assert_eq!(ferry.filed(), deliverable(&archive));
    assert_eq!(copy(&ferry, &medium), 0);
    assert_eq!(ferry.filed(), deliverable(&archive));
    // An archive inside is not opened, and nobody is told that everything is there.
    medium.put("outer.zip", &zip(&[("inner.zip".into(), inner)]));
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&zip(&members[..1])).unwrap();
    medium.put("packed-twice", &gzip.finish().unwrap());
    assert_eq!(copy(&ferry, &medium), 3);
    let all = report(&ferry);
    let told = told(&all, medium.name());
    assert_eq!(told.len(), 2, "{}", all.0["folders"]);
    assert!(told.values().all(|detail| detail.contains("an archive inside an archive")), "{told:?}");
}

#[test]
fn members_of_one_name_are_each_an_object() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::new();
    let members: Vec<_> = archive.objects().iter().map(|object| ("IM0".to_owned(), part10(object))).collect();
    medium.put("disc.zip", &zip(&members));
    assert_eq!(copy(&ferry, &medium), 0);
    assert_eq!(ferry.filed(), deliverable(&archive));
    assert_eq!(report(&ferry).object("listed"), archive.objects().len());
}

#[test]
fn damaged_archives_and_bombs_are_told() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::new();
    let object = part10(&archive.objects()[7]);
    let whole = zip(&[("a".into(), object.clone())]);
    medium.put("cut.zip", &whole[..whole.len() - 200]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    medium.put("flipped.zip", &flipped);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&object).unwrap();
    let gzip = gzip.finish().unwrap();
    medium.put("cut.gz", &gzip[..gzip.len() / 2]);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&object).unwrap();
    for _ in 0..300 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    medium.put("bomb.gz", &bomb.finish().unwrap());
    assert_eq!(copy(&ferry, &medium), 3);
    let report = report(&ferry);
    let name = medium.path().file_name().unwrap().to_str().unwrap().to_owned();
    let told = told(&report, &name);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told["bomb.gz"].contains("more than is believable"), "{told:?}");
    assert_eq!(ferry.instances().len(), 0);
}

#[test]
fn a_directory_is_not_trusted_but_tells_what_is_missing() {
    let samples = samples();
    let ct = samples.iter().find(|sample| sample.name() == "CT_small.dcm").unwrap();
    let tests = ct.path.parent().unwrap().join("dicomdirtests");
    let (ferry, medium) = (ferry(), Medium::new());
    let script = std::process::Command::new("cp").arg("-rL").arg(&tests).arg(medium.path().join("disc")).status();
    assert!(script.unwrap().success());
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_ne!(done.code, 1, "{}{}", done.out, done.err);
    let before = ferry.instances().len();
    assert!(before > 10);
    assert_eq!(folder(&report(&ferry), "disc")["state"], "succeeded", "{}", report(&ferry).0["folders"]);
    let gone = medium.path().join("disc/77654033/CR1/6154");
    std::fs::remove_file(&gone).unwrap();
    let done = ferry.run(&["import", medium.name(), "--copy"]);
    assert_eq!(done.code, 3, "{}{}", done.out, done.err);
    let told = told(&report(&ferry), "disc");
    assert!(told["DICOMDIR"].contains("77654033/CR1/6154"), "{told:?}");
    assert_eq!(ferry.instances().len(), before);
}

#[test]
fn read_only_media_are_read() {
    let (ferry, archive) = (ferry(), archive());
    let medium = Medium::of(&archive);
    for folder in ["", "study0", "study1", "study2"] {
        std::fs::set_permissions(medium.path().join(folder), PermissionsExt::from_mode(0o555)).unwrap();
    }
    let code = copy(&ferry, &medium);
    for folder in ["", "study0", "study1", "study2"] {
        std::fs::set_permissions(medium.path().join(folder), PermissionsExt::from_mode(0o755)).unwrap();
    }
    assert_eq!(code, 0);
    assert_eq!(ferry.filed(), deliverable(&archive));
}
