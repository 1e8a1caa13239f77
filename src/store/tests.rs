//! The store as a whole, in a real folder.
#![expect(clippy::disallowed_methods, reason = "the tests do to the folder what people and crashes do")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::dataset::{CharacterSet, Elements};
use crate::dicom::{Encoding, SopClassUid, SopInstanceUid, TransferSyntaxUid, tags, uids};
use crate::object::{Fragment, ObjectStream, Origin};

const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";

/// A data set of our making, Explicit VR Little Endian.
fn data_set(study: &str, instance: &str, pixels: &[u8]) -> Vec<u8> {
    let mut elements = Elements::new();
    elements.put(tags::SOP_CLASS_UID, CLASS).put(tags::SOP_INSTANCE_UID, instance).put(tags::STUDY_DATE, "20211117");
    elements.put(tags::STUDY_INSTANCE_UID, study).put(tags::SERIES_INSTANCE_UID, "1.2.3.4");
    elements.put_bytes(tags::PIXEL_DATA, *b"OW", pixels);
    elements.write(Encoding::ExplicitLe)
}

fn origin() -> Origin {
    Origin {
        source: Some("oldpacs".into()),
        ae_title: "OLDPACS".into(),
        address: [127, 0, 0, 1].into(),
        association: 3,
    }
}

/// A stream of these bytes in pieces of a length; without its end if it is cut.
fn stream(instance: &str, data: &[u8], piece: usize, cut: bool) -> ObjectStream {
    let (sender, fragments) = mpsc::channel(8);
    let data = Bytes::copy_from_slice(data);
    std::thread::spawn(move || {
        for start in (0..data.len()).step_by(piece) {
            let bytes = data.slice(start..data.len().min(start + piece));
            if sender.blocking_send(Fragment::Data(bytes)).is_err() {
                return;
            }
        }
        if !cut {
            // A receiver that has given up needs no end.
            let _ = sender.blocking_send(Fragment::End);
        }
    });
    ObjectStream {
        class: SopClassUid::new(CLASS),
        instance: SopInstanceUid::new(instance),
        transfer_syntax: TransferSyntaxUid::new(uids::EXPLICIT_LE),
        origin: origin(),
        fragments,
    }
}

struct Fixture {
    temp: TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Fixture {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::create(&temp.path().join("store"), 0).unwrap();
        Fixture { temp, store }
    }

    fn folder(&self) -> PathBuf {
        self.temp.path().join("store")
    }

    async fn receive(&self, study: &str, instance: &str, pixels: &[u8]) -> Incoming {
        let data = data_set(study, instance, pixels);
        let stream = stream(instance, &data, 1000, false);
        let mut incoming = self.store.receive(stream, CharacterSet::ascii()).await.unwrap();
        self.store.put_down(&mut incoming).unwrap();
        incoming
    }

    fn settle(&self, incoming: Incoming, destination: Destination) -> Result<Filed, StoreError> {
        let mut settled = self.store.settle(vec![(incoming, destination)]);
        if let Some(number) = settled.number {
            self.store.recorded(number);
        }
        settled.outcomes.remove(0)
    }

    /// Every file of the folder but those of living processes and the sentinel.
    fn files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        for top in [place::IMAGES, place::QUARANTINE] {
            collect(&self.folder(), &self.folder().join(top), &mut files);
        }
        files
    }

    fn parts(&self) -> usize {
        let mut files = BTreeSet::new();
        collect(&self.folder(), &self.folder().join("incoming"), &mut files);
        files.iter().filter(|name| name.ends_with(".part")).count()
    }
}

