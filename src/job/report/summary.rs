//! Studies counted by year, by modality and by reason.

use std::collections::BTreeMap;

use crate::catalog::{Item, ItemState, Reason};

/// Modalities that are told one by one; a source may name what it likes.
const MODALITIES: usize = 200;

/// The studies of one year, or of one modality.
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
    /// Objects that the source lists.
    pub listed: u64,
    /// Those of them that are filed.
    pub filed: u64,
}

impl YearTotals {
    fn add(&mut self, item: &Item) {
        self.total += 1;
        self.listed += u64::from(item.counts.listed);
        self.filed += u64::from(item.counts.filed);
        match item.state {
            ItemState::Proven => self.proven += 1,
            state if state.is_pending() => self.pending += 1,
            _ => self.fallout += 1,
        }
    }
}

/// Counts by year, by modality and by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    years: BTreeMap<Option<i16>, YearTotals>,
    modalities: BTreeMap<String, YearTotals>,
    reasons: Vec<(Reason, u64)>,
}

impl Summary {
    /// Counts one more.
    pub fn add(&mut self, item: &Item) {
        self.years.entry(item.study.study_date.map(|date| date.year())).or_default().add(item);
        let modalities = match item.study.modalities.replace('\\', "+") {
            none if none.is_empty() => "not told".to_owned(),
            new if self.modalities.len() >= MODALITIES && !self.modalities.contains_key(&new) => "others".to_owned(),
            modalities => modalities,
        };
        self.modalities.entry(modalities).or_default().add(item);
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

    /// What the source says of the modalities of its studies: `CT+SR` are studies with both.
    pub fn modalities(&self) -> impl Iterator<Item = (&str, YearTotals)> {
        self.modalities.iter().map(|(modalities, totals)| (modalities.as_str(), *totals))
    }

    /// The most frequent reason first.
    pub fn reasons(&self) -> Vec<(Reason, u64)> {
        let mut reasons = self.reasons.clone();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), reason.as_text()));
        reasons
    }
}
