//! The steps that every operation takes: staged out of sight, told to the journal, filed what it writes, and flipped on.

use std::sync::Arc;

use super::rewrite::Draft;
use super::{Content, ContentError, charset_of, drafts};
use crate::audit::AuditEvent;
use crate::catalog::{
    Along, Catalog, CorrectionState, Errand, NewCorrected, NewCorrection, StagedCorrection, Stamp, became,
};
use crate::config::Operator;
use crate::failpoint;
use crate::store::{JournalEntry, Store};

/// Objects that are staged in one go.
const BATCH: usize = 1000;

impl Content {
    /// Stages an operation, tells the journal all that it takes to do it again, and files what it writes. Nobody sees any
    /// of it; when something goes wrong nothing is left.
    pub(super) async fn stage(
        &self,
        operation: NewCorrection,
        objects: Vec<NewCorrected>,
        drafts: &[Draft],
    ) -> Result<StagedCorrection, ContentError> {
        let staged = self.catalog.stage_begin(operation).await?;
        failpoint!("content-begun");
        match self.fill(&staged, &objects, drafts).await {
            Ok(()) => Ok(staged),
            Err(error) => self.give_up(&staged, error).await,
        }
    }

    async fn fill(
        &self,
        staged: &StagedCorrection,
        objects: &[NewCorrected],
        drafts: &[Draft],
    ) -> Result<(), ContentError> {
        for batch in objects.chunks(BATCH) {
            self.catalog.stage_add(staged.id, batch.to_vec()).await?;
            failpoint!("content-staging");
        }
        failpoint!("content-staged");
        self.journal(self.catalog.correction_entries(staged.id).await?).await?;
        failpoint!("content-journaled");
        drafts::file(self, drafts).await?;
        failpoint!("content-written");
        Ok(())
    }

    /// Flips it on, with what goes into the same transaction.
    pub(super) async fn flip(
        &self,
        staged: &StagedCorrection,
        planned: Vec<Stamp>,
        told: AuditEvent,
        errands: Vec<Errand>,
        who: &Operator,
    ) -> Result<(), ContentError> {
        let flipped = async {
            let along = Along { audit: vec![self.audit.entry(told).await?], errands };
            self.journal(vec![became(&staged.key, CorrectionState::Active, &who.name)]).await?;
            failpoint!("content-flipping");
            Ok(self.catalog.flip(staged.id, planned, along).await?)
        };
        match flipped.await {
            Ok(()) => Ok(()),
            Err(error) => self.give_up(staged, error).await,
        }
    }

    /// Takes away what was staged, for this reason.
    pub(super) async fn give_up<T>(&self, staged: &StagedCorrection, error: ContentError) -> Result<T, ContentError> {
        if let Err(other) = self.withdraw(staged).await {
            // The next start takes it away.
            tracing::warn!(operation = staged.id, error = %other, "what was staged cannot be taken away");
        }
        Err(error)
    }

    /// Takes away what was staged: nobody has seen any of it.
    async fn withdraw(&self, staged: &StagedCorrection) -> Result<(), ContentError> {
        withdraw(&self.catalog, &self.store, staged).await
    }

    /// Takes away what processes left that died before the flip, see [`remove_leftovers`]. What they had written and not
    /// recorded is recorded, where nobody sees it.
    pub async fn remove_leftovers(&self) -> Result<usize, ContentError> {
        let removed = remove_leftovers(&self.catalog, &self.store).await?;
        let config = Arc::clone(&self.config);
        let swept = self.intake.sweep(move |origin| charset_of(&config, origin.source.as_slice())).await?;
        if swept.folders > 0 {
            tracing::info!(folders = swept.folders, removed = swept.removed, "swept what dead processes left");
        }
        Ok(removed)
    }

    /// Makes entries of the journal durable.
    pub(super) async fn journal(&self, entries: Vec<JournalEntry>) -> Result<(), ContentError> {
        journal(&self.store, entries).await
    }
}

/// Takes away what processes left that died before the flip: nobody has seen any of it. How many operations these were.
pub async fn remove_leftovers(catalog: &Catalog, store: &Store) -> Result<usize, ContentError> {
    catalog.release_dead_locks().await?;
    let dead = catalog.dead_staged().await?;
    for staged in &dead {
        withdraw(catalog, store, staged).await?;
        tracing::info!(operation = staged.id, "removed what was staged by a process that is gone");
    }
    Ok(dead.len())
}

async fn withdraw(catalog: &Catalog, store: &Store, staged: &StagedCorrection) -> Result<(), ContentError> {
    journal(store, vec![became(&staged.key, CorrectionState::Staged, "")]).await?;
    Ok(catalog.remove_staged(staged.id).await?)
}

async fn journal(store: &Store, entries: Vec<JournalEntry>) -> Result<(), ContentError> {
    let store = store.clone();
    let written = tokio::task::spawn_blocking(move || store.journal().append(&entries));
    // A panic there is one here.
    Ok(written.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?)
}
