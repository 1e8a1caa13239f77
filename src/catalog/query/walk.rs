//! One page of a query: from the entry down to the level that was asked for, each row compared with the keys of its
//! level. A page ends when it is full, or when much has been looked at and little found.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row};

use super::attributes::{LEVELS, columns, width};
use super::entry::{By, Entry};
use super::listed;
use super::{FoundFile, Match, Query};
use crate::catalog::places::{Bytes, instance_bytes};
use crate::db::DbError;
use crate::dicom::QueryLevel;

/// The most rows that a page looks at: some milliseconds, after which other readers, and a C-CANCEL, have their turn.
const LOOKED_AT: usize = 4000;

pub(super) const INSTANCE_JOINS: &str =
    "CROSS JOIN uids c ON c.id = i.class CROSS JOIN uids t ON t.id = i.transfer_syntax
    LEFT JOIN folders f ON f.id = i.link_folder";

/// Where a query stands: in which row of its entry, and within that how far on each level.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    pub(super) entry: Entry,
    /// The key of the row at hand.
    pub(super) key: Vec<Value>,
    /// That row is done with.
    pub(super) done: bool,
    /// The id to go on with, by level.
    pub(super) from: [i64; 4],
}

/// A cursor as it stands in an address.
#[derive(serde::Serialize, serde::Deserialize)]
struct CursorText {
    by: By,
    start: Vec<Key>,
    end: Option<String>,
    uids: Vec<String>,
    key: Vec<Key>,
    done: bool,
    from: [i64; 4],
}

/// Part of a key.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Key {
    Number(i64),
    Text(String),
}

impl Cursor {
    /// For the address of the next page.
    pub fn to_text(&self) -> String {
        let keys = |values: &[Value]| {
            let key = |value: &Value| match value {
                Value::Integer(number) => Key::Number(*number),
                Value::Text(text) => Key::Text(text.clone()),
                _ => Key::Text(String::new()),
            };
            values.iter().map(key).collect()
        };
        let Cursor { entry, key, done, from } = self;
        let text = CursorText {
            by: entry.by,
            start: keys(&entry.start),
            end: entry.end.clone(),
            uids: entry.uids.clone(),
            key: keys(key),
            done: *done,
            from: *from,
        };
        serde_json::to_vec(&text).map(|json| URL_SAFE_NO_PAD.encode(json)).unwrap_or_default()
    }

    /// What [`Cursor::to_text`] wrote; `None` of anything else. Whoever changes it gets another page of the same query:
    /// its parts are compared with, and nothing else.
    pub fn parse(text: &str) -> Option<Cursor> {
        let CursorText { by, start, end, uids, key, done, from } =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let values = |keys: Vec<Key>| -> Vec<Value> {
            let value = |key| match key {
                Key::Number(number) => Value::Integer(number),
                Key::Text(text) => Value::Text(text),
            };
            keys.into_iter().map(value).collect()
        };
        let (start, key) = (values(start), values(key));
        let columns = if matches!(by, By::Uids(_)) { 1 } else { by.key() };
        if start.len() != columns || key.len() != columns {
            return None;
        }
        Some(Cursor { entry: Entry { by, start, end, uids }, key, done, from })
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Full,
}

/// A row of each level down to one of them.
#[derive(Clone, Copy)]
pub(super) struct Path<'r>([Option<(&'r Row<'r>, usize)>; 4]);

pub(super) struct Walk<'q> {
    c: &'q Connection,
    query: &'q Query,
    room: usize,
    looks: usize,
    at: Cursor,
    rows: Vec<Match>,
}

/// The columns of an instance, and where its bytes are.
pub(super) fn instance_columns() -> String {
    [columns(QueryLevel::Image).as_str(), instance_bytes!()].join(", ")
}

/// The statement that reads the rows of a level within one of the level above, from an id on.
pub(in crate::catalog) fn within(level: QueryLevel) -> &'static str {
    static STATEMENTS: LazyLock<[String; 3]> =
        LazyLock::new(|| [QueryLevel::Study, QueryLevel::Series, QueryLevel::Image].map(within_sql));
    let [studies, series, instances] = &*STATEMENTS;
    match level {
        QueryLevel::Patient | QueryLevel::Study => studies,
        QueryLevel::Series => series,
        QueryLevel::Image => instances,
    }
}

