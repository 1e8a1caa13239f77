//! What should be known about a plan, and what stands against it.

use super::{Planner, rest_of_quiet};
use crate::content::look::{self, Side};
use crate::content::refusal::{self, check};
use crate::content::survey::Survey;
use crate::content::{ContentError, Kind, Mode, Plan, Refusal, Warning};

impl Planner<'_> {
    /// What should be known.
    pub(super) async fn warn(
        &self,
        plan: &mut Plan,
        moving: &Survey,
        target: &Side,
        age: Option<String>,
        strangers: u64,
    ) -> Result<(), ContentError> {
        let quarantined = self.content.catalog.quarantined_of_study(&self.source.uid).await?.len() as u64;
        let untold = plan.source.copies.iter().filter(|copy| !copy.told).map(|copy| copy.node.clone()).collect();
        let guessed = (moving.guessed, target.guessed && self.destination.is_some());
        let (unread, first) = moving.unread.clone().unwrap_or_default();
        let rebuilt = self.content.catalog.rebuilt_at().await?.map(crate::content::day);
        let copies = Warning::Copies { nodes: plan.source.copies.len(), mode: plan.mode, untold };
        let all = [
            (!plan.same_patient, Warning::OtherPatient),
            (!plan.same_patient, Warning::PatientStudyRemoved { age, mixed: strangers < plan.objects }),
            (moving.is_mixed(), Warning::SeveralPatients { patients: moving.patients.clone() }),
            (moving.unread.is_some(), Warning::Unread { objects: unread, first }),
            (moving.ordered && !plan.work.order_is_known, Warning::OrderRemoved),
            (target.source == look::Known::Catalog, Warning::EmptyDestination),
            (!moving.signed.is_empty(), Warning::Signed { objects: moving.signed.len() }),
            (moving.unfinished > 0, Warning::SignaturesUnknown { objects: moving.unfinished }),
            (plan.linked_files > 0, Warning::Linked { files: plan.linked_files }),
            (!plan.source.copies.is_empty(), copies),
            (plan.source.objects_after == 0, Warning::SourceEmptied),
            (!self.findings.is_empty(), Warning::Findings { objects: self.findings.all().count() as u64 }),
            (quarantined > 0, Warning::Quarantined { objects: quarantined }),
            (guessed.0 || guessed.1, Warning::CharacterSetGuessed { moved: guessed.0, destination: guessed.1 }),
            (rebuilt.is_some(), Warning::RetrieveLogLost { since: rebuilt.unwrap_or_default() }),
        ];
        plan.warnings.extend(all.into_iter().filter(|(is, _)| *is).map(|(_, warning)| warning));
        Ok(())
    }

    /// Everything that stands against it.
    pub(super) fn refuse(&self, plan: &mut Plan) {
        let mut refusals: Vec<Refusal> = refusal::needed(plan)
            .into_iter()
            .filter_map(|(privilege, doing)| check(self.who, privilege, doing).err())
            .collect();
        for facts in std::iter::once(&self.source).chain(&self.destination) {
            refusals.extend(refusal::of_study(facts, self.who, &self.content.config));
            if rest_of_quiet(facts).is_some() {
                refusals.push(Refusal::Filing { study: facts.uid.clone(), what: "an association".into() });
            }
        }
        if plan.kind == Kind::Split && plan.source.objects_after == 0 {
            refusals.push(Refusal::NothingLeft { study: plan.source() });
        }
        if !plan.same_patient && !self.request.patient_confirmed {
            refusals.push(Refusal::PatientNotConfirmed);
        }
        if plan.mode == Mode::Local && !plan.source.copies.is_empty() && !self.request.force_local {
            refusals.push(Refusal::HasLeft { to: plan.source.copies.iter().map(|copy| copy.node.clone()).collect() });
        }
        let replaced = plan.references.iter().filter(|reference| reference.replaced).count();
        let documents = plan.references.iter().filter(|reference| reference.replaced && reference.verified).count();
        let touched = plan.references.iter().filter(|one| (one.replaced || one.moves) && one.verified).count();
        if touched > 0 && !self.request.documents_confirmed {
            refusals.push(Refusal::DocumentsNotConfirmed { documents: touched });
        }
        if replaced > 0 {
            plan.warnings.push(Warning::Replaced { objects: replaced, documents });
        }
        plan.refusals = refusals;
    }
}
