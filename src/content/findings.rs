//! Findings of the AI platform: cleared with the move, since they were made of other objects or for another patient, and
//! asked for again.

use std::collections::HashSet;

use super::{Content, ContentError, Refusal};
use crate::catalog::{ObjectFacts, StudyFacts};
use crate::outbox;

/// What the platform has made of both studies.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    /// Of the one that objects leave.
    pub(super) source: Vec<i64>,
    /// Of the one that they come to.
    pub(super) destination: Vec<i64>,
}

/// Looks for them; there are none where no platform is configured.
pub(super) async fn of(
    content: &Content,
    source: &StudyFacts,
    destination: Option<&StudyFacts>,
) -> Result<Findings, ContentError> {
    let Some(ai) = &content.config.ai else { return Ok(Findings::default()) };
    let mut found = Findings {
        source: outbox::findings(&content.catalog, &content.store, ai, &source.uid).await?,
        destination: Vec::new(),
    };
    if let Some(destination) = destination {
        found.destination = outbox::findings(&content.catalog, &content.store, ai, &destination.uid).await?;
    }
    Ok(found)
}

impl Findings {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.source.is_empty() && self.destination.is_empty()
    }

    /// All of them, by their numbers.
    pub(super) fn all(&self) -> impl Iterator<Item = i64> {
        self.source.iter().chain(&self.destination).copied()
    }

    /// The objects that are no findings: those alone are moved.
    pub(super) fn spared(&self, objects: Vec<ObjectFacts>) -> Result<Vec<ObjectFacts>, Refusal> {
        let cleared: HashSet<i64> = self.all().collect();
        let spared: Vec<_> = objects.into_iter().filter(|object| !cleared.contains(&object.id)).collect();
        if spared.is_empty() { Err(Refusal::OnlyFindings) } else { Ok(spared) }
    }
}
