//! Why a query or a retrieve is not performed, as the peer is told.

use crate::dataset::IdentifierError;
use crate::dicom::{Status, Tag};
use crate::dimse::Command;

/// The most characters of an Error Comment (0000,0902).
const LONGEST_COMMENT: usize = 64;

/// Why a request is not performed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    /// For Error Comment (0000,0902), without patient data: it is logged as well.
    pub(super) comment: String,
    pub(super) offending: Vec<Tag>,
}

impl Refusal {
    pub(super) fn new(status: Status, comment: &str) -> Refusal {
        Refusal { status, comment: comment.chars().take(LONGEST_COMMENT).collect(), offending: Vec::new() }
    }

    /// The identifier does not match the SOP class: this element of it.
    pub(super) fn of(tag: Tag, comment: &str) -> Refusal {
        Refusal { offending: vec![tag], ..Refusal::new(Status::MISMATCH_REFUSED, comment) }
    }

    /// The answer to the request.
    pub(super) fn response(&self, to: &Command) -> Command {
        let mut response = Command::response(to, self.status);
        response.comment = Some(self.comment.clone());
        response.offending.clone_from(&self.offending);
        response
    }
}

impl From<IdentifierError> for Refusal {
    fn from(error: IdentifierError) -> Self {
        match error {
            IdentifierError::Read(_) => Refusal::new(Status::CANNOT_UNDERSTAND, "the identifier cannot be read"),
            IdentifierError::LongValue { tag, limit } => {
                Refusal::of(tag, &format!("a value longer than {limit} bytes (`value` in [node.limits])"))
            }
            IdentifierError::Nesting { tag, limit } => {
                Refusal::of(tag, &format!("nested deeper than {limit} levels (`nesting` in [node.limits])"))
            }
        }
    }
}
