//! Claims, fences, slots, checkpoints: what several processes share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn the_newest_study_is_claimed_first_and_each_only_once() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 10).await.id;
    let mut days = Vec::new();
    while let Some(item) = catalog.claim(id, "me", LONG).await.unwrap() {
        assert_eq!((item.state, item.fence), (ItemState::Pulling, 1));
        assert!(item.first_pulled.is_some());
        days.push((item.study.study_date.unwrap(), item.study.study_time));
    }
    assert_eq!(days.len(), 10);
    assert!(days.is_sorted_by(|a, b| a > b), "{days:?}");
    // One that turns up later and is newer comes first.
    catalog
        .add_studies(id, vec![ListedStudy { study_date: "20300101".parse().ok(), ..listed(50, 1) }, listed(60, 1)])
        .await
        .unwrap();
    assert_eq!(catalog.claim(id, "me", LONG).await.unwrap().unwrap().study.study_uid, listed(50, 1).study_uid);
}

#[tokio::test]
async fn a_lease_that_ran_out_is_claimed_again_and_the_late_owner_writes_nothing() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 1).await.id;
    let stalled = catalog.claim(id, "stalled", OVER).await.unwrap().unwrap();
    let open =
        NewCheckpoint { owner: "stalled".into(), attempt: 1, association: 7, message_id: 1, level: "STUDY".into() };
    assert_eq!(catalog.open_checkpoint(stalled.id, stalled.fence, open.clone()).await.unwrap(), None);
    assert!(!catalog.renew_item(stalled.id, stalled.fence, LONG).await.unwrap());

    let heir = catalog.claim(id, "heir", LONG).await.unwrap().unwrap();
    assert_eq!((heir.id, heir.fence), (stalled.id, stalled.fence + 1));
    let late = ItemUpdate { missing: vec![missing(1)], ..ItemUpdate::to(ItemState::Failed, 9) };
    assert!(!catalog.update_item(stalled.id, stalled.fence, late).await.unwrap());
    assert!(!catalog.renew_item(stalled.id, stalled.fence, LONG).await.unwrap());
    assert_eq!(catalog.open_checkpoint(stalled.id, stalled.fence, open).await.unwrap(), None);
    let item = catalog.item(heir.id).await.unwrap().unwrap();
    assert_eq!((item.state, item.attempt, item.missing), (ItemState::Pulling, 0, 0));
    assert!(catalog.missing_of(heir.id).await.unwrap().is_empty());
    assert!(catalog.renew_item(heir.id, heir.fence, LONG).await.unwrap());
    assert!(catalog.update_item(heir.id, heir.fence, ItemUpdate::to(ItemState::Proven, 1)).await.unwrap());
    assert!(
        !catalog.update_item(heir.id, heir.fence, ItemUpdate::to(ItemState::Failed, 1)).await.unwrap(),
        "given back"
    );
}

#[tokio::test]
async fn what_a_dead_process_holds_is_free_at_once_and_a_living_one_keeps_it() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 2).await.id;
    let (dying, living) = (catalog.sign_of_life("dying").unwrap(), catalog.sign_of_life("living").unwrap());
    assert!(matches!(catalog.sign_of_life("dying"), Err(CatalogError::OwnerTaken(_))), "one process a name");
    let newest = catalog.claim(id, "dying", LONG).await.unwrap().unwrap();
    let new = NewCheckpoint { owner: "dying".into(), attempt: 1, association: 7, message_id: 3, level: "STUDY".into() };
    catalog.open_checkpoint(newest.id, newest.fence, new).await.unwrap().unwrap();
    let kept = catalog.claim(id, "living", LONG).await.unwrap().unwrap();
    assert!(catalog.acquire("receiver", "dying", LONG).await.unwrap().is_some());
    assert!(catalog.acquire("worker", "living", LONG).await.unwrap().is_some());
    assert_eq!(catalog.release_dead().await.unwrap(), Vec::<String>::new());
    assert_eq!(catalog.claim(id, "heir", LONG).await.unwrap(), None);

    drop(dying);
    assert_eq!(catalog.release_dead().await.unwrap(), ["dying"]);
    assert_eq!(catalog.release_dead().await.unwrap(), Vec::<String>::new());
    let heir = catalog.claim(id, "heir", LONG).await.unwrap().unwrap();
    assert_eq!((heir.id, heir.fence), (newest.id, newest.fence + 1));
    assert_eq!(catalog.checkpoints(id, 1).await.unwrap()[0].phase, "lost");
    assert_eq!(catalog.holder("receiver").await.unwrap(), None);
    assert_eq!(catalog.holder("worker").await.unwrap().as_deref(), Some("living"));
    assert!(catalog.renew_item(kept.id, kept.fence, LONG).await.unwrap());
    drop(living);
}

