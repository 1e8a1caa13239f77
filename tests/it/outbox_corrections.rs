//! A move with all that follows from it elsewhere: findings of the AI platform are cleared and asked for again, and a node
//! with copies gets the rejection note and the corrected objects, though everybody was away and we were killed.

use std::process::Command;

use crate::support::peers::{Ferry, PATIENCE, Storescp, finish, free_port, movescu, samples, string, text, until};
use crate::support::platform::{Platform, Requests};
use crate::support::viewer::peer;

const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const KEY_OBJECTS: &str = "1.2.840.10008.5.1.4.1.1.88.59";

#[test]
fn a_move_clears_findings_and_everybody_gets_to_know_it_in_the_end() {
    let (ferry, witness, port) = (Ferry::new(), free_port(), free_port());
    let config = format!(
        "{}corrections = true\n[ai]\nrescan_url = \"http://127.0.0.1:{port}/\"\nfindings = [ {{ sop_class = \"{MR}\" }} ]\n",
        peer(Storescp::AE_TITLE, witness)
    );
    ferry.configure_with(&[], &config);
    let samples = samples();
    let named = |name: &str| samples.iter().find(|sample| sample.path.ends_with(name)).unwrap();
    let (moved, other) = (named("CT_small.dcm"), named("rtplan.dcm"));
    let (study, destination) = (moved.study.as_deref().unwrap(), other.study.as_deref().unwrap());
    let folder = ferry.folder().join("in");
    std::fs::create_dir(&folder).unwrap();
    for sample in [moved, other, named("MR_small.dcm")] {
        std::fs::copy(&sample.path, folder.join(sample.name())).unwrap();
    }
    // What the platform has made of the study.
    let mut modify = Command::new("dcmodify");
    modify.args(["-nb", "-m", &format!("StudyInstanceUID={study}")]).arg(folder.join("MR_small.dcm"));
    let done = finish(modify, PATIENCE);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(ferry.run(&["import", "in", "--copy"]).code, 0);
    let shown = || ferry.instances().into_iter().map(|(uid, row)| (uid, string(&row, "StudyInstanceUID")));
    let before: Vec<_> = shown().collect();
    assert_eq!(before.len(), 3);
    let node = ferry.serve();
    let dcmtk = Storescp::start(witness);
    let key = format!("StudyInstanceUID={study}");
    movescu(&ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &key]);
    let old = dcmtk.received();
    assert_eq!(old.len(), 2);
    // Once that is in the retrieve log the node is stopped, and the witness goes away.
    let series = moved.series.as_deref().unwrap();
    let arguments = ["reallocate", series, "--to", destination, "--mode", "iocm", "--confirm-patient"];
    until("the retrieve is remembered", PATIENCE, || {
        let sheet = ferry.run(&[&arguments[..], &["--dry-run"]].concat());
        sheet.out.contains(Storescp::AE_TITLE).then_some(())
    });
    drop(node);
    drop(dcmtk);
    let done = ferry.json(&[&arguments[..], &["--json"]].concat());
    let operation = done["correction"].as_i64().unwrap_or_else(|| panic!("{done}"));
    assert!(shown().all(|(uid, _)| uid != named("MR_small.dcm").sop_instance), "the finding is cleared");

    // Nobody is there; and then we are killed.
    let node = ferry.serve();
    let open = || ferry.json(&["outbox", "--json"]).as_array().unwrap().clone();
    until("all was tried", PATIENCE, || open().iter().all(|entry| entry["attempts"] != 0).then_some(()));
    assert!(
        open().iter().any(|entry| entry["kind"] == "publish") && open().iter().any(|entry| entry["kind"] == "rescan")
    );
    drop(node);
    let requests = Requests::default();
    let _platform = Platform::start(port, &[], &requests);
    let dcmtk = Storescp::start(witness);
    let _node = ferry.serve();
    until("everybody knows", PATIENCE * 2, || open().is_empty().then_some(()));
    let requests = requests.lock().unwrap().clone();
    // Nothing is left in the other one that could be scanned.
    assert!(requests.iter().any(|asked| asked.body["study_instance_uid"] == destination), "{requests:?}");
    assert!(requests.iter().all(|asked| asked.body["operation"].as_i64() == Some(operation)), "{requests:?}");
    // The note, and the image under its new UID: what the witness has now is what is shown.
    let now: Vec<(String, String)> = shown().filter(|(uid, _)| *uid != other.sop_instance).collect();
    let got = dcmtk.files();
    assert_eq!(got.keys().cloned().collect::<Vec<_>>(), now.iter().map(|(uid, _)| uid.clone()).collect::<Vec<_>>());
    assert_eq!(now.len(), 2, "{now:?}");
    assert!(got.keys().all(|uid| !old.contains_key(uid)));
    let dumped: Vec<String> = got.values().map(|path| dump(path)).collect();
    assert!(dumped.iter().any(|text| text.contains(KEY_OBJECTS) && text.contains(study)), "{dumped:?}");
    assert!(dumped.iter().any(|text| !text.contains(KEY_OBJECTS) && text.contains(destination)), "{dumped:?}");

    // Taken back: the finding is there again.
    assert_eq!(ferry.run(&["undo", &operation.to_string()]).code, 0);
    assert_eq!(shown().collect::<Vec<_>>(), before);
}

/// SOP class and study as DCMTK reads them, UIDs in numbers.
fn dump(path: &std::path::Path) -> String {
    let mut command = Command::new("dcmdump");
    command.args(["-Un", "+P", "SOPClassUID", "+P", "StudyInstanceUID"]).arg(path);
    text(&finish(command, PATIENCE).stdout)
}
