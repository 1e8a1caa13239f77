//! Who is expected, and whether his earlier studies are there: patients are read from a Modality Worklist or from a list, what
//! is known of them is lifted to the head of the queue, and how ready that is, is said at any time.

mod list;
mod ready;

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;
use tracing::info;

use super::probe::target_of;
use super::slot::{Slot, SlotError};
use super::words;
use crate::audit::{Audit, AuditEvent, AuditOutcome, Party};
use crate::catalog::{Catalog, CatalogError, ExpectedPatient, Preparation};
use crate::config::{Config, Source};
use crate::dataset::Elements;
use crate::dicom::{Date, DateRange, Encoding, Status, tags, uids};
use crate::scu::{Purpose, ScuError, SourceSession, worklist_identifier};

pub use list::{BadLine, LONGEST as LONGEST_LIST, List, ListError, read_list};
pub use ready::{Ready, json_of, json_of_patient};

/// The most patients of one preparation.
pub const MOST_PATIENTS: usize = 20_000;
/// The most entries of a worklist that are looked at.
const MOST_ENTRIES: usize = 200_000;
/// The longest Patient ID (PS3.5 6.2: LO), and the longest issuer.
const LONGEST_ID: usize = 64;

/// Who names the patients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The Modality Worklist of a source: today and so many days more.
    Worklist {
        /// The name of the source.
        source: String,
        /// Days after today.
        days: u32,
    },
    /// A list.
    List {
        /// What it is, in words.
        named_by: String,
        /// Who stands in it.
        patients: Vec<ExpectedPatient>,
    },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Whose studies.
    pub whom: Whom,
    /// Only studies of so many months; all where it is not said.
    pub prior_months: Option<u32>,
    /// Who asks.
    pub asker: String,
    /// Or which schedule; empty for a person.
    pub schedule: String,
}

