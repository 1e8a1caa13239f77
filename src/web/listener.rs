//! Connections of the console: so many at one time, and none that is silent, or slow in asking, for long. Where it is
//! HTTPS, handshakes are made beside each other, so that nobody who is slow keeps others out.

mod crowd;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::assoc::tls::Acceptor;
use crowd::{Answer, Crowd, Guest};

/// The most connections at one time; for one more, one that asks nothing is closed. More wait in the queue of the system.
const MOST: usize = 256;
/// A connection on which nothing moved for so long is closed.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait after the system refused to accept (out of file descriptors) before trying again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked who could make room.
const LOOK: Duration = Duration::from_millis(100);
/// How long answers that are under way have when the console stops.
const FINISH: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The most connections that an address has at one time, if there is a limit.
pub(super) type Most = Arc<dyn Fn(IpAddr) -> Option<usize> + Send + Sync>;

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
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "the console cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(guest) = self.crowd.enter(address.ip(), (self.most)(address.ip())) else {
                tracing::debug!(%address, "the console closes a connection: the address has enough of them");
                continue;
            };
            let Some(permit) = self.stop.run_until_cancelled(self.room_for(&guest, &room)).await else { break };
            drop(answering.spawn(self.clone().receive(stream, address, guest, permit)));
        }
        answering.close();
        if tokio::time::timeout(FINISH, answering.wait()).await.is_err() {
            tracing::debug!("answers of the console that did not come to an end in time are cut off");
        }
    }

    /// Waits until there is room; who has nothing to say makes some.
    async fn room_for(&self, guest: &Guest, room: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
                return permit;
            }
            if self.crowd.make_room(guest) {
                tracing::debug!("the console closes a connection that asks nothing: others wait");
            }
            if let Ok(Ok(permit)) = tokio::time::timeout(LOOK, Arc::clone(room).acquire_owned()).await {
                return permit;
            }
        }
    }

    /// Answers whoever is there until he goes, or has to.
    async fn receive(self, stream: TcpStream, address: SocketAddr, guest: Guest, permit: OwnedSemaphorePermit) {
        let guest = Arc::new(guest);
        let _left = guest.leave.clone().run_until_cancelled_owned(self.answer(stream, address, guest)).await;
        drop(permit);
    }

    async fn answer(self, stream: TcpStream, address: SocketAddr, guest: Arc<Guest>) {
        // The end of an answer waits for nobody.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "a connection of the console keeps its delay");
        }
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
        let connection = Connection { stream, patience, silence: self.patience, guest: Arc::clone(&guest) };
        let routes = TowerToHyperService::new(self.routes.layer(Extension(Peer(address))));
        let service = service_fn(move |request: Request<Incoming>| {
            guest.asks(request.body().is_end_stream());
            let (answer, guest) = (routes.call(request), Arc::clone(&guest));
            async move { answer.await.map(|answer| answer.map(|body| Answer::new(body, guest))) }
        });
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
    guest: Arc<Guest>,
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
        if read.is_ready() {
            self.guest.moved();
        }
        self.moved(cx, read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.moved(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.moved(cx, written)
    }

    // Where this is not said, all bytes of all answers are copied once more into one buffer.
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
        // An answer that begins, and goes on for as long as anybody listens.
        let endless =
            get(async || axum::body::Body::from_stream(futures_util::stream::repeat_with(|| io::Result::Ok("x"))));
        let routes = Router::new().route("/", get(async || "here")).route("/endless", endless);
        let (most, crowd): (Most, _) = (Arc::new(move |_| most), Crowd::default());
        let site = Site { routes, tls: None, most, crowd, patience, stop: stop.clone() };
        drop(tokio::spawn(site.serve(listener)));
        (address, stop)
    }

    #[tokio::test]
    async fn who_says_nothing_is_left_for_others_and_who_is_answered_is_not() {
        let (address, stop) = site(SILENCE).await;
        let mut listening = TcpStream::connect(address).await.unwrap();
        listening.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0];
        tokio::time::timeout(SOON, listening.read_exact(&mut first)).await.unwrap().unwrap();
        // More than there is room for: some have to go.
        let mut silent = Vec::new();
        for _ in 0..MOST + 40 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let begun = Instant::now();
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(SOON, asking.read_to_string(&mut answer));
        read.await.unwrap().unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        assert!(begun.elapsed() < HEAD / 2, "nobody waits until the silent ones are given up: {:?}", begun.elapsed());
        for stream in silent.iter_mut().take(40) {
            let end = tokio::time::timeout(SOON, stream.read(&mut [0])).await.unwrap();
            assert!(end.map_or(true, |n| n == 0), "the first to be silent go");
        }
        let mut more = [0; 100_000];
        for _ in 0..100 {
            tokio::time::timeout(SOON, listening.read_exact(&mut more)).await.unwrap().unwrap();
        }
        stop.cancel();
    }

    #[tokio::test]
    async fn who_is_silent_is_left_after_a_while() {
        let (address, stop) = site(Duration::from_millis(200)).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let end = tokio::time::timeout(SOON, silent.read(&mut [0])).await.unwrap();
        assert!(end.map_or(true, |n| n == 0));
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
