//! A ward: objects of some patients, made as a test describes them, filed by a node that serves, and seen from outside.

mod objects;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::peers::{
    Ferry, Finished, PATIENCE, Server, Storescp, data_set_digest, files_below, finish, free_port, movescu, python,
    sop_instance, text, until,
};
use super::viewer::peer;

pub(crate) use objects::{ANNA, CT, JOHN, Object, TARO, series_uid, slices, study_uid};

/// Everything that the outside can see of an archive.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    /// By study: what `findscu` lists of it, its series and its objects.
    pub(crate) listed: BTreeMap<String, Vec<String>>,
    /// By study and SOP Instance UID: the digest of what `getscu` fetches.
    pub(crate) fetched: BTreeMap<String, BTreeMap<String, String>>,
}

/// An archive that serves.
pub(crate) struct Ward {
    pub(crate) ferry: Ferry,
    pub(crate) witness: u16,
    files: tempfile::TempDir,
    node: Option<Server>,
}

impl Ward {
    /// One that holds these objects, as they came by C-STORE.
    pub(crate) fn of(objects: &[Object]) -> Ward {
        Self::configured(objects, "")
    }

    /// The same, with more in its configuration.
    pub(crate) fn configured(objects: &[Object], more: &str) -> Ward {
        let (ferry, witness) = (Ferry::new(), free_port());
        let peers = [("FINDER", 104), ("DCMSEND", 104), (Storescp::AE_TITLE, witness), ("SAMPLES", 104)];
        let peers: String = peers.iter().map(|(title, port)| peer(title, *port)).collect();
        ferry.configure_with(&[], &format!("{peers}{more}"));
        let node = Some(ferry.serve());
        let files = tempfile::tempdir().expect("a temporary folder");
        let ward = Ward { ferry, witness, files, node };
        ward.send(&make(ward.files.path(), objects));
        ward
    }

    /// Ends the node.
    pub(crate) fn stop(&mut self) {
        self.node = None;
    }

