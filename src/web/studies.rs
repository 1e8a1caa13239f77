//! The worklist: query by example, in three scopes, in the order of any index, a page at a time. An address says all of it,
//! so that a page can be shared.

mod list;
mod standing;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Web;
use super::answer::Refused;
use super::texts::days;
use crate::catalog::{Attribute, CatalogError, Cursor, InvalidQuery, Match, Options, Order, Query};
use crate::dicom::QueryLevel;
use axum::http::StatusCode;

pub(super) use list::{list, list_json};
pub(super) use standing::State;

/// Rows of a page.
const PAGE: usize = 50;
/// A filter that finds little reads on for so long before it lets the person decide.
const PATIENCE: Duration = Duration::from_millis(200);

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
/// What is asked for of patients, and told.
const OF_PATIENT: &[(&str, &str)] = &[
    ("PatientName", "Patient name"),
    ("PatientID", "Patient ID"),
    ("PatientBirthDate", "Birth date"),
    ("PatientSex", "Sex"),
    ("NumberOfPatientRelatedStudies", "Studies"),
    ("NumberOfPatientRelatedSeries", "Series"),
    ("NumberOfPatientRelatedInstances", "Objects"),
];
/// The source of what nobody brought that is configured.
const NOBODY: &str = "-";

/// The status of what a source lists and is not filed.
const NOT_FILED: &str = "not-filed";

/// What is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// Studies that queries show.
    #[default]
    Studies,
    /// Patients.
    Patients,
    /// Studies, those included that queries do not show.
    Admin,
}

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
    /// What is listed.
    scope: Scope,
    /// `newest`, `oldest`, `name`, `id` or `accession`; empty leaves it to the filter.
    sort: String,
    /// A word of [`State`].
    status: String,
    /// Who brought it; [`NOBODY`] for what was sent here or imported.
    source: String,
    /// Where a page before this one ended.
    after: String,
}

/// Some studies, or patients.
#[derive(Default)]
pub(super) struct Found {
    /// The values of each, in the order of [`keywords`].
    pub(super) rows: Vec<Vec<String>>,
    /// Where the next page begins.
    pub(super) next: Option<String>,
    /// Those of which a source lists what is not filed.
    pub(super) nearline: HashSet<String>,
    /// It looked long and in vain.
    later: bool,
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

    /// What is wrong with what was asked, in the words in which it was asked.
    pub(super) fn unclear(&self, error: &InvalidQuery) -> String {
        let written = match error {
            InvalidQuery::Value { keyword: "StudyDate", .. } => &self.study_date,
            InvalidQuery::Value { keyword: "PatientBirthDate", .. } => &self.birth_date,
            _ => return error.to_string(),
        };
        format!("`{written}` is no day and no range of days: write 2024-01-31, 2024-01, 2024, or 2024-01..2024-03")
    }

    fn is_filtered(&self) -> bool {
        self.values().iter().chain(&[self.status.as_str(), &self.source, &self.study]).any(|value| !value.is_empty())
    }

    /// The order that was asked for, if there is such a one.
    fn order(&self) -> Result<Option<Order>, Refused> {
        Ok(Some(match self.sort.as_str() {
            "" => return Ok(None),
            "newest" => Order::Newest,
            "oldest" => Order::Oldest,
            "name" => Order::PatientName,
            "id" => Order::PatientId,
            "accession" => Order::Accession,
            _ => return Err(wrong("the order is `newest`, `oldest`, `name`, `id` or `accession`")),
        }))
    }

    /// What studies are to be, if anything was asked.
    fn state(&self) -> Result<Option<State>, Refused> {
        match self.status.as_str() {
            "" | NOT_FILED => Ok(None),
            word => State::parse(word).map(Some).ok_or_else(|| {
                wrong("the status is `locked`, `quarantined`, `rejected`, `corrected`, `rescan-failed` or `not-filed`")
            }),
        }
    }

    /// Whether the order, the status and the place are such that can be asked for; pages and programs are told alike.
    fn check(&self) -> Result<(), Refused> {
        self.order()?;
        let by_number = self.state()?.is_some() && self.scope != Scope::Patients;
        let known = if by_number { self.after.parse::<usize>().is_ok() } else { Cursor::parse(&self.after).is_some() };
        if self.after.is_empty() || known {
            return Ok(());
        }
        Err(wrong("`after` is not what an answer gave: begin without it"))
    }

    /// Whether what is listed and not filed is shown: nobody has brought that yet.
    fn shows_listed(&self, web: &Web) -> bool {
        web.config.borrow().node.union && self.source.is_empty()
    }

    /// The address of a page that goes on from a place.
    fn address(&self, after: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for ((keyword, _), value) in COLUMNS.iter().zip(self.values()).filter(|(_, value)| !value.is_empty()) {
            query.append_pair(keyword, value);
        }
        let scope = match self.scope {
            Scope::Studies => "",
            Scope::Patients => "patients",
            Scope::Admin => "admin",
        };
        let more = [
            ("StudyInstanceUID", self.study.as_str()),
            ("scope", scope),
            ("sort", &self.sort),
            ("status", &self.status),
            ("source", &self.source),
            ("after", after),
        ];
        query.extend_pairs(more.iter().filter(|(_, value)| !value.is_empty()));
        format!("/studies?{}", query.finish())
    }

