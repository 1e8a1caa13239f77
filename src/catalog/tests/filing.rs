//! What arrives becomes rows, receipts and counts.

use super::*;

pub(super) async fn leased(catalog: &Catalog) -> (i64, Item) {
    let id = job_of(catalog, 1).await.id;
    let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    let new = NewCheckpoint { owner: "me".into(), attempt: 1, association: 7, message_id: 3, level: "STUDY".into() };
    catalog.open_checkpoint(item.id, item.fence, new).await.unwrap().unwrap();
    (id, item)
}

/// In an async test the filing thread is another one.
async fn record(catalog: &Catalog, batch: Vec<NewInstance>) -> Vec<Recorded> {
    let catalog = catalog.clone();
    tokio::task::spawn_blocking(move || catalog.record(batch).unwrap()).await.unwrap()
}

/// The same UID with other bytes, at another place.
fn other_bytes(mut object: NewInstance, destination: Destination) -> NewInstance {
    object.digest = Some(crate::store::Digest::from_bytes([9; 32]));
    let before = object.place.to_string();
    let stem = before.trim_end_matches(".dcm");
    let name = stem.rsplit_once('/').unwrap().1;
    let place = match destination {
        Destination::Image | Destination::Variant => format!("{stem}~0909090909090909.dcm"),
        _ => format!("quarantine/09/{name}~0909090909090909.dcm"),
    };
    object.place = stored(&place);
    object.destination = destination;
    object
}

pub(super) fn sent_again(mut object: NewInstance) -> NewInstance {
    object.receipt.association += 1_000_000;
    object
}

fn discard(object: NewInstance) -> NewInstance {
    let of = object.place.clone();
    NewInstance { destination: Destination::Discard { of, length: object.length }, ..sent_again(object) }
}

#[tokio::test]
async fn a_filed_instance_is_found_and_counted_everywhere() {
    let (_folder, catalog) = catalog();
    let (job, item) = leased(&catalog).await;
    assert_eq!(catalog.existing(&instance(1, 1).identity.instance).unwrap(), None);
    assert_eq!(
        record(&catalog, (1..=3).map(|n| instance(1, n)).collect()).await,
        [Recorded::New, Recorded::New, Recorded::New]
    );
    let first = instance(1, 1);
    let existing = catalog.existing(&first.identity.instance).unwrap().unwrap();
    assert_eq!(existing.current.place, first.place);
    assert_eq!((existing.current.digest, existing.current.length), (first.digest, first.length));
    assert_eq!((&existing.study, &existing.series), (&first.identity.study, &first.identity.series));
    assert_eq!(existing.current.transfer_syntax, first.transfer_syntax);

    let study = &first.identity.study;
    let filed = catalog.filed_of_study(study).await.unwrap();
    assert_eq!(filed.len(), 3);
    assert!(filed.contains(&(first.identity.series.clone(), first.identity.instance.clone())));
    let receipts = catalog.receipts_of_study(SOURCE, study).await.unwrap();
    assert_eq!(
        receipts.iter().map(|r| r.instance.as_str().rsplit('.').next().unwrap()).collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    assert!(receipts.iter().all(|r| r.outcome == Outcome::New && r.item == Some(item.id)));
    assert_eq!(catalog.last_arrival(SOURCE, study).await.unwrap(), Some(receipts[2].at));
    assert_eq!(catalog.last_arrival("another", study).await.unwrap(), None);

    let counts = catalog.item(item.id).await.unwrap().unwrap().counts;
    assert_eq!((counts.listed, counts.filed, counts.bytes), (3, 3, 3 * 525_000));
    let totals = catalog.totals(job).await.unwrap();
    assert_eq!((totals.objects.listed, totals.objects.filed, totals.bytes), (3, 3, 3 * 525_000));
    assert_eq!(catalog.checkpoints(job, 1).await.unwrap()[0].received, 3);
    assert_eq!(catalog.throughput(job, LONG).await.unwrap(), (3, 3 * 525_000));
    let counted = catalog.db.read_blocking(|c| {
        Ok(c.query_row(
            "SELECT instances, series, modalities, (SELECT instances FROM series) FROM studies",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?)),
        )?)
    });
    assert_eq!(counted.unwrap(), (3, 1, "CT".into(), 3));
}

