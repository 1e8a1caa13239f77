//! What can be wrong with certificates, said so that a person can mend it.

use std::io;
use std::path::PathBuf;

use tokio_rustls::rustls::{self, AlertDescription, CertificateError, Error, InconsistentKeys, PeerIncompatible};

use crate::config::KeyPair;

/// Why our own files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has no certificate.
    #[error("{} holds no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file has no key that can be used.
    #[error("{} holds no private key in PEM{}", path.display(), if *encrypted { " that is not encrypted" } else { "" })]
    NoKey {
        /// The file.
        path: PathBuf,
        /// There is one, and it asks for a passphrase.
        encrypted: bool,
    },
    /// A file is damaged.
    #[error("{} is damaged: what is in it is no proper PEM or no X.509", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// A key and a certificate that do not belong together.
    #[error("the key {} is not that of the certificate {}", key.display(), cert.display())]
    OtherKey {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A key or a certificate of a kind that is not supported.
    #[error("the key {} with the certificate {} cannot be used", key.display(), cert.display())]
    KeyPair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: Error,
    },
    /// A name that no certificate can have.
    #[error("`{}` is no name that a certificate could have", name.escape_default())]
    Name {
        /// The name.
        name: String,
    },
    /// A file that holds no passcode.
    #[error("the passcode in {} has {length} bytes", path.display())]
    Passcode {
        /// The file.
        path: PathBuf,
        /// What is in it.
        length: usize,
    },
    /// Something else.
    #[error("{what} cannot be used")]
    Unusable {
        /// What.
        what: &'static str,
        /// Why.
        source: Error,
    },
}

impl TlsError {
    pub(super) fn key_pair(own: &KeyPair, source: Error) -> Self {
        let (cert, key) = (own.cert.clone(), own.key.clone());
        match source {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::OtherKey { cert, key },
            source => TlsError::KeyPair { cert, key, source },
        }
    }

    /// What an administrator can do about it.
    pub fn remedy(&self) -> String {
        match self {
            TlsError::Unreadable { path, .. } => format!(
                "name an existing file, and let the user that runs pacsferry read it (ls -l {})",
                path.display()
            ),
            TlsError::NoCertificate { .. } => {
                "the file must have a line -----BEGIN CERTIFICATE-----; `openssl x509 -inform der -in FILE -out NEW` \
                 makes such a file of one in DER"
                    .into()
            }
            TlsError::NoKey { path, encrypted: true } => format!(
                "nobody is there at night to type a passphrase: `openssl pkey -in {0} -out {0}.plain; chmod 600 \
                 {0}.plain`, and name that file",
                path.display()
            ),
            TlsError::NoKey { encrypted: false, .. } => {
                "the file must have a line -----BEGIN PRIVATE KEY-----; perhaps `cert` and `key` are exchanged".into()
            }
            TlsError::Malformed { path } => {
                format!("see what `openssl x509 -noout -text -in {}` says, and copy the file again", path.display())
            }
            TlsError::OtherKey { cert, key } => format!(
                "compare `openssl x509 -noout -pubkey -in {}` and `openssl pkey -pubout -in {}`; the certificate must \
                 come first in its file",
                cert.display(),
                key.display()
            ),
            TlsError::KeyPair { .. } => {
                "use a certificate of version 3 with an RSA key of 2048 to 8192 bits or an ECDSA key on P-256 or P-384"
                    .into()
            }
            TlsError::Name { .. } => "write the host name that stands in the certificate as `name` under `tls`".into(),
            TlsError::Passcode { .. } => {
                format!("write the passcode alone into the file, {} bytes at most", crate::config::LONGEST_PASSCODE)
            }
            TlsError::Unusable { .. } => "use certificates of version 3 (`openssl x509 -noout -text` shows it)".into(),
        }
    }
}

/// What a failed handshake means when we were called, and what can be done about it.
pub(crate) fn explain_as_server(error: &Error) -> (String, String) {
    match error {
        Error::NoCertificatesPresented => (
            "the caller showed no certificate".into(),
            "give it a certificate that our `client_ca` signed; or leave `client_ca` out, to ask nobody".into(),
        ),
        Error::InvalidCertificate(error) => certificate(error, "the caller's", "client_ca"),
        Error::AlertReceived(alert) => alerted(*alert, "the caller"),
        other => protocol(other),
    }
}

/// What a failed handshake means when we called.
pub(crate) fn explain_as_client(error: &Error) -> (String, String) {
    match error {
        Error::InvalidCertificate(error) => certificate(error, "the peer's", "ca"),
        Error::AlertReceived(alert) => alerted(*alert, "the peer"),
        Error::InvalidMessage(_) => (
            "the peer does not speak TLS on this port".into(),
            "call the port on which it speaks TLS (often 2762), or take `tls` from its section".into(),
        ),
        other => protocol(other),
    }
}

fn certificate(error: &CertificateError, whose: &str, ca: &str) -> (String, String) {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            (format!("{whose} certificate has expired"), "renew it there, and see that both clocks are right".into())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            (format!("{whose} certificate does not hold yet"), "see that the clocks of both machines are right".into())
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            format!("{whose} certificate was signed by nobody whom we trust"),
            format!("add the certificate that signed it, or that certificate itself, to the file of `{ca}`"),
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("{whose} certificate is of another machine: {error}"),
            "write the name that stands in it as `name` under `tls`, if it is the right machine".into(),
        ),
        other => (
            format!("{whose} certificate is not good: {other}"),
            format!("let it have a certificate that `{ca}` signed, for a TLS client or server"),
        ),
    }
}

fn alerted(alert: AlertDescription, who: &str) -> (String, String) {
    let what = format!("{who} ended the handshake: {alert:?}");
    let remedy = match alert {
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            "it does not trust our certificate: give it the certificate that signed ours, and see that ours has the \
             name by which it is called"
        }
        AlertDescription::CertificateExpired => "our certificate has expired: renew it (`pacsferry check`)",
        AlertDescription::CertificateRequired | AlertDescription::AccessDenied => {
            "it asks for a certificate of ours that it knows: write `cert` and `key` under `tls`, and register it there"
        }
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "it must speak TLS 1.2 or 1.3 with ECDHE and AES-GCM, as PS3.15 B.12 says; it may also ask for a \
             certificate of ours, which are `cert` and `key` under `tls`"
        }
        _ => "look into its log for what it does not like",
    };
    (what, remedy.into())
}

fn protocol(error: &Error) -> (String, String) {
    match error {
        Error::PeerIncompatible(PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon) => (
            "our key is of a kind that the peer does not know".into(),
            "use an RSA key, or an ECDSA key on P-256".into(),
        ),
        Error::PeerIncompatible(why) => (
            format!("it offers nothing that is safe enough ({why:?})"),
            "let it speak TLS 1.2 or 1.3 with ECDHE and AES-GCM, as PS3.15 B.12 says".into(),
        ),
        other => (other.to_string(), "see that both sides speak TLS 1.2 or 1.3 on this port".into()),
    }
}

/// The TLS error within the I/O error of a handshake, if it is one.
pub(in super::super) fn of_handshake(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}
