//! What an item of a job is: a study that should come, its state, and the words for what went wrong.

use crate::dicom::{Date, SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

/// Where an item stands. The order of the variants is the code that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ItemState {
    /// Known, not begun.
    Listed,
    /// Being retrieved by the owner of its lease.
    Pulling,
    /// Being compared with what the source lists.
    Verifying,
    /// Between two attempts.
    Waiting,
    /// Everything that the source lists is filed.
    Proven,
    /// Attempts are spent; something is filed, something is missing.
    Partial,
    /// Nothing came, or what came cannot count.
    Failed,
    /// Taken out by the operator.
    Excluded,
    /// Given up with its job.
    Cancelled,
}

impl ItemState {
    /// Every state, in the order of their codes.
    pub const ALL: [ItemState; 9] = [
        ItemState::Listed,
        ItemState::Pulling,
        ItemState::Verifying,
        ItemState::Waiting,
        ItemState::Proven,
        ItemState::Partial,
        ItemState::Failed,
        ItemState::Excluded,
        ItemState::Cancelled,
    ];

    /// The word that reports use.
    pub fn as_text(self) -> &'static str {
        match self {
            ItemState::Listed => "listed",
            ItemState::Pulling => "pulling",
            ItemState::Verifying => "verifying",
            ItemState::Waiting => "waiting",
            ItemState::Proven => "proven",
            ItemState::Partial => "partial",
            ItemState::Failed => "failed",
            ItemState::Excluded => "excluded",
            ItemState::Cancelled => "cancelled",
        }
    }

    /// The state that a word means.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_text() == text)
    }

    /// Whether the job still has something to do about it.
    pub fn is_pending(self) -> bool {
        matches!(self, ItemState::Listed | ItemState::Pulling | ItemState::Verifying | ItemState::Waiting)
    }

    /// Whether it is in the hands of the owner of a lease.
    pub fn is_leased(self) -> bool {
        matches!(self, ItemState::Pulling | ItemState::Verifying)
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal, $remedy:literal;)*) => {
        /// The closed list of reasons why an item is partial or failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The words that reports use.
            pub fn as_text(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }

            /// What the administrator can do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Reason::$name => $remedy,)* }
            }

            /// The number that is stored.
            pub(super) fn code(self) -> i64 {
                match self { $(Reason::$name => $code,)* }
            }
        }
    };
}

reasons! {
    /// The source lists it in one query and does not know it in the next.
    NotFoundAtSource = 1, "not found at source",
        "look for the study in the old PACS by patient and date; when it is there, `job N retry` asks for it again";
    /// The source knows the study and holds no object of it.
    ZeroImages = 2, "zero images",
        "the old PACS has an empty study; check there whether its images were deleted or never arrived";
    /// A study that cannot be asked for because its identifiers are missing or malformed.
    IdentifiersInvalid = 3, "identifiers missing or invalid",
        "correct the identifiers in the old PACS, then `job N retry`";
    /// Fewer objects are filed than the source lists.
    ShortCount = 4, "short count",
        "look at the detail for what the old PACS said; mend it there, then `job N retry` pulls only what is missing";
    /// The source sent objects that it does not list.
    OverCount = 5, "over count",
        "compare the study in the old PACS with `find catalog --level instance`; `job N retry` lists it again, \
         `job N exclude --study UID` accepts it as it is";
    /// We could not take the objects.
    RefusedByUs = 6, "refused by us",
        "look at the log for the reason of the refusal (disk, permission, malformed object), mend it, then `job N retry`";
    /// The source answered with a failure.
    RefusedBySource = 7, "refused by source",
        "look at the detail for the status and words of the old PACS, and at its log; then `job N retry`";
    /// The source did not answer, or keeps the study on media that are not online.
    SourceOffline = 8, "source offline or nearline",
        "bring the old PACS or the medium that holds the study online, then `job N retry`";
    /// The source does not know our AE title as a move destination.
    DestinationUnknown = 9, "destination unknown to source",
        "register the receiver's AE title, host and port as a move destination in the old PACS, then `job N retry`";
    /// The association ended before the retrieve did.
    AssociationLost = 10, "association lost",
        "look at the network and at the log of the old PACS; fewer associations may help; then `job N retry`";
    /// No sign of life within the configured time.
    TimedOut = 11, "timed out",
        "raise the source's timeouts or pull at quieter hours, then `job N retry`";
    /// Another object with the same UID and other pixel data is filed.
    UidCollision = 12, "UID collision",
        "two different objects bear one SOP Instance UID: `quarantine show UID` names the filed one and the one in quarantine; compare them";
    /// Objects of the study are kept in quarantine.
    Quarantined = 13, "quarantined",
        "objects that could not be filed are kept, nothing is lost: `quarantine show UID` tells why and where";
    /// The operator took it out.
    ExcludedByOperator = 14, "excluded by operator",
        "`job N retry --study UID` takes it in again";
    /// The file is no DICOM file.
    NotDicom = 15, "not DICOM",
        "nothing to do, unless the file should have been one";
    /// The file could not be read.
    UnreadableFile = 16, "unreadable file",
        "check the permissions and the medium, then import the folder again";
    /// The object names no study.
    NoStudyInstanceUid = 17, "no Study Instance UID",
        "the object is kept in quarantine, where `quarantine list` shows it; file it once it is known which study it belongs to";
    /// What was filed is gone from the storage folder, or damaged.
    FileLost = 18, "file lost here",
        "the old PACS did nothing wrong: look at the disk of the storage folder; `job N retry` pulls only what is missing";
}

