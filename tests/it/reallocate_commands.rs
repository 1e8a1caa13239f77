//! What the commands around a move say, to people and to programs.

use serde_json::{Value, json};

use crate::support::ward::{ANNA, Object, TARO, Ward, series_uid, slices, study_uid};

/// What a command that was refused says as JSON.
fn refusal(ward: &Ward, arguments: &[&str]) -> Value {
    let done = ward.run(&[arguments, &["--json"]].concat());
    assert!(done.code == 1 || done.code == 2, "{arguments:?}: {}{}", done.out, done.err);
    serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", done.out))
}

#[test]
fn what_a_dry_run_said_is_done_with_the_same_uids_or_not_at_all() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 1), slices(ANNA, 1, 2, 1), slices(TARO, 2, 1, 1)].concat());
    let (series, to) = (series_uid(1, 1), study_uid(2));
    let ask = ["reallocate", &series, "--to", &to, "--mode", "iocm", "--confirm-patient"];
    let dry = |ask: &[&str]| ward.done(&[ask, &["--dry-run"]].concat());
    let (first, second) = (dry(&ask), dry(&ask));
    assert_ne!(first["sheet"], second["sheet"], "each plan has UIDs of its own");
    let seen = first["sheet"].as_str().unwrap();
    let told = ward.run(&[&ask[..], &["--dry-run"]].concat());
    assert!(told.out.contains("--seen "), "{}", told.out);
    let done = ward.done(&[&ask[..], &["--seen", seen]].concat());
    assert_eq!(done["sheet"]["series"], first["series"], "the new UIDs are those that were seen");
    let again = refusal(&ward, &[&ask[..], &["--seen", seen]].concat());
    assert_eq!(again["code"], "unknown", "{again}");
    ward.done(&["undo", &done["correction"].to_string()]);
    let again = refusal(&ward, &[&ask[..], &["--seen", seen]].concat());
    assert_eq!(again["code"], "changed", "done once, it is not done again: {again}");
    let damaged = refusal(&ward, &[&ask[..], &["--seen", "nonsense"]].concat());
    assert_eq!(damaged["code"], "changed", "{damaged}");
}

#[test]
fn an_undo_is_planned_and_what_came_too_late_is_named() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 1), slices(ANNA, 1, 2, 1), slices(TARO, 2, 1, 1)].concat());
    let (series, one, to) = (series_uid(1, 1), study_uid(1), study_uid(2));
    let unconfirmed = refusal(&ward, &["reallocate", &series, "--to", &to]);
    assert_eq!(unconfirmed["code"], "patient-not-confirmed");
    assert_eq!(unconfirmed["refusals"][0]["code"], "patient-not-confirmed");
    let whole = refusal(&ward, &["split", &one, "--series", &series, &series_uid(1, 2)]);
    assert_eq!(whole["code"], "nothing-left");

    let said = ward.run(&["reallocate", &series, "--to", &to, "--confirm-patient"]);
    assert!(
        said.out.contains("1 object of study") && said.out.contains(" shows in study "),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(ward.moved(&to).len(), 2, "a node gets it under its new identity");
    let folder = tempfile::tempdir().unwrap();
    ward.send(&crate::support::ward::make(folder.path(), &[Object::ct(ANNA, 1, 1, 2)]));
    let shown = crate::support::peers::until("the retrieve is remembered", crate::support::peers::PATIENCE, || {
        let shown = ward.done(&["corrections", "show", "1"]);
        (shown["nodes_with_corrected_objects"] == json!(["WITNESS"])).then_some(shown)
    });
    assert_eq!(shown["instances"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(shown["came_later"][0]["objects"], 1, "{shown}");
    let words = ward.run(&["corrections", "show", "1"]).out;
    assert!(words.contains("came after operation 1") && words.contains("WITNESS got corrected objects"), "{words}");
    assert_eq!(refusal(&ward, &["corrections", "show", "7"])["code"], "no-such-operation");
    let before = ward.seen();
    let planned = ward.run(&["undo", "1", "--dry-run"]);
    assert!(planned.code == 0 && planned.out.contains("can be undone"), "{}{}", planned.out, planned.err);
    assert!(planned.err.contains("WITNESS got corrected objects"), "{}", planned.err);
    assert_eq!(ward.seen(), before);
    let undone = ward.run(&["undo", "1"]);
    assert!(undone.out.contains("1 object shows as before"), "{}{}", undone.out, undone.err);
    assert_eq!(refusal(&ward, &["undo", "1", "--dry-run"])["code"], "not-in-force");
}

#[test]
fn a_study_that_somebody_marked_as_a_cardiovascular_system_s_is_left_alone() {
    let ward = Ward::of(&[slices(ANNA, 1, 1, 1), slices(ANNA, 2, 1, 1)].concat());
    let (series, to) = (series_uid(1, 1), study_uid(2));
    ward.done(&["lock", &to, "--cardiovascular", "--reason", "came from there"]);
    assert_eq!(refusal(&ward, &["reallocate", &series, "--to", &to])["code"], "cardiovascular");
    ward.done(&["unlock", &to, "--cardiovascular"]);
    ward.done(&["reallocate", &series, "--to", &to]);
    let told = ward.audited("lock");
    assert_eq!(told.len(), 1, "{told:?}");
}
