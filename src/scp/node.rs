//! The hospital's node: the port that its devices talk to, closed to everybody who is not configured.

mod crowd;
mod session;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::beyond::Beyond;
use super::caller::{self, Caller};
use super::commitment::Commitments;
use super::departures::Departures;
use super::find;
use super::gate::Gates;
use super::identity;
use super::meter::Meter;
use super::port::{self, Bound, Door, Guest, LOST, ListenError, Room};
use super::retrieve::Held;
use super::service::Service;
use crate::assoc::{AcceptPolicy, Answer, AssocError, Choice, Decision, Offer, Offered, Rejection};
use crate::audit::{Alert, Audit, AuditEvent, AuditOutcome, Party};
use crate::catalog::Catalog;
use crate::config::{Config, Right};
use crate::dimse::Session;
use crate::intake::Intake;
use crate::outlet::Outlet;
use crowd::{Crowd, Place};

// What is told of one address a few times, and then only counted.
const UNKNOWN: &str = "rejected the association of a node that is not configured";
const TOO_MANY: &str = "rejected an association for the moment: the peer has as many open as it may have";
const FULL: &str = "rejected an association for the moment: as many are open as the node allows";
const INTRUSION: &str = "an alert of the audit trail";
const NO_RIGHT: &str = "refused a service that the peer has no right to";

/// What every service of the hospital's node may use; a clone is another handle.
#[derive(Clone)]
pub struct Services {
    /// The configuration, which may change while running.
    pub config: watch::Receiver<Arc<Config>>,
    /// What is held.
    pub catalog: Catalog,
    /// The single door in.
    pub intake: Intake,
    /// The single door out.
    pub outlet: Outlet,
    /// The audit trail.
    pub audit: Audit,
    /// What peers want to be sure of.
    pub commitments: Commitments,
    /// What sources know of studies that are not filed.
    pub beyond: Beyond,
    /// The retrieve log.
    pub departures: Departures,
    /// What holds for each source in this process.
    pub gates: Gates,
    /// What was done.
    pub meter: Meter,
}

impl Services {
    /// Binds the configured address.
    pub async fn bind(&self) -> Result<Bound, ListenError> {
        let config = self.config.borrow().clone();
        Bound::new(config.node.listen, &config, |config| config.node.tls.as_ref()).await
    }

    /// Serves until it is told to stop; associations then end after the message in hand.
    pub async fn serve(self, bound: Bound, stop: CancellationToken) {
        port::listen(Hospital { services: self, crowd: Crowd::default(), held: Held::default() }, bound, stop).await;
    }
}

/// The node's door.
#[derive(Clone)]
struct Hospital {
    services: Services,
    crowd: Crowd,
    held: Held,
}

impl Door for Hospital {
    fn knows(&self, address: IpAddr) -> bool {
        caller::is_known(&self.services.config.borrow(), address)
    }

    fn room(&self) -> Room {
        let config = self.services.config.borrow();
        Room { associations: config.node.limits.associations, waiting: config.node.limits.waiting }
    }

    async fn serve(self, socket: TcpStream, guest: Guest, stop: CancellationToken) {
        let config = self.services.config.borrow().clone();
        let admitted = Admitted::default();
        let limits = config.node.limits.clone();
        self.held.refresh(&self.services.catalog).await;
        let policy = AcceptPolicy {
            ae_titles: vec![config.node.ae_title.clone()],
            max_pdu: limits.max_pdu,
            accept_scp_role: true,
            tls: guest.acceptor(&config),
            authenticate: Some(identity::authenticate(&config)),
            choose: {
                let (hospital, admitted, guest) = (self.clone(), admitted.clone(), guest.clone());
                Arc::new(move |offer: &Offer| hospital.decide(offer, &config, &guest, &stop, &admitted))
            },
        };
        let meter = &self.services.meter;
        let association = match guest.negotiate(socket, &policy, limits.negotiation).await {
            Ok(association) => association,
            Err(error) => {
                meter.turned_away(&error);
                if let Some((calling, what)) = intrusion(&error)
                    && guest.may_say(INTRUSION)
                {
                    self.alert(Alert::NodeAuthentication, stranger(guest.address, calling), &what);
                }
                return;
            }
        };
        let Some((caller, place)) = admitted.take() else { return };
        let _open = meter.accepted();
        let ae = caller.ae_title.as_str();
        info!(assoc.id = association.id(), peer.ae = ae, peer = caller.name(), "association opened");
        match session::serve(Session::new(association), &self.services, &caller, &place, &limits).await {
            Ok(messages) => info!(messages, "association ended"),
            Err(error) if guest.may_say(LOST) => {
                let remedy = session::remedy(&error).map(|remedy| format!("; {remedy}")).unwrap_or_default();
                warn!(peer.ae = ae, error = &error as &dyn std::error::Error, "{LOST}{remedy}");
            }
            Err(_) => {}
        }
    }
}

