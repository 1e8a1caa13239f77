//! Sending objects: over an association to a destination, or over the one that asked for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::archive::SampleObject;
use super::log::Event;
use super::profile::{Delivery, Profile};
use super::session::MESSAGE;
use super::shared::Shared;
use crate::assoc::{self, MOST_CONTEXTS, Proposal, Proposed, RequestTimeouts};
use crate::dicom::{AeTitle, SopInstanceUid, Status};
use crate::dimse::{Command, CommandField, DimseError, Session};

/// How one sub-operation ended: with this status of the C-STORE response, or without one.
pub(crate) type Outcome = (SopInstanceUid, Option<Status>);

/// Where and how the objects of one retrieve are delivered.
pub(crate) struct Delivering {
    pub(crate) shared: Arc<Shared>,
    pub(crate) profile: Profile,
    pub(crate) destination: AeTitle,
    pub(crate) address: SocketAddr,
    /// AE title and message id for the Move Originator elements.
    pub(crate) originator: Option<(String, u16)>,
    /// No further object when it is cancelled.
    pub(crate) stop: CancellationToken,
    /// Every association is aborted at once when it is cancelled.
    pub(crate) break_off: CancellationToken,
    /// Objects after which `break_off` is cancelled.
    pub(crate) abort_after: Option<usize>,
    pub(crate) sent: AtomicUsize,
    /// The pause before each object.
    pub(crate) pause: Duration,
}

/// Spreads the objects over associations, as the profile says.
pub(crate) fn shares(objects: Vec<SampleObject>, profile: &Profile) -> Vec<Vec<SampleObject>> {
    let shares: Vec<Vec<SampleObject>> = match profile.delivery {
        Delivery::PerInstance => objects.into_iter().map(|object| vec![object]).collect(),
        Delivery::PerSeries => {
            let mut series: Vec<Vec<SampleObject>> = Vec::new();
            for object in objects {
                match series.iter_mut().find(|s| s.first().is_some_and(|o| o.identity.series == object.identity.series))
                {
                    Some(one) => one.push(object),
                    None => series.push(vec![object]),
                }
            }
            series
        }
        Delivery::OneAssociation => {
            let size = objects.len().div_ceil(profile.parallel_stores.max(1)).max(1);
            objects.chunks(size).map(<[_]>::to_vec).collect()
        }
    };
    shares.into_iter().flat_map(within_contexts).collect()
}

/// Splits a share whose objects need more presentation contexts than an association has.
fn within_contexts(objects: Vec<SampleObject>) -> Vec<Vec<SampleObject>> {
    let mut shares: Vec<Vec<SampleObject>> = vec![Vec::new()];
    let mut kinds = std::collections::HashSet::new();
    for object in objects {
        let kind = (object.identity.class.clone(), object.transfer_syntax.clone());
        if !kinds.contains(&kind) && kinds.len() == MOST_CONTEXTS {
            kinds.clear();
            shares.push(Vec::new());
        }
        kinds.insert(kind);
        if let Some(share) = shares.last_mut() {
            share.push(object);
        }
    }
    shares
}

impl Delivering {
    /// Delivers a share over an association of its own and tells how each sub-operation ended. What is left over when
    /// it is stopped is not told of.
    pub(crate) async fn deliver(&self, share: Vec<SampleObject>, outcomes: mpsc::Sender<Outcome>) {
        let mut objects = share.into_iter();
        let ended = tokio::select! {
            ended = self.over_association(&mut objects, &outcomes) => ended,
            () = self.break_off.cancelled() => return,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a store association of the sample PACS broke");
            for object in objects {
                // Nobody listens any more when the retrieve was given up.
                let _ = outcomes.send((object.identity.instance, None)).await;
            }
        }
    }

