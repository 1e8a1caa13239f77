//! Operations that show objects in another study, and as something else, than they were filed: what they are, how they
//! are put on and taken off again.
//!
//! What was filed stays as it is, rows too: an instance keeps its UID, its place and its digest, and gets another series
//! and the operation that put it there. An operation is *staged* in small transactions that nobody sees, *flipped* on in
//! a short one, and *undone* by the reverse of that, as long as nothing has been built on it. What is shown nowhere lies
//! in series of a study without a UID. Series and studies with a count of zero are shown nowhere.

pub(super) mod amendments;
mod awaited;
pub(super) mod check;
pub(super) mod counts;
mod facts;
mod filed;
pub(super) mod flip;
mod journal;
mod list;
mod locks;
mod quarantined;
mod related;
mod replay;
mod shown;
mod since;
mod stage;
mod told;

use super::{Errand, NewAuditEntry};
use crate::dataset::Header;
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid};

pub(super) use amendments::Amendments;
pub(super) use awaited::{Awaited, awaited};
pub use facts::{Busy, ObjectFacts, PatientFacts, SeriesFacts, Stamp, StudyFacts};
pub use journal::{became, marked};
pub use list::{CorrectedInstance, Correction, CorrectionFilter, CorrectionLike};
pub use locks::StudyLock;
pub(super) use locks::hand_over;
pub use related::RelatedSeries;
pub use replay::ToldCorrection;
pub(super) use shown::{shown_as, shown_uid};
pub use since::Latecomers;

/// The numbers of kinds, modes, states and roles never change their meaning.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $code:literal $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// What the word means.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl rusqlite::types::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                let code: i64 = match self { $($name::$variant => $code,)* };
                Ok(rusqlite::types::ToSqlOutput::from(code))
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                match value.as_i64()? {
                    $($code => Ok($name::$variant),)*
                    other => Err(rusqlite::types::FromSqlError::OutOfRange(other)),
                }
            }
        }
    };
}

words! {
    /// What an operation is.
    CorrectionKind {
        /// Series or objects go to another study.
        Reallocate = 0 "reallocate",
        /// All series of a study go to another one.
        Merge = 1 "merge",
        /// Series of a study become a study of their own.
        Split = 2 "split",
        /// Findings are shown no more.
        Clear = 3 "clear",
        /// Something in quarantine is filed.
        File = 4 "file",
        /// Something in quarantine is discarded.
        Discard = 5 "discard",
    }
}

words! {
    /// Who has to know.
    CorrectionMode {
        /// Nobody: UIDs are kept.
        Local = 0 "local",
        /// Others: UIDs are new, and the old objects are rejected.
        Iocm = 1 "iocm",
    }
}

words! {
    /// Where an operation stands.
    CorrectionState {
        /// Nobody sees it yet.
        Staged = 0 "staged",
        /// It is how things are shown.
        Active = 1 "active",
        /// It was taken back.
        Undone = 2 "undone",
    }
}

words! {
    /// What an operation does to an object.
    Role {
        /// It is shown in another series, with the operation's amendment.
        Moved = 0 "moved",
        /// It is shown nowhere.
        Hidden = 1 "hidden",
        /// The operation has written it: it is shown from then on, as it is filed.
        Written = 2 "written",
        /// It was in quarantine.
        Filed = 3 "filed",
    }
}

/// An operation that is to be staged.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCorrection {
    /// Its name, where it has one: that of the plan that was seen, which is done at most once, or the one in the journal.
    pub key: Option<String>,
    /// What it is.
    pub kind: CorrectionKind,
    /// Who has to know.
    pub mode: CorrectionMode,
    /// Who wants it.
    pub operator: String,
    /// Why: a code.
    pub reason: String,
    /// And in words.
    pub reason_text: String,
    /// The study that objects leave.
    pub source: StudyInstanceUid,
    /// The study that they come to.
    pub destination: StudyInstanceUid,
    /// Of whom and what the destination is, where nothing is shown in it as yet.
    pub describes: Option<Box<Header>>,
    /// What its moved objects have in another way when they leave, as bytes; may be empty.
    pub amendment: Vec<u8>,
    /// What was planned, as JSON.
    pub sheet: String,
    /// The process that stages it, which shows a [sign of life](super::SignOfLife) under that name.
    pub process: String,
}