    /// The query, of studies that have one of these UIDs where some are given.
    fn query(&self, uids: Option<&str>) -> Result<Query, CatalogError> {
        let keys = self.keys();
        let asked = keys.iter().map(|(keyword, value)| (*keyword, value.as_str()));
        let more = MORE.iter().map(|keyword| match *keyword {
            "StudyInstanceUID" => (*keyword, uids.unwrap_or(self.study.trim())),
            keyword => (keyword, ""),
        });
        let mut query = asking(QueryLevel::Study, asked.chain(more))?;
        if let Ok(Some(order)) = self.order() {
            query = query.ordered(order);
        }
        Ok(match self.source.as_str() {
            "" => query,
            NOBODY => query.brought_by(""),
            source => query.brought_by(source),
        })
    }
}

fn wrong(what: &str) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, what, "")
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
    Ok(Arc::new(asking(level, keys)?))
}

fn asking<'v>(
    level: QueryLevel,
    keys: impl IntoIterator<Item = (&'static str, &'v str)>,
) -> Result<Query, CatalogError> {
    let known = |keyword: &str| Attribute::of(level).find(|attribute| attribute.keyword == keyword);
    let keys = keys.into_iter().filter_map(|(keyword, value)| Some((known(keyword)?, value)));
    Ok(Query::new(level, Options::default(), keys)?)
}

/// A query of studies of which nothing is filed.
pub(super) fn united<'v>(keys: impl IntoIterator<Item = (&'static str, &'v str)>) -> Result<Arc<Query>, CatalogError> {
    Ok(Arc::new(asking(QueryLevel::Study, keys)?.united(true)))
}

/// A page of studies; with what is not filed yet, where the archive shows that.
pub(super) async fn look(web: &Web, filter: &Filter) -> Result<Found, CatalogError> {
    match filter.state() {
        Ok(Some(state)) => standing::look(web, filter, state).await,
        _ => {
            let union = filter.shows_listed(web);
            let only = filter.status == NOT_FILED;
            let query = filter.query(None)?;
            let query = match (union, only) {
                (true, only) => query.united(only),
                (false, true) => return Ok(Found::default()),
                (false, false) => query,
            };
            let mut found = walk(web, Arc::new(query), &filter.after).await?;
            if filter.scope == Scope::Admin && filter.after.is_empty() {
                let unshown = standing::unshown(web, filter).await?;
                found.rows.splice(0..0, unshown);
            }
            Ok(found)
        }
    }
}

/// What stands beside a study but its lock, in words, each with how much it matters.
pub(super) async fn words(web: &Web, row: &[String]) -> Result<Vec<(&'static str, String)>, CatalogError> {
    let found = standing::beside(web, &[row.to_vec()]).await?;
    Ok(found.values().flat_map(standing::Beside::state_words).collect())
}

/// A page of patients.
async fn look_for_patients(web: &Web, filter: &Filter) -> Result<Found, CatalogError> {
    let keys = filter.keys();
    let value =
        |keyword: &str| keys.iter().find(|(known, _)| *known == keyword).map_or("", |(_, value)| value.as_str());
    let mut query = asking(QueryLevel::Patient, OF_PATIENT.iter().map(|(keyword, _)| (*keyword, value(keyword))))?;
    if let Ok(Some(order)) = filter.order() {
        query = query.ordered(order);
    }
    if filter.shows_listed(web) {
        query = query.united(false);
    }
    walk(web, Arc::new(query), &filter.after).await
}

/// A page of answers, as far as they come in time.
async fn walk(web: &Web, query: Arc<Query>, after: &str) -> Result<Found, CatalogError> {
    let begun = Instant::now();
    let mut from = Cursor::parse(after);
    let (mut rows, mut nearline) = (Vec::new(), HashSet::new());
    loop {
        let page = web.catalog.search(&query, from, PAGE - rows.len()).await?;
        for Match { values, nearline: more, .. } in page.rows {
            if more {
                nearline.insert(standing::uid_of(&values).to_owned());
            }
            rows.push(values);
        }
        from = page.next;
        let later = begun.elapsed() > PATIENCE;
        if from.is_none() || rows.len() >= PAGE || later {
            let later = later && from.is_some() && rows.len() < PAGE;
            return Ok(Found { rows, nearline, next: from.map(|from| from.to_text()), later });
        }
    }
}

pub(super) fn object(keywords: impl Iterator<Item = &'static str>, values: Vec<String>) -> Value {
    let fields: Map<String, Value> =
        keywords.zip(values).map(|(keyword, value)| (keyword.to_owned(), Value::String(value))).collect();
    Value::Object(fields)
}

pub(super) fn bad(error: CatalogError) -> Refused {
    match error {
        CatalogError::Query(error) => wrong(&error.to_string()),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_brings_the_same_filter_back() {
        let filter = Filter {
            patient_name: "Doe & Söhne".into(),
            scope: Scope::Admin,
            sort: "name".into(),
            status: "locked".into(),
            ..Filter::default()
        };
        let address = filter.address("x+y");
        let back: Filter = serde_urlencoded::from_str(address.split_once('?').unwrap().1).unwrap();
        assert_eq!((back.patient_name.as_str(), back.after.as_str()), ("Doe & Söhne", "x+y"));
        assert_eq!((back.scope, back.sort.as_str(), back.status.as_str()), (Scope::Admin, "name", "locked"));
        let wrong = Filter { sort: "size".into(), status: "happy".into(), ..Filter::default() };
        assert!(wrong.order().is_err() && wrong.state().is_err());
    }
}
