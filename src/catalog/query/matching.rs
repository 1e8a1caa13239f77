//! How a value given to a key is compared with a column.

use rusqlite::types::Value;

use super::InvalidQuery;
use super::columns::{Column, Kind};
use crate::dataset::fold_person_name;
use crate::dicom::Date;

/// The condition that a key means, its values added to the parameters; `None` when everything matches.
pub(super) fn condition(
    column: &Column,
    value: &str,
    parameters: &mut Vec<Value>,
) -> Result<Option<String>, InvalidQuery> {
    let value = value.trim_matches([' ', '\0']);
    if value.is_empty() || value.chars().all(|c| c == '*') {
        return Ok(None);
    }
    let mut bind = |value: Value| {
        parameters.push(value);
        format!("?{}", parameters.len())
    };
    let invalid = |wanted| InvalidQuery::Value { keyword: column.keyword, value: value.to_owned(), wanted };
    let sql = column.sql;
    Ok(Some(match column.kind {
        Kind::Uid => {
            let list: Vec<&str> = value.split('\\').map(str::trim).filter(|uid| !uid.is_empty()).collect();
            let list = serde_json::Value::from(list).to_string();
            format!("{sql} IN (SELECT value FROM json_each({}))", bind(list.into()))
        }
        Kind::Text => any(value, |one| text(sql, one, &mut bind)),
        Kind::Values => any(value, |one| {
            let inside = bind(format!("*\\{}\\*", glob(one)).into());
            format!("'\\' || {sql} || '\\' GLOB {inside}")
        }),
        Kind::Person(folded) => person(folded, value, &mut bind),
        Kind::Date => {
            let (from, to) = days(value).ok_or_else(|| {
                invalid("write a day as YYYYMMDD, a range as YYYYMMDD-YYYYMMDD, and leave out an end that is open")
            })?;
            range(sql, from.map(|day| day.to_string()), to.map(|day| day.to_string()), &mut bind)
        }
        Kind::Time => {
            let (from, to) = value.split_once('-').unwrap_or((value, value));
            let sound = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b':');
            if !sound(from) || !sound(to) {
                return Err(invalid("write a time as HHMMSS, a range as HHMMSS-HHMMSS"));
            }
            // A time that is less precise means all of its minute or hour, at the later end too.
            let end = |text: &str, last: &str| (!text.is_empty()).then(|| format!("{}{last}", text.replace(':', "")));
            range(sql, end(from, ""), end(to, "~"), &mut bind)
        }
        Kind::Number => {
            let number: i64 = value.parse().map_err(|_| invalid("write a whole number"))?;
            format!("{sql} = {}", bind(number.into()))
        }
    }))
}

/// Alternatives, one of which must match.
fn any(value: &str, mut one: impl FnMut(&str) -> String) -> String {
    let parts: Vec<_> = value.split('\\').map(str::trim).filter(|part| !part.is_empty()).map(&mut one).collect();
    // Nothing but backslashes asks for nothing that there is.
    if parts.is_empty() { "FALSE".into() } else { format!("({})", parts.join(" OR ")) }
}

fn has_wildcard(value: &str) -> bool {
    value.contains(['*', '?'])
}

fn text(sql: &str, value: &str, bind: &mut impl FnMut(Value) -> String) -> String {
    if has_wildcard(value) {
        format!("{sql} GLOB {}", bind(glob(value).into()))
    } else {
        format!("{sql} = {}", bind(value.to_owned().into()))
    }
}

/// `*` and `?` mean the same in GLOB; a bracket there is a bracket here.
fn glob(value: &str) -> String {
    value.replace('[', "[[]")
}

/// A name matches as a whole, or up to the end of one of its components; in any group of components.
fn person(folded: &str, value: &str, bind: &mut impl FnMut(Value) -> String) -> String {
    let pattern = glob(&fold_person_name(value));
    let rests: &[&str] = if has_wildcard(&pattern) { &["", "=*"] } else { &["", "^*", "=*"] };
    let conditions: Vec<_> = ["", "*="]
        .iter()
        .flat_map(|before| rests.iter().map(move |rest| (before, rest)))
        .map(|(before, rest)| format!("{folded} GLOB {}", bind(format!("{before}{pattern}{rest}").into())))
        .collect();
    format!("({})", conditions.join(" OR "))
}

fn range(sql: &str, from: Option<String>, to: Option<String>, bind: &mut impl FnMut(Value) -> String) -> String {
    let mut conditions = vec![format!("{sql} <> ''")];
    conditions.extend(from.map(|from| format!("{sql} >= {}", bind(from.into()))));
    conditions.extend(to.map(|to| format!("{sql} <= {}", bind(to.into()))));
    format!("({})", conditions.join(" AND "))
}

/// A day or a range of days; people may write the days with hyphens.
fn days(value: &str) -> Option<(Option<Date>, Option<Date>)> {
    if let Ok(day) = Date::parse(value) {
        return Some((Some(day), Some(day)));
    }
    let end = |text: &str| if text.is_empty() { Some(None) } else { Date::parse(text).ok().map(Some) };
    value.match_indices('-').find_map(|(at, _)| {
        let (from, to) = (end(value.get(..at)?)?, end(value.get(at + 1..)?)?);
        (from.is_some() || to.is_some()).then_some((from, to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_ranges_are_read_as_people_write_them() {
        let day = |text: &str| Date::parse(text).ok();
        let (a, b) = (day("20200101"), day("20201231"));
        for (text, expected) in [
            ("20200101", (a, a)),
            ("2020-01-01", (a, a)),
            ("20200101-20201231", (a, b)),
            ("2020-01-01-2020-12-31", (a, b)),
            ("20200101-", (a, None)),
            ("-2020-12-31", (None, b)),
        ] {
            assert_eq!(days(text), Some(expected), "{text}");
        }
        for text in ["-", "2020", "today", "20200101-x", "20201301", "--"] {
            assert_eq!(days(text), None, "{text}");
        }
    }
}
