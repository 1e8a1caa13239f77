//! Query by example: attributes by their DICOM keywords or tags, at every level, page by page.
//!
//! A query enters by the index that leaves the least to read, goes down level by level, and compares each row with the
//! keys of its level in Rust: SQL only reads in the order of an index, so that a page costs the same in a large archive
//! as in a small one, and no text of the asker becomes SQL (I8). Nothing is held between two pages.

mod attributes;
mod elsewhere;
mod entry;
mod listed;
mod matching;
mod names;
mod pattern;
mod times;
mod walk;

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::{Catalog, CatalogError};
use crate::db::DbError;
use crate::dicom::{QueryLevel, SopInstanceUid, Tag, tags};
use crate::store::{Digest, Place};
use matching::Matcher;
use times::Moments;
use walk::{Path, Walk};

pub use attributes::{ATTRIBUTES, Attribute, Compared, KeyType};
pub use entry::Order;
pub use walk::Cursor;

#[cfg(test)]
pub(super) use entry::By;
use entry::after;
#[cfg(test)]
pub(super) use listed::{AWAITED, ListedBy};
pub(super) use listed::{open, unproven};
#[cfg(test)]
pub(super) use walk::{BROUGHT, within};

/// The longest value of a key that is compared with, in bytes: lists of UIDs are long.
const LONGEST_VALUE: usize = 1 << 20;

/// How many rows [`Catalog::find`] reads at once.
const PAGE: usize = 500;

/// Answers up to this many are put in order as a whole, also when fewer were asked for.
const SORTED: usize = 10_000;

/// A query, ready to be asked.
#[derive(Debug)]
pub struct Query {
    level: QueryLevel,
    returned: Vec<(&'static Attribute, usize)>,
    wanted: Vec<Wanted>,
    files: bool,
    order: Option<Order>,
    source: Option<String>,
    union: bool,
    only_listed: bool,
}

/// What was agreed on beyond the ordinary (PS3.4 §C.5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// A date and a time that are ranges of one form mean one stretch of time.
    pub combined: bool,
    /// Names match by their sound, in any order of their words.
    pub fuzzy: bool,
    /// Matches tell where the bytes of an instance are.
    pub files: bool,
    /// Studies that are listed and not filed, or not as a whole, are found as well: behind what is filed.
    pub union: bool,
}

/// A condition on the rows of a level.
#[derive(Debug)]
struct Wanted {
    level: QueryLevel,
    tag: Tag,
    column: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Value(Matcher),
    /// The column is the date, and here is the one of the time.
    Moments(Moments, usize),
}

/// A match: one value for each of [`Query::returned`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The values. What is not known is empty.
    pub values: Vec<String>,
    /// Where the bytes are, at instance level, if the query wants to know.
    pub file: Option<FoundFile>,
    /// A source lists objects of it that are not filed here.
    pub nearline: bool,
}

/// Some matches of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// What was found; may be nothing, although there is more.
    pub rows: Vec<Match>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// What a query found, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The matches, as many as were asked for at most.
    pub rows: Vec<FoundRow>,
    /// Whether there are more.
    pub more: bool,
}

/// A match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRow {
    /// Values by keyword, those of the patient first. What is not known is empty.
    pub attributes: Vec<(&'static str, String)>,
    /// Where the bytes are, at instance level.
    pub file: Option<FoundFile>,
}

/// The bytes of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The place in the storage folder, or the whole path of a linked file.
    pub file: Place,
    /// Bytes of the file.
    pub size: u64,
    /// BLAKE3 of the data set; of a linked file it may not be known.
    pub digest: Option<Digest>,
}

/// Why a query could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// A keyword that is no key at this level.
    #[error("`{keyword}` is no key at {level} level; the nearest one is {nearest}")]
    Keyword {
        /// What was given.
        keyword: String,
        /// Where it was given.
        level: QueryLevel,
        /// What may have been meant.
        nearest: &'static str,
    },
    /// A value that cannot be compared with.
    #[error("`{value}` is no value for {keyword}: {wanted}")]
    Value {
        /// The key.
        keyword: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        wanted: &'static str,
    },
}

impl FoundRow {
    /// The value of an attribute.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == keyword).map(|(_, value)| value.as_str())
    }
}

