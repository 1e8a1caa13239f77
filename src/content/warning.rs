//! What somebody should know before saying yes.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Mode, PatientSheet};
use crate::catalog::Latecomers;

/// Studies that are named one by one.
const STUDIES: usize = 5;
/// And patients.
const PATIENTS: usize = 20;

/// Something that an operation brings with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The patient changes.
    OtherPatient,
    /// Study attributes of the patient (weight, size, admission) are not carried over.
    PatientStudyRemoved {
        /// What becomes of the age.
        age: Option<String>,
        /// Whether there are objects of the destination's patient among them, which keep theirs.
        mixed: bool,
    },
    /// The order of the objects is not carried over, and the destination has not exactly one.
    OrderRemoved,
    /// Digital signatures become void and are removed.
    Signed {
        /// Objects that have some.
        objects: usize,
    },
    /// Objects that are too large to be read to their end, where signatures stand.
    SignaturesUnknown {
        /// How many.
        objects: u64,
    },
    /// Objects that cannot be read: whose they are is not known.
    Unread {
        /// How many.
        objects: u64,
        /// The SOP Instance UID of one.
        first: String,
    },
    /// Objects that stay and cannot be read: what they refer to is not known.
    UnreadReferences {
        /// How many.
        objects: usize,
        /// The SOP Instance UID of one.
        first: String,
    },
    /// The files that objects are read from lie outside the archive.
    Linked {
        /// How many.
        files: u64,
    },
    /// Others hold copies.
    Copies {
        /// How many nodes.
        nodes: usize,
        /// Whether they will be told.
        mode: Mode,
        /// Those that cannot be told by this archive.
        untold: Vec<String>,
    },
    /// The destination holds nothing to take its attributes from.
    EmptyDestination,
    /// The source will be empty.
    SourceEmptied,
    /// Findings of the AI platform will be cleared and asked for again.
    Findings {
        /// How many objects.
        objects: u64,
    },
    /// Objects name different patients themselves.
    SeveralPatients {
        /// All of them, with how many objects name each.
        patients: Vec<(PatientSheet, u64)>,
    },
    /// Objects of the source are in quarantine, and stay there.
    Quarantined {
        /// How many.
        objects: u64,
    },
    /// Measurements stay in the source's report, since the destination has none.
    MeasurementsStay {
        /// How many.
        measurements: usize,
    },
    /// Objects that stay refer to moved ones and are replaced by new versions.
    Replaced {
        /// How many.
        objects: usize,
        /// How many of them are verified or signed.
        documents: usize,
    },
    /// Objects that only refer to what is moved go with it.
    Companions {
        /// How many.
        objects: usize,
    },
    /// Objects that stay refer to moved ones by a study that these leave.
    ReferencedFromOutside {
        /// How many.
        objects: usize,
    },
    /// Objects of other studies of either patient refer to what gets other UIDs, and are not repaired.
    ReferencedElsewhere {
        /// How many, of those that were looked at.
        objects: usize,
        /// The studies that they are in.
        studies: Vec<String>,
        /// Whether there are so many that not all were looked at.
        unread: bool,
    },
    /// IHE knows no note that takes a rejection back.
    NoRevocation,
    /// Nodes got objects as an operation shows them that is taken back.
    CorrectedCopies {
        /// Which.
        nodes: Vec<String>,
    },
    /// Objects of a series that was moved came later, into the study that it had left.
    CameLate {
        /// How many.
        objects: u64,
        /// Of which series.
        series: String,
        /// The operation that moved it.
        operation: i64,
        /// Where to.
        destination: String,
    },
    /// Texts have letters beyond ASCII and nobody says in which character set they are.
    CharacterSetGuessed {
        /// Those of the objects to be moved.
        moved: bool,
        /// Those of the destination.
        destination: bool,
    },
    /// The catalog was made anew: which nodes got copies before is not known.
    RetrieveLogLost {
        /// When, as people write it.
        since: String,
    },
}

