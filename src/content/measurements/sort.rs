//! What becomes of each measurement of a report.

use std::collections::{HashMap, HashSet};

use super::items::{Item, Items};
use super::{Leaving, MOST_STEPS, MeasureError};
use crate::dicom::{is_image_class, tags};

/// A Measurement Group (PS3.16 TID 1410, 1411, 1501): what its items refer to, its measurements are of.
const GROUP: (&str, &str) = ("125007", "DCM");
/// An Image Library (TID 1600): a list of images, to which others refer by position.
const LIBRARY: (&str, &str) = ("111028", "DCM");
/// Source series for segmentation.
const SOURCE_SERIES: (&str, &str) = ("121232", "DCM");

/// What becomes of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays in the report.
    Stays,
    /// It is of moved images, and goes with them.
    Moves,
    /// It was calculated with one that does not stay: it goes away.
    Derived,
    /// It is of moved images and of others: it goes away.
    Torn,
}

/// What becomes of the items of a report.
#[derive(Debug)]
pub(super) struct Fates {
    /// By item; `None` for what is no measurement.
    measurements: Vec<Option<Fate>>,
    /// Groups of which every measurement goes, and images of a library that move.
    gone: HashSet<usize>,
    /// What goes to the other report, in the order of the document: measurements, groups, images of a library.
    tops: Vec<usize>,
}

/// How many moved objects something refers to, and how many others; images, and what is none.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    moved: usize,
    stays: usize,
    other_moved: usize,
    other_stays: usize,
}

impl Counts {
    /// What an item refers to by itself.
    fn of(item: &Item, leaving: &Leaving<'_>) -> Counts {
        let mut counts = Counts::default();
        for (class, uid) in item.objects() {
            let image = class.is_none_or(|class| is_image_class(class.as_str()));
            *match (image, leaving.object(&uid)) {
                (true, true) => &mut counts.moved,
                (true, false) => &mut counts.stays,
                (false, true) => &mut counts.other_moved,
                (false, false) => &mut counts.other_stays,
            } += 1;
        }
        if item.is("UIDREF") && item.concept() == Some(SOURCE_SERIES) {
            let whole = item.tree.uid(tags::UID).is_some_and(|uid| leaving.series(&uid));
            *if whole { &mut counts.moved } else { &mut counts.stays } += 1;
        }
        counts
    }

    fn add(&mut self, more: Counts) {
        self.moved += more.moved;
        self.stays += more.stays;
        self.other_moved += more.other_moved;
        self.other_stays += more.other_stays;
    }

    /// Whether images are among them.
    fn images(self) -> bool {
        self.moved + self.stays > 0
    }

    fn fate(self) -> Fate {
        let (moved, stays) =
            if self.images() { (self.moved, self.stays) } else { (self.other_moved, self.other_stays) };
        match (moved, stays) {
            (0, _) => Fate::Stays,
            (_, 0) => Fate::Moves,
            _ => Fate::Torn,
        }
    }
}

