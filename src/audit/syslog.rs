//! Entries as syslog messages (RFC 5424), framed by octet counting (RFC 5425, RFC 6587).

use crate::catalog::AuditEntry;

/// Facility 10 is security and authorization (PS3.15 A.6).
const FACILITY: u8 = 10;
/// Severities: normal but significant, and a warning.
const NOTICE: u8 = 5;
const WARNING: u8 = 4;
/// What the MSGID field says (PS3.15 A.6).
const MSGID: &str = "DICOM+RFC3881";
/// The longest HOSTNAME.
const LONGEST_HOST: usize = 255;

/// Appends the frame of an entry.
pub(super) fn frame(entry: &AuditEntry, host: &str, out: &mut Vec<u8>) {
    let severity = if entry.outcome == 0 { NOTICE } else { WARNING };
    let when = jiff::Timestamp::from_millisecond(entry.at).unwrap_or_default();
    let head = format!(
        "<{}>1 {when:.3} {} pacsferry {} {MSGID} - \u{FEFF}",
        FACILITY * 8 + severity,
        printable(host),
        std::process::id()
    );
    out.extend_from_slice(format!("{} ", head.len() + entry.message.len()).as_bytes());
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(entry.message.as_bytes());
}

/// A header field: printable ASCII without spaces, `-` for none.
fn printable(text: &str) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(LONGEST_HOST).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_its_octets_and_has_every_field_of_the_header() {
        let entry = |outcome| AuditEntry {
            id: 7,
            at: 1_700_000_000_123,
            event: "query".into(),
            outcome,
            who: String::new(),
            what: String::new(),
            message: "<AuditMessage>Müller</AuditMessage>".into(),
        };
        let mut out = Vec::new();
        frame(&entry(0), "archive 1\n", &mut out);
        frame(&entry(4), "", &mut out);
        let mut rest = out.as_slice();
        for (pri, host) in [(85, "archive1"), (84, "-")] {
            let space = rest.iter().position(|b| *b == b' ').unwrap();
            let length: usize = std::str::from_utf8(&rest[..space]).unwrap().parse().unwrap();
            let message = std::str::from_utf8(&rest[space + 1..space + 1 + length]).unwrap();
            let pid = std::process::id();
            let head = format!("<{pri}>1 2023-11-14T22:13:20.123Z {host} pacsferry {pid} DICOM+RFC3881 - \u{FEFF}");
            assert_eq!(message, format!("{head}<AuditMessage>Müller</AuditMessage>"));
            rest = &rest[space + 1 + length..];
        }
        assert!(rest.is_empty());
    }
}