/// Where it lies in the storage folder.
fn at(filed: &Filed) -> &RelativePath {
    filed.place().stored().unwrap()
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn an_object_is_filed_as_it_was_sent() {
    let fixture = Fixture::new();
    let data = data_set("1.2.3", "1.2.3.4.5", &[7; 300_000]);
    for piece in [1_000, 16_384, 131_072, 1 << 20] {
        let instance = format!("1.2.3.4.{piece}");
        let data = data_set("1.2.3", &instance, &vec![7; 300_000]);
        let incoming =
            fixture.store.receive(stream(&instance, &data, piece, false), CharacterSet::ascii()).await.unwrap();
        assert_eq!(incoming.digest, Some(blake3::hash(&data).into()));
        assert_eq!(incoming.length, data.len() as u64);
        assert_eq!((incoming.scan.clone(), incoming.mismatch.clone()), (Ok(()), None));
        let filed = fixture.settle(incoming, Destination::Image).unwrap();
        assert_eq!(at(&filed).as_str(), format!("images/2021/11/17/1.2.3/1.2.3.4/{instance}.dcm"));
        let path = fixture.folder().join(at(&filed).as_str());
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.ends_with(&data), "the data set stands behind the file meta group, untouched");
        assert_eq!(bytes.len() as u64, filed.file_size());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o440);
        assert_eq!(fixture.store.digest(filed.place()).unwrap(), (filed.digest().unwrap(), filed.length()));
        let found = fixture.store.examine(at(&filed), &|_| CharacterSet::ascii()).unwrap().filed(Destination::Image);
        assert_eq!((found.identity(), found.header(), found.origin()), (filed.identity(), filed.header(), &origin()));
    }
    assert_ne!(data.len(), 0);
    assert_eq!((fixture.files().len(), fixture.parts()), (4, 0));
}

#[tokio::test]
async fn a_header_beyond_what_was_gathered_is_read_from_the_file() {
    let fixture = Fixture::new();
    let mut elements = Elements::new();
    elements.put(tags::SOP_CLASS_UID, CLASS).put(tags::SOP_INSTANCE_UID, "1.2.3.4.5");
    elements.put_bytes(crate::dicom::Tag(0x0009, 0x1010), *b"UN", &[1; 500_000]);
    elements.put(tags::STUDY_INSTANCE_UID, "1.2.3").put(tags::SERIES_INSTANCE_UID, "1.2.4");
    let data = elements.write(Encoding::ExplicitLe);
    let incoming =
        fixture.store.receive(stream("1.2.3.4.5", &data, 10_000, false), CharacterSet::ascii()).await.unwrap();
    assert_eq!(incoming.identity.study.as_str(), "1.2.3");
    assert_eq!(incoming.scan, Ok(()));
}

#[tokio::test]
async fn what_is_cut_short_leaves_nothing() {
    let fixture = Fixture::new();
    let data = data_set("1.2.3", "1.2.3.4.5", &[7; 1_000_000]);
    for length in [0, 1, 500, 100_000, 200_000, data.len()] {
        let cut = stream("1.2.3.4.5", &data[..length], 1_000, true);
        let outcome = fixture.store.receive(cut, CharacterSet::ascii()).await;
        assert!(matches!(outcome, Err(StoreError::CutShort)), "{length}");
    }
    assert_eq!((fixture.files().len(), fixture.parts()), (0, 0));
}

#[tokio::test]
async fn a_data_set_that_contradicts_its_command_says_so() {
    let fixture = Fixture::new();
    let data = data_set("1.2.3", "1.2.3.4.5", &[7; 10]);
    let incoming = fixture.store.receive(stream("1.2.3.4.6", &data, 1000, false), CharacterSet::ascii()).await.unwrap();
    assert_eq!(incoming.identity.instance.as_str(), "1.2.3.4.6", "the command says what it is");
    let mismatch = incoming.mismatch.clone().unwrap();
    assert!(mismatch.contains("1.2.3.4.5") && mismatch.contains("1.2.3.4.6"), "{mismatch}");
    let reason = String::from("UIDs contradict");
    let filed = fixture.settle(incoming, Destination::Quarantine { reason: reason.clone() }).unwrap();
    assert!(at(&filed).is_quarantine());
    let reasons = fixture.store.journal().quarantine_reasons().unwrap();
    assert_eq!(reasons[&(filed.digest().unwrap(), filed.identity().instance.clone())], (reason, false));
}

