//! Coded objects for who takes none: by C-MOVE, C-GET and DICOMweb, judged by pydicom; and the switch that turns it off.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pacsferry::dicom::{SopClassUid, Status, TransferSyntaxUid, uids};
use serde_json::Value;

use crate::support::dicomweb::Program;
use crate::support::peers::{Ferry, PATIENCE, Server, Storescp, finish, free_port, movescu, python, text};
use crate::support::viewer::{self, peer, study};

const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";
const STUDY: &str = "1.2.826.0.1.3680043.10.7.1";
const SERIES: &str = "1.2.826.0.1.3680043.10.7.2";

/// A node that holds coded objects, all in one study.
struct Site {
    ferry: Ferry,
    witness: u16,
    /// Path, SOP Instance UID and SOP Class UID of each.
    held: Vec<(PathBuf, String, String)>,
    _node: Server,
    _files: tempfile::TempDir,
}

impl Site {
    fn new(keys: &str) -> Site {
        let (ferry, witness, files) = (Ferry::new(), free_port(), tempfile::tempdir().unwrap());
        let mut command = python("decoded.py");
        command.arg("make").arg(files.path());
        let made = finish(command, PATIENCE * 2);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let peers = [(Storescp::AE_TITLE, witness), (viewer::AE_TITLE, 104)];
        let peers: String = peers.iter().map(|(ae, port)| peer(ae, *port)).collect();
        ferry.configure_with(&[], &format!("{keys}{peers}{ROLES}"));
        let imported = ferry.run(&["import", "--copy", files.path().to_str().unwrap()]);
        assert_eq!(imported.code, 0, "{}", imported.err);
        let node = ferry.serve();
        Site { held: serde_json::from_slice(&made.stdout).unwrap(), ferry, witness, _node: node, _files: files }
    }

    /// Has all of it sent to a receiver that takes one transfer syntax; what came, by SOP Instance UID.
    fn moved(&self, takes: &str) -> (Storescp, BTreeMap<String, PathBuf>) {
        let witness = Storescp::start_with(self.witness, &[takes]);
        movescu(&self.ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &format!("StudyInstanceUID={STUDY}")]);
        let files = witness.files();
        (witness, files)
    }
}

/// What pydicom says of pairs of what was held and what came.
fn judged(pairs: &[(PathBuf, Option<PathBuf>)]) -> Value {
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), serde_json::to_vec(pairs).unwrap()).unwrap();
    let mut command = python("decoded.py");
    command.arg(list.path());
    let done = finish(command, PATIENCE * 3);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let wrong: Vec<&str> = told["wrong"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    told
}

#[test]
fn who_takes_native_objects_only_gets_what_pydicom_decodes() {
    let site = Site::new("");
    for takes in ["+xi", "+xe", "+xb"] {
        let (_witness, files) = site.moved(takes);
        // In Big Endian pydicom takes words of 32 bits for one number, and the standard for two of 16 (PS3.5 §8.1.1).
        let words = |path: &Path| takes == "+xb" && path.to_string_lossy().contains("rtdose");
        let held = site.held.iter().filter(|(path, ..)| !words(path));
        let pairs: Vec<_> = held.map(|(path, uid, _)| (path.clone(), files.get(uid).cloned())).collect();
        let told = judged(&pairs);
        assert!(told["exact"].as_u64().unwrap() > 20 && told["near"].as_u64().unwrap() > 5, "{takes}: {told}");
    }
    // The same by C-GET; what cannot be decoded is in the list of failures.
    let implicit = TransferSyntaxUid::new(uids::IMPLICIT_LE);
    let classes: BTreeSet<&str> = site.held.iter().map(|(_, _, class)| class.as_str()).collect();
    let kinds = classes.iter().map(|class| (SopClassUid::new(class), vec![implicit.clone()])).collect();
    let seen = viewer::get(site.ferry.node, &kinds, &study(STUDY));
    assert!(seen.received.values().all(|(syntax, _)| *syntax == implicit) && seen.received.len() > 25);
    assert_eq!(seen.received.len() + seen.end.failed.len(), site.held.len(), "{:?}", seen.end);
    assert_eq!(seen.end.status == Status::SUCCESS, seen.end.failed.is_empty());
}

#[test]
fn a_web_viewer_that_asks_for_a_native_syntax_gets_it() {
    let site = Site::new("");
    let program = Program::new(&site.ferry, "anna", "readers");
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    for (path, uid, _) in &site.held {
        let address = format!("/studies/{STUDY}/series/{SERIES}/instances/{uid}");
        let explicit = format!("Accept: application/dicom; transfer-syntax={}\r\n", uids::EXPLICIT_LE);
        let told = program.get(&address, &explicit);
        let came = told.status == 200 && told.body.get(128..132) == Some(b"DICM");
        assert!(came || told.status == 406, "{uid}: {}", told.head);
        let file = folder.path().join(uid);
        if came {
            std::fs::write(&file, &told.body).unwrap();
        }
        pairs.push((path.clone(), came.then_some(file)));
        let held = program.get(&address, "Accept: application/dicom\r\n");
        let file = std::fs::read(path).unwrap();
        assert!(held.body.ends_with(&file[file.len() / 2..]), "who names no syntax gets it as it is held");
    }
    assert!(judged(&pairs)["frames"].as_u64().unwrap() > 25);
}

#[test]
fn the_switch_turns_it_off() {
    let site = Site::new("decompress = false\n");
    assert_eq!(site.moved("+xi").1.len(), 0);
    let log = site.ferry.served();
    assert!(log.contains("have the receiver accept SOP class"), "{log}");
}
