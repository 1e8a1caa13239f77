//! How the studies of a source are enumerated: windows of study date from the newest backwards, split when an answer
//! looks cut. Pure: the driver ([`super::listing`]) asks and stores, this decides what to ask next.
//!
//! Old PACS cap their answers, often silently. What tells is not the number but the comparison: a source that once
//! returned more rows than this answer holds did not cut it at this size. So every answer that is larger than any
//! proven one is held against the answers to its parts, and either raises what is trusted or reveals the cap.

mod keys;

use serde::{Deserialize, Serialize};

use crate::dicom::{Date, DateRange, Status};

pub use keys::{Keys, Role};

/// What is known of the source and how far the chain of windows has come; kept in the catalog between two windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The days that the job is about.
    bounds: DateRange,
    /// Where the next window of the chain ends; `None` when the chain is at its end.
    frontier: Option<Date>,
    /// Days in the next window of the chain.
    width: i64,
    /// The largest answer that was shown not to be cut. A smaller one was not cut either; an equal one may have been,
    /// if the archive happened to hold just as many as the cap allows.
    trusted: usize,
    /// Answers of this size are cut: configured, or found out.
    cap: Option<usize>,
    /// Whether the cap is the administrator's word, so that smaller answers need no proof.
    stated: bool,
    /// The source ignores Study Time keys, or falls silent over them.
    time_unusable: bool,
    /// The source answers with studies of other days than the ones asked for.
    date_ignored: bool,
}

/// What the driver saw of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Rows, whatever they hold.
    pub rows: usize,
    /// Different Study Instance UIDs in them.
    pub distinct: usize,
    /// Rows whose Study Date lies outside the days that were asked for.
    pub outside_days: usize,
    /// Rows whose Study Time lies outside the times that were asked for.
    pub outside_times: usize,
    /// Rows without a Study Time.
    pub untimed: usize,
    /// The final status, or `None` if the source fell silent.
    pub status: Option<Status>,
    /// Studies of this job that are listed by now (for the last sweep).
    pub known: usize,
}

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Ask these as well, then call [`Plan::probed`].
    Probe(Vec<Keys>),
    /// This window is done with.
    Done {
        /// How it ended.
        verdict: Verdict,
        /// For people.
        detail: String,
        /// What is to be asked instead, or next.
        next: Vec<Keys>,
    },
}

/// How a window ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All that the source has for it is listed.
    Listed,
    /// It was cut; smaller windows take its place.
    Split,
    /// It was cut, or refused, and cannot be made smaller.
    Failed,
}

impl Verdict {
    /// As the catalog keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Listed => "listed",
            Verdict::Split => "split",
            Verdict::Failed => "failed",
        }
    }
}

const FIRST_WIDTH: i64 = 4;
const WIDEST: i64 = 3650;
/// A window aims at no more rows than this, so that pulling starts early and a cap is rarely met.
const MANY: usize = 1000;
const FEW: usize = 200;
/// Answers below this are not worth dozens of queries to be proven whole.
const HANDFUL: usize = 20;
/// Before this year one open window is enough.
const EPOCH: i16 = 1950;

impl Plan {
    /// The plan of a job about these days, and its first windows. `cap` is what the source is configured to cap at.
    pub fn new(bounds: DateRange, today: Date, cap: Option<usize>) -> (Plan, Vec<Keys>) {
        let mut plan = Plan {
            bounds,
            frontier: None,
            width: FIRST_WIDTH,
            trusted: 0,
            cap,
            stated: cap.is_some(),
            time_unusable: false,
            date_ignored: false,
        };
        let tomorrow = today.plus_days(1);
        // Clocks that were wrong left studies in the future; they are the newest ones.
        let first = match bounds.to {
            Some(to) if to <= today => {
                plan.frontier = Some(to);
                plan.next_of_chain()
            }
            to if bounds.from.is_some_and(|from| from > today) => {
                Some(Keys::days(Role::Chain, DateRange { from: bounds.from, to }))
            }
            to => {
                plan.frontier = Some(today);
                Some(Keys::days(Role::Chain, DateRange { from: Some(tomorrow), to }))
            }
        };
        (plan, first.into_iter().collect())
    }

    /// What the source is known to cap its answers at.
    pub fn cap(&self) -> Option<usize> {
        self.cap
    }

