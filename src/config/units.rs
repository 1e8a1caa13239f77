//! Sizes, rates and durations as people write them.

use std::time::Duration;

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a size: `5 GiB`, `1.5 TB`, `0 B`. A number needs a unit.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text.trim());
    let factor = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
    let value = factor.and_then(|factor| times(number, factor));
    value.ok_or_else(|| format!("`{}` is no size; write for example \"5 GiB\" or \"500 MB\"", text.escape_default()))
}

/// Reads a rate in bytes per second: `200 MiB/s`.
pub fn parse_rate(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is no rate; write for example \"200 MiB/s\"", text.escape_default());
    let bytes = text.trim().strip_suffix("/s").ok_or_else(wrong)?;
    parse_bytes(bytes).ok().filter(|rate| *rate > 0).ok_or_else(wrong)
}

/// Reads a duration: `250ms`, `10s`, `15m`, `12h`, `7d`, and sums such as `1h30m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is no duration; write for example \"10s\", \"15m\" or \"12h\"", text.escape_default());
    let mut rest = text.trim();
    let mut sum = 0_u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, tail) = split(rest);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(end).ok_or_else(wrong)?;
        let factor = TIMES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(wrong)?;
        sum = times(number, factor).and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
        rest = next.trim_start();
    }
    Ok(Duration::from_millis(sum))
}

/// Writes a size for people: `1.4 GiB`.
pub fn format_bytes(bytes: u64) -> String {
    let (unit, factor) = SIZES.into_iter().take(4).find(|(_, factor)| bytes >= *factor).unwrap_or(("B", 1));
    if factor == 1 {
        return format!("{bytes} B");
    }
    // One decimal, rounded down: a size is never shown larger than it is.
    let tenths = u128::from(bytes) * 10 / u128::from(factor);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Writes a rate for people.
pub fn format_rate(bytes_per_second: u64) -> String {
    format!("{}/s", format_bytes(bytes_per_second))
}

/// Writes a duration for people, by its two largest units: `2 d 3 h`, `1 h 5 min`, `12 s`.
pub fn format_duration(duration: Duration) -> String {
    let s = duration.as_secs();
    match s {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3_600 % 24),
    }
}

/// The number at the front, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (number, rest.trim_start())
}

/// A decimal number times a factor, in integers, so that nothing is rounded but what lies below one.
fn times(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let below = u64::try_from(part * u128::from(factor) / scale).ok()?;
    whole.checked_mul(factor)?.checked_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_exactly_and_need_a_unit() {
        for (text, bytes) in
            [("0 B", 0), ("5 GiB", 5 << 30), ("1.5KiB", 1536), ("500 MB", 500_000_000), ("1 tb", 1_000_000_000_000)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "5",
            "GiB",
            "5 gb/s",
            "-1 GB",
            "1..5 GB",
            "1. GB",
            ".5 GB",
            "5 GiBs",
            "99999999999 TiB",
            "0.0000000001 TiB",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(parse_rate("20 MiB/s"), Ok(20 << 20));
        for text in ["20 MiB", "0 B/s", "/s", "fast"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_exactly() {
        for (text, ms) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("15m", 900_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "10", "s", "10 parsecs", "-1s", "1h30", "999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(format_bytes(0), "0 B");
        assert_eq!(format_bytes(1023), "1023 B");
        assert_eq!(format_bytes(1536), "1.5 KiB");
        assert_eq!(format_bytes((5 << 30) - 1), "4.9 GiB");
        assert_eq!(format_rate(20 << 20), "20.0 MiB/s");
        assert_eq!(format_duration(Duration::from_millis(20)), "20 ms");
        assert_eq!(format_duration(Duration::from_secs(3_900)), "1 h 5 min");
        assert_eq!(format_duration(Duration::from_secs(183_600)), "2 d 3 h");
    }
}
