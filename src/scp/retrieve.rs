//! C-MOVE and C-GET as SCP (PS3.4 annex C.4.2 and C.4.3): Patient Root and Study Root, every level, lists of UIDs.
//!
//! What is sent is what the catalog has current under each UID: no variant, no collision, nothing from quarantine. The
//! list is taken once, small, and the places of the files page by page, so that nothing of the catalog is held while a
//! peer is written to. An object that cannot be sent is a failed sub-operation, and a line in the log says why.

mod feed;
mod get;
mod held;
mod identifier;
mod moving;
mod recall;
mod run;
mod tally;

use std::collections::HashSet;
use std::time::Instant;

use tracing::{debug, info, warn};

use super::caller::Caller;
use super::exchange::{self, RESPONSE};
use super::node::Services;
use super::refusal::Refusal;
use crate::audit::Party;
use crate::catalog::{CatalogError, Selected, Selection};
use crate::config::Peer;
use crate::dataset::{Bounds, Identifier};
use crate::dicom::{Encoding, Status, encoding_of};
use crate::dimse::{Command, CommandField, DimseError, Session};

pub(super) use held::Held;
use identifier::Request;
use moving::Mover;
use recall::{Awaited, Missing, More};
use run::{Ended, Run};

/// The most instances of one retrieve. Their list takes 16 bytes each.
const MOST_INSTANCES: usize = 1_000_000;

/// A retrieve that is being performed, as its parts need it.
struct Asked<'a> {
    services: &'a Services,
    caller: &'a Caller,
    context: u8,
    command: &'a Command,
    /// How identifiers are encoded on its context.
    encoding: Encoding,
}

/// A retrieve that can be performed.
struct Understood {
    request: Request,
    selected: Selected,
    /// What is not filed as a whole, and on its way.
    awaited: Option<Awaited>,
    /// Where a C-MOVE shall go.
    destination: Option<Peer>,
}

/// Performs a C-MOVE or a C-GET and answers it.
pub(super) async fn serve(
    session: &mut Session,
    services: &Services,
    caller: &Caller,
    context: u8,
    command: &Command,
) -> Result<(), DimseError> {
    let begun = Instant::now();
    let limits = services.config.borrow().node.limits.clone();
    let identifier = exchange::identifier(session, command, &limits).await?;
    let transfer = session.association().context(context);
    let encoding = transfer.map_or(Encoding::ImplicitLe, |transfer| encoding_of(&transfer.transfer_syntax));
    let asked = Asked { services, caller, context, command, encoding };
    let understood = match asked.understand(&identifier).await {
        Ok(understood) => understood,
        Err(refusal) => {
            warn!(
                peer.ae = %caller.ae_title, status = %refusal.status, comment = refusal.comment,
                "refused a {}", asked.service()
            );
            return session.send(context, &refusal.response(command), None, RESPONSE).await;
        }
    };
    let (level, objects) = (understood.request.level, understood.selected.instances.len());
    debug!(peer.ae = %caller.ae_title, %level, objects, "{}", asked.service());
    let party = |peer: &Peer| Party {
        name: peer.ae_title.to_string(),
        address: peer.address.host.parse().ok(),
        ..Party::default()
    };
    let mut run = Run::new(&asked, understood.destination.as_ref().map(party));
    let mut missing = Missing::default();
    let ended = run.deliver(session, understood, &mut missing).await;
    run.end().await;
    let ended = ended?;
    if matches!(ended, Ended::Done) {
        run.tally.close();
    }
    let (status, comment) = match &ended {
        Ended::Done => (run.tally.status(false), missing.why.as_deref()),
        Ended::Cancelled => (Status::CANCEL, None),
        Ended::Refused(refusal) => (refusal.status, Some(refusal.comment.as_str())),
    };
    let (response, list) = run.tally.last(command, status, comment, encoding);
    info!(
        peer.ae = %caller.ae_title, destination = command.destination, %status, comment,
        sent = run.tally.completed + run.tally.warning, failed = run.tally.failed, total = run.tally.total,
        duration_ms = begun.elapsed().as_millis(), "{} ended", asked.service()
    );
    services.meter.sent(run.tally.completed + run.tally.warning, run.tally.failed);
    session.send(context, &response, list.as_deref(), RESPONSE).await
}

