//! What the parameters of a query ask for (PS3.18 §8.3.4).

use std::sync::Arc;

use super::Within;
use crate::catalog::{Attribute, Compared, InvalidQuery, KeyType, Options, Query};
use crate::dicom::{QueryLevel, Tag, tags};
use crate::dicomweb::answer::Problem;

/// The most rows of one answer, and how many it has where nothing is said.
const MOST: usize = 5_000;
/// The most parameters.
const MOST_KEYS: usize = 200;
/// What every answer says in any case, or is not about the objects.
const NO_KEYS: [Tag; 5] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::INSTANCE_AVAILABILITY,
    tags::RETRIEVE_URL,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::QUERY_RETRIEVE_LEVEL,
];

/// A query that makes sense.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) query: Arc<Query>,
    pub(super) limit: usize,
    pub(super) offset: usize,
    /// What was not done as it was asked.
    pub(super) warnings: Vec<String>,
}

impl Asked {
    /// Reads the query part of an address.
    pub(super) fn read(text: &str, level: QueryLevel, within: &Within, union: bool) -> Result<Asked, Problem> {
        let mut keys: Vec<(&'static Attribute, String)> = Vec::new();
        let (mut everything, mut fuzzy) = (false, false);
        let (mut limit, mut offset) = (MOST, 0);
        let (mut unknown, mut warnings) = (Vec::new(), Vec::new());
        let fixed = [(QueryLevel::Study, &within.study), (QueryLevel::Series, &within.series)];
        for (of, uid) in fixed {
            let Some(uid) = uid else { continue };
            // A star, or several values, would ask for more than a path names.
            if uid.contains('\\') || uid.chars().all(|c| c == '*' || c.is_whitespace() || c.is_control()) {
                return Err(Problem::missing("this is the UID of nothing"));
            }
            keys.extend(Attribute::at(level, Attribute::unique(of)).map(|attribute| (attribute, uid.clone())));
        }
        let path = keys.len();
        for (name, value) in form_urlencoded::parse(text.as_bytes()).take(MOST_KEYS) {
            match &*name {
                "limit" => limit = number(&name, &value)?.min(MOST),
                "offset" => offset = number(&name, &value)?,
                "fuzzymatching" => fuzzy = value.eq_ignore_ascii_case("true"),
                // These have to be known, and may be refused (PS3.18 §8.3.4.5 and §8.3.4.6).
                "emptyvaluematching" | "multiplevaluematching" => {
                    if value.eq_ignore_ascii_case("true") {
                        warnings.push(format!("the parameter {name} is not supported, and was not heeded"));
                    }
                }
                "includefield" => {
                    for field in value.split(',').map(str::trim).filter(|field| !field.is_empty()) {
                        if field.eq_ignore_ascii_case("all") {
                            everything = true;
                        } else if let Some(attribute) = attribute(level, field) {
                            keys.push((attribute, String::new()));
                        }
                        // What is not known is not told, as the standard has it.
                    }
                }
                "accept" | "charset" | "" => {}
                _ => match attribute(level, &name) {
                    Some(attribute) => {
                        let value = of_list(attribute, &value);
                        let same = |key: &&mut (&Attribute, String)| key.0.tag == attribute.tag && !key.1.is_empty();
                        match keys.iter_mut().skip(path).find(same).filter(|_| !value.is_empty()) {
                            None => keys.push((attribute, value)),
                            // Only UIDs may be asked for several times (PS3.18 §8.3.4.1).
                            Some((_, list)) if is_uid(attribute) => *list = format!("{list}\\{value}"),
                            Some(_) => warnings.push(format!("{} is matched with its first value", attribute.keyword)),
                        }
                    }
                    None if tag(&name).is_some_and(|tag| NO_KEYS.contains(&tag)) => {}
                    None => unknown.push(shown(&name)),
                },
            }
        }
        // A condition beside the path must hold as well: whoever names another study asks for nothing.
        let paths: Vec<(Tag, String)> =
            keys.iter().take(path).map(|(attribute, uid)| (attribute.tag, uid.clone())).collect();
        let contradicts = |(attribute, value): &(&Attribute, String)| {
            let fixed = paths.iter().find(|(tag, _)| *tag == attribute.tag);
            fixed.is_some_and(|(_, uid)| !value.is_empty() && !value.split('\\').any(|one| one == uid))
        };
        if keys.iter().skip(path).any(contradicts) {
            limit = 0;
        }
        // The first of a tag counts: what is matched goes before what is only told.
        keys.sort_by_key(|(_, value)| value.is_empty());
        let told = Attribute::of(level).filter(|attribute| is_told(attribute, level, within, everything));
        keys.extend(told.map(|attribute| (attribute, String::new())));
        let options = Options { fuzzy, union, ..Options::default() };
        let query = Query::new(level, options, keys.iter().map(|(attribute, value)| (*attribute, value.as_str())));
        let query = query.map_err(|error| match error {
            InvalidQuery::Value { keyword, wanted, .. } => Problem::bad(format!("{keyword}: {wanted}")),
            error => Problem::bad(error.to_string()),
        })?;
        if !unknown.is_empty() {
            unknown.truncate(10);
            warnings.push(format!("these are not matched: {}", unknown.join(", ")));
        }
        Ok(Asked { query: Arc::new(query), limit, offset, warnings })
    }
}

/// What is told without being asked for (PS3.18 §10.6.3.3): of the level, and of the levels above that the path leaves
/// open.
fn is_told(attribute: &Attribute, level: QueryLevel, within: &Within, everything: bool) -> bool {
    let open = match attribute.level {
        QueryLevel::Patient | QueryLevel::Study => within.study.is_none(),
        QueryLevel::Series => within.series.is_none(),
        QueryLevel::Image => true,
    };
    let counts = attribute.level == QueryLevel::Patient && attribute.compared == Compared::Number;
    let unique = attribute.key == KeyType::Unique && attribute.level != QueryLevel::Patient;
    unique || everything || (!counts && (open || attribute.level == level))
}

fn number(name: &str, value: &str) -> Result<usize, Problem> {
    value.parse().map_err(|_| Problem::bad(format!("`{name}` must be a whole number")))
}

/// An attribute by its keyword or its eight digits.
fn attribute(level: QueryLevel, name: &str) -> Option<&'static Attribute> {
    match tag(name) {
        Some(tag) => Attribute::at(level, tag),
        None => Attribute::of(level).find(|attribute| attribute.keyword == name),
    }
}