impl Reason {
    /// The reason that the words mean.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_text() == text)
    }

    pub(super) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

/// What a proof rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Every listed SOP Instance UID is filed.
    Instances,
    /// The numbers agree; the source cannot list instances.
    Count,
}

impl Evidence {
    /// The word that reports use.
    pub fn as_text(self) -> &'static str {
        match self {
            Evidence::Instances => "instances",
            Evidence::Count => "count",
        }
    }
}

/// A row of the source's answer at study level. Texts are decoded and may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedStudy {
    /// Study Instance UID.
    pub study_uid: StudyInstanceUid,
    /// The day, when the source's value is one.
    pub study_date: Option<Date>,
    /// The source's value of Study Date, whatever it is.
    pub study_date_raw: String,
    /// Study Time as the source gives it.
    pub study_time: String,
    /// Patient ID.
    pub patient_id: String,
    /// Issuer of Patient ID.
    pub issuer: String,
    /// Patient's Name.
    pub patient_name: String,
    /// Accession Number.
    pub accession_number: String,
    /// Study Description.
    pub description: String,
    /// Modalities in Study, separated by backslashes.
    pub modalities: String,
    /// Number of Study Related Instances, when the source tells.
    pub instances: Option<u32>,
}

impl ListedStudy {
    /// A row of which only the UID is known.
    pub fn of(study_uid: StudyInstanceUid) -> Self {
        ListedStudy {
            study_uid,
            study_date: None,
            study_date_raw: String::new(),
            study_time: String::new(),
            patient_id: String::new(),
            issuer: String::new(),
            patient_name: String::new(),
            accession_number: String::new(),
            description: String::new(),
            modalities: String::new(),
            instances: None,
        }
    }
}

/// What has arrived for an item, kept with the receipts in one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ItemCounts {
    /// Objects that the source lists, as far as known.
    pub listed: u32,
    /// Objects filed: those that came new, until a comparison says how many of the listed ones are filed.
    pub filed: u32,
    /// Objects that were filed already, with the same values.
    pub duplicate: u32,
    /// Objects with the same pixel data and another header, kept beside.
    pub variant: u32,
    /// Objects with the same UID and other pixel data, kept in quarantine.
    pub collision: u32,
    /// Objects kept in quarantine for another reason.
    pub quarantined: u32,
    /// Bytes of data sets that arrived.
    pub bytes: u64,
}

