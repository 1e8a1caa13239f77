//! How a sample PACS behaves. The default behaves well; every field is a way to misbehave that was met in the field.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{ClientTls, ServerTls};
use crate::dicom::Tag;

/// The behaviour of a sample PACS. It may be changed while the PACS runs; a request sees it as it was when it began.
#[derive(Debug, Clone)]
pub struct Profile {
    // Associations.
    /// The maximum PDU length that it announces; 0 says that there is none.
    pub max_pdu: u32,
    /// How many associations it takes at once; more are rejected, transient, local limit exceeded.
    pub max_associations: usize,
    /// More requests than this within one second are rejected, transient, temporary congestion.
    pub associations_per_second: Option<usize>,
    /// Of a hundred association requests, so many are rejected, transient, temporary congestion.
    pub rejected_percent: u64,
    /// Which services it offers, and in which information model.
    pub services: Services,
    /// Every second association accepts no retrieve, in whatever model.
    pub contexts_alternate: bool,
    /// Requests from these calling AE titles only; anything else is rejected for good.
    pub known_callers: Option<Vec<String>>,
    /// It speaks TLS, and nothing else.
    pub tls: Option<ServerTls>,
    /// It calls its move destinations by TLS.
    pub destination_tls: Option<Arc<ClientTls>>,

    // Queries.
    /// How answers are cut short.
    pub cap: Cap,
    /// What is said of the number of series and instances.
    pub counts: Counts,
    /// Rows for each study, series or instance: 1, or more of the same.
    pub rows_each: usize,
    /// The second and later rows of a study name another patient.
    pub conflicting_patients: bool,
    /// Every so many-th study row comes without its Study Instance UID.
    pub without_uid_every: Option<usize>,
    /// What is said of the character set of the answers.
    pub character_set: TextLabel,
    /// Keys that take part in no match, as if they were universal.
    pub ignored_keys: BTreeSet<Tag>,
    /// Keys that no answer has.
    pub untold_keys: BTreeSet<Tag>,
    /// Never answers a query that has a value for this key.
    pub hangs_on: Option<Tag>,
    /// Fails a query with an asterisk in any key.
    pub rejects_wildcards: bool,
    /// Fails a query that gives a range for a date or a time.
    pub rejects_ranges: bool,
    /// Fails a query whose identifier lacks one of these keys.
    pub needed_keys: BTreeSet<Tag>,
    /// How long it takes to the next row.
    pub row_pause: Duration,
    /// Whether it answers at IMAGE level.
    pub image_level: bool,
    /// Answers queries below study level without their parent keys, over the whole archive; otherwise it fails them.
    pub relational: bool,
    /// Answers carry group lengths, a time zone and a private group that nobody asked for.
    pub extra_elements: bool,
    /// Combines date and time ranges into one (the negotiated behaviour); otherwise each is matched by itself.
    pub combined_times: bool,

