//! Files of folders, through the same door.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::dataset::{scan_header, write_part10_head};
use crate::dicom::Identity;
use crate::store::StoreError;

/// A file of a folder, made of what is sent otherwise.
pub(super) struct OnDisk {
    pub(super) path: PathBuf,
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
}

impl OnDisk {
    /// Writes it, behind a head of another program.
    pub(super) fn write(path: &Path, sent: &Sent) -> OnDisk {
        let mut bytes = write_part10_head(CLASS, &sent.instance, uids::EXPLICIT_LE, None);
        let data = sent.elements.write(sent.encoding);
        let offset = bytes.len() as u64;
        bytes.extend_from_slice(&data);
        std::fs::write(path, bytes).unwrap();
        OnDisk { path: path.to_owned(), offset, data }
    }

    /// What a scan says of it.
    pub(super) fn scanned(&self) -> SourceFile {
        let metadata = std::fs::metadata(&self.path).unwrap();
        let syntax = TransferSyntaxUid::new(uids::EXPLICIT_LE);
        let header = scan_header(&*self.data, &syntax, true, &CharacterSet::ascii()).header;
        let uid = |uid: &Option<crate::dicom::Uid>| uid.clone().unwrap_or_else(|| crate::dicom::Uid::new(""));
        let identity = Identity {
            study: uid(&header.study_uid).into(),
            series: uid(&header.series_uid).into(),
            instance: uid(&header.sop_instance_uid).into(),
            class: uid(&header.sop_class_uid).into(),
        };
        SourceFile {
            path: self.path.clone(),
            size: metadata.len(),
            modified: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            offset: self.offset,
            transfer_syntax: syntax,
            identity,
            header,
            charset: CharacterSet::ascii(),
            head_is_sound: true,
            origin: Sent::new().stream().origin,
        }
    }
}

impl Fixture {
    pub(super) fn on_disk(&self, sent: &Sent) -> OnDisk {
        OnDisk::write(&self.temp.path().join(format!("{}.file", sent.instance)), sent)
    }
}

