//! Times of the week with limits of their own.

use std::fmt;

/// A minute of the day, 0 to 1440 (the end of the day).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(u16);

/// A daily span of time on some days of the week, and the limits that hold in it. A span whose end lies before its
/// begin passes midnight and belongs to the day on which it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// The days on which it begins, Monday first.
    pub days: [bool; 7],
    /// The first minute.
    pub from: Minute,
    /// The minute after the last one.
    pub to: Minute,
    /// The associations then; 0 closes the source. Without it the source's own number holds.
    pub associations: Option<usize>,
    /// The bytes per second then. Without it the source's own rate holds.
    pub rate: Option<u64>,
}

/// What holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most associations; 0 means closed.
    pub associations: usize,
    /// The most bytes per second.
    pub rate: Option<u64>,
}

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Minute {
    /// The first minute of the day.
    pub const MIDNIGHT: Minute = Minute(0);
    /// The end of the day, `24:00`.
    pub const END: Minute = Minute(1440);

    /// Reads `HH:MM`, from `00:00` to `24:00`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no time of day; write for example \"07:00\"", text.escape_default());
        let (h, m) = text.split_once(':').ok_or_else(wrong)?;
        let part =
            |p: &str| (p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit())).then(|| p.parse::<u16>().ok()).flatten();
        let (h, m) = (part(h).ok_or_else(wrong)?, part(m).ok_or_else(wrong)?);
        let minute = h * 60 + m;
        if m < 60 && minute <= 1440 { Ok(Minute(minute)) } else { Err(wrong()) }
    }
}

impl Minute {
    /// Hour and minute.
    pub fn clock(self) -> (i8, i8) {
        let part = |number: u16| i8::try_from(number).unwrap_or(0);
        (part(self.0 / 60), part(self.0 % 60))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Reads days: `daily`, `mon-fri`, `sat,sun`, `fri-mon`, and lists of these.
pub(super) fn parse_days(text: &str) -> Result<[bool; 7], String> {
    let wrong =
        || format!("`{}` are no days; write for example \"mon-fri\", \"sat,sun\" or \"daily\"", text.escape_default());
    let number = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        NAMES.iter().position(|n| *n == name).ok_or_else(wrong)
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        if part.trim().eq_ignore_ascii_case("daily") {
            days = [true; 7];
            continue;
        }
        let (first, last) = match part.split_once('-') {
            Some((a, b)) => (number(a)?, number(b)?),
            None => (number(part)?, number(part)?),
        };
        let length = (last + 7 - first) % 7;
        for (day, on) in days.iter_mut().enumerate() {
            *on |= (day + 7 - first) % 7 <= length;
        }
    }
    Ok(days)
}

/// The limits of the first span that holds now, or the usual ones.
pub(super) fn limits_at(hours: &[Hours], usual: Limits, now: &jiff::Zoned) -> Limits {
    let today = usize::from(now.weekday().to_monday_zero_offset().unsigned_abs());
    let minute = Minute(u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs()));
    hours.iter().find(|span| span.holds(today, minute)).map_or(usual, |span| Limits {
        associations: span.associations.unwrap_or(usual.associations),
        rate: span.rate.or(usual.rate),
    })
}

impl Hours {
    fn holds(&self, today: usize, now: Minute) -> bool {
        let on = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        if self.from < self.to {
            on(today) && self.from <= now && now < self.to
        } else {
            (on(today) && self.from <= now) || (on(today + 6) && now < self.to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> jiff::Zoned {
        text.parse::<jiff::civil::DateTime>().and_then(|t| t.in_tz("UTC")).expect("a time")
    }

    fn span(days: &str, from: &str, to: &str, associations: usize) -> Hours {
        Hours {
            days: parse_days(days).expect("days"),
            from: Minute::parse(from).expect("from"),
            to: Minute::parse(to).expect("to"),
            associations: Some(associations),
            rate: None,
        }
    }

    const USUAL: Limits = Limits { associations: 4, rate: Some(1000) };

    #[test]
    fn days_are_lists_and_ranges_that_may_pass_sunday() {
        let days = |text: &str| parse_days(text).map(|d| d.map(u8::from));
        assert_eq!(days("mon-fri"), Ok([1, 1, 1, 1, 1, 0, 0]));
        assert_eq!(days("sat,sun"), Ok([0, 0, 0, 0, 0, 1, 1]));
        assert_eq!(days("Fri-Mon, wed"), Ok([1, 0, 1, 0, 1, 1, 1]));
        assert_eq!(days("daily"), Ok([1; 7]));
        for text in ["", "mon-", "monday", "mon;tue", "mon-fri-sun"] {
            assert!(days(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_of_day_are_two_and_two_digits() {
        assert_eq!(Minute::parse("24:00"), Ok(Minute::END));
        assert_eq!(Minute::parse("07:05").map(|m| m.to_string()), Ok("07:05".into()));
        for text in ["7:00", "07:60", "24:01", "25:00", "0700", "07:0a", ""] {
            assert!(Minute::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_span_that_fits_holds_and_others_leave_the_usual_limits() {
        // 2024-01-01 was a Monday.
        let day = [span("mon-fri", "07:00", "18:00", 1)];
        assert_eq!(limits_at(&day, USUAL, &at("2024-01-01T07:00:00")), Limits { associations: 1, rate: Some(1000) });
        assert_eq!(limits_at(&day, USUAL, &at("2024-01-01T17:59:59")).associations, 1);
        for outside in ["2024-01-01T06:59:59", "2024-01-01T18:00:00", "2024-01-06T12:00:00"] {
            assert_eq!(limits_at(&day, USUAL, &at(outside)), USUAL, "{outside}");
        }
        let both = [span("daily", "12:00", "13:00", 0), span("daily", "00:00", "24:00", 2)];
        assert_eq!(limits_at(&both, USUAL, &at("2024-01-01T12:30:00")).associations, 0);
        assert_eq!(limits_at(&both, USUAL, &at("2024-01-01T23:59:00")).associations, 2);
    }

    #[test]
    fn a_span_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = [span("sun", "22:00", "06:00", 8)];
        for inside in ["2024-01-07T22:00:00", "2024-01-07T23:59:59", "2024-01-08T00:00:00", "2024-01-08T05:59:59"] {
            assert_eq!(limits_at(&night, USUAL, &at(inside)).associations, 8, "{inside}");
        }
        for outside in ["2024-01-07T05:00:00", "2024-01-08T06:00:00", "2024-01-08T22:00:00"] {
            assert_eq!(limits_at(&night, USUAL, &at(outside)).associations, 4, "{outside}");
        }
    }
}
