//! What people did to studies, done again in the order in which they did it: what is filed says nothing of it.

use std::collections::HashMap;

use super::{Rebuild, Trouble};
use crate::catalog::{Agreement, CatalogError, ToldCorrection};
use crate::dicom::StudyInstanceUid;
use crate::store::{CorrectionLine, JournalEntry};

impl Rebuild<'_> {
    /// Does all of them again that the journal tells of, and hides what was written for those that never came to be.
    pub(super) fn corrections(&mut self) -> Result<(), Trouble> {
        let mut staged: HashMap<String, ToldCorrection> = HashMap::new();
        let mut failed: Option<CatalogError> = None;
        let catalog = self.catalog;
        self.store.journal().read(|entry| {
            let JournalEntry::Correction { key, line } = entry else { return };
            if failed.is_some() {
                return;
            }
            let CorrectionLine::Became { state, at, by } = line else {
                let new = || ToldCorrection { key: key.clone(), ..ToldCorrection::default() };
                return staged.entry(key.clone()).or_insert_with(new).hear(line);
            };
            failed = match (state.as_str(), staged.remove(&key)) {
                ("active", Some(told)) => catalog.replay_correction(told, at).err(),
                (_, Some(told)) => catalog.replay_dropped(&told).err(),
                // Also where it was to be flipped on, and was not.
                (_, None) => catalog.replay_undo(&key, at, &by).err(),
            };
        })?;
        failed.map_or(Ok(()), |error| Err(Trouble::Catalog(error)))?;
        staged.values().try_for_each(|told| Ok(catalog.replay_dropped(told)?))
    }

    /// Sets all locks and marks of studies again that people have not taken away, and keeps what they agreed to.
    pub(super) fn marks(&mut self) -> Result<(), Trouble> {
        let mut failed: Option<CatalogError> = None;
        let catalog = self.catalog;
        self.store.journal().read(|entry| {
            if failed.is_some() {
                return;
            }
            failed = match entry {
                JournalEntry::Study { study, mark, by, reason, at } => {
                    catalog.replay_mark(StudyInstanceUid::new(&study), mark, by, reason, at).err()
                }
                other => Agreement::of(other).and_then(|agreed| catalog.replay_approval(agreed).err()),
            };
        })?;
        failed.map_or(Ok(()), |error| Err(Trouble::Catalog(error)))
    }
}
