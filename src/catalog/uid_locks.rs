//! Which process files an object, while it does.

use super::{Catalog, CatalogError};
use crate::db::Locks;
use crate::dicom::SopInstanceUid;

/// A holder of SOP Instance UIDs. Two processes that file objects with one UID at the same time would see each other's
/// files before either is recorded, and one could take away what the other relies on: whoever files an object holds
/// its UID from the look into the catalog until the row is on disk. A process that dies holds nothing.
#[derive(Debug)]
pub struct UidLocks(Locks);

impl Catalog {
    /// A new holder, with nothing in its hands.
    pub fn uid_locks(&self) -> Result<UidLocks, CatalogError> {
        Ok(UidLocks(self.db.locks()?))
    }
}

impl UidLocks {
    /// Takes hold of a UID; `false` while another holder has it.
    pub fn try_lock(&self, uid: &SopInstanceUid) -> Result<bool, CatalogError> {
        Ok(self.0.try_lock(uid.as_str())?)
    }

    /// Lets go of it.
    pub fn unlock(&self, uid: &SopInstanceUid) -> Result<(), CatalogError> {
        Ok(self.0.unlock(uid.as_str())?)
    }
}
