//! Corrections: staged out of sight, flipped on, seen by every query, undone.

use super::*;
use crate::dataset::{Amendment, Header};
use crate::dicom::{QueryLevel, Tag};

async fn record(catalog: &Catalog, batch: Vec<NewInstance>) -> Vec<Recorded> {
    let catalog = catalog.clone();
    tokio::task::spawn_blocking(move || catalog.record(batch).unwrap()).await.unwrap()
}

fn study(number: u64) -> StudyInstanceUid {
    listed(number, 1).study_uid
}

fn series(number: u64) -> SeriesInstanceUid {
    instance(number, 1).identity.series
}

/// Studies 1 and 2, of two and three objects.
async fn two_studies() -> (tempfile::TempDir, Catalog) {
    let (folder, catalog) = catalog();
    let objects = [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)];
    record(&catalog, objects.map(|(study, number)| instance(study, number)).to_vec()).await;
    (folder, catalog)
}

fn operation(from: u64, to: StudyInstanceUid) -> NewCorrection {
    let mut amendment = Amendment::default();
    amendment.remove.push(Tag(0x0008, 0x0050));
    NewCorrection {
        key: None,
        kind: CorrectionKind::Reallocate,
        mode: CorrectionMode::Local,
        operator: "clerk".into(),
        reason: "113038".into(),
        reason_text: "wrong patient".into(),
        source: study(from),
        destination: to,
        describes: Some(Box::new(Header { patient_id: Some("NEW".into()), ..Header::default() })),
        amendment: amendment.to_bytes(),
        sheet: "{}".into(),
        process: "test".into(),
    }
}

/// The numbers of the instances of a study, as it is shown.
async fn shown(catalog: &Catalog, study: &StudyInstanceUid) -> Vec<i64> {
    let selection = Selection { studies: vec![study.clone()], ..Selection::default() };
    catalog.select(&selection, 100).await.unwrap().instances.into_iter().map(|(id, _)| id).collect()
}

/// Stages a move of these instances, to a series of their own UID, or with new UIDs.
async fn staged(catalog: &Catalog, new: NewCorrection, ids: &[i64], renamed: bool) -> i64 {
    let id = catalog.stage_begin(new).await.unwrap().id;
    let facts = catalog.object_facts(ids).await.unwrap();
    let moved = facts.into_iter().map(|object| NewCorrected::Moved {
        instance: object.id,
        series: if renamed { SeriesInstanceUid::new(&format!("{}.99", object.series)) } else { object.series },
        uid: renamed.then(|| SopInstanceUid::new(&format!("{}.99", object.shown))),
        patch: None,
    });
    catalog.stage_add(id, moved.collect()).await.unwrap();
    id
}

async fn moved(catalog: &Catalog, from: u64, to: StudyInstanceUid, ids: &[i64], renamed: bool) -> i64 {
    let id = staged(catalog, operation(from, to), ids, renamed).await;
    catalog.flip(id, vec![], Along::default()).await.unwrap();
    id
}

/// Patient, instances, series of each study that is shown.
async fn studies(catalog: &Catalog) -> Vec<[String; 4]> {
    let found = catalog.find(QueryLevel::Study, &[], 10).await.unwrap();
    let keys = ["StudyInstanceUID", "PatientID", "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries"];
    let mut rows: Vec<_> = found.rows.iter().map(|row| keys.map(|key| row.get(key).unwrap().to_owned())).collect();
    rows.sort();
    rows
}

/// Everything that the tables say of what is shown, counts included.
async fn tables(catalog: &Catalog) -> Vec<String> {
    let sql =
        "SELECT concat_ws('|', st.uid, st.instances, st.series, st.modalities, st.sop_classes, st.linked, p.studies,
            p.instances) FROM studies st LEFT JOIN patients p ON p.id = st.patient WHERE st.instances > 0
        UNION ALL SELECT concat_ws('|', uid, study, instances) FROM series WHERE instances > 0
        UNION ALL SELECT concat_ws('|', i.id, i.uid, i.series, i.correction, i.home,
            coalesce(i.place, se.folder || '/' || i.uid || '.dcm')) FROM instances i JOIN series se ON se.id = i.series
        ORDER BY 1";
    catalog
        .read(move |c| Ok(c.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?))
        .await
        .unwrap()
}

