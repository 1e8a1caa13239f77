//! Folders on the server, to choose those that are to be imported: only below the roots of `[web] browse`.

use std::path::PathBuf;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use super::Web;
use super::answer::{Frame, Refused, document, page};
use super::guard::{Posted, Signed};
use super::jobs::{day, take_up};
use crate::catalog::{ImportHow, ImportSpec, Job, JobKind, JobSpec};
use crate::config::Privilege;
use crate::import::{Listing, browse};
use crate::job::folders::folders_of;

#[derive(Deserialize)]
pub(super) struct Wanted {
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
pub(super) struct NewImport {
    folder: PathBuf,
    how: How,
    #[serde(default)]
    hash: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

/// What becomes of the files.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    Copy,
    Link,
    LinkOnly,
}

/// A folder: the name that is shown, and its address.
struct Entry {
    name: String,
    address: String,
}

#[derive(Template)]
#[template(path = "folders.html", config = "src/web/templates/askama.toml")]
struct FoldersPage {
    frame: Frame,
    roots: Vec<Entry>,
    path: Option<String>,
    above: Option<Entry>,
    folders: Vec<Entry>,
    files: usize,
    more: bool,
}

/// What lies in a folder; without one, nothing: the roots are there to be chosen from.
async fn look(web: &Web, wanted: Wanted) -> Result<(Vec<PathBuf>, Option<Listing>), Refused> {
    let roots = web.config.borrow().web.browse.clone();
    let Some(path) = wanted.path else { return Ok((roots, None)) };
    let below = roots.clone();
    let listing = tokio::task::spawn_blocking(move || browse(&below, &path)).await;
    let broken =
        |what: String| Refused::new(StatusCode::FORBIDDEN, what, "`[web] browse` names the folders to begin at");
    let listing = listing.map_err(|error| broken(error.to_string()))?;
    Ok((roots, Some(listing.map_err(|error| broken(crate::job::words(&error)))?)))
}

pub(super) async fn list(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    signed.must(Privilege::Operate)?;
    let (roots, listing) = look(&web, wanted).await?;
    // A path that is no text cannot stand in an address; the command line can import it.
    let entry = |path: &PathBuf, whole: bool| {
        let text = path.to_str()?;
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("path", text).finish();
        let name = if whole { text } else { path.file_name()?.to_str()? };
        Some(Entry { name: name.to_owned(), address: format!("/folders?{query}") })
    };
    let listed = listing.as_ref();
    Ok(page(&FoldersPage {
        roots: roots.iter().filter_map(|root| entry(root, true)).collect(),
        path: listed.and_then(|listing| Some(listing.path.to_str()?.to_owned())),
        above: listed.and_then(|listing| entry(listing.above.as_ref()?, true)),
        folders: listed.map_or_else(Vec::new, |l| l.folders.iter().filter_map(|path| entry(path, false)).collect()),
        files: listed.map_or(0, |listing| listing.files),
        more: listed.is_some_and(|listing| listing.more),
        frame: Frame::of(&signed, "jobs"),
    }))
}

pub(super) async fn list_json(
    State(web): State<Arc<Web>>,
    signed: Signed,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Refused> {
    signed.must(Privilege::Operate)?;
    let (roots, listing) = look(&web, wanted).await?;
    // A path that is no text cannot stand in JSON; the command line can import it.
    let texts =
        |paths: &[PathBuf]| paths.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect::<Vec<_>>();
    Ok(document(match listing {
        None => json!({ "folders": texts(&roots) }),
        Some(Listing { path, above, folders, files, more }) => {
            let above = above.as_ref().and_then(|above| above.to_str());
            json!({ "path": path.to_str(), "above": above, "folders": texts(&folders), "files": files, "more": more })
        }
    }))
}

pub(super) async fn create(State(web): State<Arc<Web>>, posted: Posted<NewImport>) -> Result<Response, Refused> {
    let job = begin(&web, posted).await?;
    Ok(Redirect::to(&format!("/jobs/{}", job.id)).into_response())
}

pub(super) async fn create_json(State(web): State<Arc<Web>>, posted: Posted<NewImport>) -> Result<Response, Refused> {
    let job = begin(&web, posted).await?;
    Ok((StatusCode::CREATED, document(json!({ "job": job.id }))).into_response())
}

async fn begin(web: &Web, Posted { signed, form }: Posted<NewImport>) -> Result<Job, Refused> {
    signed.must(Privilege::Operate)?;
    let (_, listing) = look(web, Wanted { path: Some(form.folder.clone()) }).await?;
    let Some(Listing { path, .. }) = listing else { return Err(Refused::missing("there is no folder")) };
    let how = match form.how {
        How::Copy => ImportHow::Copy,
        How::Link => ImportHow::Link,
        How::LinkOnly => ImportHow::LinkOnly,
    };
    let storage = web.config.borrow().storage.folder.clone();
    let found = tokio::task::spawn_blocking(move || folders_of(&storage, &[path], Some(how))).await;
    let bad = |what: String, remedy: &str| Refused::new(StatusCode::BAD_REQUEST, what, remedy);
    let found = found.map_err(|error| bad(error.to_string(), ""))?;
    let (folders, how) = found.map_err(|error| bad(error.to_string(), error.remedy()))?;
    let (from, to) = (day(&form.from)?, day(&form.to)?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(bad("the first day lies after the last".to_owned(), ""));
    }
    let spec = JobSpec {
        kind: JobKind::Import,
        source: None,
        from,
        to,
        studies: Vec::new(),
        modalities: Vec::new(),
        follow: None,
        import: Some(ImportSpec {
            folders,
            how,
            hash: !form.hash.is_empty() && how != ImportHow::Copy,
            received_from: None,
            received_to: None,
        }),
    };
    take_up(web, &signed, spec).await
}
