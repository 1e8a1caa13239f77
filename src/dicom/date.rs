//! Calendar days as DICOM writes them, and ranges of them.

use std::fmt;

/// A day of the Gregorian calendar, as a DA value holds it (PS3.5 §6.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);

/// A text that is no day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date; write it as YYYYMMDD or YYYY-MM-DD")]
pub struct InvalidDate(pub String);

impl Date {
    /// Reads `YYYYMMDD`, and the `YYYY.MM.DD` of ACR-NEMA and `YYYY-MM-DD` of people. Years from 1800 on are days;
    /// anything else is nothing that studies could be put in order by.
    pub fn parse(text: &str) -> Result<Self, InvalidDate> {
        let trimmed = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let invalid = || InvalidDate(trimmed.escape_default().to_string());
        let b = trimmed.as_bytes();
        let digits: String = match (b.len(), b.get(4), b.get(7)) {
            (8, _, _) => trimmed.to_owned(),
            (10, Some(x), Some(y)) if x == y && (*x == b'.' || *x == b'-') => {
                trimmed.chars().filter(|c| *c as u32 != u32::from(*x)).collect()
            }
            _ => return Err(invalid()),
        };
        if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let number: u32 = digits.parse().map_err(|_| invalid())?;
        let (y, m, d) = (number / 10_000, number / 100 % 100, number % 100);
        let part = |n: u32| i8::try_from(n).map_err(|_| invalid());
        let year = i16::try_from(y).map_err(|_| invalid())?;
        if year < 1800 {
            return Err(invalid());
        }
        jiff::civil::Date::new(year, part(m)?, part(d)?).map(Date).map_err(|_| invalid())
    }

    /// Today on this machine's clock and in its time zone.
    pub fn today() -> Self {
        Date(jiff::Zoned::now().date())
    }

    /// The day so many days later (or earlier, if negative), within the calendar's bounds.
    pub fn plus_days(self, days: i64) -> Self {
        Date(self.0.saturating_add(jiff::Span::new().try_days(days).unwrap_or_default()))
    }

    /// The day so many months earlier, within the calendar's bounds.
    pub fn minus_months(self, months: u32) -> Self {
        Date(self.0.saturating_sub(jiff::Span::new().try_months(months).unwrap_or_default()))
    }

    /// Days from this one to the other one; negative if that lies before.
    pub fn days_until(self, other: Date) -> i64 {
        self.0.until(other.0).map_or(0, |span| i64::from(span.get_days()))
    }

    /// Whole months from this day to the other one; negative if that lies before.
    pub fn months_until(self, other: Date) -> i64 {
        let span = self.0.until((jiff::Unit::Month, other.0));
        span.map_or(0, |span| i64::from(span.get_months()))
    }

    /// The day of the week, Monday is 0.
    pub fn weekday(self) -> usize {
        usize::try_from(self.0.weekday().to_monday_zero_offset()).unwrap_or(0)
    }

    /// The year.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// `YYYY-MM-DD`.
    pub fn iso(self) -> String {
        format!("{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

/// `YYYYMMDD`, the DA value.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{:02}{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Date {
    type Err = InvalidDate;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Date::parse(text)
    }
}

impl serde::Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Date::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A range of days, both ends included; an end that is `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct DateRange {
    /// The earliest day.
    pub from: Option<Date>,
    /// The latest day.
    pub to: Option<Date>,
}

impl DateRange {
    /// One day.
    pub fn day(day: Date) -> Self {
        DateRange { from: Some(day), to: Some(day) }
    }

    /// Whether the day lies in it.
    pub fn contains(&self, day: Date) -> bool {
        self.from.is_none_or(|f| f <= day) && self.to.is_none_or(|t| day <= t)
    }

    /// Whether it is a single day.
    pub fn is_day(&self) -> bool {
        self.from.is_some() && self.from == self.to
    }

    /// The value of a range matching key (PS3.4 §C.2.2.2.5); zero-length when both ends are open.
    pub fn key(&self) -> String {
        match (self.from, self.to) {
            (Some(f), Some(t)) if f == t => f.to_string(),
            (None, None) => String::new(),
            (f, t) => {
                let end = |d: Option<Date>| d.map(|d| d.to_string()).unwrap_or_default();
                format!("{}-{}", end(f), end(t))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_three_spellings_and_nothing_else() {
        for text in ["20211117", "2021.11.17", "2021-11-17", " 20211117\0"] {
            assert_eq!(Date::parse(text).map(|d| d.to_string()), Ok("20211117".into()), "{text}");
        }
        for text in [
            "",
            "2021",
            "20211317",
            "20210230",
            "2021.11-17",
            "00010101",
            "17990101",
            "2021111a",
            "20211117120000",
            "é021117",
        ] {
            assert!(Date::parse(text).is_err(), "{text}");
        }
        assert_eq!(Date::parse("99991231").map(|d| d.plus_days(1).to_string()), Ok("99991231".into()));
    }

    #[test]
    fn ranges_become_keys() {
        let d = |t| Date::parse(t).expect("a date");
        assert_eq!(DateRange::day(d("20200101")).key(), "20200101");
        assert_eq!(DateRange { from: Some(d("20200101")), to: None }.key(), "20200101-");
        assert_eq!(DateRange { from: None, to: Some(d("20200101")) }.key(), "-20200101");
        assert_eq!(DateRange { from: Some(d("20200101")), to: Some(d("20200103")) }.key(), "20200101-20200103");
        assert_eq!(DateRange::default().key(), "");
        assert_eq!(d("20200101").days_until(d("20200301")), 60);
    }
}
