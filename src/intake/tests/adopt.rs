//! Links that become copies.

use super::files::{OnDisk, large};
use super::*;
use crate::catalog::Swap;
use crate::store::{Destination, Place, StoreError};

impl Fixture {
    async fn adopt(&self) -> Adopted {
        self.intake.adopt_study(&StudyInstanceUid::new("1.2.3"), None).await.unwrap()
    }

    async fn linked_studies(&self) -> usize {
        self.intake.catalog.linked_studies(None, 100).await.unwrap().len()
    }

    fn is_stored(&self, uid: &str) -> bool {
        self.existing(uid).unwrap().current.place.stored().is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_of_links_becomes_one_of_copies() {
    let fixture = Fixture::new();
    let mut originals = Vec::new();
    for n in 0..150 {
        let sent = if n % 50 == 0 { large(Sent::new().number(n)) } else { Sent::new().number(n) };
        let file = fixture.on_disk(&sent);
        let mut scanned = file.scanned();
        if n == 3 {
            // A bare data set, which needs a head.
            std::fs::write(&file.path, &file.data).unwrap();
            scanned = SourceFile { offset: 0, head_is_sound: false, ..file.scanned() };
        }
        let how = if n % 2 == 0 { How::Link } else { How::LinkHashed };
        assert_eq!(fixture.intake.file(scanned, how).await.unwrap(), Recorded::New);
        originals.push((file.path.clone(), std::fs::read(&file.path).unwrap()));
    }
    let variant = OnDisk::write(
        &fixture.temp.path().join("variant"),
        &Sent::new().number(1).with(tags::PATIENT_NAME, "Test^Two"),
    );
    assert_eq!(fixture.intake.file(variant.scanned(), How::Link).await.unwrap(), Recorded::Variant);
    assert_eq!((fixture.linked_studies().await, fixture.files().len()), (1, 0));

    let adopted = fixture.adopt().await;
    assert_eq!((adopted.objects, adopted.left.len()), (151, 0), "{:?}", adopted.left);
    assert_eq!((fixture.linked_studies().await, fixture.files().len()), (0, 151));
    for n in 0..150 {
        let uid = format!("{UID}.{n}");
        let existing = fixture.existing(&uid).unwrap();
        assert!(existing.current.digest.is_some());
        let place = existing.current.place.stored().unwrap();
        assert_eq!(place.as_str(), format!("images/2021/11/17/1.2.3/1.2.3.4/{uid}.dcm"));
        fixture.verify(&uid);
    }
    for (path, bytes) in originals {
        assert_eq!(std::fs::read(path).unwrap(), bytes, "a linked file is never altered");
    }
    assert_eq!(fixture.adopt().await.objects, 0, "nothing is left to do");
    assert_eq!(fixture.intake.sweep(|_| CharacterSet::ascii()).await.unwrap(), SweepReport::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_or_changed_stays_a_link_and_the_rest_is_copied() {
    let fixture = Fixture::new();
    let files: Vec<_> = (0..4).map(|n| fixture.on_disk(&Sent::new().number(n))).collect();
    for file in &files {
        assert_eq!(fixture.intake.file(file.scanned(), How::LinkHashed).await.unwrap(), Recorded::New);
    }
    std::fs::remove_file(&files[0].path).unwrap();
    std::fs::write(&files[1].path, b"something else").unwrap();
    let adopted = fixture.adopt().await;
    let left: Vec<_> = adopted.left.iter().map(|(uid, error)| (uid.as_str(), error)).collect();
    assert!(matches!(left[0], ("1.2.3.4.5.0", StoreError::Missing { .. })), "{left:?}");
    assert!(matches!(left[1], ("1.2.3.4.5.1", StoreError::LinkChanged { .. })), "{left:?}");
    assert_eq!((adopted.objects, left.len(), fixture.linked_studies().await), (2, 2, 1));
    assert!(!fixture.is_stored("1.2.3.4.5.1") && fixture.is_stored("1.2.3.4.5.2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_links_below_the_folder_are_copied() {
    let fixture = Fixture::new();
    let folder = fixture.temp.path().join("old");
    std::fs::create_dir(&folder).unwrap();
    let (inside, outside) = (Sent::new().number(1), Sent::new().number(2));
    for file in [OnDisk::write(&folder.join("a"), &inside), fixture.on_disk(&outside)] {
        fixture.intake.file(file.scanned(), How::Link).await.unwrap();
    }
    let adopted = fixture.intake.adopt_study(&StudyInstanceUid::new("1.2.3"), Some(&folder)).await.unwrap();
    assert_eq!(adopted.objects, 1);
    assert!(fixture.is_stored(&inside.instance) && !fixture.is_stored(&outside.instance));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_lies_where_its_copy_would_is_its_own_copy() {
    let fixture = Fixture::new();
    let store = std::fs::canonicalize(fixture.temp.path().join("store")).unwrap();
    let ours = store.join("images/2021/11/17/1.2.3/1.2.3.4");
    std::fs::create_dir_all(&ours).unwrap();
    let file = OnDisk::write(&ours.join("1.2.3.4.5.dcm"), &Sent::new());
    assert_eq!(fixture.intake.file(file.scanned(), How::Link).await.unwrap(), Recorded::New);
    assert_eq!(fixture.adopt().await.objects, 1);
    assert!(fixture.is_stored(UID) && file.path.exists());
    fixture.verify(UID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_changed_meanwhile_is_left_and_its_copy_removed() {
    let fixture = Fixture::new();
    let file = fixture.on_disk(&Sent::new());
    assert_eq!(fixture.intake.file(file.scanned(), How::Link).await.unwrap(), Recorded::New);
    let study = StudyInstanceUid::new("1.2.3");
    let Intake { store, catalog, .. } = &fixture.intake;
    let linked = catalog.links_of_study(&study, None, 10).unwrap().remove(0);
    let incoming = store.adopt(&linked.link, &linked.identity, &linked.transfer_syntax, None).unwrap();
    let mut settled = store.settle(vec![(incoming, Destination::Image)]);
    let copy = settled.outcomes.remove(0).unwrap();
    // The file was overwritten, and linked anew, while it was copied.
    let again = OnDisk::write(&file.path, &large(Sent::new()));
    assert_eq!(fixture.intake.file(again.scanned(), How::Link).await.unwrap(), Recorded::Duplicate);
    let (_, done) = catalog.swap(vec![Swap { file: linked, copy }]).unwrap().remove(0);
    assert!(!done);
    assert!(matches!(fixture.existing(UID).unwrap().current.place, Place::Linked(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_swap_leaves_the_links() {
    let fixture = Fixture::new();
    for (n, how) in [(1, How::Link), (2, How::LinkHashed)] {
        let file = fixture.on_disk(&Sent::new().number(n));
        assert_eq!(fixture.intake.file(file.scanned(), how).await.unwrap(), Recorded::New);
    }
    {
        let store = Store::open(&fixture.temp.path().join("store"), 0).unwrap();
        let study = StudyInstanceUid::new("1.2.3");
        let adopt = |linked: crate::catalog::LinkedFile| {
            let incoming = store.adopt(&linked.link, &linked.identity, &linked.transfer_syntax, linked.digest);
            (incoming.unwrap(), Destination::Image)
        };
        let links = fixture.intake.catalog.links_of_study(&study, None, 10).unwrap();
        let settled = store.settle(links.into_iter().map(adopt).collect());
        assert!(settled.outcomes.iter().all(Result::is_ok) && settled.number.is_some());
    }
    assert_eq!(fixture.files().len(), 2);
    let swept = fixture.intake.sweep(|_| CharacterSet::ascii()).await.unwrap();
    assert_eq!(swept.folders, 1);
    assert!(fixture.files().is_empty(), "a study is linked or copied, never half of both");
    assert_eq!(fixture.adopt().await.objects, 2);
    fixture.verify("1.2.3.4.5.1");
}
