//! Links made anew from the journal: the files themselves lie elsewhere, and tell their headers once more.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{BATCH, Rebuild, Trouble, in_parallel};
use crate::catalog::{Existing, NewInstance, Receipt, Recorded};
use crate::dicom::SopInstanceUid;
use crate::store::{Digest, Filed, JournalEntry, Link, LinkedText, Place, StoreError};

/// A file that the journal says was linked.
struct Noted {
    path: PathBuf,
    text: LinkedText,
}

impl Rebuild<'_> {
    /// Records what was linked, as the journal last says of each file. What has been copied since is in the catalog by
    /// now, with the same bytes, and stays as it is.
    pub(super) fn links(&mut self) -> Result<(), Trouble> {
        let last = self.last_lines()?;
        let (mut line, mut batch, mut variants, mut failed) = (0, Vec::new(), Vec::new(), None);
        let (store, this) = (self.store, &mut *self);
        store.journal().read(|entry| {
            for noted in files_of(entry) {
                line += 1;
                if failed.is_some() || last.get(&hash(&noted)) != Some(&line) {
                    continue;
                }
                if noted.text.variant {
                    variants.push(noted)
                } else {
                    batch.push(noted)
                }
                if batch.len() >= BATCH {
                    failed = this.record_links(&std::mem::take(&mut batch)).err();
                }
            }
        })?;
        failed.map_or(Ok(()), Err)?;
        self.record_links(&batch)?;
        variants.chunks(BATCH).try_for_each(|batch| self.record_links(batch))
    }

    /// The number of the last line about each file. A file may have been linked, overwritten and linked anew.
    fn last_lines(&self) -> Result<HashMap<u64, u64>, Trouble> {
        let (mut line, mut last) = (0, HashMap::new());
        self.store.journal().read(|entry| {
            for noted in files_of(entry) {
                line += 1;
                last.insert(hash(&noted), line);
            }
        })?;
        Ok(last)
    }

    fn record_links(&mut self, batch: &[Noted]) -> Result<(), Trouble> {
        let store = self.store;
        let mut wanted = Vec::new();
        for noted in batch {
            let existing = self.catalog.existing(&SopInstanceUid::new(&noted.text.instance))?;
            if existing.is_none_or(|existing| !is_known(store, noted, &existing)) {
                wanted.push(noted);
            }
        }
        let charset = |origin: &_| self.charset(origin);
        let examine = |noted: &&Noted| store.examine_link(noted.path.clone(), &noted.text, &charset);
        let examined: Vec<Result<Filed, StoreError>> = in_parallel(&wanted, examine);
        let (mut rows, mut paths) = (Vec::new(), Vec::new());
        for (noted, examined) in wanted.iter().zip(examined) {
            match examined {
                Ok(filed) => {
                    rows.push(NewInstance::of(&filed, Receipt::of(filed.origin(), super::PROCESS)));
                    paths.push(&noted.path);
                }
                Err(error) => self.problem(&crate::job::words(&error)),
            }
        }
        for (path, outcome) in paths.into_iter().zip(self.catalog.record(rows)?) {
            match outcome {
                Recorded::Contested => {
                    self.problem(&format!("{} has the SOP Instance UID of another file", path.display()));
                }
                _ => self.done.objects += 1,
            }
        }
        Ok(())
    }
}

/// Whether the bytes of a linked file are in the catalog. A digest that is not known is taken of the file; one that is
/// gone, or changed, is no loss where something else stands for it.
fn is_known(store: &crate::store::Store, noted: &Noted, existing: &Existing) -> bool {
    let copies = || std::iter::once(&existing.current).chain(&existing.variants);
    let link = link_of(noted);
    let length = link.length();
    let digest = || match noted.text.digest.as_deref().and_then(Digest::parse) {
        None => store.digest(&Place::Linked(link)).map(|(digest, _)| digest).ok(),
        known => known,
    };
    copies().any(|copy| copy.length == length)
        && digest().is_none_or(|digest| copies().any(|copy| copy.digest == Some(digest)))
}

fn link_of(noted: &Noted) -> Link {
    let LinkedText { offset, size, modified, .. } = noted.text;
    Link { path: noted.path.clone(), offset, size, modified }
}

fn files_of(entry: JournalEntry) -> impl Iterator<Item = Noted> {
    let (folder, files) = match entry {
        JournalEntry::Linked { folder, files } => (Some(folder), files),
        _ => (None, Vec::new()),
    };
    files.into_iter().map(move |text| {
        let folder = folder.as_ref().map_or(&[][..], |folder| folder.as_bytes());
        Noted { path: Link::path_of(folder, text.name.as_bytes()), text }
    })
}

fn hash(noted: &Noted) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    let hash = blake3::hash(noted.path.as_os_str().as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}
