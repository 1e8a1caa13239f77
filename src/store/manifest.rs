//! The manifest of the filing batches of a process: what is about to get its final name, and where from. It is synced
//! before the first rename of a batch, so that the sweep after a crash can finish the batch or undo it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::os::Folder;
use super::{Destination, Digest, Incoming, RelativePath};
use crate::object::Origin;

/// Its name in the folder of a process.
pub(super) const MANIFEST: &str = "manifest";
/// Once so much is written and every batch in it is recorded, it is written from its start again.
const LONG: u64 = 192 * 1024;
/// It is made longer by so much at once: a sync within what is there writes nothing but the bytes themselves.
const STRETCH: usize = 256 * 1024;
/// It never grows beyond this: when so much could not be recorded, nothing more is filed.
const LONGEST: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Manifest {
    file: Arc<File>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Where the next batch goes.
    at: u64,
    /// How much is there, written or not.
    length: u64,
    /// Batches that are settled, or being settled, and not recorded.
    open: BTreeSet<u64>,
    /// Recorded since the last write.
    recorded: Vec<u64>,
}

/// An instance that is about to get its final name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) file: String,
    pub(super) digest: String,
    pub(super) origin: OriginText,
    /// The final name, and those that are tried when it is taken.
    pub(super) places: Vec<String>,
    pub(super) destination: DestinationText,
}

/// Who sent an instance, as manifests and file heads keep it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OriginText {
    source: Option<String>,
    ae_title: String,
    address: IpAddr,
    association: u64,
}

/// What is to become of an instance, as manifests keep it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DestinationText {
    Image,
    Variant,
    Collision,
    Quarantine(String),
}

/// One batch. The numbers grow: a line with a lower one is left from before the last start, and so is all behind it.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    number: u64,
    entries: Vec<Entry>,
    /// Batches that need no sweep any more.
    recorded: Vec<u64>,
}

impl Manifest {
    pub(super) fn new(file: File) -> Manifest {
        Manifest { file: Arc::new(file), state: Mutex::default() }
    }

    /// Writes a batch down and says under which number. Not durable until [`Manifest::file`] is synced.
    pub(super) fn begin(&self, entries: Vec<Entry>) -> io::Result<u64> {
        let mut state = self.lock();
        if state.open.is_empty() && state.at > LONG {
            state.at = 0;
            state.recorded.clear();
        }
        let number = state.next;
        let recorded = std::mem::take(&mut state.recorded);
        let mut text = serde_json::to_vec(&Line { number, entries, recorded })?;
        text.push(b'\n');
        let end = state.at + text.len() as u64;
        if end > LONGEST {
            return Err(io::Error::other("too many batches could not be recorded in the catalog"));
        }
        while end > state.length {
            self.file.write_all_at(&vec![b'\n'; STRETCH], state.length)?;
            state.length += STRETCH as u64;
        }
        self.file.write_all_at(&text, state.at)?;
        state.next += 1;
        state.at = end;
        state.open.insert(number);
        Ok(number)
    }

    /// The file, for whoever syncs it.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Everything in the batch is recorded, or was never renamed: the sweep need not look at it.
    pub(super) fn recorded(&self, number: u64) {
        let mut state = self.lock();
        if state.open.remove(&number) {
            state.recorded.push(number);
        }
    }