    /// Ends the node and starts it again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.node = Some(self.ferry.serve());
    }

    /// Adds lines to `[web]` of the configuration, and starts the node again.
    pub(crate) fn set_web(&mut self, lines: &str) {
        let config = self.ferry.folder().join("pacsferry.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        std::fs::write(&config, text.replace("[web]\n", &format!("[web]\n{lines}\n"))).expect("the configuration");
        self.restart();
    }

    /// Starts the node again, with a worker beside it.
    pub(crate) fn serve_with_worker(&mut self) {
        self.stop();
        self.node = Some(self.ferry.serve_with_worker());
    }

    /// Has a study sent to a peer by C-MOVE.
    pub(crate) fn move_to(&self, study: &str, destination: &str) {
        let mut command = Command::new("movescu");
        command
            .args(["-v", "-S", "-aet", Storescp::AE_TITLE, "-aec", Ferry::NODE, "-aem", destination])
            .args(["-k", "QueryRetrieveLevel=STUDY", "-k", &format!("StudyInstanceUID={study}")])
            .args(["127.0.0.1", &self.ferry.node.to_string()])
            .env("TCP_NODELAY", "1");
        let done = finish(command, PATIENCE);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert!(said.contains("Received Final Move Response (Success)"), "{said}");
    }

    /// The files that were made.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = files_below(self.files.path());
        files.sort();
        files
    }

    /// Sends files to the node; all must be answered with success.
    pub(crate) fn send(&self, files: &[PathBuf]) {
        if files.is_empty() {
            return;
        }
        let mut command = Command::new("dcmsend");
        command
            .args(["-v", "-nh", "-nuc", "-aet", "DCMSEND", "-aec", Ferry::NODE])
            .args(["127.0.0.1", &self.ferry.node.to_string()])
            .args(files)
            .env("TCP_NODELAY", "1");
        let done = finish(command, PATIENCE);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert!(done.status.success(), "{said}\n{}", self.ferry.served());
        assert_eq!(said.matches("C-STORE Response (Success)").count(), files.len(), "{said}");
    }

    /// Runs a command as the user of the tests; again, as long as what was just sent is thought to go on.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        unhindered(&self.ferry, arguments)
    }

    /// Runs a command that must succeed; what it printed as JSON.
    pub(crate) fn done(&self, arguments: &[&str]) -> Value {
        let done = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(done.code, 0, "{arguments:?}: {}{}", done.out, done.err);
        serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", done.out))
    }

    /// Runs a command that must be refused, with these words in its explanation.
    pub(crate) fn refused(&self, arguments: &[&str], words: &str) -> Finished {
        let done = self.run(arguments);
        assert!(done.code == 1 || done.code == 2, "{arguments:?}: {}: {}{}", done.code, done.out, done.err);
        assert!(done.err.contains(words), "{arguments:?} does not say `{words}`: {}", done.err);
        done
    }

    /// The number of an operation that was done.
    pub(crate) fn operation(&self, arguments: &[&str]) -> String {
        self.done(arguments)["correction"].to_string()
    }

    /// What `findscu` lists at a level, one line of values an answer, in the order of the keys; sorted.
    pub(crate) fn find(&self, level: &str, keys: &[&str]) -> Vec<String> {
        let mut command = Command::new("findscu");
        command.args(["-v", "-S", "-aet", "FINDER", "-aec", Ferry::NODE, "-k", &format!("QueryRetrieveLevel={level}")]);
        for key in keys {
            command.args(["-k", key]);
        }
        command.args(["127.0.0.1", &self.ferry.node.to_string()]).env("TCP_NODELAY", "1");
        let done = finish(command, PATIENCE);
        let said = text(&done.stdout) + &text(&done.stderr);
        assert!(said.contains("Received Final Find Response (Success)"), "{said}");
        let names: Vec<_> = keys.iter().map(|key| key.split('=').next().expect("a keyword")).collect();
        let line = |answer: &str| {
            let value = |name: &&str| {
                let line = answer.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap_or_default();
                // Well-known UIDs are shown by name: `UI =CTImageStorage`.
                let named =
                    line.split_once('=').filter(|_| !line.contains('[')).and_then(|(_, rest)| rest.split_once(' '));
                let value = line.split_once('[').and_then(|(_, rest)| rest.rsplit_once(']')).or(named);
                value.map_or("", |(value, _)| value.trim_end_matches([' ', '\0'])).to_owned()
            };
            names.iter().map(value).collect::<Vec<_>>().join(" | ")
        };
        let mut lines: Vec<_> = said.split("Find Response: ").skip(1).map(line).collect();
        lines.sort();
        lines
    }

    /// What `getscu` fetches of a study: the files, by SOP Instance UID.
    pub(crate) fn get(&self, study: &str) -> Fetched {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("getscu");
        command
            .args(["+B", "-S", "-aet", Storescp::AE_TITLE, "-aec", Ferry::NODE, "-k", "QueryRetrieveLevel=STUDY"])
            .args(["-k", &format!("StudyInstanceUID={study}"), "-od"])
            .arg(folder.path())
            .args(["127.0.0.1", &self.ferry.node.to_string()])
            .env("TCP_NODELAY", "1");
        let done = finish(command, PATIENCE);
        assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
        Fetched::of(folder)
    }

    /// What `movescu` has sent of a study to `storescp`.
    pub(crate) fn moved(&self, study: &str) -> BTreeMap<String, String> {
        let storescp = Storescp::start(self.witness);
        let key = format!("StudyInstanceUID={study}");
        let said = movescu(&self.ferry, &["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", &key]);
        assert!(said.contains("0x0000: Success"), "{said}");
        storescp.received()
    }

    /// Everything, from outside.
    pub(crate) fn seen(&self) -> Seen {
        let mut seen = Seen { listed: BTreeMap::new(), fetched: BTreeMap::new() };
        for study in self.find("STUDY", &["StudyInstanceUID"]) {
            let key = format!("StudyInstanceUID={study}");
            let of_study: Vec<_> =
                STUDY_KEYS.iter().map(|k| if *k == "StudyInstanceUID" { &key } else { *k }).collect();
            let mut lines = self.find("STUDY", &of_study);
            for series in
                self.find("SERIES", &["SeriesInstanceUID", &key, "Modality", "NumberOfSeriesRelatedInstances"])
            {
                let uid = series.split(" | ").next().unwrap_or_default();
                let of_series = format!("SeriesInstanceUID={uid}");
                lines.extend(self.find("IMAGE", &[&key, &of_series, "SOPInstanceUID", "PatientName", "PatientID"]));
                lines.push(series);
            }
            seen.fetched.insert(study.clone(), self.get(&study).digests());
            seen.listed.insert(study, lines);
        }
        seen
    }

    /// The digest of each data set in the storage folder, by path.
    pub(crate) fn stored(&self) -> BTreeMap<PathBuf, String> {
        let files =
            files_below(&self.ferry.storage()).into_iter().filter(|p| p.extension().is_some_and(|e| e == "dcm"));
        files.map(|path| (path.clone(), data_set_digest(&path))).collect()
    }

    /// What the audit trail says of events of this kind.
    pub(crate) fn audited(&self, event: &str) -> Vec<Value> {
        let entries = self.ferry.json(&["audit", "--json"]);
        let entries = entries.as_array().expect("a list").iter();
        entries.filter(|entry| entry["event"] == event).cloned().collect()
    }
}