impl Query {
    /// Makes a query at a level of attributes and the values that they must match; an empty value, or one of stars only,
    /// matches everything. Every attribute is returned, in this order.
    pub fn new<'v>(
        level: QueryLevel,
        options: Options,
        keys: impl IntoIterator<Item = (&'static Attribute, &'v str)>,
    ) -> Result<Query, InvalidQuery> {
        let mut query = Query {
            level,
            returned: Vec::new(),
            wanted: Vec::new(),
            files: options.files,
            union: false,
            only_listed: false,
            order: None,
            source: None,
        };
        query.union = options.union && level <= QueryLevel::Study;
        for (attribute, value) in keys {
            if query.returned.iter().any(|(known, _)| known.tag == attribute.tag) {
                continue;
            }
            let column = attribute.column();
            query.returned.push((attribute, column));
            let Some(value) = matching::asked(value) else { continue };
            if value.len() > LONGEST_VALUE {
                let wanted = "it is longer than any query needs";
                let value = format!("{} bytes", value.len());
                return Err(InvalidQuery::Value { keyword: attribute.keyword, value, wanted });
            }
            let what = What::Value(Matcher::new(attribute, value, options.fuzzy)?);
            let person = attribute.compared == Compared::Person;
            let column = if person { attributes::width(attribute.level) - 1 } else { column };
            query.wanted.push(Wanted { level: attribute.level, tag: attribute.tag, column, what });
        }
        if options.combined {
            query.combine(tags::STUDY_DATE, tags::STUDY_TIME);
            query.combine(tags::SERIES_DATE, tags::SERIES_TIME);
        }
        Ok(query)
    }

    /// Answers in this order, where the level has it; unless UIDs are asked for, which are few.
    pub fn ordered(self, order: Order) -> Query {
        Query { order: Some(order), ..self }
    }

    /// Finds studies that are listed and not filed, or not as a whole, as well: behind what is filed. Or nothing else.
    pub fn united(self, only_listed: bool) -> Query {
        Query { union: self.level <= QueryLevel::Study, only_listed, ..self }
    }

    /// Only studies of which this source has brought something; the one without a name is nobody that is configured.
    pub fn brought_by(self, source: &str) -> Query {
        Query { source: Some(source.to_owned()), ..self }
    }

    /// The attributes that matches tell.
    pub fn returned(&self) -> impl Iterator<Item = &'static Attribute> {
        self.returned.iter().map(|(attribute, _)| *attribute)
    }

    /// The days stay a condition of their own, which an index serves; the times do not.
    fn combine(&mut self, date: Tag, time: Tag) {
        let of = |tag| self.wanted.iter().find(|wanted: &&Wanted| wanted.tag == tag);
        let Some((date, time)) = of(date).zip(of(time)) else { return };
        let (What::Value(Matcher::Days(days)), What::Value(Matcher::Times(times))) = (&date.what, &time.what) else {
            return;
        };
        let ([days], [times]) = (days.as_slice(), times.as_slice()) else { return };
        let Some(moments) = Moments::of(days, times) else { return };
        let both = Wanted { what: What::Moments(moments, time.column), ..*date };
        let time = time.tag;
        self.wanted.retain(|wanted| wanted.tag != time);
        self.wanted.push(both);
    }

    /// What a key asks for.
    fn matcher(&self, tag: Tag) -> Option<&Matcher> {
        self.wanted.iter().find_map(|wanted| match &wanted.what {
            What::Value(matcher) if wanted.tag == tag => Some(matcher),
            _ => None,
        })
    }

    fn answer(&self, path: &Path<'_>) -> Result<Match, DbError> {
        let mut values = Vec::with_capacity(self.returned.len());
        for (attribute, column) in &self.returned {
            values.push(with_text(path.value(attribute.level, *column)?, str::to_owned)?);
        }
        let file = if self.files && self.level == QueryLevel::Image { path.file()? } else { None };
        Ok(Match { values, file, nearline: false })
    }

    /// A study of which a source lists more than is filed is said to be so, with the number that it will have.
    fn complete(&self, c: &Connection, path: &Path<'_>, found: &mut Match) -> Result<(), DbError> {
        let uid = Attribute::at(QueryLevel::Study, tags::STUDY_INSTANCE_UID).map_or(0, Attribute::column);
        let awaited = with_text(path.value(QueryLevel::Study, uid)?, |uid| listed::awaited(c, uid))??;
        let Some(instances) = awaited else { return Ok(()) };
        found.nearline = true;
        for ((attribute, _), value) in self.returned.iter().zip(&mut found.values) {
            if attribute.tag == tags::NUMBER_OF_STUDY_RELATED_INSTANCES
                && value.parse().is_ok_and(|n: i64| n < instances)
            {
                *value = instances.to_string();
            }
        }
        Ok(())
    }
}