    /// Judges the answer to `keys`.
    pub fn answered(&mut self, keys: &Keys, answer: &Answer) -> Judgement {
        if keys.time.is_some() && (answer.outside_times > 0 || answer.status.is_none()) {
            self.time_unusable = true;
            return self.split(keys, "the source cannot be asked by Study Time");
        }
        let Some(status) = answer.status else {
            return self.split(keys, "the source did not answer in time");
        };
        if answer.outside_days > 0 && !keys.range.key().is_empty() {
            // Nothing is gained by asking for other days; the sweep at the end asks in other ways.
            self.date_ignored = true;
            self.frontier = None;
        }
        if status != Status::SUCCESS {
            return self
                .split(keys, &format!("the source ended its answer with status {status} after {} rows", answer.rows));
        }
        if self.cap.is_some_and(|cap| answer.rows >= cap) {
            return self.split(keys, &format!("{} rows are what the source caps its answers at", answer.rows));
        }
        let sweep_shows_all =
            keys.role == Role::Sweep && keys.prefix.is_none() && answer.distinct >= answer.known && !self.date_ignored;
        let chain_is_moot = self.date_ignored && keys.role != Role::Sweep;
        if self.stated || answer.rows < 2 || answer.rows < self.trusted || sweep_shows_all || chain_is_moot {
            return self.listed(keys, answer.rows);
        }
        self.probe(keys, keys, answer.rows)
    }

    /// Judges an answer that was suspicious for its size by the answers to its parts; `union` is the number of
    /// different studies in them.
    pub fn probed(&mut self, keys: &Keys, whole: &Answer, parts: &[(Keys, Answer)], union: usize) -> Judgement {
        if parts.iter().any(|(part, a)| part.time.is_some() && (a.outside_times > 0 || a.status.is_none())) {
            self.time_unusable = true;
            return self.probe(keys, keys, whole.rows);
        }
        if union > whole.distinct {
            self.cap = Some(self.cap.map_or(whole.rows, |cap| cap.min(whole.rows)));
            return self.split(keys, &format!("the source caps its answers at {} rows without saying so", whole.rows));
        }
        let mut filled = parts.iter().filter(|(_, answer)| answer.rows > 0);
        if let (Some((part, answer)), None) = (filled.next(), filled.next())
            && answer.rows >= whole.rows
        {
            // Everything lies in one part, so that nothing was compared yet: look closer.
            return self.probe(keys, part, whole.rows);
        }
        if union < whole.distinct && parts.iter().all(|(part, _)| part.prefix.is_some()) {
            // Patient IDs that end here, or go on with something unheard of: nothing was proven.
            return self.failed(keys);
        }
        self.trusted = self.trusted.max(whole.rows);
        self.listed(keys, whole.rows)
    }

    fn failed(&mut self, keys: &Keys) -> Judgement {
        let detail = "it could not be shown that the source listed everything".to_owned();
        Judgement::Done { verdict: Verdict::Failed, detail, next: self.after(keys) }
    }

    /// Asks for the parts of `part` (which holds all that `keys` brought), if there are any that are worth it.
    fn probe(&mut self, keys: &Keys, part: &Keys, rows: usize) -> Judgement {
        match part.parts(self.time_unusable) {
            // Many queries to prove a handful of rows: no source caps that low.
            parts if parts.len() > 2 && rows < HANDFUL => self.listed(keys, rows),
            parts if parts.is_empty() => self.failed(keys),
            parts => Judgement::Probe(parts),
        }
    }

    fn listed(&mut self, keys: &Keys, rows: usize) -> Judgement {
        if rows > MANY {
            self.width = (self.width / 2).max(1);
        } else if rows < FEW {
            self.width = (self.width * 2).min(WIDEST);
        }
        let next = self.after(keys);
        Judgement::Done { verdict: Verdict::Listed, detail: String::new(), next }
    }

    fn split(&mut self, keys: &Keys, why: &str) -> Judgement {
        self.width = (self.width / 2).max(1);
        let mut next = keys.split(self.time_unusable);
        let verdict = if next.is_empty() { Verdict::Failed } else { Verdict::Split };
        next.extend(self.after(keys));
        Judgement::Done { verdict, detail: why.to_owned(), next }
    }

    /// What the chain asks next when one of its own windows is done with.
    fn after(&mut self, keys: &Keys) -> Vec<Keys> {
        if keys.role != Role::Chain {
            return Vec::new();
        }
        match self.next_of_chain() {
            Some(next) => vec![next],
            // Studies without a date, or with a malformed one, lie in no window: look for them last, by other keys.
            None if self.bounds == DateRange::default() => vec![Keys::days(Role::Sweep, DateRange::default())],
            None => Vec::new(),
        }
    }

    fn next_of_chain(&mut self) -> Option<Keys> {
        let to = self.frontier?;
        if self.bounds.from.is_some_and(|from| to < from) {
            self.frontier = None;
            return None;
        }
        let mut from = Some(to.plus_days(1 - self.width));
        if from.is_some_and(|f| f.year() < EPOCH) {
            from = None;
        }
        if self.bounds.from.is_some() && (from.is_none() || from < self.bounds.from) {
            from = self.bounds.from;
        }
        self.frontier = from.filter(|f| Some(*f) != self.bounds.from).map(|f| f.plus_days(-1));
        Some(Keys::days(Role::Chain, DateRange { from, to: Some(to) }))
    }
}

#[cfg(test)]
mod tests;
