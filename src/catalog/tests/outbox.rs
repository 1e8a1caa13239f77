//! The outbox and the retrieve log: what is kept, and when its time comes.

use super::*;

fn study(number: u32) -> StudyInstanceUid {
    StudyInstanceUid::new(&format!("1.2.{number}"))
}

fn rescan(number: u32) -> Errand {
    Errand::Rescan { study: study(number), reason: "moved".into() }
}

fn publish(peer: &str, first: &[i64]) -> Errand {
    Errand::Publish { peer: peer.into(), study: study(1), first: first.to_vec() }
}

async fn put(catalog: &Catalog, operation: i64, errands: Vec<Errand>) -> Vec<i64> {
    catalog.write(move |tx| crate::catalog::outbox::put(tx, Some(operation), &errands)).await.unwrap()
}

async fn due(catalog: &Catalog) -> Vec<i64> {
    catalog.due_errands(Vec::new(), 100).await.unwrap().into_iter().map(|entry| entry.id).collect()
}

#[tokio::test]
async fn what_cannot_be_told_waits_with_its_lane_and_what_was_told_lets_the_lane_go_on() {
    let (_folder, catalog) = catalog();
    let ids = put(&catalog, 7, vec![rescan(1), rescan(2), publish("A", &[4, 2]), publish("B", &[])]).await;
    let [one, two, a, b] = ids[..] else { panic!("{ids:?}") };
    assert_eq!(due(&catalog).await, ids);
    assert_eq!(catalog.to_publish(a).await.unwrap(), [4, 2], "in the order in which they were named");
    let others = catalog.due_errands(vec![String::new(), "B".into()], 1).await.unwrap();
    assert_eq!(others.iter().map(|entry| entry.id).collect::<Vec<_>>(), [a], "not behind those whose turn it is not");
    // Nobody is there: whatever else is for the same side waits too; the other sides do not.
    catalog.put_off_errand(one, LONG, "nobody there", true).await.unwrap();
    assert_eq!(due(&catalog).await, [a, b]);
    let entry = catalog.outbox_entry(one).await.unwrap().unwrap();
    assert_eq!((entry.attempts, entry.detail.as_str(), entry.operation), (1, "nobody there", Some(7)));
    assert_eq!(catalog.outbox_entry(two).await.unwrap().unwrap().attempts, 0);
    catalog.end_errand(two, ErrandState::Done, "accepted").await.unwrap();
    assert_eq!(due(&catalog).await, [a, b, one], "the side is there again");
    // It is only this one.
    catalog.put_off_errand(one, LONG, "cannot cope", false).await.unwrap();
    let three = put(&catalog, 8, vec![rescan(3)]).await[0];
    assert_eq!(due(&catalog).await, [a, b, three]);
}

#[tokio::test]
async fn what_failed_is_kept_until_somebody_tries_it_again() {
    let (_folder, catalog) = catalog();
    let ids = put(&catalog, 7, vec![rescan(1), publish("A", &[4])]).await;
    for id in &ids {
        catalog.end_errand(*id, ErrandState::Failed, "no").await.unwrap();
    }
    assert!(due(&catalog).await.is_empty());
    let counts = catalog.outbox_counts().await.unwrap();
    assert_eq!((counts.rescans_failed, counts.publications_failed, counts.oldest), (1, 1, None));
    assert!(catalog.retry_errand(ids[1]).await.unwrap());
    assert_eq!(due(&catalog).await, [ids[1]]);
    assert_eq!(catalog.retry_failed_errands().await.unwrap(), 1);
    assert_eq!(due(&catalog).await.len(), 2);
    catalog.end_errand(ids[0], ErrandState::Done, "").await.unwrap();
    assert!(!catalog.retry_errand(ids[0]).await.unwrap(), "what is done is done");
    assert_eq!(catalog.retry_failed_errands().await.unwrap(), 0);
}

#[tokio::test]
async fn a_rescan_asked_for_by_hand_takes_up_the_one_that_waits_or_failed() {
    let (_folder, catalog) = catalog();
    let id = put(&catalog, 7, vec![rescan(1)]).await[0];
    catalog.end_errand(id, ErrandState::Failed, "no").await.unwrap();
    assert_eq!(catalog.ask_rescan(&study(1), "by hand").await.unwrap(), id);
    assert_eq!(due(&catalog).await, [id]);
    let other = catalog.ask_rescan(&study(2), "by hand").await.unwrap();
    catalog.end_errand(id, ErrandState::Done, "").await.unwrap();
    let again = catalog.ask_rescan(&study(1), "by hand").await.unwrap();
    assert_eq!(due(&catalog).await, [other, again]);
    let of_study = catalog.outbox(&OutboxFilter::Study(study(1)), 10).await.unwrap();
    assert_eq!(of_study.iter().map(|entry| entry.id).collect::<Vec<_>>(), [again, id]);
    let open = catalog.outbox(&OutboxFilter::Open, 10).await.unwrap();
    assert_eq!(open.iter().map(|entry| entry.id).collect::<Vec<_>>(), [again, other]);
}

