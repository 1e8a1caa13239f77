//! Why something is not done: each reason with its own words, and with what to do about it.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Mode, Plan};
use crate::catalog::{CorrectionError, CorrectionState, StudyFacts};
use crate::config::{Config, Operator, Privilege};
use crate::dicom::StudyInstanceUid;

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The operator has not the privilege.
    #[error("{operator} has not the privilege `{needs}`, which it takes to {doing}")]
    Privilege {
        /// Who asks.
        operator: String,
        /// What he would need.
        needs: Privilege,
        /// What for.
        doing: &'static str,
    },
    /// Nothing of that name is shown.
    #[error("no {level} with the UID {uid} is in this archive{}", .within.as_ref().map(|study| format!(" in study {study}")).unwrap_or_default())]
    Unknown {
        /// `study`, `series` or `instance`.
        level: &'static str,
        /// The UID.
        uid: String,
        /// Where it was looked for.
        within: Option<StudyInstanceUid>,
    },
    /// What is asked for lies in several studies.
    #[error("what is to be moved lies in {studies} studies: {}", .first.join(", "))]
    SeveralStudies {
        /// How many.
        studies: usize,
        /// Some of them.
        first: Vec<String>,
    },
    /// Nothing is there to be moved.
    #[error("study {study} holds nothing that could be moved")]
    Empty {
        /// Which.
        study: StudyInstanceUid,
    },
    /// Everything that is to be moved was made by the AI platform.
    #[error("what is to be moved are findings of the AI platform, which it makes anew for the study where they belong")]
    OnlyFindings,
    /// References or measurements cannot be repaired.
    #[error("instance {instance} cannot be made to follow: {why}")]
    Tangled {
        /// Which.
        instance: String,
        /// Why.
        why: String,
    },
    /// More than one operation takes.
    #[error("{what} are more than the {limit} that one operation takes")]
    TooMany {
        /// What.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// Source and destination are one.
    #[error("study {study} is both source and destination")]
    SameStudy {
        /// Which.
        study: StudyInstanceUid,
    },
    /// The UID of a study that was to be new is taken, or is none.
    #[error("a new study cannot have the UID {uid}: {why}")]
    NewStudy {
        /// The UID.
        uid: String,
        /// Why.
        why: &'static str,
    },
    /// Somebody else has locked a study.
    #[error("study {study} has been locked by {by} since {since}{}", if .reason.is_empty() { String::new() } else { format!(": {}", .reason) })]
    Locked {
        /// Which.
        study: StudyInstanceUid,
        /// Who.
        by: String,
        /// Since when.
        since: String,
        /// Why.
        reason: String,
    },
    /// Something is filing into a study just now.
    #[error("{what} is filing into study {study} just now")]
    Filing {
        /// Which.
        study: StudyInstanceUid,
        /// What does.
        what: String,
    },
    /// Another operation of the same kind is under way.
    #[error("an operation of {owner} on study {study} is under way since {since}")]
    Busy {
        /// Which.
        study: StudyInstanceUid,
        /// Whose.
        owner: String,
        /// Since when, as people write it.
        since: String,
    },
    /// A study was migrated by a cardiovascular system.
    #[error(
        "study {study} is marked as migrated by a cardiovascular system, whose reports know its objects by their place"
    )]
    Cardiovascular {
        /// Which.
        study: StudyInstanceUid,
    },
    /// The patient is another one, and nobody has said that this is right.
    #[error("the patient of the destination is another one, which has to be confirmed")]
    PatientNotConfirmed,
    /// Objects have left under their old identity.
    #[error("objects that are to be moved have left this archive under their old identity, to {}: a local correction would leave those copies as they are", .to.join(", "))]
    HasLeft {
        /// To whom.
        to: Vec<String>,
    },
    /// Verified or signed documents would have to be replaced.
    #[error(
        "{documents} verified or signed documents would be moved, or replaced by new versions, which has to be confirmed"
    )]
    DocumentsNotConfirmed {
        /// How many.
        documents: usize,
    },
    /// What was planned is not what there is any more.
    #[error("since the plan was made, {what}")]
    Changed {
        /// What has happened.
        what: String,
    },
    /// There is no such operation.
    #[error("there is no operation {0}")]
    NoSuchOperation(i64),
    /// It is not in force.
    #[error("operation {operation} cannot be undone: {why}")]
    NotInForce {
        /// Which.
        operation: i64,
        /// What it is instead.
        why: &'static str,
    },
    /// Something was built on it.
    #[error(
        "operation {operation} cannot be undone as long as operation {later}, which came after it, moves objects of it"
    )]
    BuiltUpon {
        /// Which.
        operation: i64,
        /// What was built on it.
        later: i64,
    },
    /// It says what of its study is not valid, and means nothing elsewhere.
    #[error("instance {instance} is a rejection note, which stays in the study whose objects it rejects")]
    RejectionNote {
        /// Which.
        instance: String,
    },
    /// There is no such object in quarantine.
    #[error("nothing in quarantine has the number {0}")]
    NoSuchQuarantined(i64),
    /// It cannot be filed as it is.
    #[error("object {number} in quarantine cannot be filed: {why}")]
    CannotFile {
        /// Its number in quarantine.
        number: i64,
        /// Why.
        why: String,
    },
    /// The study is not locked.
    #[error("study {0} is not locked")]
    NotLocked(StudyInstanceUid),
    /// Who wants to lock it has done so before.
    #[error("you have locked study {study} already, since {since}{}", if .reason.is_empty() { String::new() } else { format!(": {}", .reason) })]
    LockedAlready {
        /// Which.
        study: StudyInstanceUid,
        /// Since when.
        since: String,
        /// Why.
        reason: String,
    },
    /// A split that would leave nothing.
    #[error("these are all series of study {study}: a split leaves some of them in it")]
    NothingLeft {
        /// Which.
        study: StudyInstanceUid,
    },
}

