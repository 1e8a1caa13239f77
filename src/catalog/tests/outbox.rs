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
    catalog.due_errands(100).await.unwrap().into_iter().map(|entry| entry.id).collect()
}

#[tokio::test]
async fn what_cannot_be_told_waits_with_its_lane_and_what_was_told_lets_the_lane_go_on() {
    let (_folder, catalog) = catalog();
    let ids = put(&catalog, 7, vec![rescan(1), rescan(2), publish("A", &[4, 2]), publish("B", &[])]).await;
    let [one, two, a, b] = ids[..] else { panic!("{ids:?}") };
    assert_eq!(due(&catalog).await, ids);
    assert_eq!(catalog.to_publish(a).await.unwrap(), [4, 2], "in the order in which they were named");
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
