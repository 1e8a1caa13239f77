//! Damaged bytes that verification set aside: in quarantine again as they were, and again nobody's arrival, so that they
//! are no obstacle to the proof of a study that has come whole since.

use super::{BATCH, PROCESS, Rebuild, Trouble, in_parallel};
use crate::catalog::{NewInstance, Receipt};
use crate::object::Origin;
use crate::store::{DamagedText, Filed, RelativePath, StoreError};

impl Rebuild<'_> {
    /// Records them as the journal tells.
    pub(super) fn damaged(&mut self, files: &[(RelativePath, DamagedText)]) -> Result<(), Trouble> {
        for files in files.chunks(BATCH) {
            let charset = |origin: &Origin| self.charset(origin);
            let examine =
                |(place, text): &(RelativePath, DamagedText)| self.store.examine_damaged(place, text, &charset);
            let examined: Vec<Result<Filed, StoreError>> = in_parallel(files, examine);
            let mut rows = Vec::new();
            for examined in examined {
                match examined {
                    Ok(filed) => rows.push(NewInstance::of(&filed, Receipt::of(filed.origin(), PROCESS))),
                    Err(error) => self.problem(&crate::job::words(&error)),
                }
            }
            self.done.quarantined += self.catalog.record(rows)?.len() as u64;
        }
        Ok(())
    }
}