#[tokio::test]
async fn each_outcome_has_its_receipt_and_its_count() {
    let (_folder, catalog) = catalog();
    let (job, item) = leased(&catalog).await;
    let quarantine =
        |n| other_bytes(sent_again(instance(1, n)), Destination::Quarantine { reason: "no header".into() });
    let batch = vec![
        instance(1, 1),
        discard(instance(1, 1)),
        other_bytes(sent_again(instance(1, 1)), Destination::Variant),
        instance(1, 2),
        other_bytes(sent_again(instance(1, 2)), Destination::Collision),
        quarantine(3),
    ];
    let expected = [
        Recorded::New,
        Recorded::Duplicate,
        Recorded::Variant,
        Recorded::New,
        Recorded::Collision,
        Recorded::Quarantined("no header".into()),
    ];
    assert_eq!(record(&catalog, batch).await, expected);
    let study = instance(1, 1).identity.study;
    let outcomes: Vec<_> =
        catalog.receipts_of_study(SOURCE, &study).await.unwrap().into_iter().map(|r| r.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::New, Outcome::Duplicate, Outcome::Variant, Outcome::New, Outcome::Collision, Outcome::Quarantined]
    );
    let objects = catalog.totals(job).await.unwrap().objects;
    assert_eq!(
        objects,
        ObjectTotals { listed: 3, filed: 2, duplicate: 1, already_moved: 0, variant: 1, collision: 1, quarantined: 1 }
    );
    // A variant is no other instance; a collision and what is in quarantine are not filed.
    assert_eq!(catalog.filed_of_study(&study).await.unwrap().len(), 2);
    let kept = catalog.quarantined_of_study(&study).await.unwrap();
    assert_eq!(
        kept.iter().map(|q| (q.collision, q.reason.as_str())).collect::<Vec<_>>(),
        [(true, ""), (false, "no header")]
    );
    assert!(kept[0].place.is_quarantine());
    let existing = catalog.existing(&instance(1, 1).identity.instance).unwrap().unwrap();
    assert_eq!(existing.variants.len(), 1);
    assert_eq!(existing.variants[0].digest, Some(crate::store::Digest::from_bytes([9; 32])));

    // What is kept in quarantine and comes with each attempt is one object all the same.
    assert_eq!(record(&catalog, vec![sent_again(quarantine(3))]).await, [Recorded::Quarantined("no header".into())]);
    assert_eq!(catalog.totals(job).await.unwrap().objects, objects);
    assert_eq!(catalog.quarantined_of_study(&study).await.unwrap().len(), 2);
    assert_eq!(catalog.receipts_of_study(SOURCE, &study).await.unwrap().len(), 7);
    let counts = catalog.item(item.id).await.unwrap().unwrap().counts;
    assert_eq!(counts.bytes, 7 * 525_000);
}

#[tokio::test]
async fn a_batch_recorded_twice_is_there_once() {
    let (_folder, catalog) = catalog();
    let (job, _) = leased(&catalog).await;
    let batch = || {
        vec![
            instance(1, 1),
            other_bytes(instance(1, 1), Destination::Variant),
            instance(1, 2),
            other_bytes(instance(1, 2), Destination::Collision),
            other_bytes(instance(1, 3), Destination::Quarantine { reason: "r".into() }),
        ]
    };
    record(&catalog, batch()).await;
    let before = (
        catalog.totals(job).await.unwrap(),
        catalog.receipts_of_study(SOURCE, &instance(1, 1).identity.study).await.unwrap(),
    );
    // A crash after the commit: the next process finds the files and records them again, under its own name.
    let again = batch().into_iter().map(|mut object| {
        object.receipt.process = "the next one".into();
        object
    });
    let recorded = record(&catalog, again.collect()).await;
    let expected = [
        Recorded::Duplicate,
        Recorded::Duplicate,
        Recorded::Duplicate,
        Recorded::Collision,
        Recorded::Quarantined("r".into()),
    ];
    assert_eq!(recorded, expected);
    let after = (
        catalog.totals(job).await.unwrap(),
        catalog.receipts_of_study(SOURCE, &instance(1, 1).identity.study).await.unwrap(),
    );
    assert_eq!(before, after);
}

#[tokio::test]
async fn what_another_process_filed_meanwhile_is_contested_and_nothing_is_recorded() {
    let (_folder, catalog) = catalog();
    let (job, _) = leased(&catalog).await;
    record(&catalog, vec![instance(1, 1)]).await;
    let totals = catalog.totals(job).await.unwrap();
    let batch = vec![
        other_bytes(sent_again(instance(1, 1)), Destination::Image),
        NewInstance { place: stored("images/2020/01/01/1.2/1.3/1.4.dcm"), ..sent_again(instance(1, 1)) },
        discard(instance(1, 2)),
        other_bytes(instance(1, 2), Destination::Variant),
    ];
    assert_eq!(
        record(&catalog, batch).await,
        [Recorded::Contested, Recorded::Contested, Recorded::Contested, Recorded::Contested]
    );
    assert_eq!(catalog.totals(job).await.unwrap(), totals);
    assert_eq!(catalog.receipts_of_study(SOURCE, &instance(1, 1).identity.study).await.unwrap().len(), 1);
    // The same bytes at the same place on another association: a duplicate, and it did arrive.
    assert_eq!(record(&catalog, vec![sent_again(instance(1, 1))]).await, [Recorded::Duplicate]);
    assert_eq!(catalog.totals(job).await.unwrap().objects.duplicate, 1);
}