impl Fates {
    pub(super) fn of(items: &Items, leaving: &Leaving<'_>) -> Result<Fates, MeasureError> {
        let own = items.0.iter().map(|item| Counts::of(item, leaving)).collect();
        let measurements = (0..items.0.len()).filter(|&index| is(items, index, "NUM")).collect();
        let mut look = Look { items, left: MOST_STEPS, own, measurements, groups: HashMap::new() };
        let mut fates: Vec<Option<Fate>> = vec![None; items.0.len()];
        let mut uses: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, fate) in fates.iter_mut().enumerate().filter(|(index, _)| is(items, *index, "NUM")) {
            let (own, used) = look.measurement(index)?;
            *fate = Some(own);
            uses.insert(index, used);
        }
        settle(&mut fates, &uses);
        let mut fates = Fates { measurements: fates, gone: HashSet::new(), tops: Vec::new() };
        fates.groups(items);
        fates.library(items, leaving);
        fates.tops.sort_unstable();
        fates.tops.dedup();
        Ok(fates)
    }

    pub(super) fn of_measurements(&self) -> impl Iterator<Item = Fate> {
        self.measurements.iter().filter_map(|fate| *fate)
    }

    /// What becomes of a measurement; `None` for anything else.
    pub(super) fn get(&self, index: usize) -> Option<Fate> {
        self.measurements.get(index).copied().flatten()
    }

    /// What goes to the other report.
    pub(super) fn tops(&self) -> &[usize] {
        &self.tops
    }

    fn leaves(&self, index: usize) -> bool {
        self.gone.contains(&index) || self.get(index).is_some_and(|fate| fate != Fate::Stays)
    }

    /// Groups that go as a whole, and what of the rest goes by itself.
    fn groups(&mut self, items: &Items) {
        let mut stay: HashSet<usize> = HashSet::new();
        let mut gone: HashSet<usize> = HashSet::new();
        for index in 0..items.0.len() {
            let Some(fate) = self.get(index) else { continue };
            let group = items.around(index).find(|&around| is_group(items, around));
            if let Some(group) = group {
                let set = if fate == Fate::Stays { &mut stay } else { &mut gone };
                set.insert(group);
            }
            if fate == Fate::Moves {
                let inside = items.around(index).any(|around| self.get(around) == Some(Fate::Moves));
                match group {
                    Some(group) => self.tops.push(group),
                    None if inside => {}
                    None => self.tops.push(index),
                }
            }
        }
        self.gone.extend(gone.difference(&stay));
    }

    /// Images of a library that move, unless something that stays refers to them by position.
    fn library(&mut self, items: &Items, leaving: &Leaving<'_>) {
        let listed = |index: usize| items.around(index).any(|around| concept(items, around) == Some(LIBRARY));
        let moved = |item: &Item| item.objects().any(|(_, uid)| leaving.object(&uid));
        let entries = (0..items.0.len()).filter(|&index| is(items, index, "IMAGE") && listed(index));
        let entries: Vec<usize> = entries.filter(|&index| items.get(index).is_some_and(moved)).collect();
        if self.tops.is_empty() || entries.is_empty() {
            return;
        }
        let staying = |index: usize| !self.leaves(index) && !items.around(index).any(|around| self.leaves(around));
        let pinned: HashSet<usize> =
            (0..items.0.len()).filter(|&index| staying(index)).filter_map(|index| items.get(index)?.refers).collect();
        let free = entries.into_iter().filter(|index| !pinned.contains(index)).collect::<Vec<_>>();
        self.tops.extend(&free);
        self.gone.extend(free);
    }

    /// The report without what goes. Containers that it leaves empty go as well; a measurement that stays within one that
    /// goes takes its place.
    pub(super) fn remaining(&self, mut items: Items) -> Items {
        // From the end, so that what is within an item is settled before the item is.
        for index in (1..items.0.len()).rev() {
            if !self.leaves(index) {
                continue;
            }
            let mut kept = Vec::new();
            let mut open = items.get(index).map(|item| item.children.clone()).unwrap_or_default();
            while let Some(below) = open.pop() {
                if self.get(below) == Some(Fate::Stays) {
                    kept.push(below);
                } else if let Some(item) = items.get(below) {
                    open.extend(&item.children);
                }
            }
            kept.sort_unstable();
            self.replace(&mut items, index, &kept);
        }
        items
    }

    /// Takes an item out, puts others in its place, and takes out the container that this leaves without content.
    fn replace(&self, items: &mut Items, index: usize, by: &[usize]) {
        let Some(parent) = items.get(index).and_then(|item| item.parent) else { return };
        for &index in by {
            if let Some(item) = items.0.get_mut(index) {
                item.parent = Some(parent);
                item.tree.put_text(tags::RELATIONSHIP_TYPE, "CONTAINS");
            }
        }
        if let Some(item) = items.0.get_mut(parent)
            && let Some(place) = item.children.iter().position(|&child| child == index)
        {
            item.children.splice(place..=place, by.iter().copied());
        }
        let contains = |index: &usize| items.get(*index).is_some_and(|item| item.relation() == "CONTAINS");
        let empty = items
            .get(parent)
            .is_some_and(|item| item.parent.is_some() && item.is("CONTAINER") && !item.children.iter().any(contains));
        if empty && !self.leaves(parent) {
            self.replace(items, parent, &[]);
        }
    }
}

