//! The journal of the storage folder: what files alone cannot tell, one JSON line each, synced before the catalog
//! knows it, so that `rebuild` undoes nothing.

mod correction;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::Doing;
use super::os::Folder;
use super::place::{self, Suffix};
use super::{Digest, RelativePath, StoreError};
use crate::dicom::{SopInstanceUid, StudyInstanceUid};

pub use correction::{CorrectedText, CorrectionLine, CorrectionText, from_text, pieces, to_text};

pub(super) const JOURNAL: &str = "journal.jsonl";
/// The longest line that is read back.
const LONGEST_LINE: u64 = 1 << 20;

/// What the journal remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum JournalEntry {
    /// An instance went to quarantine.
    Quarantined {
        /// BLAKE3 of its data set.
        digest: String,
        /// SOP Instance UID of the command.
        instance: String,
        /// Why.
        reason: String,
        /// Whether another instance with this UID and other values is filed.
        collision: bool,
        /// When, in unix milliseconds.
        at: i64,
        /// Only where the bytes were filed once and turned out to be damaged: the study that they were filed in. They
        /// are no arrival, and no obstacle to its proof when the object has come again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filed_in: Option<String>,
    },
    /// Files of a folder elsewhere were linked.
    Linked {
        /// The folder that they lie in, with a `/` at its end.
        folder: PathText,
        /// The files.
        files: Vec<LinkedText>,
    },
    /// What was said of a correction.
    Correction {
        /// Its name.
        key: String,
        /// What.
        line: CorrectionLine,
    },
    /// What a person has set on a study, or taken away.
    Study {
        /// The study.
        study: String,
        /// What.
        mark: StudyMark,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// When, in unix milliseconds.
        at: i64,
    },
    /// Somebody agreed that a study of a source stays behind.
    Approval {
        /// The name of the source; empty for a folder.
        source: String,
        /// The study.
        study: String,
        /// What had become of it.
        state: String,
        /// Why that had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who.
        by: String,
        /// Why it may.
        why: String,
        /// When, in unix milliseconds.
        at: i64,
    },
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// What a person sets on a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StudyMark {
    /// It is locked.
    Locked,
    /// It is locked no more.
    Unlocked,
    /// It was migrated by a cardiovascular system.
    Cardiovascular,
    /// It was not.
    General,
}

/// Part of a path: a text, or the bytes of what is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathText {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

/// A file that was linked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedText {
    /// Its name in the folder.
    pub name: PathText,
    /// SOP Instance UID.
    pub instance: String,
    /// SOP Class UID.
    pub class: String,
    /// The transfer syntax of its data set.
    pub syntax: String,
    /// Where its data set begins.
    pub offset: u64,
    /// Bytes of the file.
    pub size: u64,
    /// When it was modified, in nanoseconds of unix time, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<i64>,
    /// BLAKE3 of its data set, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether it is kept beside another one with the same pixel data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub variant: bool,
}

impl PathText {
    /// These bytes.
    pub fn of(bytes: &[u8]) -> PathText {
        std::str::from_utf8(bytes)
            .map_or_else(|_| PathText::Bytes(bytes.to_vec()), |text| PathText::Text(text.to_owned()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            PathText::Text(text) => text.as_bytes(),
            PathText::Bytes(bytes) => bytes,
        }
    }
}

/// The journal of a storage folder.
#[derive(Debug)]
pub struct Journal {
    root: Folder,
    /// Opened by the first line that is written.
    file: Mutex<Option<Arc<File>>>,
}

/// Why an instance is in quarantine, by digest and SOP Instance UID.
pub type QuarantineReasons = HashMap<(Digest, SopInstanceUid), (String, bool)>;

impl Journal {
    pub(super) fn new(root: Folder) -> Journal {
        Journal { root, file: Mutex::new(None) }
    }

    /// Appends the entries. They are durable when the file that is given back is synced.
    pub(super) fn write(&self, entries: &[JournalEntry]) -> io::Result<Arc<File>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &*file {
            Some(file) => Arc::clone(file),
            None => {
                let opened = Arc::new(self.root.growing_file(JOURNAL)?);
                self.root.sync()?;
                // A line that a crash tore ends here, so that the next one stands alone. Empty lines mean nothing.
                (&*opened).write_all(b"\n")?;
                Arc::clone(file.insert(opened))
            }
        };
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        // One write, so that lines of two processes do not mix.
        (&*file).write_all(&text)?;
        Ok(file)
    }