    /// Whether there is a batch that the sweep would have to look at.
    pub(super) fn has_open_batches(&self) -> bool {
        !self.lock().open.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entries of the batches of a dead process that may not be recorded. A torn line is a batch of which nothing was
/// renamed, and the last one.
pub(super) fn read(folder: &Folder) -> io::Result<Vec<Entry>> {
    let file = match folder.file(MANIFEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut text = Vec::new();
    file.take(LONGEST + STRETCH as u64).read_to_end(&mut text)?;
    let mut batches = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(Line { number, entries, recorded }) = serde_json::from_slice(line) else { break };
        if batches.last_key_value().is_some_and(|(last, _)| *last >= number) {
            break;
        }
        batches.insert(number, entries);
        for number in recorded {
            // The number stays, as the mark of how far the lines have come.
            batches.insert(number, Vec::new());
        }
    }
    Ok(batches.into_values().flatten().collect())
}

impl Entry {
    /// `None` for what is not kept, and has no file.
    pub(super) fn of(incoming: &Incoming, destination: &Destination, places: &[RelativePath]) -> Option<Entry> {
        Some(Entry {
            file: incoming.content.part()?.name().to_owned(),
            digest: incoming.digest?.to_string(),
            origin: OriginText::of(&incoming.origin),
            places: places.iter().map(RelativePath::to_string).collect(),
            destination: match destination {
                Destination::Image => DestinationText::Image,
                Destination::Variant => DestinationText::Variant,
                Destination::Collision => DestinationText::Collision,
                Destination::Quarantine { reason } => DestinationText::Quarantine(reason.clone()),
                Destination::Discard { .. } => return None,
            },
        })
    }

    pub(super) fn digest(&self) -> Option<Digest> {
        Digest::parse(&self.digest)
    }
}

impl OriginText {
    pub(super) fn of(origin: &Origin) -> OriginText {
        OriginText {
            source: origin.source.clone(),
            ae_title: origin.ae_title.clone(),
            address: origin.address,
            association: origin.association,
        }
    }
}

impl From<OriginText> for Origin {
    fn from(text: OriginText) -> Origin {
        let OriginText { source, ae_title, address, association } = text;
        Origin { source, ae_title, address, association }
    }
}

impl From<DestinationText> for Destination {
    fn from(text: DestinationText) -> Destination {
        match text {
            DestinationText::Image => Destination::Image,
            DestinationText::Variant => Destination::Variant,
            DestinationText::Collision => Destination::Collision,
            DestinationText::Quarantine(reason) => Destination::Quarantine { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str) -> Entry {
        let origin = OriginText {
            source: Some("old".into()),
            ae_title: "A\"\n".into(),
            address: [127, 0, 0, 1].into(),
            association: 7,
        };
        let digest = Digest::from_bytes([1; 32]).to_string();
        Entry {
            file: file.into(),
            digest,
            origin,
            places: vec!["images/x".into()],
            destination: DestinationText::Quarantine("why".into()),
        }
    }

    fn manifest(folder: &Folder) -> Manifest {
        Manifest::new(folder.own_file(MANIFEST).unwrap())
    }

    #[test]
    fn only_what_may_not_be_recorded_is_read_back() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::root(temp.path()).unwrap();
        assert!(read(&folder).unwrap().is_empty());
        let manifest = manifest(&folder);
        let one = manifest.begin(vec![entry("1.part"), entry("2.part")]).unwrap();
        manifest.begin(vec![entry("3.part")]).unwrap();
        manifest.recorded(one);
        assert!(manifest.has_open_batches());
        manifest.begin(vec![entry("4.part")]).unwrap();
        let end = manifest.lock().at;
        manifest.file.write_all_at(b"{\"number\":3,\"entries\":[{\"file\":\"5.pa", end).unwrap();
        let files: Vec<_> = read(&folder).unwrap().into_iter().map(|e| e.file).collect();
        assert_eq!(files, ["3.part", "4.part"]);
        let back = read(&folder).unwrap().remove(0);
        assert_eq!(Origin::from(back.origin), Origin::from(entry("3.part").origin));
    }

    #[test]
    fn it_starts_anew_only_when_all_is_recorded() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::root(temp.path()).unwrap();
        let manifest = manifest(&folder);
        let long = |name: &str| entry(&name.repeat(50_000));
        let one = manifest.begin(vec![long("one")]).unwrap();
        let two = manifest.begin(vec![long("two")]).unwrap();
        manifest.recorded(one);
        let three = manifest.begin(vec![entry("3.part")]).unwrap();
        assert_eq!(read(&folder).unwrap().len(), 2, "the second one still stands");
        manifest.recorded(two);
        manifest.recorded(three);
        manifest.begin(vec![entry("4.part")]).unwrap();
        let files: Vec<_> = read(&folder).unwrap().into_iter().map(|e| e.file).collect();
        assert_eq!(files, ["4.part"], "and what is behind it is from before");
        assert!(manifest.file.metadata().unwrap().len() <= 2 * STRETCH as u64);
    }
}
