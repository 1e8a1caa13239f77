//! Command sets (PS3.7 §9, §10 and annex E): Implicit VR Little Endian, group 0000.

mod field;

use super::{DimseError, LONGEST_COMMAND};
use crate::assoc::ae_title;
use crate::dicom::{SopClassUid, SopInstanceUid, Status, Tag};

pub use field::CommandField;

/// The value of (0000,0800) when no data set follows; every other means that one does.
const NO_DATA_SET: u16 = 0x0101;

/// The most characters of an Error Comment that are kept; the standard allows 64.
const LONGEST_COMMENT: usize = 256;
/// The most characters of an LO.
const LONGEST_LO: usize = 64;

/// The most Offending Elements that are kept.
const MOST_OFFENDING: usize = 64;

/// The elements of group 0000 that we know, by their element number.
mod element {
    pub(super) const GROUP_LENGTH: u16 = 0x0000;
    pub(super) const AFFECTED_CLASS: u16 = 0x0002;
    pub(super) const REQUESTED_CLASS: u16 = 0x0003;
    pub(super) const FIELD: u16 = 0x0100;
    pub(super) const MESSAGE_ID: u16 = 0x0110;
    pub(super) const RESPONDED_TO: u16 = 0x0120;
    pub(super) const DESTINATION: u16 = 0x0600;
    pub(super) const PRIORITY: u16 = 0x0700;
    pub(super) const DATA_SET_TYPE: u16 = 0x0800;
    pub(super) const STATUS: u16 = 0x0900;
    pub(super) const OFFENDING: u16 = 0x0901;
    pub(super) const COMMENT: u16 = 0x0902;
    pub(super) const AFFECTED_INSTANCE: u16 = 0x1000;
    pub(super) const REQUESTED_INSTANCE: u16 = 0x1001;
    pub(super) const EVENT_TYPE: u16 = 0x1002;
    pub(super) const ACTION_TYPE: u16 = 0x1008;
    pub(super) const REMAINING: u16 = 0x1020;
    pub(super) const COMPLETED: u16 = 0x1021;
    pub(super) const FAILED: u16 = 0x1022;
    pub(super) const WARNING: u16 = 0x1023;
    pub(super) const ORIGINATOR: u16 = 0x1030;
    pub(super) const ORIGINATOR_ID: u16 = 0x1031;
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
    /// Event Type ID of an N-EVENT-REPORT, Action Type ID of an N-ACTION.
    pub kind: Option<u16>,
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
    fn request(field: CommandField, message_id: u16, class: &str, has_data_set: bool) -> Self {
        Command { field, message_id, class: Some(SopClassUid::new(class)), has_data_set, ..Command::default() }
    }

    /// A C-ECHO-RQ.
    pub fn echo_rq(message_id: u16) -> Self {
        Command::request(CommandField::CEchoRq, message_id, crate::dicom::uids::VERIFICATION, false)
    }

    /// A C-FIND-RQ; its identifier follows.
    pub fn find_rq(message_id: u16, class: &str) -> Self {
        Command::request(CommandField::CFindRq, message_id, class, true)
    }

    /// A C-MOVE-RQ; its identifier follows.
    pub fn move_rq(message_id: u16, class: &str, destination: &str) -> Self {
        let destination = Some(destination.to_string());
        Command { destination, ..Command::request(CommandField::CMoveRq, message_id, class, true) }
    }

    /// A C-GET-RQ; its identifier follows.
    pub fn get_rq(message_id: u16, class: &str) -> Self {
        Command::request(CommandField::CGetRq, message_id, class, true)
    }

    /// A C-STORE-RQ; its data set follows. `originator` is the AE title and the Message ID of the C-MOVE-RQ that it
    /// serves.
    pub fn store_rq(
        message_id: u16,
        class: &SopClassUid,
        instance: &SopInstanceUid,
        originator: Option<(&str, u16)>,
    ) -> Self {
        Command {
            instance: Some(instance.clone()),
            originator: originator.map(|(title, id)| (title.to_string(), id)),
            ..Command::request(CommandField::CStoreRq, message_id, class.as_str(), true)
        }
    }

    /// An N-EVENT-REPORT-RQ; its data set follows.
    pub fn event_report_rq(message_id: u16, class: &str, instance: &str, event_type: u16) -> Self {
        Command {
            instance: Some(SopInstanceUid::new(instance)),
            kind: Some(event_type),
            ..Command::request(CommandField::NEventReportRq, message_id, class, true)
        }
    }

