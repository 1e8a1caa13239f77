//! What is worth an entry in the audit trail (PS3.15 A.5.3).

use std::net::IpAddr;

use super::CorrectionEvent;

/// Somebody who takes part: an application entity, a program, a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// AE title or name of the program; empty if unknown, or where there is only a person.
    pub name: String,
    /// Where it is.
    pub address: Option<IpAddr>,
    /// The person at the other end, where it is known who that is.
    pub user: Option<String>,
}

impl Party {
    /// A person at a browser, or a program of his.
    pub fn person(name: &str, address: IpAddr) -> Party {
        Party { name: String::new(), address: Some(address), user: Some(name.to_owned()) }
    }

    /// A person at a command line of this machine.
    pub fn here(name: &str) -> Party {
        Party { user: Some(name.to_owned()), ..Party::default() }
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutcome {
    /// As it should.
    Success,
    /// Not, or not wholly: why. What was attempted remains possible.
    Minor(String),
    /// Not, and somebody should look at it: why.
    Serious(String),
}

/// What kind of security alert it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alert {
    /// Somebody could not show who he is: unknown AE title or address, wrong certificate.
    NodeAuthentication,
    /// Somebody known asked for what he may not have.
    RestrictedFunction,
    /// The audit trail has a gap.
    AuditRecordingStopped,
    /// A password, a token, or whether somebody may sign in was changed.
    UserAttributesChanged,
    /// The roles of an account were changed.
    RolesChanged,
}

/// Which way objects went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// To us.
    In,
    /// From us.
    Out,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The first object of a study is on its way.
    Begun,
    /// All objects, of this association or of some minutes, have been sent.
    Ended,
}

/// Objects of one study and of some SOP classes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StudyObjects {
    /// Study Instance UID; empty if unknown.
    pub study: String,
    /// SOP Class UIDs with the number of instances.
    pub classes: Vec<(String, u64)>,
}

impl StudyObjects {
    /// How many instances that are.
    pub fn instances(&self) -> u64 {
        self.classes.iter().map(|(_, count)| count).sum()
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEvent {
    /// A process of ours was started (or stopped).
    Application {
        /// What was started: `serve`, `work`.
        what: String,
        /// Started, or stopped.
        started: bool,
    },
    /// Something that threatens, or looks like it.
    Security {
        /// What kind.
        alert: Alert,
        /// Who did it, as far as that is known.
        who: Party,
        /// In a sentence.
        what: String,
    },
    /// Somebody has shown, or could not show, who he is: user name and passcode, certificate.
    Authentication {
        /// Who.
        who: Party,
        /// Whether he has.
        outcome: AuditOutcome,
    },
    /// Somebody has gone.
    SignedOut {
        /// Who.
        who: Party,
    },
    /// Somebody looked at a study.
    Viewed {
        /// Who.
        who: Party,
        /// What.
        study: StudyObjects,
    },
    /// A query was received.
    Query {
        /// Who asked.
        who: Party,
        /// SOP Class UID of the service.
        class: String,
        /// Its data set, as it came, or the beginning of it.
        identifier: Vec<u8>,
        /// The length of its data set.
        length: usize,
        /// Transfer Syntax UID of the data set.
        transfer_syntax: String,
        /// How it ended.
        outcome: AuditOutcome,
    },
    /// Objects of one study are sent to us, or by us.
    Transfer {
        /// Begun or ended.
        phase: Phase,
        /// To us or from us.
        way: Way,
        /// Who is at the other end of the association on which the objects go.
        peer: Party,
        /// Who asked for them, when that is somebody else (C-MOVE).
        requestor: Option<Party>,
        /// What.
        objects: StudyObjects,
        /// How it ended.
        outcome: AuditOutcome,
    },
    /// Somebody was told which objects are safe with us.
    Commitment {
        /// Who asked.
        who: Party,
        /// Transaction UID.
        transaction: String,
        /// What, by study.
        objects: Vec<StudyObjects>,
        /// How it ended.
        outcome: AuditOutcome,
    },
    /// A job was begun, or has come to rest.
    Job {
        /// Its number.
        id: i64,
        /// What it is, in words: `migration of oldpacs`.
        what: String,
        /// Begun or ended.
        phase: Phase,
        /// How it ended.
        outcome: AuditOutcome,
    },
    /// Somebody made a job do something, or agreed to what became of it.
    Operated {
        /// Who.
        operator: String,
        /// The number of the job.
        id: i64,
        /// In a sentence.
        what: String,
    },
    /// Studies of patients who are expected were put before others.
    Prepared {
        /// Who asked for it.
        operator: String,
        /// In a sentence.
        what: String,
    },
    /// Somebody changed where objects belong, or was not let.
    Correction(CorrectionEvent),
    /// The account that this process runs under read the audit trail.
    LogUsed,
}

/// Collectors take messages of 32 KiB at least (PS3.15 A.6): of a query that is longer, so much is kept.
const LONGEST_QUERY: usize = 16 * 1024;

impl AuditEvent {
    /// A query was received.
    pub fn query(who: Party, class: &str, identifier: &[u8], transfer_syntax: &str, outcome: AuditOutcome) -> Self {
        let kept = identifier.get(..LONGEST_QUERY).unwrap_or(identifier);
        AuditEvent::Query {
            who,
            class: class.to_owned(),
            identifier: kept.to_vec(),
            length: identifier.len(),
            transfer_syntax: transfer_syntax.to_owned(),
            outcome,
        }
    }
}
