//! The receiver's port: who is let in, and how many.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error_span, info, warn};

use super::complaints::{Complaints, MINUTE};
use super::gate::Gates;
use super::session::{self, Sender};
use crate::assoc::negotiate::is_storage;
use crate::assoc::{self, AcceptPolicy, Answer, AssocError, Decision, Offer, Rejection};
use crate::catalog::Catalog;
use crate::config::{Config, Source};
use crate::dicom::uids;
use crate::dimse::Session;
use crate::intake::Intake;

/// Sockets beyond the configured associations that may be waiting for negotiation or for being told "not now".
const SPARE_SOCKETS: usize = 64;
/// Associations of peers that are no source: they may only ask whether we are here. They have these to themselves, so
/// that nobody can lock the old PACS out.
const STRANGERS: usize = 8;
/// Their sockets, those that wait for negotiation included.
const STRANGERS_SOCKETS: usize = 32;
/// How long to wait after the system refused to accept (out of file descriptors) before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a listener that is asked whether it is there.
const PROBE: Duration = Duration::from_secs(1);

// What is told of one address a few times, and then only counted.
const CROWDED: &str = "closed a connection: too many are waiting";
const NOT_ACCEPTED: &str = "cannot accept a connection";
const NOT_NEGOTIATED: &str = "no association";
const LOST: &str = "association lost";
const NO_SOURCE: &str = "refused the objects of a peer that is no source";

/// Who has connected.
struct Guest {
    address: SocketAddr,
    complaints: Arc<Complaints>,
    _room: OwnedSemaphorePermit,
}

impl Guest {
    fn may_say(&self, what: &'static str) -> bool {
        self.complaints.may_say(what, self.address.ip())
    }
}

/// Why the receiver cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The port is taken, or may not be used.
    #[error("listening on {address}")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// The C-STORE SCP that the old PACS sends to.
#[derive(Clone)]
pub struct Receiver {
    /// The configuration, which may change while running.
    pub config: watch::Receiver<Arc<Config>>,
    /// Where pulls and arrivals meet.
    pub catalog: Catalog,
    /// The single door in.
    pub intake: Intake,
    /// What holds for each source.
    pub gates: Gates,
}

impl Receiver {
    /// Binds the configured address.
    pub async fn bind(&self) -> Result<TcpListener, ReceiverError> {
        let address = self.config.borrow().receiver.listen;
        TcpListener::bind(address).await.map_err(|source| ReceiverError::Bind { address, source })
    }

    /// Whether some process, this one or another, listens at the configured address.
    pub async fn somebody_listens(&self) -> bool {
        let mut address = self.config.borrow().receiver.listen;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        matches!(tokio::time::timeout(PROBE, TcpStream::connect(address)).await, Ok(Ok(_)))
    }

    /// Serves until it is told to stop; associations then end after the object in flight.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let most = self.config.borrow().receiver.max_associations;
        let associations = Arc::new(Semaphore::new(most));
        let sockets = Arc::new(Semaphore::new(most + SPARE_SOCKETS));
        let strangers = Arc::new(Semaphore::new(STRANGERS));
        let strangers_sockets = Arc::new(Semaphore::new(STRANGERS_SOCKETS));
        let complaints = Arc::new(Complaints::default());
        let mut minute = tokio::time::interval(MINUTE);
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                _ = minute.tick() => {
                    complaints.sum_up();
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => {
                    let known = self.config.borrow().sources.iter().any(|source| source.may_send_from(address.ip()));
                    let (associations, sockets) =
                        if known { (&associations, &sockets) } else { (&strangers, &strangers_sockets) };
                    let Ok(room) = Arc::clone(sockets).try_acquire_owned() else {
                        // So many wait for negotiation that even a rejection would cost too much.
                        if complaints.may_say(CROWDED, address.ip()) {
                            warn!(peer.address = %address, "{CROWDED}");
                        }
                        continue;
                    };
                    let span = error_span!("association", peer.address = %address);
                    let guest = Guest { address, complaints: Arc::clone(&complaints), _room: room };
                    let work = self.clone().one(socket, guest, Arc::clone(associations), stop.clone());
                    tasks.spawn(work.instrument(span));
                }
                Err(error) => {
                    if complaints.may_say(NOT_ACCEPTED, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
                        warn!(%error, "{NOT_ACCEPTED}");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
        complaints.sum_up();
    }

    async fn one(self, socket: TcpStream, guest: Guest, associations: Arc<Semaphore>, stop: CancellationToken) {
        let config = self.config.borrow().clone();
        let permit = associations.try_acquire_owned().ok();
        let policy = self.policy(&config, permit.is_some(), &guest.complaints);
        let association = match assoc::accept(socket, &policy).await {
            Ok(association) => association,
            // Port scanners and load balancers connect and go away; that is no event.
            Err(AssocError::Closed) => return,
            Err(error) => {
                if guest.may_say(NOT_NEGOTIATED) {
                    warn!(error = &error as &dyn std::error::Error, "{NOT_NEGOTIATED}");
                }
                return;
            }
        };
        let ae = association.peer().calling.clone();
        let source = source_of(&config, guest.address, &ae).map(|source| source.name.clone());
        info!(assoc.id = association.id(), peer.ae = %ae, source, "association opened");
        let sender = source.clone().map(|name| Sender { gate: self.gates.of(&name), name });
        match session::serve(Session::new(association), &self, sender, stop).await {
            Ok(objects) => info!(objects, "association ended"),
            Err(error) if source.is_some() || guest.may_say(LOST) => {
                warn!(source, peer.ae = %ae, error = &error as &dyn std::error::Error, "{LOST}");
            }
            Err(_) => {}
        }
        drop(permit);
    }

    fn policy(&self, config: &Arc<Config>, room: bool, complaints: &Arc<Complaints>) -> AcceptPolicy {
        let gates = self.gates.clone();
        let known = Arc::clone(config);
        let complaints = Arc::clone(complaints);
        AcceptPolicy {
            ae_titles: vec![config.receiver.ae_title.clone()],
            max_pdu: config.receiver.max_pdu,
            accept_scp_role: false,
            choose: Arc::new(move |offer: &Offer| {
                let source = source_of(&known, offer.address, &offer.calling);
                if !room {
                    return Decision::Reject(Rejection::LocalLimit);
                }
                if source.is_some_and(|source| *gates.of(&source.name).stopped().borrow()) {
                    return Decision::Reject(Rejection::Congestion);
                }
                let may_store = source.is_some();
                let ip = offer.address.ip();
                let offers = offer.contexts.iter().any(|context| is_storage(context.abstract_syntax.as_str()));
                if !may_store && offers && complaints.may_say(NO_SOURCE, ip) {
                    warn!(
                        peer.address = %offer.address, peer.ae = %offer.calling,
                        "{NO_SOURCE}: to take them, add from = [\"{ip}\"] to its [[source]]"
                    );
                }
                Decision::Accept(Box::new(move |offered| match offered.abstract_syntax.as_str() {
                    uids::VERIFICATION => offered.accept(),
                    class if !is_storage(class) => Answer::AbstractSyntaxNotSupported,
                    _ if may_store => offered.accept(),
                    _ => Answer::UserRejection,
                }))
            }),
        }
    }
}

/// The source that an association belongs to: by address, and by AE title where several sources share an address.
fn source_of<'a>(config: &'a Config, address: SocketAddr, calling: &str) -> Option<&'a Source> {
    let mut there = config.sources.iter().filter(|source| source.may_send_from(address.ip()));
    let first = there.clone().next();
    there.find(|source| source.ae_title.as_str().eq_ignore_ascii_case(calling)).or(first)
}
