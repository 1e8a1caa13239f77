//! Several nodes ask for studies that are not filed while a migration runs, and the source is restarted in the middle: each
//! gets an answer, nothing is lost, and nothing is pulled more often than it must. `PACSFERRY_SOAK_SECONDS=120` makes a long
//! one of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pacsferry::dicom::Status;
use pacsferry::sample::{Archive, Profile};

use crate::support::peers::until;
use crate::support::viewer;
use crate::union::{Both, kinds};

const NODES: usize = 4;
const LONG: Duration = Duration::from_secs(120);
/// Objects of a study.
const OBJECTS: usize = 6;

/// How many studies: each takes the source a third of a second.
fn studies() -> usize {
    let seconds = std::env::var("PACSFERRY_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse::<usize>().ok());
    seconds.map_or(24, |seconds| seconds * 3)
}

#[test]
fn nodes_that_ask_during_a_migration_are_all_answered_and_nothing_is_lost() {
    let archive = Archive::with(|b| {
        b.studies("20230101", studies(), OBJECTS);
    });
    let profile = Profile { store_pause: Duration::from_millis(60), ..Profile::default() };
    let mut both = Both::with((archive, profile), &[("associations", "3"), ("attempts", "20")], "");
    let all: Vec<String> = both.scene.pacs.archive().studies().iter().map(ToString::to_string).collect();
    let node = both.scene.ferry.node;
    let (answers, failures) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..NODES)
            .map(|first| {
                let (all, answers, failures) = (&all, &answers, &failures);
                // Each from the oldest on, so that several ask for the same.
                scope.spawn(move || {
                    for study in all.iter().rev().skip(first).step_by(2) {
                        let begun = Instant::now();
                        loop {
                            let seen = viewer::get(node, &kinds(), &viewer::study(study));
                            answers.fetch_add(1, Ordering::SeqCst);
                            let (status, came) = (seen.end.status, seen.received.len());
                            if status == Status::SUCCESS && came == OBJECTS {
                                break;
                            }
                            // No silence, and no success without the objects.
                            failures.fetch_add(1, Ordering::SeqCst);
                            assert_ne!(status, Status::SUCCESS, "{came} objects of {study}");
                            assert!(format!("{:?}", seen.end).contains("still on oldpacs"), "{:?}", seen.end);
                            assert!(begun.elapsed() < LONG, "{study} never came: {:?}", seen.end);
                            std::thread::park_timeout(Duration::from_millis(200));
                        }
                    }
                })
            })
            .collect();
        until("some answers", LONG, || (answers.load(Ordering::SeqCst) >= NODES).then_some(()));
        both.scene.pacs.stop();
        until("a source that is gone is told", LONG, || {
            let told = failures.load(Ordering::SeqCst) > 0;
            (told || nodes.iter().all(std::thread::ScopedJoinHandle::is_finished)).then_some(())
        });
        both.scene.pacs.restart().unwrap();
        for node in nodes {
            node.join().unwrap();
        }
    });
    assert_eq!(both.migration.ends(LONG), Some(0), "{}", both.migration.said());
    both.scene.has_everything();
    // A study is asked for once, but for what the restart broke.
    let broken = all.iter().filter(|study| both.retrieves_of(study) > 1).count();
    assert!(broken <= 3 + failures.load(Ordering::SeqCst), "{broken} studies were asked for more than once");
}