impl Refusal {
    /// What is refused, in a word that does not change: for scripts, and for the audit trail.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Privilege { .. } => "privilege",
            Refusal::Unknown { .. } => "unknown",
            Refusal::SeveralStudies { .. } => "several-studies",
            Refusal::Empty { .. } => "empty",
            Refusal::RejectionNote { .. } => "rejection-note",
            Refusal::OnlyFindings => "only-findings",
            Refusal::Tangled { .. } => "tangled",
            Refusal::TooMany { .. } => "too-many",
            Refusal::SameStudy { .. } => "same-study",
            Refusal::NewStudy { .. } => "new-study",
            Refusal::Locked { .. } => "locked",
            Refusal::Filing { .. } => "filing",
            Refusal::Busy { .. } => "busy",
            Refusal::Cardiovascular { .. } => "cardiovascular",
            Refusal::PatientNotConfirmed => "patient-not-confirmed",
            Refusal::HasLeft { .. } => "has-left",
            Refusal::DocumentsNotConfirmed { .. } => "documents-not-confirmed",
            Refusal::Changed { .. } => "changed",
            Refusal::NoSuchOperation(_) => "no-such-operation",
            Refusal::NotInForce { .. } => "not-in-force",
            Refusal::BuiltUpon { .. } => "built-upon",
            Refusal::NoSuchQuarantined(_) => "no-such-quarantined",
            Refusal::CannotFile { .. } => "cannot-file",
            Refusal::NotLocked(_) => "not-locked",
            Refusal::LockedAlready { .. } => "locked-already",
            Refusal::NothingLeft { .. } => "nothing-left",
        }
    }

    /// What can be done about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Refusal::Privilege { .. } => {
                "ask somebody who may, or have the role widened (`[[role]]` in the configuration)"
            }
            Refusal::Unknown { .. } => {
                "look for it with `pacsferry find`; what has been moved is shown under its new study"
            }
            Refusal::SeveralStudies { .. } => {
                "say which one is meant with `--from STUDY`, or move them one after the other"
            }
            Refusal::RejectionNote { .. } => "leave it out; a merge of the whole study does so by itself",
            Refusal::Empty { .. } => "look with `pacsferry find` where its objects are",
            Refusal::OnlyFindings => {
                "move the images that they were made of, or ask with `pacsferry rescan` for new ones"
            }
            Refusal::Tangled { .. } => "have it corrected where it was made",
            Refusal::TooMany { .. } => "do it in several operations",
            Refusal::SameStudy { .. } => "name another study as the destination",
            Refusal::NewStudy { .. } => "leave the UID out, and one is made",
            Refusal::Locked { .. } => {
                "ask them, or take the lock away with `pacsferry unlock` if you have that privilege"
            }
            Refusal::Filing { .. } => "try again when it has ended; `pacsferry jobs` lists what is running",
            Refusal::Busy { .. } => "make a new plan when it has ended",
            Refusal::Cardiovascular { .. } => {
                "correct it in the system that it belongs to; `pacsferry unlock STUDY --cardiovascular` takes away a mark that is wrong"
            }
            Refusal::PatientNotConfirmed => {
                "compare both patients, and confirm with `--confirm-patient` if the destination's is the right one"
            }
            Refusal::HasLeft { .. } => {
                "use `--mode iocm`, which tells others; or `--force-local` if those copies do not matter and you have that privilege"
            }
            Refusal::DocumentsNotConfirmed { .. } => "read the plan, and confirm with `--confirm-documents`",
            Refusal::Changed { .. } => "make a new plan and look at it",
            Refusal::NoSuchOperation(_) | Refusal::NotInForce { .. } => "`pacsferry corrections` lists the operations",
            Refusal::BuiltUpon { .. } => "undo the later one first",
            Refusal::NoSuchQuarantined(_) => "`pacsferry quarantine` lists what is there",
            Refusal::CannotFile { .. } => "`pacsferry quarantine show` tells what it is; it stays where it is",
            Refusal::NotLocked(_) => "nothing has to be done",
            Refusal::LockedAlready { .. } => {
                "it stays locked for others, and you can work on it; unlock it first to give another reason"
            }
            Refusal::NothingLeft { .. } => {
                "leave one of them out; or merge the study into another one, if that is where all of it belongs"
            }
        }
    }
}

