//! The vocabulary: DICOM's own words as types, pure, each spelled once.

mod ae_title;
mod class;
mod date;
mod identity;
mod level;
mod status;
mod syntax;
mod uid;

pub use ae_title::{AeTitle, InvalidAeTitle};
pub use class::is_image_class;
pub use date::{Date, DateRange, InvalidDate};
pub use dicom_core::Tag;
pub use dicom_dictionary_std::tags;
pub use identity::Identity;
pub use level::QueryLevel;
pub use status::{Category, Status};
pub use syntax::{Encoding, encoding_of, is_by_reference, is_lossy, is_retired_big_endian};
pub use uid::{SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, Uid};

/// UIDs that the program itself speaks of (PS3.6 annex A).
pub mod uids {
    /// Verification SOP Class.
    pub const VERIFICATION: &str = "1.2.840.10008.1.1";
    /// Study Root Query/Retrieve Information Model – FIND.
    pub const STUDY_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
    /// Study Root Query/Retrieve Information Model – MOVE.
    pub const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
    /// Study Root Query/Retrieve Information Model – GET.
    pub const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";
    /// Modality Worklist Information Model – FIND.
    pub const MODALITY_WORKLIST_FIND: &str = "1.2.840.10008.5.1.4.31";
    /// Patient Root Query/Retrieve Information Model – FIND.
    pub const PATIENT_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.1.1";
    /// Patient Root Query/Retrieve Information Model – MOVE.
    pub const PATIENT_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.1.2";
    /// Patient Root Query/Retrieve Information Model – GET.
    pub const PATIENT_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.1.3";
    /// Storage Commitment Push Model SOP Class.
    pub const STORAGE_COMMITMENT: &str = "1.2.840.10008.1.20.1";
    /// Its well-known SOP Instance.
    pub const STORAGE_COMMITMENT_INSTANCE: &str = "1.2.840.10008.1.20.1.1";
    /// Implicit VR Little Endian.
    pub const IMPLICIT_LE: &str = "1.2.840.10008.1.2";
    /// Explicit VR Little Endian.
    pub const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";
    /// Deflated Explicit VR Little Endian.
    pub const DEFLATED_LE: &str = "1.2.840.10008.1.2.1.99";
    /// Explicit VR Big Endian (retired).
    pub const EXPLICIT_BE: &str = "1.2.840.10008.1.2.2";
    /// The DICOM application context (PS3.7 annex A.2.1).
    pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
    /// What this implementation calls itself in associations and file meta groups (a 2.25 UID, drawn once).
    pub const IMPLEMENTATION_CLASS: &str = "2.25.214107583926034518367924106839257140386";
    /// The version name beside it, 16 characters at most.
    pub const IMPLEMENTATION_VERSION: &str = "PACSFERRY_0_1";
}
