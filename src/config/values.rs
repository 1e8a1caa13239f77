//! Readers of single values: each says what is wrong and, after a semicolon, what to write instead.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::HostPort;
use super::units::parse_duration;
use crate::dicom::AeTitle;

pub(super) fn known_title(text: &str) -> AeTitle {
    AeTitle::new(text).expect("the default AE titles are valid")
}

pub(super) fn count(number: Option<u64>) -> Option<usize> {
    number.and_then(|n| usize::try_from(n).ok())
}

pub(super) fn non_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("the text is empty; write something or leave the key out".into())
    } else {
        Ok(text.to_owned())
    }
}

fn with_example<T: FromStr>(text: &str, what: &str, example: &str) -> Result<T, String>
where
    T::Err: Display,
{
    text.trim()
        .parse()
        .map_err(|_| format!("`{}` is no {what}; write for example \"{example}\"", text.escape_default()))
}

pub(super) fn ae_title(text: &str) -> Result<AeTitle, String> {
    AeTitle::new(text).map_err(|error| format!("`{}`: {error}; write for example \"FERRY_RX\"", text.escape_default()))
}

pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    with_example(text, "address to listen on", "127.0.0.1:11112")
}

pub(super) fn host_port(text: &str) -> Result<HostPort, String> {
    with_example(text, "address", "10.1.2.3:104")
}

pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let net = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| with_example(text, "network", "10.1.2.0/24"))?;
    Ok(net.trunc())
}

pub(super) fn positive(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() {
        Err("the time is zero; every wait needs an end that is not at once".into())
    } else {
        Ok(duration)
    }
}

pub(super) fn source_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(good) {
        return Err(format!(
            "`{}` is no name; use letters, digits, `-`, `_` and `.`, 64 at most",
            text.escape_default()
        ));
    }
    if text == "catalog" {
        return Err("`catalog` is what commands call our own catalog; name the source otherwise".into());
    }
    Ok(text.to_owned())
}

pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        format!("`{}` is none of the choices; write {}", text.escape_default(), names.join(" or "))
    })
}
