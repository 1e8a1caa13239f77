//! `[audit]`: what the audit trail calls us, how long it is kept, and which collector gets it.

use std::path::PathBuf;
use std::time::Duration;

use super::HostPort;
use super::raw::Section;
use super::units::parse_duration;
use super::values::{host_port, non_empty};

/// The TCP port of syslog over TLS (RFC 5425).
const TLS_PORT: u16 = 6514;

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// What the collector knows this archive by; the AE title and the name of the machine unless told otherwise.
    pub source: Option<String>,
    /// The name of the site.
    pub site: Option<String>,
    /// How long entries are kept in the catalog.
    pub keep: Duration,
    /// The most entries that are kept.
    pub most: u64,
    /// Where they are sent.
    pub collector: Option<Collector>,
}

/// A syslog collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// Where it listens.
    pub address: HostPort,
    /// How it is known, and we to it; `None` for plain TCP.
    pub tls: Option<CollectorTls>,
}

/// Syslog over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorTls {
    /// The certificates, one of which its own must come from (PEM).
    pub ca: PathBuf,
    /// Our own certificate and its key (PEM), for a collector that asks for it.
    pub own: Option<(PathBuf, PathBuf)>,
}

enum Scheme {
    Tls,
    Tcp,
}

pub(super) fn audit(s: Section<'_>) -> Audit {
    let keep = s.text("keep", |text| match parse_duration(text)? {
        keep if keep < Duration::from_secs(86_400) => {
            Err("the audit trail would be gone within a day; write for example \"400d\"".to_owned())
        }
        keep => Ok(keep),
    });
    let audit = Audit {
        source: s.text("source", non_empty),
        site: s.text("site", non_empty),
        keep: keep.unwrap_or(Duration::from_secs(400 * 86_400)),
        most: s.number("most", 1_000..=100_000_000).unwrap_or(2_000_000),
        collector: collector(&s),
    };
    s.finish();
    audit
}

fn collector(s: &Section<'_>) -> Option<Collector> {
    let file = |text: &str| non_empty(text).map(PathBuf::from);
    let syslog = s.text("syslog", syslog);
    let (ca, certificate, key) = (s.text("ca", file), s.text("certificate", file), s.text("key", file));
    let own = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (given, _) => {
            let (here, missing) = if given.is_some() { ("certificate", "key") } else { ("key", "certificate") };
            s.problem(here, format!("`{here}` without `{missing}`"), "give both or neither");
            None
        }
    };
    match syslog? {
        (Scheme::Tcp, address) => {
            let loopback = ["127.0.0.1", "::1", "localhost"].contains(&address.host.as_str());
            if !loopback {
                s.problem(
                    "syslog",
                    "patients are named in the audit trail, and tcp:// sends it in plain text",
                    "write tls://, or send it to a relay on this machine",
                );
            }
            if ca.is_some() || own.is_some() {
                s.problem("syslog", "tcp:// uses no certificates", "write tls://, or remove ca, certificate and key");
            }
            Some(Collector { address, tls: None })
        }
        (Scheme::Tls, address) => {
            let Some(ca) = ca else {
                s.problem("ca", "`ca` is missing", "name the file with the collector's CA certificate (PEM)");
                return None;
            };
            Some(Collector { address, tls: Some(CollectorTls { ca, own }) })
        }
    }
}

/// `tls://host`, `tls://host:6514` or `tcp://127.0.0.1:601`.
fn syslog(text: &str) -> Result<(Scheme, HostPort), String> {
    let wrong = || {
        let shown = text.escape_default();
        format!("`{shown}` is no collector; write for example \"tls://audit.example.org:6514\"")
    };
    let (scheme, rest) = text.trim().split_once("://").ok_or_else(wrong)?;
    match scheme {
        "tls" => {
            let with_port = || format!("{rest}:{TLS_PORT}");
            let address = host_port(rest).or_else(|_| host_port(&with_port())).map_err(|_| wrong())?;
            Ok((Scheme::Tls, address))
        }
        "tcp" => Ok((Scheme::Tcp, host_port(rest).map_err(|_| wrong())?)),
        _ => Err(wrong()),
    }
}
