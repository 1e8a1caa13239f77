//! Objects of other studies that refer to what gets other UIDs: nobody repairs them, so it is said where they are.

use std::collections::{BTreeSet, HashSet};

use super::look;
use super::references::is_companion_class;
use super::rewrite::{Rewriting, Rewritten};
use super::{ContentError, Warning};
use crate::catalog::{ObjectFacts, Selection};
use crate::dicom::SopInstanceUid;

/// The most series of other studies that are looked at, the newest study first.
const MOST_SERIES: usize = 10_000;
/// The most objects in them whose headers are read.
const MOST_OBJECTS: usize = 1_000;

impl Rewriting<'_> {
    /// What other studies of the patients of both hold that refers to what moves: reports, key objects, presentation states,
    /// segmentations, RT objects. Images are not looked at.
    pub(super) async fn elsewhere(
        &self,
        moved: &[ObjectFacts],
        done: &Rewritten,
    ) -> Result<Option<Warning>, ContentError> {
        if moved.is_empty() {
            return Ok(None);
        }
        let catalog = &self.content.catalog;
        let related = catalog.related_series(&[self.from.clone(), self.to.clone()], MOST_SERIES + 1).await?;
        let mut unread = related.len() > MOST_SERIES;
        let renamed: HashSet<&SopInstanceUid> = done.renamed.iter().map(|(old, _)| old).collect();
        let (mut read, mut objects, mut studies) = (0, 0, BTreeSet::new());
        for series in related.into_iter().take(MOST_SERIES).filter(|series| is_companion_class(&series.class)) {
            let left = MOST_OBJECTS - read;
            if left == 0 {
                unread = true;
                break;
            }
            let (study, series) = (series.study, series.series);
            let selection = Selection { studies: vec![study.clone()], series: vec![series], ..Selection::default() };
            let selected = catalog.select(&selection, left).await?;
            unread |= selected.more;
            let ids: Vec<i64> = selected.instances.iter().map(|(id, _)| *id).collect();
            read += ids.len();
            let found = self.referring(look::facts(catalog, &ids).await?.iter()).await?;
            let found = found.iter().filter(|one| one.to.iter().any(|uid| renamed.contains(uid))).count();
            if found > 0 {
                objects += found;
                studies.insert(study.to_string());
            }
        }
        let studies = studies.into_iter().collect();
        Ok((objects > 0 || unread).then_some(Warning::ReferencedElsewhere { objects, studies, unread }))
    }
}
