//! What the audit trail is told of an operation.

use std::collections::BTreeMap;

use super::commit::action;
use super::{Content, ContentError, Plan, Refusal, Request, To, What, Why};
use crate::audit::{AuditEvent, AuditOutcome, CorrectionAction, CorrectionEvent, StudyObjects};
use crate::catalog::Correction;
use crate::config::Operator;

/// Somebody did what was planned, or was not let.
pub(super) fn of_plan(plan: &Plan, who: &Operator, number: Option<i64>, outcome: AuditOutcome) -> AuditEvent {
    let mut classes: BTreeMap<&str, u64> = BTreeMap::new();
    for object in &plan.work.objects {
        *classes.entry(object.class.as_str()).or_default() += 1;
    }
    let classes: Vec<(String, u64)> = classes.into_iter().map(|(class, count)| (class.to_owned(), count)).collect();
    let objects = |study: &str| StudyObjects { study: study.to_owned(), classes: classes.clone() };
    let mut event = CorrectionEvent::new(&who.name, action(plan.kind), outcome);
    event.number = number;
    event.reason = reason(&plan.why);
    event.studies = vec![objects(&plan.source.uid), objects(&plan.destination.uid)];
    let series = plan.series.iter().map(|series| (series.uid.clone(), series.new_uid.clone()));
    let instances = plan.work.objects.iter().map(|object| {
        let new = plan.work.new_uids.get(&object.id).unwrap_or(&object.shown);
        (object.shown.to_string(), new.to_string())
    });
    AuditEvent::Correction(event.uids(series.chain(instances)))
}

/// Somebody took an operation back, or was not let.
pub(super) fn of_undo(correction: &Correction, why: &Why, who: &Operator, outcome: AuditOutcome) -> AuditEvent {
    let studies = [&correction.destination, &correction.source];
    of_studies(
        CorrectionAction::Undo,
        Some(correction.id),
        studies.map(ToString::to_string).to_vec(),
        why,
        who,
        outcome,
    )
}

/// Somebody did something with studies, or was not let.
pub(super) fn of_studies(
    action: CorrectionAction,
    number: Option<i64>,
    studies: Vec<String>,
    why: &Why,
    who: &Operator,
    outcome: AuditOutcome,
) -> AuditEvent {
    let mut event = CorrectionEvent::new(&who.name, action, outcome);
    event.number = number;
    event.reason = reason(why);
    event.studies = studies.into_iter().map(|study| StudyObjects { study, classes: Vec::new() }).collect();
    AuditEvent::Correction(event)
}

impl Content {
    /// Tells the audit trail that something was asked for and refused before there was a plan of it.
    pub(super) async fn tell_refused(
        &self,
        request: &Request,
        refusals: &[Refusal],
        who: &Operator,
    ) -> Result<(), ContentError> {
        let from = match &request.what {
            What::Study(study) => Some(study),
            What::Series(_) | What::Instances(_) => request.from.as_ref(),
        };
        let to = match &request.to {
            To::Study(study) => Some(study),
            To::New(study) => study.as_ref(),
        };
        let studies = [from, to].into_iter().flatten().map(ToString::to_string).collect();
        let words: Vec<String> = refusals.iter().map(Refusal::to_string).collect();
        let outcome = AuditOutcome::Minor(words.join("; "));
        let event = of_studies(action(request.kind()), None, studies, &request.why, who, outcome);
        Ok(self.audit.write(event).await?)
    }
}

fn reason(why: &Why) -> String {
    match (why.code.is_empty(), why.text.is_empty()) {
        (_, true) => why.code.clone(),
        (true, false) => why.text.clone(),
        (false, false) => format!("{}: {}", why.code, why.text),
    }
}
