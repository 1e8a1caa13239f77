//! Connections of the console: so many at one time, and none that is silent, or slow in asking, for long. Where it is
//! HTTPS, handshakes are made beside each other, so that nobody who is slow keeps others out.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
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

use super::guessing::neighbourhood;
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

/// The most connections that an address has at one time, if there is a limit.
pub(super) type Most = Arc<dyn Fn(IpAddr) -> Option<usize> + Send + Sync>;

/// How many connections each address has; never more addresses than connections. A clone is another handle.
#[derive(Clone, Default)]
struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One of them; dropping it makes room.
struct Guest {
    address: IpAddr,
    crowd: Crowd,
}

impl Crowd {
    fn enter(&self, address: IpAddr, most: Option<usize>) -> Option<Guest> {
        let address = neighbourhood(address);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if most.is_some_and(|most| *count >= most) {
            return None;
        }
        *count += 1;
        Some(Guest { address, crowd: self.clone() })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(all.remove(&self.address)),
        }
    }
}

/// Answers on a port until it is told to stop.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Acceptor>,
    routes: Router,
    most: Most,
    stop: CancellationToken,
) {
    Site { routes, tls, most, crowd: Crowd::default(), patience: SILENCE, stop }.serve(listener).await;
}

/// What every connection is answered by.
#[derive(Clone)]
struct Site {
    routes: Router,
    tls: Option<Acceptor>,
    most: Most,
    crowd: Crowd,
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
                Some(Ok((stream, address))) => match self.crowd.enter(address.ip(), (self.most)(address.ip())) {
                    Some(guest) => drop(answering.spawn(self.clone().answer(stream, address, (room, guest)))),
                    None => {
                        tracing::debug!(%address, "the console closes a connection: the address has enough of them")
                    }
                },
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

    async fn answer(self, stream: TcpStream, address: SocketAddr, room: Room) {
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

/// Room for a connection, in all and for its address.
type Room = (OwnedSemaphorePermit, Guest);

/// What bytes come and go on.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that ends when it is silent for too long.
struct Connection {
    stream: Box<dyn Stream>,
    patience: Pin<Box<Sleep>>,
    silence: Duration,
    _room: Room,
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
        site_for(patience, None).await
    }

    async fn site_for(patience: Duration, most: Option<usize>) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let routes = Router::new().route("/", get(async || "here"));
        let (most, crowd): (Most, _) = (Arc::new(move |_| most), Crowd::default());
        let site = Site { routes, tls: None, most, crowd, patience, stop: stop.clone() };
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
    async fn an_address_has_so_many_connections_and_room_again_when_they_end() {
        let (address, stop) = site_for(SILENCE, Some(2)).await;
        let ask = async || {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut first = [0];
            let read = tokio::time::timeout(SOON, stream.read(&mut first)).await.unwrap();
            (stream, read.is_ok_and(|n| n == 1))
        };
        let (one, two) = (ask().await, ask().await);
        assert!(one.1 && two.1);
        assert!(!ask().await.1, "the third is closed");
        drop(one);
        let again = async {
            while !ask().await.1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, again).await.unwrap();
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