    /// Appends the entries and syncs them.
    pub fn append(&self, entries: &[JournalEntry]) -> Result<(), StoreError> {
        let what = || JOURNAL.to_owned();
        self.write(entries).and_then(|file| file.sync_data()).doing("write to the journal", what)
    }

    /// Calls `each` with every entry, oldest first. Lines that are torn are passed over.
    pub fn read(&self, mut each: impl FnMut(JournalEntry)) -> Result<(), StoreError> {
        let what = || JOURNAL.to_owned();
        let file = match self.root.file(JOURNAL) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.doing("open the journal", what)?,
        };
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = io::Read::take(&mut reader, LONGEST_LINE).read_until(b'\n', &mut line);
            if read.doing("read the journal", what)? == 0 {
                return Ok(());
            }
            if let Ok(entry) = serde_json::from_slice(&line) {
                each(entry);
            }
        }
    }

    /// Why each instance in quarantine is there.
    pub fn quarantine_reasons(&self) -> Result<QuarantineReasons, StoreError> {
        let mut reasons = QuarantineReasons::new();
        self.read(|entry| {
            if let JournalEntry::Quarantined { digest, instance, reason, collision, .. } = entry
                && let Some(digest) = Digest::parse(&digest)
            {
                reasons.insert((digest, SopInstanceUid::new(&instance)), (reason, collision));
            }
        })?;
        Ok(reasons)
    }
}

impl Journal {
    /// What went to quarantine, in that order, each object once.
    pub fn quarantined(&self) -> Result<Vec<(Digest, SopInstanceUid)>, StoreError> {
        let (mut order, mut known) = (Vec::new(), HashSet::new());
        self.read(|entry| {
            if let JournalEntry::Quarantined { digest, instance, .. } = entry
                && let Some(digest) = Digest::parse(&digest)
                && known.insert((digest, SopInstanceUid::new(&instance)))
            {
                order.push((digest, SopInstanceUid::new(&instance)));
            }
        })?;
        Ok(order)
    }
}

/// What the journal tells of damaged bytes that were set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedText {
    /// The object that was filed in them.
    pub instance: SopInstanceUid,
    /// The study that it was filed in.
    pub study: StudyInstanceUid,
    /// What was wrong with them.
    pub reason: String,
}

impl Journal {
    /// The damaged files that were set aside, by the places in quarantine that each may have.
    pub fn damaged(&self) -> Result<HashMap<RelativePath, DamagedText>, StoreError> {
        let mut damaged = HashMap::new();
        self.read(|entry| {
            if let JournalEntry::Quarantined { digest, instance, reason, filed_in: Some(study), .. } = entry
                && let Some(digest) = Digest::parse(&digest)
            {
                let instance = SopInstanceUid::new(&instance);
                for suffix in [Suffix::Short, Suffix::Full] {
                    let place = place::quarantine(&instance, &digest, suffix);
                    let (instance, study) = (instance.clone(), StudyInstanceUid::new(&study));
                    damaged.insert(place, DamagedText { instance, study, reason: reason.clone() });
                }
            }
        })?;
        Ok(damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_and_strange_lines_cost_only_themselves() {
        let temp = tempfile::tempdir().unwrap();
        let entry = |reason: &str| JournalEntry::Quarantined {
            digest: Digest::from_bytes([9; 32]).to_string(),
            instance: "1.2\"".into(),
            reason: reason.into(),
            collision: false,
            at: 5,
            filed_in: None,
        };
        let folder = || Folder::root(temp.path()).unwrap();
        Journal::new(folder()).append(&[entry("one")]).unwrap();
        let mut raw = folder().growing_file(JOURNAL).unwrap();
        raw.write_all(b"{\"kind\":\"of tomorrow\",\"path\":3}\n{\"kind\":\"quarantined\",\"dig").unwrap();
        let journal = Journal::new(folder());
        journal.append(&[entry("two")]).unwrap();
        let mut read = Vec::new();
        journal.read(|entry| read.push(entry)).unwrap();
        assert_eq!(read, [entry("one"), JournalEntry::Unknown, entry("two")]);
        let reasons = journal.quarantine_reasons().unwrap();
        assert_eq!(reasons[&(Digest::from_bytes([9; 32]), SopInstanceUid::new("1.2\""))], ("two".into(), false));
    }
}
