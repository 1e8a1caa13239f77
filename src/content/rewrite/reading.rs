//! Objects are read for what they refer to.

use std::collections::HashMap;

use super::{Referring, Rewriting, modality};
use crate::catalog::ObjectFacts;
use crate::content::references::{is_companion_class, referred};
use crate::content::{ContentError, Refusal, header};
use crate::dataset::Tree;

/// The most objects of a study whose references are looked at.
const MOST_REFERRING: usize = 5_000;

impl Rewriting<'_> {
    /// What refers to others: everything of the classes that are about others; of images, all of a series whose first
    /// one does.
    pub(super) async fn samples(&self, objects: &[ObjectFacts]) -> Result<Vec<Referring>, ContentError> {
        let about = objects.iter().filter(|object| is_companion_class(&object.class));
        let mut found = self.referring(about).await?;
        let mut series: HashMap<i64, bool> = HashMap::new();
        for object in objects.iter().filter(|object| !is_companion_class(&object.class)) {
            let refers = match series.get(&object.series_id) {
                Some(refers) => *refers,
                None => {
                    let refers = !referred(&self.read(object).await?).is_empty();
                    series.insert(object.series_id, refers);
                    refers
                }
            };
            if refers {
                self.check_bound(found.len())?;
                found.extend(self.referring(std::iter::once(object)).await?);
            }
        }
        Ok(found)
    }

    pub(in crate::content) async fn referring(
        &self,
        objects: impl Iterator<Item = &ObjectFacts>,
    ) -> Result<Vec<Referring>, ContentError> {
        let mut found = Vec::new();
        for object in objects {
            self.check_bound(found.len())?;
            let tree = self.read(object).await?;
            found.push(Referring { object: object.clone(), modality: modality(&tree), to: referred(&tree) });
        }
        Ok(found)
    }

    fn check_bound(&self, known: usize) -> Result<(), ContentError> {
        if known < MOST_REFERRING {
            return Ok(());
        }
        Err(Refusal::TooMany { what: "the objects that refer to others".into(), limit: MOST_REFERRING }.into())
    }

    /// The header of an object as it is shown.
    pub(in crate::content) async fn read(&self, object: &ObjectFacts) -> Result<Tree, ContentError> {
        let held = self.content.catalog.held(&[object.id]).await?.pop();
        let gone = || Refusal::Changed { what: format!("instance {} has gone", object.shown) };
        let charset = if object.study == *self.to { self.charsets.1 } else { self.charsets.0 };
        Ok(header::read(&self.content.outlet, held.ok_or_else(gone)?, charset, header::Extent::Header).await?.header)
    }
}
