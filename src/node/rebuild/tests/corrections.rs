//! Corrections outlive the catalog: the journal tells them, and what was filed is where it was.

use crate::catalog::{
    Along, Catalog, CorrectionKind, CorrectionMode, CorrectionState, FoundRow, NewCorrected, NewCorrection, NewFiled,
    Recorded, Selection, became,
};
use crate::dataset::{Amendment, Header};
use crate::dicom::{QueryLevel, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};
use crate::intake::How;
use crate::node::testing::{STUDY, Site};
use crate::store::Store;

fn operation(kind: CorrectionKind, to: &str) -> NewCorrection {
    NewCorrection {
        key: None,
        kind,
        mode: CorrectionMode::Local,
        operator: "clerk".into(),
        reason: "113038".into(),
        reason_text: "wrong patient".into(),
        source: StudyInstanceUid::new(STUDY),
        destination: StudyInstanceUid::new(to),
        describes: Some(Box::new(Header {
            patient_id: Some("P2".into()),
            patient_name: Some("Other".into()),
            study_date: Some("20220101".into()),
            ..Header::default()
        })),
        amendment: Amendment::default().to_bytes(),
        sheet: "{\"a\":1}".into(),
        process: "test".into(),
    }
}

/// Stages, tells the journal, flips.
async fn done(catalog: &Catalog, store: &Store, new: NewCorrection, objects: Vec<NewCorrected>) -> i64 {
    let staged = catalog.stage_begin(new).await.unwrap();
    catalog.stage_add(staged.id, objects).await.unwrap();
    let journal = store.journal();
    journal.append(&catalog.correction_entries(staged.id).await.unwrap()).unwrap();
    journal.append(&[became(&staged.key, CorrectionState::Active, "clerk")]).unwrap();
    catalog.flip(staged.id, vec![], Along::default()).await.unwrap();
    staged.id
}

async fn numbers(catalog: &Catalog, study: &str) -> Vec<i64> {
    let selection = Selection { studies: vec![StudyInstanceUid::new(study)], ..Selection::default() };
    catalog.select(&selection, 100).await.unwrap().instances.into_iter().map(|(id, _)| id).collect()
}

/// What is shown, and what is filed of the study as its own.
async fn contents(site: &Site) -> (Vec<FoundRow>, Vec<FoundRow>, Vec<String>, Vec<String>) {
    let catalog = Catalog::open(&site.config.storage.catalog).unwrap();
    let filed = catalog.filed_of_study(&StudyInstanceUid::new(STUDY)).await.unwrap();
    let mut filed: Vec<_> = filed.into_iter().map(|(series, uid)| format!("{series} {uid}")).collect();
    filed.sort();
    let corrections = catalog.corrections(&crate::catalog::CorrectionFilter::All, None, 10).await.unwrap();
    let told = |c: crate::catalog::Correction| {
        format!(
            "{} {} {} {} {} {} {} {}",
            c.id,
            c.key,
            c.kind.word(),
            c.state.word(),
            c.moved,
            c.hidden,
            c.undone_by,
            c.sheet
        )
    };
    let mut corrections: Vec<_> = corrections.into_iter().map(told).collect();
    corrections.sort();
    let studies = catalog.find(QueryLevel::Study, &[], 100).await.unwrap().rows;
    (catalog.find(QueryLevel::Image, &[], 100).await.unwrap().rows, studies, filed, corrections)
}

