//! The engine, on archives of its own: what is shown before, after, and after the undo.

mod findings;
mod iocm;
mod local;
mod quarantine;
mod refusals;
mod since;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::audit::Audit;
use crate::catalog::{Recorded, Selection};
use crate::config::Operator;
use crate::dataset::{CharacterSet, Tree};
use crate::dicom::{
    Encoding, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, tags, uids,
};
use crate::intake::Stored;
use crate::object::{Fragment, ObjectStream, Origin};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// An archive, and the engine that works on it.
struct Site {
    _temp: TempDir,
    content: Content,
}

/// A patient with one study: `(patient, name, study)`.
const ANNA: (&str, &str, &str) = ("A1", "Müller^Anna", "1.1");
const EVA: (&str, &str, &str) = ("C3", "Meier^Eva", "1.3");
const TARO: (&str, &str, &str) = ("B2", "Yamada^Tarou=山田^太郎", "1.2");

impl Site {
    fn new(settings: &str) -> Site {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name).display().to_string();
        let text = format!(
            "[storage]\nfolder = \"{}\"\ncatalog = \"sqlite:{}\"\nminimum_free = \"0 B\"\n{settings}",
            at("images"),
            at("catalog.db")
        );
        let config = Arc::new(crate::config::parse(&text, None).unwrap());
        let catalog = Catalog::open(&config.storage.catalog).unwrap();
        let store = Store::create(&config.storage.folder, 0).unwrap();
        let intake = Intake::start(store.clone(), catalog.clone(), "tests".into()).unwrap();
        let (_, config_watch) = watch::channel(Arc::clone(&config));
        let (audit, recorder) = Audit::new(catalog.clone(), config_watch, "tests", CancellationToken::new());
        drop(tokio::task::spawn(recorder));
        let outlet = Outlet::new(store.clone());
        Site { _temp: temp, content: Content { catalog, store, intake, outlet, audit, config } }
    }

    /// Sends an object; other elements are put into it.
    async fn send(&self, (id, name, study): (&str, &str, &str), series: &str, number: u32, more: &Tree) -> Recorded {
        let instance = format!("{series}.{number}");
        let mut tree = Tree::new();
        tree.put_text(tags::SOP_CLASS_UID, CT).put_text(tags::SOP_INSTANCE_UID, &instance);
        tree.put_text(tags::STUDY_DATE, "20200228").put_text(tags::MODALITY, "CT");
        tree.put_text(tags::ACCESSION_NUMBER, &format!("ACC{study}"));
        tree.put_text(tags::PATIENT_NAME, name).put_text(tags::PATIENT_ID, id);
        tree.put_text(tags::PATIENT_BIRTH_DATE, "19800229").put_text(tags::PATIENT_WEIGHT, "80");
        tree.put_text(tags::STUDY_INSTANCE_UID, study).put_text(tags::SERIES_INSTANCE_UID, series);
        tree.put_text(tags::INSTANCE_NUMBER, &number.to_string()).put_u16(tags::BITS_ALLOCATED, 8);
        for (tag, node) in more.iter() {
            tree.put(tag, node.clone());
        }
        if tree.text(tags::SOP_CLASS_UID) == Some(CT) && !tree.contains(tags::PIXEL_DATA) {
            tree.put_bytes(tags::PIXEL_DATA, *b"OB", &[u8::try_from(number).unwrap(); 4000]);
        }
        let class = tree.text(tags::SOP_CLASS_UID).unwrap().to_owned();
        let (sender, fragments) = mpsc::channel(8);
        sender.try_send(Fragment::Data(Bytes::from(tree.write(Encoding::ExplicitLe)))).unwrap();
        sender.try_send(Fragment::End).unwrap();
        let stream = ObjectStream {
            class: SopClassUid::new(&class),
            instance: SopInstanceUid::new(&instance),
            transfer_syntax: TransferSyntaxUid::new(uids::EXPLICIT_LE),
            origin: Origin { source: None, ae_title: "CT1".into(), address: [127, 0, 0, 1].into(), association: 1 },
            fragments,
        };
        match self.content.intake.store(stream, CharacterSet::ascii(), &|_| false).await {
            Ok(Stored::Recorded(recorded)) => recorded,
            other => panic!("{other:?}"),
        }
    }

    /// A series of so many objects.
    async fn series(&self, whose: (&str, &str, &str), series: &str, objects: u32) {
        for number in 1..=objects {
            assert_eq!(self.send(whose, series, number, &Tree::new()).await, Recorded::New);
        }
    }

    /// What a study holds, as it leaves: by SOP Instance UID.
    async fn study(&self, study: &str) -> BTreeMap<String, Tree> {
        let selection = Selection { studies: vec![StudyInstanceUid::new(study)], ..Selection::default() };
        let selected = self.content.catalog.select(&selection, 10_000).await.unwrap();
        let ids: Vec<i64> = selected.instances.iter().map(|(id, _)| *id).collect();
        let mut shown = BTreeMap::new();
        for held in self.content.catalog.held(&ids).await.unwrap() {
            let read = header::read(&self.content.outlet, held.clone(), &CharacterSet::ascii(), header::Extent::Header)
                .await
                .unwrap();
            assert_eq!(read.header.text(tags::SOP_INSTANCE_UID), Some(held.instance.as_str()));
            shown.insert(held.instance.to_string(), read.header);
        }
        shown
    }

    fn all(&self) -> Operator {
        Operator::with_all("anna")
    }

    /// Plans and does it, with nothing standing against it.
    async fn done(&self, request: &Request) -> Done {
        let plan = self.content.plan(request, &self.all()).await.unwrap();
        assert_eq!(plan.refusals, []);
        self.content.commit(&plan, &self.all()).await.unwrap()
    }

    async fn undo(&self, operation: i64) -> Result<Undone, ContentError> {
        self.content.undo(operation, &Why::default(), &self.all()).await
    }

    /// How many objects these studies show.
    async fn counts(&self, studies: &[&str]) -> Vec<usize> {
        let mut counts = Vec::new();
        for study in studies {
            counts.push(self.study(study).await.len());
        }
        counts
    }
}

fn series(uid: &str, to: &str) -> Request {
    let what = What::Series(vec![SeriesInstanceUid::new(uid)]);
    Request { patient_confirmed: true, ..Request::new(what, To::Study(StudyInstanceUid::new(to))) }
}
