//! The connection to a syslog collector: TCP to this machine, TLS to any other.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::config::Collector;

/// What is written to.
pub(super) type Connection = Box<dyn Stream>;

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to a collector.
pub(super) async fn connect(collector: &Collector) -> io::Result<Connection> {
    let stream = TcpStream::connect((collector.address.host.as_str(), collector.address.port)).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}
