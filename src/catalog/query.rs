//! Query by example: attributes by their DICOM keywords, at study, series or instance level.

mod columns;
mod matching;

use rusqlite::Row;
use rusqlite::types::{Value, ValueRef};

use super::places::{Bytes, instance_bytes};
use super::{Catalog, CatalogError};
use crate::dicom::QueryLevel;
use crate::store::{Digest, Place};
use columns::Column;

#[cfg(test)]
pub(super) use columns::of as columns_of;

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
    /// A level that the catalog does not answer at.
    #[error("the catalog is asked at STUDY, SERIES or IMAGE level, not at {0} level")]
    Level(QueryLevel),
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

impl Catalog {
    /// The filed studies, series or instances that match all keys. Values match as in DICOM: `*` and `?` are
    /// wildcards, backslashes separate alternatives, dates and times may be ranges, an empty value matches everything;
    /// names match without regard to case and diacritics, in any of their component groups.
    pub async fn find(
        &self,
        level: QueryLevel,
        keys: &[(String, String)],
        limit: usize,
    ) -> Result<Found, CatalogError> {
        let columns = columns::of(level).ok_or(InvalidQuery::Level(level))?;
        let (sql, parameters) = statement(level, &columns, keys, limit)?;
        self.read(move |c| {
            let mut statement = c.prepare(&sql)?;
            let mut rows: Vec<FoundRow> = statement
                .query_map(rusqlite::params_from_iter(parameters), |row| found(row, &columns))?
                .collect::<Result<_, _>>()?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            Ok(Found { rows, more })
        })
        .await
    }
}

/// The statement of a query and its parameters. No text of the asker becomes SQL (I8).
pub(super) fn statement(
    level: QueryLevel,
    columns: &[&'static Column],
    keys: &[(String, String)],
    limit: usize,
) -> Result<(String, Vec<Value>), InvalidQuery> {
    let mut selected: Vec<_> = columns.iter().map(|column| column.sql).collect();
    let mut conditions = vec!["st.instances > 0".to_owned()];
    let mut parameters = Vec::new();
    for (keyword, value) in keys {
        let column = columns.iter().find(|column| column.keyword.eq_ignore_ascii_case(keyword)).ok_or_else(|| {
            InvalidQuery::Keyword { keyword: keyword.clone(), level, nearest: columns::nearest(columns, keyword) }
        })?;
        conditions.extend(matching::condition(column, value, &mut parameters)?);
    }
    let (from, order) = match level {
        QueryLevel::Series => (SERIES, ", CAST(se.number AS INTEGER), se.uid"),
        QueryLevel::Image => (INSTANCES, ", CAST(se.number AS INTEGER), se.uid, CAST(i.number AS INTEGER), i.uid"),
        _ => (STUDIES, ""),
    };
    if level >= QueryLevel::Series {
        conditions.push("se.instances > 0".into());
    }
    if level == QueryLevel::Image {
        selected.push(instance_bytes!());
    }
    let (selected, conditions) = (selected.join(", "), conditions.join(" AND "));
    parameters.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)));
    let sql = format!(
        "SELECT {selected} FROM {from} WHERE {conditions} \
         ORDER BY st.study_date DESC, st.study_time DESC, st.uid{order} LIMIT ?{}",
        parameters.len()
    );
    Ok((sql, parameters))
}

const STUDIES: &str = "studies st JOIN patients p ON p.id = st.patient";
const SERIES: &str = "studies st JOIN patients p ON p.id = st.patient JOIN series se ON se.study = st.id";
const INSTANCES: &str = "studies st JOIN patients p ON p.id = st.patient JOIN series se ON se.study = st.id \
    JOIN instances i ON i.series = se.id JOIN uids c ON c.id = i.class JOIN uids t ON t.id = i.transfer_syntax \
    LEFT JOIN folders f ON f.id = i.link_folder";

fn found(row: &Row<'_>, columns: &[&'static Column]) -> rusqlite::Result<FoundRow> {
    let mut attributes = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let value = match row.get_ref(index)? {
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Null => String::new(),
            other => other.as_str()?.to_owned(),
        };
        attributes.push((column.keyword, value));
    }
    let has_file = row.as_ref().column_count() > columns.len();
    Ok(FoundRow { attributes, file: if has_file { Some(file_of(row, columns.len())?) } else { None } })
}

fn file_of(row: &Row<'_>, at: usize) -> rusqlite::Result<FoundFile> {
    let Bytes { place, file_size, digest, .. } = Bytes::read(row, at)?;
    Ok(FoundFile { file: place, size: file_size, digest })
}
