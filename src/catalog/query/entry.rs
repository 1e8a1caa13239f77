//! Where a query enters the catalog: the index by which the least is read.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::Query;
use super::attributes::columns;
use super::listed::ListedBy;
use super::matching::Matcher;
use super::names::Name;
use super::times::Days;
use crate::catalog::corrections::shown_as;
use crate::db::DbError;
use crate::dicom::{QueryLevel, Tag, tags};

/// Behind every text of a column.
const LAST: char = '\u{10FFFF}';

/// As many rows of an index are counted before it is taken for as good as any other.
const COUNTED: i64 = 2000;

/// An index, and the stretch of it that holds everything that can match.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) by: By,
    /// The key that it begins with.
    pub(super) start: Vec<Value>,
    /// The first part of the key that is not part of it any more lies behind this one.
    pub(super) end: Option<String>,
    /// The UIDs, where it is a list of them.
    pub(super) uids: Vec<String>,
}

/// By what rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::catalog) enum By {
    /// Instances, series or studies with these UIDs.
    Uids(QueryLevel),
    Accession,
    PatientId,
    Name,
    /// Studies, the latest first.
    Moment,
    /// Studies, the oldest first.
    Oldest,
    /// Patients in the order in which they came.
    Patients,
    /// Studies that are listed and not filed.
    Listed(ListedBy),
}

impl By {
    /// The level of the rows.
    pub(super) fn level(self) -> QueryLevel {
        match self {
            By::Uids(level) => level,
            By::Accession | By::Moment | By::Oldest | By::Listed(_) => QueryLevel::Study,
            By::PatientId | By::Name | By::Patients => QueryLevel::Patient,
        }
    }

    /// How many columns the key has; they stand behind all others.
    pub(super) fn key(self) -> usize {
        match self {
            By::Uids(_) => 0,
            By::Patients => 1,
            By::Accession | By::Name => 2,
            By::PatientId | By::Moment | By::Oldest => 3,
            By::Listed(by) => by.key(),
        }
    }

    /// The statement: parameters are the key to begin with, or a UID. An id is a number and has no collation, but SQLite
    /// takes it for a part of the key only where it has one.
    pub(in crate::catalog) fn sql(self) -> String {
        let (patient, study) = (columns(QueryLevel::Patient), columns(QueryLevel::Study));
        let shown = "st.instances > 0";
        match self {
            By::Listed(by) => by.sql(QueryLevel::Study),
            By::Patients => {
                format!("SELECT {patient}, p.id FROM patients p WHERE p.id >= ?1 AND p.instances > 0 ORDER BY p.id")
            }
            By::PatientId => format!(
                "SELECT {patient}, p.patient_id, p.name, p.id FROM patients p
                 WHERE (p.patient_id, p.name, p.id) >= (?1, ?2, ?3 COLLATE BINARY) AND p.instances > 0
                 ORDER BY p.patient_id, p.name, p.id"
            ),
            By::Name => format!(
                "SELECT {patient}, n.folded, n.patient FROM patient_names n CROSS JOIN patients p ON p.id = n.patient
                 WHERE (n.folded, n.patient) >= (?1, ?2) AND p.instances > 0 ORDER BY n.folded, n.patient"
            ),
            By::Moment => format!(
                "SELECT {patient}, {study}, st.study_date, st.study_time, st.id
                 FROM studies st CROSS JOIN patients p ON p.id = st.patient
                 WHERE (st.study_date, st.study_time, st.id) <= (?1, ?2, ?3 COLLATE BINARY) AND {shown}
                 ORDER BY st.study_date DESC, st.study_time DESC, st.id DESC"
            ),
            By::Oldest => format!(
                "SELECT {patient}, {study}, st.study_date, st.study_time, st.id
                 FROM studies st CROSS JOIN patients p ON p.id = st.patient
                 WHERE (st.study_date, st.study_time, st.id) >= (?1, ?2, ?3 COLLATE BINARY) AND {shown}
                 ORDER BY st.study_date, st.study_time, st.id"
            ),
            By::Accession => format!(
                "SELECT {patient}, {study}, st.accession_number, st.id
                 FROM studies st CROSS JOIN patients p ON p.id = st.patient
                 WHERE (st.accession_number, st.id) >= (?1, ?2 COLLATE BINARY) AND {shown}
                 ORDER BY st.accession_number, st.id"
            ),
            By::Uids(QueryLevel::Image) => format!(
                "SELECT {patient}, {study}, {}, {} FROM instances i CROSS JOIN series se ON se.id = i.series
                 CROSS JOIN studies st ON st.id = se.study CROSS JOIN patients p ON p.id = st.patient
                 {} WHERE i.id IN ({}) AND se.instances > 0",
                columns(QueryLevel::Series),
                super::walk::instance_columns(),
                super::walk::INSTANCE_JOINS,
                shown_as!("?1"),
            ),
            // A series UID may stand in several studies.
            By::Uids(QueryLevel::Series) => format!(
                "SELECT {patient}, {study}, {} FROM series se CROSS JOIN studies st ON st.id = se.study
                 CROSS JOIN patients p ON p.id = st.patient
                 WHERE se.uid = ?1 AND se.instances > 0 ORDER BY se.study",
                columns(QueryLevel::Series),
            ),
            By::Uids(_) => format!(
                "SELECT {patient}, {study} FROM studies st CROSS JOIN patients p ON p.id = st.patient
                 WHERE st.uid = ?1 AND {shown}"
            ),
        }
    }

