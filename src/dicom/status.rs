//! DIMSE status codes (PS3.7 annex C, PS3.4).

use std::fmt;

/// The Status (0000,0900) of a response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u16);

/// The five classes of status (PS3.7 annex C).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The operation was performed.
    Success,
    /// More responses follow.
    Pending,
    /// Performed, with something to say.
    Warning,
    /// Not performed.
    Failure,
    /// Ended by a cancel.
    Cancel,
}

impl Status {
    /// Success.
    pub const SUCCESS: Status = Status(0x0000);
    /// Matches or sub-operations are continuing.
    pub const PENDING: Status = Status(0xFF00);
    /// Matches are continuing, some optional keys were not supported.
    pub const PENDING_UNSUPPORTED_KEYS: Status = Status(0xFF01);
    /// Terminated by a cancel request.
    pub const CANCEL: Status = Status(0xFE00);
    /// Refused: out of resources.
    pub const OUT_OF_RESOURCES: Status = Status(0xA700);
    /// Refused: out of resources, unable to calculate the number of matches.
    pub const TOO_MANY_MATCHES: Status = Status(0xA701);
    /// Refused: out of resources, unable to perform sub-operations.
    pub const UNABLE_TO_PERFORM_SUB_OPERATIONS: Status = Status(0xA702);
    /// Refused: move destination unknown.
    pub const MOVE_DESTINATION_UNKNOWN: Status = Status(0xA801);
    /// Sub-operations complete, one or more failures.
    pub const SUB_OPERATIONS_WITH_FAILURES: Status = Status(0xB000);
    /// Coercion of data elements: stored, but another copy with other values is held.
    pub const COERCION: Status = Status(0xB000);
    /// Data set does not match SOP class (warning): stored.
    pub const MISMATCH_STORED: Status = Status(0xB007);
    /// Data set does not match SOP class (failure).
    pub const MISMATCH_REFUSED: Status = Status(0xA900);
    /// Cannot understand.
    pub const CANNOT_UNDERSTAND: Status = Status(0xC000);
    /// Unable to process.
    pub const UNABLE_TO_PROCESS: Status = Status(0xC001);
    /// Processing failure.
    pub const PROCESSING_FAILURE: Status = Status(0x0110);
    /// No such SOP instance.
    pub const NO_SUCH_INSTANCE: Status = Status(0x0112);
    /// Invalid argument value.
    pub const INVALID_ARGUMENT: Status = Status(0x0115);
    /// Class-instance conflict.
    pub const CLASS_INSTANCE_CONFLICT: Status = Status(0x0119);
    /// No such action type.
    pub const NO_SUCH_ACTION: Status = Status(0x0123);
    /// Refused: not authorized.
    pub const NOT_AUTHORIZED: Status = Status(0x0124);
    /// Resource limitation.
    pub const RESOURCE_LIMITATION: Status = Status(0x0213);
    /// SOP class not supported.
    pub const SOP_CLASS_NOT_SUPPORTED: Status = Status(0x0122);
    /// Unrecognised operation.
    pub const UNRECOGNIZED_OPERATION: Status = Status(0x0211);

    /// Which of the five classes it is in.
    pub fn category(self) -> Category {
        match self.0 {
            0x0000 => Category::Success,
            0xFF00 | 0xFF01 => Category::Pending,
            0xFE00 => Category::Cancel,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => Category::Warning,
            _ => Category::Failure,
        }
    }

    /// Whether more responses follow.
    pub fn is_pending(self) -> bool {
        self.category() == Category::Pending
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_in_the_class_that_the_standard_gives_it() {
        for (status, category) in [
            (0x0000, Category::Success),
            (0xFF00, Category::Pending),
            (0xFF01, Category::Pending),
            (0xFF02, Category::Failure),
            (0xFE00, Category::Cancel),
            (0x0001, Category::Warning),
            (0x0107, Category::Warning),
            (0x0116, Category::Warning),
            (0x0111, Category::Failure),
            (0xB000, Category::Warning),
            (0xB007, Category::Warning),
            (0xA700, Category::Failure),
            (0xA801, Category::Failure),
            (0xC001, Category::Failure),
            (0x0122, Category::Failure),
        ] {
            assert_eq!(Status(status).category(), category, "{status:04X}");
        }
    }
}
