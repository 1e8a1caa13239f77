//! `[audit]`: what the audit trail calls us, how long it is kept, and which collector gets it.

use std::sync::Arc;
use std::time::Duration;

use super::raw::Section;
use super::units::parse_duration;
use super::values::{host_port, non_empty};
use super::{ClientTls, HostPort, tls};

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
    pub tls: Option<Arc<ClientTls>>,
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
    let syslog = s.text("syslog", syslog);
    let tls = tls::client(s, None);
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
            if tls.is_some() {
                s.problem("tls", "tcp:// uses no certificates", "write tls://, or remove `tls`");
            }
            Some(Collector { address, tls: None })
        }
        (Scheme::Tls, address) => {
            if tls.is_none() {
                s.require("tls", "{ ca = \"/etc/pacsferry/audit-ca.pem\" }");
            }
            tls.map(|tls| Collector { address, tls: Some(tls) })
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

#[cfg(test)]
mod tests {
    use crate::config::{Config, parse};

    fn read(text: &str) -> Result<Config, String> {
        parse(&format!("[audit]\n{text}"), None).map_err(|error| error.to_string())
    }

    #[test]
    fn a_collector_is_reached_by_tls_and_by_plain_tcp_on_this_machine_only() {
        let tls = "tls = { ca = \"/etc/ca.pem\" }";
        for (syslog, port) in [("tls://audit.example.org", 6514), ("tls://10.1.2.3:7000", 7000), ("tls://[::1]:1", 1)] {
            let collector = read(&format!("syslog = \"{syslog}\"\n{tls}")).unwrap().audit.collector.unwrap();
            assert_eq!((collector.address.port, collector.tls.is_some()), (port, true), "{syslog}");
        }
        let plain = read("syslog = \"tcp://127.0.0.1:601\"").unwrap().audit.collector.unwrap();
        assert_eq!((plain.address.port, plain.tls), (601, None));
        assert_eq!(read("").unwrap().audit.collector, None);
        for (wrong, said) in [
            ("syslog = \"tls://audit.example.org\"".to_owned(), "`tls` is missing"),
            ("syslog = \"tcp://10.1.2.3:601\"".to_owned(), "plain text"),
            (format!("syslog = \"tcp://127.0.0.1:601\"\n{tls}"), "uses no certificates"),
            ("syslog = \"udp://127.0.0.1:514\"".to_owned(), "is no collector"),
            ("syslog = \"127.0.0.1:514\"".to_owned(), "is no collector"),
            ("keep = \"1h\"".to_owned(), "gone within a day"),
            ("most = 10".to_owned(), "out of bounds"),
        ] {
            let error = read(&wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
    }
}