impl Warning {
    /// In a word that does not change.
    pub fn code(&self) -> &'static str {
        match self {
            Warning::OtherPatient => "other-patient",
            Warning::PatientStudyRemoved { .. } => "patient-study-removed",
            Warning::OrderRemoved => "order-removed",
            Warning::Signed { .. } => "signed",
            Warning::SignaturesUnknown { .. } => "signatures-unknown",
            Warning::Unread { .. } => "unread",
            Warning::UnreadReferences { .. } => "unread-references",
            Warning::Linked { .. } => "linked",
            Warning::Copies { .. } => "copies",
            Warning::EmptyDestination => "empty-destination",
            Warning::SourceEmptied => "source-emptied",
            Warning::Findings { .. } => "findings",
            Warning::SeveralPatients { .. } => "several-patients",
            Warning::Quarantined { .. } => "quarantined",
            Warning::MeasurementsStay { .. } => "measurements-stay",
            Warning::Replaced { .. } => "replaced",
            Warning::Companions { .. } => "companions",
            Warning::ReferencedFromOutside { .. } => "referenced-from-outside",
            Warning::ReferencedElsewhere { .. } => "referenced-from-elsewhere",
            Warning::NoRevocation => "no-revocation",
            Warning::CorrectedCopies { .. } => "corrected-copies",
            Warning::CameLate { .. } => "came-late",
            Warning::CharacterSetGuessed { .. } => "character-set-guessed",
            Warning::RetrieveLogLost { .. } => "retrieve-log-lost",
        }
    }

    /// In words.
    pub fn message(&self) -> String {
        let plural = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        match self {
            Warning::OtherPatient => "the objects will show another patient".into(),
            Warning::PatientStudyRemoved { age, mixed } => {
                let whose = if *mixed { " from the objects of another patient" } else { "" };
                match age {
                    Some(age) => format!(
                        "size, weight, admission and the like belong to the old patient and are removed{whose}; the age becomes {age}"
                    ),
                    None => format!(
                        "age, size, weight, admission and the like belong to the old patient and are removed{whose}"
                    ),
                }
            }
            Warning::OrderRemoved => {
                "the destination has not exactly one order: the objects will have none, never the old one".into()
            }
            Warning::Signed { objects } => format!(
                "{} digitally signed: the signatures become void and are removed",
                plural(*objects, "object is", "objects are")
            ),
            Warning::SignaturesUnknown { objects } => format!(
                "{} not looked through for digital signatures, which are removed if there are any",
                plural(count(*objects), "object is", "objects are")
            ),
            Warning::Unread { objects, first } => format!(
                "{} not be read, so that nobody knows whose they are, such as {first}: `pacsferry verify --all --files` says why",
                plural(count(*objects), "object can", "objects can")
            ),
            Warning::UnreadReferences { objects, first } => format!(
                "{} cannot be read, such as {first}: nobody knows whether {} to what is moved, and {} as before",
                plural(*objects, "object that stays", "objects that stay"),
                if *objects == 1 { "it refers" } else { "they refer" },
                if *objects == 1 { "it is left" } else { "they are left" },
            ),
            Warning::Linked { files } => {
                format!("{} outside the archive, and stay as they are", plural(count(*files), "file lies", "files lie"))
            }
            Warning::Copies { nodes, mode: Mode::Local, .. } => {
                format!("{} copies, which keep their old identity", plural(*nodes, "node holds", "nodes hold"))
            }
            Warning::Copies { nodes, mode: Mode::Iocm, untold } if untold.is_empty() => {
                format!("{} copies, and will be told", plural(*nodes, "node holds", "nodes hold"))
            }
            Warning::Copies { nodes, mode: Mode::Iocm, untold } => format!(
                "{} copies; these have to be told by somebody: {}",
                plural(*nodes, "node holds", "nodes hold"),
                untold.join(", ")
            ),
            Warning::EmptyDestination => {
                "the destination holds no object: its attributes are those that the catalog remembers".into()
            }
            Warning::SourceEmptied => "nothing is left in the source, which will not be shown any more".into(),
            Warning::Findings { objects } => format!(
                "{} of the AI platform cleared, and the studies scanned again",
                plural(count(*objects), "finding is", "findings are")
            ),
            Warning::SeveralPatients { patients } => {
                let one = |(patient, objects): &(PatientSheet, u64)| {
                    let issuer =
                        if patient.issuer.is_empty() { String::new() } else { format!(" ({})", patient.issuer) };
                    let birth = if patient.birth_date.is_empty() { "" } else { ", born " };
                    let PatientSheet { id, name, birth_date, .. } = patient;
                    format!("{id}{issuer} {name}{birth}{birth_date}: {}", plural(count(*objects), "object", "objects"))
                };
                let all: Vec<String> = patients.iter().take(PATIENTS).map(one).collect();
                let more = if patients.len() > PATIENTS { "; and more" } else { "" };
                format!("the objects to be moved name different patients themselves: {}{more}", all.join("; "))
            }
            Warning::Quarantined { objects } => format!(
                "{} in quarantine, and {} there",
                plural(count(*objects), "object of the source study is", "objects of the source study are"),
                if *objects == 1 { "stays" } else { "stay" }
            ),
            Warning::MeasurementsStay { measurements } => format!(
                "the destination has no measurement report: {} in the source's",
                plural(*measurements, "measurement stays", "measurements stay")
            ),
            Warning::Replaced { objects, documents } => format!(
                "{} but refer to moved ones: new versions replace them ({} verified or signed)",
                plural(*objects, "object stays,", "objects stay,"),
                documents
            ),
            Warning::Companions { objects } => format!(
                "{} to nothing but what is moved, and {} along",
                plural(*objects, "object refers", "objects refer"),
                if *objects == 1 { "goes" } else { "go" }
            ),
            Warning::ReferencedFromOutside { objects } => format!(
                "{} refer to moved ones: they still find them by their own UIDs, not by their study",
                plural(*objects, "object that stays does", "objects that stay")
            ),
            Warning::ReferencedElsewhere { objects, studies, unread } => {
                let rest = if *unread { "; there are more objects in them than were looked at" } else { "" };
                if studies.is_empty() {
                    return format!("other studies of the patients may refer to moved objects by their old UIDs{rest}");
                }
                let (named, more) = studies.split_at(studies.len().min(STUDIES));
                let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
                format!(
                    "{} to moved ones by their old UIDs, and will not find them any more (study {}{more}){rest}",
                    plural(*objects, "object of another study refers", "objects of other studies refer"),
                    named.join(", ")
                )
            }
            Warning::NoRevocation => {
                "others that were told of the rejection are not told that it is taken back: IHE has no note for that"
                    .into()
            }
            Warning::CorrectedCopies { nodes } => format!(
                "{} got corrected objects meanwhile, and {} them after an undo: tell {}",
                nodes.join(", "),
                if nodes.len() == 1 { "keeps" } else { "keep" },
                if nodes.len() == 1 { "it" } else { "them" },
            ),
            Warning::CameLate { objects, series, operation, destination } => format!(
                "{} of series {series} came after operation {operation} had moved it, and {} in the study that it had left: \
                 move {} as well if they belong to study {destination}",
                plural(count(*objects), "object", "objects"),
                if *objects == 1 { "is" } else { "are" },
                if *objects == 1 { "it" } else { "them" },
            ),
            Warning::CharacterSetGuessed { moved, destination } => format!(
                "{} name no character set and are not ASCII: they are taken for UTF-8 or Latin-1; look at them, and set \
                 `charset` of the source if they are wrong",
                match (moved, destination) {
                    (true, false) => "texts of the objects to be moved",
                    (false, _) => "texts of the destination",
                    (true, true) => "texts of both sides",
                }
            ),
            Warning::RetrieveLogLost { since } => {
                format!("the catalog was made anew on {since}: which nodes got copies before that is not known")
            }
        }
    }
}

impl From<Latecomers> for Warning {
    fn from(late: Latecomers) -> Warning {
        let (series, destination) = (late.series.to_string(), late.destination.to_string());
        Warning::CameLate { objects: late.objects, series, operation: late.operation, destination }
    }
}

/// `{code, message}`.
impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Warning", 2)?;
        out.serialize_field("code", self.code())?;
        out.serialize_field("message", &self.message())?;
        out.end()
    }
}
