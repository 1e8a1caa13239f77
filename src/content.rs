//! Corrections as intent: a series goes to another study, and can be taken back.
//!
//! [`Content::plan`] reads and says what would happen, with everything that somebody should know or that stands against
//! it; [`Content::commit`] does it, in the order lock → stage → journal → flip → publish; [`Content::undo`] takes it
//! back. What is filed is never touched: an operation is a row with an [`Amendment`](crate::dataset::Amendment), which
//! every way out applies. Whatever kills the process, either nothing has happened or all of it.

mod age;
mod amendment;
mod attributes;
mod commit;
pub mod document;
mod drafts;
mod elsewhere;
mod findings;
mod header;
pub mod keys;
mod locks;
mod look;
mod measure;
pub mod measurements;
mod patient;
mod plan;
mod planner;
mod quarantine;
pub mod references;
mod refusal;
pub mod reports;
mod request;
mod rewrite;
mod stage;
mod survey;
#[cfg(test)]
mod testing;
mod told;
mod turn;
pub mod uids;
mod undo;
mod warning;

use std::sync::Arc;

use crate::audit::Audit;
use crate::catalog::{Catalog, CatalogError};
use crate::config::Config;
use crate::dataset::{CharacterSet, ReadError};
use crate::dicom::SopInstanceUid;
use crate::intake::{Intake, IntakeError};
use crate::outlet::{Outlet, OutletError};
use crate::store::{Store, StoreError};

pub use commit::Done;
pub use patient::{Difference, PatientSheet};
pub use plan::{CopySheet, MeasurementSheet, Plan, ReferenceSheet, SeriesSheet, StudySheet};
pub use quarantine::{Beside, FileAs, HeldElement, HeldSheet};
pub use refusal::Refusal;
pub use request::{Kind, Mode, Request, To, What, Why};
pub use stage::remove_leftovers;
pub use undo::Undone;
pub use warning::Warning;

/// The engine. A clone is another handle on the same archive.
#[derive(Clone)]
pub struct Content {
    /// The catalog.
    pub catalog: Catalog,
    /// The storage folder.
    pub store: Store,
    /// The door in, for documents that an operation writes.
    pub intake: Intake,
    /// The door out, for objects as they are shown.
    pub outlet: Outlet,
    /// What operations do is told there, and what was refused.
    pub audit: Audit,
    /// The configuration.
    pub config: Arc<Config>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is refused: the first reason, and how many more there are.
    #[error("{}", refused(.0))]
    Refused(Vec<Refusal>),
    /// The catalog.
    #[error(transparent)]
    Catalog(CatalogError),
    /// The storage folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The way in.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// An object cannot be read.
    #[error(transparent)]
    Outlet(#[from] OutletError),
    /// The system gives no random numbers, which new UIDs are made of.
    #[error("the system gives no random numbers, which new UIDs are made of")]
    NoRandomness,
    /// The header of an object cannot be read.
    #[error("the header of instance {instance} cannot be read")]
    Header {
        /// The instance.
        instance: SopInstanceUid,
        /// What is wrong with it.
        source: ReadError,
    },
}

/// What senders mean that name no character set, as far as all of these sources agree on it.
fn charset_of(config: &Config, sources: &[String]) -> CharacterSet {
    terms_of(config, sources).map_or_else(CharacterSet::ascii, |terms| CharacterSet::from_terms(&terms))
}

fn terms_of(config: &Config, sources: &[String]) -> Option<String> {
    let mut known = sources.iter().filter_map(|name| config.source(name)?.charset.clone());
    let first = known.next()?;
    known.all(|other| other == first).then_some(first)
}

/// A time as people write it.
fn day(at: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn refused(refusals: &[Refusal]) -> String {
    let Some(first) = refusals.first() else { return "it is refused".to_owned() };
    match refusals.len() - 1 {
        0 => first.to_string(),
        1 => format!("{first} (and there is one more reason)"),
        more => format!("{first} (and there are {more} more reasons)"),
    }
}

impl From<CatalogError> for ContentError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Correction(error) => ContentError::Refused(vec![error.into()]),
            error => ContentError::Catalog(error),
        }
    }
}

impl From<Refusal> for ContentError {
    fn from(refusal: Refusal) -> Self {
        ContentError::Refused(vec![refusal])
    }
}

#[cfg(test)]
mod tests;