    /// Counts the rows of its index between two ends, as far as it matters.
    pub(in crate::catalog) fn counting(self) -> &'static str {
        match self {
            By::PatientId => {
                "SELECT count(*) FROM (SELECT 1 FROM patients WHERE patient_id BETWEEN ?1 AND ?2 LIMIT ?3)"
            }
            By::Name => "SELECT count(*) FROM (SELECT 1 FROM patient_names WHERE folded BETWEEN ?1 AND ?2 LIMIT ?3)",
            By::Accession => {
                "SELECT count(*) FROM (SELECT 1 FROM studies WHERE accession_number BETWEEN ?1 AND ?2 LIMIT ?3)"
            }
            _ => "SELECT count(*) FROM (SELECT 1 FROM studies WHERE study_date BETWEEN ?1 AND ?2 LIMIT ?3)",
        }
    }
}

/// The order in which answers come; each is that of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The latest study first.
    Newest,
    /// The oldest study first.
    Oldest,
    /// By the names of patients, folded; those without one come first.
    PatientName,
    /// By Patient ID.
    PatientId,
    /// By accession number; studies without one come first.
    Accession,
}

impl Order {
    fn by(self) -> By {
        match self {
            Order::Newest => By::Moment,
            Order::Oldest => By::Oldest,
            Order::PatientName => By::Name,
            Order::PatientId => By::PatientId,
            Order::Accession => By::Accession,
        }
    }
}

/// The range of all texts that begin with this one; `None` of all texts.
pub(super) fn after(prefix: &str) -> Option<(String, String)> {
    (!prefix.is_empty()).then(|| (prefix.to_owned(), format!("{prefix}{LAST}")))
}

