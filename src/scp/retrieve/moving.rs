//! C-MOVE: the objects go to a configured peer, over an association that is opened for them, or several where they are of
//! more kinds than one has presentation contexts.

use std::time::{Duration, Instant};

use tracing::warn;

use super::Asked;
use super::feed::{Feed, How, Next, spread};
use super::run::{Ended, REPORT, Run};
use crate::assoc::Proposed;
use crate::audit::{Alert, AuditEvent};
use crate::catalog::{CatalogError, Selected};
use crate::config::Peer;
use crate::dicom::{SopClassUid, Status, TransferSyntaxUid};
use crate::dimse::{DimseError, Session};
use crate::scp::refusal::Refusal;
use crate::scu::store::{self, SendError};
use crate::scu::{ScuError, Target};

/// How long connecting to a destination may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a destination may take to answer in the negotiation, and to let us go.
const RESPOND: Duration = Duration::from_secs(30);
/// How long an association is kept for what comes next.
const KEPT: Duration = Duration::from_secs(10);
/// Associations that may break one after the other without a single object having been answered.
const FRUITLESS: u32 = 2;

/// The configured peer that the objects shall go to.
pub(super) fn destination(asked: &Asked<'_>) -> Result<Peer, Refusal> {
    let config = asked.services.config.borrow();
    let name = asked.command.destination.as_deref().unwrap_or_default();
    if let Some(peer) = config.peers.iter().find(|peer| peer.is_called(name)) {
        return Ok(peer.clone());
    }
    asked.services.audit.record(AuditEvent::Security {
        alert: Alert::RestrictedFunction,
        who: asked.caller.party(),
        what: format!("asked for objects to be sent to {name}, which is not configured"),
    });
    let comment = if config.node.ae_title.as_str().eq_ignore_ascii_case(name) {
        "that is this archive, which has these objects".to_owned()
    } else {
        format!("no [[peer]] of this archive is called {name}")
    };
    Err(Refusal::new(Status::MOVE_DESTINATION_UNKNOWN, &comment))
}

/// The way to the destination of a C-MOVE: what comes after a while goes over the same association, as long as that has
/// presentation contexts for it.
pub(super) struct Mover {
    target: Target,
    /// What associations are opened for.
    kinds: Vec<(SopClassUid, TransferSyntaxUid)>,
    link: Option<(Session, Instant)>,
    given_up: bool,
}

impl Mover {
    pub(super) fn new(asked: &Asked<'_>, peer: &Peer) -> Mover {
        let calling = asked.services.config.borrow().node.ae_title.clone();
        let target = Target::of_peer(peer, calling, CONNECT, RESPOND);
        Mover { target, kinds: Vec::new(), link: None, given_up: false }
    }

    /// Whether nothing can be sent there any more.
    pub(super) fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// Sends what is selected.
    pub(super) async fn perform(&mut self, session: &mut Session, run: &mut Run<'_>) -> Result<Ended, DimseError> {
        let instances = self.known(&run.selected).await;
        let plans = store::plan(&self.kinds, run.asked.services.outlet.decodes());
        let kinds: Vec<Vec<usize>> = plans.iter().map(|plan| plan.kinds.clone()).collect();
        let keep = plans.len() == 1;
        for (plan, ids) in plans.into_iter().zip(spread(&instances, &kinds)) {
            let (feed, target) = (run.feed(ids), self.target.clone());
            let link = self.link.take().map(|(link, _)| link);
            let mut delivery =
                Delivery { run, target, contexts: plan.contexts, feed, link, fruitless: 0, given_up: false };
            let ended = delivery.perform(session).await?;
            self.given_up = delivery.given_up;
            self.link = delivery.link.take().map(|link| (link, Instant::now()));
            if !keep {
                self.hang_up().await;
            }
            if !matches!(ended, Ended::Done) {
                return Ok(ended);
            }
        }
        Ok(Ended::Done)
    }

    /// The instances by what associations are opened for; an association that has no context for them is ended, and one
    /// that the destination may have ended too.
    async fn known(&mut self, selected: &Selected) -> Vec<(i64, usize)> {
        let before = self.kinds.len();
        let mut places = Vec::new();
        for kind in &selected.kinds {
            let place = self.kinds.iter().position(|known| known == kind).unwrap_or_else(|| {
                self.kinds.push(kind.clone());
                self.kinds.len() - 1
            });
            places.push(place);
        }
        if self.kinds.len() > before || self.link.as_ref().is_some_and(|(_, since)| since.elapsed() > KEPT) {
            self.hang_up().await;
        }
        selected.instances.iter().filter_map(|(id, kind)| Some((*id, *places.get(*kind)?))).collect()
    }

