//! A TCP proxy that treats connections badly: cuts them after so many bytes or PDUs, delays them, re-chunks them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What happens to the bytes of one direction of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    /// The connection is cut when so many bytes have passed.
    pub(crate) cut_after: Option<u64>,
    /// The connection is cut when so many whole PDUs have passed.
    pub(crate) cut_after_pdus: Option<usize>,
    /// Bytes pass in pieces of at most this size, each in a packet of its own.
    pub(crate) pieces: Option<usize>,
    /// Before each piece.
    pub(crate) delay: Duration,
}

/// The weather of a connection, by its number from 0: towards the server, and back.
pub(crate) type Forecast = dyn Fn(usize) -> (Weather, Weather) + Send + Sync;

/// A running proxy; it ends when it is dropped.
pub(crate) struct Chaos {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    cuts: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Chaos {
    /// Passes connections on to `server`.
    pub(crate) fn before(server: SocketAddr, forecast: Box<Forecast>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ending, connections, cuts): (Arc<AtomicBool>, Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let thread = {
            let (ending, connections, cuts) = (Arc::clone(&ending), Arc::clone(&connections), Arc::clone(&cuts));
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    if ending.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(client) = client else { continue };
                    let number = connections.fetch_add(1, Ordering::SeqCst);
                    // A server that is not there is a connection that ends at once, as without a proxy.
                    if let Ok(server) = TcpStream::connect(server) {
                        carry(client, server, forecast(number), &cuts);
                    }
                }
            })
        };
        Self { address, ending, connections, cuts, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has seen.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many of them it has cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // Wakes the thread up; if that fails it has ended already.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts both directions; each ends by itself when one side closes, or when it is cut.
fn carry(client: TcpStream, server: TcpStream, (there, back): (Weather, Weather), cuts: &Arc<AtomicUsize>) {
    for socket in [&client, &server] {
        socket.set_nodelay(true).unwrap();
    }
    for (from, to, weather) in
        [(client.try_clone().unwrap(), server.try_clone().unwrap(), there), (server, client, back)]
    {
        let cuts = Arc::clone(cuts);
        std::thread::spawn(move || {
            if direction(&from, &to, weather).is_ok_and(|cut| cut) {
                cuts.fetch_add(1, Ordering::SeqCst);
            }
            // Whatever the reason, a connection that has lost one direction is of no use; it may be closed already.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

/// Passes bytes until the end; whether it was cut.
fn direction(mut from: &TcpStream, mut to: &TcpStream, weather: Weather) -> io::Result<bool> {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = weather.cut_after.unwrap_or(u64::MAX);
    let mut pdus = Pdus::default();
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(false);
        }
        let mut allowed = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut cut = allowed < count || left == count as u64;
        if let Some(end) = weather.cut_after_pdus.and_then(|limit| pdus.end_of(limit, &buffer[..allowed])) {
            allowed = end;
            cut = true;
        }
        left -= allowed as u64;
        for piece in buffer[..allowed].chunks(weather.pieces.unwrap_or(usize::MAX)) {
            if !weather.delay.is_zero() {
                std::thread::park_timeout(weather.delay);
            }
            to.write_all(piece)?;
        }
        if cut {
            return Ok(true);
        }
    }
}

/// Finds the boundaries of PDUs in a stream.
#[derive(Default)]
struct Pdus {
    whole: usize,
    header: Vec<u8>,
    body_left: u64,
}

impl Pdus {
    /// How many of these bytes belong to the first `limit` PDUs; `None` while more of them are to come.
    fn end_of(&mut self, limit: usize, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while self.whole < limit && at < bytes.len() {
            if self.header.len() < 6 {
                self.header.push(bytes[at]);
                at += 1;
                if self.header.len() < 6 {
                    continue;
                }
                self.body_left = u64::from(u32::from_be_bytes(self.header[2..6].try_into().unwrap()));
            } else {
                let take = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.body_left -= take as u64;
                at += take;
            }
            if self.body_left == 0 {
                self.header.clear();
                self.whole += 1;
            }
        }
        (self.whole >= limit).then_some(at)
    }
}

#[test]
fn boundaries_of_pdus_are_found_however_the_bytes_come() {
    let stream = [&[1, 0, 0, 0, 0, 2, 9, 9][..], &[5, 0, 0, 0, 0, 0], &[4, 0, 0, 0, 0, 3, 7, 7, 7]].concat();
    for (limit, end) in [(1, 8), (2, 14), (3, 23)] {
        assert_eq!(Pdus::default().end_of(limit, &stream), Some(end));
        let mut pdus = Pdus::default();
        let found = stream.iter().position(|byte| pdus.end_of(limit, &[*byte]).is_some());
        assert_eq!(found, Some(end - 1));
    }
    assert_eq!(Pdus::default().end_of(4, &stream), None);
}
