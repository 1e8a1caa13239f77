//! Command sets (PS3.7 §9, §10 and annex E): Implicit VR Little Endian, group 0000.

use crate::dicom::{SopClassUid, SopInstanceUid, Status, Tag};

use super::DimseError;

/// Command Field (0000,0100).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CommandField {
    /// C-STORE-RQ.
    CStoreRq,
    /// C-STORE-RSP.
    CStoreRsp,
    /// C-GET-RQ.
    CGetRq,
    /// C-GET-RSP.
    CGetRsp,
    /// C-FIND-RQ.
    CFindRq,
    /// C-FIND-RSP.
    CFindRsp,
    /// C-MOVE-RQ.
    CMoveRq,
    /// C-MOVE-RSP.
    CMoveRsp,
    /// C-ECHO-RQ.
    #[default]
    CEchoRq,
    /// C-ECHO-RSP.
    CEchoRsp,
    /// C-CANCEL-RQ.
    CCancelRq,
    /// The N services and everything else.
    Other(u16),
}

/// The sub-operation counters of a C-MOVE or C-GET response; each is optional, and often absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Number of Remaining Sub-operations.
    pub remaining: Option<u16>,
    /// Number of Completed Sub-operations.
    pub completed: Option<u16>,
    /// Number of Failed Sub-operations.
    pub failed: Option<u16>,
    /// Number of Warning Sub-operations.
    pub warning: Option<u16>,
}

/// A command set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// What it is.
    pub field: CommandField,
    /// Message ID of a request; Message ID Being Responded To of a response or a cancel.
    pub message_id: u16,
    /// Affected (or Requested) SOP Class UID.
    pub class: Option<SopClassUid>,
    /// Affected (or Requested) SOP Instance UID.
    pub instance: Option<SopInstanceUid>,
    /// Priority of a request: 0 medium, 1 high, 2 low.
    pub priority: u16,
    /// Move Destination, free of control characters.
    pub destination: Option<String>,
    /// A data set follows.
    pub has_data_set: bool,
    /// Status of a response.
    pub status: Option<Status>,
    /// Sub-operation counters.
    pub counters: Counters,
    /// Move Originator AE title (free of control characters) and Message ID.
    pub originator: Option<(String, u16)>,
    /// Error Comment, free of control characters.
    pub comment: Option<String>,
    /// Offending Elements.
    pub offending: Vec<Tag>,
}

impl Command {
    /// A C-ECHO-RQ.
    pub fn echo_rq(message_id: u16) -> Self {
        let _ = message_id;
        todo!()
    }

    /// A C-FIND-RQ; its identifier follows.
    pub fn find_rq(message_id: u16, class: &str) -> Self {
        let _ = (message_id, class);
        todo!()
    }

    /// A C-MOVE-RQ; its identifier follows.
    pub fn move_rq(message_id: u16, class: &str, destination: &str) -> Self {
        let _ = (message_id, class, destination);
        todo!()
    }

    /// A C-GET-RQ; its identifier follows.
    pub fn get_rq(message_id: u16, class: &str) -> Self {
        let _ = (message_id, class);
        todo!()
    }

    /// A C-STORE-RQ; its data set follows. `originator` is the AE title and the Message ID of the C-MOVE-RQ that it serves.
    pub fn store_rq(message_id: u16, class: &SopClassUid, instance: &SopInstanceUid, originator: Option<(&str, u16)>) -> Self {
        let _ = (message_id, class, instance, originator);
        todo!()
    }

    /// A C-CANCEL-RQ for the request with this Message ID.
    pub fn cancel_rq(message_id: u16) -> Self {
        let _ = message_id;
        todo!()
    }

    /// The response to a request, without a data set; set `has_data_set` and the counters where it has them.
    pub fn response(to: &Command, status: Status) -> Self {
        let _ = (to, status);
        todo!()
    }

    /// The bytes, group length first.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }

    /// Reads a command set, [`super::LONGEST_COMMAND`] at most. Unknown elements are skipped, odd lengths and any order are taken, and whatever is
    /// not needed may be missing.
    pub fn decode(bytes: &[u8]) -> Result<Self, DimseError> {
        let _ = bytes;
        todo!()
    }
}
