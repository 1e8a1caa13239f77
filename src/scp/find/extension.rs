//! SOP Class Extended Negotiation of queries (PS3.4 §C.5.1.1): what a peer asks for, and what is agreed to.

use crate::dicom::{Uid, uids};

/// What is agreed to where it is asked for: relational queries, combined matching of date and time, fuzzy names. Then
/// follow what is not: timezone adjustment, enhanced multi-frame conversion, empty value and multiple value matching.
const SUPPORTED: [u8; 7] = [1, 1, 1, 0, 0, 0, 0];

/// What was agreed on beyond the ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Agreed {
    /// The unique keys of the levels above may be left out.
    pub(super) relational: bool,
    /// A date and a time range are one stretch of time.
    pub(super) combined: bool,
    /// Names match by their sound.
    pub(super) fuzzy: bool,
}

/// The answer to a peer's application information: as many fields as it sent, each agreed to or not.
pub(in crate::scp) fn answer(class: &Uid, asked: &[u8]) -> Option<Vec<u8>> {
    if !matches!(class.as_str(), uids::PATIENT_ROOT_FIND | uids::STUDY_ROOT_FIND) {
        return None;
    }
    Some(asked.iter().zip(SUPPORTED).map(|(asked, supported)| u8::from(*asked == 1) & supported).collect())
}

impl Agreed {
    /// What our answer agreed to.
    pub(super) fn of(answer: Option<&[u8]>) -> Agreed {
        let is_set = |field: usize| answer.and_then(|answer| answer.get(field)) == Some(&1);
        Agreed { relational: is_set(0), combined: is_set(1), fuzzy: is_set(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_and_supported_is_agreed_to() {
        let find = Uid::new(uids::STUDY_ROOT_FIND);
        for (asked, answered, agreed) in [
            (&[1][..], &[1][..], (true, false, false)),
            (&[0, 1, 1], &[0, 1, 1], (false, true, true)),
            (&[1, 1, 1, 1, 1, 1, 1, 1, 1], &[1, 1, 1, 0, 0, 0, 0], (true, true, true)),
            (&[2, 0, 255], &[0, 0, 0], (false, false, false)),
            (&[], &[], (false, false, false)),
        ] {
            let answer = answer(&find, asked).unwrap();
            assert_eq!(answer, answered);
            let Agreed { relational, combined, fuzzy } = Agreed::of(Some(&answer));
            assert_eq!((relational, combined, fuzzy), agreed);
        }
        assert_eq!(answer(&Uid::new(uids::STUDY_ROOT_MOVE), &[1]), None);
        assert_eq!(Agreed::of(None), Agreed::default());
    }
}
