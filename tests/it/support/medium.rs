//! A folder of DICOM files that is not ours: a USB stick, a disc, a share.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, create_dir_all, write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pacsferry::dataset::write_part10_head;
use pacsferry::sample::{Archive, SampleObject};

/// A temporary folder with files in it. They look as if they had been written long ago.
pub(crate) struct Medium(tempfile::TempDir);

impl Medium {
    pub(crate) fn new() -> Self {
        Medium(tempfile::tempdir().unwrap())
    }

    /// A file for each object of an archive, in a folder for each study.
    pub(crate) fn of(archive: &Archive) -> Self {
        let medium = Self::new();
        let mut numbers = BTreeMap::new();
        for (n, object) in archive.objects().iter().enumerate() {
            let next = numbers.len();
            let study = numbers.entry(object.identity.study.to_string()).or_insert(next);
            medium.put(format!("study{study}/IM{n:05}"), &part10(object));
        }
        medium
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// For the command line.
    pub(crate) fn name(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// Removes everything, the folder too, as when a disk is taken away.
    pub(crate) fn remove(&self) {
        if self.path().exists() {
            std::fs::remove_dir_all(self.path()).unwrap();
        }
    }

    /// Writes a file.
    pub(crate) fn put(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name.as_ref());
        create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, bytes).unwrap();
        age(&path, 3600);
        path
    }
}

/// Makes a file look as if it had been written so many seconds ago.
pub(crate) fn age(path: &Path, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

/// The bytes of a DICOM file.
pub(crate) fn part10(object: &SampleObject) -> Vec<u8> {
    let mut bytes = head(object);
    bytes.extend_from_slice(&object.body.to_vec());
    bytes
}

/// Preamble and file meta group.
pub(crate) fn head(object: &SampleObject) -> Vec<u8> {
    let identity = &object.identity;
    write_part10_head(identity.class.as_str(), identity.instance.as_str(), object.transfer_syntax.as_str(), None)
}

/// The digest of a data set.
pub(crate) fn digest(object: &SampleObject) -> String {
    object.body.digest().iter().map(|byte| format!("{byte:02x}")).collect()
}
