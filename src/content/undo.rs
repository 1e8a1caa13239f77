//! Takes an operation back, as long as nothing was built on it.

use serde::Serialize;

use super::turn::Turn;
use super::{Content, ContentError, Refusal, Warning, Why, refusal, told};
use crate::audit::AuditOutcome;
use crate::catalog::{Along, Correction, CorrectionMode, CorrectionState, became};
use crate::config::{Operator, Privilege};
use crate::failpoint;

/// What was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// The number of the operation.
    pub operation: i64,
    /// Objects that it had moved.
    pub objects: u64,
    /// The study that they are shown in again.
    pub source: String,
    /// The study that they were moved to.
    pub destination: String,
    /// What should be known.
    pub warnings: Vec<Warning>,
}

impl Content {
    /// Takes an operation back: everything it moved is shown as before.
    pub async fn undo(&self, operation: i64, why: &Why, who: &Operator) -> Result<Undone, ContentError> {
        let Some(correction) = self.catalog.correction(operation).await? else {
            refusal::check(who, Privilege::Undo, "take an operation back")?;
            return Err(Refusal::NoSuchOperation(operation).into());
        };
        match self.try_undo(&correction, why, who).await {
            Err(ContentError::Refused(refusals)) => {
                let outcome =
                    AuditOutcome::Minor(refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; "));
                self.audit.write(told::of_undo(&correction, why, who, outcome)).await?;
                Err(ContentError::Refused(refusals))
            }
            other => other,
        }
    }

    async fn try_undo(&self, correction: &Correction, why: &Why, who: &Operator) -> Result<Undone, ContentError> {
        refusal::check(who, Privilege::Undo, "take an operation back")?;
        let id = correction.id;
        self.catalog.can_undo(id, &who.name).await?;
        let undone = self.undone(correction).await?;
        let studies = [correction.source.clone(), correction.destination.clone()];
        let turn = Turn::take(&self.catalog, &studies, who, "undo").await?;
        let done = self.take_back(correction, why, who).await;
        turn.end().await?;
        done?;
        Ok(undone)
    }

    /// What taking an operation back would mean; what stands against it is an error. Changes nothing.
    pub async fn plan_undo(&self, operation: i64, who: &Operator) -> Result<Undone, ContentError> {
        refusal::check(who, Privilege::Undo, "take an operation back")?;
        let correction = self.catalog.correction(operation).await?;
        let correction = correction.ok_or(Refusal::NoSuchOperation(operation))?;
        self.catalog.can_undo(operation, &who.name).await?;
        self.undone(&correction).await
    }

    async fn undone(&self, correction: &Correction) -> Result<Undone, ContentError> {
        let nodes = self.catalog.nodes_with_corrected(correction.id).await?;
        let all = [
            (correction.mode == CorrectionMode::Iocm, Warning::NoRevocation),
            (!nodes.is_empty(), Warning::CorrectedCopies { nodes }),
        ];
        Ok(Undone {
            operation: correction.id,
            objects: correction.moved,
            source: correction.source.to_string(),
            destination: correction.destination.to_string(),
            warnings: all.into_iter().filter(|(is, _)| *is).map(|(_, warning)| warning).collect(),
        })
    }

    async fn take_back(&self, correction: &Correction, why: &Why, who: &Operator) -> Result<(), ContentError> {
        // Nobody else can have built on it since: both studies are locked.
        self.catalog.can_undo(correction.id, &who.name).await?;
        let told = told::of_undo(correction, why, who, AuditOutcome::Success);
        self.journal(vec![became(&correction.key, CorrectionState::Undone, &who.name)]).await?;
        let along = Along { audit: vec![self.audit.entry(told).await?], errands: Vec::new() };
        failpoint!("content-undoing");
        Ok(self.catalog.undo_correction(correction.id, &who.name, along).await?)
    }
}