fn within_sql(level: QueryLevel) -> String {
    match level {
        QueryLevel::Patient | QueryLevel::Study => format!(
            "SELECT {} FROM studies st WHERE st.patient = ?1 AND st.id >= ?2 AND st.instances > 0 ORDER BY st.id",
            columns(QueryLevel::Study)
        ),
        QueryLevel::Series => format!(
            "SELECT {} FROM series se WHERE se.study = ?1 AND se.id >= ?2 AND se.instances > 0 ORDER BY se.id",
            columns(QueryLevel::Series)
        ),
        QueryLevel::Image => format!(
            "SELECT {} FROM instances i CROSS JOIN series se ON se.id = i.series {INSTANCE_JOINS}
             WHERE i.series = ?1 AND i.id >= ?2 ORDER BY i.id",
            instance_columns()
        ),
    }
}

fn depth(level: QueryLevel) -> usize {
    LEVELS.iter().take_while(|known| **known != level).count()
}

impl<'q> Walk<'q> {
    /// A page of `room` matches at most, from the beginning or from where another one ended. What it found, and where to
    /// go on if there may be more.
    pub(super) fn page(
        c: &'q Connection,
        query: &'q Query,
        from: Option<Cursor>,
        room: usize,
    ) -> Result<(Vec<Match>, Option<Cursor>), DbError> {
        let at = match from {
            Some(cursor) => cursor,
            None if query.only_listed => listed::begin(query),
            None => {
                let entry = Entry::choose(c, query)?;
                Cursor { key: entry.start.clone(), entry, done: false, from: [0; 4] }
            }
        };
        if let By::Listed(by) = at.entry.by {
            return listed::page(c, query, by, at, room);
        }
        let mut walk = Walk { c, query, room, looks: LOOKED_AT, at, rows: Vec::new() };
        let flow = match walk.at.entry.by {
            By::Uids(_) => walk.uids()?,
            _ => walk.range()?,
        };
        let Walk { rows, at, .. } = walk;
        let end = query.union.then(|| listed::begin(query));
        Ok((rows, if flow == Flow::Full { Some(at) } else { end }))
    }

    /// From the row of the key on, as far as the entry goes.
    fn range(&mut self) -> Result<Flow, DbError> {
        let by = self.at.entry.by;
        let mut statement = self.c.prepare_cached(&by.sql())?;
        let mut rows = statement.query(rusqlite::params_from_iter(&self.at.key))?;
        let key_at = LEVELS.iter().take(depth(by.level()) + 1).map(|level| width(*level)).sum::<usize>();
        // The first row may be the one at hand.
        let mut at_hand = true;
        while let Some(row) = rows.next()? {
            if self.at.entry.is_behind(text(row, key_at)?) {
                return Ok(Flow::On);
            }
            let key = || (key_at..key_at + by.key()).map(|column| row.get(column)).collect::<Result<Vec<Value>, _>>();
            if !std::mem::take(&mut at_hand) || key()? != self.at.key {
                (self.at.done, self.at.from) = (false, [0; 4]);
            } else if self.at.done {
                continue;
            }
            let name = width(QueryLevel::Patient) - 1;
            let repeated = by == By::Name && self.at.entry.is_repeated(text(row, key_at)?, text(row, name)?);
            if !repeated && self.enter(row)? == Flow::Full {
                self.at.key = key()?;
                return Ok(Flow::Full);
            }
            self.at.done = true;
            if self.looks == 0 {
                self.at.key = key()?;
                return Ok(Flow::Full);
            }
        }
        Ok(Flow::On)
    }

    /// From the UID at hand on; its number in the list is the key.
    fn uids(&mut self) -> Result<Flow, DbError> {
        let by = self.at.entry.by;
        loop {
            let number = match self.at.key.as_slice() {
                [Value::Integer(number)] => *number,
                _ => 0,
            };
            let uid = usize::try_from(number).ok().and_then(|number| self.at.entry.uids.get(number)).cloned();
            let Some(uid) = uid else { return Ok(Flow::On) };
            let mut statement = self.c.prepare_cached(&by.sql())?;
            let mut rows = statement.query([&uid])?;
            // One UID may stand for several rows, a study each, of which some may be done with.
            while let Some(row) = rows.next()? {
                let study: i64 = row.get(width(QueryLevel::Patient))?;
                if study < self.from(QueryLevel::Study) {
                    continue;
                }
                if study > self.from(QueryLevel::Study) {
                    self.set(QueryLevel::Study, study);
                }
                if self.enter(row)? == Flow::Full {
                    return Ok(Flow::Full);
                }
                self.set(QueryLevel::Study, study + 1);
            }
            (self.at.key, self.at.from) = (vec![Value::Integer(number + 1)], [0; 4]);
            if self.looks == 0 {
                return Ok(Flow::Full);
            }
        }
    }

