//! Connections of the console: so many at one time, and none that is silent for long. Where it is HTTPS, handshakes are
//! made beside each other, so that nobody who is slow keeps others out.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::assoc::tls::Acceptor;

/// The most connections at one time; more wait in the queue of the system.
const MOST: usize = 64;
/// A connection on which nothing moved for so long is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait after the system refused to accept (out of file descriptors) before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are secured and wait to be taken.
const READY: usize = 8;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts no more than [`MOST`].
pub(super) struct Bounded {
    address: io::Result<SocketAddr>,
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
}

impl Bounded {
    /// Accepts until it is told to stop.
    pub(super) fn new(listener: TcpListener, tls: Option<Acceptor>, stop: CancellationToken) -> Self {
        let (sender, ready) = mpsc::channel(READY);
        let address = listener.local_addr();
        drop(tokio::spawn(async move { stop.run_until_cancelled(accept(listener, tls, SILENCE, sender)).await }));
        Bounded { address, ready }
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Acceptor>,
    silence: Duration,
    ready: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let room = Arc::new(Semaphore::new(MOST));
    while let Ok(room) = Arc::clone(&room).acquire_owned().await {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the console cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, ready) = (tls.clone(), ready.clone());
        drop(tokio::spawn(async move {
            let stream: Box<dyn Stream> = match tls {
                None => Box::new(stream),
                Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.secure(stream)).await {
                    Ok(Ok(stream)) => Box::new(stream),
                    Ok(Err(error)) => {
                        tracing::debug!(%address, %error, "a TLS handshake with the console failed");
                        return;
                    }
                    Err(_) => return,
                },
            };
            let patience = Box::pin(tokio::time::sleep(silence));
            // Nobody takes it when the console stops.
            let _stopping = ready.send((Connection { stream, patience, silence, _room: room }, address)).await;
        }));
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // It is told to stop.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address.as_ref().copied().map_err(|error| error.kind().into())
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

/// What bytes come and go on.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that ends when it is silent for too long.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    patience: Pin<Box<Sleep>>,
    silence: Duration,
    _room: OwnedSemaphorePermit,
}

impl Connection {
    /// What came of reading or writing; while nothing comes of it, time runs.
    fn moved<T>(&mut self, cx: &mut Context<'_>, what: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if what.is_ready() {
            let silence = self.silence;
            self.patience.as_mut().reset(Instant::now() + silence);
            return what;
        }
        self.patience.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.moved(cx, read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.moved(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn who_says_nothing_is_left_and_who_asks_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, ready) = mpsc::channel(READY);
        let bounded = Bounded { address: listener.local_addr(), ready };
        drop(tokio::spawn(accept(listener, None, Duration::from_millis(200), sender)));
        let serving = tokio::spawn(async move {
            let app = Router::new().route("/", get(async || "here"));
            axum::serve(bounded, app).await
        });
        // More than there is room for: the last is answered when the first are left.
        let mut silent = Vec::new();
        for _ in 0..MOST + 8 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(30), asking.read_to_string(&mut answer));
        read.await.unwrap().unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        for mut stream in silent {
            let end = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut [0])).await.unwrap();
            assert!(end.map_or(true, |n| n == 0));
        }
        serving.abort();
    }
}
