//! The keys of one query of the plan, and how a query is made smaller.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dicom::{Date, DateRange};

/// Why a query is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// One of the chain of windows that goes back in time; the next one follows from it.
    Chain,
    /// A part of a window that was cut.
    Part,
    /// The last look at everything, whatever its date.
    Sweep,
}

/// The matching keys of one STUDY query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Why it is asked.
    pub role: Role,
    /// Study Date (0008,0020).
    pub range: DateRange,
    /// Study Time (0008,0030): seconds of the day, both ends included. Only with a single day, since sources match
    /// date and time independently.
    pub time: Option<(u32, u32)>,
    /// Modalities in Study (0008,0061).
    pub modality: Option<String>,
    /// Beginning of Patient ID (0010,0020).
    pub prefix: Option<String>,
}

const LAST_SECOND: u32 = 86_399;
/// Below a minute nothing is gained by asking for less time.
const SHORTEST: u32 = 60;
const LONGEST_PREFIX: usize = 10;
const EARLIEST: &str = "18000101";
const LATEST: &str = "99991231";

/// What Modalities in Study holds in the field (PS3.3 C.7.3.1.1.1, retired terms too).
const MODALITIES: [&str; 44] = [
    "CT", "MR", "US", "CR", "DX", "MG", "XA", "RF", "NM", "PT", "OT", "SC", "SR", "PR", "KO", "ES", "IO", "PX", "RG",
    "XC", "GM", "SM", "OP", "OPT", "OPM", "IVUS", "IVOCT", "ECG", "HD", "EPS", "RTIMAGE", "RTPLAN", "RTSTRUCT",
    "RTDOSE", "RTRECORD", "DOC", "SEG", "REG", "BMD", "BI", "TG", "LS", "AU", "PLAN",
];

/// Many a source takes this for a wildcard of its database, or trims it away: a beginning that holds nothing else would
/// match everything, and so would all that follow it.
const LOOSE: [char; 2] = ['_', ' '];

/// What a Patient ID may begin with or go on with.
fn alphabet() -> impl Iterator<Item = char> {
    ('0'..='9').chain('A'..='Z').chain('a'..='z').chain(['-', '.', '/', '#', '+', '^', ':']).chain(LOOSE)
}

impl Keys {
    /// Days and nothing else.
    pub fn days(role: Role, range: DateRange) -> Keys {
        Keys { role, range, time: None, modality: None, prefix: None }
    }

    /// Where the window stands in the order of asking: the newest first, sweeps last.
    pub fn seq(&self) -> i64 {
        if self.role == Role::Sweep {
            return i64::MAX / 2;
        }
        let days = Date::parse(EARLIEST).map_or(0, |e| e.days_until(self.range.to.unwrap_or_else(latest)));
        let second = self.time.map_or(LAST_SECOND, |(_, to)| to);
        -(days * 100_000 + i64::from(second))
    }

    /// Smaller queries that together ask the same: halves of the days, then of the time (the newer one first), then
    /// each modality, then each beginning of a patient ID. Empty when nothing is left to divide by.
    pub fn parts(&self, time_unusable: bool) -> Vec<Keys> {
        if self.role != Role::Sweep && self.modality.is_none() {
            if let Some(halves) = self.halves(time_unusable) {
                return halves.to_vec();
            }
            // Where time is of no use, the whole day is asked for in another way.
            let time = self.time.filter(|_| !time_unusable);
            return Keys { time, ..self.clone() }.by_modality();
        }
        let prefix = self.prefix.clone().unwrap_or_default();
        if prefix.chars().count() >= LONGEST_PREFIX {
            return Vec::new();
        }
        alphabet()
            // A leading space would be trimmed away and match everything.
            .filter(|c| !(prefix.is_empty() && *c == ' '))
            .filter(|c| !(prefix.ends_with(LOOSE) && LOOSE.contains(c)))
            .map(|c| Keys { prefix: Some(format!("{prefix}{c}")), ..self.clone() })
            .collect()
    }

    /// What to ask in place of a query that was cut.
    pub fn split(&self, time_unusable: bool) -> Vec<Keys> {
        let mut parts = self.parts(time_unusable);
        if self.range.is_day() && self.time.is_none() && self.modality.is_none() && !time_unusable {
            // Studies without a time match no range of times.
            parts.extend(self.by_modality());
        }
        parts
    }

    fn halves(&self, time_unusable: bool) -> Option<[Keys; 2]> {
        let part = |range, time| Keys { role: Role::Part, range, time, modality: None, prefix: None };
        let (from, to) = (self.range.from.unwrap_or_else(earliest), self.range.to.unwrap_or_else(latest));
        if from < to {
            let middle = from.plus_days(from.days_until(to) / 2);
            return Some([
                part(DateRange { from: Some(middle.plus_days(1)), to: Some(to) }, None),
                part(DateRange { from: Some(from), to: Some(middle) }, None),
            ]);
        }
        let (from, to) = self.time.unwrap_or((0, LAST_SECOND));
        if time_unusable || to - from < SHORTEST {
            return None;
        }
        let middle = from + (to - from) / 2;
        Some([part(self.range, Some((middle + 1, to))), part(self.range, Some((from, middle)))])
    }

    fn by_modality(&self) -> Vec<Keys> {
        MODALITIES.iter().map(|m| Keys { role: Role::Part, modality: Some((*m).to_owned()), ..self.clone() }).collect()
    }

    /// The value of the Study Time key; zero-length when any time will do.
    pub fn time_key(&self) -> String {
        let clock = |s: u32| format!("{:02}{:02}{:02}", s / 3600, s / 60 % 60, s % 60);
        match self.time {
            // The last second of the day may have a fraction.
            Some((from, LAST_SECOND)) => format!("{}-235959.999999", clock(from)),
            Some((from, to)) => format!("{}-{}.999999", clock(from), clock(to)),
            None => String::new(),
        }
    }

    /// Whether a Study Time (TM value) lies in the times asked for.
    pub fn takes_time(&self, value: &str) -> bool {
        let Some((from, to)) = self.time else { return true };
        let digits: String = value.chars().filter(char::is_ascii_digit).take(6).collect();
        let field = |at: usize| digits.get(at..at + 2).and_then(|f| f.parse::<u32>().ok()).unwrap_or(0);
        if digits.len() < 2 {
            return true;
        }
        let second = field(0) * 3600 + field(2) * 60 + field(4);
        (from..=to).contains(&second)
    }
}

/// For people: "2021-11-17 to 2021-11-20, modality CT".
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.range.from, self.range.to) {
            (Some(a), Some(b)) if a == b => f.write_str(&a.iso())?,
            (Some(a), Some(b)) => write!(f, "{} to {}", a.iso(), b.iso())?,
            (Some(a), None) => write!(f, "{} and later", a.iso())?,
            (None, Some(b)) => write!(f, "{} and earlier", b.iso())?,
            (None, None) => f.write_str("any date or none")?,
        }
        if self.time.is_some() {
            write!(f, ", time {}", self.time_key())?;
        }
        if let Some(modality) = &self.modality {
            write!(f, ", modality {modality}")?;
        }
        if let Some(prefix) = &self.prefix {
            // A patient ID is patient data even in part: only its length is told.
            write!(f, ", patient IDs by their first {} characters", prefix.chars().count())?;
        }
        Ok(())
    }
}

fn earliest() -> Date {
    Date::parse(EARLIEST).unwrap_or_else(|_| Date::today())
}

fn latest() -> Date {
    Date::parse(LATEST).unwrap_or_else(|_| Date::today())
}
