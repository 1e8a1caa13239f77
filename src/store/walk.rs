//! Every file under the storage folder, for `rebuild` and for verifying.

use std::io;

use super::error::Doing;
use super::journal::JOURNAL;
use super::os::{Folder, Kind};
use super::place::{IMAGES, QUARANTINE};
use super::{RelativePath, Store, StoreError};

/// A file under `images/` or `quarantine/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkedFile {
    /// Its place.
    pub place: RelativePath,
    /// Bytes of the file.
    pub file_size: u64,
}

/// The walk: folder by folder, in the order of their names, `images/` first. What no layout of ours makes comes as
/// [`StoreError::Damaged`], and the walk goes on.
#[derive(Debug)]
pub struct Walk {
    /// Folders that are open, outermost first, each with what is left in it, last name first.
    open: Vec<Level>,
    /// Folders that are still to be opened.
    roots: Vec<(&'static str, Folder)>,
}

#[derive(Debug)]
struct Level {
    path: String,
    folder: Folder,
    left: Vec<(String, Kind)>,
}

impl Store {
    /// Walks over all that is filed and in quarantine.
    pub fn walk(&self) -> Walk {
        let root = &self.root().folder;
        Walk { open: Vec::new(), roots: vec![(QUARANTINE, root.clone()), (IMAGES, root.clone())] }
    }

    /// Whether anything was ever filed, kept or linked: then there was a catalog of it.
    pub fn is_used(&self) -> Result<bool, StoreError> {
        let journal = self.root().folder.holds(JOURNAL).doing("look for the journal", || JOURNAL.to_owned())?;
        Ok(journal || self.walk().next().is_some())
    }
}

impl Walk {
    fn enter(&mut self, above: &Folder, name: &str, path: String) -> Result<(), StoreError> {
        let folder = above.folder(name).doing("open the folder", || path.clone())?;
        let mut left = folder.entries().doing("list the folder", || path.clone())?;
        left.reverse();
        self.open.push(Level { path, folder, left });
        Ok(())
    }

    fn look(&mut self, level: &Folder, path: String, name: &str, kind: Kind) -> Option<Result<WalkedFile, StoreError>> {
        match kind {
            Kind::Folder => self.enter(level, name, path).err().map(Err),
            Kind::Other => Some(Err(StoreError::damaged(path, "it is neither a file nor a folder"))),
            Kind::File => Some(match RelativePath::parse(&path) {
                Ok(place) => {
                    size(level, name).doing("look at", || path).map(|file_size| WalkedFile { place, file_size })
                }
                Err(_) => Err(StoreError::damaged(path, "it is no file of the storage folder")),
            }),
        }
    }
}

fn size(folder: &Folder, name: &str) -> io::Result<u64> {
    Ok(folder.file(name)?.metadata()?.len())
}

impl Iterator for Walk {
    type Item = Result<WalkedFile, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(level) = self.open.last_mut() else {
                let (name, root) = self.roots.pop()?;
                match self.enter(&root, name, name.to_owned()) {
                    Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Some(Err(error)),
                    Ok(()) => {}
                }
                continue;
            };
            let Some((name, kind)) = level.left.pop() else {
                self.open.pop();
                continue;
            };
            let (folder, path) = (level.folder.clone(), format!("{}/{name}", level.path));
            if let Some(found) = self.look(&folder, path, &name, kind) {
                return Some(found);
            }
        }
    }
}
