//! The studies of a job page by page, those that somebody looks for.

use serde_json::Value;

use super::tables;
use crate::catalog::{Approval, Catalog, CatalogError, Item, ItemState, OrderKey, Reason};
use crate::dicom::Date;

/// Studies that are read at once, and so many times a state for one page: what is rare is found page by page.
const CHUNK: usize = 500;
const CHUNKS: usize = 20;

/// Which studies are wanted; all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedStudies {
    /// In one of these states; all when there are none.
    pub states: Vec<ItemState>,
    /// Not proven for this reason.
    pub reason: Option<Reason>,
    /// Of this year.
    pub year: Option<i16>,
    /// With this modality among theirs.
    pub modality: Option<String>,
    /// With this text in their Patient ID or at the beginning of their UID.
    pub text: Option<String>,
}

/// Some studies of a job.
#[derive(Debug, Clone, Default)]
pub struct StudyPage {
    /// The newest first, each with who agreed that it stays behind.
    pub studies: Vec<(Item, Option<Approval>)>,
    /// Where the next page begins, if there may be one. A page may be short, or empty, and yet have a next one.
    pub next: Option<OrderKey>,
}

impl WantedStudies {
    fn has(&self, item: &Item) -> bool {
        let study = &item.study;
        let modality = |wanted: &String| study.modalities.split('\\').any(|one| one.eq_ignore_ascii_case(wanted));
        let text = |wanted: &String| {
            study.patient_id.contains(wanted.as_str()) || study.study_uid.as_str().starts_with(wanted)
        };
        self.reason.is_none_or(|reason| item.reason == Some(reason))
            && self.year.is_none_or(|year| study.study_date.is_some_and(|date| date.year() == year))
            && self.modality.as_ref().is_none_or(modality)
            && self.text.as_ref().is_none_or(text)
    }

    /// Whether nothing that comes after this one is wanted.
    fn is_past(&self, item: &Item) -> bool {
        self.year.is_some_and(|year| item.study.study_date.is_none_or(|date| date.year() < year))
    }

    /// The studies after a place, `limit` at most.
    pub async fn page(
        &self,
        catalog: &Catalog,
        job: i64,
        after: Option<OrderKey>,
        limit: usize,
    ) -> Result<StudyPage, CatalogError> {
        let sought = self.reason.is_some() || self.modality.is_some() || self.text.is_some();
        let chunk = if sought { CHUNK } else { limit + 1 };
        let states = if self.states.is_empty() { ItemState::ALL.len() } else { self.states.len() };
        let begin = self.year.and_then(|year| Date::parse(&format!("{year:04}1231")).ok()).map(OrderKey::before);
        let mut after = after.max(begin);
        let mut found: Vec<Item> = Vec::new();
        let mut next = None;
        for _ in 0..(CHUNKS / states).max(2) {
            let read = catalog.items(job, &self.states, after.clone(), chunk).await?;
            let last = read.last().map(Item::order_key).filter(|_| read.len() == chunk);
            let over = last.is_none() || read.last().is_some_and(|item| self.is_past(item));
            found.extend(read.into_iter().filter(|item| self.has(item)));
            if found.len() > limit {
                found.truncate(limit);
                next = found.last().map(Item::order_key);
                break;
            }
            next = if over { None } else { last.clone() };
            after = last;
            if over {
                break;
            }
        }
        let mut approvals = catalog.approvals_of(&found).await?;
        let studies = found.into_iter().map(|item| {
            let approval = approvals.remove(&item.id);
            (item, approval)
        });
        Ok(StudyPage { studies: studies.collect(), next })
    }
}

impl StudyPage {
    /// As scripts have it.
    pub fn json(&self) -> Value {
        self.studies.iter().map(|(item, approval)| tables::study(item, approval.as_ref())).collect()
    }
}