#[tokio::test]
async fn the_same_bytes_under_a_name_are_adopted_and_others_stay() {
    let fixture = Fixture::new();
    let one = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    let same = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    let other = fixture.receive("1.2.3", "1.2.3.4.5", &[2; 10]).await;
    let first = fixture.settle(one, Destination::Image).unwrap();
    let before = std::fs::read(fixture.folder().join(at(&first).as_str())).unwrap();
    assert_eq!(fixture.settle(same, Destination::Image).unwrap().place(), first.place());
    let beside = fixture.settle(other, Destination::Image).unwrap();
    assert_ne!(beside.place(), first.place());
    assert!(at(&beside).as_str().contains("1.2.3.4.5~"), "{}", beside.place());
    assert_eq!(std::fs::read(fixture.folder().join(at(&first).as_str())).unwrap(), before);
    assert_eq!((fixture.files().len(), fixture.parts()), (2, 0));
}

#[tokio::test]
async fn a_repeated_object_is_discarded_only_if_the_first_is_there() {
    let fixture = Fixture::new();
    let first = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    let first = fixture.settle(first, Destination::Image).unwrap();
    let discard = || Destination::Discard { of: first.place().clone(), length: first.length() };
    let again = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    assert_eq!(fixture.settle(again, discard()).unwrap().place(), first.place());
    let path = fixture.folder().join(at(&first).as_str());
    std::fs::remove_file(&path).unwrap();
    let again = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    assert!(matches!(fixture.settle(again, discard()), Err(StoreError::Missing { .. })));
    std::fs::write(&path, b"half of it").unwrap();
    let mut again = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    again.restores(first.place().clone());
    assert_eq!(fixture.settle(again, Destination::Image).unwrap().place(), first.place());
    assert_eq!(fixture.store.digest(first.place()).unwrap().0, first.digest().unwrap());
}

#[tokio::test]
async fn a_batch_settles_each_on_its_own() {
    let fixture = Fixture::new();
    let mut batch = Vec::new();
    for n in 0..40 {
        let incoming = fixture.receive(&format!("1.2.{}", n % 5), &format!("1.2.3.{n}"), &[1; 100]).await;
        let missing = RelativePath::parse("images/nothing").unwrap();
        let gone = Destination::Discard { of: missing.into(), length: 5 };
        batch.push((incoming, if n % 4 == 1 { gone } else { Destination::Image }));
    }
    let settled = fixture.store.settle(batch);
    for (n, outcome) in settled.outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), n % 4 == 1, "{n}: {outcome:?}");
    }
    fixture.store.recorded(settled.number.unwrap());
    assert_eq!((fixture.files().len(), fixture.parts()), (30, 0));
    let walked: Vec<_> = fixture.store.walk().map(|file| file.unwrap().place.to_string()).collect();
    assert_eq!(walked.iter().cloned().collect::<BTreeSet<_>>(), fixture.files());
    drop(settled);
    let folder = fixture.folder();
    drop(fixture.store);
    let left: Vec<_> = std::fs::read_dir(folder.join("incoming")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [".gate"], "a process that ends in order leaves nothing");
}

#[tokio::test]
async fn a_folder_that_is_removed_by_hand_is_made_again() {
    let fixture = Fixture::new();
    let one = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    fixture.settle(one, Destination::Image).unwrap();
    std::fs::remove_dir_all(fixture.folder().join("images/2021")).unwrap();
    let two = fixture.receive("1.2.3", "1.2.3.4.6", &[1; 10]).await;
    fixture.settle(two, Destination::Image).unwrap();
    assert_eq!(fixture.files().len(), 1);
}

#[tokio::test]
async fn a_folder_that_is_not_mounted_takes_nothing() {
    let fixture = Fixture::new();
    let here = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    let away = fixture.temp.path().join("away");
    std::fs::rename(fixture.folder(), &away).unwrap();
    std::fs::create_dir(fixture.folder()).unwrap();
    assert!(matches!(fixture.settle(here, Destination::Image), Err(StoreError::NotMounted(_))));
    // A good answer about the folder is kept for a moment.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let data = data_set("1.2.3", "1.2.3.4.6", &[1; 10]);
    while let Ok(incoming) = fixture.store.receive(stream("1.2.3.4.6", &data, 100, false), CharacterSet::ascii()).await
    {
        drop(incoming);
        assert!(std::time::Instant::now() < deadline, "nobody notices that the folder is gone");
    }
    assert!(matches!(fixture.store.check_room(), Err(StoreError::NotMounted(_))));
    assert_eq!(std::fs::read_dir(fixture.folder()).unwrap().count(), 0, "nothing is written elsewhere");
}

