//! What the identifier of a query asks for, and what is wrong with it (PS3.4 §C.4.1.2).

use super::extension::Agreed;
use crate::catalog::{Attribute, InvalidQuery, Options, Query};
use crate::dataset::{Bounds, CharacterSet, Identifier};
use crate::dicom::{Encoding, QueryLevel, Status, Tag, tags, uids};
use crate::scp::refusal::Refusal;

/// A query that makes sense.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) level: QueryLevel,
    pub(super) query: Query,
    /// What the catalog does not know: answered with no value. Tag and value representation.
    pub(super) unknown: Vec<(Tag, [u8; 2])>,
    /// A value was to be matched that cannot be.
    pub(super) unmatched: bool,
    /// The Specific Character Set of the query, as it stands; empty where it names none.
    pub(super) charset_terms: Vec<u8>,
    pub(super) charset: CharacterSet,
}

/// Keys that are about the query and its answers, or are known to be sent for no reason: neither matched nor returned.
const NO_KEYS: [Tag; 7] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::QUERY_RETRIEVE_LEVEL,
    tags::QUERY_RETRIEVE_VIEW,
    tags::RETRIEVE_AE_TITLE,
    tags::INSTANCE_AVAILABILITY,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    // Group lengths are not read at all; this one is a relic of ACR-NEMA.
    Tag(0x0008, 0x0001),
];

/// Reads an identifier for the information model of the SOP class.
pub(super) fn read(
    class: &str,
    bytes: &[u8],
    encoding: Encoding,
    bounds: Bounds,
    agreed: Agreed,
    union: bool,
) -> Result<Request, Refusal> {
    let identifier = Identifier::read(bytes, encoding, bounds)?;
    let charset = CharacterSet::parse(identifier.charset_terms());
    let patient_root = class == uids::PATIENT_ROOT_FIND;
    let level = level(&identifier, patient_root)?;
    // In Study Root the attributes of patients are those of studies.
    let top = if patient_root { QueryLevel::Patient } else { QueryLevel::Study };
    let levels = [QueryLevel::Patient, QueryLevel::Study, QueryLevel::Series, QueryLevel::Image];
    let unique = levels.iter().filter(|known| (top..=level).contains(known)).map(|known| Attribute::unique(*known));
    if !agreed.relational {
        for tag in unique.clone().filter(|tag| *tag != Attribute::unique(level)) {
            one_value(&identifier, tag, &charset, level)?;
        }
    }
    let (mut keys, mut unknown, mut unmatched) = (Vec::new(), Vec::new(), false);
    for key in identifier.keys().iter().filter(|key| !NO_KEYS.contains(&key.tag) && key.tag.group() >= 0x0008) {
        match Attribute::at(level, key.tag) {
            Some(attribute) => keys.push((attribute, key.text(&charset))),
            None => {
                unmatched |= key.nested_value || is_asked(&key.text(&charset));
                unknown.push((key.tag, key.vr));
            }
        }
    }
    // An answer that does not say what it is about helps nobody.
    let missing = unique.filter(|tag| identifier.key(*tag).is_none()).filter_map(|tag| Attribute::at(level, tag));
    keys.extend(missing.map(|attribute| (attribute, String::new())));
    let options = Options { combined: agreed.combined, fuzzy: agreed.fuzzy, files: false, union };
    let query = Query::new(level, options, keys.iter().map(|(attribute, value)| (*attribute, value.as_str())));
    let query = query.map_err(|error| {
        let InvalidQuery::Value { keyword, wanted, .. } = &error else {
            return Refusal::new(Status::CANNOT_UNDERSTAND, "a key that is not known");
        };
        let tag = keys.iter().find(|(attribute, _)| attribute.keyword == *keyword).map(|(attribute, _)| attribute.tag);
        Refusal::of(tag.unwrap_or(tags::QUERY_RETRIEVE_LEVEL), wanted)
    })?;
    let charset_terms = identifier.charset_terms().to_vec();
    Ok(Request { level, query, unknown, unmatched, charset_terms, charset })
}

fn level(identifier: &Identifier, patient_root: bool) -> Result<QueryLevel, Refusal> {
    let refusal = |what: &str| {
        let levels = if patient_root { "PATIENT, STUDY, SERIES or IMAGE" } else { "STUDY, SERIES or IMAGE" };
        Refusal::of(tags::QUERY_RETRIEVE_LEVEL, &format!("{what}: {levels}"))
    };
    let key = identifier.key(tags::QUERY_RETRIEVE_LEVEL).ok_or_else(|| refusal("a level is needed"))?;
    let level = QueryLevel::parse(&key.text(&CharacterSet::ascii()).to_ascii_uppercase());
    level.filter(|level| patient_root || *level != QueryLevel::Patient).ok_or_else(|| refusal("the level must be"))
}

/// Above the level of a query that is not relational, each unique key has one value.
fn one_value(identifier: &Identifier, tag: Tag, charset: &CharacterSet, level: QueryLevel) -> Result<(), Refusal> {
    let value = identifier.key(tag).map(|key| key.text(charset)).unwrap_or_default();
    let wrong = match tag {
        _ if value.is_empty() => "is needed",
        _ if value.contains('\\') => "must be a single one",
        // A star may stand in a UID of an old archive, and matches itself.
        tags::PATIENT_ID if value.contains(['*', '?']) => "must be a single one",
        _ => return Ok(()),
    };
    let name = match tag {
        tags::PATIENT_ID => "Patient ID",
        tags::STUDY_INSTANCE_UID => "Study Instance UID",
        _ => "Series Instance UID",
    };
    Err(Refusal::of(tag, &format!("{name} {wrong} at {level} level")))
}

