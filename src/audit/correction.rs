//! What the audit trail says of corrections: who moved what from whom to whom, and who was not let.

use super::codes::{self, Code};
use super::event::{AuditOutcome, StudyObjects};
use super::message::{Message, Object, Ourselves, studies};
use crate::catalog::AuditSubject;

/// The most pairs of UIDs that a message names: collectors take messages of 32 KiB at least (PS3.15 A.6). The catalog has
/// them all.
const MOST_UIDS: usize = 64;

/// What somebody did, or wanted to do, with what is filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CorrectionAction {
    /// Series or objects go to another study.
    Reallocate,
    /// All series of a study go to another one.
    Merge,
    /// Series of a study become a study of their own.
    Split,
    /// A correction is taken back.
    Undo,
    /// A study is locked.
    Lock,
    /// A lock is taken away.
    Unlock,
    /// Something in quarantine is filed.
    File,
    /// Something in quarantine is discarded.
    Discard,
}

/// A correction, or the attempt at one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionEvent {
    /// Who.
    pub operator: String,
    /// What.
    pub action: CorrectionAction,
    /// Its number in the catalog, where it has one.
    pub number: Option<i64>,
    /// Why, as the operator gave it: code and text.
    pub reason: String,
    /// The studies that it touches, with the objects that it moves: where they were, then where they are now.
    pub studies: Vec<StudyObjects>,
    /// Old and new UIDs, series before objects; see [`CorrectionEvent::uids`].
    uids: Vec<(String, String)>,
    /// How many UIDs there were.
    all_uids: usize,
    /// How it ended; a refusal says why.
    pub outcome: AuditOutcome,
}

impl CorrectionAction {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            CorrectionAction::Reallocate => "reallocate",
            CorrectionAction::Merge => "merge",
            CorrectionAction::Split => "split",
            CorrectionAction::Undo => "undo",
            CorrectionAction::Lock => "lock",
            CorrectionAction::Unlock => "unlock",
            CorrectionAction::File => "file",
            CorrectionAction::Discard => "discard",
        }
    }

    fn code(self) -> Code {
        codes::ours(
            self.word(),
            match self {
                CorrectionAction::Reallocate => "Series reallocated",
                CorrectionAction::Merge => "Studies merged",
                CorrectionAction::Split => "Study split",
                CorrectionAction::Undo => "Correction undone",
                CorrectionAction::Lock => "Study locked",
                CorrectionAction::Unlock => "Study unlocked",
                CorrectionAction::File => "Filed from quarantine",
                CorrectionAction::Discard => "Discarded from quarantine",
            },
        )
    }

    /// Event Action Code: update or delete.
    fn action(self) -> &'static str {
        match self {
            CorrectionAction::Discard => "D",
            CorrectionAction::File => "C",
            _ => "U",
        }
    }
}

impl CorrectionEvent {
    /// Somebody did something.
    pub fn new(operator: &str, action: CorrectionAction, outcome: AuditOutcome) -> Self {
        CorrectionEvent {
            operator: operator.to_owned(),
            action,
            number: None,
            reason: String::new(),
            studies: Vec::new(),
            uids: Vec::new(),
            all_uids: 0,
            outcome,
        }
    }

    /// With the UIDs that it moves, old and new; so many of them are named as a message has room for.
    pub fn uids(mut self, uids: impl IntoIterator<Item = (String, String)>) -> Self {
        for pair in uids {
            self.all_uids += 1;
            if self.uids.len() < MOST_UIDS {
                self.uids.push(pair);
            }
        }
        self
    }

    pub(super) fn studies(&self) -> Vec<String> {
        self.studies.iter().map(|objects| objects.study.clone()).collect()
    }