impl Entry {
    /// The best one for a query. UIDs are few; of other keys it is counted how much they leave.
    pub(super) fn choose(c: &Connection, query: &Query) -> Result<Entry, DbError> {
        for (level, tag) in [
            (QueryLevel::Image, tags::SOP_INSTANCE_UID),
            (QueryLevel::Series, tags::SERIES_INSTANCE_UID),
            (QueryLevel::Study, tags::STUDY_INSTANCE_UID),
        ] {
            if let Some(Matcher::Uids(uids)) = query.matcher(tag) {
                let start = vec![Value::Integer(0)];
                return Ok(Entry { by: By::Uids(level), start, end: None, uids: uids.clone() });
            }
        }
        if let Some(by) = query.order.map(Order::by).filter(|by| by.level() <= query.level) {
            let all = || (String::new(), LAST.to_string());
            return Ok(Entry::within(by, range(by, query).unwrap_or_else(all)));
        }
        let ranges = [By::Accession, By::PatientId, By::Name, By::Moment].map(|by| (by, range(by, query)));
        let mut best: Option<(i64, By, (String, String))> = None;
        for (by, range) in ranges {
            let Some((from, to)) = range.filter(|_| by.level() <= query.level) else { continue };
            let rows = c.prepare_cached(by.counting())?.query_row((&from, &to, COUNTED), |row| row.get(0))?;
            if best.as_ref().is_none_or(|(least, ..)| rows < *least) {
                best = Some((rows, by, (from, to)));
            }
        }
        if let Some((_, by, range)) = best {
            return Ok(Entry::within(by, range));
        }
        if query.level == QueryLevel::Patient {
            return Ok(Entry { by: By::Patients, start: vec![Value::Integer(0)], end: None, uids: Vec::new() });
        }
        let last = Value::Text(LAST.to_string());
        let start = vec![last.clone(), last, Value::Integer(i64::MAX)];
        Ok(Entry { by: By::Moment, start, end: None, uids: Vec::new() })
    }

    /// A stretch of an index, both ends included.
    fn within(by: By, (from, to): (String, String)) -> Entry {
        let text = |text: &str| Value::Text(text.to_owned());
        let (start, end) = match by {
            By::Moment => (vec![Value::Text(to), text(&LAST.to_string()), Value::Integer(i64::MAX)], from),
            By::PatientId | By::Oldest => (vec![Value::Text(from), text(""), Value::Integer(0)], to),
            _ => (vec![Value::Text(from), Value::Integer(0)], to),
        };
        Entry { by, start, end: Some(end), uids: Vec::new() }
    }

    /// Whether a key lies behind the end.
    pub(super) fn is_behind(&self, first: &str) -> bool {
        self.end.as_deref().is_some_and(|end| if self.by == By::Moment { first < end } else { first > end })
    }

    /// Whether a row is one that another row of this stretch tells too.
    pub(super) fn is_repeated(&self, group: &str, folded: &str) -> bool {
        let (By::Name, [Value::Text(from), ..], Some(to)) = (self.by, self.start.as_slice(), &self.end) else {
            return false;
        };
        !Name::is_first((from, to), group, folded)
    }
}

/// What a key leaves of an index: both ends included.
pub(super) fn range(by: By, query: &Query) -> Option<(String, String)> {
    let only = |tag: Tag| match query.matcher(tag)? {
        Matcher::Texts(patterns) => match patterns.as_slice() {
            [one] => Some(one),
            _ => None,
        },
        _ => None,
    };
    let texts = |tag| {
        let pattern = only(tag)?;
        let prefix = pattern.prefix();
        match pattern {
            super::pattern::Pattern::Exact(_) => Some((prefix.clone(), prefix)),
            super::pattern::Pattern::Wild(_) => after(&prefix),
        }
    };
    match by {
        By::Accession => texts(tags::ACCESSION_NUMBER),
        By::PatientId => texts(tags::PATIENT_ID),
        By::Name => match query.matcher(tags::PATIENT_NAME)? {
            Matcher::Names(names) => match names.as_slice() {
                [one] => one.range(),
                _ => None,
            },
            _ => None,
        },
        By::Moment | By::Oldest => match query.matcher(tags::STUDY_DATE)? {
            Matcher::Days(days) => match days.as_slice() {
                [Days { from, to }] => {
                    // Days are digits: `0` is before, `9…` not behind the last one.
                    Some((from.clone().unwrap_or_else(|| "0".into()), to.clone().unwrap_or_else(|| ":".into())))
                }
                _ => None,
            },
            _ => None,
        },
        By::Uids(_) | By::Patients | By::Listed(_) => None,
    }
}
