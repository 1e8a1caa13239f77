//! What old PACS mean when they answer: pure, one name for each habit.

use super::{FindEnd, RetrieveEnd};
use crate::assoc::AssocError;
use crate::dicom::{Category, Status};

/// Whether a list is evidence of what the source holds: only a plain success ends one that is whole. A cancel that
/// we did not ask for is how some say "there is more".
pub fn list_is_whole(end: &FindEnd) -> bool {
    end.status == Status::SUCCESS && !end.cancelled
}

/// Whether a final C-FIND status says that the answer would be too large, so that a narrower question may be
/// answered: out of resources, a cancel that nobody asked for, or a warning after rows.
pub fn is_cap(end: &FindEnd) -> bool {
    let warned = end.status.category() == Category::Warning && end.rows > 0;
    !end.cancelled && (end.status == Status::OUT_OF_RESOURCES || end.status == Status::CANCEL || warned)
}

/// Whether the source says that it does not know the move destination, by status or in words.
pub fn destination_unknown(status: Status, comment: Option<&str>) -> bool {
    let in_words = || {
        let comment = comment.unwrap_or_default().to_ascii_lowercase();
        comment.contains("destination") && (comment.contains("unknown") || comment.contains("not found"))
    };
    status == Status::MOVE_DESTINATION_UNKNOWN || (status.category() == Category::Failure && in_words())
}

/// Whether a C-MOVE failed before a single sub-operation was tried. Orthanc answers so when it does not know the
/// destination (C000, every counter zero, no comment); once it may mean anything, when it repeats it means that.
pub fn failed_untried(end: &RetrieveEnd) -> bool {
    let counters = [end.counters.remaining, end.counters.completed, end.counters.failed, end.counters.warning];
    let untried = counters.iter().all(|count| count.is_none_or(|n| n == 0)) && end.failed.is_empty();
    end.status.category() == Category::Failure && !end.cancelled && untried
}

/// Whether a final status follows from a cancel: many answer it with the warning of a partial success.
pub fn is_answer_to_cancel(status: Status) -> bool {
    matches!(status.category(), Category::Cancel | Category::Warning)
}

/// A permanent rejection without a reason: overloaded sources send it too, so that it is tried again.
pub fn is_vague_rejection(error: &AssocError) -> bool {
    matches!(error, AssocError::Rejected { permanent: true, source_code: 1, reason, .. } if !matches!(reason, 2 | 3 | 7))
}

/// The value of a key that matches everything is empty: `*` breaks some sources (dates, sequences, UIDs).
pub fn is_universal(value: &[u8]) -> bool {
    let mut rest = value.iter().filter(|&&b| b != b' ' && b != 0).peekable();
    rest.peek().is_some() && rest.all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dimse::Counters;

    fn end(status: u16, rows: usize, cancelled: bool) -> FindEnd {
        FindEnd { status: Status(status), rows, comment: None, cancelled }
    }

    #[test]
    fn only_a_plain_success_is_evidence() {
        assert!(list_is_whole(&end(0, 5, false)));
        for (status, cancelled) in
            [(0, true), (0xFE00, false), (0xFE00, true), (0xA700, false), (0xB000, false), (0x0001, false)]
        {
            assert!(!list_is_whole(&end(status, 5, cancelled)), "{status:04X}");
        }
    }

    #[test]
    fn caps_are_told_from_successes_failures_and_our_own_cancel() {
        for (status, rows) in [(0xA700, 0), (0xA700, 500), (0xFE00, 500), (0xB000, 500)] {
            assert!(is_cap(&end(status, rows, false)), "{status:04X}");
        }
        for (status, rows) in [(0, 500), (0xA900, 0), (0xC001, 0), (0xB000, 0)] {
            assert!(!is_cap(&end(status, rows, false)), "{status:04X}");
        }
        assert!(!is_cap(&end(0xFE00, 500, true)));
    }

    #[test]
    fn an_unknown_destination_is_known_by_status_or_words() {
        assert!(destination_unknown(Status(0xA801), None));
        assert!(destination_unknown(Status(0xC000), Some("Unknown Move Destination: FERRY_RX")));
        assert!(!destination_unknown(Status(0xC000), Some("disk full")));
        assert!(!destination_unknown(Status(0x0000), Some("destination unknown")));
    }

    #[test]
    fn a_move_that_tried_nothing_is_told_from_one_that_failed() {
        let end = |status, failed| RetrieveEnd {
            status: Status(status),
            counters: Counters { remaining: None, completed: Some(0), failed: Some(failed), warning: Some(0) },
            failed: Vec::new(),
            comment: None,
            cancelled: false,
            received: 0,
        };
        assert!(failed_untried(&end(0xC000, 0)));
        for (status, failed) in [(0xC000, 1), (0x0000, 0), (0xB000, 0), (0xFE00, 0)] {
            assert!(!failed_untried(&end(status, failed)), "{status:04X} {failed}");
        }
        assert!(!failed_untried(&RetrieveEnd { cancelled: true, ..end(0xC000, 0) }));
    }

    #[test]
    fn only_stars_are_universal() {
        for value in [b"*".as_slice(), b"* ", b"**"] {
            assert!(is_universal(value));
        }
        for value in [b"".as_slice(), b"  ", b"A*", b"*A"] {
            assert!(!is_universal(value));
        }
    }
}
