//! What is in quarantine is filed or discarded, and both can be taken back; what a dead process left is removed.

use super::*;
use crate::catalog::{CorrectionKind, CorrectionMode, NewCorrection};

#[tokio::test]
async fn a_collision_is_filed_beside_the_one_that_has_its_uid() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let before = site.study("1.1").await;
    let mut other = Tree::new();
    other.put_bytes(tags::PIXEL_DATA, *b"OB", &[200; 4000]);
    assert_eq!(site.send(ANNA, "1.1.1", 1, &other).await, Recorded::Collision);
    let held = async || site.content.catalog.in_quarantine(None, 0, 10).await.unwrap();
    let number = held().await[0].position;

    let nobody = Operator { name: "ben".into(), privileges: Default::default() };
    let refused = site.content.file(number, &FileAs::default(), &nobody).await;
    assert!(matches!(refused, Err(ContentError::Refused(why)) if why[0].code() == "privilege"));
    let filed = site.content.file(number, &FileAs::default(), &site.all()).await.unwrap();
    let study = site.study("1.1").await;
    let (uid, shown) = study.iter().find(|(uid, _)| uid.starts_with("2.25.")).expect("a new UID");
    assert_eq!((study.len(), shown.text(tags::SOP_INSTANCE_UID)), (2, Some(uid.as_str())));
    assert_eq!(shown.text(tags::PATIENT_NAME), Some(ANNA.1));
    assert_eq!(held().await.len(), 0);
    site.undo(filed.operation).await.unwrap();
    assert_eq!((site.study("1.1").await, held().await.len()), (before, 1));

    // Under another patient: to be confirmed.
    let to = FileAs { to: Some(StudyInstanceUid::new("1.2")), ..FileAs::default() };
    let refused = site.content.file(number, &to, &site.all()).await;
    assert!(matches!(refused, Err(ContentError::Refused(why)) if *why == [Refusal::PatientNotConfirmed]));
    let filed = site.content.file(number, &FileAs { patient_confirmed: true, ..to }, &site.all()).await.unwrap();
    assert!(site.study("1.2").await.values().all(|tree| tree.text(tags::PATIENT_NAME) == Some(TARO.1)));
    assert_eq!(site.counts(&["1.1", "1.2"]).await, [1, 2]);
    site.undo(filed.operation).await.unwrap();

    let discarded = site.content.discard(number, &Why::parse("BROKEN:cut short"), &site.all()).await.unwrap();
    assert_eq!(held().await.len(), 0);
    let gone = site.content.discard(number, &Why::default(), &site.all()).await;
    assert!(matches!(gone, Err(ContentError::Refused(why)) if *why == [Refusal::NoSuchQuarantined(number)]));
    site.undo(discarded.operation).await.unwrap();
    assert_eq!(held().await.len(), 1);
}

#[tokio::test]
async fn what_a_dead_process_staged_is_removed() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let staged = NewCorrection {
        key: None,
        kind: CorrectionKind::Reallocate,
        mode: CorrectionMode::Local,
        operator: "ben".into(),
        reason: String::new(),
        reason_text: String::new(),
        source: StudyInstanceUid::new("1.1"),
        destination: StudyInstanceUid::new("1.2"),
        describes: None,
        amendment: Vec::new(),
        sheet: String::new(),
        process: "gone".into(),
    };
    let studies = [StudyInstanceUid::new("1.1")];
    site.content.catalog.lock_for(&studies, "ben", "gone", "move").await.unwrap();
    site.content.catalog.stage_begin(staged).await.unwrap();
    assert_eq!(remove_leftovers(&site.content.catalog, &site.content.store).await.unwrap(), 1);
    assert_eq!(remove_leftovers(&site.content.catalog, &site.content.store).await.unwrap(), 0);
    // Nothing is in the way any more.
    site.done(&series("1.1.1", "1.2")).await;
    assert_eq!(site.counts(&["1.1", "1.2"]).await, [0, 2]);
}
