//! What the bytes of an association go through: a socket, or TLS over one. A sum and no trait object: there are two.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// How much is read from the socket of a TLS connection at a time: rustls alone asks for 4 KiB.
const ENCRYPTED: usize = 64 << 10;

/// How much is encrypted before it is written: a whole PDU of the usual length.
const WRITTEN: usize = 256 << 10;

/// The two ways.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Buffered>>),
}

/// A socket below TLS.
pub(super) type Buffered = BufReader<Socket>;

/// A socket that acknowledges at once: Linux forgets that it was told so, so that it is told after every read.
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        acknowledge_at_once(&stream);
        Socket(stream)
    }

    /// The socket below TLS.
    pub(super) fn buffered(self) -> Buffered {
        BufReader::with_capacity(ENCRYPTED, self)
    }

    /// The first byte that comes, which stays to be read; `None` when none comes.
    pub(super) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.0.peek(&mut byte).await? > 0).then_some(byte[0]))
    }
}

impl Transport {
    pub(super) fn over_tls(mut stream: TlsStream<Buffered>) -> Self {
        match &mut stream {
            TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(WRITTEN)),
            TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(WRITTEN)),
        }
        Transport::Tls(Box::new(stream))
    }

    #[cfg(test)]
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Transport::Plain(socket) => &socket.0,
            Transport::Tls(stream) => &stream.get_ref().0.get_ref().0,
        }
    }

    /// Writes a few bytes if the system takes them at once; over TLS also that nothing follows when they are the last.
    pub(super) fn write_now(&mut self, bytes: &[u8], last: bool) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => socket.0.try_write(bytes),
            Transport::Tls(stream) => match &mut **stream {
                TlsStream::Client(stream) => {
                    let (socket, session) = stream.get_mut();
                    encrypt_now(&socket.get_ref().0, session, bytes, last)
                }
                TlsStream::Server(stream) => {
                    let (socket, session) = stream.get_mut();
                    encrypt_now(&socket.get_ref().0, session, bytes, last)
                }
            },
        }
    }
}

fn encrypt_now<D>(
    socket: &TcpStream,
    session: &mut tokio_rustls::rustls::ConnectionCommon<D>,
    bytes: &[u8],
    last: bool,
) -> io::Result<usize> {
    /// What the socket takes at once.
    struct Now<'a>(&'a TcpStream);
    impl Write for Now<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.try_write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let written = session.writer().write(bytes)?;
    if last {
        session.send_close_notify();
    }
    while session.wants_write() {
        session.write_tls(&mut Now(socket))?;
    }
    Ok(written)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn acknowledge_at_once(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_tcp_quickack(true) {
        tracing::trace!(%error, "cannot set TCP_QUICKACK");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn acknowledge_at_once(_stream: &TcpStream) {}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            acknowledge_at_once(&self.0);
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl AsyncRead for Transport {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Transport::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Transport::Tls(stream) => match Pin::new(stream).poll_read(cx, buffer) {
                // Many end the connection without saying so in TLS. DICOM says itself what is whole.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                read => read,
            },
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Transport::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Transport::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Transport::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Transport::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