/// Makes what a process leaves that is killed after writing its manifest: its folder, unlocked.
fn kill(fixture: &Fixture, batch: Vec<(Incoming, Destination)>, renamed: bool) -> Vec<Result<Filed, StoreError>> {
    let dead = fixture.folder().join("incoming/1-dead");
    let process = Arc::clone(fixture.store.process().unwrap());
    let living = std::fs::read_dir(fixture.folder().join("incoming")).unwrap().map(|e| e.unwrap().path());
    let living = living.into_iter().find(|path| path.is_dir() && *path != dead).unwrap();
    let copy = |from: &Path| {
        std::fs::create_dir_all(&dead).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, dead.join(path.file_name().unwrap())).unwrap();
        }
    };
    if renamed {
        let settled = fixture.store.settle(batch);
        copy(&living);
        fixture.store.recorded(settled.number.unwrap());
        return settled.outcomes;
    }
    let entries = batch.iter().filter_map(|(i, d)| manifest::Entry::of(i, d, &settle::places_of(i, d))).collect();
    let number = process.manifest.begin(entries).unwrap();
    copy(&living);
    process.manifest.recorded(number);
    Vec::new()
}

#[tokio::test]
async fn the_sweep_finds_what_was_renamed() {
    let fixture = Fixture::new();
    let one = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    let two = fixture.receive("1.2.3", "1.2.3.4.6", &[1; 10]).await;
    let reason = Destination::Quarantine { reason: "why".into() };
    let filed = kill(&fixture, vec![(one, Destination::Image), (two, reason.clone())], true);
    let swept = fixture.store.sweep(&|_| CharacterSet::ascii()).unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!((swept[0].whole.len(), swept[0].leftovers), (0, 0));
    for (found, filed) in swept[0].finished.iter().zip(filed.iter().map(|f| f.as_ref().unwrap())) {
        assert_eq!(
            (found.place(), found.digest(), found.file_size()),
            (filed.place(), filed.digest(), filed.file_size())
        );
        assert_eq!(
            (found.destination(), found.origin(), found.header()),
            (filed.destination(), filed.origin(), filed.header())
        );
    }
    assert_eq!(swept[0].finished.len(), 2);
    for swept in swept {
        fixture.store.bury(swept).unwrap();
    }
    assert!(fixture.store.sweep(&|_| CharacterSet::ascii()).unwrap().is_empty());
    assert_eq!(fixture.files().len(), 2);
}

#[tokio::test]
async fn the_sweep_takes_over_what_is_whole_and_removes_what_is_not() {
    let fixture = Fixture::new();
    let one = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    let two = fixture.receive("1.2.3", "1.2.3.4.6", &[1; 10]).await;
    let torn = two.content.part().unwrap().name().to_owned();
    let unanswered = fixture.receive("1.2.3", "1.2.3.4.7", &[1; 10]).await;
    let digest = one.digest;
    kill(&fixture, vec![(one, Destination::Image), (two, Destination::Image)], false);
    drop(unanswered);
    let torn = fixture.folder().join("incoming/1-dead").join(torn);
    std::fs::set_permissions(&torn, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&torn).unwrap().set_len(600).unwrap();
    let mut swept = fixture.store.sweep(&|_| CharacterSet::ascii()).unwrap();
    assert_eq!((swept[0].finished.len(), swept[0].whole.len(), swept[0].leftovers), (0, 1, 2));
    let whole = swept[0].whole.remove(0);
    assert_eq!((whole.digest, &whole.origin), (digest, &origin()));
    let filed = fixture.settle(whole, Destination::Image).unwrap();
    assert_eq!(fixture.store.digest(filed.place()).unwrap().0, digest.unwrap());
    fixture.store.bury(swept.remove(0)).unwrap();
    assert_eq!((fixture.files().len(), fixture.parts()), (1, 0));
}

