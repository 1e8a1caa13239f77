//! Certificates for tests, each with its own flaw.
#![expect(clippy::disallowed_methods, reason = "files of the test, in a folder of its own")]

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer};

use crate::config::{ClientTls, KeyPair, ServerTls};

/// A folder of certificates, with an authority of its own.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, rcgen::KeyPair>,
}

/// The span in which a certificate holds.
#[derive(Clone, Copy)]
pub(crate) struct Span(pub(crate) i64, pub(crate) i64);

/// From yesterday on for a year.
pub(crate) const NOW: Span = Span(-1, 365);

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = parameters("Test Authority", NOW);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { folder, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for a name and for 127.0.0.1.
    pub(crate) fn issue(&self, name: &str, span: Span) -> KeyPair {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters(name, span).signed_by(&key, &self.issuer).unwrap();
        self.save(name, &certificate.pem(), &key)
    }

    /// A certificate that signed itself and calls itself an authority, as `openssl req -x509` makes them.
    pub(crate) fn by_itself(&self, name: &str, span: Span) -> KeyPair {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = parameters(name, span);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        self.save(name, &certificate.pem(), &key)
    }

    fn save(&self, name: &str, certificate: &str, key: &rcgen::KeyPair) -> KeyPair {
        let own = KeyPair { cert: self.path(&format!("{name}.pem")), key: self.path(&format!("{name}.key")) };
        std::fs::write(&own.cert, certificate).unwrap();
        std::fs::write(&own.key, key.serialize_pem()).unwrap();
        own
    }

    /// A port that asks for certificates of this authority.
    pub(crate) fn server(&self, own: KeyPair) -> ServerTls {
        ServerTls { own, client_ca: Some(self.path("ca.pem")) }
    }

    /// One who calls, and trusts this authority.
    pub(crate) fn client(&self, own: Option<KeyPair>) -> ClientTls {
        ClientTls { ca: self.path("ca.pem"), own, name: None }
    }
}

fn parameters(name: &str, Span(from, to): Span) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.example"), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let day = Duration::from_secs(86_400);
    let at = |days: i64| {
        let span = day * u32::try_from(days.unsigned_abs()).unwrap();
        if days < 0 { SystemTime::now() - span } else { SystemTime::now() + span }
    };
    params.not_before = at(from).into();
    params.not_after = at(to).into();
    params
}
