//! Findings of the AI platform are cleared in the same transaction, and asked for again.

use super::*;
use crate::catalog::{Errand, ErrandState, OutboxFilter};

const AI: &str = "[ai]\nrescan_url = \"http://127.0.0.1:9/\"\nfindings = [ { manufacturer = \"Acme\" } ]\n";

#[tokio::test]
async fn findings_of_both_studies_are_cleared_and_come_back_with_the_undo() {
    let site = Site::new(AI);
    let mut made = Tree::new();
    made.put_text(tags::MANUFACTURER, "Acme");
    site.series(ANNA, "1.1.1", 2).await;
    site.series(ANNA, "1.1.3", 1).await;
    site.send(ANNA, "1.1.2", 1, &made).await;
    site.series(TARO, "1.2.1", 1).await;
    site.send(TARO, "1.2.2", 1, &made).await;
    let before = (site.study("1.1").await, site.study("1.2").await);

    let plan = site.content.plan(&series("1.1.1", "1.2"), &site.all()).await.unwrap();
    assert!(plan.warnings.contains(&Warning::Findings { objects: 2 }), "{:?}", plan.warnings);
    assert_eq!((plan.source.objects_after, plan.destination.objects_after), (1, 3));
    let done = site.content.commit(&plan, &site.all()).await.unwrap();
    assert_eq!((done.errands, site.counts(&["1.1", "1.2"]).await), (2, vec![1, 3]));
    let outbox = site.content.catalog.outbox(&OutboxFilter::Operation(done.operation), 10).await.unwrap();
    let mut studies: Vec<_> = outbox
        .iter()
        .map(|entry| match &entry.errand {
            Errand::Rescan { study, .. } => study.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    studies.sort();
    assert_eq!(studies, ["1.1", "1.2"]);

    site.undo(done.operation).await.unwrap();
    assert_eq!((site.study("1.1").await, site.study("1.2").await), before);
    let outbox = site.content.catalog.outbox(&OutboxFilter::Operation(done.operation), 10).await.unwrap();
    assert!(outbox.iter().all(|entry| entry.state == ErrandState::Withdrawn));

    // Nothing of it is moved itself.
    let alone = site.content.plan(&series("1.1.2", "1.2"), &site.all()).await;
    assert!(matches!(alone, Err(ContentError::Refused(why)) if *why == [Refusal::OnlyFindings]));
}