#[tokio::test]
async fn an_object_that_the_catalog_refuses_is_taken_back() {
    let fixture = Fixture::new();
    let one = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    let filed = fixture.settle(one, Destination::Image).unwrap();
    let back = fixture.store.take_back(at(&filed), origin(), &|_| CharacterSet::ascii()).unwrap();
    assert_eq!((fixture.files().len(), fixture.parts()), (0, 1));
    let again = fixture.settle(back, Destination::Collision).unwrap();
    assert_eq!((again.digest(), again.header()), (filed.digest(), filed.header()));
    assert_eq!(fixture.files().len(), 1);
}

#[tokio::test]
async fn the_walk_reports_what_is_not_ours_and_goes_on() {
    let fixture = Fixture::new();
    let one = fixture.receive("1.2.3", "1.2.3.4.5", &[1; 10]).await;
    fixture.settle(one, Destination::Image).unwrap();
    std::fs::write(fixture.folder().join("images/2021/Thumbs.db"), b"x").unwrap();
    std::os::unix::fs::symlink("/etc", fixture.folder().join("images/0000")).unwrap();
    let (files, strange): (Vec<_>, Vec<_>) = fixture.store.walk().partition(Result::is_ok);
    assert_eq!((files.len(), strange.len()), (1, 2), "{strange:?}");
}

/// A small file system of its own; gone when this is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where the test may not mount.
    fn mount(options: &str) -> Option<SmallDisk> {
        let temp = tempfile::tempdir().unwrap();
        let mount =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(temp.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(temp)),
            other => {
                eprintln!("skipped: this test needs to mount a small file system, as root: {other:?}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "could not unmount {}", self.0.path().display());
    }
}

#[tokio::test]
async fn a_disk_that_fills_keeps_what_it_has_and_takes_more_when_there_is_room() {
    let Some(disk) = SmallDisk::mount("size=4m") else { return };
    let folder = disk.0.path().join("store");
    let store = Store::create(&folder, 0).unwrap();
    let receive = async |n: usize| {
        let instance = format!("1.2.3.4.{n}");
        let data = data_set("1.2.3", &instance, &vec![7; 700_000]);
        store.receive(stream(&instance, &data, 50_000, false), CharacterSet::ascii()).await
    };
    let mut filed = Vec::new();
    let full = loop {
        match receive(filed.len()).await {
            Ok(incoming) => filed.push(store.settle(vec![(incoming, Destination::Image)]).outcomes.remove(0).unwrap()),
            Err(error) => break error,
        }
        assert!(filed.len() < 10, "the disk never fills");
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    assert_eq!(full.disposition(), crate::object::Disposition::Halt);
    let mut parts = BTreeSet::new();
    collect(&folder, &folder.join("incoming"), &mut parts);
    assert!(!parts.iter().any(|name| name.ends_with(".part")), "{parts:?}");
    for filed in &filed {
        assert_eq!(store.digest(filed.place()).unwrap().0, filed.digest().unwrap());
    }
    std::fs::remove_file(folder.join(at(&filed[0]).as_str())).unwrap();
    receive(99).await.unwrap();
}

#[tokio::test]
async fn the_reserve_stops_a_long_object_half_way() {
    let Some(disk) = SmallDisk::mount("size=80m") else { return };
    let store = Store::create(&disk.0.path().join("store"), 40 << 20).unwrap();
    let data = data_set("1.2.3", "1.2.3.4.5", &vec![7; 60 << 20]);
    let outcome = store.receive(stream("1.2.3.4.5", &data, 1 << 20, false), CharacterSet::ascii()).await;
    assert!(matches!(outcome, Err(StoreError::Full(_))), "{outcome:?}");
    store.root().check_mounted().unwrap();
    let (free, _) = store.root().folder.room().unwrap();
    assert!(free > 70 << 20, "what was written is gone again: {free}");
}
