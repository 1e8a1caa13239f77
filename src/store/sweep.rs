//! After a crash: what dead processes left in the incoming folder is finished or undone.

use std::io;
use std::sync::PoisonError;

use super::error::Doing;
use super::examine::{CharsetOf, examine};
use super::incoming::DeadFolder;
use super::manifest::{self, DestinationText, Entry};
use super::{Destination, Filed, Incoming, RelativePath, Store, StoreError};
use crate::object::Origin;

/// What was found in the folder of one dead process.
#[derive(Debug)]
pub struct Swept {
    /// Under their final names, made durable once more; whether the catalog has them is not known.
    pub finished: Vec<Filed>,
    /// Whole, by their digest, and without a final name: to be settled again.
    pub whole: Vec<Incoming>,
    /// How many cut or unanswered files there were, which go when the folder is buried.
    pub leftovers: usize,
    dead: DeadFolder,
}

impl Store {
    /// Looks for the folders of dead processes. Living ones, this one among them, are not touched.
    pub fn sweep(&self, charset: CharsetOf<'_>) -> Result<Vec<Swept>, StoreError> {
        let dead =
            DeadFolder::all(self.root()).doing("look for leftovers in", || self.folder().display().to_string())?;
        dead.into_iter().map(|dead| self.sweep_one(dead, charset)).collect()
    }

    /// Removes the folder of a dead process, after what was in it is recorded.
    pub fn bury(&self, swept: Swept) -> Result<(), StoreError> {
        let name = swept.dead.name.clone();
        swept.dead.remove().doing("remove the folder of a dead process", || name)
    }

    fn sweep_one(&self, dead: DeadFolder, charset: CharsetOf<'_>) -> Result<Swept, StoreError> {
        let shown = || dead.name.clone();
        let (mut finished, mut whole) = (Vec::new(), Vec::new());
        for entry in manifest::read(&dead.folder).doing("read the manifest of", shown)? {
            match self.take_over(&dead, &entry, charset)? {
                Some(incoming) => whole.push(incoming),
                None => finished.extend(self.finish(entry, charset)?),
            }
        }
        let entries = dead.folder.entries().doing("list", shown)?;
        let leftovers = entries.iter().filter(|(name, _)| name.ends_with(".part")).count();
        Ok(Swept { finished, whole, leftovers, dead })
    }

    /// Takes over a file that did not get its final name, when its bytes are those of the manifest.
    fn take_over(
        &self,
        dead: &DeadFolder,
        entry: &Entry,
        charset: CharsetOf<'_>,
    ) -> Result<Option<Incoming>, StoreError> {
        let file = match dead.folder.file(&entry.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.doing("open the incoming file", || entry.file.clone())?,
        };
        let origin = Origin::from(entry.origin.clone());
        match examine(&file, &entry.file, Some(origin), charset) {
            Ok(examined) if Some(examined.digest) == entry.digest() => {
                let part = self.process()?.adopt(&dead.folder, &entry.file)?;
                let mut incoming = examined.incoming(part);
                if let DestinationText::Quarantine(reason) = &entry.destination {
                    // What set it aside may not be in its header.
                    incoming.set_aside = Some(reason.clone());
                }
                Ok(Some(incoming))
            }
            // A power cut took some of its bytes; nobody was told that it was here.
            Ok(_) | Err(StoreError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds what was renamed, and makes its name durable.
    fn finish(&self, entry: Entry, charset: CharsetOf<'_>) -> Result<Option<Filed>, StoreError> {
        let digest = entry.digest();
        let origin = Origin::from(entry.origin);
        for place in entry.places.iter().filter_map(|place| RelativePath::parse(place).ok()) {
            let (file, _) = match self.open_part10(&place) {
                Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => continue,
                other => other?,
            };
            let examined = examine(&file, place.as_str(), Some(origin.clone()), charset)?;
            if Some(examined.digest) != digest {
                continue;
            }
            file.sync_data().doing("sync", || place.to_string())?;
            self.sync_chain(&place).doing("sync the folders of", || place.to_string())?;
            return Ok(Some(examined.filed(place, Destination::from(entry.destination))));
        }
        Ok(None)
    }

    /// Syncs the folder of a place, and all above it.
    fn sync_chain(&self, place: &RelativePath) -> io::Result<()> {
        let mut folders = self.folders().lock().unwrap_or_else(PoisonError::into_inner);
        let opened = folders.open(place.folder())?;
        for (_, folder) in &opened.above {
            folder.sync()?;
        }
        opened.folder.sync()
    }
}
