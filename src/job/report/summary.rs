//! Studies counted by year and by reason.

use std::collections::BTreeMap;

use crate::catalog::{Item, ItemState, Reason};

/// The studies of one year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct YearTotals {
    /// All.
    pub total: u64,
    /// Those that are proven.
    pub proven: u64,
    /// Those that ended without proof.
    pub fallout: u64,
    /// Those about which something is still to be done.
    pub pending: u64,
}

/// Counts by year and by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    years: BTreeMap<Option<i16>, YearTotals>,
    reasons: Vec<(Reason, u64)>,
}

impl Summary {
    /// Counts one more.
    pub fn add(&mut self, item: &Item) {
        let year = self.years.entry(item.study.study_date.map(|date| date.year())).or_default();
        year.total += 1;
        match item.state {
            ItemState::Proven => year.proven += 1,
            state if state.is_pending() => year.pending += 1,
            _ => year.fallout += 1,
        }
        let over = !item.state.is_pending() && item.state != ItemState::Proven;
        if let Some(reason) = item.reason.filter(|_| over) {
            match self.reasons.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += 1,
                None => self.reasons.push((reason, 1)),
            }
        }
    }

    /// The newest year first, studies without a date last (`None`).
    pub fn years(&self) -> impl Iterator<Item = (Option<i16>, YearTotals)> {
        self.years.iter().rev().map(|(year, totals)| (*year, *totals))
    }

    /// The most frequent reason first.
    pub fn reasons(&self) -> Vec<(Reason, u64)> {
        let mut reasons = self.reasons.clone();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), reason.as_text()));
        reasons
    }
}
