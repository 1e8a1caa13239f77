//! The studies that are held: query by example, a page at a time.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::guard::Signed;
use super::study;
use super::texts::{days, shown};
use crate::catalog::{Attribute, CatalogError, Cursor, Options, Query};
use crate::config::Privilege;
use crate::dicom::QueryLevel;

/// Rows of a page.
const PAGE: usize = 50;
/// A filter that finds little reads on for so many pages of the catalog before it lets the person decide.
const PATIENCE: usize = 50;

/// What can be asked for, in the order of the columns: keyword, heading.
pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("PatientName", "Patient name"),
    ("PatientID", "Patient ID"),
    ("PatientBirthDate", "Birth date"),
    ("AccessionNumber", "Accession number"),
    ("StudyDate", "Study date"),
    ("StudyDescription", "Description"),
    ("ModalitiesInStudy", "Modality"),
    ("ReferringPhysicianName", "Referring physician"),
];
/// What else a row tells.
pub(super) const MORE: &[&str] = &["StudyInstanceUID", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"];
/// What a person, or a program, looks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    #[serde(rename = "PatientName")]
    patient_name: String,
    #[serde(rename = "PatientID")]
    patient_id: String,
    #[serde(rename = "PatientBirthDate")]
    birth_date: String,
    #[serde(rename = "AccessionNumber")]
    accession_number: String,
    #[serde(rename = "StudyDate")]
    study_date: String,
    #[serde(rename = "StudyDescription")]
    description: String,
    #[serde(rename = "ModalitiesInStudy")]
    modality: String,
    #[serde(rename = "ReferringPhysicianName")]
    referring: String,
    #[serde(rename = "StudyInstanceUID")]
    study: String,
    /// Where a page before this one ended.
    after: String,
}

/// A column head: what it is called, and what is asked for in it.
struct Head {
    keyword: &'static str,
    title: &'static str,
    value: String,
}

/// A study.
struct Row {
    address: String,
    cells: Vec<String>,
    series: String,
    instances: String,
}

#[derive(Template)]
#[template(path = "studies.html", config = "src/web/templates/askama.toml")]
struct StudiesPage {
    frame: Frame,
    heads: Vec<Head>,
    rows: Vec<Row>,
    next: Option<String>,
    filtered: bool,
    later: bool,
    trouble: Option<String>,
}

impl Filter {
    fn values(&self) -> [&str; 8] {
        [
            &self.patient_name,
            &self.patient_id,
            &self.birth_date,
            &self.accession_number,
            &self.study_date,
            &self.description,
            &self.modality,
            &self.referring,
        ]
    }

    /// As DICOM asks: what people leave open is open at its end, and days may have hyphens.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let keys = COLUMNS.iter().zip(self.values()).map(|((keyword, _), value)| {
            let value = value.trim();
            let asked = match *keyword {
                "StudyDate" | "PatientBirthDate" => days(value),
                "PatientName" | "ReferringPhysicianName" | "StudyDescription"
                    if !value.is_empty() && !value.contains(['*', '?', '\\']) =>
                {
                    format!("{value}*")
                }
                "ModalitiesInStudy" => value.to_uppercase(),
                _ => value.to_owned(),
            };
            (*keyword, asked)
        });
        keys.collect()
    }

    /// The address of a page that goes on from a place.
    fn address(&self, after: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for ((keyword, _), value) in COLUMNS.iter().zip(self.values()).filter(|(_, value)| !value.is_empty()) {
            query.append_pair(keyword, value);
        }
        query.append_pair("after", after);
        format!("/studies?{}", query.finish())
    }
}

/// The keywords of the values of a row.
pub(super) fn keywords() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(keyword, _)| *keyword).chain(MORE.iter().copied())
}

/// A query at a level that returns these attributes.
pub(super) fn query<'v>(
    level: QueryLevel,
    keys: impl IntoIterator<Item = (&'static str, &'v str)>,
) -> Result<Arc<Query>, CatalogError> {
    let known = |keyword: &str| Attribute::of(level).find(|attribute| attribute.keyword == keyword);
    let keys = keys.into_iter().filter_map(|(keyword, value)| Some((known(keyword)?, value)));
    Ok(Arc::new(Query::new(level, Options::default(), keys)?))
}

