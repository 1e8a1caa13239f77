//! Addresses of others: where they listen, and whether they call from there.

use std::net::IpAddr;

use ipnet::IpNet;

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The name or the address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl std::str::FromStr for HostPort {
    type Err = String;

    /// `host:port`, or `[::1]:port`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no address", text.escape_default());
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().ok().filter(|p| *p > 0).ok_or_else(wrong)?;
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().map(|a| a.to_string()).map_err(|_| wrong())?,
            None => host.to_owned(),
        };
        let name_like = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if host.is_empty() || (bracketed.is_none() && !host.chars().all(name_like)) {
            return Err(wrong());
        }
        Ok(HostPort { host, port })
    }
}

/// Whether an address is in one of the networks or, where none are named, is that of the host.
pub(super) fn is_from(address: IpAddr, from: &[IpNet], host: &HostPort, looked_up: &[IpAddr]) -> bool {
    let address = address.to_canonical();
    if !from.is_empty() {
        return from.iter().any(|net| net.contains(&address));
    }
    let literal = host.host.parse::<IpAddr>().ok().map(|a| a.to_canonical());
    literal == Some(address) || looked_up.contains(&address)
}