    async fn hang_up(&mut self) {
        if let Some((link, _)) = self.link.take() {
            link.release(RESPOND).await;
        }
    }

    /// Nothing more is sent.
    pub(super) async fn close(mut self) {
        self.hang_up().await;
    }
}

/// Objects on their way to the destination, as many as share an association.
struct Delivery<'a, 'b> {
    run: &'a mut Run<'b>,
    target: Target,
    contexts: Vec<Proposed>,
    feed: Feed,
    link: Option<Session>,
    /// Associations that broke since an object was last answered.
    fruitless: u32,
    /// The rest was counted as failed.
    given_up: bool,
}

/// What may happen next while an object is sent.
enum Happens<T> {
    Sent(T),
    Tick,
}

impl Delivery<'_, '_> {
    async fn perform(&mut self, session: &mut Session) -> Result<Ended, DimseError> {
        let asked = self.run.asked.command.message_id;
        loop {
            if let Some(stopping) = self.run.stopping() {
                return Ok(stopping);
            }
            if session.cancel_asked(asked).await? {
                return Ok(Ended::Cancelled);
            }
            let link = match self.link.take() {
                Some(link) => link,
                None => match store::open(&self.target, self.contexts.clone()).await {
                    Ok(link) => link,
                    Err(error) => return Ok(self.give_up(&error).await),
                },
            };
            let next = self.feed.next(link.association().contexts()).await;
            let link = self.link.insert(link);
            let Next { instance, how } = match next {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(Ended::Done),
                Err(error) => return Ok(Ended::Refused(Refusal::catalog(&error))),
            };
            let How::On(context, mut object) = how else {
                self.run.not_accepted(&instance);
                self.run.report(session).await?;
                continue;
            };
            let originator = Some((self.run.asked.caller.ae_title.as_str(), asked));
            let request = self.run.request(&instance, originator);
            let mut nobody = None;
            let mut cancelled = false;
            let sent = {
                let mut sending = std::pin::pin!(store::send(link, context, &request, &mut object, &mut nobody));
                let mut tick = tokio::time::interval(REPORT);
                loop {
                    let happens = tokio::select! {
                        biased;
                        sent = &mut sending => Happens::Sent(sent),
                        _ = tick.tick() => Happens::Tick,
                    };
                    match happens {
                        Happens::Sent(sent) => break sent,
                        Happens::Tick => {
                            self.run.report(session).await?;
                            cancelled |= session.cancel_asked(asked).await?;
                        }
                    }
                }
            };
            match sent {
                Ok(answer) => {
                    self.run.answered(&instance, &answer);
                    self.fruitless = 0;
                }
                Err(SendError::Object(error)) => self.run.unreadable(&instance, &error),
                Err(SendError::Torn(error)) => {
                    self.run.unreadable(&instance, &error);
                    self.hang_up().await;
                }
                Err(SendError::Association(error)) => {
                    self.run.lost(&instance, &error);
                    self.hang_up().await;
                    self.fruitless += 1;
                    if self.fruitless >= FRUITLESS {
                        return Ok(self.fail_rest().await.unwrap_or(Ended::Done));
                    }
                }
            }
            if cancelled {
                return Ok(Ended::Cancelled);
            }
            self.run.report(session).await?;
        }
    }

    /// Ends the association; what comes next is for another one.
    async fn hang_up(&mut self) {
        if let Some(link) = self.link.take() {
            link.abort().await;
        }
        self.feed.reopen();
    }

    /// There is no association to be had.
    async fn give_up(&mut self, error: &ScuError) -> Ended {
        let Target { called, host, port, .. } = &self.target;
        warn!(
            destination = %called, address = %format!("{host}:{port}"), error = error as &dyn std::error::Error,
            remedy = error.remedy(), "the destination of a C-MOVE cannot be reached"
        );
        let comment = format!("{called} cannot be reached at {host}:{port}");
        let nothing_sent = self.run.tally.completed + self.run.tally.warning == 0;
        match self.fail_rest().await {
            Some(ended) => ended,
            None if nothing_sent => Ended::Refused(Refusal::new(Status::UNABLE_TO_PERFORM_SUB_OPERATIONS, &comment)),
            None => Ended::Done,
        }
    }

    /// Counts everything that is left as failed.
    async fn fail_rest(&mut self) -> Option<Ended> {
        self.given_up = true;
        loop {
            let instance: Result<_, CatalogError> = self.feed.skip().await;
            match instance {
                Ok(Some(instance)) => self.run.fail(&instance, "there is no association with the receiver"),
                Ok(None) => return None,
                Err(error) => return Some(Ended::Refused(Refusal::catalog(&error))),
            }
        }
    }
}
