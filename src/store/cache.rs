//! Files that can be made again, in a folder of their own, within a bound: what was least recently asked for goes first.
//! They are not synced; one that a crash has torn is no hit.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::Digest;

/// What stands before the content: its BLAKE3.
const SUM: usize = 32;

/// A folder of such files. A clone is another handle. Its calls wait for the disk.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    most: u64,
    /// Known from the first call on.
    index: Mutex<Option<Index>>,
}

#[derive(Debug, Default)]
struct Index {
    /// Size and turn of each file.
    files: HashMap<String, (u64, u64)>,
    /// The files by turn.
    turns: BTreeMap<u64, String>,
    bytes: u64,
    turn: u64,
}

impl Cache {
    /// In this folder, which is made when something is kept; so many bytes at most.
    pub fn new(folder: PathBuf, most: u64) -> Cache {
        Cache(Arc::new(Inner { folder, most, index: Mutex::default() }))
    }

    /// What is kept under a key.
    pub fn get(&self, key: &Digest) -> Option<Vec<u8>> {
        let name = name(key);
        if !self.with(|index| index.touch(&name)) {
            return None;
        }
        let bytes = fs::read(self.0.folder.join(&name)).unwrap_or_default();
        match bytes.split_first_chunk::<SUM>() {
            Some((sum, content)) if blake3::hash(content) == *sum => Some(content.to_vec()),
            _ => {
                self.with(|index| index.forget(&name));
                None
            }
        }
    }

    /// Keeps something under a key, and lets go of what is beyond the bound.
    pub fn put(&self, key: &Digest, content: &[u8]) -> io::Result<()> {
        let size = (SUM + content.len()) as u64;
        if size > self.0.most {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.0.folder)?;
        file.write_all(blake3::hash(content).as_bytes())?;
        file.write_all(content)?;
        let name = name(key);
        file.persist(self.0.folder.join(&name)).map_err(|error| error.error)?;
        for old in self.with(|index| index.add(name, size, self.0.most)) {
            remove(&self.0.folder.join(old))?;
        }
        Ok(())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Index) -> T) -> T {
        let mut index = self.0.index.lock().unwrap_or_else(PoisonError::into_inner);
        act(index.get_or_insert_with(|| Index::read(&self.0.folder)))
    }
}

/// Removes a file that may be gone.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn name(key: &Digest) -> String {
    blake3::Hash::from_bytes(*key.as_bytes()).to_hex().to_string()
}

impl Index {
    /// What is in the folder, the oldest first. Nothing where it cannot be read, as before anything was kept.
    fn read(folder: &Path) -> Index {
        let mut found: Vec<(SystemTime, String, u64)> = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (Ok(name), Ok(data)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
            if name.len() == 2 * SUM && data.is_file() {
                found.push((data.modified().unwrap_or(SystemTime::UNIX_EPOCH), name, data.len()));
            }
        }
        found.sort();
        let mut index = Index::default();
        for (_, name, size) in found {
            index.add(name, size, u64::MAX);
        }
        index
    }

    /// Whether there is such a file; it has its turn last then.
    fn touch(&mut self, name: &str) -> bool {
        let Some((_, turn)) = self.files.get_mut(name) else { return false };
        self.turns.remove(turn);
        self.turn += 1;
        *turn = self.turn;
        self.turns.insert(self.turn, name.to_owned());
        true
    }

    fn forget(&mut self, name: &str) {
        if let Some((size, turn)) = self.files.remove(name) {
            self.turns.remove(&turn);
            self.bytes -= size;
        }
    }

    /// Adds a file; those that have to go for it.
    fn add(&mut self, name: String, size: u64, most: u64) -> Vec<String> {
        self.forget(&name);
        self.turn += 1;
        self.turns.insert(self.turn, name.clone());
        self.files.insert(name, (size, self.turn));
        self.bytes += size;
        let mut gone = Vec::new();
        while self.bytes > most {
            let Some((_, oldest)) = self.turns.first_key_value() else { break };
            gone.push(oldest.clone());
            self.forget(&gone.last().cloned().unwrap_or_default());
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> Digest {
        blake3::hash(&[n]).into()
    }

    #[test]
    fn the_least_recently_asked_for_goes_first() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("a/b");
        let cache = Cache::new(folder.clone(), 3 * 132);
        assert_eq!(cache.get(&key(1)), None);
        for n in 1..=3 {
            cache.put(&key(n), &[n; 100]).unwrap();
        }
        assert_eq!(cache.get(&key(1)).unwrap(), [1; 100]);
        cache.put(&key(4), &[4; 100]).unwrap();
        assert_eq!(cache.get(&key(2)), None);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        cache.put(&key(5), &[0; 1000]).unwrap();
        assert_eq!(cache.get(&key(5)), None, "larger than all of it");
        // Another process finds what there is, and a torn file is none.
        let again = Cache::new(folder.clone(), 3 * 132);
        assert_eq!(again.get(&key(4)).unwrap(), [4; 100]);
        let torn = fs::OpenOptions::new().write(true).open(folder.join(name(&key(3)))).unwrap();
        torn.set_len(50).unwrap();
        assert_eq!((again.get(&key(3)), again.get(&key(1)).is_some()), (None, true));
        again.put(&key(3), b"").unwrap();
        assert_eq!(again.get(&key(3)).unwrap(), b"");
    }
}