fn error(result: Result<(), CatalogError>) -> CorrectionError {
    match result {
        Err(CatalogError::Correction(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_series_is_shown_in_another_study_from_the_flip_to_the_undo_only() {
    let (_folder, catalog) = two_studies().await;
    let before = (studies(&catalog).await, tables(&catalog).await);
    let ids = shown(&catalog, &study(1)).await;
    let stamps = |facts: [Option<StudyFacts>; 2]| facts.map(|facts| facts.unwrap().stamp).to_vec();
    let planned =
        stamps([catalog.study_facts(&study(1)).await.unwrap(), catalog.study_facts(&study(2)).await.unwrap()]);
    let id = staged(&catalog, operation(1, study(2)), &ids, false).await;
    assert_eq!((studies(&catalog).await, tables(&catalog).await), before, "what is staged is not seen");
    assert_eq!(catalog.corrections(&CorrectionFilter::All, None, 10).await.unwrap(), []);

    catalog.flip(id, planned.clone(), Along::default()).await.unwrap();
    let expected = [[study(2).as_str(), &instance(2, 1).header.patient_id.unwrap(), "5", "2"].map(str::to_owned)];
    assert_eq!(studies(&catalog).await, expected, "the source is an empty shell, and not shown");
    assert!(shown(&catalog, &study(1)).await.is_empty());
    let keys = [("SOPInstanceUID".into(), instance(1, 1).identity.instance.to_string())];
    let all = catalog.find(QueryLevel::Image, &keys, 9).await.unwrap().rows;
    assert_eq!((all.len(), all[0].get("StudyInstanceUID")), (1, Some(study(2).as_str())));
    assert_eq!(all[0].get("PatientID"), instance(2, 1).header.patient_id.as_deref());
    assert_eq!(all[0].file.as_ref().unwrap().file, instance(1, 1).place, "its file is where it was");
    let held = catalog.held(&ids).await.unwrap();
    assert_eq!((held[0].study.clone(), held[0].shown.correction), (study(2), id));
    assert_eq!(held[0].amendments.iter().map(|a| a.remove.len()).collect::<Vec<_>>(), [1]);
    let untouched = catalog.held(&shown(&catalog, &study(2)).await).await.unwrap();
    assert_eq!(untouched.iter().filter(|held| held.amendments.is_empty()).count(), 3);

    let correction = catalog.correction(id).await.unwrap().unwrap();
    assert_eq!((correction.state, correction.moved, correction.source), (CorrectionState::Active, 2, study(1)));
    let objects = catalog.corrected_instances(id, i64::MIN, 10).await.unwrap();
    assert_eq!((objects[0].from.clone(), objects[0].to.clone()), ((study(1), series(1)), (study(2), series(1))));
    let again = catalog.flip(id, planned, Along::default()).await;
    assert_eq!(error(again), CorrectionError::Changed(study(1)));

    catalog.undo_correction(id, "clerk", Along::default()).await.unwrap();
    assert_eq!((studies(&catalog).await, tables(&catalog).await), before, "as if nothing had been");
    assert!(catalog.held(&ids).await.unwrap()[0].amendments.is_empty());
    let twice = catalog.undo_correction(id, "clerk", Along::default()).await;
    assert_eq!(error(twice), CorrectionError::State { id, state: CorrectionState::Undone });
}

#[tokio::test]
async fn what_a_job_brings_again_that_was_moved_is_a_count_of_its_own() {
    let (_folder, catalog) = catalog();
    let (job, _) = filing::leased(&catalog).await;
    record(&catalog, vec![instance(1, 1), instance(1, 2), instance(2, 1)]).await;
    let ids = shown(&catalog, &study(1)).await;
    moved(&catalog, 1, study(2), &ids[..1], false).await;
    let again = |number| {
        let mut again = filing::sent_again(instance(1, number));
        again.destination = Destination::Discard { of: again.place.clone(), length: again.length };
        again
    };
    assert_eq!(record(&catalog, vec![again(1), again(2)]).await, [Recorded::AlreadyMoved, Recorded::Duplicate]);
    let objects = catalog.totals(job).await.unwrap().objects;
    assert_eq!((objects.filed, objects.duplicate, objects.already_moved), (2, 1, 1));
}

#[tokio::test]
async fn what_was_moved_never_comes_back_by_itself_and_both_studies_stay_proven() {
    let (_folder, catalog) = two_studies().await;
    let filed = |number| {
        let catalog = catalog.clone();
        async move { catalog.filed_of_study(&study(number)).await.unwrap().len() }
    };
    let ids = shown(&catalog, &study(1)).await;
    let undone = moved(&catalog, 1, study(2), &ids, false).await;
    catalog.undo_correction(undone, "clerk", Along::default()).await.unwrap();
    moved(&catalog, 1, study(2), &ids, false).await;
    assert_eq!((filed(1).await, filed(2).await), (2, 3), "source − out + in");

    let mut again = instance(1, 1);
    again.destination = Destination::Discard { of: again.place.clone(), length: again.length };
    let mut elsewhere = again.clone();
    elsewhere.identity.study = study(3);
    let before = tables(&catalog).await;
    assert_eq!(record(&catalog, vec![again, instance(1, 2), elsewhere]).await[0], Recorded::AlreadyMoved);
    assert_eq!(tables(&catalog).await, before, "nothing was written");
    let arrivals = catalog.receipts_of_study(SOURCE, &study(1)).await.unwrap();
    assert_eq!(arrivals.iter().filter(|arrival| arrival.outcome == Outcome::AlreadyMoved).count(), 1);
    let existing = catalog.existing(&instance(1, 1).identity.instance).unwrap().unwrap();
    assert_eq!((existing.moved, existing.renamed, existing.study), (true, false, study(1)));

    // Another object of the study that comes for the first time is not of it.
    assert_eq!(record(&catalog, vec![instance(1, 3)]).await, [Recorded::New]);
    assert_eq!((filed(1).await, shown(&catalog, &study(1)).await.len()), (3, 1));
}

#[tokio::test]
async fn new_uids_are_the_ones_that_are_found() {
    let (_folder, catalog) = two_studies().await;
    let ids = shown(&catalog, &study(1)).await;
    let old = instance(1, 1).identity.instance;
    let new = SopInstanceUid::new(&format!("{old}.99"));
    let id = moved(&catalog, 1, study(2), &ids[..1], true).await;
    let of = |uid: &SopInstanceUid| Selection { instances: vec![uid.clone()], ..Selection::default() };
    let found = |uid: &SopInstanceUid| {
        let (catalog, uid) = (catalog.clone(), uid.to_string());
        async move { catalog.find(QueryLevel::Image, &[("SOPInstanceUID".into(), uid)], 9).await.unwrap().rows.len() }
    };
    for (uid, count) in [(&old, 0), (&new, 1)] {
        assert_eq!(found(uid).await, count);
        assert_eq!(catalog.select(&of(uid), 9).await.unwrap().instances.len(), count);
    }
    let held = catalog.held(&ids[..1]).await.unwrap().remove(0);
    assert_eq!((&held.instance, held.amendments.len()), (&new, 2), "its UID is an amendment of its own");
    assert_eq!(studies(&catalog).await.iter().map(|row| row[2].clone()).collect::<Vec<_>>(), ["1", "4"]);

    // Sent again under either UID it is known; and under the new one nothing is filed beside it.
    let existing = catalog.existing(&new).unwrap().unwrap();
    assert!(existing.renamed);
    let mut came = instance(1, 1);
    came.destination = Destination::Discard { of: came.place.clone(), length: came.length };
    let mut renamed = came.clone();
    renamed.identity.instance = new.clone();
    let mut fresh = renamed.clone();
    fresh.destination = Destination::Image;
    let came = record(&catalog, vec![came, renamed, fresh]).await;
    assert_eq!(came, [Recorded::AlreadyMoved, Recorded::Duplicate, Recorded::Contested]);

    // On to a third study, where it keeps the UID that it has got, and all the way back.
    let on = moved(&catalog, 2, study(3), &ids[..1], false).await;
    assert_eq!((found(&old).await, found(&new).await), (0, 1));
    let held = catalog.held(&ids[..1]).await.unwrap().remove(0);
    assert_eq!((held.study, held.amendments.len()), (study(3), 3));
    let refused = catalog.undo_correction(id, "clerk", Along::default()).await;
    assert_eq!(error(refused), CorrectionError::BuiltOn { id, by: on });
    catalog.undo_correction(on, "clerk", Along::default()).await.unwrap();
    catalog.undo_correction(id, "clerk", Along::default()).await.unwrap();
    assert_eq!((found(&old).await, found(&new).await), (1, 0));
}

#[tokio::test]
async fn there_and_back_again_is_two_operations_and_each_can_be_undone_in_its_turn() {
    let (_folder, catalog) = two_studies().await;
    let before = tables(&catalog).await;
    let ids = shown(&catalog, &study(1)).await;
    let there = moved(&catalog, 1, study(2), &ids, false).await;
    let back = moved(&catalog, 2, study(1), &ids, false).await;
    assert_eq!(shown(&catalog, &study(1)).await, ids);
    assert_eq!(catalog.filed_of_study(&study(1)).await.unwrap().len(), 2);
    assert_eq!(error(catalog.can_undo(there, "clerk").await), CorrectionError::BuiltOn { id: there, by: back });
    catalog.undo_correction(back, "clerk", Along::default()).await.unwrap();
    assert!(shown(&catalog, &study(1)).await.is_empty());
    catalog.undo_correction(there, "clerk", Along::default()).await.unwrap();
    assert_eq!(tables(&catalog).await, before);
}

#[tokio::test]
async fn a_plan_that_is_out_of_date_is_refused_and_writes_nothing() {
    let (_folder, catalog) = two_studies().await;
    let ids = shown(&catalog, &study(1)).await;
    let planned = || async { vec![catalog.study_facts(&study(1)).await.unwrap().unwrap().stamp] };
    let stamp = planned().await;
    let (one, other) = (
        staged(&catalog, operation(1, study(2)), &ids, false).await,
        staged(&catalog, operation(1, study(3)), &ids[..1], false).await,
    );
    catalog.flip(other, stamp.clone(), Along::default()).await.unwrap();
    let before = tables(&catalog).await;
    assert_eq!(error(catalog.flip(one, stamp, Along::default()).await), CorrectionError::Changed(study(1)));
    assert_eq!(error(catalog.flip(one, planned().await, Along::default()).await), CorrectionError::Taken(1));
    assert_eq!(error(catalog.flip(99, vec![], Along::default()).await), CorrectionError::Unknown(99));
    assert_eq!(tables(&catalog).await, before);
    catalog.remove_staged(one).await.unwrap();
    assert_eq!(catalog.correction(one).await.unwrap(), None);
    let active = catalog.remove_staged(other).await;
    assert_eq!(error(active), CorrectionError::State { id: other, state: CorrectionState::Active });
    // What arrives in between is a change too.
    let stamp = planned().await;
    record(&catalog, vec![instance(1, 3)]).await;
    assert_ne!(planned().await, stamp);
}

#[tokio::test]
async fn what_an_operation_hides_and_what_it_writes_change_places() {
    let (_folder, catalog) = two_studies().await;
    let before = tables(&catalog).await;
    let ids = shown(&catalog, &study(1)).await;
    let id = catalog.stage_begin(operation(1, study(2))).await.unwrap().id;
    let written = instance(1, 7);
    let uid = written.identity.instance.clone();
    let objects = vec![NewCorrected::Hidden { instance: ids[0] }, NewCorrected::Written { uid: uid.clone() }];
    catalog.stage_add(id, objects).await.unwrap();
    assert_eq!(error(catalog.flip(id, vec![], Along::default()).await), CorrectionError::NotFiled(1));
    assert_eq!(record(&catalog, vec![written.clone()]).await, [Recorded::New]);
    assert_eq!(shown(&catalog, &study(1)).await, ids, "kept back until the flip");
    assert_eq!(catalog.filed_of_study(&study(1)).await.unwrap().len(), 2, "and no source's");

    catalog.flip(id, vec![], Along::default()).await.unwrap();
    let now = catalog.object_facts(&shown(&catalog, &study(1)).await).await.unwrap();
    assert_eq!(
        now.iter().map(|object| object.filed.clone()).collect::<Vec<_>>(),
        [instance(1, 2).identity.instance, uid]
    );
    assert_eq!(catalog.filed_of_study(&study(1)).await.unwrap().len(), 2);
    assert!(catalog.held(&[now[1].id]).await.unwrap()[0].amendments.is_empty(), "it is filed as it is to be");
    assert_eq!(catalog.held(&ids).await.unwrap().len(), 1);

    catalog.undo_correction(id, "clerk", Along::default()).await.unwrap();
    assert_eq!(shown(&catalog, &study(1)).await, ids);
    let after = tables(&catalog).await;
    assert_eq!(after.iter().filter(|row| !before.contains(row)).count(), 1, "one row more, which is hidden");
    let again = NewInstance {
        destination: Destination::Discard { of: written.place.clone(), length: written.length },
        ..written
    };
    assert_eq!(record(&catalog, vec![again]).await, [Recorded::AlreadyMoved]);
}

#[tokio::test]
async fn a_moved_object_whose_file_is_lost_goes_where_it_was_when_it_comes_again() {
    let (_folder, catalog) = two_studies().await;
    let ids = shown(&catalog, &study(1)).await;
    let id = moved(&catalog, 1, study(2), &ids, true).await;
    let files = catalog.files_of_study(&study(2), None, 100).await.unwrap();
    let lost = files.into_iter().find(|file| file.instance == instance(1, 1).identity.instance).unwrap();
    assert!(matches!(catalog.lose(lost, None, "gone").await.unwrap(), Lost::Instance(_)));
    assert_eq!(catalog.filed_of_study(&study(1)).await.unwrap().len(), 1);
    assert_eq!(studies(&catalog).await[0][2], "4");
    assert_eq!(record(&catalog, vec![instance(1, 1)]).await, [Recorded::New]);
    assert_eq!((studies(&catalog).await[0][2].as_str(), shown(&catalog, &study(1)).await.len()), ("5", 0));
    assert_eq!(catalog.filed_of_study(&study(1)).await.unwrap().len(), 2);
    let new = SopInstanceUid::new(&format!("{}.99", instance(1, 1).identity.instance));
    let selection = Selection { instances: vec![new], ..Selection::default() };
    assert_eq!(catalog.select(&selection, 9).await.unwrap().instances.len(), 1);
    catalog.undo_correction(id, "clerk", Along::default()).await.unwrap();
    assert_eq!(shown(&catalog, &study(1)).await.len(), 2);
}

#[tokio::test]
async fn a_lock_keeps_others_out_and_goes_with_its_process() {
    let (_folder, catalog) = two_studies().await;
    let ids = shown(&catalog, &study(1)).await;
    let id = staged(&catalog, operation(1, study(2)), &ids, false).await;
    let lock = catalog.lock_study(&study(2), "other", "report").await.unwrap();
    assert!(lock.is_manual());
    let refused = error(catalog.flip(id, vec![], Along::default()).await);
    assert!(matches!(&refused, CorrectionError::Locked { owner, .. } if owner == "other"), "{refused}");
    let both = [study(2), study(1)];
    assert!(catalog.lock_for(&both, "clerk", "test", "move").await.is_err());
    assert_eq!(catalog.unlock_study(&study(2)).await.unwrap(), lock);
    assert!(catalog.unlock_study(&study(2)).await.is_err());

    let alive = catalog.sign_of_life("test").unwrap();
    catalog.lock_for(&both, "clerk", "test", "move").await.unwrap();
    let refused = error(catalog.lock_for(&both, "other", "elsewhere", "move").await);
    assert!(matches!(&refused, CorrectionError::Running { .. }), "{refused}");
    // Nobody takes it from under an operation that is being carried out.
    let refused = error(catalog.unlock_study(&study(2)).await.map(|_| ()));
    assert!(matches!(&refused, CorrectionError::Running { .. }), "{refused}");
    assert_eq!(catalog.dead_staged().await.unwrap(), []);
    catalog.flip(id, vec![], Along::default()).await.unwrap();
    let next = staged(&catalog, operation(2, study(1)), &ids, false).await;
    drop(alive);
    assert_eq!(catalog.dead_staged().await.unwrap().iter().map(|staged| staged.id).collect::<Vec<_>>(), [next]);
    let _other = catalog.sign_of_life("elsewhere").unwrap();
    catalog.lock_for(&both, "other", "elsewhere", "move").await.unwrap();
    assert_eq!(catalog.study_locks().await.unwrap().len(), 2);
    catalog.unlock_process("elsewhere").await.unwrap();
    assert_eq!(catalog.study_locks().await.unwrap(), []);

    catalog.mark_cv_migrated(&study(1), true).await.unwrap();
    assert!(catalog.study_facts(&study(1)).await.unwrap().unwrap().cv_migrated);
    catalog.mark_cv_migrated(&study(1), false).await.unwrap();
    assert!(!catalog.study_facts(&study(1)).await.unwrap().unwrap().cv_migrated);
    assert!(catalog.mark_cv_migrated(&StudyInstanceUid::new("9.9"), true).await.is_err());
}