/// A page of studies, each with its values, and where the next one begins. `true` where it looked long and in vain.
pub(super) async fn look(web: &Web, filter: &Filter) -> Result<(Vec<Vec<String>>, Option<String>, bool), CatalogError> {
    let keys = filter.keys();
    let asked = keys.iter().map(|(keyword, value)| (*keyword, value.as_str()));
    let study = |keyword: &str| if keyword == "StudyInstanceUID" { filter.study.trim() } else { "" };
    let query = query(QueryLevel::Study, asked.chain(MORE.iter().map(|keyword| (*keyword, study(keyword)))))?;
    let mut from = Cursor::parse(&filter.after);
    let mut rows = Vec::new();
    for _ in 0..PATIENCE {
        let page = web.catalog.search(&query, from, PAGE - rows.len()).await?;
        rows.extend(page.rows.into_iter().map(|found| found.values));
        from = page.next;
        if from.is_none() || rows.len() >= PAGE {
            return Ok((rows, from.map(|from| from.to_text()), false));
        }
    }
    Ok((rows, from.map(|from| from.to_text()), true))
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Parameters(filter): Parameters<Filter>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    let (found, next, later, trouble) = match look(&web, &filter).await {
        Ok((found, next, later)) => (found, next, later, None),
        Err(CatalogError::Query(error)) => (Vec::new(), None, false, Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let rows = found.into_iter().map(|values| {
        let mut cells: Vec<String> =
            COLUMNS.iter().zip(&values).map(|(column, value)| shown(column.0, value)).collect();
        let mut more = values.into_iter().skip(COLUMNS.len());
        let mut more = || more.next().unwrap_or_default();
        let (uid, series, instances) = (more(), more(), more());
        if let Some(first) = cells.first_mut().filter(|name| name.is_empty()) {
            *first = "(no name)".to_owned();
        }
        Row { address: study::address(&uid), cells, series, instances }
    });
    let heads = COLUMNS.iter().zip(filter.values());
    Ok(page(&StudiesPage {
        rows: rows.collect(),
        heads: heads.map(|((keyword, title), value)| Head { keyword, title, value: value.to_owned() }).collect(),
        next: next.map(|next| filter.address(&next)),
        filtered: filter.values().iter().any(|value| !value.is_empty()),
        later,
        trouble,
        frame: Frame::of(&signed, "studies"),
    }))
}

pub(super) async fn list_json(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Parameters(filter): Parameters<Filter>,
) -> Result<Response, Refused> {
    signed.must(Privilege::View)?;
    if !filter.after.is_empty() && Cursor::parse(&filter.after).is_none() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "`after` is not what an answer gave", "begin without it"));
    }
    let (found, next, _) = look(&web, &filter).await.map_err(bad)?;
    let studies: Vec<Value> = found.into_iter().map(|values| object(keywords(), values)).collect();
    Ok(document(json!({ "studies": studies, "after": next })))
}

pub(super) fn object(keywords: impl Iterator<Item = &'static str>, values: Vec<String>) -> Value {
    let fields: Map<String, Value> =
        keywords.zip(values).map(|(keyword, value)| (keyword.to_owned(), Value::String(value))).collect();
    Value::Object(fields)
}

pub(super) fn bad(error: CatalogError) -> Refused {
    match error {
        CatalogError::Query(error) => Refused::new(StatusCode::BAD_REQUEST, error.to_string(), ""),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_brings_the_same_filter_back() {
        let filter = Filter { patient_name: "Doe & Söhne".into(), ..Filter::default() };
        let address = filter.address("x+y");
        let back: Filter = serde_urlencoded::from_str(address.split_once('?').unwrap().1).unwrap();
        assert_eq!((back.patient_name.as_str(), back.after.as_str()), ("Doe & Söhne", "x+y"));
    }
}