#[tokio::test]
async fn an_object_is_counted_for_the_pull_that_is_open() {
    let (_folder, catalog) = catalog();
    let (older, item) = leased(&catalog).await;
    let newer = catalog.create_job(&JobSpec { modalities: vec!["CT".into()], ..spec() }).await.unwrap().id;
    catalog.add_studies(newer, vec![listed(1, 3)]).await.unwrap();
    record(&catalog, vec![instance(1, 1)]).await;
    assert_eq!(catalog.totals(older).await.unwrap().objects.filed, 1, "its pull is open");
    catalog.update_item(item.id, item.fence, ItemUpdate::to(ItemState::Waiting, 1)).await.unwrap();
    record(&catalog, vec![instance(1, 2)]).await;
    assert_eq!(catalog.totals(newer).await.unwrap().objects.filed, 1, "the latest job that is not over");
    catalog.set_job_state(newer, JobState::Cancelled, None).await.unwrap();
    record(&catalog, vec![instance(1, 3)]).await;
    assert_eq!(catalog.totals(older).await.unwrap().objects.filed, 2);
    catalog.set_job_state(older, JobState::Finished, None).await.unwrap();
    record(&catalog, vec![instance(1, 4)]).await;
    let mut stranger = instance(1, 5);
    stranger.receipt.source = None;
    record(&catalog, vec![stranger]).await;
    assert_eq!(catalog.totals(older).await.unwrap().objects.filed, 2);
    let study = instance(1, 1).identity.study;
    assert_eq!(catalog.receipts_of_study(SOURCE, &study).await.unwrap().last().unwrap().item, None);
    assert_eq!(catalog.filed_of_study(&study).await.unwrap().len(), 5, "filed all the same");
}

#[tokio::test]
async fn a_comparison_corrects_what_the_receipts_count() {
    let (_folder, catalog) = catalog();
    let (job, item) = leased(&catalog).await;
    record(&catalog, vec![instance(1, 1)]).await;
    let update = ItemUpdate {
        listed: Some(5),
        filed: Some(5),
        evidence: Some(Evidence::Instances),
        ..ItemUpdate::to(ItemState::Proven, 1)
    };
    assert!(catalog.update_item(item.id, item.fence, update).await.unwrap());
    let totals = catalog.totals(job).await.unwrap();
    assert_eq!(
        (totals.objects.listed, totals.objects.filed, totals.items.proven, totals.items.proven_by_count),
        (5, 5, 1, 0)
    );
}

#[tokio::test]
async fn a_study_is_what_its_first_filed_instance_says_and_contradictions_are_flagged() {
    let (_folder, catalog) = catalog();
    let mut bad = other_bytes(instance(1, 1), Destination::Quarantine { reason: "r".into() });
    bad.header.patient_name = Some("Wrong^Name".into());
    let mut other = instance(1, 3);
    other.header.patient_id = Some("ANOTHER".into());
    other.header.modality = Some("SR".into());
    other.identity.series = SeriesInstanceUid::new("1.2.3");
    record(&catalog, vec![bad]).await;
    record(&catalog, vec![instance(1, 2)]).await;
    record(&catalog, vec![other]).await;
    let row = catalog.db.read_blocking(|c| {
        Ok(c.query_row(
            "SELECT p.name, p.name_folded, s.flags, s.modalities, s.series, s.instances FROM studies s JOIN patients p ON p.id = s.patient",
            [],
            |row| {
                let text = |n| row.get::<_, String>(n);
                let number = |n| row.get::<_, i64>(n);
                Ok((text(0)?, text(1)?, number(2)?, text(3)?, number(4)?, number(5)?))
            },
        )?)
    });
    let name = listed(1, 1).patient_name;
    let folded = name.to_lowercase();
    let expected = (name, folded, FLAG_PATIENTS, "CT\\SR".into(), 2, 2);
    assert_eq!(row.unwrap(), expected);
    // Whoever has a job with the study is told when it ends.
    let job = job_of(&catalog, 1).await.id;
    let item = catalog.claim(job, "me", LONG).await.unwrap().unwrap();
    assert!(catalog.notes(job).await.unwrap().is_empty());
    catalog.update_item(item.id, item.fence, ItemUpdate::to(ItemState::Proven, 1)).await.unwrap();
    let notes = catalog.notes(job).await.unwrap();
    assert!(matches!(&*notes, [note] if note.text.contains(item.study.study_uid.as_str())), "{notes:?}");
}

