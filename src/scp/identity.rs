//! Whether who calls over TLS is who it says: the certificate that belongs to the AE title, and the user.
//!
//! An AE title is no secret, an address can be borrowed. Where a port asks for certificates, one that the hospital's
//! authority signed is not enough: a viewer's certificate must not pass for a modality's.

use std::net::SocketAddr;
use std::sync::Arc;

use tracing::warn;

use super::port::Guest;
use crate::assoc::{Authenticate, Claim, Offer, Rejection};
use crate::config::{CertificateRule, Config, Peer, Source};

// What is told of one address a few times, and then only counted.
const OTHER_CERTIFICATE: &str = "rejected an association: its certificate does not belong to its AE title";
const NO_USER: &str =
    "rejected an association: its user is not the one that the peer must name, or its passcode is wrong";

/// Why a caller is not the peer that it says, if it is not; told in the log with what to do.
pub(super) fn doubt_of_peer(peer: &Peer, offer: &Offer, guest: &Guest) -> Option<Rejection> {
    let own = [peer.ae_title.to_string(), peer.address.host.clone()].map(CertificateRule::Name);
    let rules = if peer.certificate.is_empty() { own.as_slice() } else { &peer.certificate };
    if !shows_one_of(rules, offer) {
        tell_certificate(offer, guest, "[[peer]]");
        return Some(Rejection::CallingNotRecognized);
    }
    if peer.user.is_some() && offer.user != peer.user {
        if guest.may_say(NO_USER) {
            warn!(
                peer.ae = %offer.calling,
                "{NO_USER}: let it send the `user` of its [[peer]], with the passcode that `passcode_hash` was made of"
            );
        }
        return Some(Rejection::NoReason);
    }
    None
}

/// The same for a source, which may show any certificate unless it is said which.
pub(super) fn doubt_of_source(source: &Source, offer: &Offer, guest: &Guest) -> Option<Rejection> {
    if source.certificate.is_empty() || shows_one_of(&source.certificate, offer) {
        return None;
    }
    tell_certificate(offer, guest, "[[source]]");
    Some(Rejection::CallingNotRecognized)
}

/// Who asks for no certificate has no say in it.
fn shows_one_of(rules: &[CertificateRule], offer: &Offer) -> bool {
    let certificate = offer.security.as_ref().and_then(|security| security.certificate.as_ref());
    certificate.is_none_or(|certificate| rules.iter().any(|rule| certificate.fits(rule)))
}

fn tell_certificate(offer: &Offer, guest: &Guest, section: &str) {
    let shown = offer.security.as_ref().and_then(|security| security.certificate.as_ref());
    let Some(shown) = shown.filter(|_| guest.may_say(OTHER_CERTIFICATE)) else { return };
    let fingerprint = shown.fingerprint_text();
    warn!(
        peer.ae = %offer.calling,
        certificate.subject = %shown.subject, certificate.names = %shown.names.join(", "),
        certificate.fingerprint = %fingerprint,
        "{OTHER_CERTIFICATE}; if it is the right machine, add certificate = [\"{fingerprint}\"] to its {section}"
    );
}

/// Checks the users of the node's callers.
pub(super) fn authenticate(config: &Arc<Config>) -> Authenticate {
    let config = Arc::clone(config);
    Arc::new(move |claim: &Claim| {
        peer_of(&config, claim.address, &claim.calling).is_some_and(|peer| {
            peer.user.as_ref() == Some(&claim.user) && peer.passcode_hash.as_ref().is_none_or(|hash| claim.knows(hash))
        })
    })
}

/// The peer that calls: by AE title and address.
pub(super) fn peer_of<'c>(config: &'c Config, address: SocketAddr, calling: &str) -> Option<&'c Peer> {
    config.peers.iter().find(|peer| peer.is_called(calling) && peer.may_call_from(address.ip()))
}
