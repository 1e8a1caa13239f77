//! Certificates as a hospital has them, good ones and others.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// A folder of certificates that one authority signed.
pub(crate) struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = parameters(name, 365);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { folder, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for a name and for 127.0.0.1, good for so many days from now on; negative: until so many ago.
    pub(crate) fn issue(&self, name: &str, days: i64) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters(name, days).signed_by(&key, &self.issuer).unwrap();
        let path = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let identity = Identity { cert: path("pem"), key: path("key") };
        std::fs::write(&identity.cert, certificate.pem()).unwrap();
        std::fs::write(&identity.key, key.serialize_pem()).unwrap();
        restrict(&identity.key);
        identity
    }

    /// `tls` of a port that asks for certificates of this authority.
    pub(crate) fn server(&self, own: &Identity) -> String {
        format!("tls = {{ cert = {:?}, key = {:?}, client_ca = {:?} }}\n", own.cert, own.key, self.ca())
    }

    /// The inside of the `tls` of one whom we call.
    pub(crate) fn client(&self, own: &Identity) -> String {
        format!("{{ ca = {:?}, cert = {:?}, key = {:?} }}", self.ca(), own.cert, own.key)
    }
}

/// Nobody else may read it.
pub(crate) fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn parameters(name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.example"), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    params.not_before = (now - day * 1000).into();
    let span = day * u32::try_from(days.unsigned_abs()).unwrap();
    params.not_after = if days < 0 { now - span } else { now + span }.into();
    params
}