#[tokio::test]
async fn a_waiting_item_comes_back_when_its_time_has_come() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 2).await.id;
    let first = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    let far = codes::now() + 3_600_000;
    let wait = |due| ItemUpdate {
        due: Some(due),
        missing: vec![missing(1), missing(2)],
        ..ItemUpdate::to(ItemState::Waiting, 1)
    };
    assert!(catalog.update_item(first.id, first.fence, wait(far)).await.unwrap());
    let second = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    assert_ne!(second.id, first.id, "its time has not come");
    assert_eq!(catalog.claim(id, "me", LONG).await.unwrap(), None);
    assert!(catalog.next_due(id).await.unwrap().unwrap() <= codes::now() + 60_000, "the lease of the second");
    assert!(
        catalog
            .update_item(
                second.id,
                second.fence,
                ItemUpdate { due: Some(far), ..ItemUpdate::to(ItemState::Waiting, 1) }
            )
            .await
            .unwrap()
    );
    assert_eq!(catalog.next_due(id).await.unwrap(), Some(far));
    let now = wait(codes::now());
    let again = catalog.item(first.id).await.unwrap().unwrap();
    assert!(!catalog.update_item(again.id, again.fence, now).await.unwrap(), "nobody holds it");

    catalog.db.write(move |tx| Ok(tx.execute("UPDATE items SET due = 1 WHERE id = ?1", [first.id])?)).await.unwrap();
    let back = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    assert_eq!((back.id, back.attempt, back.missing), (first.id, 1, 2));
    assert_eq!(catalog.missing_of(back.id).await.unwrap(), [missing(1), missing(2)]);
    assert!(catalog.update_item(back.id, back.fence, ItemUpdate::to(ItemState::Verifying, 1)).await.unwrap());
    assert!(catalog.missing_of(back.id).await.unwrap().is_empty(), "the next comparison replaces the last");
    assert!(catalog.renew_item(back.id, back.fence, LONG).await.unwrap(), "verifying keeps the lease");
}

#[tokio::test]
async fn a_stopping_process_gives_everything_back_at_once() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 3).await.id;
    let item = catalog.claim(id, "stopping", LONG).await.unwrap().unwrap();
    let other = catalog.claim(id, "other", LONG).await.unwrap().unwrap();
    catalog.acquire("receiver", "stopping", LONG).await.unwrap().unwrap();
    catalog.acquire_slot(SOURCE, 1, "stopping", LONG).await.unwrap().unwrap();
    catalog.release_owner("stopping").await.unwrap();
    assert_eq!(catalog.holder("receiver").await.unwrap(), None);
    assert!(catalog.acquire_slot(SOURCE, 1, "other", LONG).await.unwrap().is_some());
    let again = catalog.claim(id, "other", LONG).await.unwrap().unwrap();
    assert_eq!(again.id, item.id, "the newest is first again");
    assert!(catalog.renew_item(other.id, other.fence, LONG).await.unwrap(), "what others hold stays theirs");
    assert!(!catalog.update_item(item.id, item.fence, ItemUpdate::to(ItemState::Proven, 1)).await.unwrap());
}

#[tokio::test]
async fn a_named_lease_has_one_holder_and_its_fence_grows() {
    let (_folder, catalog) = catalog();
    let mine = catalog.acquire("receiver", "a", LONG).await.unwrap().unwrap();
    assert_eq!(catalog.acquire("receiver", "b", LONG).await.unwrap(), None);
    assert_eq!(catalog.holder("receiver").await.unwrap().as_deref(), Some("a"));
    assert!(catalog.renew(&mine, OVER).await.unwrap());
    assert!(!catalog.renew(&mine, LONG).await.unwrap(), "it has run out");
    let theirs = catalog.acquire("receiver", "b", LONG).await.unwrap().unwrap();
    assert!(theirs.fence > mine.fence);
    catalog.release(&mine).await.unwrap();
    assert_eq!(catalog.holder("receiver").await.unwrap().as_deref(), Some("b"), "a late release frees nothing");
    let again = catalog.acquire("receiver", "b", LONG).await.unwrap().unwrap();
    assert!(again.fence > theirs.fence && !catalog.renew(&theirs, LONG).await.unwrap());
    catalog.release(&again).await.unwrap();
    assert_eq!(catalog.holder("receiver").await.unwrap(), None);
}

