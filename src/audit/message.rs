//! From an event to its message: who took part, and what it is about (PS3.15 A.5.3).

use super::codes::{self, Code};
use super::event::{Alert, AuditEvent, AuditOutcome, Party, Phase, StudyObjects, Way};
use crate::catalog::AuditSubject;

/// Who writes the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ourselves {
    /// What the collector knows this archive by.
    pub(super) source: String,
    /// The site, if it has a name.
    pub(super) site: Option<String>,
    /// Our AE title.
    pub(super) ae_title: String,
    /// The name of this machine.
    pub(super) host: String,
    /// Which of our programs this is: `serve`, `work`.
    pub(super) program: String,
}

/// Somebody who took part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Participant {
    pub(super) id: String,
    pub(super) alternative: Option<String>,
    pub(super) name: Option<String>,
    pub(super) requestor: bool,
    /// A host name (`false`) or an address (`true`).
    pub(super) place: Option<(String, bool)>,
    pub(super) role: Option<Code>,
}

/// What names an object, or, for a query, is it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Naming {
    Name(String),
    Query(Vec<u8>),
}

/// Something that the event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) id: String,
    /// A person or a system object.
    pub(super) person: bool,
    /// Participant Object Type Code Role.
    pub(super) role: &'static str,
    pub(super) kind: Code,
    pub(super) naming: Naming,
    pub(super) details: Vec<(&'static str, String)>,
    pub(super) accession: Option<String>,
    pub(super) classes: Vec<(String, u64)>,
}

/// Everything that a message says but for time and source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) action: &'static str,
    pub(super) event: Code,
    pub(super) kind: Option<Code>,
    pub(super) outcome: AuditOutcome,
    pub(super) participants: Vec<Participant>,
    pub(super) objects: Vec<Object>,
}

impl AuditOutcome {
    /// Event Outcome Indicator.
    pub(super) fn indicator(&self) -> u8 {
        match self {
            AuditOutcome::Success => 0,
            AuditOutcome::Minor(_) => 4,
            AuditOutcome::Serious(_) => 8,
        }
    }

    /// Why, where there is something to say.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            AuditOutcome::Success => None,
            AuditOutcome::Minor(why) | AuditOutcome::Serious(why) => Some(why),
        }
    }
}

impl AuditEvent {
    /// The studies that the catalog is asked about, in the order in which the message names them.
    pub(super) fn studies(&self) -> Vec<String> {
        let of = |objects: &[StudyObjects]| objects.iter().map(|objects| objects.study.clone()).collect();
        match self {
            AuditEvent::Transfer { objects, .. } => of(std::slice::from_ref(objects)),
            AuditEvent::Commitment { objects, .. } => of(objects),
            AuditEvent::Correction(correction) => correction.studies(),
            AuditEvent::Viewed { study, .. } => of(std::slice::from_ref(study)),
            _ => Vec::new(),
        }
    }