    async fn over_association(
        &self,
        objects: &mut std::vec::IntoIter<SampleObject>,
        outcomes: &mpsc::Sender<Outcome>,
    ) -> Result<(), DimseError> {
        let proposal = self.proposal(objects.as_slice());
        let mut open: Option<(Session, StoreGauge)> = None;
        let mut message_id = 0u16;
        while let Some(object) = objects.as_slice().first() {
            let stopped = self.stop.run_until_cancelled(tokio::time::sleep(self.pause)).await.is_none();
            if stopped || self.stop.is_cancelled() {
                break;
            }
            let instance = object.identity.instance.clone();
            let status = if self.shared.fails(object) {
                None
            } else {
                let (session, _) = match &mut open {
                    Some(open) => open,
                    closed => closed.insert(self.open(&proposal).await?),
                };
                message_id = message_id.wrapping_add(1).max(1);
                let status = self.store(session, object, message_id).await?;
                self.count();
                status
            };
            objects.next();
            let _ = outcomes.send((instance, status)).await;
        }
        if let Some((session, _gauge)) = open {
            session.release(Duration::from_secs(5)).await;
        }
        Ok(())
    }

    fn count(&self) {
        let sent = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        if self.abort_after.is_some_and(|limit| sent >= limit) {
            self.break_off.cancel();
        }
    }

    async fn open(&self, proposal: &Proposal) -> Result<(Session, StoreGauge), DimseError> {
        let timeouts = RequestTimeouts { connect: Duration::from_secs(10), negotiate: Duration::from_secs(15) };
        let host = self.address.ip().to_string();
        let association = assoc::request(&host, self.address.port(), proposal, &timeouts).await?;
        Ok((Session::new(association), StoreGauge::new(&self.shared)))
    }

    fn proposal(&self, objects: &[SampleObject]) -> Proposal {
        let mut contexts: Vec<Proposed> = Vec::new();
        for object in objects {
            let (class, syntax) = (object.identity.class.as_str(), object.transfer_syntax.as_str());
            let same = |c: &Proposed| c.abstract_syntax == class && c.transfer_syntaxes.iter().any(|t| t == syntax);
            if !contexts.iter().any(same) {
                contexts.push(Proposed {
                    abstract_syntax: class.to_owned(),
                    transfer_syntaxes: vec![syntax.to_owned()],
                    scp_role: None,
                });
            }
        }
        Proposal {
            called: self.destination.clone(),
            calling: self.shared.ae_title.clone(),
            contexts,
            max_pdu: self.profile.max_pdu,
            extended: Vec::new(),
            tls: self.profile.destination_tls.clone(),
            identity: None,
        }
    }

    /// Sends one object and waits for the response.
    async fn store(
        &self,
        session: &mut Session,
        object: &SampleObject,
        message_id: u16,
    ) -> Result<Option<Status>, DimseError> {
        let originator = self.originator.as_ref().map(|(ae, id)| (ae.as_str(), *id));
        if !send_object(session, object, message_id, originator).await? {
            return Ok(None);
        }
        let status = match session.receive(MESSAGE).await? {
            Some((_, response)) if response.field == CommandField::CStoreRsp => response.status,
            Some(_) => return Err(DimseError::Unexpected { what: "a message that is no C-STORE response".to_owned() }),
            None => return Err(DimseError::Unexpected { what: "a release before the C-STORE response".to_owned() }),
        };
        let id = session.association().id();
        self.shared.note(id, Event::Stored { instance: object.identity.instance.clone(), status });
        Ok(status)
    }
}

/// Sends an object in the presentation context that was accepted for its class and transfer syntax; whether there is one.
pub(crate) async fn send_object(
    session: &mut Session,
    object: &SampleObject,
    message_id: u16,
    originator: Option<(&str, u16)>,
) -> Result<bool, DimseError> {
    let identity = &object.identity;
    let fits = |c: &&assoc::Transfer| {
        c.scu_role && c.abstract_syntax == *identity.class && c.transfer_syntax == object.transfer_syntax
    };
    let Some(context) = session.association().contexts().iter().find(fits).map(|c| c.id) else { return Ok(false) };
    let command = Command::store_rq(message_id, &identity.class, &identity.instance, originator);
    let association = session.association_mut();
    association.send_command(context, &command.encode(), MESSAGE).await?;
    let mut pieces = object.body.pieces().peekable();
    while let Some(piece) = pieces.next() {
        association.send_data(context, &piece, pieces.peek().is_none(), MESSAGE).await?;
    }
    Ok(true)
}

/// Counts an open store association.
struct StoreGauge(Arc<Shared>);

impl StoreGauge {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.log().store_opened();
        StoreGauge(Arc::clone(shared))
    }
}

impl Drop for StoreGauge {
    fn drop(&mut self) {
        self.0.log().store_closed();
    }
}
