//! The connection to a syslog collector: TCP to this machine, TLS to any other.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::assoc::tls::Connector;
use crate::config::Collector;

/// What is written to.
pub(super) type Connection = Box<dyn Stream>;

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to a collector. Its files are read each time, so that renewed ones are used.
pub(super) async fn connect(collector: &Collector) -> io::Result<Connection> {
    let connector = match collector.tls.clone() {
        None => None,
        Some(tls) => {
            let host = collector.address.host.clone();
            let loaded = tokio::task::spawn_blocking(move || Connector::load(&tls, &host)).await;
            Some(loaded.map_err(io::Error::other)?.map_err(io::Error::other)?)
        }
    };
    let stream = TcpStream::connect((collector.address.host.as_str(), collector.address.port)).await?;
    stream.set_nodelay(true)?;
    Ok(match connector {
        None => Box::new(stream),
        Some(connector) => Box::new(connector.connect(stream).await?),
    })
}