impl Hospital {
    fn alert(&self, alert: Alert, who: Party, what: &str) {
        self.services.audit.record(AuditEvent::Security { alert, who, what: what.to_owned() });
    }

    /// Whether the association is taken, and which of its contexts.
    fn decide(
        &self,
        offer: &Offer,
        config: &Config,
        guest: &Guest,
        stop: &CancellationToken,
        admitted: &Admitted,
    ) -> Decision {
        let limits = &config.node.limits;
        let caller = Caller::of(config, &self.services.gates, offer.address, &offer.calling, stop.clone());
        let Some(mut caller) = caller else {
            if guest.may_say(UNKNOWN) {
                let remedy = remedy_for_unknown(config, offer.address, &offer.calling);
                warn!(peer.ae = %offer.calling, "{UNKNOWN}; {remedy}");
                self.alert(Alert::NodeAuthentication, stranger(offer.address, &offer.calling), UNKNOWN);
            }
            return Decision::Reject(Rejection::CallingNotRecognized);
        };
        let who = stranger(offer.address, &offer.calling);
        match doubt(config, &caller, offer, guest) {
            // The user is in doubt, where the certificate was good.
            Some(Rejection::NoReason) => {
                if guest.may_say(INTRUSION) {
                    let outcome = AuditOutcome::Minor("not the user of this peer, or a wrong passcode".to_owned());
                    self.services.audit.record(AuditEvent::Authentication { who, outcome });
                }
                return Decision::Reject(Rejection::NoReason);
            }
            Some(doubt) => {
                if guest.may_say(INTRUSION) {
                    self.alert(Alert::NodeAuthentication, who, "the certificate does not belong to the AE title");
                }
                return Decision::Reject(doubt);
            }
            None => caller.user.clone_from(&offer.user),
        }
        if caller.user.is_some() {
            let outcome = AuditOutcome::Success;
            self.services.audit.record(AuditEvent::Authentication { who: caller.party(), outcome });
        }
        let Some(place) = self.crowd.enter(caller.name(), limits) else {
            if guest.may_say(TOO_MANY) {
                warn!(
                    peer.ae = %offer.calling, most = limits.associations_per_peer,
                    "{TOO_MANY}; to allow more, raise `associations_per_peer` in [node.limits]"
                );
            }
            return Decision::Reject(Rejection::LocalLimit);
        };
        if !guest.take_seat() {
            if guest.may_say(FULL) {
                warn!(
                    peer.ae = %offer.calling, most = limits.associations,
                    "{FULL}; to allow more, raise `associations` in [node.limits]"
                );
            }
            return Decision::Reject(Rejection::LocalLimit);
        }
        let refused = |right| offer.contexts.iter().any(|o| needs(o) == Some(right) && !allowed(&caller, o));
        let missing: Vec<Right> = [Right::Query, Right::Retrieve, Right::Store, Right::Commit]
            .into_iter()
            .filter(|right| refused(*right))
            .collect();
        // One who may retrieve offers storage classes to receive by C-GET.
        if !missing.is_empty() && guest.may_say(NO_RIGHT) {
            let rights: Vec<String> = missing.iter().map(|right| format!("\"{}\"", right.as_str())).collect();
            warn!(
                peer.ae = %offer.calling,
                "{NO_RIGHT}: to allow it, add {} to `allow` of its [[peer]]", rights.join(", ")
            );
            self.alert(Alert::RestrictedFunction, caller.party(), &format!("{NO_RIGHT}: {}", rights.join(", ")));
        }
        let rights = caller.clone();
        admitted.put(caller, place);
        let (held, decoding) = (self.held.clone(), self.services.outlet.decodes());
        let choice: Choice = Box::new(move |offered| match Service::of_class(offered.abstract_syntax.as_str()) {
            None => Answer::AbstractSyntaxNotSupported,
            Some(_) if needs(offered).is_some_and(|right| !rights.may(right)) => Answer::UserRejection,
            Some(Service::Storage) if is_for_get(offered) => held.accept(offered, decoding),
            Some(_) => offered.accept(),
        });
        Decision::AcceptExtended(choice, Box::new(find::negotiate))
    }
}

