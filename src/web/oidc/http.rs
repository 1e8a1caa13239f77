//! Asking an identity provider: one request on a connection of its own, with an end to waiting and to what is read.

use std::pin::pin;
use std::sync::Arc;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::provider::ProviderError;
use crate::assoc::tls::Connector;
use crate::config::{ClientTls, HttpUrl};

/// The longest answer that is read.
const LONGEST: usize = 256 * 1024;

/// What is asked.
pub(super) enum Ask {
    /// A document.
    Get,
    /// Something for a form, by who shows this.
    Post { form: String, authorization: Option<header::HeaderValue> },
}

/// Asks, and reads the answer.
pub(super) async fn ask(
    url: &str,
    tls: Option<&Arc<ClientTls>>,
    ask: Ask,
) -> Result<(StatusCode, Bytes), ProviderError> {
    let parsed: HttpUrl = url.parse().map_err(|why| ProviderError::Document { url: url.to_owned(), why })?;
    let unreachable = |source| ProviderError::Connect { url: url.to_owned(), source };
    let connector = match (parsed.secure, tls.cloned()) {
        (true, Some(tls)) => {
            let host = parsed.address.host.clone();
            let loaded = tokio::task::spawn_blocking(move || Connector::load(&tls, &host)).await;
            Some(loaded.map_err(|error| unreachable(std::io::Error::other(error)))??)
        }
        (false, None) => None,
        // Neither is a secret said in plain text, nor a certificate taken that nobody vouches for.
        _ => {
            let why = "it is of another scheme than the issuer".to_owned();
            return Err(ProviderError::Document { url: url.to_owned(), why });
        }
    };
    let stream = TcpStream::connect((parsed.address.host.as_str(), parsed.address.port)).await.map_err(unreachable)?;
    match connector {
        None => exchange(url, &parsed, stream, ask).await,
        Some(connector) => {
            let stream = connector.connect(stream).await.map_err(unreachable)?;
            exchange(url, &parsed, stream, ask).await
        }
    }
}

async fn exchange(
    url: &str,
    parsed: &HttpUrl,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    ask: Ask,
) -> Result<(StatusCode, Bytes), ProviderError> {
    let broken = |source| ProviderError::Broken { url: url.to_owned(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut request = Request::builder()
        .uri(parsed.path.as_str())
        .header(header::HOST, parsed.address.to_string())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("pacsferry/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close");
    let body = match ask {
        Ask::Get => String::new(),
        Ask::Post { form, authorization } => {
            request = request.method(Method::POST).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(authorization) = authorization {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            form
        }
    };
    let malformed = |error: hyper::http::Error| ProviderError::Document { url: url.to_owned(), why: error.to_string() };
    let request = request.body(Full::new(Bytes::from(body))).map_err(malformed)?;
    let mut answering = pin!(async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let read = Limited::new(response.into_body(), LONGEST).collect().await;
        let why = |error: Box<dyn std::error::Error + Send + Sync>| error.to_string();
        let read = read.map_err(|error| ProviderError::Document { url: url.to_owned(), why: why(error) })?;
        Ok((status, read.to_bytes()))
    });
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        answered = &mut answering => answered,
        // What came before it ended is still to be had.
        _ended = &mut connection => answering.await,
    }
}