pub(super) fn large(sent: Sent) -> Sent {
    let mut sent = sent;
    sent.elements.put_bytes(tags::PIXEL_DATA, *b"OW", &[9; 700_000]);
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_the_file_with_a_clean_preamble() {
    let fixture = Fixture::new();
    for (n, sent) in [Sent::new().number(1), large(Sent::new().number(2))].into_iter().enumerate() {
        let file = fixture.on_disk(&sent);
        let mut original = std::fs::read(&file.path).unwrap();
        original[..4].copy_from_slice(b"MZ\0\x01");
        std::fs::write(&file.path, &original).unwrap();
        assert_eq!(fixture.intake.file(file.scanned(), How::Copy).await.unwrap(), Recorded::New, "{n}");
        fixture.verify(&sent.instance);
        let copy = std::fs::read(fixture.path(&sent.instance)).unwrap();
        assert!(copy[..128].iter().all(|byte| *byte == 0), "{n}");
        assert_eq!(copy[128..], original[128..], "{n}");
        assert_eq!(std::fs::read(&file.path).unwrap(), original, "the file itself is left alone");
        assert_eq!(fixture.intake.file(file.scanned(), How::Copy).await.unwrap(), Recorded::Duplicate, "{n}");
    }
    assert_eq!(fixture.files().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_head_is_written_anew_and_the_data_set_kept() {
    let fixture = Fixture::new();
    for sent in [Sent::new().number(1), large(Sent::new().number(2))] {
        let file = fixture.on_disk(&sent);
        // A bare data set.
        std::fs::write(&file.path, &file.data).unwrap();
        let scanned = SourceFile { offset: 0, head_is_sound: false, ..file.scanned() };
        assert_eq!(fixture.intake.file(scanned, How::Copy).await.unwrap(), Recorded::New);
        fixture.verify(&sent.instance);
        let copy = std::fs::read(fixture.path(&sent.instance)).unwrap();
        assert_eq!(&copy[128..132], b"DICM");
        assert!(copy.ends_with(&file.data));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_not_filed() {
    let fixture = Fixture::new();
    let file = fixture.on_disk(&Sent::new());
    let scanned = file.scanned();
    for changed in [
        SourceFile { modified: scanned.modified + 1, ..scanned.clone() },
        SourceFile { size: scanned.size - 2, ..scanned.clone() },
        SourceFile { size: scanned.size + 2, ..scanned.clone() },
    ] {
        let refused = fixture.intake.file(changed, How::Copy).await.unwrap_err();
        assert!(matches!(&refused, IntakeError::Store(StoreError::SourceChanged { .. })), "{refused}");
        assert_eq!((refused.fault(), refused.disposition()), (Fault::Object, Disposition::Retry));
    }
    assert!(fixture.files().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_regular_file_is_not_opened() {
    let fixture = Fixture::new();
    let file = fixture.on_disk(&Sent::new());
    let (link, fifo) = (fixture.temp.path().join("link"), fixture.temp.path().join("fifo"));
    std::os::unix::fs::symlink(&file.path, &link).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for path in [link, fifo, fixture.temp.path().to_owned(), "/nowhere/at/all".into()] {
        let refused = fixture.intake.file(SourceFile { path, ..file.scanned() }, How::Copy).await.unwrap_err();
        assert!(matches!(&refused, IntakeError::Store(StoreError::SourceUnreadable { .. })), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_an_archive_is_filed_from_its_stream() {
    let fixture = Fixture::new();
    for sent in [Sent::new().number(1), large(Sent::new().number(2))] {
        let file = fixture.on_disk(&sent);
        let bytes = std::fs::read(&file.path).unwrap();
        let scanned = SourceFile { path: "/x/archive.zip: member".into(), ..file.scanned() };
        let cut = std::io::Cursor::new(bytes[..bytes.len() - 1].to_vec());
        let refused = fixture.intake.member(scanned.clone(), Box::new(cut)).await.unwrap_err();
        assert!(matches!(&refused, IntakeError::Store(StoreError::SourceChanged { .. })), "{refused}");
        let whole = std::io::Cursor::new(bytes);
        assert_eq!(fixture.intake.member(scanned, Box::new(whole)).await.unwrap(), Recorded::New);
        fixture.verify(&sent.instance);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_aside_lies_in_quarantine_with_its_reason() {
    let fixture = Fixture::new();
    let file = fixture.on_disk(&Sent::new());
    let reason = "the pixel data end after 12 of 5000 bytes".to_owned();
    let recorded = fixture.intake.set_aside(file.scanned(), reason.clone()).await.unwrap();
    assert_eq!(recorded, Recorded::Quarantined(reason));
    assert_eq!(fixture.files().len(), 1);
    assert!(fixture.existing(UID).is_none());
    assert_eq!(
        fixture.intake.file(file.scanned(), How::Copy).await.unwrap(),
        Recorded::New,
        "it stands in nobody's way"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_at_once_are_each_filed_once() {
    let fixture = Fixture::new();
    let mut set = tokio::task::JoinSet::new();
    for n in 0..300 {
        let sent = if n % 50 == 0 { large(Sent::new().number(n)) } else { Sent::new().number(n) };
        let (intake, scanned) = (fixture.intake.clone(), fixture.on_disk(&sent).scanned());
        let again = scanned.clone();
        let other = intake.clone();
        set.spawn(async move { intake.file(scanned, How::Copy).await.unwrap() });
        set.spawn(async move { other.file(again, How::Copy).await.unwrap() });
    }
    let outcomes = set.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Recorded::New).count(), 300);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Recorded::Duplicate).count(), 300);
    assert_eq!(fixture.files().len(), 300);
    let other = fixture.intake.clone();
    other.close().await.unwrap();
    let late = fixture.intake.file(fixture.on_disk(&Sent::new()).scanned(), How::Copy).await;
    assert!(matches!(late, Err(IntakeError::Closed)));
}