fn tag(name: &str) -> Option<Tag> {
    let number = u32::from_str_radix(name, 16).ok().filter(|_| name.len() == 8)?;
    let [a, b, c, d] = number.to_be_bytes();
    Some(Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// UIDs of a list stand between commas in an address.
fn of_list(attribute: &Attribute, value: &str) -> String {
    if is_uid(attribute) { value.replace(',', "\\") } else { value.to_owned() }
}

fn is_uid(attribute: &Attribute) -> bool {
    matches!(attribute.compared, Compared::Uid | Compared::Uids)
}

/// A name that a stranger chose, as it may stand in a header.
fn shown(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, level: QueryLevel, study: Option<&str>) -> Result<Asked, Problem> {
        Asked::read(text, level, &Within { study: study.map(str::to_owned), series: None }, false)
    }

    fn told(asked: &Asked) -> Vec<&'static str> {
        asked.query.returned().map(|attribute| attribute.keyword).collect()
    }

    #[test]
    fn parameters_are_keys_by_keyword_or_tag_and_what_is_unknown_is_said() {
        let asked =
            read("PatientID=1&00080060=CT&Foo=<x>&00081030=*&limit=7&offset=3", QueryLevel::Series, None).unwrap();
        assert_eq!((asked.limit, asked.offset), (7, 3));
        assert_eq!(asked.warnings, ["these are not matched: Foo"]);
        assert!(told(&asked).contains(&"StudyDescription") && told(&asked).contains(&"Modality"));
        let twice = read("StudyInstanceUID=1.2&PatientID=1&PatientID=2&StudyInstanceUID=1.3", QueryLevel::Study, None);
        assert_eq!(twice.unwrap().warnings, ["PatientID is matched with its first value"]);
        let odd = read("emptyvaluematching=true&multiplevaluematching=false", QueryLevel::Study, None).unwrap();
        assert_eq!(odd.warnings, ["the parameter emptyvaluematching is not supported, and was not heeded"]);
        assert!(read("limit=x", QueryLevel::Study, None).is_err());
        assert!(read("StudyDate=yesterday", QueryLevel::Study, None).is_err());
        assert!(read("limit=99999999", QueryLevel::Study, None).unwrap().limit == MOST);
    }

    #[test]
    fn what_the_path_fixes_is_told_only_when_asked_for() {
        let asked = read("includefield=PatientName", QueryLevel::Series, Some("1.2")).unwrap();
        let told_here = told(&asked);
        assert!(told_here.contains(&"PatientName") && told_here.contains(&"StudyInstanceUID"), "{told_here:?}");
        assert!(!told_here.contains(&"StudyDate"));
        let all = read("includefield=all", QueryLevel::Series, Some("1.2")).unwrap();
        assert!(told(&all).contains(&"StudyDate"));
        for study in ["*", "", " ", "\0", "\t*", "1.2\\1.3"] {
            assert!(read("", QueryLevel::Series, Some(study)).is_err(), "{study:?}");
        }
        assert_eq!(read("StudyInstanceUID=1.3", QueryLevel::Series, Some("1.2")).unwrap().limit, 0);
        assert_eq!(read("StudyInstanceUID=1.3,1.2", QueryLevel::Series, Some("1.2")).unwrap().limit, MOST);
    }
}