    /// The message; `subjects` are whom [`AuditEvent::studies`] are about.
    pub(super) fn message(&self, we: &Ourselves, subjects: &[AuditSubject]) -> Message {
        let success = AuditOutcome::Success;
        let message = |event, action, kind, outcome: &AuditOutcome, participants, objects| Message {
            action,
            event,
            kind,
            outcome: outcome.clone(),
            participants,
            objects,
        };
        match self {
            AuditEvent::Application { what, started } => {
                let kind = if *started { codes::APPLICATION_START } else { codes::APPLICATION_STOP };
                let us = Participant { name: Some(what.clone()), ..we.participant(false, Some(codes::APPLICATION)) };
                let launcher = we.person(true, Some(codes::LAUNCHER));
                message(codes::APPLICATION_ACTIVITY, "E", Some(kind), &success, vec![us, launcher], vec![])
            }
            AuditEvent::Security { alert, who, what } => {
                let outcome = match alert {
                    Alert::AuditRecordingStopped => AuditOutcome::Serious(what.clone()),
                    Alert::NodeAuthentication | Alert::RestrictedFunction => AuditOutcome::Minor(what.clone()),
                    Alert::UserAttributesChanged | Alert::RolesChanged => AuditOutcome::Success,
                };
                let mut participants = vec![we.participant(true, None)];
                participants.extend(who.participants(false, None));
                let subject = Object {
                    details: vec![("Alert Description", what.clone())],
                    ..Object::system(&we.ae_title, "13", codes::NODE_ID, "pacsferry")
                };
                message(codes::SECURITY_ALERT, "E", Some(alert.code()), &outcome, participants, vec![subject])
            }
            AuditEvent::Authentication { who, outcome } => {
                let mut participants = who.participants(true, None);
                participants.push(we.participant(false, None));
                message(codes::USER_AUTHENTICATION, "E", Some(codes::LOGIN), outcome, participants, vec![])
            }
            AuditEvent::SignedOut { who } => {
                let mut participants = who.participants(true, None);
                participants.push(we.participant(false, None));
                message(codes::USER_AUTHENTICATION, "E", Some(codes::LOGOUT), &success, participants, vec![])
            }
            AuditEvent::Viewed { who, study } => {
                let mut participants = who.participants(true, None);
                participants.push(we.participant(false, None));
                let objects = studies(std::slice::from_ref(study), subjects);
                message(codes::INSTANCES_ACCESSED, "R", None, &success, participants, objects)
            }
            AuditEvent::Query { who, class, identifier, length, transfer_syntax, outcome } => {
                let mut participants = who.participants(true, Some(codes::SOURCE));
                participants.push(we.participant(false, Some(codes::DESTINATION)));
                let whole = (*length > identifier.len()).then(|| ("QueryLength", length.to_string()));
                let query = Object {
                    naming: Naming::Query(identifier.clone()),
                    details: std::iter::once(("TransferSyntax", transfer_syntax.clone())).chain(whole).collect(),
                    ..Object::system(class, "3", codes::CLASS_UID, "")
                };
                message(codes::QUERY, "E", None, outcome, participants, vec![query])
            }
            AuditEvent::Transfer { phase, way, peer, requestor, objects, outcome } => {
                let (ours, theirs) = match way {
                    Way::In => (codes::DESTINATION, codes::SOURCE),
                    Way::Out => (codes::SOURCE, codes::DESTINATION),
                };
                let they_asked = *way == Way::In && requestor.is_none();
                let mut participants = peer.participants(they_asked, Some(theirs));
                participants.push(we.participant(false, Some(ours)));
                participants.extend(requestor.iter().flat_map(|party| party.participants(true, None)));
                let (event, action) = match (phase, way) {
                    (Phase::Begun, _) => (codes::BEGIN_TRANSFERRING, "E"),
                    (Phase::Ended, Way::In) => (codes::INSTANCES_TRANSFERRED, "C"),
                    (Phase::Ended, Way::Out) => (codes::INSTANCES_TRANSFERRED, "R"),
                };
                let objects = studies(std::slice::from_ref(objects), subjects);
                message(event, action, None, outcome, participants, objects)
            }
            AuditEvent::Commitment { who, objects, outcome, .. } => {
                let mut participants = who.participants(true, None);
                participants.push(we.participant(false, None));
                let objects = studies(objects, subjects);
                message(codes::INSTANCES_ACCESSED, "R", Some(codes::COMMITMENT), outcome, participants, objects)
            }
            AuditEvent::Job { id, what, phase, outcome } => {
                let participants = vec![we.participant(false, Some(codes::DESTINATION)), we.person(true, None)];
                let job = Object::system(&id.to_string(), "20", codes::JOB, what);
                message(codes::IMPORT, "C", Some(phase.of_job()), outcome, participants, vec![job])
            }
            AuditEvent::Operated { operator, id, what } => {
                let participants = vec![we.participant(false, Some(codes::DESTINATION)), we.user(operator)];
                let job = Object::system(&id.to_string(), "20", codes::JOB, what);
                message(codes::IMPORT, "U", Some(codes::OPERATED), &success, participants, vec![job])
            }
            AuditEvent::Prepared { operator, what } => {
                let participants = vec![we.participant(false, Some(codes::DESTINATION)), we.user(operator)];
                let queue = Object::system("priors", "20", codes::JOB, what);
                message(codes::IMPORT, "U", Some(codes::OPERATED), &success, participants, vec![queue])
            }
            AuditEvent::Correction(correction) => correction.message(we, subjects),
            AuditEvent::LogUsed => {
                let log = Object::system("pacsferry:audit", "13", codes::URI, "Security Audit Log");
                let participants = vec![we.person(true, None), we.participant(false, None)];
                message(codes::AUDIT_LOG_USED, "R", None, &success, participants, vec![log])
            }
        }
    }
}

