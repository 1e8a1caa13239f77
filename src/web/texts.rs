//! Values as people write and read them.

use crate::dicom::Date;

/// `2024-01-31` is a day, `2024-01-01 - 2024-01-31` are many, `2024` is a year and `2024-01` a month.
pub(super) fn days(text: &str) -> String {
    let day = |text: &str, last: bool| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let rest = if last { "1231" } else { "0101" };
        match digits.len() {
            4 => format!("{digits}{rest}"),
            6 if last => format!("{digits}31"),
            6 => format!("{digits}01"),
            _ => digits,
        }
    };
    let span = text.split_once(" - ").or_else(|| text.split_once('–')).or_else(|| text.split_once(".."));
    let dicom = text.bytes().filter(|byte| *byte == b'-').count() == 1 && text.len() > 7;
    match span.or_else(|| if dicom { text.split_once('-') } else { None }) {
        Some((from, to)) => format!("{}-{}", day(from, false), day(to, true)),
        None if text.is_empty() => String::new(),
        None if text.chars().filter(char::is_ascii_digit).count() == 8 => day(text, false),
        None => format!("{}-{}", day(text, false), day(text, true)),
    }
}

/// A value as people read it.
pub(super) fn shown(keyword: &str, value: &str) -> String {
    let text = match keyword {
        "PatientName" | "ReferringPhysicianName" => name(value),
        "StudyDate" | "PatientBirthDate" => Date::parse(value).map_or_else(|_| value.to_owned(), Date::iso),
        _ => value.replace('\\', ", "),
    };
    harmless(&text)
}

/// `Yamada^Tarou=山田^太郎` is `Yamada, Tarou = 山田, 太郎`.
pub(super) fn name(value: &str) -> String {
    let group = |group: &str| {
        let parts: Vec<&str> = group.split('^').filter(|part| !part.is_empty()).collect();
        match parts.split_first() {
            Some((family, rest)) if !rest.is_empty() => format!("{family}, {}", rest.join(" ")),
            _ => parts.join(" "),
        }
    };
    value.split('=').filter(|text| !text.is_empty()).map(group).collect::<Vec<_>>().join(" = ")
}

/// Without what turns the direction of a text round or hides in it.
fn harmless(text: &str) -> String {
    let bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
    };
    text.chars().map(|c| if bad(c) { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_people_do() {
        for (text, key) in [
            ("", ""),
            ("2024-01-31", "20240131"),
            ("20240131", "20240131"),
            ("2024", "20240101-20241231"),
            ("2024-02", "20240201-20240231"),
            ("2024-01-01 - 2024-01-31", "20240101-20240131"),
            ("2023..2024", "20230101-20241231"),
            ("20240101-20240131", "20240101-20240131"),
        ] {
            assert_eq!(days(text), key, "{text}");
        }
    }

    #[test]
    fn names_are_shown_as_people_read_them() {
        assert_eq!(name("Yamada^Tarou=山田^太郎"), "Yamada, Tarou = 山田, 太郎");
        assert_eq!(name("Doe^Jane^^Dr"), "Doe, Jane Dr");
        assert_eq!(name("Doe"), "Doe");
        assert_eq!(shown("PatientName", "a\u{202E}b"), "a\u{FFFD}b");
        assert_eq!(shown("ModalitiesInStudy", "CT\\PT"), "CT, PT");
    }
}
