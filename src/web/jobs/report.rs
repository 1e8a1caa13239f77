//! The report of a job: how many studies succeeded, which did not and why, what to do about it, and who agreed to it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shown::{Folder, Study};
use super::{OfJob, no_job};
use crate::catalog::{Approved, DayTotals, ItemState, Job, OrderKey, Reason};
use crate::config::Privilege;
use crate::job::progress::is_at_rest;
use crate::job::report::{
    FALLOUT, FolderEnd, FolderPage, Format, Report, StudyPage, Style, WantedFolders, WantedStudies, is_gap, remedy,
    state_text,
};
use crate::web::Web;
use crate::web::answer::{Frame, Refused, document, page};
use crate::web::download;
use crate::web::guard::Viewer;

/// Studies, or folders, on one page.
const SHOWN: usize = 50;
/// Notes on the page.
const MOST_NOTES: usize = 100;
/// The longest filter.
const LONGEST: usize = 128;

/// What is looked for. The form leaves its fields empty where anything will do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct Wanted {
    /// `fallout` (partial, failed, excluded, cancelled), `all`, or a state; of folders how they ended.
    state: String,
    reason: String,
    year: String,
    modality: String,
    text: String,
    after: String,
    /// Of an import: where its list of studies goes on.
    studies_after: String,
}

/// A reason, and what is to be done about it.
struct Why {
    reason: &'static str,
    studies: u64,
    remedy: String,
    address: String,
}

/// A choice of the form.
struct Choice {
    value: String,
    shown: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "report.html", config = "src/web/templates/askama.toml")]
struct ReportPage {
    frame: Frame,
    id: i64,
    of: String,
    state: &'static str,
    import: bool,
    all: DayTotals,
    approved: Approved,
    years: Vec<(String, DayTotals)>,
    reasons: Vec<Why>,
    states: Vec<Choice>,
    reason_choices: Vec<Choice>,
    year_choices: Vec<Choice>,
    modality: String,
    text: String,
    studies: Vec<Study>,
    folders: Vec<Folder>,
    next: Option<String>,
    /// Of an import: further studies.
    older: Option<String>,
    gaps: u64,
    /// Kinds and texts.
    notes: Vec<(String, String)>,
    more_notes: bool,
    back: String,
    may_operate: bool,
    may_retry: bool,
}

fn bad(what: String) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, what, "")
}

impl Wanted {
    fn reason(&self) -> Result<Option<Reason>, Refused> {
        let unknown = || bad(format!("`{}` is no reason of fallout", self.reason));
        if self.reason.is_empty() { Ok(None) } else { Reason::parse(&self.reason).map(Some).ok_or_else(unknown) }
    }

    fn studies(&self) -> Result<(WantedStudies, Option<OrderKey>), Refused> {
        let states = match self.state.as_str() {
            "" | "fallout" => FALLOUT.to_vec(),
            "all" => Vec::new(),
            state => vec![ItemState::parse(state).ok_or_else(|| bad(format!("`{state}` is no state of a study")))?],
        };
        let year = match self.year.trim() {
            "" => None,
            text => Some(text.parse().ok().filter(|year| (1..=9999).contains(year)))
                .map(|year| year.ok_or_else(|| bad(format!("`{text}` is no year"))))
                .transpose()?,
        };
        let text = |text: &str| {
            Some(text.trim()).filter(|text| !text.is_empty()).map(|text| text.chars().take(LONGEST).collect())
        };
        let after = match self.after.as_str() {
            "" => None,
            text => Some(OrderKey::parse(text).ok_or_else(|| bad("there is no such page".to_owned()))?),
        };
        let wanted = WantedStudies {
            states,
            reason: self.reason()?,
            year,
            modality: text(&self.modality),
            text: text(&self.text),
        };
        Ok((wanted, after))
    }

    fn folders(&self) -> Result<(WantedFolders, Option<PathBuf>), Refused> {
        let ends = match self.state.as_str() {
            "" | "fallout" => vec![FolderEnd::Partial, FolderEnd::Failed],
            "all" => Vec::new(),
            end => vec![
                FolderEnd::ALL
                    .into_iter()
                    .find(|known| known.as_text() == end)
                    .ok_or_else(|| bad(format!("`{end}` is no end of a folder")))?,
            ],
        };
        let after = match self.after.as_str() {
            "" => None,
            text => Some(path_of(text).ok_or_else(|| bad("there is no such page".to_owned()))?),
        };
        Ok((WantedFolders { ends, reason: self.reason()? }, after))
    }