    /// A row of the entry, with those of all levels above it.
    fn enter(&mut self, row: &Row<'_>) -> Result<Flow, DbError> {
        let level = self.at.entry.by.level();
        let mut path = Path([None; 4]);
        let mut base = 0;
        for (place, known) in path.0.iter_mut().zip(LEVELS).take(depth(level) + 1) {
            *place = Some((row, base));
            base += width(known);
        }
        self.looks = self.looks.saturating_sub(1);
        for known in LEVELS.into_iter().take(depth(level) + 1) {
            if !self.fits(&path, known)? {
                return Ok(Flow::On);
            }
        }
        self.down(path, level)
    }

    /// A row that fits: a match, or what may hold some.
    fn down(&mut self, path: Path<'_>, level: QueryLevel) -> Result<Flow, DbError> {
        if level == self.query.level {
            if self.rows.len() == self.room {
                return Ok(Flow::Full);
            }
            let mut found = self.query.answer(&path)?;
            if self.query.union && level == QueryLevel::Study {
                self.query.complete(self.c, &path, &mut found)?;
            }
            self.rows.push(found);
            return Ok(Flow::On);
        }
        let Some(next) = LEVELS.get(depth(level) + 1).copied() else { return Ok(Flow::On) };
        let mut statement = self.c.prepare_cached(within(next))?;
        let mut rows = statement.query([path.id(level)?, self.from(next)])?;
        while let Some(row) = rows.next()? {
            if self.looks == 0 {
                return Ok(Flow::Full);
            }
            self.looks -= 1;
            let id = row.get(0)?;
            if id != self.from(next) {
                self.set(next, id);
            }
            let path = path.with(next, row);
            if self.fits(&path, next)? && self.down(path, next)? == Flow::Full {
                return Ok(Flow::Full);
            }
            self.set(next, id + 1);
        }
        Ok(Flow::On)
    }

    fn from(&self, level: QueryLevel) -> i64 {
        self.at.from.get(depth(level)).copied().unwrap_or(0)
    }

    /// Goes on with this id at a level, and from the beginning below it.
    fn set(&mut self, level: QueryLevel, id: i64) {
        let mut below = id;
        for from in self.at.from.iter_mut().skip(depth(level)) {
            *from = std::mem::take(&mut below);
        }
    }

    fn fits(&self, path: &Path<'_>, level: QueryLevel) -> Result<bool, DbError> {
        for wanted in self.query.wanted.iter().filter(|wanted| wanted.level == level) {
            if !wanted.matches(|column| path.value(level, column))? {
                return Ok(false);
            }
        }
        match &self.query.source {
            Some(source) if level == QueryLevel::Study => {
                Ok(self.c.prepare_cached(BROUGHT)?.exists(rusqlite::params![path.id(level)?, source])?)
            }
            _ => Ok(true),
        }
    }
}

/// Whether a source has brought something of a study.
pub(in crate::catalog) const BROUGHT: &str =
    "SELECT 1 FROM receipts WHERE study = ?1 AND source = (SELECT id FROM sources WHERE name = ?2)";

impl<'r> Path<'r> {
    fn with<'s>(self, level: QueryLevel, row: &'s Row<'s>) -> Path<'s>
    where
        'r: 's,
    {
        let mut path = Path(self.0);
        if let Some(place) = path.0.get_mut(depth(level)) {
            *place = Some((row, 0));
        }
        path
    }

    /// A column of a level.
    pub(super) fn value(&self, level: QueryLevel, column: usize) -> rusqlite::Result<ValueRef<'_>> {
        match self.0.get(depth(level)) {
            Some(Some((row, base))) => row.get_ref(base + column),
            _ => Ok(ValueRef::Null),
        }
    }

    fn id(&self, level: QueryLevel) -> rusqlite::Result<i64> {
        Ok(self.value(level, 0)?.as_i64_or_null()?.unwrap_or(0))
    }

    /// Where the bytes of the instance are.
    pub(super) fn file(&self) -> rusqlite::Result<Option<FoundFile>> {
        let Some(Some((row, base))) = self.0.last() else { return Ok(None) };
        let Bytes { place, file_size, digest, .. } = Bytes::read(row, base + width(QueryLevel::Image))?;
        Ok(Some(FoundFile { file: place, size: file_size, digest }))
    }
}

/// A column's text; empty for a number.
fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    match row.get_ref(column)? {
        ValueRef::Integer(_) => Ok(""),
        other => Ok(other.as_str()?),
    }
}
