//! The worklist as a page and as JSON.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::standing::{self, Beside, STATES, uid_of};
use super::{
    COLUMNS, Filter, Found, NOBODY, NOT_FILED, OF_PATIENT, Scope, bad, keywords, look, look_for_patients, object,
};
use crate::catalog::CatalogError;
use crate::web::Web;
use crate::web::answer::{Frame, Refused, document, page};
use crate::web::guard::Viewer;
use crate::web::panes::May;
use crate::web::texts::shown;

/// A column head: what it is called, what is asked for in it, and where it leads that orders by it.
struct Head {
    keyword: &'static str,
    title: &'static str,
    value: String,
    sort: String,
    /// `ascending`, `descending`, or nothing.
    sorted: &'static str,
    /// It can be asked for.
    asked: bool,
    number: bool,
}

/// A choice of a list.
struct Choice {
    value: String,
    title: String,
    chosen: bool,
}

/// A study, or a patient.
struct Row {
    uid: String,
    address: String,
    cells: Vec<(&'static str, String)>,
    numbers: Vec<(&'static str, String)>,
    words: Vec<(&'static str, String)>,
    sources: String,
    holder: Option<String>,
}

/// A scope, for the tabs.
struct Tab {
    title: &'static str,
    address: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "studies.html", config = "src/web/templates/askama.toml")]
struct StudiesPage {
    frame: Frame,
    title: &'static str,
    tabs: Vec<Tab>,
    heads: Vec<Head>,
    numbers: &'static [&'static str],
    states: Vec<Choice>,
    sources: Vec<Choice>,
    patients: bool,
    hidden: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    next: Option<String>,
    all: String,
    filtered: bool,
    later: bool,
    trouble: Option<String>,
    may: May,
}

pub(in crate::web) async fn list(
    State(web): State<Arc<Web>>,
    Viewer(signed): Viewer,
    Parameters(filter): Parameters<Filter>,
) -> Result<Response, Refused> {
    filter.check()?;
    let patients = filter.scope == Scope::Patients;
    let found = if patients { look_for_patients(&web, &filter).await } else { look(&web, &filter).await };
    let (found, trouble) = match found {
        Ok(found) => (found, None),
        Err(CatalogError::Query(error)) => (Found::default(), Some(filter.unclear(&error))),
        Err(error) => return Err(error.into()),
    };
    let rows = match patients {
        true => found.rows.into_iter().map(|values| patient(&filter, values)).collect(),
        false => {
            let mut beside = standing::beside(&web, &found.rows).await?;
            let row = |values: Vec<String>| {
                let beside = beside.remove(uid_of(&values)).unwrap_or_default().with_rest(&found.nearline, &values);
                study_row(values, &beside)
            };
            found.rows.into_iter().map(row).collect()
        }
    };
    let columns = if patients { OF_PATIENT } else { COLUMNS };
    let status = if trouble.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = page(&StudiesPage {
        title: if patients { "Patients" } else { "Studies" },
        tabs: tabs(&filter),
        heads: columns.iter().map(|column| head(&filter, *column)).collect(),
        numbers: if patients { &[] } else { &["Series", "Objects"] },
        states: states(&filter, web.config.borrow().node.union),
        sources: sources(&web, &filter),
        patients,
        hidden: hidden(&filter),
        rows,
        next: found.next.map(|next| filter.address(&next)),
        all: Filter { scope: filter.scope, sort: filter.sort.clone(), ..Filter::default() }.address(""),
        filtered: filter.is_filtered(),
        later: found.later,
        trouble,
        may: May::of(&web, &signed),
        frame: Frame::of(&signed, "studies"),
    });
    Ok((status, page).into_response())
}

fn study_row(values: Vec<String>, beside: &Beside) -> Row {
    let uid = uid_of(&values).to_owned();
    let mut cells: Vec<_> =
        COLUMNS.iter().zip(&values).map(|(column, value)| (column.1, shown(column.0, value))).collect();
    if let Some((_, first)) = cells.first_mut().filter(|(_, name)| name.is_empty()) {
        *first = "(no name)".to_owned();
    }
    let mut numbers = values.into_iter().skip(COLUMNS.len() + 1);
    let mut next = |title| (title, numbers.next().unwrap_or_default());
    Row {
        address: beside.address(&uid),
        numbers: vec![next("Series"), next("Objects")],
        cells,
        words: beside.words(),
        sources: beside.sources(),
        holder: beside.holder().map(str::to_owned),
        uid: if beside.is_shown() && beside.is_filed() { uid } else { String::new() },
    }
}

/// A patient leads to his studies.
fn patient(filter: &Filter, values: Vec<String>) -> Row {
    let of = |at: usize| values.get(at).cloned().unwrap_or_default();
    // What would be a wildcard is found by its ID alone.
    let name = if of(0).contains(['*', '?', '\\']) { String::new() } else { of(0) };
    let studies = Filter { patient_name: name, patient_id: of(1), sort: "newest".into(), ..Filter::default() };
    let mut cells: Vec<_> =
        OF_PATIENT.iter().zip(&values).map(|(column, value)| (column.1, shown(column.0, value))).collect();
    if let Some((_, first)) = cells.first_mut().filter(|(_, name)| name.is_empty()) {
        *first = "(no name)".to_owned();
    }
    let numbers = cells.split_off(4.min(cells.len()));
    debug_assert_eq!(filter.scope, Scope::Patients);
    Row {
        uid: String::new(),
        address: studies.address(""),
        cells,
        numbers,
        words: Vec::new(),
        sources: String::new(),
        holder: None,
    }
}

fn tabs(filter: &Filter) -> Vec<Tab> {
    let scopes = [(Scope::Studies, "All Studies"), (Scope::Patients, "All Patients"), (Scope::Admin, "Admin")];
    let tab = |(scope, title)| {
        // What is not asked of patients would be asked in silence.
        let kept = match scope {
            Scope::Patients => Filter {
                patient_name: filter.patient_name.clone(),
                patient_id: filter.patient_id.clone(),
                birth_date: filter.birth_date.clone(),
                ..Filter::default()
            },
            _ => filter.clone(),
        };
        Tab { title, address: Filter { scope, ..kept }.address(""), chosen: scope == filter.scope }
    };
    scopes.into_iter().map(tab).collect()
}

fn head(filter: &Filter, (keyword, title): (&'static str, &'static str)) -> Head {
    let asked = COLUMNS.iter().zip(filter.values()).find(|((known, _), _)| *known == keyword);
    let (sort, sorted) = match (keyword, filter.sort.as_str()) {
        ("PatientName", "name") | ("PatientID", "id") | ("AccessionNumber", "accession") => ("", "ascending"),
        ("PatientName", _) => ("name", ""),
        ("PatientID", _) => ("id", ""),
        ("AccessionNumber", _) => ("accession", ""),
        ("StudyDate", "oldest") => ("newest", "ascending"),
        ("StudyDate", "newest") => ("oldest", "descending"),
        ("StudyDate", "") if !filter.is_filtered() => ("oldest", "descending"),
        ("StudyDate", _) => ("newest", ""),
        _ => ("", ""),
    };
    let to = || Filter { sort: sort.to_owned(), ..filter.clone() }.address("");
    Head {
        keyword,
        title,
        value: asked.map(|(_, value)| value.to_owned()).unwrap_or_default(),
        sort: if sort.is_empty() { String::new() } else { to() },
        sorted,
        asked: asked.is_some(),
        number: keyword.starts_with("NumberOf"),
    }
}

fn states(filter: &Filter, union: bool) -> Vec<Choice> {
    let any = ("", "any");
    let known = STATES.iter().map(|(word, title, _)| (*word, *title));
    let choice = |(value, title): (&str, &str)| Choice {
        value: value.to_owned(),
        title: title.to_owned(),
        chosen: value == filter.status,
    };
    let listed = union.then_some((NOT_FILED, "not filed"));
    std::iter::once(any).chain(known).chain(listed).map(choice).collect()
}

fn sources(web: &Web, filter: &Filter) -> Vec<Choice> {
    let config = web.config.borrow().clone();
    let known = config.sources.iter().map(|source| (source.name.clone(), source.name.clone()));
    let fixed = [("", "any"), (NOBODY, "sent or imported")].map(|(value, title)| (value.to_owned(), title.to_owned()));
    let mut all: Vec<(String, String)> = fixed.into_iter().chain(known).collect();
    // A source that is not configured any more may have brought studies all the same.
    if !all.iter().any(|(value, _)| *value == filter.source) {
        all.push((filter.source.clone(), filter.source.clone()));
    }
    let choice = |(value, title): (String, String)| Choice { chosen: value == filter.source, value, title };
    all.into_iter().map(choice).collect()
}

/// What the form brings along that has no field.
fn hidden(filter: &Filter) -> Vec<(&'static str, String)> {
    let scope = match filter.scope {
        Scope::Studies => "",
        Scope::Patients => "patients",
        Scope::Admin => "admin",
    };
    let all = [("scope", scope.to_owned()), ("sort", filter.sort.clone()), ("StudyInstanceUID", filter.study.clone())];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

pub(in crate::web) async fn list_json(
    State(web): State<Arc<Web>>,
    _: Viewer,
    Parameters(filter): Parameters<Filter>,
) -> Result<Response, Refused> {
    filter.check()?;
    if filter.scope == Scope::Patients {
        let found = look_for_patients(&web, &filter).await.map_err(bad)?;
        let keywords = || OF_PATIENT.iter().map(|(keyword, _)| *keyword);
        let patients: Vec<Value> = found.rows.into_iter().map(|values| object(keywords(), values)).collect();
        return Ok(document(json!({ "patients": patients, "after": found.next })));
    }
    let found = look(&web, &filter).await.map_err(bad)?;
    let mut beside = standing::beside(&web, &found.rows).await?;
    let told = |values: Vec<String>| {
        let beside = beside.remove(uid_of(&values)).unwrap_or_default().with_rest(&found.nearline, &values);
        let mut study = object(keywords(), values);
        if let Value::Object(fields) = &mut study {
            fields.extend(beside.told().into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        study
    };
    let studies: Vec<Value> = found.rows.into_iter().map(told).collect();
    Ok(document(json!({ "studies": studies, "after": found.next })))
}