/// The studies, and each patient once.
pub(super) fn studies(objects: &[StudyObjects], subjects: &[AuditSubject]) -> Vec<Object> {
    let mut studies = Vec::new();
    let mut patients: Vec<Object> = Vec::new();
    for (at, objects) in objects.iter().enumerate() {
        let subject = subjects.get(at).cloned().unwrap_or_default();
        studies.push(Object {
            accession: Some(subject.accession_number).filter(|number| !number.is_empty()),
            classes: objects.classes.clone(),
            ..Object::system(&objects.study, "3", codes::STUDY_UID, "study")
        });
        let patient = Object {
            person: true,
            ..Object::system(&subject.patient_id, "1", codes::PATIENT_NUMBER, &subject.patient_name)
        };
        if !patients.contains(&patient) {
            patients.push(patient);
        }
    }
    studies.append(&mut patients);
    studies
}

impl Object {
    pub(super) fn system(id: &str, role: &'static str, kind: Code, name: &str) -> Object {
        Object {
            id: id.to_owned(),
            person: false,
            role,
            kind,
            naming: Naming::Name(name.to_owned()),
            details: Vec::new(),
            accession: None,
            classes: Vec::new(),
        }
    }
}

impl Party {
    /// The application entity, and the person at it where one is known.
    fn participants(&self, requestor: bool, role: Option<Code>) -> Vec<Participant> {
        let place = self.address.map(|address| (address.to_canonical().to_string(), true));
        let entity = Participant {
            id: if self.name.is_empty() { "unknown".to_owned() } else { self.name.clone() },
            alternative: (!self.name.is_empty()).then(|| format!("AETITLES={}", self.name)),
            name: None,
            requestor,
            place: place.clone(),
            role,
        };
        let user = self.user.iter().map(|user| Participant {
            id: user.clone(),
            requestor,
            place: place.clone(),
            ..Participant::default()
        });
        // A person needs no application entity to be somebody.
        let entity = (!self.name.is_empty() || self.user.is_none()).then_some(entity);
        entity.into_iter().chain(user).collect()
    }
}

impl Ourselves {
    /// This process.
    pub(super) fn participant(&self, requestor: bool, role: Option<Code>) -> Participant {
        Participant {
            id: std::process::id().to_string(),
            alternative: Some(format!("AETITLES={}", self.ae_title)),
            name: Some(format!("pacsferry {}", self.program)),
            requestor,
            place: Some((self.host.clone(), false)),
            role,
        }
    }

    /// A person at this machine who asked for something.
    pub(super) fn user(&self, name: &str) -> Participant {
        let place = Some((self.host.clone(), false));
        Participant { id: name.to_owned(), requestor: true, place, ..Participant::default() }
    }

    /// The person, or the account, that it runs for.
    fn person(&self, requestor: bool, role: Option<Code>) -> Participant {
        Participant {
            id: account(),
            requestor,
            place: Some((self.host.clone(), false)),
            role,
            ..Participant::default()
        }
    }
}

/// The account that this process runs under.
pub(super) fn account() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