    /// A C-CANCEL-RQ for the request with this Message ID.
    pub fn cancel_rq(message_id: u16) -> Self {
        Command { field: CommandField::CCancelRq, message_id, ..Command::default() }
    }

    /// The response to a request, without a data set; set `has_data_set` and the counters where it has them.
    pub fn response(to: &Command, status: Status) -> Self {
        Command {
            field: to.field.response(),
            message_id: to.message_id,
            class: to.class.clone(),
            instance: to.instance.clone(),
            kind: to.kind,
            status: Some(status),
            ..Command::default()
        }
    }

    /// The bytes, group length first.
    pub fn encode(&self) -> Vec<u8> {
        let requested = self.field.names_requested();
        let answers = self.field.is_response() || self.field == CommandField::CCancelRq;
        let mut out = Writer(Vec::with_capacity(256));
        let class = if requested { element::REQUESTED_CLASS } else { element::AFFECTED_CLASS };
        out.text(class, self.class.as_ref().map(|uid| uid.as_str()), 0);
        out.number(element::FIELD, Some(self.field.code()));
        out.number(if answers { element::RESPONDED_TO } else { element::MESSAGE_ID }, Some(self.message_id));
        out.text(element::DESTINATION, self.destination.as_deref(), b' ');
        out.number(element::PRIORITY, self.field.is_composite_request().then_some(self.priority));
        out.number(element::DATA_SET_TYPE, Some(if self.has_data_set { 1 } else { NO_DATA_SET }));
        out.number(element::STATUS, self.status.map(|s| s.0));
        let offending: Vec<u8> =
            self.offending.iter().flat_map(|tag| [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat()).collect();
        if !offending.is_empty() {
            out.element(element::OFFENDING, &offending);
        }
        // As UTF-8, since Latin-1 could be taken for it; an LO has so many characters and no more (PS3.5 §6.2).
        let comment = self.comment.as_deref().map(|comment| comment.chars().take(LONGEST_LO).collect::<String>());
        out.bytes(element::COMMENT, comment.map(|comment| comment.trim_end().as_bytes().to_vec()), b' ');
        let instance = if requested { element::REQUESTED_INSTANCE } else { element::AFFECTED_INSTANCE };
        out.text(instance, self.instance.as_ref().map(|uid| uid.as_str()), 0);
        out.number(self.field.kind_element(), self.kind);
        out.number(element::REMAINING, self.counters.remaining);
        out.number(element::COMPLETED, self.counters.completed);
        out.number(element::FAILED, self.counters.failed);
        out.number(element::WARNING, self.counters.warning);
        out.text(element::ORIGINATOR, self.originator.as_ref().map(|(title, _)| title.as_str()), b' ');
        out.number(element::ORIGINATOR_ID, self.originator.as_ref().map(|(_, id)| *id));
        let length = u32::try_from(out.0.len()).unwrap_or(u32::MAX);
        let mut whole = Writer(Vec::with_capacity(out.0.len() + 12));
        whole.element(element::GROUP_LENGTH, &length.to_le_bytes());
        whole.0.extend_from_slice(&out.0);
        whole.0
    }

    /// Reads a command set, [`LONGEST_COMMAND`] at most. Unknown elements are skipped, odd lengths and any order are
    /// taken, and whatever is not needed may be missing.
    pub fn decode(bytes: &[u8]) -> Result<Self, DimseError> {
        if bytes.len() > LONGEST_COMMAND {
            return Err(DimseError::TooLong { what: "a command set", limit: LONGEST_COMMAND });
        }
        let malformed = |what: String| DimseError::Malformed { what };
        let mut command = Command::default();
        let (mut field, mut message_id, mut responded_to, mut data_set_type) = (None, None, None, None);
        let (mut originator, mut originator_id) = (None, None);
        let mut rest = bytes;
        while let Some((&[a, b, c, d, e, f, g, h], after)) = rest.split_first_chunk() {
            let (group, element) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            let length = u32::from_le_bytes([e, f, g, h]);
            let split = usize::try_from(length).ok().and_then(|length| after.split_at_checked(length));
            let Some((value, after)) = split else {
                let what = format!(
                    "element ({group:04X},{element:04X}) says it has {length} bytes where {} are left",
                    after.len()
                );
                return Err(malformed(what));
            };
            rest = after;
            if group != 0 {
                continue;
            }
            match element {
                element::AFFECTED_CLASS | element::REQUESTED_CLASS => {
                    command.class = Some(SopClassUid::from_bytes(value)).filter(|c| !c.is_empty())
                }
                element::AFFECTED_INSTANCE | element::REQUESTED_INSTANCE => {
                    command.instance = Some(SopInstanceUid::from_bytes(value)).filter(|i| !i.is_empty());
                }
                element::FIELD => field = number(value),
                element::MESSAGE_ID => message_id = number(value),
                element::RESPONDED_TO => responded_to = number(value),
                element::DESTINATION => command.destination = Some(ae_title(value)),
                element::PRIORITY => command.priority = number(value).unwrap_or(0),
                element::DATA_SET_TYPE => data_set_type = number(value),
                element::STATUS => command.status = number(value).map(Status),
                element::OFFENDING => command.offending = tags(value),
                element::COMMENT => command.comment = Some(comment(value)).filter(|c| !c.is_empty()),
                element::EVENT_TYPE | element::ACTION_TYPE => command.kind = number(value),
                element::REMAINING => command.counters.remaining = number(value),
                element::COMPLETED => command.counters.completed = number(value),
                element::FAILED => command.counters.failed = number(value),
                element::WARNING => command.counters.warning = number(value),
                element::ORIGINATOR => originator = Some(ae_title(value)).filter(|o| !o.is_empty()),
                element::ORIGINATOR_ID => originator_id = number(value),
                _ => {}
            }
        }
        let Some(field) = field else {
            return Err(malformed(format!("{} bytes without a Command Field (0000,0100)", bytes.len())));
        };
        command.field = CommandField::from_code(field);
        let answers = command.field.is_response() || command.field == CommandField::CCancelRq;
        let id = if answers { responded_to.or(message_id) } else { message_id.or(responded_to) };
        command.message_id = id.unwrap_or(0);
        command.originator = originator.map(|title| (title, originator_id.unwrap_or(0)));
        command.has_data_set = match data_set_type {
            Some(kind) => kind != NO_DATA_SET,
            None => {
                command.field.is_composite_request()
                    || (command.field == CommandField::CFindRsp && command.status.is_some_and(Status::is_pending))
            }
        };
        Ok(command)
    }
}

/// A number of two bytes; one of four, as some write it, is cut at the largest of two.
fn number(value: &[u8]) -> Option<u16> {
    match *value {
        [a, b] => Some(u16::from_le_bytes([a, b])),
        [a, b, c, d] => Some(u16::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(u16::MAX)),
        _ => None,
    }
}

fn tags(value: &[u8]) -> Vec<Tag> {
    let (tags, _) = value.as_chunks::<4>();
    tags.iter()
        .take(MOST_OFFENDING)
        .map(|[a, b, c, d]| Tag(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d])))
        .collect()
}