fn is_asked(value: &str) -> bool {
    !value.chars().all(|c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Writer;

    const BOUNDS: Bounds = Bounds { value: 1000, nesting: 4 };
    const LEVEL: Tag = tags::QUERY_RETRIEVE_LEVEL;
    const STUDY: Tag = tags::STUDY_INSTANCE_UID;
    const SERIES: Tag = tags::SERIES_INSTANCE_UID;
    const RELATIONAL: Agreed = Agreed { relational: true, combined: false, fuzzy: false };

    fn read_keys(class: &str, agreed: Agreed, keys: &[(Tag, &str)]) -> Result<Request, Refusal> {
        let mut writer = Writer::new(Encoding::ImplicitLe);
        for (tag, value) in keys {
            writer.put(*tag, *b"LO", value.as_bytes());
        }
        read(class, &writer.finish(), Encoding::ImplicitLe, BOUNDS, agreed, false)
    }

    #[test]
    fn a_level_needs_one_value_of_each_unique_key_above_unless_relational() {
        let (study_root, patient_root) = (uids::STUDY_ROOT_FIND, uids::PATIENT_ROOT_FIND);
        for (class, keys) in [
            (study_root, &[(LEVEL, "STUDY")][..]),
            (study_root, &[(LEVEL, "study "), (STUDY, "1.2\\1.3")]),
            (study_root, &[(LEVEL, "SERIES"), (STUDY, "1.2"), (SERIES, "1.3\\1.4")]),
            (study_root, &[(LEVEL, "IMAGE"), (STUDY, "1.2"), (SERIES, "1.3")]),
            (patient_root, &[(LEVEL, "PATIENT"), (tags::PATIENT_ID, "*")]),
            (patient_root, &[(LEVEL, "STUDY"), (tags::PATIENT_ID, "P1")]),
            (patient_root, &[(LEVEL, "SERIES"), (tags::PATIENT_ID, "P1"), (STUDY, "1.2")]),
        ] {
            assert!(read_keys(class, Agreed::default(), keys).is_ok(), "{keys:?}");
        }
        for (class, keys, offending, comment) in [
            (study_root, &[(STUDY, "1.2")][..], LEVEL, "a level is needed: STUDY, SERIES or IMAGE"),
            (study_root, &[(LEVEL, "PATIENT")], LEVEL, "the level must be: STUDY, SERIES or IMAGE"),
            (patient_root, &[(LEVEL, "EXAM")], LEVEL, "the level must be: PATIENT, STUDY, SERIES or IMAGE"),
            (study_root, &[(LEVEL, "SERIES")], STUDY, "Study Instance UID is needed at SERIES level"),
            (
                study_root,
                &[(LEVEL, "SERIES"), (STUDY, "1\\2")],
                STUDY,
                "Study Instance UID must be a single one at SERIES level",
            ),
            (study_root, &[(LEVEL, "IMAGE"), (STUDY, "1")], SERIES, "Series Instance UID is needed at IMAGE level"),
            (patient_root, &[(LEVEL, "STUDY")], tags::PATIENT_ID, "Patient ID is needed at STUDY level"),
            (
                patient_root,
                &[(LEVEL, "STUDY"), (tags::PATIENT_ID, "P*")],
                tags::PATIENT_ID,
                "Patient ID must be a single one at STUDY level",
            ),
        ] {
            let refusal = read_keys(class, Agreed::default(), keys).unwrap_err();
            assert_eq!(
                (refusal.status.0, refusal.offending, refusal.comment.as_str()),
                (0xA900, vec![offending], comment)
            );
            let relational = read_keys(class, RELATIONAL, keys);
            assert_eq!(relational.is_ok(), offending != LEVEL, "{keys:?}");
        }
        let day =
            read_keys(study_root, Agreed::default(), &[(LEVEL, "STUDY"), (tags::STUDY_DATE, "2020*")]).unwrap_err();
        assert_eq!((day.status.0, day.offending), (0xA900, vec![tags::STUDY_DATE]));
        assert!(!day.comment.contains("2020*"), "what was asked for is not logged");
        let cut = read(study_root, &[8, 0, 0x52], Encoding::ImplicitLe, BOUNDS, RELATIONAL, false).unwrap_err();
        assert_eq!(cut.status.0, 0xC000);
    }

    #[test]
    fn what_is_not_known_is_returned_empty_and_said_when_it_should_have_matched() {
        let unknown = (tags::INSTITUTION_NAME, *b"LO");
        for (value, unmatched) in [("", false), ("*", false), ("Clinic", true)] {
            let keys = [(LEVEL, "STUDY"), (tags::TIMEZONE_OFFSET_FROM_UTC, "+0100"), (tags::INSTITUTION_NAME, value)];
            let request = read_keys(uids::STUDY_ROOT_FIND, Agreed::default(), &keys).unwrap();
            assert_eq!((request.unknown, request.unmatched), (vec![unknown], unmatched), "{value}");
            let returned: Vec<_> = request.query.returned().map(|attribute| attribute.tag).collect();
            assert_eq!(returned, [STUDY], "the unique key is always told");
        }
        // A key of a level below is none of this one.
        let keys = [(LEVEL, "STUDY"), (tags::MODALITY, "CT")];
        assert!(read_keys(uids::STUDY_ROOT_FIND, RELATIONAL, &keys).unwrap().unmatched);
    }
}
