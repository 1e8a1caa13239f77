//! What a certificate says: of whom it is, and until when.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ring::digest::{SHA256, digest};
use x509_cert::Certificate as Parsed;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, SubjectAltName};

use super::super::pdu::plain;
use crate::config::CertificateRule;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// The most names of a certificate that are kept.
const MOST_NAMES: usize = 64;

/// A certificate. The texts are free of control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The SHA-256 of all of it.
    pub fingerprint: [u8; 32],
    /// The distinguished name of its subject.
    pub subject: String,
    /// The common names of the subject, and the DNS names and IP addresses of its subject alternative names.
    pub names: Vec<String>,
    /// The time from which it holds.
    pub not_before: SystemTime,
    /// The time after which it does not.
    pub not_after: SystemTime,
    /// Whether it may sign others.
    pub is_ca: bool,
    /// The subject as it is encoded.
    pub(super) subject_der: Vec<u8>,
}

impl Certificate {
    /// Reads a certificate; `None` for what is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let parsed = Parsed::from_der(der).ok()?;
        let body = &parsed.tbs_certificate;
        let attributes = body.subject.0.iter().flat_map(|part| part.0.iter());
        let common = attributes.filter(|a| a.oid == COMMON_NAME).map(|a| plain(a.value.value()));
        let alternative = body.get::<SubjectAltName>().ok()?.map(|(_, names)| names.0).unwrap_or_default();
        let alternative = alternative.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(plain(name.as_bytes())),
            GeneralName::IpAddress(address) => {
                let v4 = <[u8; 4]>::try_from(address.as_bytes()).map(IpAddr::from).ok();
                v4.or(<[u8; 16]>::try_from(address.as_bytes()).map(IpAddr::from).ok()).map(|ip| ip.to_string())
            }
            _ => None,
        });
        let time = |time: x509_cert::time::Time| SystemTime::UNIX_EPOCH + time.to_unix_duration();
        Some(Certificate {
            fingerprint: digest(&SHA256, der).as_ref().try_into().ok()?,
            subject: printable(&body.subject.to_string()),
            names: common.chain(alternative).filter(|name| !name.is_empty()).take(MOST_NAMES).collect(),
            not_before: time(body.validity.not_before),
            not_after: time(body.validity.not_after),
            is_ca: body.get::<BasicConstraints>().ok()?.is_some_and(|(_, constraints)| constraints.ca),
            subject_der: body.subject.to_der().ok()?,
        })
    }

    /// The fingerprint as `openssl x509 -fingerprint -sha256` shows it, behind `SHA256:`.
    pub fn fingerprint_text(&self) -> String {
        let bytes: Vec<String> = self.fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("SHA256:{}", bytes.join(":"))
    }

    /// Whether a rule means this certificate.
    pub fn fits(&self, rule: &CertificateRule) -> bool {
        match rule {
            CertificateRule::Fingerprint(fingerprint) => self.fingerprint == *fingerprint,
            CertificateRule::Name(name) => self.names.iter().any(|own| own.eq_ignore_ascii_case(name)),
        }
    }

    /// Whether it holds at a time, counted from the epoch.
    pub(super) fn holds_at(&self, since_epoch: Duration) -> bool {
        let now = SystemTime::UNIX_EPOCH + since_epoch;
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// Foreign text for people: what is not printable becomes a question mark; 256 characters at most.
fn printable(text: &str) -> String {
    text.chars().take(256).map(|c| if c.is_control() { '?' } else { c }).collect()
}