#[tokio::test]
async fn what_is_undone_is_not_told_and_what_was_told_stays_told() {
    let (_folder, catalog) = catalog();
    let ids = put(&catalog, 7, vec![rescan(1), publish("A", &[]), publish("B", &[])]).await;
    let other = put(&catalog, 8, vec![rescan(2)]).await[0];
    catalog.end_errand(ids[1], ErrandState::Done, "").await.unwrap();
    assert_eq!(catalog.withdraw_errands(7).await.unwrap(), 2);
    // The attempt that was under way changes nothing any more.
    catalog.end_errand(ids[0], ErrandState::Done, "").await.unwrap();
    catalog.put_off_errand(ids[2], OVER, "", false).await.unwrap();
    let of = catalog.outbox(&OutboxFilter::Operation(7), 10).await.unwrap();
    let states: Vec<_> = of.iter().rev().map(|entry| entry.state).collect();
    assert_eq!(states, [ErrandState::Withdrawn, ErrandState::Done, ErrandState::Withdrawn]);
    assert_eq!(due(&catalog).await, [other]);
}

#[tokio::test]
async fn how_far_a_publication_is_is_kept() {
    let (_folder, catalog) = catalog();
    let id = put(&catalog, 7, vec![publish("A", &[1, 2, 3])]).await[0];
    assert_eq!(catalog.published(id).await.unwrap(), Published::default());
    let published = Published { position: 2, sent: 1, refused: vec![2], passes: 1 };
    catalog.set_published(id, &published).await.unwrap();
    assert_eq!(catalog.published(id).await.unwrap(), published);
    let entry = catalog.outbox_entry(id).await.unwrap().unwrap();
    assert_eq!((entry.sent, entry.refused), (1, 1));
}

#[tokio::test]
async fn the_retrieve_log_has_one_row_for_each_node_and_identity() {
    let (_folder, catalog) = catalog();
    let recorder = catalog.clone();
    let object = instance(1, 1);
    let study = object.identity.study.clone();
    tokio::task::spawn_blocking(move || recorder.record(vec![object]).unwrap()).await.unwrap();
    let selected =
        catalog.select(&Selection { studies: vec![study.clone()], ..Selection::default() }, 9).await.unwrap();
    let shown = catalog.held(&[selected.instances[0].0]).await.unwrap()[0].shown;
    assert_eq!(shown.correction, 0);
    let left = |peer: &str, correction, at, instances| Left {
        peer: peer.into(),
        shown: ShownAs { correction, ..shown },
        first: at,
        last: at,
        instances,
        corrected: false,
    };
    catalog.add_departures(vec![left("A", 0, 5, 2), left("B", 0, 6, 1)]).await.unwrap();
    catalog.add_departures(vec![left("A", 0, 3, 1), left("A", 9, 9, 4)]).await.unwrap();
    let departures = catalog.departures_of_study(&study).await.unwrap();
    let rows: Vec<_> = departures
        .iter()
        .map(|d| (d.peer.as_str(), d.shown.correction, d.first, d.last, d.instances, d.study == study))
        .collect();
    assert_eq!(rows, [("A", 9, 9, 9, 4, true), ("B", 0, 6, 6, 1, true), ("A", 0, 3, 5, 3, true)]);
    assert_eq!(catalog.departures(&[shown.series]).await.unwrap(), departures);
    assert!(catalog.departures(&[shown.series + 1]).await.unwrap().is_empty());
}

