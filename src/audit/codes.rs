//! The codes that messages are made of (PS3.16, CID 400 to 405).

use super::event::{Alert, Phase};

/// A coded concept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) value: &'static str,
    pub(super) system: &'static str,
    pub(super) meaning: &'static str,
}

const fn dcm(value: &'static str, meaning: &'static str) -> Code {
    Code { value, system: "DCM", meaning }
}

pub(super) const fn ours(value: &'static str, meaning: &'static str) -> Code {
    Code { value, system: "99PACSFERRY", meaning }
}

pub(super) const APPLICATION_ACTIVITY: Code = dcm("110100", "Application Activity");
pub(super) const AUDIT_LOG_USED: Code = dcm("110101", "Audit Log Used");
pub(super) const BEGIN_TRANSFERRING: Code = dcm("110102", "Begin Transferring DICOM Instances");
pub(super) const INSTANCES_ACCESSED: Code = dcm("110103", "DICOM Instances Accessed");
pub(super) const INSTANCES_TRANSFERRED: Code = dcm("110104", "DICOM Instances Transferred");
pub(super) const IMPORT: Code = dcm("110107", "Import");
pub(super) const QUERY: Code = dcm("110112", "Query");
pub(super) const SECURITY_ALERT: Code = dcm("110113", "Security Alert");
pub(super) const USER_AUTHENTICATION: Code = dcm("110114", "User Authentication");

pub(super) const APPLICATION_START: Code = dcm("110120", "Application Start");
pub(super) const APPLICATION_STOP: Code = dcm("110121", "Application Stop");
pub(super) const LOGIN: Code = dcm("110122", "Login");
pub(super) const LOGOUT: Code = dcm("110123", "Logout");
pub(super) const COMMITMENT: Code = ours("commitment", "Storage Commitment");

pub(super) const APPLICATION: Code = dcm("110150", "Application");
pub(super) const LAUNCHER: Code = dcm("110151", "Application Launcher");
pub(super) const DESTINATION: Code = dcm("110152", "Destination Role ID");
pub(super) const SOURCE: Code = dcm("110153", "Source Role ID");

pub(super) const STUDY_UID: Code = dcm("110180", "Study Instance UID");
pub(super) const CLASS_UID: Code = dcm("110181", "SOP Class UID");
pub(super) const NODE_ID: Code = dcm("110182", "Node ID");
pub(super) const PATIENT_NUMBER: Code = Code { value: "2", system: "RFC-3881", meaning: "Patient Number" };
pub(super) const URI: Code = Code { value: "12", system: "RFC-3881", meaning: "URI" };
pub(super) const JOB: Code = ours("job", "Job");
pub(super) const OPERATED: Code = ours("job-operated", "Job operated");
pub(super) const CORRECTION: Code = ours("correction", "Correction");

impl Alert {
    pub(super) fn code(self) -> Code {
        match self {
            Alert::NodeAuthentication => dcm("110126", "Node Authentication"),
            Alert::RestrictedFunction => dcm("110132", "Use of Restricted Function"),
            Alert::AuditRecordingStopped => dcm("110133", "Audit Recording Stopped"),
            Alert::RolesChanged => dcm("110136", "Security Roles Changed"),
            Alert::UserAttributesChanged => dcm("110137", "User Security Attributes Changed"),
        }
    }
}

impl Phase {
    pub(super) fn of_job(self) -> Code {
        match self {
            Phase::Begun => ours("job-begun", "Job begun"),
            Phase::Ended => ours("job-ended", "Job ended"),
        }
    }
}
