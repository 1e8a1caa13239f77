//! The folders that are in use, held open, and known to be durable.

use std::collections::HashMap;
use std::io;

use super::os::Folder;

/// How many folders are held open.
const MOST: usize = 96;

/// A folder is in here only when its name, and the names of all folders above it, were synced by this process. One
/// that another process made a moment ago is synced again: nobody knows whether that process lived to do it.
#[derive(Debug)]
pub(super) struct Folders {
    root: Folder,
    durable: HashMap<String, Folder>,
}

/// A folder that files go to in a batch, and the folders above it whose names are not known to be durable.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) folder: Folder,
    /// Path and handle of each folder that holds a name which must be synced for this one to be found again.
    pub(super) above: Vec<(String, Folder)>,
}

impl Folders {
    pub(super) fn new(root: Folder) -> Folders {
        Folders { root, durable: HashMap::new() }
    }

    /// Opens the folder with this path, and makes what is missing of it.
    pub(super) fn open(&mut self, path: &str) -> io::Result<Opened> {
        if let Some(folder) = self.durable.get(path) {
            return Ok(Opened { folder: folder.clone(), above: Vec::new() });
        }
        let (mut folder, mut at) = (self.root.clone(), String::new());
        let mut above = Vec::new();
        for part in path.split('/') {
            let below = if at.is_empty() { part.to_owned() } else { format!("{at}/{part}") };
            folder = match self.durable.get(&below) {
                Some(known) => known.clone(),
                None => {
                    let (opened, _) = folder.folder_or_new(part)?;
                    above.push((at, std::mem::replace(&mut folder, opened.clone())));
                    opened
                }
            };
            at = below;
        }
        Ok(Opened { folder, above })
    }

    /// The folder with this path, if it is held open.
    pub(super) fn known(&self, path: &str) -> Option<&Folder> {
        self.durable.get(path)
    }

    /// The path, and all above it, were synced.
    pub(super) fn is_durable(&mut self, path: &str, folder: &Folder) {
        if self.durable.len() >= MOST {
            self.durable.clear();
        }
        self.durable.insert(path.to_owned(), folder.clone());
    }

    /// Forgets what is known, since a folder turned out to be gone.
    pub(super) fn forget(&mut self) {
        self.durable.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_made_and_named_for_syncing() {
        let temp = tempfile::tempdir().unwrap();
        let mut folders = Folders::new(Folder::root(temp.path()).unwrap());
        let first = folders.open("images/2021/11").unwrap();
        assert!(temp.path().join("images/2021/11").is_dir());
        let above: Vec<_> = first.above.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(above, ["", "images", "images/2021"]);
        for (path, folder) in &first.above {
            folders.is_durable(path, folder);
        }
        folders.is_durable("images/2021/11", &first.folder);
        assert!(folders.open("images/2021/11").unwrap().above.is_empty());
        let second = folders.open("images/2021/12").unwrap();
        let above: Vec<_> = second.above.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(above, ["images/2021"]);
    }

    #[test]
    fn no_link_is_followed() {
        let temp = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), temp.path().join("images")).unwrap();
        let mut folders = Folders::new(Folder::root(temp.path()).unwrap());
        assert!(folders.open("images/2021").is_err());
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