/// Runs a command; again, as long as what was just filed stands in its way.
pub(crate) fn unhindered(ferry: &Ferry, arguments: &[&str]) -> Finished {
    let filing = |done: &Finished| (done.err.clone() + &done.out).contains("is filing into study");
    until("nothing is filed any more", PATIENCE, || Some(ferry.run(arguments)).filter(|done| !filing(done)))
}

/// What is asked of studies.
pub(crate) const STUDY_KEYS: [&str; 9] = [
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyDescription",
    "ModalitiesInStudy",
    "SOPClassesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
];

/// Files that came out of an archive.
pub(crate) struct Fetched {
    _folder: tempfile::TempDir,
    pub(crate) files: BTreeMap<String, PathBuf>,
}

impl Fetched {
    fn of(folder: tempfile::TempDir) -> Fetched {
        let files = files_below(folder.path()).into_iter().map(|path| (sop_instance(&path), path)).collect();
        Fetched { _folder: folder, files }
    }

    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        self.files.iter().map(|(uid, path)| (uid.clone(), data_set_digest(path))).collect()
    }

    /// Its elements, as pydicom reads them, by SOP Instance UID.
    pub(crate) fn shown(&self) -> BTreeMap<String, Value> {
        let paths: Vec<PathBuf> = self.files.values().cloned().collect();
        self.files.keys().cloned().zip(show(&paths)).collect()
    }

    /// What DCMTK prints of one.
    pub(crate) fn dump(&self, uid: &str) -> String {
        dcmdump(&self.files[uid])
    }
}

/// A file, printed by DCMTK, which must be content with it.
pub(crate) fn dcmdump(file: &Path) -> String {
    let mut command = Command::new("dcmdump");
    command.args(["+L", "-q"]).arg(file);
    let done = finish(command, PATIENCE);
    assert!(done.status.success(), "{}: {}", file.display(), text(&done.stderr));
    text(&done.stdout)
}

/// Writes objects as files.
pub(crate) fn make(folder: &Path, objects: &[Object]) -> Vec<PathBuf> {
    let list: Vec<_> =
        objects.iter().map(|o| json!({ "elements": o.elements, "syntax": o.syntax, "pixels": o.pixels })).collect();
    let list = listing(&json!(list));
    let mut command = python("ward.py");
    command.arg("make").arg(folder).arg(list.path());
    let done = finish(command, PATIENCE * 2);
    assert!(done.status.success(), "pydicom: {}", text(&done.stderr));
    let mut files = files_below(folder);
    files.sort();
    files
}

/// What pydicom reads in files.
pub(crate) fn show(files: &[PathBuf]) -> Vec<Value> {
    if files.is_empty() {
        return Vec::new();
    }
    let mut command = python("ward.py");
    let list = listing(&json!(files));
    command.arg("show").arg(list.path());
    let done = finish(command, PATIENCE);
    assert!(done.status.success(), "pydicom: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a list of objects")
}

/// What differs in pairs of files beyond what a move to another study may change.
pub(crate) fn changed_beyond_the_move(pairs: &[(PathBuf, PathBuf)]) -> Vec<String> {
    let mut command = python("ward.py");
    let list = listing(&json!(pairs));
    command.arg("moved").arg(list.path());
    let done = finish(command, PATIENCE * 2);
    assert!(done.status.success(), "pydicom: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a list of differences")
}

fn listing(value: &Value) -> tempfile::NamedTempFile {
    let list = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(list.path(), value.to_string()).expect("a list on disk");
    list
}
