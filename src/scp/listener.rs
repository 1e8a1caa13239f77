//! The receiver's port: who is let in, and how many.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::gate::Gates;
use super::identity;
use super::port::{self, Bound, Door, Guest, LOST, ListenError, Room};
use super::sender::{self, Sender};
use super::session;
use crate::assoc::negotiate::is_storage;
use crate::assoc::{ARTIM, AcceptPolicy, Answer, Decision, Offer, Rejection};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::dicom::uids;
use crate::dimse::Session;
use crate::intake::Intake;

/// Connections that may be waiting for negotiation.
const MOST_WAITING: usize = 64;
/// How long to wait for a listener that is asked whether it is there.
const PROBE: Duration = Duration::from_secs(1);

// What is told of one address a few times, and then only counted.
const NO_SOURCE: &str = "refused the objects of a peer that is no source";

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
    pub async fn bind(&self) -> Result<Bound, ListenError> {
        let config = self.config.borrow().clone();
        Bound::new(config.receiver.listen, &config, |config| config.receiver.tls.as_ref()).await
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
    pub async fn serve(self, bound: Bound, stop: CancellationToken) {
        port::listen(self, bound, stop).await;
    }

    fn policy(&self, config: &Arc<Config>, guest: Guest) -> AcceptPolicy {
        let gates = self.gates.clone();
        let known = Arc::clone(config);
        AcceptPolicy {
            ae_titles: vec![config.receiver.ae_title.clone()],
            max_pdu: config.receiver.max_pdu,
            accept_scp_role: false,
            tls: guest.acceptor(config),
            authenticate: None,
            choose: Arc::new(move |offer: &Offer| {
                let source = sender::source_of(&known, offer.address, &offer.calling);
                if !guest.take_seat() {
                    return Decision::Reject(Rejection::LocalLimit);
                }
                if source.is_some_and(|source| *gates.of(&source.name).stopped().borrow()) {
                    return Decision::Reject(Rejection::Congestion);
                }
                if let Some(doubt) = source.and_then(|s| identity::doubt_of_source(s, offer, &guest)) {
                    return Decision::Reject(doubt);
                }
                let may_store = source.is_some();
                let ip = offer.address.ip();
                let offers = offer.contexts.iter().any(|context| is_storage(context.abstract_syntax.as_str()));
                if !may_store && offers && guest.may_say(NO_SOURCE) {
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

impl Door for Receiver {
    fn knows(&self, address: IpAddr) -> bool {
        self.config.borrow().source_of_address(address).is_some()
    }

    fn room(&self) -> Room {
        Room { associations: self.config.borrow().receiver.max_associations, waiting: MOST_WAITING }
    }

    async fn serve(self, socket: TcpStream, guest: Guest, stop: CancellationToken) {
        let config = self.config.borrow().clone();
        let policy = self.policy(&config, guest.clone());
        let Ok(association) = guest.negotiate(socket, &policy, ARTIM).await else { return };
        let ae = association.peer().calling.clone();
        let sender = Sender::of(&config, &self.gates, association.peer().address, &ae);
        let source = sender.as_ref().map(|sender| sender.name.clone());
        info!(assoc.id = association.id(), peer.ae = %ae, source, "association opened");
        match session::serve(Session::new(association), &self, sender, stop).await {
            Ok(objects) => info!(objects, "association ended"),
            Err(error) if source.is_some() || guest.may_say(LOST) => {
                warn!(source, peer.ae = %ae, error = &error as &dyn std::error::Error, "{LOST}");
            }
            Err(_) => {}
        }
    }
}
