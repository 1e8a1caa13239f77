//! An archive to be lost, moved and made anew.
#![expect(clippy::disallowed_methods, reason = "the tests do to the folder what people do")]

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::catalog::{Catalog, Quarantined, Recorded};
use crate::config::Config;
use crate::dataset::{CharacterSet, Elements, scan_header, write_part10_head};
use crate::dicom::{
    Encoding, Identity, QueryLevel, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid,
    TransferSyntaxUid, tags, uids,
};
use crate::intake::{How, Intake, SourceFile, Stored};
use crate::job::verify::Scope;
use crate::object::{Fragment, ObjectStream, Origin};

const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(super) const STUDY: &str = "1.2.3";

pub(super) struct Site {
    pub(super) temp: TempDir,
    pub(super) config: Config,
}

impl Site {
    /// An archive of one study: an instance with a variant, one with a malformed UID, a collision, and an object whose
    /// header contradicts the command.
    pub(super) async fn new() -> Site {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name).display().to_string();
        let text = format!(
            "[storage]\nfolder = \"{}\"\ncatalog = \"sqlite:{}\"\nminimum_free = \"0 B\"\n",
            at("images"),
            at("catalog.db")
        );
        let site = Site { config: crate::config::parse(&text, None).unwrap(), temp };
        let sent = [
            ("1.2.3.5", "1.2.3.5", "A", 1),
            ("1.2.3.5", "1.2.3.5", "B", 1),
            ("1.2.3.5", "1.2.3.5", "A", 2),
            ("LOCALIZER 1", "LOCALIZER 1", "A", 3),
            ("1.2.3.6", "1.2.3.7", "A", 4),
        ];
        assert!(matches!(
            site.send(&sent).await.as_slice(),
            [Recorded::New, Recorded::Variant, Recorded::Collision, Recorded::New, Recorded::Quarantined(_)]
        ));
        site
    }

    /// Sends objects, each by the UID of its command, its own UID, its patient and its pixels.
    pub(super) async fn send(&self, sent: &[(&str, &str, &str, u8)]) -> Vec<Recorded> {
        let node = super::open(self.config.clone()).await.unwrap();
        let intake = Intake::start(node.store.clone(), node.catalog.clone(), "one".into()).unwrap();
        let mut became = Vec::new();
        for (command, instance, patient, pixels) in sent {
            match intake.store(stream(command, instance, patient, *pixels), CharacterSet::ascii(), &|_| false).await {
                Ok(Stored::Recorded(recorded)) => became.push(recorded),
                other => panic!("{other:?}"),
            }
        }
        intake.close().await.unwrap();
        became
    }

    pub(super) async fn contents(&self) -> (Vec<crate::catalog::FoundRow>, BTreeSet<String>, Vec<Quarantined>) {
        let catalog = Catalog::open(&self.config.storage.catalog).unwrap();
        let study = StudyInstanceUid::new(STUDY);
        let found = catalog.find(QueryLevel::Image, &[], 100).await.unwrap();
        let files = catalog.files_of_study(&study, None, 100).await.unwrap();
        let files = files.into_iter().map(|file| format!("{} {:?}", file.place, file.digest)).collect();
        let quarantined = catalog.quarantined_of_study(&study).await.unwrap();
        (found.rows, files, quarantined.into_iter().map(|q| Quarantined { at: 0, ..q }).collect())
    }

    /// Links a file beside the archive.
    pub(super) async fn link(&self, name: &str, instance: &str, patient: &str, how: How) -> (PathBuf, Recorded) {
        let path = self.temp.path().join("stick").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let data = data_set(instance, patient, 9);
        let mut bytes = write_part10_head(CLASS, instance, uids::EXPLICIT_LE, None);
        let offset = bytes.len() as u64;
        bytes.extend_from_slice(&data);
        std::fs::write(&path, bytes).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        let transfer_syntax = TransferSyntaxUid::new(uids::EXPLICIT_LE);
        let file = SourceFile {
            path: path.clone(),
            size: metadata.len(),
            modified: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            offset,
            identity: Identity {
                study: StudyInstanceUid::new(STUDY),
                series: SeriesInstanceUid::new("1.2.3.4"),
                instance: SopInstanceUid::new(instance),
                class: SopClassUid::new(CLASS),
            },
            header: scan_header(&*data, &transfer_syntax, true, &CharacterSet::ascii()).header,
            transfer_syntax,
            charset: CharacterSet::ascii(),
            head_is_sound: true,
            origin: origin(),
        };
        let node = super::open(self.config.clone()).await.unwrap();
        let intake = Intake::start(node.store, node.catalog, "links".into()).unwrap();
        let recorded = intake.file(file, how).await.unwrap();
        intake.close().await.unwrap();
        (path, recorded)
    }

    pub(super) fn lose_the_catalog(&self) {
        std::fs::remove_file(&self.config.storage.catalog).unwrap();
    }

    pub(super) async fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let mut tell = |finding: crate::job::verify::Finding| findings.push(finding.detail);
        let stop = tokio_util::sync::CancellationToken::new();
        super::verify_files(self.config.clone(), &Scope::All, &stop, &mut tell).await.unwrap();
        findings
    }
}

fn data_set(instance: &str, patient: &str, pixels: u8) -> Vec<u8> {
    let mut elements = Elements::new();
    elements.put(tags::SOP_CLASS_UID, CLASS).put(tags::SOP_INSTANCE_UID, instance).put(tags::STUDY_DATE, "20211117");
    elements.put(tags::STUDY_INSTANCE_UID, STUDY).put(tags::SERIES_INSTANCE_UID, "1.2.3.4");
    elements.put(tags::PATIENT_NAME, patient).put_bytes(tags::PIXEL_DATA, *b"OW", &[pixels; 3000]);
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

fn stream(command: &str, instance: &str, patient: &str, pixels: u8) -> ObjectStream {
    let (sender, fragments) = mpsc::channel(8);
    sender.try_send(Fragment::Data(Bytes::from(data_set(instance, patient, pixels)))).unwrap();
    sender.try_send(Fragment::End).unwrap();
    ObjectStream {
        class: SopClassUid::new(CLASS),
        instance: SopInstanceUid::new(command),
        transfer_syntax: TransferSyntaxUid::new(uids::EXPLICIT_LE),
        origin: origin(),
        fragments,
    }
}
