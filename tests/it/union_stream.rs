//! Whoever waits for a study that is not filed yet gets its objects while the rest still comes: each once, and with a clear
//! end when the rest does not come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pacsferry::dicom::Status;

use crate::support::destination::{Destination, Verdict};
use crate::support::peers::until;
use crate::support::viewer;
use crate::union::{Both, kinds, slow};

const LONG: Duration = Duration::from_secs(90);
/// Objects of the study that takes its time.
const ALL: usize = 200;

/// The study that takes its time.
fn newest(both: &Both) -> String {
    both.scene.study(0).to_string()
}

#[test]
fn objects_go_out_while_the_rest_still_comes() {
    let both = Both::with(slow(), &[("associations", "2")], "");
    let study = newest(&both);
    let (sent, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (sent_when_first, count) = (Arc::clone(&sent), Arc::clone(&taken));
    let seen = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let judge = move |_: &_| {
                count.fetch_add(1, Ordering::SeqCst);
                Status::SUCCESS
            };
            viewer::get_judged(both.scene.ferry.node, &kinds(), &viewer::study(&study), judge, None)
        });
        until("the first object", LONG, || (taken.load(Ordering::SeqCst) > 0).then_some(()));
        sent_when_first.store(both.scene.pacs.objects_sent(), Ordering::SeqCst);
        asking.join().unwrap()
    });
    assert!(sent.load(Ordering::SeqCst) < ALL, "the first came when the source had sent {sent:?}");
    assert_eq!(seen.end.status, Status::SUCCESS, "{:?}", seen.end);
    assert_eq!((seen.received.len(), taken.load(Ordering::SeqCst)), (ALL, ALL), "each once");
    let counters = &seen.end.counters;
    assert_eq!((counters.completed, counters.failed, counters.warning), (Some(200), Some(0), Some(0)));
    // What it was told meanwhile never said that it was done, or that less was done than before.
    let told: Vec<u16> = seen.progress.iter().filter_map(|one| one.counters.completed).collect();
    assert!(told.is_sorted(), "{told:?}");
    let pending = seen.progress.iter().filter(|one| one.status.is_pending() && one.counters.remaining.is_some());
    assert!(
        pending.clone().count() > 2 && pending.clone().all(|one| one.counters.remaining > Some(0)),
        "{:?}",
        seen.progress
    );
    assert_eq!(both.retrieves_of(&study), 1);
}

#[test]
fn a_move_sends_them_over_one_association() {
    let workstation = Destination::start(|_| Verdict::Answer(0));
    let peers = [viewer::peer("WORKSTATION", workstation.port), viewer::peer(viewer::AE_TITLE, 104)].concat();
    let both = Both::with(slow(), &[("associations", "2")], &peers);
    let study = newest(&both);
    let seen = std::thread::scope(|scope| {
        let asking =
            scope.spawn(|| viewer::move_to(both.scene.ferry.node, "WORKSTATION", &viewer::study(&study), None));
        until("the first object", LONG, || (!workstation.heard().is_empty()).then_some(()));
        assert!(both.scene.pacs.objects_sent() < ALL);
        asking.join().unwrap()
    });
    assert_eq!((seen.end.status, seen.end.counters.completed), (Status::SUCCESS, Some(200)), "{:?}", seen.end);
    let heard = workstation.heard();
    let uids: BTreeSet<String> = heard.iter().map(|command| format!("{:?}", command.instance)).collect();
    assert_eq!((heard.len(), uids.len()), (ALL, ALL), "each once");
    assert_eq!(workstation.associations(), 1);
}

#[test]
fn one_that_is_cancelled_ends_and_the_study_comes_all_the_same() {
    let mut both = Both::with(slow(), &[("associations", "2")], "");
    let study = newest(&both);
    let seen =
        viewer::get_judged(both.scene.ferry.node, &kinds(), &viewer::study(&study), |_| Status::SUCCESS, Some(5));
    assert_eq!(seen.end.status, Status::CANCEL, "{:?}", seen.end);
    assert!(!seen.received.is_empty() && seen.received.len() < ALL, "{}", seen.received.len());
    assert_eq!(both.migration.ends(LONG), Some(0), "{}", both.migration.said());
    both.scene.has_everything();
}

#[test]
fn a_source_that_dies_in_the_middle_is_a_clear_failure_and_what_came_stays() {
    let mut both = Both::with(slow(), &[("associations", "2")], "");
    let study = newest(&both);
    let node = both.scene.ferry.node;
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let asked = study.clone();
    let asking = std::thread::spawn(move || {
        let judge = move |_: &_| {
            count.fetch_add(1, Ordering::SeqCst);
            Status::SUCCESS
        };
        viewer::get_judged(node, &kinds(), &viewer::study(&asked), judge, None)
    });
    until("some objects", LONG, || (taken.load(Ordering::SeqCst) > 5).then_some(()));
    both.scene.pacs.stop();
    let seen = asking.join().unwrap();
    assert_eq!(seen.end.status, Status::SUB_OPERATIONS_WITH_FAILURES, "{:?}", seen.end);
    let end = format!("{:?}", seen.end);
    assert!(end.contains("still on oldpacs"), "{end}");
    let counters = &seen.end.counters;
    let sum = counters.completed.unwrap() + counters.failed.unwrap();
    assert_eq!((usize::from(sum), usize::from(counters.completed.unwrap())), (ALL, seen.received.len()), "{end}");
    // What came is there, and the rest comes when the source is back.
    both.scene.pacs.restart().unwrap();
    assert_eq!(both.migration.ends(LONG), Some(0), "{}", both.migration.said());
    both.scene.has_everything();
    let seen = viewer::get(node, &kinds(), &viewer::study(&study));
    assert_eq!((seen.end.status, seen.received.len()), (Status::SUCCESS, ALL), "{:?}", seen.end);
}
