//! A port that strangers can reach: how many are let in at one time. The receiver and the hospital's node share it, each
//! with its own [`Door`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error_span, warn};

use super::complaints::{Complaints, MINUTE};
use crate::assoc::{self, AcceptPolicy, AssocError, Association};

/// Sockets beyond the configured associations that may be waiting for negotiation or for being told "not now".
const SPARE_SOCKETS: usize = 64;
/// Associations of peers that nobody knows by their address. They have these to themselves, so that no stranger can
/// lock out those who are known.
const STRANGERS: usize = 8;
/// Their sockets, those that wait for negotiation included.
const STRANGERS_SOCKETS: usize = 32;
/// How long to wait after the system refused to accept (out of file descriptors) before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// What is told of one address a few times, and then only counted.
const CROWDED: &str = "closed a connection: too many are waiting";
const NOT_ACCEPTED: &str = "cannot accept a connection";
const NOT_NEGOTIATED: &str = "no association";
pub(super) const LOST: &str = "association lost";

/// Who is let in at a port, and what becomes of them.
pub(super) trait Door: Clone + Send + Sync + 'static {
    /// Whether somebody at this address is known. Strangers share a little room of their own.
    fn knows(&self, address: IpAddr) -> bool;

    /// The most associations of those who are known, at one time.
    fn most_associations(&self) -> usize;

    /// Negotiates with a guest, by [`Guest::negotiate`], and serves until the end of the association or until `stop`,
    /// which ends it after the message in hand.
    fn serve(self, socket: TcpStream, guest: Guest, stop: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// Who has connected.
pub(super) struct Guest {
    pub(super) address: SocketAddr,
    pub(super) complaints: Arc<Complaints>,
    associations: Arc<Semaphore>,
    _room: OwnedSemaphorePermit,
}

impl Guest {
    /// Whether there is still room for a line of this kind about the address of the guest; if not, it is counted.
    pub(super) fn may_say(&self, what: &'static str) -> bool {
        self.complaints.may_say(what, self.address.ip())
    }

    /// The right to one association, if not too many are open.
    pub(super) fn seat(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.associations).try_acquire_owned().ok()
    }

    /// The association that the guest asks for; a failure is told in the log.
    pub(super) async fn negotiate(&self, socket: TcpStream, policy: &AcceptPolicy) -> Option<Association> {
        match assoc::accept(socket, policy).await {
            Ok(association) => Some(association),
            // Port scanners and load balancers connect and go away; that is no event.
            Err(AssocError::Closed) => None,
            Err(error) => {
                if self.may_say(NOT_NEGOTIATED) {
                    warn!(error = &error as &dyn std::error::Error, "{NOT_NEGOTIATED}");
                }
                None
            }
        }
    }
}

/// Lets guests in until it is told to stop; associations then end after the message in hand.
pub(super) async fn listen(door: impl Door, listener: TcpListener, stop: CancellationToken) {
    let most = door.most_associations();
    let known = Rooms::new(most, most + SPARE_SOCKETS);
    let strangers = Rooms::new(STRANGERS, STRANGERS_SOCKETS);
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
                let rooms = if door.knows(address.ip()) { &known } else { &strangers };
                let Ok(_room) = Arc::clone(&rooms.sockets).try_acquire_owned() else {
                    // So many wait for negotiation that even a rejection would cost too much.
                    if complaints.may_say(CROWDED, address.ip()) {
                        warn!(peer.address = %address, "{CROWDED}");
                    }
                    continue;
                };
                let span = error_span!("association", peer.address = %address);
                let (complaints, associations) = (Arc::clone(&complaints), Arc::clone(&rooms.associations));
                let guest = Guest { address, complaints, associations, _room };
                tasks.spawn(door.clone().serve(socket, guest, stop.clone()).instrument(span));
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

/// How many may be here at one time.
struct Rooms {
    associations: Arc<Semaphore>,
    sockets: Arc<Semaphore>,
}

impl Rooms {
    fn new(associations: usize, sockets: usize) -> Self {
        Rooms { associations: Arc::new(Semaphore::new(associations)), sockets: Arc::new(Semaphore::new(sockets)) }
    }
}
