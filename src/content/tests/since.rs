//! What has happened since a move: to be known before it is taken back.

use super::*;
use crate::catalog::{Left, ShownAs};

#[tokio::test]
async fn an_undo_says_who_got_corrected_objects_and_what_came_too_late_for_the_move_is_found() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 2).await;
    site.series(ANNA, "1.1.2", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let operation = site.done(&series("1.1.1", "1.2")).await.operation;
    let catalog = &site.content.catalog;
    assert_eq!(site.content.plan_undo(operation, &site.all()).await.unwrap().warnings, []);
    assert_eq!(catalog.latecomers(operation).await.unwrap(), []);

    let facts = catalog.study_facts(&StudyInstanceUid::new("1.2")).await.unwrap().unwrap();
    let moved = facts.series.iter().find(|series| series.uid.as_str() == "1.1.1").unwrap().id;
    let left = Left {
        peer: "VIEWER".into(),
        shown: ShownAs { series: moved, correction: operation },
        first: 1,
        last: 2,
        instances: 2,
        corrected: false,
    };
    catalog.add_departures(vec![left]).await.unwrap();
    assert_eq!(site.send(ANNA, "1.1.1", 3, &Tree::new()).await, Recorded::New);
    assert_eq!(site.send(ANNA, "1.1.2", 2, &Tree::new()).await, Recorded::New);
    assert_eq!(site.counts(&["1.1", "1.2"]).await, [3, 3], "it is filed where it says that it belongs");
    let late = catalog.latecomers(operation).await.unwrap();
    let [one] = late.as_slice() else { panic!("{late:?}") };
    assert_eq!((one.series.as_str(), one.destination.as_str(), one.objects), ("1.1.1", "1.2", 1));
    assert_eq!(catalog.latecomers_in(&StudyInstanceUid::new("1.1")).await.unwrap(), late);
    assert_eq!(catalog.latecomers_in(&StudyInstanceUid::new("1.2")).await.unwrap(), []);

    let expected = [Warning::CorrectedCopies { nodes: vec!["VIEWER".into()] }];
    let planned = site.content.plan_undo(operation, &site.all()).await.unwrap();
    assert_eq!((planned.warnings.as_slice(), planned.objects), (&expected[..], 2));
    assert_eq!(site.counts(&["1.1", "1.2"]).await, [3, 3], "a plan changes nothing");
    assert_eq!(site.undo(operation).await.unwrap().warnings, expected);
    assert_eq!(catalog.latecomers(operation).await.unwrap(), []);
    let twice = site.content.plan_undo(operation, &site.all()).await;
    assert!(matches!(twice, Err(ContentError::Refused(why)) if matches!(&*why, [Refusal::NotInForce { .. }])));
}

#[tokio::test]
async fn a_split_leaves_something_and_a_lock_of_ones_own_is_known() {
    let site = Site::new("");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(ANNA, "1.1.2", 1).await;
    let split = |uids: &[&str]| {
        let what = What::Series(uids.iter().map(|uid| SeriesInstanceUid::new(uid)).collect());
        Request::new(what, To::New(None))
    };
    let plan = site.content.plan(&split(&["1.1.1", "1.1.2"]), &site.all()).await.unwrap();
    assert_eq!(plan.refusals, [Refusal::NothingLeft { study: StudyInstanceUid::new("1.1") }]);
    assert!(site.content.plan(&split(&["1.1.1"]), &site.all()).await.unwrap().may_be_done());

    let study = StudyInstanceUid::new("1.1");
    site.content.lock(&study, "under review", &site.all()).await.unwrap();
    let again = site.content.lock(&study, "once more", &site.all()).await;
    let Err(ContentError::Refused(why)) = again else { panic!("{again:?}") };
    let [Refusal::LockedAlready { reason, .. }] = why.as_slice() else { panic!("{why:?}") };
    assert_eq!(reason, "under review");
    let other = site.content.lock(&study, "mine", &Operator::with_all("ben")).await;
    assert!(matches!(other, Err(ContentError::Refused(why)) if matches!(&*why, [Refusal::Locked { .. }])));
}

#[tokio::test]
async fn what_was_seen_is_done_with_the_very_same_uids_or_not_at_all() {
    let site = Site::new("[content]\niocm = true\n");
    site.series(ANNA, "1.1.1", 1).await;
    site.series(ANNA, "1.1.2", 1).await;
    site.series(TARO, "1.2.1", 1).await;
    let plan = site.content.plan(&series("1.1.1", "1.2"), &site.all()).await.unwrap();
    let seen = Request { seen: Some(plan.seal()), ..series("1.1.1", "1.2") };
    let (done, _) = site.content.perform(&seen, &site.all()).await.unwrap();
    assert_eq!(done.series, plan.series, "the new UIDs are those that were seen");
    let other = Request { seen: Some(plan.seal()), ..series("1.1.2", "1.2") };
    let refused = site.content.perform(&other, &site.all()).await;
    assert!(matches!(refused, Err(ContentError::Refused(why)) if matches!(&*why, [Refusal::Changed { .. }])));
}
