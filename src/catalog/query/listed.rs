//! Studies that a source has listed and that are not filed yet: what a query over both archives answers behind what is
//! filed. Of a listed study is known what the source said of it, and no more.

use std::fmt::Write as _;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use super::attributes::{Attribute, Compared};
use super::entry::{By, Entry, range};
use super::matching::Matcher;
use super::walk::Cursor;
use super::{Match, Query, Wanted, What};
use crate::dataset::fold_person_name;
use crate::db::DbError;
use crate::dicom::{QueryLevel, Tag, tags};

/// The most rows that a page looks at.
const LOOKED_AT: usize = 4000;

/// Items whose study has not been proven, and is not given up: as the partial indexes have it, word for word.
macro_rules! open {
    ($item:literal) => {
        concat!($item, ".state IN (0, 1, 2, 3, 5, 6, 9)")
    };
}
pub(in crate::catalog) use open;

/// And no later job has proven it.
macro_rules! unproven {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM items l WHERE l.study_uid = i.study_uid AND l.job > i.job AND l.state = 4)"
    };
}
pub(in crate::catalog) use unproven;

/// By what listed studies are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::catalog) enum ListedBy {
    /// A list of Study Instance UIDs.
    Uid,
    PatientId,
    Accession,
    /// The latest first.
    Rank,
}

impl ListedBy {
    /// The statement: parameters are the key behind which to begin. Of the rows of one study that of the latest job is
    /// taken, and none where something of the study is filed: that is a row of its own.
    pub(in crate::catalog) fn sql(self, level: QueryLevel) -> String {
        let (key, begin) = match self {
            ListedBy::Uid => ("''", "i.study_uid = ?1"),
            ListedBy::PatientId => ("i.patient_id", "(i.patient_id, i.id) > (?1, ?2 COLLATE BINARY)"),
            ListedBy::Accession => (
                "i.accession_number",
                "i.accession_number <> '' AND (i.accession_number, i.id) > (?1, ?2 COLLATE BINARY)",
            ),
            ListedBy::Rank => ("i.rank", "(i.rank, i.id) > (?1, ?2 COLLATE BINARY)"),
        };
        let order = match self {
            ListedBy::Uid => "i.job DESC LIMIT 1".to_owned(),
            _ => format!("{key}, i.id"),
        };
        let mut sql = format!(
            "SELECT i.study_uid, i.study_date, i.study_time, i.patient_id, i.issuer, i.patient_name, i.accession_number,
                i.description, i.modalities, i.instances, {key}, i.id
             FROM items i WHERE {open} AND {begin}
                AND NOT EXISTS (SELECT 1 FROM studies st WHERE st.uid = i.study_uid AND st.instances > 0)
                AND NOT EXISTS (SELECT 1 FROM items o WHERE o.study_uid = i.study_uid AND o.job > i.job AND {other})",
            open = open!("i"),
            other = open!("o"),
        );
        if level == QueryLevel::Patient {
            // Writing to a String cannot fail.
            let _ = write!(
                sql,
                " AND NOT EXISTS (SELECT 1 FROM patients p WHERE p.patient_id = i.patient_id AND p.instances > 0)
                  AND NOT EXISTS (SELECT 1 FROM items o WHERE o.patient_id = i.patient_id
                    AND o.patient_name = i.patient_name AND o.id < i.id AND {})",
                open!("o")
            );
        }
        sql + " ORDER BY " + &order
    }

    /// How many values the key has.
    pub(super) fn key(self) -> usize {
        if self == ListedBy::Uid { 1 } else { 2 }
    }
}

/// Where to begin with what is listed.
pub(super) fn begin(query: &Query) -> Cursor {
    let number = |number: i64| Value::Integer(number);
    let by = |by, key: Vec<Value>, end, uids| {
        let entry = Entry { by: By::Listed(by), start: key.clone(), end, uids };
        Cursor { entry, key, done: false, from: [0; 4] }
    };
    if let Some(Matcher::Uids(uids)) = query.matcher(tags::STUDY_INSTANCE_UID) {
        return by(ListedBy::Uid, vec![number(0)], None, uids.clone());
    }
    for (entry, listed) in [(By::Accession, ListedBy::Accession), (By::PatientId, ListedBy::PatientId)] {
        if let Some((from, to)) = range(entry, query) {
            return by(listed, vec![Value::Text(from), number(0)], Some(to), Vec::new());
        }
    }
    // The rank is the moment of the study as a number below zero: the latest comes first.
    let moment = |day: &str, open: i64| day.parse().unwrap_or(open);
    let (from, to) = match range(By::Moment, query) {
        Some((from, to)) => {
            let (first, last): (i64, i64) = (moment(&from, 0), moment(&to, 99_999_999));
            (-(last * 10_000_000_000 + 9_999_999_999), Some((-(first * 10_000_000_000)).to_string()))
        }
        None => (i64::MIN, None),
    };
    by(ListedBy::Rank, vec![number(from), number(0)], to, Vec::new())
}