impl Wanted {
    fn matches<'v>(&self, value: impl Fn(usize) -> rusqlite::Result<ValueRef<'v>>) -> Result<bool, DbError> {
        let this = value(self.column)?;
        Ok(match &self.what {
            What::Value(matcher) => with_text(this, |text| matcher.matches(text))?,
            What::Moments(moments, time) => {
                let time = value(*time)?;
                with_text(this, |day| with_text(time, |time| moments.contain(day, time)))??
            }
        })
    }
}

/// A column as text.
fn with_text<T>(value: ValueRef<'_>, then: impl FnOnce(&str) -> T) -> Result<T, DbError> {
    Ok(match value {
        ValueRef::Integer(number) => then(&number.to_string()),
        ValueRef::Null => then(""),
        other => then(other.as_str().map_err(rusqlite::Error::from)?),
    })
}

impl Catalog {
    /// The next matches of a query, `room` at most: from the beginning, or from where another page ended. They come in
    /// the order of whatever index the query is read by, studies usually newest first. What is filed meanwhile may or may
    /// not be among them; nothing comes twice.
    pub async fn search(&self, query: &Arc<Query>, from: Option<Cursor>, room: usize) -> Result<Page, CatalogError> {
        let query = Arc::clone(query);
        self.read(move |c| {
            let (rows, next) = Walk::page(c, &query, from, room)?;
            Ok(Page { rows, next })
        })
        .await
    }

    /// The object that is filed under a UID, as queries show it. What is no UID is that of nothing.
    pub async fn filed_under(&self, instance: &SopInstanceUid) -> Result<Option<FoundRow>, CatalogError> {
        if !instance.is_conformant() {
            return Ok(None);
        }
        let keys = [("SOPInstanceUID".to_owned(), instance.as_str().to_owned())];
        Ok(self.find(QueryLevel::Image, &keys, 1).await?.rows.into_iter().next())
    }

    /// The filed patients, studies, series or instances that match all keys, newest first. Values match as in DICOM: `*`
    /// and `?` are wildcards, backslashes separate alternatives, dates and times may be ranges, an empty value matches
    /// everything; names match without regard to case and diacritics, in any of their component groups.
    pub async fn find(
        &self,
        level: QueryLevel,
        keys: &[(String, String)],
        limit: usize,
    ) -> Result<Found, CatalogError> {
        let mut asked = Vec::new();
        for (keyword, value) in keys {
            let known = Attribute::of(level).find(|attribute| attribute.keyword.eq_ignore_ascii_case(keyword));
            let nearest = || attributes::nearest(level, keyword);
            let unknown = || InvalidQuery::Keyword { keyword: keyword.clone(), level, nearest: nearest() };
            asked.push((known.ok_or_else(unknown)?, value.as_str()));
        }
        // Every attribute in the order of the table, whatever was asked for.
        let value = |attribute: &Attribute| asked.iter().find(|(key, _)| key.tag == attribute.tag);
        let all = Attribute::of(level).map(|attribute| (attribute, value(attribute).map_or("", |(_, value)| value)));
        let query = Arc::new(Query::new(level, Options { files: true, ..Options::default() }, all)?);
        let (mut matches, mut from) = (Vec::new(), None);
        let enough = limit.max(SORTED).saturating_add(1);
        loop {
            let page = self.search(&query, from, PAGE.min(enough - matches.len())).await?;
            matches.extend(page.rows);
            from = page.next;
            if from.is_none() || matches.len() == enough {
                break;
            }
        }
        let mut rows: Vec<FoundRow> = matches
            .into_iter()
            .map(|found| FoundRow {
                attributes: query.returned().map(|attribute| attribute.keyword).zip(found.values).collect(),
                file: found.file,
            })
            .collect();
        rows.sort_by_cached_key(newest_first);
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Found { rows, more })
    }
}

/// The order in which people read answers: the latest study first, its series and their instances by number.
fn newest_first(row: &FoundRow) -> impl Ord + use<> {
    let text = |keyword| row.get(keyword).unwrap_or_default().to_owned();
    let number = |keyword| row.get(keyword).and_then(|number| number.trim().parse::<i64>().ok()).unwrap_or(0);
    (
        std::cmp::Reverse((text("StudyDate"), text("StudyTime"))),
        text("StudyInstanceUID"),
        (number("SeriesNumber"), text("SeriesInstanceUID")),
        (number("InstanceNumber"), text("SOPInstanceUID")),
        (text("PatientName"), text("PatientID")),
    )
}
