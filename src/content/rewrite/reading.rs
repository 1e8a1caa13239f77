//! Objects are read for what they refer to.

use std::collections::HashMap;
use std::sync::PoisonError;

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
                    let refers = self.look(object).await?.is_some_and(|tree| !referred(&tree).is_empty());
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
            let Some(tree) = self.look(object).await? else { continue };
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

    /// The same; `None` of an object that is damaged, which is noted down: the others can be corrected all the same.
    pub(super) async fn look(&self, object: &ObjectFacts) -> Result<Option<Tree>, ContentError> {
        match self.read(object).await {
            Ok(tree) => Ok(Some(tree)),
            Err(error @ (ContentError::Outlet(_) | ContentError::Header { .. })) => {
                tracing::warn!(
                    instance.uid = %object.shown, error = &error as &dyn std::error::Error,
                    "what an object refers to is not known: it cannot be read"
                );
                self.unread.lock().unwrap_or_else(PoisonError::into_inner).insert(object.shown.clone());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The header of an object as it is shown.
    pub(in crate::content) async fn read(&self, object: &ObjectFacts) -> Result<Tree, ContentError> {
        let held = self.content.catalog.held(&[object.id]).await?.pop();
        let gone = || Refusal::Changed { what: format!("instance {} has gone", object.shown) };
        let charset = if object.study == *self.to { self.charsets.1 } else { self.charsets.0 };
        Ok(header::read(&self.content.outlet, held.ok_or_else(gone)?, charset, header::Extent::Header).await?.header)
    }
}