/// What was calculated with a measurement that does not stay cannot stay, nor go with what it needs elsewhere.
fn settle(fates: &mut [Option<Fate>], uses: &HashMap<usize, Vec<usize>>) {
    let mut users: HashMap<usize, Vec<usize>> = HashMap::new();
    for (&user, used) in uses {
        for &used in used {
            users.entry(used).or_default().push(user);
        }
    }
    let mut open: Vec<usize> = uses.keys().copied().collect();
    while let Some(index) = open.pop() {
        let of = |index: &usize| fates.get(*index).copied().flatten();
        let used = uses.get(&index).map(Vec::as_slice).unwrap_or_default();
        let void = match of(&index) {
            Some(Fate::Stays) => used.iter().any(|used| of(used) != Some(Fate::Stays)),
            Some(Fate::Moves) => used.iter().any(|used| of(used) != Some(Fate::Moves)),
            _ => false,
        };
        if void && let Some(fate) = fates.get_mut(index) {
            *fate = Some(Fate::Derived);
            open.extend(users.get(&index).into_iter().flatten());
        }
    }
}

struct Look<'a> {
    items: &'a Items,
    left: usize,
    /// What each item refers to by itself.
    own: Vec<Counts>,
    measurements: HashSet<usize>,
    /// What was found of groups.
    groups: HashMap<usize, Counts>,
}

impl Look<'_> {
    /// What would become of a measurement by itself, and the measurements that it was calculated with.
    fn measurement(&mut self, index: usize) -> Result<(Fate, Vec<usize>), MeasureError> {
        let (mut counts, used) = self.counts(self.items.meant(index).collect())?;
        // A calculation is of images only if it says so itself.
        if !counts.images()
            && used.is_empty()
            && let Some(group) = self.items.around(index).find(|&around| is_group(self.items, around))
        {
            let of_group = self.group(group)?;
            if of_group.images() || counts.fate() == Fate::Stays {
                counts = of_group;
            }
        }
        Ok((counts.fate(), used))
    }

    fn group(&mut self, group: usize) -> Result<Counts, MeasureError> {
        if let Some(counts) = self.groups.get(&group) {
            return Ok(*counts);
        }
        let about = self.items.meant(group).filter(|&index| !is(self.items, index, "NUM"));
        let about = about.filter(|&index| !is(self.items, index, "CONTAINER")).collect();
        let (counts, _) = self.counts(about)?;
        self.groups.insert(group, counts);
        Ok(counts)
    }

    /// What is referred to in these items and below them, and which measurements there are; what is below those is theirs.
    fn counts(&mut self, mut open: Vec<usize>) -> Result<(Counts, Vec<usize>), MeasureError> {
        let (mut counts, mut used, mut seen) = (Counts::default(), Vec::new(), HashSet::new());
        while let Some(index) = open.pop() {
            self.left = self.left.checked_sub(1).ok_or(MeasureError::TooTangled)?;
            if !seen.insert(index) {
                continue;
            }
            if self.measurements.contains(&index) {
                used.push(index);
                continue;
            }
            counts.add(self.own.get(index).copied().unwrap_or_default());
            open.extend(self.items.meant(index));
        }
        Ok((counts, used))
    }
}

pub(super) fn is(items: &Items, index: usize, value_type: &str) -> bool {
    items.get(index).is_some_and(|item| item.is(value_type))
}

fn concept(items: &Items, index: usize) -> Option<(&str, &str)> {
    items.get(index).and_then(Item::concept)
}

pub(super) fn is_group(items: &Items, index: usize) -> bool {
    is(items, index, "CONTAINER") && concept(items, index) == Some(GROUP)
}
