//! What an administrator should know about the certificates and keys of a configuration, before a peer tells it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Acceptor, Certificate, Connector, TlsError, files};
use crate::config::{ClientTls, Config, KeyPair, Login, Problem};

/// A certificate that ends sooner is worth a warning.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Something about a certificate, a key or a passcode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// It keeps associations from being opened, now.
    pub severe: bool,
    /// What it is.
    pub problem: Problem,
}

/// Reads every certificate, key and passcode file of a configuration. Blocks.
pub fn examine(config: &Config, now: SystemTime) -> Vec<Finding> {
    let mut findings = Findings { now, found: Vec::new() };
    for (place, tls) in [("node.tls", &config.node.tls), ("receiver.tls", &config.receiver.tls)] {
        let Some(tls) = tls else { continue };
        findings.loaded(place, Acceptor::load(tls).err());
        findings.key_pair(place, &tls.own);
        if let Some(ca) = &tls.client_ca {
            findings.trusted(place, ca);
        }
    }
    let sources = config.sources.iter().map(|s| (format!("source.{}", s.name), &s.address, &s.tls, &s.identity));
    let peers = config.peers.iter().map(|p| (format!("peer.{}", p.ae_title), &p.address, &p.tls, &p.identity));
    for (place, address, tls, identity) in sources.chain(peers) {
        if let Some(tls) = tls {
            findings.client(&format!("{place}.tls"), tls, &address.host);
        }
        if let Some(Login { passcode_file: Some(path), .. }) = identity.as_deref() {
            let place = format!("{place}.identity");
            findings.loaded(&place, files::passcode(path).err());
            findings.secret(&place, path);
        }
    }
    if let Some(ai) = &config.ai {
        if let Some(tls) = &ai.tls {
            findings.loaded("ai.tls", Connector::load(tls, &ai.rescan_url.address.host).err());
            tls.own.iter().for_each(|own| findings.key_pair("ai.tls", own));
        }
        ai.token_file.iter().for_each(|path| findings.secret("ai.token_file", path));
    }
    findings.found
}

struct Findings {
    now: SystemTime,
    found: Vec<Finding>,
}

impl Findings {
    fn client(&mut self, place: &str, tls: &ClientTls, host: &str) {
        self.loaded(place, Connector::load(tls, host).err());
        self.trusted(place, &tls.ca);
        if let Some(own) = &tls.own {
            self.key_pair(place, own);
        }
    }

    fn loaded(&mut self, place: &str, error: Option<TlsError>) {
        let Some(error) = error else { return };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        self.add(true, place, format!("{error}{cause}"), error.remedy());
    }

    /// Our own. That they can be used was found before.
    fn key_pair(&mut self, place: &str, own: &KeyPair) {
        self.secret(place, &own.key);
        let chain = files::certificates(&own.cert).unwrap_or_default();
        for certificate in chain.iter().filter_map(|der| Certificate::read(der)) {
            let remedy = "renew it, and replace the file: pacsferry reads it again within a second";
            self.validity(place, &own.cert, &certificate, true, remedy);
        }
    }

    /// Those of others.
    fn trusted(&mut self, place: &str, path: &Path) {
        let certificates = files::certificates(path).unwrap_or_default();
        for certificate in certificates.iter().filter_map(|der| Certificate::read(der)) {
            let remedy = "ask for its successor, and add that to the file";
            self.validity(place, path, &certificate, false, remedy);
        }
    }

    fn validity(&mut self, place: &str, path: &Path, certificate: &Certificate, severe: bool, remedy: &str) {
        let of = format!("the certificate of {} in {}", certificate.subject, path.display());
        if certificate.not_before > self.now {
            let remedy = "see that the clock of this machine is right";
            self.add(severe, place, format!("{of} holds from {} only", date(certificate.not_before)), remedy.into());
        } else if certificate.not_after < self.now {
            self.add(severe, place, format!("{of} has expired on {}", date(certificate.not_after)), remedy.into());
        } else if certificate.not_after < self.now + SOON {
            self.add(false, place, format!("{of} expires on {}", date(certificate.not_after)), remedy.into());
        }
    }

    /// A file that nobody else should read.
    fn secret(&mut self, place: &str, path: &Path) {
        if readable_by_others(path) {
            let message = format!("everybody on this machine can read {}", path.display());
            self.add(false, place, message, format!("chmod o= {}", path.display()));
        }
    }

    fn add(&mut self, severe: bool, place: &str, message: String, remedy: String) {
        let finding = Finding { severe, problem: Problem { where_: place.to_owned(), message, remedy } };
        if !self.found.contains(&finding) {
            self.found.push(finding);
        }
    }
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_path: &Path) -> bool {
    false
}

fn date(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| "a day out of bounds".into(), |t| t.strftime("%Y-%m-%d").to_string())
}
