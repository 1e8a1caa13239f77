//! Moves that keep all UIDs.

use super::*;

/// Every object's patient and study.
fn patients(study: &BTreeMap<String, Tree>) -> Vec<(&str, &str, &str)> {
    study
        .values()
        .map(|tree| {
            let text = |tag| tree.text(tag).unwrap_or("");
            (text(tags::PATIENT_ID), text(tags::PATIENT_NAME), text(tags::STUDY_INSTANCE_UID))
        })
        .collect()
}

#[tokio::test]
async fn a_series_goes_to_another_patient_and_comes_back() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 3).await;
    site.series(ANNA, "1.1.2", 2).await;
    site.series(TARO, "1.2.1", 1).await;
    let before = (site.study("1.1").await, site.study("1.2").await);
    assert_eq!((before.0.len(), before.1.len()), (5, 1));

    let unconfirmed = Request { patient_confirmed: false, ..series("1.1.1", "1.2") };
    let plan = site.content.plan(&unconfirmed, &site.all()).await.unwrap();
    assert_eq!(plan.refusals, [Refusal::PatientNotConfirmed]);
    assert_eq!((plan.objects, plan.source.objects_after, plan.destination.objects_after), (3, 2, 4));
    assert!(!plan.same_patient && plan.warnings.contains(&Warning::OtherPatient), "{:?}", plan.warnings);
    let names: Vec<_> = plan.patient_differences.iter().map(|difference| difference.name.as_str()).collect();
    assert_eq!(names, ["Patient Name", "Patient ID"]);
    assert!(matches!(site.content.commit(&plan, &site.all()).await, Err(ContentError::Refused(_))));
    assert_eq!(site.study("1.2").await.len(), 1);

    let plan = site.content.plan(&series("1.1.1", "1.2"), &site.all()).await.unwrap();
    assert_eq!(plan.refusals, []);
    let done = site.content.commit(&plan, &site.all()).await.unwrap();
    assert_eq!(done.objects, 3);
    let (source, destination) = (site.study("1.1").await, site.study("1.2").await);
    assert_eq!((source.len(), destination.len()), (2, 4));
    assert_eq!(patients(&destination), [("B2", TARO.1, "1.2"); 4]);
    let moved = &destination["1.1.1.1"];
    assert_eq!(moved.text(tags::ACCESSION_NUMBER), Some("ACC1.2"));
    assert_eq!(moved.text(tags::PATIENT_AGE), Some("039Y"));
    assert!(!moved.contains(tags::PATIENT_WEIGHT));
    let original = &moved.items(tags::ORIGINAL_ATTRIBUTES_SEQUENCE)[0];
    let was = original.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
    assert_eq!(was.text(tags::PATIENT_NAME), Some("Müller^Anna"));
    assert_eq!(moved.items(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE).len(), 1);

    let again = site.content.commit(&plan, &site.all()).await;
    assert!(matches!(again, Err(ContentError::Refused(refusals)) if matches!(&*refusals, [Refusal::Changed { .. }])));

    let undone = site.undo(done.operation).await.unwrap();
    assert_eq!(undone.objects, 3);
    assert_eq!((site.study("1.1").await, site.study("1.2").await), before);
    let twice = site.undo(done.operation).await;
    assert!(
        matches!(twice, Err(ContentError::Refused(refusals)) if matches!(&*refusals, [Refusal::NotInForce { .. }]))
    );
}

#[tokio::test]
async fn what_goes_on_is_undone_in_reverse_and_a_series_with_the_uid_of_its_study_is_told_apart() {
    let site = Site::new("");
    // The series of the first study bears its UID.
    site.series(ANNA, "1.1", 2).await;
    site.series(TARO, "1.2.1", 1).await;
    site.series(EVA, "1.3.1", 1).await;
    let before = (site.study("1.1").await, site.study("1.2").await, site.study("1.3").await);
    let first = site.done(&series("1.1", "1.2")).await.operation;
    assert_eq!(site.counts(&["1.1", "1.2", "1.3"]).await, [0, 3, 1]);
    let second = site.done(&series("1.1", "1.3")).await.operation;
    assert_eq!(site.counts(&["1.1", "1.2", "1.3"]).await, [0, 1, 3]);
    let moved = &site.study("1.3").await["1.1.1"];
    assert_eq!((moved.text(tags::PATIENT_NAME), moved.text(tags::SERIES_INSTANCE_UID)), (Some(EVA.1), Some("1.1")));
    let was: Vec<_> = moved
        .items(tags::ORIGINAL_ATTRIBUTES_SEQUENCE)
        .iter()
        .map(|item| item.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap().text(tags::PATIENT_ID).unwrap())
        .collect();
    assert_eq!(was, ["A1", "B2"]);
    let early = site.undo(first).await;
    assert!(
        matches!(early, Err(ContentError::Refused(why)) if matches!(*why, [Refusal::BuiltUpon { later, .. }] if later == second))
    );
    // Back to where it came from: nothing is shown there, but what was filed there is remembered.
    let third = site.done(&series("1.1", "1.1")).await.operation;
    assert_eq!(site.counts(&["1.1", "1.2", "1.3"]).await, [2, 1, 1]);
    assert_eq!(site.study("1.1").await["1.1.1"].text(tags::PATIENT_NAME), Some(ANNA.1));
    for operation in [third, second, first] {
        site.undo(operation).await.unwrap();
    }
    assert_eq!((site.study("1.1").await, site.study("1.2").await, site.study("1.3").await), before);
}

#[tokio::test]
async fn a_study_is_dissolved_split_and_made_whole_again() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 2).await;
    site.series(ANNA, "1.1.2", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let before = (site.study("1.1").await, site.study("1.2").await);
    let all = What::Study(StudyInstanceUid::new("1.1"));
    let merge =
        Request { patient_confirmed: true, ..Request::new(all.clone(), To::Study(StudyInstanceUid::new("1.2"))) };
    let plan = site.content.plan(&merge, &site.all()).await.unwrap();
    assert!(plan.warnings.contains(&Warning::SourceEmptied) && plan.kind == Kind::Merge);
    let merged = site.content.commit(&plan, &site.all()).await.unwrap();
    assert_eq!(site.counts(&["1.1", "1.2"]).await, [0, 4]);
    let empty = site.content.plan(&merge, &site.all()).await;
    assert!(matches!(empty, Err(ContentError::Refused(why)) if matches!(&*why, [Refusal::Empty { .. }])));
    site.undo(merged.operation).await.unwrap();

    let part = What::Instances(vec![SopInstanceUid::new("1.1.1.2")]);
    let plan = site.content.plan(&Request::new(part, To::New(None)), &site.all()).await.unwrap();
    assert_eq!((plan.refusals.as_slice(), plan.same_patient, plan.series[0].part), (&[][..], true, true));
    let new = plan.destination().to_string();
    let split = site.content.commit(&plan, &site.all()).await.unwrap();
    assert_eq!(site.counts(&["1.1", &new]).await, [2, 1]);
    let moved = &site.study(&new).await["1.1.1.2"];
    assert_eq!((moved.text(tags::PATIENT_NAME), moved.text(tags::ACCESSION_NUMBER)), (Some(ANNA.1), Some("ACC1.1")));
    assert!(moved.contains(tags::PATIENT_WEIGHT), "the patient is the same");
    site.undo(split.operation).await.unwrap();
    assert_eq!((site.study("1.1").await, site.study("1.2").await), before);
}
