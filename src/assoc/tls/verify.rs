//! Whose certificates are good: those that stand in the file of trusted ones, and those that these signed.
//!
//! A device with a certificate that it made itself is common in hospitals, and a chain of one is no chain to the
//! usual rules (the makers often declare it a certificate authority, too). Such a certificate is trusted as what it
//! is: this very one, while it holds, whatever its name.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::{Certificate, TlsError, files};

/// Verifies against the certificates of a file.
#[derive(Debug)]
pub(super) struct Known {
    themselves: Vec<CertificateDer<'static>>,
    subjects: Vec<DistinguishedName>,
    signers: Option<Signers>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Signers {
    of_servers: Arc<WebPkiServerVerifier>,
    of_clients: Arc<dyn ClientCertVerifier>,
}

impl Known {
    pub(super) fn load(path: &Path, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let themselves = files::certificates(path)?;
        let mut roots = RootCertStore::empty();
        let mut subjects = Vec::new();
        for der in &themselves {
            let certificate = Certificate::read(der).ok_or_else(|| TlsError::Malformed { path: path.into() })?;
            if certificate.is_ca {
                roots
                    .add(der.clone())
                    .map_err(|source| TlsError::Unusable { what: "a trusted certificate", source })?;
            }
            subjects.push(DistinguishedName::from(certificate.subject_der));
        }
        let signers = (!roots.is_empty()).then(|| Signers::of(Arc::new(roots), &provider)).transpose()?;
        Ok(Known { themselves, subjects, signers, provider })
    }

    /// Whether this very certificate is in the file; an error when it is but does not hold now, or must be and is not.
    fn is_known(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<bool, Error> {
        let read = Certificate::read(certificate).ok_or(CertificateError::BadEncoding)?;
        if !self.themselves.contains(certificate) {
            // One that signed itself; as an authority it would only be told to be no machine.
            return if read.is_ca { Err(CertificateError::UnknownIssuer.into()) } else { Ok(false) };
        }
        let now = std::time::Duration::from_secs(now.as_secs());
        if read.holds_at(now) {
            Ok(true)
        } else if read.not_before > std::time::SystemTime::UNIX_EPOCH + now {
            Err(CertificateError::NotValidYet.into())
        } else {
            Err(CertificateError::Expired.into())
        }
    }
}

impl Signers {
    fn of(roots: Arc<RootCertStore>, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let unusable = |error: rustls::server::VerifierBuilderError| TlsError::Unusable {
            what: "the trusted certificates",
            source: Error::General(error.to_string()),
        };
        let of_servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
        let of_clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        Ok(Signers {
            of_servers: of_servers.build().map_err(unusable)?,
            of_clients: of_clients.build().map_err(unusable)?,
        })
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.signers {
            _ if self.is_known(own, now)? => Ok(ServerCertVerified::assertion()),
            Some(signers) => signers.of_servers.verify_server_cert(own, chain, name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Known {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.signers {
            _ if self.is_known(own, now)? => Ok(ClientCertVerified::assertion()),
            Some(signers) => signers.of_clients.verify_client_cert(own, chain, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
