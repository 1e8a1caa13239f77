//! Connections of the console: so many at one time, and none that is silent, or slow in asking, for long. Where it is
//! HTTPS, handshakes are made beside each other, so that nobody who is slow keeps others out.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::assoc::tls::Acceptor;

/// The most connections at one time; more wait in the queue of the system.
const MOST: usize = 256;
/// A connection on which nothing moved for so long is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait after the system refused to accept (out of file descriptors) before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long answers that are under way have when the console stops.
const FINISH: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Answers on a port until it is told to stop.
pub(super) async fn serve(listener: TcpListener, tls: Option<Acceptor>, routes: Router, stop: CancellationToken) {
    Site { routes, tls, patience: SILENCE, stop }.serve(listener).await;
}

/// What every connection is answered by.
#[derive(Clone)]
struct Site {
    routes: Router,
    tls: Option<Acceptor>,
    patience: Duration,
    stop: CancellationToken,
}

impl Site {
    async fn serve(self, listener: TcpListener) {
        let room = Arc::new(Semaphore::new(MOST));
        let answering = TaskTracker::new();
        while let Some(Ok(room)) = self.stop.run_until_cancelled(Arc::clone(&room).acquire_owned()).await {
            match self.stop.run_until_cancelled(listener.accept()).await {
                None => break,
                Some(Ok((stream, address))) => {
                    answering.spawn(self.clone().answer(stream, address, room));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the console cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        answering.close();
        if tokio::time::timeout(FINISH, answering.wait()).await.is_err() {
            tracing::debug!("answers of the console that did not come to an end in time are cut off");
        }
    }

    async fn answer(self, stream: TcpStream, address: SocketAddr, room: OwnedSemaphorePermit) {
        let stream: Box<dyn Stream> = match &self.tls {
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
        let patience = Box::pin(tokio::time::sleep(self.patience));
        let connection = Connection { stream, patience, silence: self.patience, _room: room };
        let service = TowerToHyperService::new(self.routes.layer(Extension(Peer(address))));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD);
        let mut answering = pin!(http.serve_connection(TokioIo::new(connection), service));
        let ended = tokio::select! {
            ended = answering.as_mut() => Some(ended),
            () = self.stop.cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                answering.as_mut().graceful_shutdown();
                answering.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, %error, "a connection of the console broke");
        }
    }
}

/// What bytes come and go on.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that ends when it is silent for too long.
struct Connection {
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
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    async fn site(patience: Duration) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let routes = Router::new().route("/", get(async || "here"));
        let site = Site { routes, tls: None, patience, stop: stop.clone() };
        drop(tokio::spawn(site.serve(listener)));
        (address, stop)
    }

    #[tokio::test]
    async fn who_says_nothing_is_left_and_who_asks_is_answered() {
        let (address, stop) = site(Duration::from_millis(200)).await;
        // More than there is room for: the last is answered when the first are left.
        let mut silent = Vec::new();
        for _ in 0..MOST + 8 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(SOON, asking.read_to_string(&mut answer));
        read.await.unwrap().unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        for mut stream in silent {
            let end = tokio::time::timeout(SOON, stream.read(&mut [0])).await.unwrap();
            assert!(end.map_or(true, |n| n == 0));
        }
        stop.cancel();
    }

    #[tokio::test]
    async fn who_asks_a_byte_at_a_time_is_left_as_well() {
        let (address, stop) = site(SILENCE).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        let begun = Instant::now();
        let left = async {
            let mut tick = tokio::time::interval(Duration::from_millis(500));
            for byte in b"GET / HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
                tick.tick().await;
                // A connection that was closed refuses what is written, sooner or later.
                if slow.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(HEAD + SOON, left).await.unwrap();
        assert!(begun.elapsed() >= HEAD - Duration::from_secs(1), "{:?}", begun.elapsed());
        stop.cancel();
    }
}