#[tokio::test]
async fn slots_are_counted_over_all_owners_and_follow_the_limit() {
    let (_folder, catalog) = catalog();
    let mut held = Vec::new();
    for owner in ["a", "a", "b", "b"] {
        held.push(catalog.acquire_slot(SOURCE, 4, owner, LONG).await.unwrap().unwrap());
    }
    assert_eq!(catalog.acquire_slot(SOURCE, 4, "c", LONG).await.unwrap(), None);
    assert_eq!(catalog.slots_held(SOURCE, "a").await.unwrap(), (2, 4));
    assert!(catalog.acquire_slot("another", 1, "c", LONG).await.unwrap().is_some());
    // Lowered while four are held: nothing more until fewer than the new limit are left.
    for lease in held.drain(..3) {
        assert_eq!(catalog.acquire_slot(SOURCE, 1, "c", LONG).await.unwrap(), None);
        catalog.release(&lease).await.unwrap();
    }
    assert_eq!(catalog.acquire_slot(SOURCE, 1, "c", LONG).await.unwrap(), None);
    assert!(catalog.renew(&held[0], OVER).await.unwrap());
    assert!(catalog.acquire_slot(SOURCE, 1, "c", LONG).await.unwrap().is_some());
    assert!(!catalog.renew(&held[0], LONG).await.unwrap(), "its place was taken");
    assert_eq!(catalog.acquire_slot(SOURCE, 0, "c", LONG).await.unwrap(), None, "closed hours");
}

#[test]
fn several_processes_never_hold_more_slots_than_the_limit_nor_one_item_twice() {
    const LIMIT: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let job = runtime().block_on(async { job_of(&Catalog::open(&path).unwrap(), 60).await.id });
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = ["a", "b", "c"]
        .into_iter()
        .map(|owner| {
            let (path, now, most) = (path.clone(), now.clone(), most.clone());
            std::thread::spawn(move || {
                let catalog = Catalog::open(&path).unwrap();
                runtime().block_on(async {
                    let mut done = Vec::new();
                    loop {
                        let Some(slot) =
                            catalog.acquire_slot(SOURCE, u32::try_from(LIMIT).unwrap(), owner, LONG).await.unwrap()
                        else {
                            tokio::task::yield_now().await;
                            continue;
                        };
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let item = catalog.claim(job, owner, LONG).await.unwrap();
                        if let Some(item) = &item {
                            assert!(
                                catalog
                                    .update_item(item.id, item.fence, ItemUpdate::to(ItemState::Proven, 1))
                                    .await
                                    .unwrap()
                            );
                            done.push(item.id);
                        }
                        now.fetch_sub(1, Ordering::SeqCst);
                        catalog.release(&slot).await.unwrap();
                        if item.is_none() {
                            return done;
                        }
                    }
                })
            })
        })
        .collect();
    let mut done: Vec<i64> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    done.sort_unstable();
    assert!(most.load(Ordering::SeqCst) <= LIMIT);
    assert_eq!(done.len(), 60);
    done.dedup();
    assert_eq!(done.len(), 60, "each by one worker");
    let totals = runtime().block_on(async { Catalog::open(&path).unwrap().totals(job).await.unwrap() });
    assert_eq!((totals.items.proven, totals.items.total), (60, 60));
}

#[tokio::test]
async fn a_checkpoint_tells_how_far_a_pull_is_and_ends_with_its_lease() {
    let (_folder, catalog) = catalog();
    let id = job_of(&catalog, 1).await.id;
    let item = catalog.claim(id, "me", LONG).await.unwrap().unwrap();
    let study = item.study.study_uid.clone();
    assert!(!catalog.pull_open(SOURCE, &study).unwrap());
    let new = NewCheckpoint { owner: "me".into(), attempt: 1, association: 7, message_id: 3, level: "STUDY".into() };
    let open = catalog.open_checkpoint(item.id, item.fence, new.clone()).await.unwrap().unwrap();
    assert!(catalog.pull_open(SOURCE, &study).unwrap());
    assert!(!catalog.pull_open("another", &study).unwrap());
    let progress =
        |phase: &str| Progress { phase: phase.into(), association: None, counters: [Some(2), Some(1), Some(0), None] };
    assert!(catalog.update_checkpoint(open, progress("pending")).await.unwrap());
    let shown = catalog.checkpoints(id, 10).await.unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].source.as_str(), &shown[0].study_uid, shown[0].phase.as_str()), (SOURCE, &study, "pending"));
    assert_eq!(
        (shown[0].counters, shown[0].association, shown[0].message_id),
        ([Some(2), Some(1), Some(0), None], 7, 3)
    );
    assert!(catalog.close_checkpoint(open, progress("ended")).await.unwrap());
    assert!(!catalog.update_checkpoint(open, progress("pending")).await.unwrap());
    assert!(!catalog.pull_open(SOURCE, &study).unwrap());

    // Whoever claims an item after its puller died finds no open checkpoint.
    let second = catalog.open_checkpoint(item.id, item.fence, new).await.unwrap().unwrap();
    assert!(catalog.renew_item(item.id, item.fence, OVER).await.unwrap());
    assert!(!catalog.pull_open(SOURCE, &study).unwrap(), "a lease that ran out decides nothing");
    catalog.claim(id, "heir", LONG).await.unwrap().unwrap();
    let shown = catalog.checkpoints(id, 1).await.unwrap();
    assert_eq!((shown[0].id, shown[0].phase.as_str(), shown[0].closed.is_some()), (second, "lost", true));
    assert!(!catalog.pull_open(SOURCE, &study).unwrap());
}
