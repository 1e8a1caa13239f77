//! Does what was planned: lock → stage → journal → flip → publish.

use std::collections::HashSet;

use serde::Serialize;

use super::rewrite::Draft;
use super::turn::Turn;
use super::{Content, ContentError, CopySheet, Kind, Mode, Plan, Refusal, Request, refusal, told};
use crate::audit::{AuditOutcome, CorrectionAction};
use crate::catalog::{CorrectionKind, CorrectionMode, Errand, NewCorrected, NewCorrection, ObjectFacts};
use crate::config::Operator;
use crate::dataset::Amendment;
use crate::dicom::SopInstanceUid;
use crate::failpoint;

/// Objects that are looked at in one go.
const PAGE: usize = 5000;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The number of the operation.
    pub operation: i64,
    /// Objects that it moved.
    pub objects: u64,
    /// Errands that others are told by.
    pub errands: usize,
}

impl Content {
    /// Plans what is asked for and does it, whole or not at all: all of it that one plan says, which is the one that was
    /// seen, if one was. Whatever is refused on the way is in the audit trail.
    pub async fn perform(&self, request: &Request, who: &Operator) -> Result<(Plan, Done), ContentError> {
        let plan = match self.plan_as_seen(request, who).await {
            Err(ContentError::Refused(refusals)) => {
                self.tell_refused(request, &refusals, who).await?;
                return Err(ContentError::Refused(refusals));
            }
            plan => plan?,
        };
        let done = self.commit(&plan, who).await?;
        Ok((plan, done))
    }

    async fn plan_as_seen(&self, request: &Request, who: &Operator) -> Result<Plan, ContentError> {
        let plan = self.plan(request, who).await?;
        match &request.seen {
            Some(seen) if *seen != plan.seal() => {
                let what = "one of the studies, or what the operation would do, has changed".to_owned();
                Err(Refusal::Changed { what }.into())
            }
            _ => Ok(plan),
        }
    }

    /// Does what was planned, whole or not at all. Who asks for it and is refused is in the audit trail.
    pub async fn commit(&self, plan: &Plan, who: &Operator) -> Result<Done, ContentError> {
        match self.try_commit(plan, who).await {
            Err(ContentError::Refused(refusals)) => {
                let outcome =
                    AuditOutcome::Minor(refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; "));
                self.audit.write(told::of_plan(plan, who, None, outcome)).await?;
                Err(ContentError::Refused(refusals))
            }
            other => other,
        }
    }

    async fn try_commit(&self, plan: &Plan, who: &Operator) -> Result<Done, ContentError> {
        // The plan may have been made by somebody else.
        let privileges =
            refusal::needed(plan).into_iter().filter_map(|(needs, what)| refusal::check(who, needs, what).err());
        let mut refusals: Vec<Refusal> = privileges.collect();
        refusals.extend(plan.refusals.iter().filter(|refusal| !matches!(refusal, Refusal::Privilege { .. })).cloned());
        if !refusals.is_empty() {
            return Err(ContentError::Refused(refusals));
        }
        self.store.check_room()?;
        self.remove_leftovers().await?;
        let doing = action(plan.kind).word();
        let turn = Turn::take(&self.catalog, &[plan.source(), plan.destination()], who, doing).await?;
        failpoint!("content-locked");
        let done = self.stage_and_flip(plan, who, &turn).await;
        turn.end().await?;
        done
    }

    async fn stage_and_flip(&self, plan: &Plan, who: &Operator, turn: &Turn) -> Result<Done, ContentError> {
        let moved = plan.work.objects.iter().map(|object| moved(object, plan));
        let hidden = plan.work.hidden.iter().map(|&instance| NewCorrected::Hidden { instance });
        let written = plan.work.drafts.iter().map(|draft| NewCorrected::Written { uid: draft.uid().clone() });
        let objects = moved.chain(hidden).chain(written).collect();
        let staged = self.stage(self.operation(plan, who, turn), objects, &plan.work.drafts).await?;
        let errands = match self.errands(plan, staged.id).await {
            Ok(errands) => errands,
            Err(error) => return self.give_up(&staged, error).await,
        };
        let told = told::of_plan(plan, who, Some(staged.id), AuditOutcome::Success);
        let done = Done { operation: staged.id, objects: plan.objects, errands: errands.len() };
        self.flip(&staged, plan.work.stamps.clone(), told, errands, who).await?;
        Ok(done)
    }

    /// Who has to be told what.
    async fn errands(&self, plan: &Plan, id: i64) -> Result<Vec<Errand>, ContentError> {
        let reason = format!("objects were moved ({})", plan.kind.as_str());
        let rescan =
            plan.work.rescan.iter().map(|study| Errand::Rescan { study: study.clone(), reason: reason.clone() });
        let mut errands: Vec<Errand> = rescan.collect();
        let told = |copy: &&CopySheet| plan.mode == Mode::Iocm && copy.told;
        if plan.source.copies.iter().any(|copy| told(&copy)) {
            let first = self.notes(plan, id).await?;
            let publish =
                |peer: &str| Errand::Publish { peer: peer.to_owned(), study: plan.destination(), first: first.clone() };
            errands.extend(plan.source.copies.iter().filter(told).map(|copy| publish(&copy.node)));
        }
        Ok(errands)
    }

    /// The numbers of the rejection notes: they go before everything else.
    async fn notes(&self, plan: &Plan, id: i64) -> Result<Vec<i64>, ContentError> {
        let notes: HashSet<&SopInstanceUid> = plan.work.drafts.iter().filter_map(Draft::note).collect();
        let (mut found, mut after) = (Vec::new(), i64::MIN);
        loop {
            let page = self.catalog.corrected_instances(id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.id;
            found.extend(page.iter().filter(|object| notes.contains(&object.filed)).map(|object| object.id));
        }
    }

    fn operation(&self, plan: &Plan, who: &Operator, turn: &Turn) -> NewCorrection {
        NewCorrection {
            key: Some(plan.work.name.clone()),
            kind: match plan.kind {
                Kind::Reallocate => CorrectionKind::Reallocate,
                Kind::Merge => CorrectionKind::Merge,
                Kind::Split => CorrectionKind::Split,
            },
            mode: match plan.mode {
                Mode::Local => CorrectionMode::Local,
                Mode::Iocm => CorrectionMode::Iocm,
            },
            operator: who.name.clone(),
            reason: plan.why.code.clone(),
            reason_text: plan.why.text.clone(),
            source: plan.source(),
            destination: plan.destination(),
            describes: plan.work.describes.clone(),
            amendment: plan.work.amendment.to_bytes(),
            sheet: plan.to_json(),
            process: turn.name().to_owned(),
        }
    }
}

fn moved(object: &ObjectFacts, plan: &Plan) -> NewCorrected {
    NewCorrected::Moved {
        instance: object.id,
        series: plan.work.new_series.get(&object.series).unwrap_or(&object.series).clone(),
        uid: plan.work.new_uids.get(&object.id).cloned(),
        patch: plan.work.patches.get(&object.id).map(Amendment::to_bytes),
    }
}

/// What the audit trail calls it.
pub(super) fn action(kind: Kind) -> CorrectionAction {
    match kind {
        Kind::Reallocate => CorrectionAction::Reallocate,
        Kind::Merge => CorrectionAction::Merge,
        Kind::Split => CorrectionAction::Split,
    }
}
