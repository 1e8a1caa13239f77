//! How a value given to a key is compared with what the catalog holds (PS3.4 §C.2.2.2): pure, so that every rule is a row
//! of a test.

use super::InvalidQuery;
use super::attributes::{Attribute, Compared};
use super::names::Name;
use super::pattern::Pattern;
use super::times::{Days, Times};

/// What a key asks for; one of several is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Matcher {
    /// Sorted.
    Uids(Vec<String>),
    /// The same for an attribute of several values.
    AnyUid(Vec<String>),
    Texts(Vec<Pattern>),
    /// The same for an attribute of several values.
    AnyText(Vec<Pattern>),
    Names(Vec<Name>),
    Days(Vec<Days>),
    Times(Vec<Times>),
    Numbers(Vec<i64>),
}

/// Trims what pads a value; `None` where everything matches.
pub(super) fn asked(value: &str) -> Option<&str> {
    let value = value.trim_matches([' ', '\0']);
    (!value.chars().all(|c| c == '*')).then_some(value)
}

impl Matcher {
    /// Reads the value of a key, which asks for something: see [`asked`].
    pub(super) fn new(attribute: &'static Attribute, value: &str, fuzzy: bool) -> Result<Matcher, InvalidQuery> {
        let invalid = |wanted| InvalidQuery::Value { keyword: attribute.keyword, value: value.to_owned(), wanted };
        let parts = || value.split('\\').map(|part| part.trim_matches([' ', '\0'])).filter(|part| !part.is_empty());
        let texts = || parts().map(Pattern::new).collect();
        Ok(match attribute.compared {
            Compared::Uid | Compared::Uids => {
                let mut uids: Vec<String> = parts().map(str::to_owned).collect();
                uids.sort_unstable();
                uids.dedup();
                if attribute.compared == Compared::Uid { Matcher::Uids(uids) } else { Matcher::AnyUid(uids) }
            }
            Compared::Text => Matcher::Texts(texts()),
            Compared::Texts => Matcher::AnyText(texts()),
            Compared::Person => Matcher::Names(parts().map(|part| Name::new(part, fuzzy)).collect()),
            Compared::Date => {
                let wanted = "write a day as YYYYMMDD, a range as YYYYMMDD-YYYYMMDD, and leave out an end that is open";
                Matcher::Days(parts().map(Days::parse).collect::<Option<_>>().ok_or_else(|| invalid(wanted))?)
            }
            Compared::Time => {
                let wanted = "write a time as HHMMSS, a range as HHMMSS-HHMMSS";
                Matcher::Times(parts().map(Times::parse).collect::<Option<_>>().ok_or_else(|| invalid(wanted))?)
            }
            Compared::Number => {
                let numbers = parts().map(|part| part.parse().ok()).collect::<Option<_>>();
                Matcher::Numbers(numbers.ok_or_else(|| invalid("write a whole number"))?)
            }
        })
    }

    /// Whether the value of an attribute, for a name its folded form, is asked for. An empty one never is.
    pub(super) fn matches(&self, value: &str) -> bool {
        let is_one = |uids: &[String], value: &str| uids.binary_search_by(|uid| uid.as_str().cmp(value)).is_ok();
        match self {
            Matcher::Uids(uids) => is_one(uids, value),
            Matcher::AnyUid(uids) => value.split('\\').any(|value| is_one(uids, value)),
            Matcher::Texts(patterns) => patterns.iter().any(|pattern| pattern.matches(value)),
            Matcher::AnyText(patterns) => {
                value.split('\\').any(|value| patterns.iter().any(|pattern| pattern.matches(value)))
            }
            Matcher::Names(names) => names.iter().any(|name| name.matches(value)),
            Matcher::Days(days) => days.iter().any(|days| days.contains(value)),
            Matcher::Times(times) => times.iter().any(|times| times.contains(value)),
            Matcher::Numbers(numbers) => value.trim().parse().is_ok_and(|number| numbers.contains(&number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::{QueryLevel, Tag, tags};

    fn matcher(tag: Tag, value: &str) -> Result<Matcher, InvalidQuery> {
        Matcher::new(Attribute::at(QueryLevel::Image, tag).unwrap(), asked(value).unwrap(), false)
    }

    #[test]
    fn each_kind_of_attribute_has_its_own_matching() {
        for (tag, key, yes, no) in [
            (tags::STUDY_INSTANCE_UID, "1.2\\1.10\\1.3 ", &["1.2", "1.3", "1.10"][..], &["1.1", "1.2.3", ""][..]),
            (tags::STUDY_INSTANCE_UID, "1.2*", &["1.2*"], &["1.2", "1.20"]),
            (tags::SOP_CLASSES_IN_STUDY, "1.2.4", &["1.2.3\\1.2.4", "1.2.4"], &["1.2.3", ""]),
            (tags::PATIENT_ID, "P1", &["P1"], &["p1", "P11", ""]),
            (tags::PATIENT_ID, " P1 ", &["P1"], &[]),
            (tags::PATIENT_ID, "P1\\P3*", &["P1", "P3", "P34"], &["P2"]),
            (tags::PATIENT_ID, "P[1]%", &["P[1]%"], &["P1x"]),
            (tags::STUDY_DESCRIPTION, "*ne?", &["knee", "bones"], &["KNEE", "bone"]),
            (tags::MODALITIES_IN_STUDY, "SR", &["CT\\SR", "SR"], &["S", "CT", ""]),
            (tags::MODALITIES_IN_STUDY, "C?\\MR", &["CR\\PR", "MR"], &["US"]),
            (tags::PATIENT_NAME, "müll*", &["muller"], &["miller"]),
            (tags::PATIENT_BIRTH_DATE, "19700101", &["19700101"], &["19700102", ""]),
            (tags::STUDY_DATE, "20200101\\20200103-", &["20200101", "20210101"], &["20200102"]),
            (tags::STUDY_TIME, "2200-0200", &["2300", "0100"], &["1200"]),
            (tags::INSTANCE_NUMBER, "07", &["7", " 7 ", "+7"], &["70", "", "x"]),
            (tags::PATIENT_ID, "\\", &[], &["", "P1"]),
        ] {
            let matcher = matcher(tag, key).unwrap();
            assert_eq!(yes.iter().find(|value| !matcher.matches(value)), None, "{tag} {key} does not match");
            assert_eq!(no.iter().find(|value| matcher.matches(value)), None, "{tag} {key} matches");
        }
        for (tag, key) in
            [(tags::STUDY_DATE, "2020*"), (tags::STUDY_TIME, "noon"), (tags::ROWS, "many"), (tags::STUDY_DATE, "-")]
        {
            assert!(matches!(matcher(tag, key), Err(InvalidQuery::Value { .. })), "{tag} {key}");
        }
    }

    #[test]
    fn nothing_and_stars_ask_for_everything() {
        assert_eq!(["", "  ", "\0", "*", "***", " * "].map(asked), [None; 6]);
        assert_eq!(asked(" a* "), Some("a*"));
    }
}
