//! The services of the hospital's node: by which SOP classes and commands they are asked for, and the right to each.

use crate::assoc::negotiate::is_storage;
use crate::config::Right;
use crate::dicom::uids;
use crate::dimse::CommandField;

/// What the node can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// C-ECHO.
    Verification,
    /// C-STORE.
    Storage,
    /// C-FIND.
    Query,
    /// C-MOVE and C-GET.
    Retrieve,
    /// Storage commitment, the push model.
    Commitment,
}

impl Service {
    /// The service that an abstract syntax is for.
    pub(super) fn of_class(class: &str) -> Option<Self> {
        Some(match class {
            uids::VERIFICATION => Service::Verification,
            uids::STUDY_ROOT_FIND | uids::PATIENT_ROOT_FIND => Service::Query,
            uids::STUDY_ROOT_MOVE | uids::PATIENT_ROOT_MOVE | uids::STUDY_ROOT_GET | uids::PATIENT_ROOT_GET => {
                Service::Retrieve
            }
            uids::STORAGE_COMMITMENT => Service::Commitment,
            class if is_storage(class) => Service::Storage,
            _ => return None,
        })
    }

    /// The service that a request asks for.
    pub(super) fn of_command(field: CommandField) -> Option<Self> {
        Some(match field {
            CommandField::CEchoRq => Service::Verification,
            CommandField::CStoreRq => Service::Storage,
            CommandField::CFindRq => Service::Query,
            CommandField::CMoveRq | CommandField::CGetRq => Service::Retrieve,
            CommandField::NActionRq => Service::Commitment,
            _ => return None,
        })
    }

    /// What it is called in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Service::Verification => "echo",
            Service::Storage => "store",
            Service::Query => "find",
            Service::Retrieve => "retrieve",
            Service::Commitment => "commit",
        }
    }

    /// The right to it; everybody who is let in may ask whether we are here.
    pub(super) fn right(self) -> Option<Right> {
        match self {
            Service::Verification => None,
            Service::Storage => Some(Right::Store),
            Service::Query => Some(Right::Query),
            Service::Retrieve => Some(Right::Retrieve),
            Service::Commitment => Some(Right::Commit),
        }
    }
}