#[tokio::test]
async fn what_was_moved_hidden_renamed_filed_and_undone_is_so_again_in_a_catalog_made_anew() {
    let site = Site::new().await;
    site.link("one", "1.2.3.8", "A", How::LinkHashed).await;
    {
        let node = crate::node::open(site.config.clone()).await.unwrap();
        let (catalog, store) = (&node.catalog, &node.store);
        let ids = numbers(catalog, STUDY).await;
        assert_eq!(ids.len(), 3);
        let moved = |instance, uid: Option<&str>| NewCorrected::Moved {
            instance,
            series: SeriesInstanceUid::new("1.2.3.4"),
            uid: uid.map(SopInstanceUid::new),
            patch: None,
        };
        let quarantined = catalog.in_quarantine(None, 0, 10).await.unwrap();
        assert_eq!(quarantined.len(), 2);
        // The second of these is built on the first, and undone; the collision is filed under a UID of its own.
        done(
            catalog,
            store,
            operation(CorrectionKind::Reallocate, "1.9"),
            vec![moved(ids[0], Some("1.9.1")), moved(ids[1], None)],
        )
        .await;
        let back = NewCorrection { source: StudyInstanceUid::new("1.9"), ..operation(CorrectionKind::Merge, STUDY) };
        let back = done(catalog, store, back, vec![moved(ids[0], None)]).await;
        let key = catalog.correction(back).await.unwrap().unwrap().key;
        store.journal().append(&[became(&key, CorrectionState::Undone, "chief")]).unwrap();
        catalog.undo_correction(back, "chief", Along::default()).await.unwrap();
        done(catalog, store, operation(CorrectionKind::Clear, "1.9"), vec![NewCorrected::Hidden { instance: ids[2] }])
            .await;
        let (collision, other) = match quarantined.as_slice() {
            [one, other] if one.collision => (one, other),
            [one, other] => (other, one),
            _ => unreachable!(),
        };
        let filed = NewFiled {
            quarantined: collision.position,
            series: SeriesInstanceUid::new("1.9.4"),
            instance: SopInstanceUid::new("1.9.2"),
            header: Box::new(Header {
                modality: Some("CT".into()),
                instance_number: Some("7".into()),
                rows: Some(512),
                columns: Some(256),
                number_of_frames: Some("3".into()),
                ..Header::default()
            }),
            patch: None,
        };
        done(catalog, store, operation(CorrectionKind::File, "1.9"), vec![NewCorrected::Filed(filed)]).await;
        let gone = vec![NewCorrected::Discarded { quarantined: other.position }];
        done(catalog, store, operation(CorrectionKind::Discard, STUDY), gone).await;
        assert!(catalog.in_quarantine(None, 0, 10).await.unwrap().is_empty());
        // One that never came to be.
        let never = catalog.stage_begin(operation(CorrectionKind::Split, "1.8")).await.unwrap();
        catalog.stage_add(never.id, vec![moved(ids[0], None)]).await.unwrap();
        store.journal().append(&catalog.correction_entries(never.id).await.unwrap()).unwrap();
        catalog.remove_staged(never.id).await.unwrap();
    }
    let before = contents(&site).await;
    assert_eq!((before.0.len(), before.1.len(), before.3.len()), (3, 1, 5), "{before:#?}");
    assert_eq!(before.1[0].get("PatientID"), Some("P2"));
    assert_eq!(before.1[0].get("NumberOfStudyRelatedSeries"), Some("2"));
    assert_eq!(site.findings().await, Vec::<String>::new());

    site.lose_the_catalog();
    let rebuilt = super::rebuild(site.config.clone()).await.unwrap();
    assert_eq!(rebuilt.problems, Vec::<String>::new());
    assert_eq!(contents(&site).await, before);
    assert_eq!(site.findings().await, Vec::<String>::new());

    // Sent again, with other patients and pixels too, nothing of it comes back.
    let sent = [
        ("1.2.3.5", "1.2.3.5", "A", 1),
        ("1.2.3.5", "1.2.3.5", "Z", 1),
        ("1.9.1", "1.9.1", "Other", 1),
        ("LOCALIZER 1", "LOCALIZER 1", "A", 3),
        ("1.2.3.8", "1.2.3.8", "A", 9),
        ("1.2.3.5", "1.2.3.5", "A", 2),
        ("1.2.3.6", "1.2.3.7", "A", 4),
    ];
    let mut expected = vec![Recorded::AlreadyMoved; sent.len()];
    expected[2] = Recorded::Duplicate;
    assert_eq!(site.send(&sent).await, expected);
    assert_eq!(contents(&site).await, before);

    // And it can all be undone, the last first.
    let node = crate::node::open(site.config.clone()).await.unwrap();
    let all = node.catalog.corrections(&crate::catalog::CorrectionFilter::All, None, 10).await.unwrap();
    for correction in all.iter().filter(|correction| correction.state == CorrectionState::Active) {
        node.catalog.undo_correction(correction.id, "chief", Along::default()).await.unwrap();
    }
    assert_eq!((numbers(&node.catalog, STUDY).await.len(), numbers(&node.catalog, "1.9").await.len()), (3, 0));
    assert_eq!(node.catalog.in_quarantine(None, 0, 10).await.unwrap().len(), 2);
    drop(node);
    assert_eq!(site.findings().await, Vec::<String>::new());
}
