//! TLS as DICOM wants it (PS3.15 B.12, BCP 195 RFC 8996, 9325): version 1.2 or 1.3, ephemeral elliptic curve key
//! exchange, AES-GCM or ChaCha20-Poly1305, and nothing that one could be talked down to.
//!
//! Sessions are never resumed: whoever calls shows its certificate every time, and is checked every time. A handshake
//! costs a millisecond or two, an association lasts for seconds.

mod certificate;
mod error;
mod examine;
mod files;
mod port;
mod verify;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{ClientTls, ServerTls};

pub use certificate::Certificate;
pub use error::TlsError;
pub(super) use error::{explain_as_client, explain_as_server, of_handshake};
pub use examine::{Finding, examine};
pub(super) use files::passcode;
pub use port::TlsPort;

/// What an association is secured by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The version of the protocol: `TLSv1_3`.
    pub version: String,
    /// The cipher suite.
    pub suite: String,
    /// What the other side has shown; a caller that was not asked shows nothing.
    pub certificate: Option<Certificate>,
}

/// The side of a connection that is called. A clone is another handle.
#[derive(Clone)]
pub struct Acceptor(pub(super) TlsAcceptor);

/// The side of a connection that calls.
#[derive(Clone)]
pub struct Connector {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor(..)")
    }
}

impl Acceptor {
    /// Reads the files of a port. Blocks.
    pub fn load(tls: &ServerTls) -> Result<Self, TlsError> {
        let (chain, key) = files::key_pair(&tls.own)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|source| TlsError::Unusable { what: "the TLS versions", source })?;
        let builder = match &tls.client_ca {
            Some(path) => builder.with_client_cert_verifier(Arc::new(verify::Known::load(path, provider())?)),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|source| TlsError::key_pair(&tls.own, source))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Acceptor(TlsAcceptor::from(Arc::new(config))))
    }

    /// Secures a connection, for what is not DICOM: the console.
    pub async fn secure(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        self.0.accept(stream).await
    }
}

impl Connector {
    /// Reads the files for calling a host. Blocks.
    pub fn load(tls: &ClientTls, host: &str) -> Result<Self, TlsError> {
        let text = tls.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(text.to_owned()).map_err(|_| TlsError::Name { name: text.to_owned() })?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|source| TlsError::Unusable { what: "the TLS versions", source })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verify::Known::load(&tls.ca, provider())?));
        let mut config = match &tls.own {
            Some(own) => {
                let (chain, key) = files::key_pair(own)?;
                builder.with_client_auth_cert(chain, key).map_err(|source| TlsError::key_pair(own, source))?
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Connector { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Secures a connection, for what is not DICOM: the audit trail.
    pub async fn connect(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// The newer is preferred.
const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// The algorithms. All that this provider has are among those that the profile permits.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
