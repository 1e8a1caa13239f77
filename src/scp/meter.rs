//! What this process has done since it started, for monitoring. What is durable is counted in the catalog.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::service::Service;
use crate::assoc::{AssocError, Rejection};

/// Counts. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Reading>>);

/// The counts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Associations that are open.
    pub open: u64,
    /// Associations that were accepted.
    pub accepted: u64,
    /// Connections that came to no association, by reason.
    pub turned_away: BTreeMap<&'static str, u64>,
    /// Requests, by service.
    pub requests: BTreeMap<&'static str, u64>,
    /// Requests that reached no service.
    pub refused: u64,
    /// Objects that arrived by C-STORE or STOW-RS and were answered.
    pub received: u64,
    /// Objects sent by C-MOVE, C-GET and WADO.
    pub sent: u64,
    /// Objects that could not be sent.
    pub not_sent: u64,
}

/// An open association, counted for as long as this lives.
#[derive(Debug)]
pub(super) struct Open(Meter);

impl Meter {
    /// The counts now.
    pub fn read(&self) -> Reading {
        self.lock().clone()
    }

    pub(super) fn accepted(&self) -> Open {
        let mut reading = self.lock();
        reading.accepted += 1;
        reading.open += 1;
        Open(self.clone())
    }

    pub(super) fn turned_away(&self, why: &AssocError) {
        *self.lock().turned_away.entry(reason(why)).or_default() += 1;
    }

    pub(super) fn asked(&self, service: Service) {
        *self.lock().requests.entry(service.name()).or_default() += 1;
    }

    pub(super) fn refused(&self) {
        self.lock().refused += 1;
    }

    /// Notes that an object arrived and was answered.
    pub fn received(&self) {
        self.lock().received += 1;
    }

    /// Notes what became of the objects of a retrieve.
    pub fn sent(&self, sent: usize, not_sent: usize) {
        let mut reading = self.lock();
        reading.sent += sent as u64;
        reading.not_sent += not_sent as u64;
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
    }
}

fn reason(why: &AssocError) -> &'static str {
    match why {
        AssocError::Refused { rejection: Rejection::CallingNotRecognized, .. } => "calling_not_recognized",
        AssocError::Refused { rejection: Rejection::CalledNotRecognized, .. } => "called_not_recognized",
        AssocError::Refused { rejection: Rejection::LocalLimit, .. } => "local_limit",
        AssocError::Refused { .. } => "rejected",
        AssocError::Timeout { .. } => "timeout",
        AssocError::Handshake { .. } | AssocError::PlainOnTls { .. } | AssocError::TlsOnPlain => "tls",
        AssocError::Protocol { .. } | AssocError::TooLong { .. } => "not_dicom",
        _ => "connection_lost",
    }
}
