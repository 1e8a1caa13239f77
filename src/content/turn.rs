//! Whose turn it is: both studies of an operation are locked for it, as long as its process lives.

use super::ContentError;
use crate::catalog::{Catalog, SignOfLife};
use crate::config::Operator;
use crate::dicom::StudyInstanceUid;

/// The turn of one operation.
pub(super) struct Turn {
    catalog: Catalog,
    name: String,
    _life: SignOfLife,
}

impl Turn {
    /// Takes it, or says who has it. Others see that it is over when this process is, however it ends.
    pub(super) async fn take(
        catalog: &Catalog,
        studies: &[StudyInstanceUid],
        who: &Operator,
        doing: &str,
    ) -> Result<Turn, ContentError> {
        let name = format!("{doing}/{}-{:08x}", std::process::id(), fastrand::u32(..));
        let life = catalog.sign_of_life(&name)?;
        catalog.lock_for(studies, &who.name, &name, doing).await?;
        Ok(Turn { catalog: catalog.clone(), name, _life: life })
    }

    /// What the operation is known by while it is staged.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Lets others have theirs.
    pub(super) async fn end(self) -> Result<(), ContentError> {
        Ok(self.catalog.unlock_process(&self.name).await?)
    }
}
