//! `[pictures]`: what drawing pictures may take.

use std::time::Duration;

use super::raw::Section;
use super::units::{parse_bytes, parse_duration};

/// `[pictures]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// Processes that draw at one time; 0 draws nothing.
    pub workers: usize,
    /// The most memory of each, in bytes.
    pub memory: u64,
    /// How long one picture may take.
    pub time: Duration,
    /// Bytes of previews that are kept on disk.
    pub cache: u64,
}

pub(super) fn pictures(s: Section<'_>) -> Pictures {
    let memory = |text: &str| match parse_bytes(text)? {
        bytes if bytes >= 256 << 20 => Ok(bytes),
        _ => Err("a picture may need more than that; write 256 MiB or more".to_owned()),
    };
    let pictures = Pictures {
        workers: s.number("workers", 0..=64).and_then(|n| usize::try_from(n).ok()).unwrap_or(2),
        memory: s.text("memory", memory).unwrap_or(2 << 30),
        time: s.text("time", parse_duration).unwrap_or(Duration::from_secs(20)),
        cache: s.text("cache", parse_bytes).unwrap_or(512 << 20),
    };
    s.finish();
    pictures
}
