//! How many sub-operations ended how, and what a response says of it.

use crate::dataset::Elements;
use crate::dicom::{Category, Encoding, SopInstanceUid, Status, tags};
use crate::dimse::{Command, Counters};

/// The most UIDs of a Failed SOP Instance UID List: as many as its counter can say.
const LONGEST_LIST: usize = 65_535;

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) total: usize,
    pub(super) completed: usize,
    pub(super) warning: usize,
    pub(super) failed: usize,
    failures: Vec<SopInstanceUid>,
}

impl Tally {
    pub(super) fn new(total: usize) -> Tally {
        Tally { total, ..Tally::default() }
    }

    /// So many more are to come than have been tried.
    pub(super) fn expect(&mut self, more: usize) {
        self.total = self.done().saturating_add(more);
    }

    /// Counts one that brought its object over, with a warning or without.
    pub(super) fn stored(&mut self, outcome: Category) {
        match outcome {
            Category::Warning => self.warning += 1,
            _ => self.completed += 1,
        }
    }

    /// Counts one that failed.
    pub(super) fn fail(&mut self, instance: &SopInstanceUid) {
        self.failed += 1;
        if self.failures.len() < LONGEST_LIST {
            self.failures.push(instance.clone());
        }
    }

    /// Nothing more will be tried: what was not even found counts as failed.
    pub(super) fn close(&mut self) {
        self.failed += self.total.saturating_sub(self.done());
    }

    pub(super) fn done(&self) -> usize {
        self.completed + self.warning + self.failed
    }

    /// What the sub-operations come to (PS3.4 table C.4-2).
    pub(super) fn status(&self, cancelled: bool) -> Status {
        match (cancelled, self.failed, self.completed + self.warning) {
            (true, ..) => Status::CANCEL,
            (_, 0, _) if self.warning == 0 => Status::SUCCESS,
            (_, 1.., 0) => Status::UNABLE_TO_PERFORM_SUB_OPERATIONS,
            _ => Status::SUB_OPERATIONS_WITH_FAILURES,
        }
    }

    /// A pending response.
    pub(super) fn pending(&self, to: &Command) -> Command {
        Command { counters: self.counters(true), ..Command::response(to, Status::PENDING) }
    }

    /// The last response, and its identifier with what failed.
    pub(super) fn last(
        &self,
        to: &Command,
        status: Status,
        comment: Option<&str>,
        encoding: Encoding,
    ) -> (Command, Option<Vec<u8>>) {
        let mut response = Command::response(to, status);
        response.counters = self.counters(status == Status::CANCEL);
        response.comment = comment.map(str::to_owned);
        if self.failures.is_empty() {
            return (response, None);
        }
        let list: Vec<&str> = self.failures.iter().map(|uid| uid.as_str()).collect();
        let mut identifier = Elements::new();
        identifier.put(tags::FAILED_SOP_INSTANCE_UID_LIST, &list.join("\\"));
        response.has_data_set = true;
        (response, Some(identifier.write(encoding)))
    }

    fn counters(&self, remaining: bool) -> Counters {
        // The field has 16 bits, whatever there is to count.
        let short = |n: usize| Some(u16::try_from(n).unwrap_or(u16::MAX));
        Counters {
            remaining: short(self.total.saturating_sub(self.done())).filter(|_| remaining),
            completed: short(self.completed),
            failed: short(self.failed),
            warning: short(self.warning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(outcomes: &[Category]) -> Tally {
        let mut tally = Tally::new(4);
        for (n, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Category::Failure => tally.fail(&SopInstanceUid::new(&format!("1.2.{n}"))),
                stored => tally.stored(*stored),
            }
        }
        tally
    }

    #[test]
    fn the_status_follows_from_what_became_of_the_objects() {
        use Category::{Failure, Success, Warning};
        for (outcomes, status) in [
            (&[][..], 0x0000),
            (&[Success, Success], 0x0000),
            (&[Success, Warning], 0xB000),
            (&[Success, Failure], 0xB000),
            (&[Warning, Failure], 0xB000),
            (&[Failure, Failure], 0xA702),
        ] {
            assert_eq!(tally(outcomes).status(false), Status(status), "{outcomes:?}");
            assert_eq!(tally(outcomes).status(true), Status::CANCEL);
        }
    }

    #[test]
    fn what_remains_is_told_while_it_does_and_what_failed_is_listed() {
        let tally = tally(&[Category::Success, Category::Failure, Category::Warning]);
        let request = Command::get_rq(7, "1.2");
        let pending = tally.pending(&request).counters;
        let counters = |remaining| Counters { remaining, completed: Some(1), failed: Some(1), warning: Some(1) };
        assert_eq!(pending, counters(Some(1)));
        let (last, list) = tally.last(&request, Status::SUB_OPERATIONS_WITH_FAILURES, None, Encoding::ExplicitLe);
        assert_eq!(last.counters, counters(None));
        let list = Elements::read(&list.unwrap(), Encoding::ExplicitLe).unwrap();
        assert_eq!(list.text(tags::FAILED_SOP_INSTANCE_UID_LIST).as_deref(), Some("1.2.1"));
        assert_eq!(tally.last(&request, Status::CANCEL, None, Encoding::ImplicitLe).0.counters, counters(Some(1)));
        let (last, list) = Tally::new(0).last(&request, Status::SUCCESS, None, Encoding::ImplicitLe);
        assert!(list.is_none() && !last.has_data_set);
    }

    #[test]
    fn more_than_a_counter_holds_is_the_most_that_it_does() {
        let tally = Tally { completed: 70_000, ..Tally::new(200_000) };
        let counters = tally.pending(&Command::get_rq(1, "1.2")).counters;
        assert_eq!((counters.remaining, counters.completed), (Some(65_535), Some(65_535)));
    }
}