#[tokio::test]
async fn a_variant_with_other_parents_is_filed_in_both_studies() {
    let (_folder, catalog) = catalog();
    let mut variant = other_bytes(sent_again(instance(1, 1)), Destination::Variant);
    variant.identity.study = instance(2, 1).identity.study;
    variant.identity.series = instance(2, 1).identity.series;
    record(&catalog, vec![instance(1, 1), variant]).await;
    for study in [1, 2] {
        let study = instance(study, 1).identity.study;
        let filed = catalog.filed_of_study(&study).await.unwrap();
        assert_eq!(filed.len(), 1, "{study}");
        assert_eq!(filed[0].1, instance(1, 1).identity.instance);
    }
}

#[test]
fn two_processes_file_the_same_objects_and_each_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(Catalog::open(&path).unwrap());
    let writers: Vec<_> = (0..2u64)
        .map(|writer| {
            let path = path.clone();
            std::thread::spawn(move || {
                let catalog = Catalog::open(&path).unwrap();
                let mut new = 0;
                for n in 1..=40 {
                    let batch = (0..5).map(|study| {
                        let mut object = instance(study + 1, n);
                        object.receipt.association = writer;
                        object
                    });
                    let recorded = catalog.record(batch.collect()).unwrap();
                    assert!(recorded.iter().all(|r| matches!(r, Recorded::New | Recorded::Duplicate)), "{recorded:?}");
                    new += recorded.iter().filter(|r| **r == Recorded::New).count();
                }
                new
            })
        })
        .collect();
    let new: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    assert_eq!(new, 200);
    let catalog = Catalog::open(&path).unwrap();
    let counts = catalog.db.read_blocking(|c| {
        let sql = "SELECT (SELECT count(*) FROM instances), (SELECT sum(instances) FROM studies), (SELECT count(*) FROM receipts)";
        Ok(c.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))?)
    });
    assert_eq!(counts.unwrap(), (200, 200, 400));
}

#[tokio::test]
async fn a_synthetic_catalog_holds_what_recording_would_have_written() {
    let rows = |c: &rusqlite::Connection| {
        let columns = "p.patient_id, p.name, p.name_folded, s.uid, s.study_date, s.study_time, s.modalities, s.series, s.instances,
            se.uid, se.folder, se.instances, i.uid, i.number, i.rows, i.place, i.length, r.n, r.outcome, r.instance";
        let sql = format!(
            "SELECT json_array({columns}) FROM receipts r JOIN instances i ON i.id = r.instance JOIN series se ON se.id = i.series
             JOIN studies s ON s.id = se.study AND s.id = r.study JOIN patients p ON p.id = s.patient ORDER BY r.study, r.n"
        );
        let mut statement = c.prepare(&sql)?;
        Ok(statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
    };
    let (_folder, filled) = catalog();
    synthetic::fill(&filled, 3, 2).unwrap();
    let (_other, recorded) = catalog();
    record(&recorded, (1..=3).flat_map(|study| [instance(study, 1), instance(study, 2)]).collect()).await;
    let filled = filled.db.read_blocking(rows).unwrap();
    assert_eq!(filled.len(), 6);
    assert_eq!(filled, recorded.db.read_blocking(rows).unwrap());
}

#[tokio::test]
async fn the_first_place_of_a_series_is_known_to_the_rest_of_its_batch() {
    let link: crate::store::Place =
        crate::store::Link { path: "/a/1".into(), offset: 400, size: 525_400, modified: Some(7) }.into();
    let copied = instance(1, 1);
    let linked = NewInstance { place: link.clone(), ..sent_again(copied.clone()) };
    let taking = NewInstance { replaces: Some(link), ..copied.clone() };
    for (batch, outcomes) in [
        (vec![copied.clone(), linked.clone()], [Recorded::New, Recorded::Contested]),
        (vec![copied.clone(), NewInstance { replaces: Some(copied.place.clone()), ..linked.clone() }], {
            [Recorded::New, Recorded::Duplicate]
        }),
        (vec![linked, taking], [Recorded::New, Recorded::Duplicate]),
    ] {
        let (_folder, catalog) = catalog();
        let last = if outcomes[1] == Recorded::Contested { &batch[0] } else { &batch[1] };
        let (uid, place) = (last.identity.instance.clone(), last.place.clone());
        assert_eq!(record(&catalog, batch).await, outcomes);
        assert_eq!(catalog.existing(&uid).unwrap().unwrap().current.place, place);
    }
}