/// A page of `room` matches at most from where another one ended, and where to go on.
pub(super) fn page(
    c: &Connection,
    query: &Query,
    by: ListedBy,
    mut at: Cursor,
    room: usize,
) -> Result<(Vec<Match>, Option<Cursor>), DbError> {
    let mut statement = c.prepare_cached(&by.sql(query.level))?;
    let mut found = Vec::new();
    if by == ListedBy::Uid {
        let first = match at.key.as_slice() {
            [Value::Integer(number)] => usize::try_from(*number).unwrap_or(0),
            _ => 0,
        };
        for (number, uid) in at.entry.uids.iter().enumerate().skip(first) {
            if found.len() == room || number - first == LOOKED_AT {
                at.key = vec![Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))];
                return Ok((found, Some(at)));
            }
            found.extend(statement.query_row([uid], |row| Ok(matched(query, row))).optional()?.transpose()?.flatten());
        }
        return Ok((found, None));
    }
    let mut rows = statement.query(rusqlite::params_from_iter(&at.key))?;
    let mut looks = 0;
    while let Some(row) = rows.next()? {
        let key: Value = row.get(KEY)?;
        let behind = match (&at.entry.end, &key) {
            (Some(end), Value::Integer(rank)) => end.parse().is_ok_and(|end: i64| *rank > end),
            (Some(end), Value::Text(text)) => text > end,
            _ => false,
        };
        if behind {
            return Ok((found, None));
        }
        if found.len() == room || looks == LOOKED_AT {
            return Ok((found, Some(at)));
        }
        looks += 1;
        found.extend(matched(query, row)?);
        at.key = vec![key, row.get(KEY + 1)?];
    }
    Ok((found, None))
}

/// The column of the key.
const KEY: usize = 10;

/// What the row tells of an attribute, if listings tell of it at all.
fn value<'r>(row: &'r Row<'_>, tag: Tag) -> Result<ValueRef<'r>, DbError> {
    let column = match tag {
        tags::STUDY_INSTANCE_UID => 0,
        tags::STUDY_DATE => 1,
        tags::STUDY_TIME => 2,
        tags::PATIENT_ID => 3,
        tags::ISSUER_OF_PATIENT_ID => 4,
        tags::PATIENT_NAME => 5,
        tags::ACCESSION_NUMBER => 6,
        tags::STUDY_DESCRIPTION => 7,
        tags::MODALITIES_IN_STUDY => 8,
        tags::NUMBER_OF_STUDY_RELATED_INSTANCES => 9,
        _ => return Ok(ValueRef::Null),
    };
    Ok(row.get_ref(column)?)
}

/// The answer that a row is, if it matches.
fn matched(query: &Query, row: &Row<'_>) -> Result<Option<Match>, DbError> {
    for wanted in &query.wanted {
        if !matches(query, wanted, row)? {
            return Ok(None);
        }
    }
    let mut values = Vec::with_capacity(query.returned.len());
    for (attribute, _) in &query.returned {
        values.push(super::with_text(value(row, attribute.tag)?, str::to_owned)?);
    }
    Ok(Some(Match { values, file: None, nearline: true }))
}

fn matches(query: &Query, wanted: &Wanted, row: &Row<'_>) -> Result<bool, DbError> {
    let this = value(row, wanted.tag)?;
    let attribute = Attribute::at(query.level, wanted.tag);
    let person = attribute.is_some_and(|attribute| attribute.compared == Compared::Person);
    super::with_text(this, |text| match &wanted.what {
        What::Value(matcher) if person => Ok(matcher.matches(&fold_person_name(text))),
        What::Value(matcher) => Ok(matcher.matches(text)),
        What::Moments(moments, _) => {
            super::with_text(value(row, tags::STUDY_TIME)?, |time| moments.contain(text, time))
        }
    })?
}

/// What a study that is filed in part will have, if a source lists more of it.
pub(super) fn awaited(c: &Connection, study_uid: &str) -> Result<Option<i64>, DbError> {
    let counts = c.prepare_cached(AWAITED)?.query_row([study_uid], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (items, instances): (i64, Option<i64>) = counts;
    Ok((items > 0).then(|| instances.unwrap_or(0)))
}

pub(in crate::catalog) const AWAITED: &str =
    concat!("SELECT count(*), max(i.instances) FROM items i WHERE i.study_uid = ?1 AND ", open!("i"), unproven!());
