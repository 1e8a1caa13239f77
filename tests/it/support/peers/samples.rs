//! The sample files that pydicom and pynetdicom ship, described by pydicom, and a sender that
//! takes their data sets to the wire untouched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{PATIENCE, finish, text};

/// One Part 10 file, as pydicom reads it.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Sample {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Where its data set begins.
    pub(crate) offset: u64,
    /// What a sender says in its command: the data set's own, else the file's.
    pub(crate) sop_class: String,
    /// See `sop_class`.
    pub(crate) sop_instance: String,
    /// The transfer syntax of the data set.
    pub(crate) transfer_syntax: String,
    /// Absent or empty in some.
    pub(crate) study: Option<String>,
    /// Absent or empty in some.
    pub(crate) series: Option<String>,
    /// Whether the data set itself has a SOP Instance UID.
    pub(crate) identified: bool,
    /// Attributes as pydicom shows them, by keyword.
    pub(crate) texts: BTreeMap<String, String>,
}

impl Sample {
    /// The file's name, for messages.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().expect("a file name").to_string_lossy().into_owned()
    }

    /// The bytes of the data set.
    pub(crate) fn data_set(&self) -> Vec<u8> {
        let mut bytes = std::fs::read(&self.path).expect("a sample file");
        bytes.split_off(usize::try_from(self.offset).expect("an offset"))
    }

    /// BLAKE3 of the data set's bytes.
    pub(crate) fn digest(&self) -> String {
        blake3::hash(&self.data_set()).to_hex().to_string()
    }

    /// Can be filed as what it is: it names its study, its series and itself.
    pub(crate) fn is_whole(&self) -> bool {
        self.identified && self.study.is_some() && self.series.is_some()
    }
}

/// Every readable sample but directories (DICOMDIR), in the order of their paths.
pub(crate) fn samples() -> Vec<Sample> {
    let done = finish(python(["samples"]), PATIENCE);
    assert!(done.status.success(), "pydicom's samples: {}", text(&done.stderr));
    let samples: Vec<Sample> = serde_json::from_slice(&done.stdout).expect("a list of samples");
    assert!(samples.len() > 150, "only {} samples: is pydicom whole?", samples.len());
    samples
}

/// Those that name study, series and themselves; the first of each SOP Instance UID.
pub(crate) fn distinct(samples: &[Sample]) -> Vec<&Sample> {
    let mut seen = BTreeSet::new();
    samples.iter().filter(|s| s.is_whole() && seen.insert(&s.sop_instance)).collect()
}

/// Sends each data set as its bytes are, one association each; the statuses, in the same order.
pub(crate) fn send(port: u16, called: &str, samples: &[&Sample]) -> Vec<u16> {
    let mut list = tempfile::NamedTempFile::new().expect("a temporary file");
    list.write_all(&serde_json::to_vec(samples).expect("a list of samples")).expect("a list on disk");
    let mut command = python(["send"]);
    command.arg(port.to_string()).arg(called).arg(list.path());
    let done = finish(command, PATIENCE * 2);
    assert!(done.status.success(), "pynetdicom's sender: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a list of statuses")
}

/// A retrieve by pynetdicom, as the script wants it; status, remaining, completed, failed and warning of each response.
pub(crate) fn pynetdicom_retrieves(wanted: &serde_json::Value) -> Vec<[Option<u16>; 5]> {
    let mut list = tempfile::NamedTempFile::new().expect("a temporary file");
    list.write_all(wanted.to_string().as_bytes()).expect("a request on disk");
    let mut command = python(["retrieve"]);
    command.arg(list.path());
    let done = finish(command, PATIENCE * 2);
    assert!(done.status.success(), "pynetdicom: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a list of responses")
}

/// What pydicom finds different in each pair of files, in the values of their elements.
pub(crate) fn different_to_pydicom(pairs: &[(&PathBuf, &PathBuf)]) -> Vec<String> {
    let mut list = tempfile::NamedTempFile::new().expect("a temporary file");
    list.write_all(&serde_json::to_vec(pairs).expect("a list of pairs")).expect("a list on disk");
    let mut command = python(["different"]);
    command.arg(list.path());
    let done = finish(command, PATIENCE * 2);
    assert!(done.status.success(), "pydicom: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a list of differences")
}

/// How a file differs from the one that it was made of.
#[derive(Debug, Deserialize)]
pub(crate) struct Changes {
    /// The elements that differ: tags, and the numbers of items in which they are.
    pub(crate) paths: Vec<Vec<String>>,
    /// Attributes of the last item of Original Attributes Sequence, by keyword.
    pub(crate) told: BTreeMap<String, String>,
    /// Attributes of the file itself.
    pub(crate) now: BTreeMap<String, String>,
}

/// What pydicom finds changed in the second file of each pair.
pub(crate) fn changes_to_pydicom(pairs: &[(PathBuf, PathBuf)]) -> Vec<Changes> {
    let mut list = tempfile::NamedTempFile::new().expect("a temporary file");
    list.write_all(&serde_json::to_vec(pairs).expect("a list of pairs")).expect("a list on disk");
    let mut command = python(["changes"]);
    command.arg(list.path());
    let done = finish(command, PATIENCE * 2);
    assert!(done.status.success(), "pydicom: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("a list of changes")
}

/// BLAKE3 of the data set of a Part 10 file.
pub(crate) fn data_set_digest(path: &Path) -> String {
    let (_, data) = halves(path);
    blake3::hash(&data).to_hex().to_string()
}

/// The SOP Instance UID in the File Meta Information of a Part 10 file.
pub(crate) fn sop_instance(path: &Path) -> String {
    let (meta, _) = halves(path);
    let at = meta.windows(6).position(|w| w == b"\x02\0\x03\0UI").expect("(0002,0003)") + 6;
    let length = usize::from(u16::from_le_bytes([meta[at], meta[at + 1]]));
    text(&meta[at + 2..at + 2 + length]).trim_end_matches('\0').to_owned()
}

/// The File Meta Information (with its group length, which it must have) and the data set.
fn halves(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = std::fs::read(path).expect("a received file");
    assert_eq!(&bytes[128..136], b"DICM\x02\0\0\0", "{}: no group length", path.display());
    let length = u32::from_le_bytes(bytes[140..144].try_into().expect("four bytes"));
    let data = bytes.split_off(144 + usize::try_from(length).expect("a length"));
    (bytes, data)
}

fn python<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = script("samples.py");
    command.args(arguments);
    command
}

/// The Python of the tests, with a script beside this file.
pub(crate) fn script(name: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("PACSFERRY_SAMPLES").map_or_else(|| root.join(".venv"), PathBuf::from);
    let interpreter = venv.join("bin/python");
    assert!(
        interpreter.exists(),
        "{} is missing: scripts/test makes it, with pydicom and pynetdicom",
        interpreter.display()
    );
    let mut command = Command::new(interpreter);
    command.arg("-B").arg(root.join("tests/it/support/peers").join(name)).stdin(Stdio::null());
    command
}
