//! What an instance is called.

use super::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid};

/// The UIDs of a SOP Instance and of what it belongs to. Study and Series are empty when the header did not tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Study Instance UID (0020,000D).
    pub study: StudyInstanceUid,
    /// Series Instance UID (0020,000E).
    pub series: SeriesInstanceUid,
    /// SOP Instance UID (0008,0018).
    pub instance: SopInstanceUid,
    /// SOP Class UID (0008,0016).
    pub class: SopClassUid,
}