/// Why there is no list of patients.
#[derive(Debug, thiserror::Error)]
pub enum PriorsError {
    /// It is not in the configuration.
    #[error("there is no source `{0}` in the configuration")]
    NoSource(String),
    /// No association with it is free.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// It could not be asked.
    #[error(transparent)]
    Scu(Box<ScuError>),
    /// It answered with a failure.
    #[error("{source_name} answered the query of its worklist with {status}{}", said(comment))]
    Refused {
        /// Whom we asked.
        source_name: String,
        /// The status.
        status: Status,
        /// Its Error Comment.
        comment: Option<String>,
    },
    /// The wait was ended.
    #[error("interrupted")]
    Interrupted,
    /// So many that something must be wrong.
    #[error("more than {MOST_PATIENTS} patients are named")]
    TooMany,
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

fn said(comment: &Option<String>) -> String {
    comment.as_ref().map_or(String::new(), |comment| format!(" ({comment})"))
}

impl From<ScuError> for PriorsError {
    fn from(error: ScuError) -> Self {
        PriorsError::Scu(Box::new(error))
    }
}

impl PriorsError {
    /// What can be done about it.
    pub fn remedy(&self) -> String {
        match self {
            PriorsError::NoSource(_) => "name a [[source]]: whoever answers for the worklist needs one too".into(),
            PriorsError::Slot(error) => error.remedy().into(),
            PriorsError::Scu(error) => error.remedy().unwrap_or_else(|| {
                "see that it answers Modality Worklist queries, and that it knows our calling AE title".into()
            }),
            PriorsError::Refused { .. } => "the administrator of the worklist finds the cause in its log".into(),
            PriorsError::TooMany => "ask for fewer days, or split the list".into(),
            PriorsError::Interrupted => String::new(),
            PriorsError::Catalog(_) => "`pacsferry check` looks for the cause".into(),
        }
    }
}

/// Finds out who is expected, lifts what is known of them, and remembers that. A failure is remembered too.
pub async fn prepare(
    config: &Config,
    catalog: &Catalog,
    audit: &Audit,
    wish: &Wish,
    cancel: &CancellationToken,
) -> Result<Preparation, PriorsError> {
    let mut preparation = Preparation {
        id: 0,
        at: super::now(),
        asker: wish.asker.clone(),
        schedule: wish.schedule.clone(),
        named_by: wish.whom.in_words(),
        since: wish.prior_months.map(|n| Date::today().minus_months(n).to_string()).unwrap_or_default(),
        lifted: 0,
        failure: None,
    };
    let patients = match &wish.whom {
        Whom::List { patients, .. } if patients.len() > MOST_PATIENTS => Err(PriorsError::TooMany),
        Whom::List { patients, .. } => Ok(patients.clone()),
        Whom::Worklist { source, days } => expected(config, catalog, audit, source, *days, cancel).await,
    };
    let patients = match patients {
        Ok(patients) => patients,
        Err(error) => {
            if !matches!(error, PriorsError::Catalog(_) | PriorsError::Interrupted) {
                preparation.failure = Some(words(&error));
                catalog.remember_preparation(&preparation, &[]).await?;
            }
            return Err(error);
        }
    };
    preparation.lifted = catalog.lift(&patients, &preparation.since, &wish.asker).await?;
    preparation.id = catalog.remember_preparation(&preparation, &patients).await?;
    let (people, lifted) = (patients.len(), preparation.lifted);
    info!(
        patients = people,
        studies = lifted,
        named_by = preparation.named_by,
        "lifted priors to the head of the queue"
    );
    let what =
        format!("lifted {lifted} studies of {people} patients to the head of the queue: {}", wish.whom.in_words());
    audit.write(AuditEvent::Prepared { operator: wish.asker.clone(), what }).await?;
    Ok(preparation)
}

impl Whom {
    /// For people.
    fn in_words(&self) -> String {
        match self {
            Whom::Worklist { source, days } => {
                let DateRange { from, to } = days_from_today(*days);
                let iso = |day: Option<Date>| day.map(Date::iso).unwrap_or_default();
                match *days {
                    0 => format!("the worklist of {source} for {}", iso(from)),
                    _ => format!("the worklist of {source} for {} to {}", iso(from), iso(to)),
                }
            }
            Whom::List { named_by, .. } => named_by.clone(),
        }
    }
}

fn days_from_today(days: u32) -> DateRange {
    let today = Date::today();
    DateRange { from: Some(today), to: Some(today.plus_days(i64::from(days))) }
}

/// Everybody on the worklist of a source, once each.
async fn expected(
    config: &Config,
    catalog: &Catalog,
    audit: &Audit,
    name: &str,
    days: u32,
    cancel: &CancellationToken,
) -> Result<Vec<ExpectedPatient>, PriorsError> {
    let source = config.source(name).ok_or_else(|| PriorsError::NoSource(name.to_owned()))?;
    let days = days_from_today(days);
    let slot = Slot::take(Some(catalog.clone()), source).await?;
    let asked = ask(source, days, cancel).await;
    slot.release().await;
    let outcome = match &asked {
        Ok(_) => AuditOutcome::Success,
        Err(error) => AuditOutcome::Minor(words(error)),
    };
    let identifier = worklist_identifier(days, Encoding::ImplicitLe);
    let us = Party { name: source.calling.to_string(), ..Party::default() };
    let query = AuditEvent::query(us, uids::MODALITY_WORKLIST_FIND, &identifier, uids::IMPLICIT_LE, outcome);
    audit.write(query).await?;
    asked
}

async fn ask(
    source: &Source,
    days: DateRange,
    cancel: &CancellationToken,
) -> Result<Vec<ExpectedPatient>, PriorsError> {
    let mut session = SourceSession::open(&target_of(source), Purpose::Worklist).await?;
    let patients = read(&mut session, source, days, cancel).await;
    session.release().await;
    patients
}

async fn read(
    session: &mut SourceSession,
    source: &Source,
    days: DateRange,
    cancel: &CancellationToken,
) -> Result<Vec<ExpectedPatient>, PriorsError> {
    let mut patients = BTreeSet::new();
    let mut find = session.worklist(days, source.timeout.find, cancel).await?;
    let mut entries = 0;
    while let Some(entry) = find.next().await? {
        entries += 1;
        patients.extend(patient_of(&entry));
        if entries > MOST_ENTRIES || patients.len() > MOST_PATIENTS {
            return Err(PriorsError::TooMany);
        }
    }
    if cancel.is_cancelled() {
        return Err(PriorsError::Interrupted);
    }
    match find.end() {
        Some(end) if end.status != Status::SUCCESS => Err(PriorsError::Refused {
            source_name: source.name.clone(),
            status: end.status,
            comment: end.comment.clone(),
        }),
        _ => Ok(patients.into_iter().collect()),
    }
}

/// Who an entry is about; nobody, where it has no Patient ID that could be one.
fn patient_of(entry: &Elements) -> Option<ExpectedPatient> {
    let id = entry.text(tags::PATIENT_ID).filter(|id| is_id(id))?;
    let issuer = entry.text(tags::ISSUER_OF_PATIENT_ID).filter(|issuer| is_id(issuer)).unwrap_or_default();
    Some(ExpectedPatient { id, issuer })
}

/// Whether it could be a Patient ID or its issuer: a text of one value, and of the length that DICOM allows.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.chars().count() <= LONGEST_ID
        && !text.chars().any(|c| c.is_control() || "\\*?".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_id_is_nobody() {
        let entry = |id: &str, issuer: &str| {
            let mut entry = Elements::new();
            entry.put(tags::PATIENT_ID, id).put(tags::ISSUER_OF_PATIENT_ID, issuer);
            patient_of(&entry).map(|patient| (patient.id, patient.issuer))
        };
        assert_eq!(entry("P1 ", "CITY"), Some(("P1".into(), "CITY".into())));
        assert_eq!(entry("P1", "a\\b"), Some(("P1".into(), String::new())));
        for id in ["", "  ", "*", "P?", "a\\b", "P\u{7}1", &"9".repeat(65)] {
            assert_eq!(entry(id, ""), None, "{id}");
        }
    }
}