/// The peer's own words, in the character set that it did not name: as UTF-8 where they are that, else as Latin-1.
fn comment(value: &[u8]) -> String {
    let text = match std::str::from_utf8(value) {
        Ok(text) => text.to_string(),
        Err(_) => value.iter().map(|b| *b as char).collect(),
    };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_COMMENT).collect();
    text.trim().to_string()
}

/// Writes elements in Implicit VR Little Endian.
struct Writer(Vec<u8>);

impl Writer {
    fn element(&mut self, element: u16, value: &[u8]) {
        // Values are short: what could be long was cut when it was read.
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&element.to_le_bytes());
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(value);
    }

    fn number(&mut self, element: u16, value: Option<u16>) {
        if let Some(value) = value {
            self.element(element, &value.to_le_bytes());
        }
    }

    /// Latin-1, as UIDs and AE titles were read; other characters have no place in a command set.
    fn text(&mut self, element: u16, value: Option<&str>, padding: u8) {
        let latin = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        self.bytes(element, value.map(latin), padding);
    }

    fn bytes(&mut self, element: u16, value: Option<Vec<u8>>, padding: u8) {
        let Some(mut bytes) = value else { return };
        if bytes.len() % 2 == 1 {
            bytes.push(padding);
        }
        self.element(element, &bytes);
    }
}

#[cfg(test)]
mod tests;
