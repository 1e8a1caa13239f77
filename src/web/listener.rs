//! Connections of the console: so many at one time, and none that is silent for long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// The most connections at one time; more wait in the queue of the system.
const MOST: usize = 64;
/// A connection on which nothing moved for so long is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// How long to wait after the system refused to accept (out of file descriptors) before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts no more than [`MOST`].
pub(super) struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    silence: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener) -> Self {
        Bounded { listener, room: Arc::new(Semaphore::new(MOST)), silence: SILENCE }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
                // It is never closed.
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let patience = Box::pin(tokio::time::sleep(self.silence));
                    return (Connection { stream, patience, silence: self.silence, _room: room }, address);
                }
                Err(error) => {
                    tracing::warn!(%error, "the console cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when it is silent for too long.
pub(super) struct Connection {
    stream: TcpStream,
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

    use super::*;

    #[tokio::test]
    async fn who_says_nothing_is_left_and_who_asks_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounded = Bounded { silence: Duration::from_millis(200), ..Bounded::new(listener) };
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