/// `{code, message, remedy}`.
impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Refusal", 3)?;
        out.serialize_field("code", self.code())?;
        out.serialize_field("message", &self.to_string())?;
        out.serialize_field("remedy", self.remedy())?;
        out.end()
    }
}

/// What it takes to do what is planned.
pub(super) fn needed(plan: &Plan) -> Vec<(Privilege, &'static str)> {
    let has_left = plan.mode == Mode::Local && !plan.source.copies.is_empty();
    let all = [
        (true, Privilege::Content, "move objects between studies"),
        (!plan.same_patient, Privilege::AcrossPatients, "move objects to another patient"),
        (has_left && plan.request.force_local, Privilege::ForceLocal, "correct locally what others hold copies of"),
    ];
    all.into_iter().filter(|(needs, ..)| *needs).map(|(_, privilege, doing)| (privilege, doing)).collect()
}

/// What stands against changing a study.
pub(super) fn of_study(facts: &StudyFacts, who: &Operator, config: &Config) -> Vec<Refusal> {
    let study = || facts.uid.clone();
    let mut refusals = Vec::new();
    if let Some(lock) = &facts.lock {
        match lock.is_manual() {
            true if lock.owner == who.name => {}
            true => refusals.push(locked(study(), &lock.owner, lock.since, &lock.reason)),
            false => {
                let (owner, since) = (lock.owner.clone(), super::day(lock.since));
                refusals.push(Refusal::Busy { study: study(), owner, since });
            }
        }
    }
    if let Some(busy) = facts.busy.first() {
        let of = if busy.source.is_empty() { "an import".to_owned() } else { format!("from {}", busy.source) };
        refusals.push(Refusal::Filing { study: study(), what: format!("job {} ({of})", busy.job) });
    }
    let cardiovascular = |name: &String| config.source(name).is_some_and(|source| source.cardiovascular);
    if facts.cv_migrated || facts.sources.iter().any(cardiovascular) {
        refusals.push(Refusal::Cardiovascular { study: study() });
    }
    refusals
}

fn locked(study: StudyInstanceUid, by: &str, since: i64, reason: &str) -> Refusal {
    Refusal::Locked { study, by: by.to_owned(), since: super::day(since), reason: reason.to_owned() }
}

impl From<CorrectionError> for Refusal {
    fn from(error: CorrectionError) -> Self {
        match error {
            CorrectionError::Unknown(id) => Refusal::NoSuchOperation(id),
            CorrectionError::State { id, state } => Refusal::NotInForce {
                operation: id,
                why: match state {
                    CorrectionState::Staged => "it has not been done yet",
                    CorrectionState::Active => "it is in force",
                    CorrectionState::Undone => "it has been undone already",
                },
            },
            CorrectionError::DoneAlready => Refusal::Changed { what: "this plan has been carried out already".into() },
            CorrectionError::Changed(study) => Refusal::Changed { what: format!("study {study} has changed") },
            CorrectionError::Taken(objects) => {
                Refusal::Changed { what: format!("another operation has changed {objects} of the objects") }
            }
            CorrectionError::NotFiled(documents) => {
                Refusal::Changed { what: format!("{documents} documents that belong to it could not be filed") }
            }
            CorrectionError::BuiltOn { id, by } => Refusal::BuiltUpon { operation: id, later: by },
            CorrectionError::Locked { study, owner, since, reason } => locked(study, &owner, since, &reason),
            CorrectionError::Running { study, owner, since } => {
                Refusal::Busy { study, owner, since: super::day(since) }
            }
            CorrectionError::NotLocked(study) => Refusal::NotLocked(study),
            CorrectionError::NoSuchStudy(study) => {
                Refusal::Unknown { level: "study", uid: study.to_string(), within: None }
            }
        }
    }
}

/// What it takes to do something; the one place where privileges are asked for.
pub(super) fn check(who: &Operator, needs: Privilege, doing: &'static str) -> Result<(), Refusal> {
    if who.may(needs) { Ok(()) } else { Err(Refusal::Privilege { operator: who.name.clone(), needs, doing }) }
}
