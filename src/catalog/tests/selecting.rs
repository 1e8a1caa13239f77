//! The instances of a retrieve: which they are, their order, and how they are found.

use super::*;
use crate::store::Place;

/// Studies 1 to 3, the newest first, of two series each with instances 1, 2 and 10.
async fn three_studies() -> (tempfile::TempDir, Catalog) {
    let (folder, catalog) = catalog();
    let mut batch = Vec::new();
    for study in [3, 1, 2] {
        for number in [10, 2, 1] {
            for series in [12, 5] {
                let mut object = instance(study, number + 100 * series);
                object.identity.series = SeriesInstanceUid::new(&format!("1.2.{study}.{series}"));
                object.header.series_number = Some(series.to_string());
                object.header.instance_number = Some(number.to_string());
                object.header.patient_id = Some(if study == 3 { "P3".into() } else { "P1".into() });
                object.header.study_date = Some(format!("2020010{}", 9 - study));
                batch.push(object);
            }
        }
    }
    let recorder = catalog.clone();
    tokio::task::spawn_blocking(move || recorder.record(batch).unwrap()).await.unwrap();
    (folder, catalog)
}

fn study(number: u64) -> StudyInstanceUid {
    listed(number, 1).study_uid
}

#[tokio::test]
async fn a_retrieve_finds_what_all_of_its_keys_name_newest_first() {
    let (_folder, catalog) = three_studies().await;
    let uid = |study, number: u32| instance(study, number).identity.instance;
    let patient = |id: &str| Selection { patient_id: Some(id.into()), ..Selection::default() };
    let of =
        |studies: &[u64]| Selection { studies: studies.iter().map(|n| study(*n)).collect(), ..Selection::default() };
    let series = |selection: Selection, uids: &[&str]| Selection {
        series: uids.iter().map(|uid| SeriesInstanceUid::new(uid)).collect(),
        ..selection
    };
    for (selection, count) in [
        (patient("P1"), 12),
        (patient("P"), 0),
        (of(&[1]), 6),
        (of(&[1, 3, 1]), 12),
        (of(&[9]), 0),
        (series(of(&[2]), &["1.2.2.5"]), 3),
        (series(of(&[2]), &["1.2.2.5", "1.2.2.12", "1.2.1.5"]), 6),
        (Selection { patient_id: Some("P3".into()), ..of(&[1]) }, 0),
        (Selection { patient_id: Some("P1".into()), ..series(of(&[1]), &["1.2.1.5"]) }, 3),
        (Selection { instances: vec![uid(1, 501), uid(1, 1201), uid(2, 501)], ..of(&[1]) }, 2),
        (Selection { instances: vec![uid(1, 501)], ..series(of(&[1]), &["1.2.1.12"]) }, 0),
    ] {
        let selected = catalog.select(&selection, 100).await.unwrap();
        assert_eq!((selected.instances.len(), selected.more), (count, false), "{selection:?}");
    }
    let selected = catalog.select(&of(&[2, 1]), 100).await.unwrap();
    assert_eq!(selected.kinds.len(), 1);
    let ids: Vec<i64> = selected.instances.iter().map(|(id, _)| *id).collect();
    let held = catalog.held(&ids).await.unwrap();
    let order: Vec<_> = held.iter().map(|held| held.instance.clone()).collect();
    let numbers = [501, 502, 510, 1201, 1202, 1210];
    let expected: Vec<_> = [1, 2].into_iter().flat_map(|study| numbers.map(|number| uid(study, number))).collect();
    assert_eq!(order, expected);
    assert!(held.iter().all(|held| matches!(held.place, Place::Stored(_)) && held.length > 0));
    let capped = catalog.select(&of(&[1, 2]), 11).await.unwrap();
    assert_eq!((capped.instances.len(), capped.more), (11, true));
    let kinds = catalog.held_kinds(10).await.unwrap();
    assert_eq!(kinds.iter().map(|kind| kind.instances).collect::<Vec<_>>(), [10]);
    assert_eq!((&kinds[0].class, &kinds[0].transfer_syntax), (&held[0].class, &held[0].transfer_syntax));
    // One that is gone is left out.
    assert_eq!(catalog.held(&[ids[3], i64::MAX, ids[0]]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn every_kind_of_retrieve_begins_at_an_index() {
    let (_folder, catalog) = catalog();
    let (studies, series) = (vec![study(1)], vec![SeriesInstanceUid::new("1.2")]);
    let patient = Selection { patient_id: Some("P1".into()), ..Selection::default() };
    let by_study = Selection { studies, ..patient.clone() };
    let by_series = Selection { series, ..by_study.clone() };
    let by_instance = Selection { instances: vec![SopInstanceUid::new("1.2")], ..by_series.clone() };
    for selection in [patient, by_study, by_series, by_instance] {
        let (sql, _) = selection::statement(&selection, 10);
        let steps = catalog.db.read_blocking(|c| Ok(plans::plan(c, &sql))).unwrap();
        // The lists of the one who asks are scanned, and what was found is sorted; nothing else is.
        let flat = |step: &String| !step.starts_with("SCAN") || step.contains("json_each") || step.contains("SCAN j ");
        assert!(steps.iter().all(flat), "{selection:?}: {steps:#?}");
    }
    let steps = catalog.db.read_blocking(|c| Ok(plans::plan(c, selection::HELD))).unwrap();
    assert!(steps.iter().all(|step| !step.starts_with("SCAN") || step.starts_with("SCAN j ")), "{steps:#?}");
}
