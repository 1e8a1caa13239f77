//! Events in words, for people who read the audit trail without a collector.

use super::event::{Alert, AuditEvent, AuditOutcome, Party, Phase, StudyObjects, Way};

impl AuditEvent {
    /// What kind of event it is.
    pub(super) fn word(&self) -> &'static str {
        match self {
            AuditEvent::Application { started: true, .. } => "start",
            AuditEvent::Application { .. } => "stop",
            AuditEvent::Security { alert: Alert::UserAttributesChanged | Alert::RolesChanged, .. } => "account",
            AuditEvent::Security { .. } => "alert",
            AuditEvent::Authentication { .. } => "login",
            AuditEvent::SignedOut { .. } => "logout",
            AuditEvent::Viewed { .. } => "viewed",
            AuditEvent::Query { .. } => "query",
            AuditEvent::Transfer { phase: Phase::Begun, .. } => "transfer begun",
            AuditEvent::Transfer { .. } => "transfer",
            AuditEvent::Commitment { .. } => "commitment",
            AuditEvent::Job { phase: Phase::Begun, .. } => "job begun",
            AuditEvent::Job { .. } => "job ended",
            AuditEvent::Operated { .. } => "job operated",
            AuditEvent::Prepared { .. } => "priors",
            AuditEvent::Correction(correction) => correction.action.word(),
            AuditEvent::LogUsed => "audit read",
        }
    }
}

/// Who did it.
pub(super) fn who(event: &AuditEvent) -> String {
    match event {
        AuditEvent::Application { .. } | AuditEvent::Job { .. } | AuditEvent::LogUsed => super::message::account(),
        AuditEvent::Operated { operator, .. } | AuditEvent::Prepared { operator, .. } => operator.clone(),
        AuditEvent::Correction(correction) => correction.operator.clone(),
        AuditEvent::Transfer { requestor: Some(party), .. } => party.to_string(),
        AuditEvent::Security { who, .. }
        | AuditEvent::Authentication { who, .. }
        | AuditEvent::SignedOut { who }
        | AuditEvent::Viewed { who, .. }
        | AuditEvent::Query { who, .. }
        | AuditEvent::Commitment { who, .. }
        | AuditEvent::Transfer { peer: who, .. } => who.to_string(),
    }
}

/// What was done, in a sentence.
pub(super) fn what(event: &AuditEvent) -> String {
    match event {
        AuditEvent::Application { what, .. } => what.clone(),
        AuditEvent::Security { what, .. } => what.clone(),
        AuditEvent::Authentication { outcome, .. } => ended("authenticated", outcome),
        AuditEvent::SignedOut { .. } => "signed out".to_owned(),
        AuditEvent::Viewed { study, .. } => format!("looked at study {}", study.study),
        AuditEvent::Query { class, length, outcome, .. } => {
            ended(&format!("query of {length} bytes in {class}"), outcome)
        }
        AuditEvent::Transfer { phase, way, peer, objects, outcome, .. } => {
            let side = match way {
                Way::In => format!("from {peer}"),
                Way::Out => format!("to {peer}"),
            };
            match phase {
                Phase::Begun => format!("study {} {side}", objects.study),
                Phase::Ended => ended(&format!("{} {side}", listed(objects)), outcome),
            }
        }
        AuditEvent::Commitment { transaction, objects, outcome, .. } => {
            let instances: u64 = objects.iter().map(StudyObjects::instances).sum();
            let what = format!("transaction {transaction}: {} in {} studies", counted(instances), objects.len());
            ended(&what, outcome)
        }
        AuditEvent::Operated { id, what, .. } => format!("job {id}: {what}"),
        AuditEvent::Prepared { what, .. } => what.clone(),
        AuditEvent::Job { id, what, outcome, .. } => ended(&format!("job {id}, {what}"), outcome),
        AuditEvent::Correction(correction) => correction.what(),
        AuditEvent::LogUsed => "the audit trail was read".to_owned(),
    }
}

fn listed(objects: &StudyObjects) -> String {
    format!("{} of study {}", counted(objects.instances()), objects.study)
}

fn counted(instances: u64) -> String {
    if instances == 1 { "1 instance".to_owned() } else { format!("{instances} instances") }
}

fn ended(what: &str, outcome: &AuditOutcome) -> String {
    match outcome.reason() {
        None => what.to_owned(),
        Some(why) => format!("{what}: {why}"),
    }
}

/// `WORKSTATION1 at 10.1.2.20`, with the user where one is known.
impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, user) = match (self.name.as_str(), &self.user) {
            ("", Some(person)) => (person.as_str(), None),
            ("", None) => ("unknown", None),
            (name, user) => (name, user.as_ref()),
        };
        f.write_str(name)?;
        if let Some(address) = self.address {
            write!(f, " at {}", address.to_canonical())?;
        }
        match user {
            Some(user) => write!(f, " ({user})"),
            None => Ok(()),
        }
    }
}