/// An item of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number in the catalog.
    pub id: i64,
    /// The job that it belongs to.
    pub job: i64,
    /// What the source said of it.
    pub study: ListedStudy,
    /// Where it stands.
    pub state: ItemState,
    /// Attempts that have ended.
    pub attempt: u32,
    /// Names the lease; every write of its owner says it.
    pub fence: i64,
    /// When it was claimed for the first time.
    pub first_pulled: Option<i64>,
    /// When it came into its state.
    pub changed: i64,
    /// When a waiting item may be claimed, or when the lease of a leased one ends.
    pub due: Option<i64>,
    /// How many instances the last comparison missed.
    pub missing: u32,
    /// Whether the source gave several rows with different patients.
    pub conflict: bool,
    /// What its proof rests on.
    pub evidence: Option<Evidence>,
    /// Why it is not proven.
    pub reason: Option<Reason>,
    /// The source's own words.
    pub detail: String,
    /// What has arrived.
    pub counts: ItemCounts,
    /// The digest of the last list of instances that the source gave.
    pub listing_digest: Option<[u8; 32]>,
    pub(super) rank: i64,
}

impl Item {
    /// Its place in the order of the job, for the next page.
    pub fn order_key(&self) -> OrderKey {
        OrderKey { rank: self.rank, study_uid: self.study.study_uid.as_str().to_owned() }
    }
}

/// Where an item stands in the order of a job: newest first. For reading a report page by page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderKey {
    pub(super) rank: i64,
    pub(super) study_uid: String,
}

/// What the owner of an item's lease writes at the end of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemUpdate {
    /// The new state.
    pub state: ItemState,
    /// Attempts that have ended.
    pub attempt: u32,
    /// When a waiting item may be claimed again; now, if not given.
    pub due: Option<i64>,
    /// What a proof rests on.
    pub evidence: Option<Evidence>,
    /// Why it is not proven.
    pub reason: Option<Reason>,
    /// The source's own words and status, verbatim.
    pub detail: String,
    /// How many objects the source lists; `None` leaves what is known.
    pub listed: Option<u32>,
    /// How many of the listed objects are filed, however they came; `None` leaves what the receipts say.
    pub filed: Option<u32>,
    /// The digest of the list; `None` leaves what is known.
    pub listing_digest: Option<[u8; 32]>,
    /// The instances that are missing; they replace those of the last comparison.
    pub missing: Vec<(SeriesInstanceUid, SopInstanceUid)>,
    /// Gives the lease back. States that nobody works on give it back in any case.
    pub release: bool,
}

impl ItemUpdate {
    /// An update that only names the new state and the attempts.
    pub fn to(state: ItemState, attempt: u32) -> Self {
        ItemUpdate {
            state,
            attempt,
            due: None,
            evidence: None,
            reason: None,
            detail: String::new(),
            listed: None,
            filed: None,
            listing_digest: None,
            missing: Vec::new(),
            release: !state.is_leased(),
        }
    }
}

/// Which partial and failed items are to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// All of them.
    All,
    /// Those with this reason.
    Reason(Reason),
    /// This study, an excluded one too.
    Study(StudyInstanceUid),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_are_read_back_and_never_shared() {
        for state in ItemState::ALL {
            assert_eq!(ItemState::parse(state.as_text()), Some(state));
        }
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(Reason::parse(reason.as_text()), Some(*reason));
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            assert_eq!(reason.code(), i as i64 + 1, "codes are stored: they never change");
            assert!(!reason.remedy().is_empty());
        }
        assert_eq!(ItemState::parse("done"), None);
        assert_eq!(Reason::parse("bad luck"), None);
        assert_eq!(Reason::from_code(0), None);
    }

    #[test]
    fn a_state_is_pending_leased_or_final() {
        for state in ItemState::ALL {
            assert!(!state.is_leased() || state.is_pending(), "{state:?}");
        }
        assert!(!ItemState::Waiting.is_leased() && ItemState::Waiting.is_pending());
        assert!(!ItemState::Partial.is_pending());
    }
}
