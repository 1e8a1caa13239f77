//! A port that strangers can reach: how many are let in at one time. The receiver and the hospital's node share it, each
//! with its own [`Door`].

mod waiting;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error_span, warn};

use super::complaints::{Complaints, MINUTE};
use crate::assoc::tls::{Acceptor, TlsError, TlsPort};
use crate::assoc::{self, AcceptPolicy, AssocError, Association};
use crate::config::{Config, ServerTls};
use waiting::{Ticket, Waiting};

/// Associations of peers that nobody knows by their address. They have these to themselves, so that no stranger can
/// lock out those who are known.
const STRANGERS: usize = 8;
/// Their connections that wait for negotiation.
const STRANGERS_WAITING: usize = 24;
/// How long to wait after the system refused to accept (out of file descriptors) before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// What is told of one address a few times, and then only counted.
const CROWDED: &str = "closed a connection that said nothing: too many are waiting";
const NOT_ACCEPTED: &str = "cannot accept a connection";
const NOT_NEGOTIATED: &str = "no association";
pub(super) const LOST: &str = "association lost";

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It is taken, or may not be used.
    #[error("listening on {address}")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Its certificate or its key.
    #[error("speaking TLS on {address}")]
    Tls {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: Box<TlsError>,
    },
}

/// Who is let in at a port, and what becomes of them.
pub(super) trait Door: Clone + Send + Sync + 'static {
    /// Whether somebody at this address is known. Strangers share a little room of their own.
    fn knows(&self, address: IpAddr) -> bool;

    /// How many of those who are known are let in at one time.
    fn room(&self) -> Room;

    /// Negotiates with a guest, by [`Guest::negotiate`], and serves until the end of the association or until `stop`,
    /// which ends it after the message in hand.
    fn serve(self, socket: TcpStream, guest: Guest, stop: CancellationToken) -> impl Future<Output = ()> + Send;
}

/// How many are let in at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Associations.
    pub(super) associations: usize,
    /// Connections that have not negotiated one yet.
    pub(super) waiting: usize,
}

/// A port that is ours, and the TLS that is spoken on it.
pub struct Bound {
    listener: TcpListener,
    tls: Arc<TlsPort>,
}

impl Bound {
    /// Reads the files for TLS, if it is a TLS port, and binds the address.
    pub(super) async fn new(
        address: SocketAddr,
        config: &Arc<Config>,
        tls: fn(&Config) -> Option<&ServerTls>,
    ) -> Result<Self, ListenError> {
        let tls = Arc::new(
            TlsPort::open(config, tls).map_err(|source| ListenError::Tls { address, source: Box::new(source) })?,
        );
        let listener = TcpListener::bind(address).await.map_err(|source| ListenError::Bind { address, source })?;
        Ok(Bound { listener, tls })
    }

    /// Where it is.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Who has connected. A clone is another handle.
#[derive(Clone)]
pub(super) struct Guest {
    pub(super) address: SocketAddr,
    complaints: Arc<Complaints>,
    associations: Arc<Semaphore>,
    /// Until it has negotiated.
    ticket: Arc<Mutex<Option<Ticket>>>,
    seat: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    tls: Arc<TlsPort>,
}

impl Guest {
    /// What the association is to be secured with, by this configuration.
    pub(super) fn acceptor(&self, config: &Arc<Config>) -> Option<Acceptor> {
        self.tls.acceptor(config)
    }

    /// Whether there is still room for a line of this kind about the address of the guest; if not, it is counted.
    pub(super) fn may_say(&self, what: &'static str) -> bool {
        self.complaints.may_say(what, self.address.ip())
    }

    /// Takes one of the associations that may be open at one time, until the guest leaves; whether there was one left.
    /// One who is turned down for another reason takes none.
    pub(super) fn take_seat(&self) -> bool {
        let seat = Arc::clone(&self.associations).try_acquire_owned().ok();
        let seated = seat.is_some();
        *lock(&self.seat) = seat;
        seated
    }

    /// The association that the guest asks for; a failure is told in the log. From then on it is no longer among those
    /// who wait.
    pub(super) async fn negotiate(
        &self,
        socket: TcpStream,
        policy: &AcceptPolicy,
        limit: Duration,
    ) -> Result<Association, AssocError> {
        let ticket = lock(&self.ticket).take();
        let accepted = tokio::select! {
            () = pushed_out(ticket.as_ref()) => {
                if self.may_say(CROWDED) {
                    warn!("{CROWDED}");
                }
                return Err(AssocError::Timeout { what: "a whole A-ASSOCIATE-RQ, while others waited" });
            }
            accepted = assoc::accept_within(socket, policy, limit) => accepted,
        };
        match &accepted {
            // Port scanners and load balancers connect and go away; that is no event.
            Ok(_) | Err(AssocError::Closed) => {}
            Err(error) if self.may_say(NOT_NEGOTIATED) => {
                let remedy = error.remedy();
                warn!(error = error as &dyn std::error::Error, remedy, "{NOT_NEGOTIATED}");
            }
            Err(_) => {}
        }
        accepted
    }
}

async fn pushed_out(ticket: Option<&Ticket>) {
    match ticket {
        Some(ticket) => ticket.pushed_out().await,
        None => std::future::pending().await,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets guests in until it is told to stop; associations then end after the message in hand.
pub(super) async fn listen(door: impl Door, bound: Bound, stop: CancellationToken) {
    let Bound { listener, tls } = bound;
    let known = Hall::new(door.room());
    let strangers = Hall::new(Room { associations: STRANGERS, waiting: STRANGERS_WAITING });
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
                let hall = if door.knows(address.ip()) { &known } else { &strangers };
                let guest = Guest {
                    address,
                    complaints: Arc::clone(&complaints),
                    associations: Arc::clone(&hall.associations),
                    ticket: Arc::new(Mutex::new(Some(hall.waiting.enter(address.ip())))),
                    seat: Arc::default(),
                    tls: Arc::clone(&tls),
                };
                let span = error_span!("association", peer.address = %address);
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

/// Where those are who were let in.
struct Hall {
    associations: Arc<Semaphore>,
    waiting: Waiting,
}

impl Hall {
    fn new(room: Room) -> Self {
        Hall { associations: Arc::new(Semaphore::new(room.associations)), waiting: Waiting::new(room.waiting) }
    }
}

#[cfg(test)]
mod tests;
