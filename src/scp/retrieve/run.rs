//! A retrieve while it runs: what was sent, what was not and why, and what the one who asked is told meanwhile.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::feed::Feed;
use super::tally::Tally;
use super::{Asked, RESPONSE};
use crate::audit::{Party, Transfers, Way};
use crate::catalog::{HeldInstance, Selected};
use crate::dicom::{Category, Status};
use crate::dimse::{Command, DimseError, Session};
use crate::outlet::OutletError;
use crate::scp::departures::Leaving;
use crate::scp::refusal::Refusal;
use crate::scu::store::outcome;

/// How often the one who asked is told how far it is, at least.
pub(super) const REPORT: Duration = Duration::from_millis(500);
/// Objects after which it is told in any case.
const REPORT_OBJECTS: usize = 8;
/// Failures that get a line each in the log; the others are a number at the end.
const MOST_LINES: usize = 20;

/// How a retrieve ended.
pub(super) enum Ended {
    /// All sub-operations have been tried.
    Done,
    /// A C-CANCEL came.
    Cancelled,
    /// It cannot go on.
    Refused(Refusal),
}

pub(super) struct Run<'a> {
    pub(super) asked: &'a Asked<'a>,
    /// What is sent now.
    pub(super) selected: Selected,
    pub(super) tally: Tally,
    audit: Transfers,
    leaving: Leaving,
    message: u16,
    /// How many had been done when that was told, and when.
    reported: (usize, Instant),
}

impl<'a> Run<'a> {
    /// `destination` is where the objects go, when that is not the one who asked.
    pub(super) fn new(asked: &'a Asked<'a>, destination: Option<Party>) -> Run<'a> {
        let (tally, selected) = (Tally::new(0), Selected::default());
        let known = asked.caller.peer.as_ref().map(|peer| peer.ae_title.as_str());
        let (peer, requestor) = match destination {
            Some(destination) => (destination, Some(asked.caller.party())),
            None => (asked.caller.party(), None),
        };
        let receiver = if requestor.is_some() { peer.name.as_str() } else { known.unwrap_or(&peer.name) };
        let config = asked.services.config.borrow().clone();
        let corrected = config.peers.iter().any(|peer| peer.corrections && peer.is_called(receiver));
        let leaving = asked.services.departures.to(receiver, corrected);
        let audit = asked.services.audit.transfers(Way::Out, peer, requestor);
        Run { asked, selected, tally, audit, leaving, message: 0, reported: (0, Instant::now()) }
    }

    pub(super) fn feed(&self, ids: Vec<i64>) -> Feed {
        Feed::new(self.asked.services.catalog.clone(), self.asked.services.outlet.clone(), ids)
    }

    /// The C-STORE-RQ for an object. `originator` is who asked for a C-MOVE.
    pub(super) fn request(&mut self, instance: &HeldInstance, originator: Option<(&str, u16)>) -> Command {
        self.message = self.message.checked_add(1).unwrap_or(1);
        let request = Command::store_rq(self.message, &instance.class, &instance.instance, originator);
        Command { priority: self.asked.command.priority, ..request }
    }

    /// Counts an object by what the receiver said.
    pub(super) fn answered(&mut self, instance: &HeldInstance, answer: &Command) {
        let outcome = outcome(answer);
        let (uid, status, comment) = (&instance.instance, answer.status, answer.comment.as_deref());
        match outcome {
            Category::Success | Category::Warning => {
                self.tally.stored(outcome);
                self.leaving.taken(instance.shown);
                self.audit.object(instance.study.as_str(), instance.class.as_str(), None);
            }
            _ => self.fail(instance, "the receiver refused it"),
        }
        match outcome {
            Category::Success => {}
            Category::Warning => {
                debug!(sop_instance.uid = %uid, ?status, comment, "the receiver took it with a warning")
            }
            _ if self.has_lines() => warn!(
                sop_instance.uid = %uid, ?status, comment, receiver = self.receiver(),
                "the receiver refused an object: look into its log"
            ),
            _ => {}
        }
    }

    /// Counts an object that could not be read.
    pub(super) fn unreadable(&mut self, instance: &HeldInstance, error: &OutletError) {
        self.fail(instance, "it could not be read");
        if self.has_lines() {
            let remedy = error.remedy();
            let study = &instance.study;
            warn!(study.uid = %study, error = error as &dyn std::error::Error, remedy, "an object was not sent");
        }
    }

    /// Counts an object for which there is no presentation context.
    pub(super) fn not_accepted(&mut self, instance: &HeldInstance) {
        self.fail(instance, "the receiver does not take it in a transfer syntax that it can be had in");
        if self.has_lines() {
            warn!(
                sop_instance.uid = %instance.instance, receiver = self.receiver(),
                "an object was not sent: have the receiver accept SOP class {} in transfer syntax {}",
                instance.class, instance.transfer_syntax
            );
        }
    }

    /// Counts an object that went down with the association.
    pub(super) fn lost(&mut self, instance: &HeldInstance, error: &DimseError) {
        self.fail(instance, "the association broke");
        if self.has_lines() {
            warn!(
                sop_instance.uid = %instance.instance, receiver = self.receiver(),
                error = error as &dyn std::error::Error, "the association broke while an object was sent"
            );
        }
    }

    /// Counts an object that was not sent, or was not taken.
    pub(super) fn fail(&mut self, instance: &HeldInstance, why: &str) {
        self.tally.fail(&instance.instance);
        self.audit.object(instance.study.as_str(), instance.class.as_str(), Some(why));
    }

    /// Tells the one who asked how far it is, if it is time.
    pub(super) async fn report(&mut self, session: &mut Session) -> Result<(), DimseError> {
        self.leaving.tell_if_due().await;
        let (told, when) = self.reported;
        let done = self.tally.done();
        let due = (told == 0 && done > 0) || done >= told + REPORT_OBJECTS || when.elapsed() >= REPORT;
        // The last one is told by the last response.
        if !due || done >= self.tally.total {
            return Ok(());
        }
        self.reported = (done, Instant::now());
        session.send(self.asked.context, &self.tally.pending(self.asked.command), None, RESPONSE).await
    }

    /// Nothing more is sent.
    pub(super) async fn end(&mut self) {
        self.leaving.tell().await;
    }

    /// The node is to stop.
    pub(super) fn stopping(&self) -> Option<Ended> {
        let stops = self.asked.caller.stop.is_cancelled();
        let refusal = || Refusal::new(Status::UNABLE_TO_PERFORM_SUB_OPERATIONS, "the archive is being stopped");
        stops.then(|| Ended::Refused(refusal()))
    }

    pub(super) fn receiver(&self) -> &str {
        self.asked.command.destination.as_deref().unwrap_or(&self.asked.caller.ae_title)
    }

    /// Whether there is room for another line about a failure, the one just counted included.
    fn has_lines(&self) -> bool {
        self.tally.failed <= MOST_LINES
    }
}