    /// DICOM Instances Accessed (PS3.15 A.5.3.6), with the correction as an object of its own.
    pub(super) fn message(&self, we: &Ourselves, subjects: &[AuditSubject]) -> Message {
        let id = self.number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        let given = |kind, value: &str| (!value.is_empty()).then(|| (kind, value.to_owned()));
        let mut details: Vec<_> = given("Reason", &self.reason).into_iter().collect();
        let roles = ["Source Study", "Destination Study"];
        details.extend(roles.into_iter().zip(&self.studies).filter_map(|(role, objects)| given(role, &objects.study)));
        details.extend(self.uids.iter().map(|(old, new)| match old == new {
            true => ("UID", old.clone()),
            false => ("Old and New UID", format!("{old} {new}")),
        }));
        let unnamed = self.all_uids - self.uids.len();
        details.extend((unnamed > 0).then(|| ("UIDs Not Named Here", unnamed.to_string())));
        let correction = Object { details, ..Object::system(&id, "20", codes::CORRECTION, self.action.word()) };
        let mut objects = studies(&self.studies, subjects);
        objects.push(correction);
        Message {
            action: self.action.action(),
            event: codes::INSTANCES_ACCESSED,
            kind: Some(self.action.code()),
            outcome: self.outcome.clone(),
            participants: vec![we.user(&self.operator), we.participant(false, None)],
            objects,
        }
    }

    pub(super) fn what(&self) -> String {
        let number = self.number.map(|number| format!(" {number}")).unwrap_or_default();
        let mut said = match self.studies.as_slice() {
            [] => format!("{}{number}", self.action.word()),
            [one] => format!("{}{number} of study {}", self.action.word(), one.study),
            [from, to, ..] => {
                format!("{}{number} from study {} to {}", self.action.word(), from.study, to.study)
            }
        };
        if let Some(moved) = self.studies.iter().map(StudyObjects::instances).max().filter(|moved| *moved > 0) {
            said.push_str(&format!(", {moved} instances"));
        }
        if !self.reason.is_empty() {
            said.push_str(&format!(" ({})", self.reason));
        }
        if let Some(why) = self.outcome.reason() {
            said.push_str(&format!(": {why}"));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(uids: usize) -> CorrectionEvent {
        let objects = |study: &str| StudyObjects { study: study.into(), classes: vec![("1.2".into(), 7)] };
        let mut event = CorrectionEvent::new("anna", CorrectionAction::Reallocate, AuditOutcome::Success);
        event.number = Some(12);
        event.reason = "WRONG_PATIENT: mixed up".into();
        event.studies = vec![objects("1.1"), objects("1.2")];
        event.uids((0..uids).map(|n| (format!("1.9.{n}"), format!("2.25.{n}"))))
    }

    #[test]
    fn a_message_names_as_many_uids_as_it_has_room_for_and_counts_the_rest() {
        let we = Ourselves {
            source: "s".into(),
            site: None,
            ae_title: "PACSFERRY".into(),
            host: "h".into(),
            program: "reallocate".into(),
        };
        for (uids, unnamed) in [(3, None), (64, None), (5000, Some("4936"))] {
            let message = event(uids).message(&we, &[]);
            let details = &message.objects.last().unwrap().details;
            let of =
                |kind: &str| details.iter().filter(|(k, _)| *k == kind).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
            assert_eq!(of("Old and New UID").len(), uids.min(MOST_UIDS));
            assert_eq!(of("Old and New UID")[0], "1.9.0 2.25.0");
            assert_eq!(of("UIDs Not Named Here").first().copied(), unnamed);
            assert_eq!((of("Source Study"), of("Destination Study")), (vec!["1.1"], vec!["1.2"]));
            assert_eq!(of("Reason"), ["WRONG_PATIENT: mixed up"]);
            assert!(super::super::xml::render(&message, 0, &we).len() < 32 * 1024);
        }
    }

    #[test]
    fn people_read_who_moved_what_and_why_not() {
        let mut event = event(1);
        assert_eq!(event.what(), "reallocate 12 from study 1.1 to 1.2, 7 instances (WRONG_PATIENT: mixed up)");
        event.outcome = AuditOutcome::Minor("the study 1.2 is locked by ben".into());
        (event.number, event.reason) = (None, String::new());
        assert_eq!(event.what(), "reallocate from study 1.1 to 1.2, 7 instances: the study 1.2 is locked by ben");
        let lock = CorrectionEvent {
            studies: vec![StudyObjects { study: "1.1".into(), classes: vec![] }],
            ..CorrectionEvent::new("anna", CorrectionAction::Lock, AuditOutcome::Success)
        };
        assert_eq!(lock.what(), "lock of study 1.1");
    }
}
