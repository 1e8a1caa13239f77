//! Days and times of a query (PS3.4 §C.2.2.2.5), by their meaning.

use crate::dicom::Date;

/// A range of days; an end that is `None` is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

impl Days {
    /// A day or a range of days; people may write the days with hyphens.
    pub(super) fn parse(value: &str) -> Option<Days> {
        let text = |day: Date| day.to_string();
        if let Ok(day) = Date::parse(value) {
            return Some(Days { from: Some(text(day)), to: Some(text(day)) });
        }
        let end = |side: &str| if side.trim().is_empty() { Some(None) } else { Date::parse(side).ok().map(Some) };
        value.match_indices('-').find_map(|(at, _)| {
            let (from, to) = (end(value.get(..at)?)?, end(value.get(at + 1..)?)?);
            (from.is_some() || to.is_some()).then_some(Days { from: from.map(text), to: to.map(text) })
        })
    }

    /// What is no day, or none at all, is in no range.
    pub(super) fn contains(&self, day: &str) -> bool {
        is_day(day)
            && self.from.as_deref().is_none_or(|from| from <= day)
            && self.to.as_deref().is_none_or(|to| day <= to)
    }
}

fn is_day(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit())
}

/// A range of times in microseconds since midnight; an end that is `None` is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
}

impl Times {
    /// A time or a range of times. One that is less precise means all of its minute or hour, at the later end too.
    pub(super) fn parse(value: &str) -> Option<Times> {
        let (from, to) = value.split_once('-').unwrap_or((value, value));
        let (from, to) = (from.trim(), to.trim());
        let end = |text: &str, last| if text.is_empty() { Some(None) } else { moment(text, last).map(Some) };
        let times = Times { from: end(from, false)?, to: end(to, true)? };
        (times.from.is_some() || times.to.is_some()).then_some(times)
    }

    /// A range whose end lies before its beginning goes over midnight.
    pub(super) fn contains(&self, time: &str) -> bool {
        let Some(time) = moment(time, false) else { return false };
        match (self.from, self.to) {
            (Some(from), Some(to)) if from > to => time >= from || time <= to,
            (from, to) => from.is_none_or(|from| from <= time) && to.is_none_or(|to| time <= to),
        }
    }
}

/// One range from a day and a time to another day and time: what a date and a time key mean together when combined
/// matching was agreed to and both are ranges of the same form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moments {
    from: Option<(String, u64)>,
    to: Option<(String, u64)>,
}

impl Moments {
    /// `None` where the two do not have the same form.
    pub(super) fn of(days: &Days, times: &Times) -> Option<Moments> {
        let same = days.from.is_some() == times.from.is_some() && days.to.is_some() == times.to.is_some();
        same.then(|| Moments { from: days.from.clone().zip(times.from), to: days.to.clone().zip(times.to) })
    }

    pub(super) fn contain(&self, day: &str, time: &str) -> bool {
        let Some(time) = moment(time, false).filter(|_| is_day(day)) else { return false };
        let from = |(from, at): &(String, u64)| (from.as_str(), *at) <= (day, time);
        let to = |(to, at): &(String, u64)| (day, time) <= (to.as_str(), *at);
        self.from.as_ref().is_none_or(from) && self.to.as_ref().is_none_or(to)
    }
}

