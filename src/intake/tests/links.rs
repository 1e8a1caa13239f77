//! Files that stay where they are, and what comes beside them.

use super::files::{OnDisk, large};
use super::*;
use crate::store::{Journal, JournalEntry, Link, Place};

impl Fixture {
    async fn link(&self, file: &OnDisk, how: How) -> Recorded {
        self.intake.file(file.scanned(), how).await.unwrap()
    }

    fn linked(&self, uid: &str) -> Option<Link> {
        self.existing(uid).unwrap().current.place.linked().cloned()
    }

    fn journal(&self) -> Vec<JournalEntry> {
        let mut entries = Vec::new();
        let journal: &Journal = self.intake.store.journal();
        journal.read(|entry| entries.push(entry)).unwrap();
        entries
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_points_to_the_file_and_copies_nothing() {
    let fixture = Fixture::new();
    let name = std::ffi::OsStr::from_bytes(b"no \xff text").to_owned();
    let file = OnDisk::write(&fixture.temp.path().join(name), &Sent::new());
    assert_eq!(fixture.link(&file, How::Link).await, Recorded::New);
    let scanned = file.scanned();
    let link = fixture.linked(UID).unwrap();
    assert_eq!((&link.path, link.offset, link.size), (&scanned.path, scanned.offset, scanned.size));
    assert_eq!(fixture.existing(UID).unwrap().current.digest, None);
    assert!(fixture.files().is_empty());
    fixture.verify(UID);
    assert_eq!(fixture.link(&file, How::Link).await, Recorded::Duplicate);
    assert_eq!(fixture.existing(UID).unwrap().current.digest, None, "the same file again tells nothing new");
    assert_eq!(fixture.link(&file, How::LinkHashed).await, Recorded::Duplicate);
    assert_eq!(fixture.existing(UID).unwrap().current.digest, Some(blake3::hash(&file.data).into()));
    let entries = fixture.journal();
    assert!(matches!(&entries[0], JournalEntry::Linked { files, .. } if files.len() == 1), "{entries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_beside_a_link_is_judged_by_its_bytes() {
    let fixture = Fixture::new();
    let sent = Sent::new();
    assert_eq!(fixture.link(&fixture.on_disk(&sent), How::Link).await, Recorded::New);
    assert_eq!(fixture.send(&sent).await, Recorded::Duplicate, "over the network");
    assert!(fixture.existing(UID).unwrap().current.digest.is_some(), "a digest that was needed is kept");
    assert_eq!(fixture.send(&sent.clone().with(tags::PATIENT_NAME, "Test^Two")).await, Recorded::Variant);
    assert_eq!(fixture.send(&sent.clone().pixels(8)).await, Recorded::Collision);
    assert!(fixture.linked(UID).is_some(), "the first stays current");
    assert_eq!(fixture.files().len(), 2);
    fixture.verify(UID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_beside_what_is_filed_is_judged_by_its_bytes() {
    let fixture = Fixture::new();
    let sent = Sent::new();
    assert_eq!(fixture.send(&sent).await, Recorded::New);
    assert_eq!(fixture.link(&fixture.on_disk(&sent), How::Link).await, Recorded::Duplicate);
    let renamed = sent.clone().with(tags::PATIENT_NAME, "Test^Two");
    let beside = OnDisk::write(&fixture.temp.path().join("renamed"), &renamed);
    assert_eq!(fixture.link(&beside, How::Link).await, Recorded::Variant);
    assert_eq!(fixture.link(&beside, How::Link).await, Recorded::Duplicate);
    assert!(fixture.existing(UID).unwrap().variants[0].place.linked().is_some());
    assert_eq!(fixture.files().len(), 1);
    // What cannot be filed is copied, since the folder may go away and quarantine must not.
    let collides = OnDisk::write(&fixture.temp.path().join("collides"), &large(sent));
    assert_eq!(fixture.link(&collides, How::Link).await, Recorded::Collision);
    assert_eq!(fixture.files().len(), 2);
    let no_study = Sent::new().without(tags::STUDY_INSTANCE_UID).number(1);
    assert!(matches!(fixture.link(&fixture.on_disk(&no_study), How::Link).await, Recorded::Quarantined(_)));
    assert_eq!(fixture.files().len(), 3);
    fixture.verify(UID);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_linked_file_is_gone_the_same_bytes_take_its_row() {
    for how in [How::Link, How::LinkHashed] {
        let fixture = Fixture::new();
        let sent = Sent::new();
        let file = fixture.on_disk(&sent);
        assert_eq!(fixture.link(&file, how).await, Recorded::New);
        let moved = fixture.temp.path().join("moved");
        std::fs::rename(&file.path, &moved).unwrap();
        let file = OnDisk { path: moved, ..file };
        assert_eq!(fixture.link(&file, how).await, Recorded::Duplicate);
        assert_eq!(fixture.linked(UID).unwrap().path, file.path, "{how:?}: the folder has moved");
        std::fs::remove_file(&file.path).unwrap();
        assert_eq!(fixture.send(&sent).await, Recorded::Duplicate, "{how:?}");
        assert_eq!(fixture.linked(UID), None, "{how:?}: it came over the network");
        assert_eq!(fixture.files().len(), 1);
        fixture.verify(UID);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_linked_file_is_gone_or_changed_other_bytes_take_its_row() {
    for (how, is_gone) in [(How::Link, true), (How::Link, false), (How::LinkHashed, true), (How::LinkHashed, false)] {
        let fixture = Fixture::new();
        let file = fixture.on_disk(&Sent::new());
        assert_eq!(fixture.link(&file, how).await, Recorded::New);
        if is_gone {
            std::fs::remove_file(&file.path).unwrap();
        } else {
            std::fs::write(&file.path, b"a shopping list").unwrap();
        }
        let other = Sent::new().pixels(8);
        assert_eq!(fixture.send(&other).await, Recorded::Duplicate, "{how:?} {is_gone}");
        assert_eq!(fixture.linked(UID), None, "{how:?} {is_gone}");
        fixture.verify(UID);
        assert_eq!(fixture.send(&other).await, Recorded::Duplicate);
        // What is ours is another matter.
        assert_eq!(fixture.send(&Sent::new()).await, Recorded::Collision, "{how:?} {is_gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_study_does_not_take_the_row_of_known_bytes() {
    let fixture = Fixture::new();
    let file = fixture.on_disk(&Sent::new());
    assert_eq!(fixture.link(&file, How::LinkHashed).await, Recorded::New);
    std::fs::remove_file(&file.path).unwrap();
    assert_eq!(fixture.send(&Sent::new().with(tags::STUDY_INSTANCE_UID, "1.2.9")).await, Recorded::Collision);
    assert!(fixture.linked(UID).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_file_that_was_overwritten_is_linked_anew() {
    let fixture = Fixture::new();
    let file = fixture.on_disk(&Sent::new());
    assert_eq!(fixture.link(&file, How::Link).await, Recorded::New);
    let again = OnDisk::write(&file.path, &large(Sent::new()));
    assert_eq!(fixture.link(&again, How::Link).await, Recorded::Duplicate);
    assert_eq!(fixture.linked(UID).unwrap().size, again.scanned().size);
    fixture.verify(UID);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_storage_folder_gets_its_entry_only() {
    let fixture = Fixture::new();
    let store = std::fs::canonicalize(fixture.temp.path().join("store")).unwrap();
    let ours = store.join("images/2021/11/17/1.2.3/1.2.3.4");
    std::fs::create_dir_all(&ours).unwrap();
    let as_the_layout_has_it = OnDisk::write(&ours.join("1.2.3.4.5.1.dcm"), &Sent::new().number(1));
    let elsewhere = OnDisk::write(&store.join("images/IMG0001"), &Sent::new().number(2));
    for file in [&as_the_layout_has_it, &elsewhere] {
        assert_eq!(fixture.link(file, How::Owned).await, Recorded::New);
        assert_eq!(fixture.link(file, How::Owned).await, Recorded::Duplicate);
    }
    let place = |n: usize| fixture.existing(&format!("{UID}.{n}")).unwrap().current.place;
    assert!(matches!(place(1), Place::Stored(at) if at.as_str() == "images/2021/11/17/1.2.3/1.2.3.4/1.2.3.4.5.1.dcm"));
    assert_eq!(place(2).linked().unwrap().path, elsewhere.path);
    fixture.verify("1.2.3.4.5.1");
    fixture.verify("1.2.3.4.5.2");
    assert_eq!(fixture.send(&Sent::new().number(1)).await, Recorded::Duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_links_at_once_are_each_recorded_once() {
    let fixture = Fixture::new();
    let second = Fixture::process(fixture.temp.path(), "two");
    let mut set = tokio::task::JoinSet::new();
    for n in 0..200 {
        let scanned = fixture.on_disk(&Sent::new().number(n)).scanned();
        for (intake, how) in [(&fixture.intake, How::Link), (&second, How::Link), (&second, How::Copy)] {
            let (intake, scanned) = (intake.clone(), scanned.clone());
            set.spawn(async move { intake.file(scanned, how).await.unwrap() });
        }
    }
    let outcomes = set.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Recorded::New).count(), 200, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Recorded::Duplicate).count(), 400);
    for n in 0..200 {
        fixture.verify(&format!("{UID}.{n}"));
    }
    second.close().await.unwrap();
}
