//! The Command Field: which message it is.

use super::element;

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
    /// N-EVENT-REPORT-RQ.
    NEventReportRq,
    /// N-EVENT-REPORT-RSP.
    NEventReportRsp,
    /// N-ACTION-RQ.
    NActionRq,
    /// N-ACTION-RSP.
    NActionRsp,
    /// The other N services and everything else.
    Other(u16),
}

impl CommandField {
    const NAMED: [(CommandField, u16); 15] = [
        (CommandField::CStoreRq, 0x0001),
        (CommandField::CStoreRsp, 0x8001),
        (CommandField::CGetRq, 0x0010),
        (CommandField::CGetRsp, 0x8010),
        (CommandField::CFindRq, 0x0020),
        (CommandField::CFindRsp, 0x8020),
        (CommandField::CMoveRq, 0x0021),
        (CommandField::CMoveRsp, 0x8021),
        (CommandField::CEchoRq, 0x0030),
        (CommandField::CEchoRsp, 0x8030),
        (CommandField::CCancelRq, 0x0FFF),
        (CommandField::NEventReportRq, 0x0100),
        (CommandField::NEventReportRsp, 0x8100),
        (CommandField::NActionRq, 0x0130),
        (CommandField::NActionRsp, 0x8130),
    ];

    /// The command with this code.
    pub fn from_code(code: u16) -> Self {
        Self::NAMED.iter().find(|(_, c)| *c == code).map_or(CommandField::Other(code), |(field, _)| *field)
    }

    /// Its code.
    pub fn code(self) -> u16 {
        match self {
            CommandField::Other(code) => code,
            named => Self::NAMED.iter().find(|(field, _)| *field == named).map_or(0, |(_, code)| *code),
        }
    }

    /// Whether it answers a request.
    pub fn is_response(self) -> bool {
        self.code() & 0x8000 != 0
    }

    /// The response to it.
    pub fn response(self) -> Self {
        CommandField::from_code(self.code() | 0x8000)
    }

    /// Whether its SOP Class and Instance are the Requested ones: N-GET, N-SET, N-ACTION and N-DELETE requests.
    pub(super) fn names_requested(self) -> bool {
        matches!(self, CommandField::NActionRq | CommandField::Other(0x0110 | 0x0120 | 0x0150))
    }

    /// The element that says which event or action it is about.
    pub(super) fn kind_element(self) -> u16 {
        match self {
            CommandField::NEventReportRq | CommandField::NEventReportRsp => element::EVENT_TYPE,
            _ => element::ACTION_TYPE,
        }
    }

    /// Whether it has a priority, and its data set is what it is about.
    pub(super) fn is_composite_request(self) -> bool {
        matches!(self, CommandField::CStoreRq | CommandField::CFindRq | CommandField::CGetRq | CommandField::CMoveRq)
    }
}
