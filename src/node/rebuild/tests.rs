//! A catalog made anew says what the lost one said, of everything that files and journal can tell.
#![expect(clippy::disallowed_methods, reason = "the tests do to the folder what people do")]

use std::collections::BTreeSet;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::*;
use crate::catalog::Quarantined;
use crate::dataset::Elements;
use crate::dicom::{
    Encoding, QueryLevel, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, tags, uids,
};
use crate::intake::{Intake, Stored};
use crate::job::verify::Scope;
use crate::object::{Fragment, ObjectStream};

const CLASS: &str = "1.2.840.10008.5.1.4.1.1.2";
const STUDY: &str = "1.2.3";

struct Site {
    temp: TempDir,
    config: Config,
}

impl Site {
    /// An archive of one study: an instance with a variant, one with a malformed UID, a collision, and an object whose
    /// header contradicts the command.
    async fn new() -> Site {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name).display().to_string();
        let text = format!(
            "[storage]\nfolder = \"{}\"\ncatalog = \"sqlite:{}\"\nminimum_free = \"0 B\"\n",
            at("images"),
            at("catalog.db")
        );
        let site = Site { config: crate::config::parse(&text, None).unwrap(), temp };
        let node = super::super::open(site.config.clone()).await.unwrap();
        let intake = Intake::start(node.store.clone(), node.catalog.clone(), "one".into()).unwrap();
        let sent = [
            ("1.2.3.5", "1.2.3.5", "A", 1),
            ("1.2.3.5", "1.2.3.5", "B", 1),
            ("1.2.3.5", "1.2.3.5", "A", 2),
            ("LOCALIZER 1", "LOCALIZER 1", "A", 3),
            ("1.2.3.6", "1.2.3.7", "A", 4),
        ];
        let mut became = Vec::new();
        for (command, instance, patient, pixels) in sent {
            match intake.store(stream(command, instance, patient, pixels), CharacterSet::ascii(), &|_| false).await {
                Ok(Stored::Recorded(recorded)) => became.push(recorded),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(
            became.as_slice(),
            [Recorded::New, Recorded::Variant, Recorded::Collision, Recorded::New, Recorded::Quarantined(_)]
        ));
        intake.close().await.unwrap();
        site
    }

    async fn contents(&self) -> (Vec<crate::catalog::FoundRow>, BTreeSet<String>, Vec<Quarantined>) {
        let catalog = Catalog::open(&self.config.storage.catalog).unwrap();
        let study = StudyInstanceUid::new(STUDY);
        let found = catalog.find(QueryLevel::Image, &[], 100).await.unwrap();
        let files = catalog.files_of_study(&study, None, 100).await.unwrap();
        let files = files.into_iter().map(|file| format!("{} {}", file.place, file.digest)).collect();
        let quarantined = catalog.quarantined_of_study(&study).await.unwrap();
        (found.rows, files, quarantined.into_iter().map(|q| Quarantined { at: 0, ..q }).collect())
    }

    fn lose_the_catalog(&self) {
        remove(&self.config.storage.catalog).unwrap();
    }

    async fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let mut tell = |finding: crate::job::verify::Finding| findings.push(finding.detail);
        let stop = tokio_util::sync::CancellationToken::new();
        super::super::verify_files(self.config.clone(), &Scope::All, &stop, &mut tell).await.unwrap();
        findings
    }
}