    /// As an address of a page asks for it.
    fn query(&self, after: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("state", self.state.as_str()),
            ("reason", &self.reason),
            ("year", &self.year),
            ("modality", &self.modality),
            ("text", &self.text),
            ("after", after.unwrap_or_default()),
            ("studies_after", &self.studies_after),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    fn state(&self) -> &str {
        if self.state.is_empty() { "fallout" } else { &self.state }
    }
}

/// A path in an address: it may be no text.
fn text_of(path: &FilePath) -> String {
    path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn path_of(text: &str) -> Option<PathBuf> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if rest.is_empty() && is_hex {
        Some(PathBuf::from(OsString::from_vec(bytes.collect::<Option<_>>()?)))
    } else {
        None
    }
}

async fn studies(web: &Web, job: &Job, wanted: &Wanted) -> Result<StudyPage, Refused> {
    let (wanted, after) = wanted.studies()?;
    Ok(wanted.page(&web.catalog, job.id, after, SHOWN).await?)
}

async fn folders(web: &Web, job: &Job, wanted: &Wanted) -> Result<FolderPage, Refused> {
    let (wanted, after) = wanted.folders()?;
    Ok(wanted.page(&web.catalog, job.id, after.as_deref(), SHOWN).await?)
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    OfJob { signed, job }: OfJob,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    let catalog = &web.catalog;
    let import = job.spec.import.is_some();
    let mut of_years: BTreeMap<String, DayTotals> = BTreeMap::new();
    let mut all = DayTotals::default();
    for (month, totals) in catalog.months(job.id).await? {
        let year = month.get(..4).unwrap_or_default().to_owned();
        for sum in [of_years.entry(year).or_default(), &mut all] {
            sum.add(&totals);
        }
    }
    let reasons = catalog.fallout_reasons(job.id).await?;
    let style = Style::default();
    let why = |(reason, studies): &(Reason, u64)| Why {
        reason: reason.as_text(),
        studies: *studies,
        remedy: remedy(*reason, job.id, &style),
        address: Wanted { reason: reason.as_text().to_owned(), ..Wanted::default() }.query(None),
    };
    let choice = |value: &str, shown: &str, chosen: &str| Choice {
        value: value.to_owned(),
        shown: shown.to_owned(),
        chosen: value == chosen,
    };
    let words: Vec<&str> = match import {
        true => FolderEnd::ALL.iter().map(|end| end.as_text()).collect(),
        false => ItemState::ALL.iter().map(|state| state.as_text()).collect(),
    };
    let mut states =
        vec![choice("fallout", "all that is not proven", wanted.state()), choice("all", "all", wanted.state())];
    states.extend(words.iter().map(|word| choice(word, word, wanted.state())));
    let mut reason_choices = vec![choice("", "any", &wanted.reason)];
    reason_choices.extend(Reason::ALL.iter().map(|reason| choice(reason.as_text(), reason.as_text(), &wanted.reason)));
    let mut year_choices = vec![choice("", "any", &wanted.year)];
    let dated = of_years.keys().rev().filter(|year| !year.is_empty());
    year_choices.extend(dated.map(|year| choice(year, year, &wanted.year)));
    let (page_of_folders, page_of_studies) = match import {
        true => {
            let behind = Wanted { after: wanted.studies_after.clone(), ..Wanted::default() };
            (folders(&web, &job, &wanted).await?, studies(&web, &job, &behind).await?)
        }
        false => (FolderPage::default(), studies(&web, &job, &wanted).await?),
    };
    let further = page_of_studies.next.as_ref().map(OrderKey::text);
    let (next, older) = match import {
        true => (page_of_folders.next.as_deref().map(text_of), further),
        false => (further, None),
    };
    let mut notes = catalog.notes(job.id).await?;
    let gaps = notes.iter().filter(|note| is_gap(&note.kind)).count() as u64;
    let more_notes = notes.len() > MOST_NOTES;
    notes.truncate(MOST_NOTES);
    let may_operate = signed.operator.may(Privilege::Operate);
    let query = wanted.query(Some(&wanted.after));
    Ok(page(&ReportPage {
        id: job.id,
        of: job.spec.source.clone().unwrap_or_else(|| "folders".to_owned()),
        state: state_text(job.state),
        import,
        all,
        approved: catalog.approved(job.id).await?,
        years: of_years
            .into_iter()
            .rev()
            .map(|(year, totals)| (if year.is_empty() { "no date".to_owned() } else { year }, totals))
            .collect(),
        reasons: reasons.iter().map(why).collect(),
        states,
        reason_choices,
        year_choices,
        studies: page_of_studies
            .studies
            .iter()
            .map(|(item, approval)| Study::of(item, approval.as_ref(), &style))
            .collect(),
        folders: page_of_folders.folders.into_iter().map(Folder::of).collect(),
        next: next.map(|next| wanted.query(Some(&next))),
        older: older.map(|older| Wanted { studies_after: older, ..wanted.clone() }.query(Some(&wanted.after))),
        gaps,
        notes: notes.into_iter().map(|note| (note.kind, note.text)).collect(),
        more_notes,
        back: if query.is_empty() { "report".to_owned() } else { format!("report?{query}") },
        modality: wanted.modality,
        text: wanted.text,
        may_operate,
        may_retry: may_operate && is_at_rest(job.state) && all.fallout > 0,
        frame: Frame::of(&signed, "jobs"),
    }))
}

pub(in crate::web) async fn studies_json(
    State(web): State<Arc<Web>>,
    OfJob { job, .. }: OfJob,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    let page = studies(&web, &job, &wanted).await?;
    Ok(document(json!({ "studies": page.json(), "next": page.next.as_ref().map(OrderKey::text) })))
}

pub(in crate::web) async fn folders_json(
    State(web): State<Arc<Web>>,
    OfJob { job, .. }: OfJob,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    let page = folders(&web, &job, &wanted).await?;
    Ok(document(json!({ "folders": page.json(), "next": page.next.as_deref().map(text_of) })))
}

pub(in crate::web) async fn reasons_json(
    State(web): State<Arc<Web>>,
    OfJob { job, .. }: OfJob,
) -> Result<Response, Refused> {
    let reason = |(reason, studies): (Reason, u64)| json!({ "reason": reason.as_text(), "studies": studies, "remedy": reason.remedy() });
    let reasons: Value = web.catalog.fallout_reasons(job.id).await?.into_iter().map(reason).collect();
    let approved = web.catalog.approved(job.id).await?;
    let behind = json!({ "studies": approved.behind, "approved": approved.approved });
    Ok(document(json!({ "reasons": reasons, "stays_behind": behind })))
}

/// The report as a file, or as a page to be printed and signed.
pub(super) async fn download(
    State(web): State<Arc<Web>>,
    _: Viewer,
    Path((id, form)): Path<(i64, String)>,
) -> Result<Response, Refused> {
    let (format, kind) = match form.as_str() {
        "csv" => (Format::Csv, "text/csv; charset=utf-8"),
        "json" => (Format::Json, "application/json"),
        "html" | "sign-off" => (Format::Html, "text/html; charset=utf-8"),
        "txt" => (Format::Text, "text/plain; charset=utf-8"),
        other => return Err(Refused::missing(format!("there is no report as `{other}`"))),
    };
    let style = Style { failed_only: form == "sign-off", ..Style::default() };
    let report = Report::of(&web.catalog, id).await?.ok_or_else(|| no_job(id))?;
    let trouble = |error: &dyn std::error::Error| {
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, crate::job::words(error), "try again")
    };
    let mut file = tempfile::tempfile().map_err(|error| trouble(&error))?;
    report.write(format, &style, &mut file).await.map_err(|error| trouble(&error))?;
    let body = download::of(file).map_err(|error| trouble(&error))?;
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
    if format == Format::Html {
        // It carries its own style, and nothing else.
        let alone = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, alone);
    } else if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"pacsferry-job-{id}.{form}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_back_from_an_address_whatever_its_bytes() {
        let path = PathBuf::from(OsString::from_vec(b"/mnt/a b\xff\n".to_vec()));
        assert_eq!(path_of(&text_of(&path)), Some(path));
        for bad in ["1", "0g", "+1"] {
            assert_eq!(path_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_looked_for_is_read_from_the_form() {
        let wanted = Wanted { state: "failed".into(), year: " 2017 ".into(), text: " x ".into(), ..Wanted::default() };
        let (studies, after) = wanted.studies().unwrap();
        assert_eq!(
            (studies.states, studies.year, studies.text),
            (vec![ItemState::Failed], Some(2017), Some("x".into()))
        );
        assert_eq!(after, None);
        assert_eq!(Wanted::default().studies().unwrap().0.states, FALLOUT);
        for bad in [
            Wanted { state: "done".into(), ..Wanted::default() },
            Wanted { year: "MMXVII".into(), ..Wanted::default() },
            Wanted { reason: "bad luck".into(), ..Wanted::default() },
            Wanted { after: "nowhere".into(), ..Wanted::default() },
        ] {
            assert!(bad.studies().is_err(), "{bad:?}");
        }
    }
}
