//! One HTTP request on a connection of its own, plain or over TLS, with an end to every wait and to what is read.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::assoc::tls::{Connector, TlsError};
use crate::config::{ClientTls, HttpUrl};

/// The most that is read of an answer's body, to tell people what it says.
const LONGEST_BODY: usize = 4096;
/// What is shown of it, in characters.
const SHOWN: usize = 200;

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Where it says that it is to be asked instead.
    pub(super) location: Option<String>,
    /// The beginning of what it says, if that is text.
    pub(super) says: String,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nobody is there.
    #[error("cannot connect to {url}")]
    Connect {
        /// Who was called.
        url: HttpUrl,
        /// Why.
        source: std::io::Error,
    },
    /// The files for TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection broke, or what came was not HTTP.
    #[error("no answer of {url}")]
    Broken {
        /// Who was asked.
        url: HttpUrl,
        /// Why.
        source: hyper::Error,
    },
    /// It took too long.
    #[error("no answer of {url} within {limit:?}")]
    TooSlow {
        /// Who was asked.
        url: HttpUrl,
        /// The configured time.
        limit: Duration,
    },
}

/// What is posted.
pub(super) struct Post {
    /// A JSON document.
    pub(super) body: Vec<u8>,
    /// Tells the same request from another one, however often it comes.
    pub(super) key: String,
    /// The value of the Authorization header.
    pub(super) authorization: Option<header::HeaderValue>,
}

/// Posts a JSON document.
pub(super) async fn post(
    url: &HttpUrl,
    tls: Option<&Arc<ClientTls>>,
    limit: Duration,
    post: Post,
) -> Result<Answer, HttpError> {
    let answered = tokio::time::timeout(limit, async {
        match connect(url, tls).await? {
            Connection::Plain(stream) => exchange(url, stream, post).await,
            Connection::Secure(stream) => exchange(url, stream, post).await,
        }
    });
    answered.await.unwrap_or_else(|_| Err(HttpError::TooSlow { url: url.clone(), limit }))
}

/// Connects to a server and says nothing: whether it is there, and who it should be.
pub(super) async fn reach(url: &HttpUrl, tls: Option<&Arc<ClientTls>>, limit: Duration) -> Result<(), HttpError> {
    match tokio::time::timeout(limit, connect(url, tls)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(HttpError::TooSlow { url: url.clone(), limit }),
    }
}

enum Connection<S> {
    Plain(TcpStream),
    Secure(S),
}

/// The files for TLS are read each time, so that renewed ones are used.
async fn connect(
    url: &HttpUrl,
    tls: Option<&Arc<ClientTls>>,
) -> Result<Connection<impl AsyncRead + AsyncWrite + Send + Unpin + use<>>, HttpError> {
    let refused = |source| HttpError::Connect { url: url.clone(), source };
    let connector = match tls.cloned() {
        None => None,
        Some(tls) => {
            let host = url.address.host.clone();
            let loaded = tokio::task::spawn_blocking(move || Connector::load(&tls, &host)).await;
            Some(loaded.map_err(|error| refused(std::io::Error::other(error)))??)
        }
    };
    let stream = TcpStream::connect((url.address.host.as_str(), url.address.port)).await.map_err(refused)?;
    stream.set_nodelay(true).map_err(refused)?;
    Ok(match connector {
        None => Connection::Plain(stream),
        Some(connector) => Connection::Secure(connector.connect(stream).await.map_err(refused)?),
    })
}

async fn exchange(
    url: &HttpUrl,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    post: Post,
) -> Result<Answer, HttpError> {
    let broken = |source| HttpError::Broken { url: url.clone(), source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut request = Request::post(url.path.as_str())
        .header(header::HOST, url.address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "*/*")
        .header(header::USER_AGENT, concat!("pacsferry/", env!("CARGO_PKG_VERSION")))
        .header("Idempotency-Key", post.key)
        .header(header::CONNECTION, "close");
    if let Some(authorization) = post.authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request.body(Full::new(Bytes::from(post.body))).expect("every part of the request was checked");
    let mut answering = pin!(async { Ok(answer(sender.send_request(request).await.map_err(broken)?).await) });
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        answered = &mut answering => answered,
        // What came before it ended is still to be had.
        _ended = &mut connection => answering.await,
    }
}

async fn answer(mut response: Response<Incoming>) -> Answer {
    let text = |name| response.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let retry_after = text(header::RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let location = text(header::LOCATION).map(printable);
    let status = response.status();
    let mut body = Vec::new();
    // Of a success nothing more has to be known; and what breaks off here was an answer all the same.
    while !status.is_success() && body.len() < LONGEST_BODY {
        match response.frame().await {
            Some(Ok(frame)) => body.extend(frame.data_ref().into_iter().flatten().take(LONGEST_BODY)),
            Some(Err(_)) | None => break,
        }
    }
    Answer { status, retry_after, location, says: printable(&String::from_utf8_lossy(&body)) }
}

/// A stranger's text, on one line.
fn printable(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_BODY).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect()
}