fn stream(command: &str, instance: &str, patient: &str, pixels: u8) -> ObjectStream {
    let mut elements = Elements::new();
    elements.put(tags::SOP_CLASS_UID, CLASS).put(tags::SOP_INSTANCE_UID, instance).put(tags::STUDY_DATE, "20211117");
    elements.put(tags::STUDY_INSTANCE_UID, STUDY).put(tags::SERIES_INSTANCE_UID, "1.2.3.4");
    elements.put(tags::PATIENT_NAME, patient).put_bytes(tags::PIXEL_DATA, *b"OW", &[pixels; 3000]);
    let (sender, fragments) = mpsc::channel(8);
    sender.try_send(Fragment::Data(Bytes::from(elements.write(Encoding::ExplicitLe)))).unwrap();
    sender.try_send(Fragment::End).unwrap();
    ObjectStream {
        class: SopClassUid::new(CLASS),
        instance: SopInstanceUid::new(command),
        transfer_syntax: TransferSyntaxUid::new(uids::EXPLICIT_LE),
        origin: Origin {
            source: Some("oldpacs".into()),
            ae_title: "OLDPACS".into(),
            address: [127, 0, 0, 1].into(),
            association: 3,
        },
        fragments,
    }
}

#[tokio::test]
async fn variants_collisions_and_quarantine_come_back_as_they_were() {
    let site = Site::new().await;
    let before = site.contents().await;
    assert_eq!((before.0.len(), before.1.len(), before.2.len()), (2, 5, 2));
    assert_eq!(site.findings().await, Vec::<String>::new());
    site.lose_the_catalog();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!(done, Rebuilt { objects: 3, quarantined: 2, problems: vec![], problem_count: 0 });
    assert_eq!(site.contents().await, before);
    assert_eq!(site.findings().await, Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(site.temp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("rebuilding")), "{left:?}");
}

#[tokio::test]
async fn variants_whose_instance_is_gone_are_all_recorded() {
    let site = Site::new().await;
    let node = super::super::open(site.config.clone()).await.unwrap();
    let intake = Intake::start(node.store.clone(), node.catalog.clone(), "two".into()).unwrap();
    for patient in ["C", "D"] {
        let sent = stream("1.2.3.5", "1.2.3.5", patient, 1);
        let stored = intake.store(sent, CharacterSet::ascii(), &|_| false).await;
        assert!(matches!(stored, Ok(Stored::Recorded(Recorded::Variant))), "{stored:?}");
    }
    intake.close().await.unwrap();
    drop(node);
    let of_instance = |files: &BTreeSet<String>| files.iter().filter(|file| file.contains("/1.2.3.5")).count();
    assert_eq!(of_instance(&site.contents().await.1), 5, "an instance, three variants, and a collision");
    site.lose_the_catalog();
    std::fs::remove_file(site.config.storage.folder.join("images/2021/11/17/1.2.3/1.2.3.4/1.2.3.5.dcm")).unwrap();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!((done.objects, done.quarantined, done.problems), (4, 2, vec![]));
    let (rows, files, _) = site.contents().await;
    assert_eq!((rows.len(), of_instance(&files)), (2, 4));
    assert_eq!(site.findings().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_told_and_costs_only_itself() {
    let site = Site::new().await;
    site.lose_the_catalog();
    let folder = site.config.storage.folder.join("images/2021/11/17");
    std::fs::write(folder.join("notes.dcm"), b"not an image").unwrap();
    // What a rebuild that was killed left behind is no obstacle.
    std::fs::write(with_suffix(&site.config.storage.catalog, ".rebuilding"), b"half a catalog").unwrap();
    let done = rebuild(site.config.clone()).await.unwrap();
    assert_eq!((done.objects, done.quarantined, done.problem_count), (3, 2, 1));
    assert!(done.problems[0].contains("notes.dcm"), "{:?}", done.problems);
    let findings = site.findings().await;
    assert!(findings.len() == 1 && findings[0].contains("notes.dcm"), "{findings:?}");
}

#[tokio::test]
async fn nobody_else_may_have_the_folder_open() {
    let site = Site::new().await;
    site.lose_the_catalog();
    let other = Store::open(&site.config.storage.folder, 0).unwrap();
    let refused = rebuild(site.config.clone()).await;
    assert!(matches!(refused, Err(NodeError::Store { source: StoreError::InUse(_), .. })), "{refused:?}");
    assert!(!site.config.storage.catalog.exists());
    drop(other);
    assert!(rebuild(site.config.clone()).await.is_ok());
}
