//! The door with a real store and a real catalog behind it.
#![expect(clippy::disallowed_methods, reason = "the tests do to the folder what people and crashes do")]

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::dataset::Elements;
use crate::dicom::{Encoding, SopClassUid, SopInstanceUid, StudyInstanceUid, Tag, TransferSyntaxUid, tags, uids};
use crate::object::{Fragment, Origin};

mod adopt;
mod files;
mod links;

const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";
const UID: &str = "1.2.3.4.5";

struct Fixture {
    temp: TempDir,
    intake: Intake,
}

/// What is sent: an object that each test changes in one way.
#[derive(Clone)]
struct Sent {
    instance: String,
    elements: Elements,
    encoding: Encoding,
}

impl Sent {
    fn new() -> Sent {
        let mut elements = Elements::new();
        elements.put(tags::SOP_CLASS_UID, CLASS).put(tags::SOP_INSTANCE_UID, UID).put(tags::STUDY_DATE, "20211117");
        elements.put(tags::PATIENT_NAME, "Test^One").put(tags::STUDY_INSTANCE_UID, "1.2.3");
        elements.put(tags::SERIES_INSTANCE_UID, "1.2.3.4").put_bytes(tags::PIXEL_DATA, *b"OW", &[7; 5000]);
        Sent { instance: UID.into(), elements, encoding: Encoding::ExplicitLe }
    }

    fn with(mut self, tag: Tag, value: &str) -> Sent {
        self.elements.put(tag, value);
        self
    }

    fn without(mut self, tag: Tag) -> Sent {
        self.elements.remove(tag);
        self
    }

    fn pixels(mut self, value: u8) -> Sent {
        self.elements.put_bytes(tags::PIXEL_DATA, *b"OW", &[value; 5000]);
        self
    }

    fn number(self, n: usize) -> Sent {
        let instance = format!("{UID}.{n}");
        Sent { instance: instance.clone(), ..self.with(tags::SOP_INSTANCE_UID, &instance) }
    }

    fn stream(&self) -> ObjectStream {
        stream(&self.instance, self.encoding, self.elements.write(self.encoding))
    }
}

fn stream(instance: &str, encoding: Encoding, data: Vec<u8>) -> ObjectStream {
    let (sender, fragments) = mpsc::channel(8);
    sender.try_send(Fragment::Data(Bytes::from(data))).unwrap();
    sender.try_send(Fragment::End).unwrap();
    let syntax = if encoding == Encoding::ImplicitLe { uids::IMPLICIT_LE } else { uids::EXPLICIT_LE };
    ObjectStream {
        class: SopClassUid::new(CLASS),
        instance: SopInstanceUid::new(instance),
        transfer_syntax: TransferSyntaxUid::new(syntax),
        origin: Origin {
            source: Some("oldpacs".into()),
            ae_title: "OLDPACS".into(),
            address: [127, 0, 0, 1].into(),
            association: 3,
        },
        fragments,
    }
}

impl Fixture {
    fn new() -> Fixture {
        let temp = tempfile::tempdir().unwrap();
        let intake = Fixture::process(temp.path(), "one");
        Fixture { temp, intake }
    }

    /// What a process on this storage folder and this catalog has.
    fn process(path: &Path, name: &str) -> Intake {
        let store = Store::create(&path.join("store"), 0).unwrap();
        let catalog = Catalog::open(&path.join("catalog.db")).unwrap();
        Intake::start(store, catalog, name.to_owned()).unwrap()
    }

    async fn send(&self, sent: &Sent) -> Recorded {
        send(&self.intake, sent.stream()).await
    }

    fn existing(&self, uid: &str) -> Option<crate::catalog::Existing> {
        self.intake.catalog.existing(&SopInstanceUid::new(uid)).unwrap()
    }

    fn path(&self, uid: &str) -> PathBuf {
        self.temp.path().join("store").join(self.existing(uid).unwrap().current.place.stored().unwrap().as_str())
    }

    fn files(&self) -> BTreeSet<String> {
        self.intake.store.walk().map(|file| file.unwrap().place.to_string()).collect()
    }

    /// Everything that the catalog says is filed is there, and has its digest.
    fn verify(&self, uid: &str) {
        let existing = self.existing(uid).unwrap();
        for copy in std::iter::once(&existing.current).chain(&existing.variants) {
            let (digest, length) = self.intake.store.digest(&copy.place).unwrap();
            assert_eq!((copy.digest.unwrap_or(digest), copy.length), (digest, length));
        }
    }
}

