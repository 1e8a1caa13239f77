//! Whatever kills a correction at whatever point, either nothing of it has happened or all of it.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

use rustix::process::Signal;

use crate::kill::{each, fail_points, step};
use crate::support::ward::{ANNA, TARO, Ward, series_uid, slices, study_uid};

/// Steps of corrections.
const OF_CORRECTIONS: [&str; 2] = ["content", "correction"];

/// Steps of the documents that a correction writes, on their way in.
const OF_DOCUMENTS: [&str; 4] = ["intake", "settle", "record", "receive"];

#[test]
fn a_document_that_is_being_written_when_all_is_killed_is_no_file_that_nobody_knows() {
    let points: Vec<String> = fail_points().into_iter().filter(|point| OF_DOCUMENTS.contains(&step(point))).collect();
    assert!(points.len() >= 4, "{points:?}");
    let killed = Mutex::new(BTreeSet::new());
    each(points.iter().cloned(), |point| {
        let ward = Ward::of(&[slices(ANNA, 1, 1, 2), slices(ANNA, 1, 2, 1), slices(TARO, 2, 1, 1)].concat());
        let (before, series, to) = (ward.seen(), series_uid(1, 1), study_uid(2));
        let sure = ["reallocate", &series, "--to", &to, "--confirm-patient", "--mode", "iocm"];
        let first = ward.ferry.run_until_fail_point(&sure, &point);
        if first.status.signal() != Some(Signal::KILL.as_raw()) {
            return assert_eq!(first.status.code(), Some(0), "{point}: {}", String::from_utf8_lossy(&first.stderr));
        }
        killed.lock().unwrap().insert(point.clone());
        assert_eq!(ward.seen(), before, "{point}: nothing of it is seen");
        // The next correction of whatever clears it away.
        ward.done(&["lock", &to, "--reason", "another one"]);
        let findings = ward.run(&["verify", "--all", "--files"]);
        assert_eq!(findings.code, 0, "{point}: {}{}", findings.out, findings.err);
        assert_eq!(ward.seen(), before, "{point}: nor is the document");
        ward.done(&sure);
        let findings = ward.run(&["verify", "--all", "--files"]);
        assert_eq!(findings.code, 0, "{point}: {}{}", findings.out, findings.err);
    });
    let killed = killed.into_inner().unwrap();
    assert!(killed.len() >= 4, "a document passes {killed:?} only");
}

#[test]
fn a_correction_killed_at_any_point_is_whole_or_nothing() {
    let points: Vec<String> = fail_points().into_iter().filter(|point| OF_CORRECTIONS.contains(&step(point))).collect();
    assert!(points.len() >= 4, "{points:?}");
    let killed = Mutex::new(BTreeSet::new());
    let cases = points.iter().flat_map(|point| {
        [("reallocate", "local"), ("reallocate", "iocm"), ("undo", "local")].map(|how| (point.clone(), how))
    });
    each(cases, |(point, (command, mode))| {
        let ward = Ward::of(&[slices(ANNA, 1, 1, 3), slices(TARO, 2, 1, 1)].concat());
        let (series, to) = (series_uid(1, 1), study_uid(2));
        let arguments = ["reallocate", &series, "--to", &to, "--confirm-patient", "--force-local", "--mode", mode];
        let (untouched, stored) = (ward.seen(), ward.stored());
        let operation = if command == "undo" { ward.operation(&arguments) } else { String::new() };
        let (before, again) = match command {
            "undo" => (ward.seen(), vec!["undo", &operation]),
            _ => (untouched, arguments.to_vec()),
        };
        let first = ward.ferry.run_until_fail_point(&again, &point);
        if first.status.signal() != Some(Signal::KILL.as_raw()) {
            return assert_eq!(first.status.code(), Some(0), "{point}: {}", String::from_utf8_lossy(&first.stderr));
        }
        killed.lock().unwrap().insert(point.clone());
        let seen = ward.seen();
        if seen == before {
            // Nothing has happened, and nothing stands in the way.
            let done = ward.run(&again);
            assert_eq!(done.code, 0, "{point} of {command}: {}{}", done.out, done.err);
        }
        let after = ward.seen();
        assert_ne!(after, before, "{point} of {command}");
        assert!(
            seen == before || seen == after,
            "{point} of {command}: {seen:#?} is neither {before:#?} nor {after:#?}"
        );
        let now = ward.stored();
        assert!(stored.iter().all(|(path, digest)| now.get(path) == Some(digest)), "{point}: filed files never change");
        let findings = ward.run(&["verify", "--all", "--files"]);
        assert_eq!(findings.code, 0, "{point} of {command}: {}{}", findings.out, findings.err);
    });
    let killed = killed.into_inner().unwrap();
    let never: Vec<_> = points.iter().filter(|point| !killed.contains(*point)).collect();
    assert!(never.is_empty(), "no correction passes {never:?}");
}