/// The microseconds since midnight of HH, HHMM, HHMMSS or HHMMSS.FFFFFF, colons of ACR-NEMA allowed: the first moment
/// that it means, or the last one.
fn moment(text: &str, last: bool) -> Option<u64> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut digits = clock.bytes().filter(|b| *b != b':');
    let mut pair = |most: u64| match (digits.next(), digits.next()) {
        (None, None) => Some(None),
        (Some(a @ b'0'..=b'9'), Some(b @ b'0'..=b'9')) => {
            Some(Some(u64::from(a - b'0') * 10 + u64::from(b - b'0'))).filter(|n| n.is_none_or(|n| n <= most))
        }
        _ => None,
    };
    let (hour, minute, second) = (pair(23)??, pair(59)?, pair(60)?);
    if digits.next().is_some() || (second.is_none() && fraction.is_some()) {
        return None;
    }
    let or = |part: Option<u64>, most| part.unwrap_or(if last { most } else { 0 });
    let micros = match fraction {
        Some(fraction) if (1..=6).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit()) => {
            let padding = if last { "999999" } else { "000000" };
            format!("{fraction}{padding}").get(..6)?.parse().ok()?
        }
        Some(_) => return None,
        None => or(None, 999_999),
    };
    Some(((hour * 60 + or(minute, 59)) * 60 + or(second, 59)) * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_match_alone_and_in_ranges_open_at_either_end() {
        for (key, yes, no) in [
            ("20200229", &["20200229"][..], &["20200228", "", "2020.02.29", "garbage!"][..]),
            ("20200101-20200131", &["20200101", "20200131"], &["20191231", "20200201", ""]),
            ("20200101-", &["20200101", "99991231"], &["20191231", "zzzzzzzz"]),
            ("-20200101", &["18000101", "20200101"], &["20200102", ""]),
            ("2020.01.01-2020.01.02", &["20200102"], &["20200103"]),
            ("2020-01-01-", &["20200102"], &["20191231"]),
            ("20200101 - 20200131", &["20200115"], &["20200201"]),
        ] {
            let days = Days::parse(key).unwrap();
            assert!(yes.iter().all(|day| days.contains(day)), "{key}");
            assert!(!no.iter().any(|day| days.contains(day)), "{key}");
        }
        for key in ["-", "2020", "20201301", "2020*", "today", "20200101-x"] {
            assert_eq!(Days::parse(key), None, "{key}");
        }
    }

    #[test]
    fn times_match_by_their_meaning_and_over_midnight() {
        for (key, yes, no) in [
            ("2230", &["2230", "223000", "223059.999", "22:30:15"][..], &["2229", "2231", "", "noon"][..]),
            ("223000", &["2230", "223000.5"], &["223001", "22"]),
            ("10", &["10", "105959"], &["1100", "0959"]),
            ("1000-1200", &["100000", "1200", "120059.5"], &["095959.999999", "1201"]),
            ("1000-", &["1000", "2359"], &["0959", ""]),
            ("-1000", &["00", "100059"], &["1001"]),
            ("2200-0200", &["2200", "235959", "000000", "0200"], &["0201", "215959", "1200", ""]),
            ("10:00:00.5-10:00:00.5", &["100000.5", "100000.599999"], &["100000.4", "100000.6"]),
            ("235960", &["235960"], &["2359"]),
        ] {
            let times = Times::parse(key).unwrap();
            assert!(yes.iter().all(|time| times.contains(time)), "{key}");
            assert!(!no.iter().any(|time| times.contains(time)), "{key}");
        }
        for key in
            ["-", "noon", "1", "101", "2400", "1060", "10.5", "1000-noon", "100000.", "100000.1234567", "1000000"]
        {
            assert_eq!(Times::parse(key), None, "{key}");
        }
    }

    #[test]
    fn a_date_and_a_time_range_together_are_one_stretch_of_time() {
        let moments = |days, times| Moments::of(&Days::parse(days).unwrap(), &Times::parse(times).unwrap());
        let stretch = moments("20060705-20060707", "1000-1800").unwrap();
        for (day, time, inside) in [
            ("20060705", "0959", false),
            ("20060705", "1000", true),
            ("20060705", "2300", true),
            ("20060706", "0300", true),
            ("20060707", "180030", true),
            ("20060707", "1801", false),
            ("20060706", "", false),
            ("", "1200", false),
        ] {
            assert_eq!(stretch.contain(day, time), inside, "{day} {time}");
        }
        assert!(moments("20060705-", "2345-").unwrap().contain("20060706", "0000"));
        assert!(!moments("-20060705", "-0015").unwrap().contain("20060705", "0016"));
        assert_eq!(moments("20060705-", "1000-1800"), None);
    }
}
