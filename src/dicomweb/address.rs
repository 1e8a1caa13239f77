//! Addresses of resources, as answers name them.

use std::fmt::Write;

use axum::http::{HeaderMap, header};

use super::Site;

/// Where the services are mounted.
const ROOT: &str = "/dicom-web";

/// The beginning of every address, by the name that the asker knows us by.
pub(super) fn base(site: &Site, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or("localhost");
    // A proxy may have ended TLS; whoever says so without one misleads nobody but himself.
    let secure = site.config.borrow().web.tls.is_some() || text("x-forwarded-proto") == Some("https");
    format!("{}://{host}{ROOT}", if secure { "https" } else { "http" })
}

/// The address of a study, of a series in it, or of an instance in that.
pub(super) fn resource(base: &str, study: &str, series: Option<&str>, instance: Option<&str>) -> String {
    let mut address = format!("{base}/studies/{}", encoded(study));
    for (word, uid) in [("series", series), ("instances", instance)] {
        if let Some(uid) = uid {
            let _infallible = write!(address, "/{word}/{}", encoded(uid));
        }
    }
    address
}

/// A UID as part of a path: old archives hold all sorts of them.
fn encoded(uid: &str) -> String {
    let mut out = String::with_capacity(uid.len());
    for byte in uid.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'.' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                let _infallible = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_uids_are_one_part_of_a_path() {
        let address = resource("http://x/dicom-web", "1.2", Some("a/b ä"), Some("..?"));
        assert_eq!(address, "http://x/dicom-web/studies/1.2/series/a%2Fb%20%C3%A4/instances/..%3F");
    }
}