async fn send(intake: &Intake, stream: ObjectStream) -> Recorded {
    match intake.store(stream, CharacterSet::ascii(), &|_| false).await.unwrap() {
        Stored::Recorded(recorded) => recorded,
        Stored::Received => panic!("nobody said that it may be answered early"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_comes_again_is_filed_once() {
    let fixture = Fixture::new();
    let sent = Sent::new();
    assert_eq!(fixture.send(&sent).await, Recorded::New);
    assert_eq!(fixture.send(&sent).await, Recorded::Duplicate);
    let implicit = Sent { encoding: Encoding::ImplicitLe, ..sent.clone() };
    assert_eq!(fixture.send(&implicit).await, Recorded::Duplicate, "the same values in another encoding");
    assert_eq!(fixture.files().len(), 1);
    fixture.verify(UID);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_header_is_a_variant_and_other_pixels_are_a_collision() {
    let fixture = Fixture::new();
    let sent = Sent::new();
    assert_eq!(fixture.send(&sent).await, Recorded::New);
    let first = fixture.existing(UID).unwrap().current;
    let renamed = sent.clone().with(tags::PATIENT_NAME, "Test^Two");
    assert_eq!(fixture.send(&renamed).await, Recorded::Variant);
    assert_eq!(fixture.send(&renamed).await, Recorded::Duplicate);
    let repainted = sent.clone().pixels(8);
    assert_eq!(fixture.send(&repainted).await, Recorded::Collision);
    assert_eq!(fixture.send(&repainted).await, Recorded::Collision);
    assert_eq!(fixture.send(&sent).await, Recorded::Duplicate);
    let existing = fixture.existing(UID).unwrap();
    assert_eq!(existing.current, first, "the first stays current");
    assert_eq!(existing.variants.len(), 1);
    assert_eq!(fixture.files().len(), 3);
    let quarantined = fixture.intake.catalog.quarantined_of_study(&StudyInstanceUid::new("1.2.3")).await.unwrap();
    assert_eq!(quarantined.iter().map(|q| q.collision).collect::<Vec<_>>(), [true]);
    fixture.verify(UID);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_uid_in_another_study_is_not_lost() {
    let fixture = Fixture::new();
    assert_eq!(fixture.send(&Sent::new()).await, Recorded::New);
    let elsewhere = Sent::new().with(tags::STUDY_INSTANCE_UID, "1.2.9").with(tags::SERIES_INSTANCE_UID, "1.2.9.1");
    assert_eq!(fixture.send(&elsewhere).await, Recorded::Variant);
    assert_eq!(fixture.send(&elsewhere.pixels(9)).await, Recorded::Collision);
    assert_eq!(fixture.files().len(), 3);
    fixture.verify(UID);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_filed_is_kept_with_its_reason() {
    let fixture = Fixture::new();
    let no_study = Sent::new().without(tags::STUDY_INSTANCE_UID).number(1);
    let other = Sent { instance: "1.2.99".into(), ..Sent::new() };
    let garbage = stream("1.2.3.4.9", Encoding::ExplicitLe, [[8, 0, 5, 0, b'C', b'S', 0xFF, 0xFF], [b'x'; 8]].concat());
    let reasons = [
        (no_study.stream(), "identifiers missing or invalid: no Study Instance UID"),
        (other.stream(), "UIDs contradict the command"),
        (garbage, "header cannot be read"),
    ];
    for (stream, reason) in reasons {
        match send(&fixture.intake, stream).await {
            Recorded::Quarantined(why) => assert!(why.starts_with(reason), "{why}"),
            other => panic!("{reason}: {other:?}"),
        }
    }
    // May be answered early: but not this.
    let again = fixture.intake.store(no_study.stream(), CharacterSet::ascii(), &|_| true).await.unwrap();
    assert!(matches!(again, Stored::Recorded(Recorded::Quarantined(_))), "{again:?}");
    assert_eq!(fixture.files().len(), 3);
    assert!(fixture.files().iter().all(|place| place.starts_with("quarantine/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_uid_is_filed_under_a_hash() {
    let fixture = Fixture::new();
    for hostile in ["../../../x", "LOCALIZER", "1.02.3"] {
        let sent = Sent::new().with(tags::STUDY_INSTANCE_UID, hostile).with(tags::SOP_INSTANCE_UID, hostile);
        assert_eq!(fixture.send(&Sent { instance: hostile.into(), ..sent }).await, Recorded::New, "{hostile}");
        fixture.verify(hostile);
    }
    assert_eq!(
        std::fs::read_dir(fixture.temp.path()).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_removed_or_damaged_by_hand_is_filed_again() {
    let fixture = Fixture::new();
    let sent = Sent::new();
    assert_eq!(fixture.send(&sent).await, Recorded::New);
    std::fs::remove_file(fixture.path(UID)).unwrap();
    assert_eq!(fixture.send(&sent).await, Recorded::Duplicate);
    fixture.verify(UID);
    let path = fixture.path(UID);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"half of it").unwrap();
    assert_eq!(fixture.send(&sent).await, Recorded::Duplicate);
    fixture.verify(UID);
    assert_eq!(fixture.files().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_followed_by_the_batch() {
    let fixture = Fixture::new();
    for n in 0..300 {
        let stored =
            fixture.intake.store(Sent::new().number(n).stream(), CharacterSet::ascii(), &|_| true).await.unwrap();
        assert_eq!(stored, Stored::Received);
    }
    fixture.intake.flush().await.unwrap();
    for n in 0..300 {
        fixture.verify(&format!("{UID}.{n}"));
    }
    assert_eq!(fixture.files().len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_finishes_what_is_queued() {
    let fixture = Fixture::new();
    for n in 0..50 {
        fixture.intake.store(Sent::new().number(n).stream(), CharacterSet::ascii(), &|_| true).await.unwrap();
    }
    let other = fixture.intake.clone();
    other.close().await.unwrap();
    for n in 0..50 {
        fixture.verify(&format!("{UID}.{n}"));
    }
    let late = fixture.intake.store(Sent::new().stream(), CharacterSet::ascii(), &|_| false).await;
    assert!(matches!(late, Err(IntakeError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_at_the_same_time_over_two_processes_is_filed_once() {
    let fixture = Fixture::new();
    let second = Fixture::process(fixture.temp.path(), "two");
    for round in 0..12 {
        // Twice the same, one with another header, one with other pixels, all at once.
        let sent = Sent::new().number(round);
        let all =
            [sent.clone(), sent.clone(), sent.clone().with(tags::PATIENT_NAME, "Test^Two"), sent.clone().pixels(8)];
        let mut tasks = Vec::new();
        for (n, sent) in all.iter().cycle().take(16).enumerate() {
            let intake = if n % 2 == 0 { fixture.intake.clone() } else { second.clone() };
            let stream = sent.stream();
            tasks.push(async move { send(&intake, stream).await });
        }
        let mut set = tokio::task::JoinSet::new();
        for task in tasks {
            set.spawn(task);
        }
        let outcomes = set.join_all().await;
        let uid = sent.instance.as_str();
        assert_eq!(outcomes.iter().filter(|o| **o == Recorded::New).count(), 1, "{outcomes:?}");
        assert!(!outcomes.contains(&Recorded::Contested));
        fixture.verify(uid);
    }
    // Each of the three contents once, wherever it went.
    let files = fixture.files();
    assert_eq!(files.len(), 12 * 3, "{files:#?}");
    second.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stands_still_keeps_nobody_for_ever() {
    let fixture = Fixture::new();
    let frozen = fixture.intake.catalog.uid_locks().unwrap();
    assert!(frozen.try_lock(&SopInstanceUid::new(UID)).unwrap());
    let stored = fixture.intake.store(Sent::new().stream(), CharacterSet::ascii(), &|_| false).await;
    assert!(matches!(&stored, Err(IntakeError::Locked { uid, .. }) if uid.as_str() == UID), "{stored:?}");
    assert_eq!(fixture.send(&Sent::new().number(1)).await, Recorded::New, "others are not concerned");
    drop(frozen);
    assert_eq!(fixture.send(&Sent::new()).await, Recorded::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_records_what_a_dead_process_filed() {
    let fixture = Fixture::new();
    let folder = fixture.temp.path().join("store");
    {
        // A process that dies between the rename and the commit: settled, and nobody says so.
        let store = Store::open(&folder, 0).unwrap();
        let incoming = store.receive(Sent::new().stream(), CharacterSet::ascii()).await.unwrap();
        let settled = store.settle(vec![(incoming, crate::store::Destination::Image)]);
        assert!(settled.outcomes[0].is_ok() && settled.number.is_some());
        let no_study = Sent::new().without(tags::STUDY_INSTANCE_UID).number(1);
        let incoming = store.receive(no_study.stream(), CharacterSet::ascii()).await.unwrap();
        let reason = crate::store::Destination::Quarantine { reason: "why".into() };
        store.settle(vec![(incoming, reason)]);
    }
    assert!(fixture.existing(UID).is_none());
    let report = fixture.intake.sweep(|_| CharacterSet::ascii()).await.unwrap();
    assert_eq!(report, SweepReport { folders: 1, recorded: 2, filed: 0, removed: 0 });
    fixture.verify(UID);
    assert_eq!(fixture.intake.sweep(|_| CharacterSet::ascii()).await.unwrap(), SweepReport::default());
    assert_eq!(fixture.send(&Sent::new()).await, Recorded::Duplicate);
    assert_eq!(fixture.files().len(), 2);
}
