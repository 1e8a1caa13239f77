//! A connection as an association wants it: acknowledged at once, never delayed, missed when it dies.
//!
//! A sender with Nagle's algorithm on waits for our acknowledgement of the tail of each object, and Linux delays it by
//! 40 ms unless it is told otherwise after every read.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Throttle;
use super::transport::{Socket, Transport};

/// How long a connection is silent before the system asks whether the peer still lives.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long a peer gets to read our last words.
const FAREWELL: Duration = Duration::from_millis(500);

/// How much of what a peer still sends is read and dropped while it gets our last words.
const FAREWELL_BYTES: usize = 1 << 20;

/// The size of a read buffer: so many small PDUs come by one system call.
const CHUNK: usize = 256 << 10;

/// Below this much room the next buffer is taken.
const LEAST_ROOM: usize = 32 << 10;

/// How many buffers, whose bytes are still with whoever took them, are kept for use again.
const RESTING: usize = 6;

/// A connection with its settings.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    address: SocketAddr,
    pub(crate) throttle: Option<Arc<Throttle>>,
}

impl Connection {
    /// Takes a connected socket. A setting that the system refuses costs speed, not the association.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        let address = stream.peer_addr()?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
        }
        if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&keepalive()) {
            tracing::debug!(%address, %error, "cannot set keepalive");
        }
        Ok(Connection { transport: Transport::Plain(Socket::new(stream)), address, throttle: None })
    }

    /// A connection whose settings are made.
    pub(super) fn of(transport: Transport, address: SocketAddr, throttle: Option<Arc<Throttle>>) -> Self {
        Connection { transport, address, throttle }
    }

    /// What TLS is laid over.
    pub(super) fn into_parts(self) -> (Transport, SocketAddr, Option<Arc<Throttle>>) {
        (self.transport, self.address, self.throttle)
    }

    /// Whether nobody else can read what goes over it.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self.transport, Transport::Tls(_))
    }

    #[cfg(test)]
    pub(crate) fn socket(&self) -> SockRef<'_> {
        SockRef::from(self.transport.tcp())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads what is there, or waits for it; 0 is the end. `buffer` has room. Cancel-safe.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        let piece = self.throttle.as_ref().map_or(usize::MAX, |t| t.piece());
        let room = buffer.capacity() - buffer.len();
        let read = self.transport.read_buf(&mut buffer.limit(room.min(piece))).await?;
        if let Some(throttle) = &self.throttle {
            throttle.spend(read);
        }
        Ok(read)
    }

    /// Waits until the throttle, if there is one, lets us read.
    pub(crate) async fn throttled(&self) {
        if let Some(throttle) = &self.throttle {
            throttle.ready().await;
        }
    }

    /// Writes all slices, as few system calls as it takes. A peer that takes nothing for `limit` is an error of
    /// kind `TimedOut`.
    pub(crate) async fn write(&mut self, mut slices: &mut [IoSlice<'_>], limit: Duration) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let written = match tokio::time::timeout(limit, self.transport.write_vectored(slices)).await {
                Ok(result) => result?,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut slices, written);
        }
        match &mut self.transport {
            Transport::Plain(_) => Ok(()),
            // What was encrypted may still wait for the socket.
            Transport::Tls(stream) => match tokio::time::timeout(limit, stream.flush()).await {
                Ok(flushed) => flushed,
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
        }
    }

    /// Writes a few bytes if the system takes them at once, for when nobody can wait.
    pub(crate) fn write_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.transport.write_now(bytes, false)
    }

    /// The same for the last bytes of a connection.
    pub(crate) fn close_now(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.transport.write_now(bytes, true)
    }

    /// Writes the last PDU and lets the peer read it: closing with unread bytes would destroy it on its way.
    pub(crate) async fn farewell(&mut self, bytes: &[u8]) {
        let last_words = async {
            self.transport.write_all(bytes).await?;
            self.transport.shutdown().await?;
            let mut sink = BytesMut::with_capacity(LEAST_ROOM);
            let mut dropped = 0;
            while dropped < FAREWELL_BYTES {
                sink.clear();
                match self.transport.read_buf(&mut sink).await? {
                    0 => break,
                    read => dropped += read,
                }
            }
            Ok::<(), io::Error>(())
        };
        match tokio::time::timeout(FAREWELL, last_words).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::debug!(address = %self.address, %error, "the peer was gone before the last word")
            }
        }
    }
}

fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos", target_os = "freebsd", windows))]
    let keepalive = keepalive.with_interval(KEEPALIVE / 3).with_retries(3);
    keepalive
}

/// The bytes of an association that were read and not yet taken. What is taken are slices; a buffer whose slices are
/// all dropped is used again, so that a long transfer allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    current: BytesMut,
    resting: VecDeque<BytesMut>,
}

impl ReadBuffer {
    /// Begins with what was read behind the negotiation.
    pub(crate) fn new(rest: &[u8]) -> Self {
        let mut buffer = ReadBuffer::default();
        buffer.current.extend_from_slice(rest);
        buffer
    }

    pub(crate) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.current
    }

    /// Whether the next read would need another buffer, so that what is here had better be taken first.
    pub(crate) fn is_spent(&self) -> bool {
        self.current.capacity() - self.current.len() < LEAST_ROOM
    }

    /// The buffer with room for the next read.
    pub(crate) fn with_room(&mut self) -> &mut BytesMut {
        if !self.current.try_reclaim(LEAST_ROOM) {
            let at = self.resting.iter_mut().position(|b| b.try_reclaim(CHUNK));
            let next = at.and_then(|at| self.resting.remove(at));
            let mut next = next.unwrap_or_else(|| BytesMut::with_capacity(CHUNK + LEAST_ROOM));
            next.extend_from_slice(&self.current);
            self.current.advance(self.current.remaining());
            let before = std::mem::replace(&mut self.current, next);
            if before.capacity() > 0 {
                self.resting.truncate(RESTING - 1);
                self.resting.push_front(before);
            }
        }
        &mut self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_whose_slices_are_gone_are_used_again() {
        let mut buffer = ReadBuffer::new(b"");
        let mut held = VecDeque::new();
        let mut places = std::collections::HashSet::new();
        for round in (0..=u8::MAX).cycle().take(1000) {
            let bytes = buffer.with_room();
            assert!(bytes.capacity() - bytes.len() >= LEAST_ROOM);
            places.insert(bytes.as_ptr() as usize / CHUNK);
            bytes.put_bytes(round, LEAST_ROOM);
            held.push_back((round, bytes.split().freeze()));
            if held.len() > 8 {
                let (byte, slice) = held.pop_front().unwrap();
                assert!(slice.iter().all(|b| *b == byte));
            }
        }
        assert!(places.len() <= 2 * (RESTING + 1), "{} places", places.len());
    }

    #[test]
    fn what_was_not_taken_moves_along() {
        let mut buffer = ReadBuffer::new(b"rest");
        for round in 0u32..200 {
            let bytes = buffer.with_room();
            bytes.put_bytes(0, LEAST_ROOM - 8);
            bytes.put_u32(round);
            assert_eq!(
                bytes.split_to(4),
                if round == 0 { b"rest"[..].into() } else { BytesMut::from(&(round - 1).to_be_bytes()[..]) }
            );
            let zeros = bytes.split_to(LEAST_ROOM - 8);
            assert!(zeros.iter().all(|b| *b == 0));
        }
    }
}
