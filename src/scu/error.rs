//! What can go wrong when we ask, who must act on it, and what an administrator can do.

use std::time::Duration;

use super::quirks;
use crate::assoc::AssocError;
use crate::dicom::{AeTitle, Status};
use crate::dimse::DimseError;
use crate::object::{Disposition, Fault};

/// Why an operation at a source did not come to its end. A final status, whatever it says, is no error.
#[derive(Debug, thiserror::Error)]
pub enum ScuError {
    /// No association.
    #[error("opening an association with {called}")]
    Open {
        /// Whom we called.
        called: AeTitle,
        /// Why.
        source: AssocError,
    },
    /// The association broke during an operation.
    #[error("{doing} at {called}")]
    Broken {
        /// The operation.
        doing: &'static str,
        /// Whom we asked.
        called: AeTitle,
        /// Why.
        source: DimseError,
    },
    /// The source ended the association at once when it was asked to move, without a response. Many do so when they
    /// do not know the destination, some when they are overloaded.
    #[error("{called} ended the association when asked to move to {destination}, without a response")]
    EndedAtMove {
        /// Whom we asked.
        called: AeTitle,
        /// The move destination.
        destination: AeTitle,
        /// How it ended.
        source: DimseError,
    },
    /// The source released the association before the operation was at its end.
    #[error("{called} released the association during {doing}")]
    Released {
        /// The operation.
        doing: &'static str,
        /// Whom we asked.
        called: AeTitle,
    },
    /// The source does not offer a service.
    #[error("{called} does not accept {service}")]
    NotAccepted {
        /// Whom we asked.
        called: AeTitle,
        /// The service, in words.
        service: &'static str,
    },
    /// No sign of life for too long.
    #[error("{doing} at {called}: nothing came for {limit:?}")]
    Idle {
        /// The operation.
        doing: &'static str,
        /// Whom we asked.
        called: AeTitle,
        /// The limit.
        limit: Duration,
    },
    /// Signs of life, but no end.
    #[error("{doing} at {called} took longer than {limit:?}")]
    TooSlow {
        /// The operation.
        doing: &'static str,
        /// Whom we asked.
        called: AeTitle,
        /// The limit.
        limit: Duration,
    },
    /// The source sent a message that has no place in the operation.
    #[error("{doing} at {called}: the source sent {what}")]
    Unexpected {
        /// The operation.
        doing: &'static str,
        /// Whom we asked.
        called: AeTitle,
        /// What it sent.
        what: String,
    },
    /// A C-ECHO that was answered with a failure.
    #[error("{called} answered the C-ECHO with status {status}")]
    EchoRefused {
        /// Whom we asked.
        called: AeTitle,
        /// Its answer.
        status: Status,
    },
    /// More presentation contexts than an association can have.
    #[error("{wanted} presentation contexts for a C-GET, {most} is the most")]
    TooManyContexts {
        /// How many were asked for.
        wanted: usize,
        /// How many there can be.
        most: usize,
    },
    /// The association is no longer there, or is in the middle of another operation.
    #[error("the association with {called} cannot take another operation: {why}")]
    NotReady {
        /// Whom we ask.
        called: AeTitle,
        /// Why not.
        why: &'static str,
    },
}

impl ScuError {
    /// Who must act.
    pub fn fault(&self) -> Fault {
        match self {
            ScuError::TooManyContexts { .. } | ScuError::NotReady { .. } => Fault::Local,
            _ if matches!(self.association_error(), Some(AssocError::Unspeakable { .. })) => Fault::Local,
            _ => Fault::Peer,
        }
    }

    /// What it means for the study at hand.
    pub fn disposition(&self) -> Disposition {
        match self {
            ScuError::Open { source, .. } if !source.is_transient() && !quirks::is_vague_rejection(source) => {
                Disposition::Halt
            }
            ScuError::TooManyContexts { .. } => Disposition::GiveUp,
            _ if matches!(self.association_error(), Some(AssocError::Unspeakable { .. })) => Disposition::Halt,
            _ => Disposition::Retry,
        }
    }

    /// Whether the source probably does not know the move destination. Once is weather; when it repeats, the job
    /// stops and says what to register.
    pub fn hints_at_unknown_destination(&self) -> bool {
        matches!(self, ScuError::EndedAtMove { .. })
    }

    /// Whether time ran out, rather than that something broke.
    pub fn is_timeout(&self) -> bool {
        matches!(self, ScuError::Idle { .. } | ScuError::TooSlow { .. })
            || matches!(self.association_error(), Some(AssocError::Timeout { .. }))
    }

    /// What an administrator can do about it, if there is something.
    pub fn remedy(&self) -> Option<String> {
        match self {
            ScuError::EndedAtMove { called, destination, .. } => Some(format!(
                "probably {called} does not know the move destination: register the AE title {destination} there, with \
                 the address of this machine and the port of the receiver"
            )),
            ScuError::NotAccepted { called, service } => {
                let retrieves = service.contains("C-MOVE") || service.contains("C-GET");
                let other = if retrieves { ", or choose another way with `retrieve`" } else { "" };
                Some(format!("permit {service} at {called} for our AE title{other}"))
            }
            ScuError::Idle { doing, called, .. } => Some(format!(
                "look at {called} whether it still works on the {doing}; if it is only slow, allow more time under `timeout`"
            )),
            ScuError::TooSlow { .. } => {
                Some("allow more time under `timeout`, if that is how slow the source is".into())
            }
            ScuError::EchoRefused { called, .. } => Some(format!("look into the log of {called} for why it refuses")),
            _ => self.association_error().and_then(AssocError::remedy),
        }
    }

    fn association_error(&self) -> Option<&AssocError> {
        match self {
            ScuError::Open { source, .. } => Some(source),
            ScuError::Broken { source: DimseError::Association(source), .. }
            | ScuError::EndedAtMove { source: DimseError::Association(source), .. } => Some(source),
            _ => None,
        }
    }
}