impl Asked<'_> {
    fn service(&self) -> &'static str {
        match self.command.field {
            CommandField::CGetRq => "C-GET",
            _ => "C-MOVE",
        }
    }

    /// What is asked for, and the instances that it means.
    async fn understand(&self, identifier: &[u8]) -> Result<Understood, Refusal> {
        let (request, destination) = self.read(identifier)?;
        // Before it is looked what is filed, so that nothing falls in between.
        let union = self.services.config.borrow().node.union;
        let awaited = match union {
            true => Awaited::of(self, &request.selection).await.map_err(|error| Refusal::catalog(&error))?,
            false => None,
        };
        let selected = self.select(&request.selection).await?;
        Ok(Understood { request, selected, awaited, destination })
    }

    /// What is filed of a selection.
    async fn select(&self, selection: &Selection) -> Result<Selected, Refusal> {
        match self.services.catalog.select(selection, MOST_INSTANCES).await {
            Err(error) => Err(Refusal::catalog(&error)),
            Ok(selected) if selected.more => {
                let what = format!("more than {MOST_INSTANCES} instances at once");
                Err(Refusal::new(Status::TOO_MANY_MATCHES, &what))
            }
            Ok(selected) => Ok(selected),
        }
    }

    /// The request, and where a C-MOVE shall go.
    fn read(&self, identifier: &[u8]) -> Result<(Request, Option<Peer>), Refusal> {
        let class = self.command.class.as_ref().map_or("", |class| class.as_str());
        let limits = self.services.config.borrow().node.limits.clone();
        let bounds = Bounds { value: limits.value, nesting: limits.nesting };
        let _within_bounds = Identifier::read(identifier, self.encoding, bounds)?;
        let request = identifier::read(class, identifier, self.encoding)?;
        let moves = self.command.field == CommandField::CMoveRq;
        let destination = moves.then(|| moving::destination(self)).transpose()?;
        Ok((request, destination))
    }
}

impl Run<'_> {
    /// Sends what is filed, and then what comes while it comes, each object once; until nothing more does.
    async fn deliver(
        &mut self,
        session: &mut Session,
        understood: Understood,
        missing: &mut Missing,
    ) -> Result<Ended, DimseError> {
        let Understood { request, selected, mut awaited, destination } = understood;
        let mut mover = destination.map(|peer| Mover::new(self.asked, &peer));
        let (mut next, mut to_come) = (selected, usize::from(awaited.is_some()));
        let mut tried: HashSet<i64> = HashSet::new();
        let ended = loop {
            next.instances.retain(|(id, _)| tried.insert(*id));
            self.selected = next;
            self.tally.total = tried.len().saturating_add(to_come);
            if !self.selected.instances.is_empty() {
                let ended = match &mut mover {
                    None => get::perform(session, self).await?,
                    Some(mover) => mover.perform(session, self).await?,
                };
                let given_up = mover.as_ref().is_some_and(Mover::has_given_up);
                if !matches!(ended, Ended::Done) || given_up {
                    break ended;
                }
            }
            let Some(waiting) = &mut awaited else { break Ended::Done };
            match waiting.more(session, self).await? {
                More::Ended(ended) => break ended,
                More::Arrived(more) => to_come = more,
                More::Over(rest) => {
                    to_come = rest.objects;
                    *missing = rest;
                    awaited = None;
                }
            }
            let began = Instant::now();
            next = match self.asked.select(&request.selection).await {
                Ok(selected) => selected,
                Err(refusal) => break Ended::Refused(refusal),
            };
            if let Some(waiting) = &mut awaited {
                waiting.took(began.elapsed());
            }
        };
        if let Some(mover) = mover {
            mover.close().await;
        }
        Ok(ended)
    }
}

impl Refusal {
    fn catalog(error: &CatalogError) -> Refusal {
        tracing::error!(error = error as &dyn std::error::Error, "the catalog does not answer a retrieve");
        Refusal::new(Status::TOO_MANY_MATCHES, "the catalog does not answer")
    }
}