/// Why the caller is not who it says, if it is not.
fn doubt(config: &Config, caller: &Caller, offer: &Offer, guest: &Guest) -> Option<Rejection> {
    match (&caller.peer, &caller.source) {
        (Some(peer), _) => identity::doubt_of_peer(peer, offer, guest),
        (None, Some(sender)) => {
            config.source(&sender.name).and_then(|source| identity::doubt_of_source(source, offer, guest))
        }
        (None, None) => None,
    }
}

/// Somebody of whom only this is known.
fn stranger(address: SocketAddr, calling: &str) -> Party {
    Party { name: calling.to_owned(), address: Some(address.ip()), user: None }
}

/// Whether an association that did not come about is one for the audit trail: who wanted it, and what was wrong. Whoever
/// is not known has been told of already, and one who finds the node full is none.
fn intrusion(error: &AssocError) -> Option<(&str, String)> {
    match error {
        AssocError::Refused { rejection: Rejection::CalledNotRecognized, calling, .. } => {
            Some((calling, error.to_string()))
        }
        AssocError::Handshake { .. } | AssocError::PlainOnTls { .. } | AssocError::TlsOnPlain => {
            Some(("", error.to_string()))
        }
        _ => None,
    }
}

/// The right that a presentation context needs: a storage class that the peer wants to be the SCP of is for C-GET.
fn needs(offered: &Offered) -> Option<Right> {
    match Service::of_class(offered.abstract_syntax.as_str())? {
        Service::Storage if is_for_get(offered) => Some(Right::Retrieve),
        service => service.right(),
    }
}

/// Whether the peer wants to be sent objects on this context.
fn is_for_get(offered: &Offered) -> bool {
    offered.roles.is_some_and(|roles| roles.scp)
}

/// Whether a context is for the caller. One that proposes both roles for a storage class may be there to store only.
fn allowed(caller: &Caller, offered: &Offered) -> bool {
    let stores = offered.roles.is_some_and(|roles| roles.scu && roles.scp) && caller.may(Right::Store);
    needs(offered).is_none_or(|right| caller.may(right) || (right == Right::Retrieve && stores))
}

/// What to write into the configuration for one who is not known.
fn remedy_for_unknown(config: &Config, address: SocketAddr, calling: &str) -> String {
    let ip = address.ip().to_canonical();
    match config.peers.iter().find(|peer| peer.is_called(calling)) {
        Some(peer) => {
            format!(
                "{} is configured, but not from there: to let it in, add from = [\"{ip}\"] to its [[peer]]",
                peer.ae_title
            )
        }
        None => format!(
            "to let it in, add: [[peer]] ae_title = \"{calling}\", address = \"{ip}:104\" (the port on which it listens), \
             allow = [\"query\", \"retrieve\"]"
        ),
    }
}

/// Who was let in: decided while negotiating, taken up afterwards.
#[derive(Clone, Default)]
struct Admitted(Arc<Mutex<Option<(Caller, Place)>>>);

impl Admitted {
    fn put(&self, caller: Caller, place: Place) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((caller, place));
    }

    fn take(&self) -> Option<(Caller, Place)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
