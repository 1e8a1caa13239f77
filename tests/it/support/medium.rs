//! A folder of DICOM files that is not ours: a USB stick, a disc, a share.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, create_dir_all, write};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::DeflateEncoder;
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

/// A zip file of these members, every second one stored, the others deflated.
pub(crate) fn zip(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (n, (name, bytes)) in members.iter().enumerate() {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        let (method, packed) = if n % 2 == 0 {
            let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
            deflate.write_all(bytes).unwrap();
            (8_u16, deflate.finish().unwrap())
        } else {
            (0, bytes.clone())
        };
        let mut facts = Vec::new();
        facts.extend_from_slice(&method.to_le_bytes());
        facts.extend_from_slice(&[0; 4]);
        facts.extend_from_slice(&crc.sum().to_le_bytes());
        facts.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        facts.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        facts.extend_from_slice(&(name.len() as u16).to_le_bytes());
        facts.extend_from_slice(&[0; 2]);
        directory.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\0\0");
        directory.extend_from_slice(&facts);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&(out.len() as u32).to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"PK\x03\x04\x14\0\0\0");
        out.extend_from_slice(&facts);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&packed);
    }
    let at = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&(members.len() as u16).to_le_bytes());
    out.extend_from_slice(&(members.len() as u16).to_le_bytes());
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}
