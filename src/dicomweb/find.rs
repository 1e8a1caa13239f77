//! What a path names: the instances of a study, a series, or one, as they are shown now.

use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::answer::Problem;
use super::fetch::not_now;
use super::{Caller, Site};
use crate::catalog::{HeldInstance, Selected, Selection};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// The most instances of one answer.
const MOST_INSTANCES: usize = 1_000_000;
/// Instances whose places are asked for at once.
pub(super) const PAGE: usize = 256;
/// Resources of more instances have no ETag: to make it would cost as much as to answer.
const MOST_TAGGED: usize = 2000;

/// A study, or a series or an instance in it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Target {
    pub(super) study: String,
    #[serde(default)]
    pub(super) series: Option<String>,
    #[serde(default)]
    pub(super) instance: Option<String>,
}

impl Target {
    /// What it says; nothing where it names nothing.
    pub(super) fn selection(&self) -> Option<Selection> {
        let selection = Selection {
            patient_id: None,
            studies: vec![StudyInstanceUid::new(&self.study)],
            series: self.series.iter().map(|uid| SeriesInstanceUid::new(uid)).collect(),
            instances: self.instance.iter().map(|uid| SopInstanceUid::new(uid)).collect(),
        };
        let named = !selection.studies.iter().any(|uid| uid.is_empty())
            && !selection.series.iter().any(|uid| uid.is_empty())
            && !selection.instances.iter().any(|uid| uid.is_empty());
        named.then_some(selection)
    }

    /// Its instances, fetched first if need be; that there are none is a problem. With why some of them are missing.
    pub(super) async fn find(&self, site: &Site, caller: &Caller) -> Result<(Selected, Option<String>), Problem> {
        // An instance that is here is whole, whatever of its study is not.
        if self.instance.is_some()
            && let Ok(selected) = self.select(site).await
        {
            return Ok((selected, None));
        }
        let missing = self.fetch(site, caller).await?;
        match (self.select(site).await, missing) {
            (Err(_), Some(why)) => Err(not_now(why)),
            (selected, missing) => Ok((selected?, missing)),
        }
    }

    async fn select(&self, site: &Site) -> Result<Selected, Problem> {
        let Some(selection) = self.selection() else { return Err(self.missing()) };
        let selected = site.catalog.select(&selection, MOST_INSTANCES).await?;
        match (selected.instances.is_empty(), selected.more) {
            (true, _) => Err(self.missing()),
            (_, true) => Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("these are more than {MOST_INSTANCES} instances"),
                "ask for its series one by one",
            )),
            _ => Ok(selected),
        }
    }

    /// The one instance that is named: whatever is made of an instance (its frames, its pictures) begins here.
    pub(super) async fn instance(&self, site: &Site, caller: &Caller) -> Result<HeldInstance, Problem> {
        let (selected, _) = self.find(site, caller).await?;
        let ids: Vec<i64> = selected.instances.iter().take(1).map(|(id, _)| *id).collect();
        let held = site.catalog.held(&ids).await?;
        held.into_iter().next().ok_or_else(|| self.missing())
    }

    pub(super) fn missing(&self) -> Problem {
        Problem::missing(match (&self.series, &self.instance) {
            (_, Some(_)) => "no such instance is held in this series of this study",
            (Some(_), None) => "no such series is held in this study",
            (None, None) => "no such study is held",
        })
    }

    /// All instances of a selection, if they are few enough for an ETag.
    pub(super) async fn all(site: &Site, selected: &Selected) -> Result<Option<Vec<HeldInstance>>, Problem> {
        if selected.instances.len() > MOST_TAGGED {
            return Ok(None);
        }
        let ids: Vec<i64> = selected.instances.iter().map(|(id, _)| *id).collect();
        Ok(Some(site.catalog.held(&ids).await?))
    }
}

/// Tells whether what was made of these instances is still the same. `form` says what was made of them.
pub(super) fn etag(instances: &[HeldInstance], form: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(form.as_bytes());
    for held in instances {
        hasher.update(&held.id.to_le_bytes());
        hasher.update(&held.shown.series.to_le_bytes());
        hasher.update(&held.shown.correction.to_le_bytes());
        hasher.update(&held.length.to_le_bytes());
        hasher.update(held.digest.as_ref().map_or(&[][..], |digest| digest.as_bytes()));
    }
    let hex = hasher.finalize().to_hex();
    format!("\"{}\"", hex.get(..32).unwrap_or(&hex))
}

/// Whether the asker has it already.
pub(super) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let mut known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.any(|text| {
        text.split(',').any(|one| matches!(one.trim(), one if one == "*" || one.trim_start_matches("W/") == etag))
    })
}