/// An object of an operation that is to be staged.
#[derive(Debug, Clone, PartialEq)]
pub enum NewCorrected {
    /// It is shown in a series of the destination from then on.
    Moved {
        /// Its number in the catalog.
        instance: i64,
        /// The series, made like the one that it is in where the destination has none of that UID.
        series: SeriesInstanceUid,
        /// The SOP Instance UID that it is shown with; `None` leaves what it has.
        uid: Option<SopInstanceUid>,
        /// An amendment of its own, applied after the operation's, as bytes.
        patch: Option<Vec<u8>>,
    },
    /// It is shown nowhere from then on.
    Hidden {
        /// Its number in the catalog.
        instance: i64,
    },
    /// It will be filed while the operation is staged, and is shown from the flip on. Once this is written, whatever
    /// comes under this UID is kept back.
    Written {
        /// Its SOP Instance UID.
        uid: SopInstanceUid,
    },
    /// It is in quarantine, and filed from then on.
    Filed(NewFiled),
    /// It is in quarantine, and seen there no more. Its bytes are kept.
    Discarded {
        /// Its position in quarantine.
        quarantined: i64,
    },
}

/// What an object that is in quarantine is filed as.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFiled {
    /// Its position in quarantine.
    pub quarantined: i64,
    /// The series, in the destination of the operation.
    pub series: SeriesInstanceUid,
    /// The SOP Instance UID that it gets, which nothing else may have.
    pub instance: SopInstanceUid,
    /// What its series and its instance are, where they are new.
    pub header: Box<Header>,
    /// An amendment of its own, applied after the operation's, as bytes.
    pub patch: Option<Vec<u8>>,
}

/// A staged operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedCorrection {
    /// Its number in the catalog.
    pub id: i64,
    /// Its name in the journal.
    pub key: String,
    /// The process that stages it.
    pub process: String,
}

/// What goes into the transaction of a flip, or of an undo.
#[derive(Debug, Clone, Default)]
pub struct Along {
    /// For the audit trail.
    pub audit: Vec<NewAuditEntry>,
    /// What others have to be told.
    pub errands: Vec<Errand>,
}

/// Why a correction was not made, or not undone. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorrectionError {
    /// There is none of that number.
    #[error("there is no correction {0}")]
    Unknown(i64),
    /// It is not in the state that it would have to be in.
    #[error("correction {id} is {state}", state = .state.word())]
    State {
        /// Its number.
        id: i64,
        /// The state that it is in.
        state: CorrectionState,
    },
    /// Something has changed since the plan was made.
    #[error("study {0} has changed since the plan was made: plan again")]
    Changed(StudyInstanceUid),
    /// An operation of that name is there already.
    #[error("this plan has been carried out already: plan again")]
    DoneAlready,
    /// Some of the objects were changed by another operation since the plan was made.
    #[error("{0} of the objects have been changed by another operation since the plan was made: plan again")]
    Taken(u64),
    /// Documents that the operation writes are not filed.
    #[error("{0} of the documents that the correction writes have not been filed")]
    NotFiled(u64),
    /// Another operation was built on it.
    #[error("correction {by} was built on correction {id}: undo that one first")]
    BuiltOn {
        /// The one that was to be undone.
        id: i64,
        /// The later one.
        by: i64,
    },
    /// A study is locked.
    #[error("study {study} is locked by {owner}: {reason}")]
    Locked {
        /// Which.
        study: StudyInstanceUid,
        /// By whom.
        owner: String,
        /// Since when, in unix milliseconds.
        since: i64,
        /// Why.
        reason: String,
    },
    /// Another operation is being carried out on a study.
    #[error("study {study} is being corrected by an operation of {owner}")]
    Running {
        /// Which.
        study: StudyInstanceUid,
        /// By whom.
        owner: String,
        /// Since when, in unix milliseconds.
        since: i64,
    },
    /// A study that nobody has locked cannot be unlocked.
    #[error("study {0} is not locked")]
    NotLocked(StudyInstanceUid),
    /// There is no such study.
    #[error("study {0} is not known here")]
    NoSuchStudy(StudyInstanceUid),
}