    // Retrieves.
    /// How sub-operations are spread over associations.
    pub delivery: Delivery,
    /// How many store associations of one retrieve may be open at once.
    pub parallel_stores: usize,
    /// The first retrieves of each study end with success and nothing done.
    pub empty_successes: u32,
    /// The final status is success, whatever happened; the counters tell the truth.
    pub success_always: bool,
    /// The final status comes at once, and the stores spread over this time after it.
    pub final_first: Option<Duration>,
    /// Whether responses carry the numbers of sub-operations.
    pub counters: bool,
    /// Whether the last response lists the instances that failed.
    pub failed_list: bool,
    /// Whether there are pending responses.
    pub pendings: bool,
    /// How long nothing happens before the first sub-operation.
    pub silence: Duration,
    /// Sends pending responses at this interval for ever and no object.
    pub pending_forever: Option<Duration>,
    /// How long it takes to the next sub-operation of an association.
    pub store_pause: Duration,
    /// What becomes of a retrieve to a destination that is not registered.
    pub unknown_destination: UnknownDestination,
    /// Whether its C-STORE requests name the originator of the move.
    pub originator: bool,
    /// What it makes of several UIDs in one key of a retrieve.
    pub uid_lists: UidLists,
    /// What it makes of a C-CANCEL.
    pub cancel: CancelPolicy,
    /// Aborts every association of a retrieve when so many objects of it have been sent, in so many retrieves.
    pub abort_after: Option<AbortAfter>,
    /// Makes new Study, Series and SOP Instance UIDs for each retrieve.
    pub fresh_uids: bool,
    /// Sends each object so many times.
    pub times_each: usize,
    /// Whether it agrees to be the SCU of storage classes (C-GET).
    pub get_role: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Profile {
            max_pdu: 131_072,
            max_associations: 200,
            associations_per_second: None,
            rejected_percent: 0,
            services: Services::default(),
            contexts_alternate: false,
            known_callers: None,
            tls: None,
            destination_tls: None,
            cap: Cap::None,
            counts: Counts::Right,
            rows_each: 1,
            conflicting_patients: false,
            without_uid_every: None,
            character_set: TextLabel::Right,
            ignored_keys: BTreeSet::new(),
            untold_keys: BTreeSet::new(),
            hangs_on: None,
            rejects_wildcards: false,
            rejects_ranges: false,
            needed_keys: BTreeSet::new(),
            row_pause: Duration::ZERO,
            image_level: true,
            relational: false,
            extra_elements: false,
            combined_times: false,
            delivery: Delivery::OneAssociation,
            parallel_stores: 1,
            empty_successes: 0,
            success_always: false,
            final_first: None,
            counters: true,
            failed_list: true,
            pendings: true,
            silence: Duration::ZERO,
            pending_forever: None,
            store_pause: Duration::ZERO,
            unknown_destination: UnknownDestination::Refused,
            originator: true,
            uid_lists: UidLists::Supported,
            cancel: CancelPolicy::Obeyed,
            abort_after: None,
            fresh_uids: false,
            times_each: 1,
            get_role: true,
        }
    }
}

impl Profile {
    /// The source of the demo: it cuts long answers without a word, and some of its objects will not come.
    pub fn demo() -> Self {
        Profile { cap: Cap::Silent(10), ..Profile::default() }
    }
}

/// The services that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services {
    /// In the Study Root model.
    pub study_root: bool,
    /// In the Patient Root model.
    pub patient_root: bool,
    /// C-FIND.
    pub find: bool,
    /// C-MOVE.
    pub move_: bool,
    /// C-GET.
    pub get: bool,
}

impl Default for Services {
    fn default() -> Self {
        Services { study_root: true, patient_root: true, find: true, move_: true, get: true }
    }
}

/// How the answers to a query are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cap {
    /// Not at all.
    #[default]
    None,
    /// After so many rows, with success.
    Silent(usize),
    /// A700 instead of rows when there are more.
    RefusedBefore(usize),
    /// A700 after so many rows when there are more.
    RefusedAfter(usize),
    /// FE00 after so many rows when there are more.
    Cancelled(usize),
}

/// What an answer says of numbers of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counts {
    /// What is so.
    #[default]
    Right,
    /// Nothing.
    Missing,
    /// A value of zero length.
    Empty,
    /// That there are none.
    Zero,
    /// Some more, or fewer if negative, than there are.
    Off(i64),
}

/// What an answer says of its character set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TextLabel {
    /// What is so.
    #[default]
    Right,
    /// Nothing.
    Missing,
    /// This.
    Says(String),
}

/// How sub-operations are spread over associations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// One association for the retrieve, or as many equal shares as may be open at once.
    #[default]
    OneAssociation,
    /// One for each series.
    PerSeries,
    /// One for each instance.
    PerInstance,
}

/// What becomes of a C-MOVE to a destination that is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownDestination {
    /// Status A801.
    #[default]
    Refused,
    /// The association is aborted.
    Aborted,
    /// No answer.
    Silence,
}

/// What becomes of several UIDs in one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UidLists {
    /// All of them are meant.
    #[default]
    Supported,
    /// The first one is meant.
    FirstOnly,
    /// Status A900.
    Refused,
}

/// What becomes of a C-CANCEL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CancelPolicy {
    /// Nothing more is sent but what is under way, and the status is FE00.
    #[default]
    Obeyed,
    /// The same, this much later.
    Late(Duration),
    /// Nothing; sub-operations go on even when the association of the retrieve is gone.
    Ignored,
}

/// When a retrieve is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortAfter {
    /// Objects of the retrieve that are sent before.
    pub objects: usize,
    /// How many retrieves are broken off until it works.
    pub times: u32,
}