/// Two studies, and an operation in force that has moved all of the first one into the second: its number, the objects and
/// what they were shown as before.
async fn moved(catalog: &Catalog, along: Along) -> (i64, Vec<i64>, ShownAs) {
    let recorder = catalog.clone();
    let objects = vec![instance(1, 1), instance(1, 2), instance(2, 1)];
    let study = |at: usize| objects[at].identity.study.clone();
    let (source, destination) = (study(0), study(2));
    tokio::task::spawn_blocking(move || recorder.record(objects).unwrap()).await.unwrap();
    let selection = Selection { studies: vec![source.clone()], ..Selection::default() };
    let selected = catalog.select(&selection, 9).await.unwrap();
    let ids: Vec<i64> = selected.instances.iter().map(|(id, _)| *id).collect();
    let before = catalog.held(&ids).await.unwrap()[0].shown;
    let new = NewCorrection {
        key: None,
        kind: CorrectionKind::Reallocate,
        mode: CorrectionMode::Iocm,
        operator: "clerk".into(),
        reason: String::new(),
        reason_text: String::new(),
        source,
        destination,
        describes: None,
        amendment: Vec::new(),
        sheet: "{}".into(),
        process: "test".into(),
    };
    let staged = catalog.stage_begin(new).await.unwrap();
    let object = |id: &i64| NewCorrected::Moved {
        instance: *id,
        series: SeriesInstanceUid::new("2.25.7"),
        uid: Some(SopInstanceUid::new(&format!("2.25.{id}00"))),
        patch: None,
    };
    catalog.stage_add(staged.id, ids.iter().map(object).collect()).await.unwrap();
    catalog.flip(staged.id, Vec::new(), along).await.unwrap();
    (staged.id, ids, before)
}

#[tokio::test]
async fn a_publication_is_of_the_objects_of_its_operation_as_they_are_shown() {
    let (_folder, catalog) = catalog();
    let along = Along { errands: vec![publish("A", &[]), rescan(1)], ..Along::default() };
    let (operation, mut ids, before) = moved(&catalog, along).await;
    let [publication, rescan] = due(&catalog).await[..] else { panic!("the errands came with the flip") };
    let entry = catalog.outbox_entry(rescan).await.unwrap().unwrap();
    assert_eq!((entry.operation, entry.state), (Some(operation), ErrandState::Waiting));
    ids.sort_unstable();
    assert_eq!(catalog.to_publish(publication).await.unwrap(), ids);
    for held in catalog.held(&ids).await.unwrap() {
        assert_eq!(held.instance.as_str(), format!("2.25.{}00", held.id));
        assert!(held.shown.correction == operation && held.shown.series != before.series);
    }
    catalog.undo_correction(operation, "clerk", Along::default()).await.unwrap();
    assert!(due(&catalog).await.is_empty(), "what was undone is not told any more");
}

#[tokio::test]
async fn a_node_that_takes_what_was_corrected_meanwhile_is_told_of_it() {
    let (_folder, catalog) = catalog();
    let (operation, ids, before) = moved(&catalog, Along::default()).await;
    let at = |after_ms: i64| crate::catalog::codes::now() + after_ms;
    let left = |peer: &str, last, corrected| Left {
        peer: peer.into(),
        shown: before,
        first: last,
        last,
        instances: 2,
        corrected,
    };
    let put = async |left| {
        catalog.add_departures(vec![left]).await.unwrap();
        due(&catalog).await
    };
    assert!(put(left("A", at(-60_000), true)).await.is_empty(), "that was told at the flip");
    assert!(put(left("A", at(1000), false)).await.is_empty(), "one that is told of nothing");
    let entries = put(left("A", at(1000), true)).await;
    let [entry] = entries[..] else { panic!("{entries:?}") };
    let told = catalog.outbox_entry(entry).await.unwrap().unwrap();
    assert_eq!((told.operation, told.errand.study().clone()), (Some(operation), listed(2, 1).study_uid));
    let mut ids = ids;
    ids.sort_unstable();
    assert_eq!(catalog.to_publish(entry).await.unwrap(), ids);
    assert_eq!(put(left("A", at(2000), true)).await, entries, "it waits to be told of that already");
    catalog.end_errand(entry, ErrandState::Done, "").await.unwrap();
    assert_eq!(put(left("A", at(60_000), true)).await.len(), 1, "it took them after it had been told");
    // The identity that is shown now is nothing to be told of.
    let shown = catalog.held(&ids).await.unwrap()[0].shown;
    assert_eq!(put(Left { shown, ..left("B", at(1000), true) }).await.len(), 1);
}

#[tokio::test]
async fn what_the_sender_and_every_retrieve_ask_is_found_by_an_index() {
    use crate::catalog::outbox::sending;
    let (_folder, catalog) = catalog();
    let due = sending::due();
    let plans = catalog.read(move |c| {
        Ok([&due, sending::OF_OPERATION, departures::MISSED, departures::OF_SERIES].map(|sql| plans::plan(c, sql)))
    });
    let plans = plans.await.unwrap();
    for plan in &plans {
        // A scan of a list that was given is none.
        let scans = |step: &&String| step.starts_with("SCAN") && !step.contains("VIRTUAL TABLE");
        assert!(!plan.iter().any(|step| scans(&step)), "{plan:?}");
    }
    assert!(plans[0].iter().any(|step| step.contains("outbox_due")), "{plans:?}");
}
