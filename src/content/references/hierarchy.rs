//! Items that name a study, in it series, and in these objects: when only some of the objects have moved, an item
//! becomes several, and several become one when their objects come together.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::dataset::{Node, Tree, Value};
use crate::dicom::{Tag, Uid, tags};

/// What an item names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A study, by the first element, and series of it in the second one.
    Study(Tag, Tag),
    /// A series.
    Series,
    /// Anything else.
    Other,
}

/// Sequences of objects in an item that names a series.
pub(super) const OBJECTS: [Tag; 4] = [
    tags::REFERENCED_IMAGE_SEQUENCE,
    tags::REFERENCED_SOP_SEQUENCE,
    tags::REFERENCED_INSTANCE_SEQUENCE,
    tags::CONTOUR_IMAGE_SEQUENCE,
];

pub(super) fn names(sequence: Tag, item: &Tree) -> Names {
    match sequence {
        tags::RT_REFERENCED_STUDY_SEQUENCE => {
            Names::Study(tags::REFERENCED_SOP_INSTANCE_UID, tags::RT_REFERENCED_SERIES_SEQUENCE)
        }
        _ if item.contains(tags::STUDY_INSTANCE_UID) && item.contains(tags::REFERENCED_SERIES_SEQUENCE) => {
            Names::Study(tags::STUDY_INSTANCE_UID, tags::REFERENCED_SERIES_SEQUENCE)
        }
        tags::REFERENCED_SERIES_SEQUENCE | tags::RT_REFERENCED_SERIES_SEQUENCE
            if item.contains(tags::SERIES_INSTANCE_UID) =>
        {
            Names::Series
        }
        _ => Names::Other,
    }
}

/// Takes a sequence out of an item; `None` where there is none.
pub(super) fn take(item: &mut Tree, tag: Tag) -> Option<Vec<Tree>> {
    item.get(tag)?.items()?;
    match item.remove(tag) {
        Some(Node { value: Value::Items(items), .. }) => Some(items),
        _ => None,
    }
}

/// Values by key, in the order in which the keys came first.
#[derive(Debug)]
pub(super) struct Groups<K, V> {
    places: HashMap<K, usize>,
    pub(super) groups: Vec<(K, V)>,
}

impl<K: Hash + Eq + Clone, V: Default> Groups<K, V> {
    pub(super) fn new() -> Self {
        Groups { places: HashMap::new(), groups: Vec::new() }
    }

    /// The value of a key; it is made where there is none.
    pub(super) fn of(&mut self, key: K) -> &mut V {
        let next = self.groups.len();
        let place = *self.places.entry(key.clone()).or_insert(next);
        if place == next {
            self.groups.push((key, V::default()));
        }
        match self.groups.get_mut(place) {
            Some((_, value)) => value,
            None => unreachable!("every place that is noted was pushed"),
        }
    }
}

/// Items that name the same study, or the same series, become one.
pub(super) fn merge(sequence: Tag, items: Vec<Tree>) -> Vec<Tree> {
    let mut out: Vec<Tree> = Vec::with_capacity(items.len());
    let mut seen: HashMap<Uid, usize> = HashMap::new();
    let mut grown = Vec::new();
    for mut item in items {
        let (key, inner): (Tag, &[Tag]) = match names(sequence, &item) {
            Names::Study(study, ref series) => (study, &[*series]),
            // The items of a presentation state may be several of one series, each of another class of images.
            Names::Series if !item.contains(tags::REFERENCED_IMAGE_SEQUENCE) => (tags::SERIES_INSTANCE_UID, &OBJECTS),
            _ => {
                out.push(item);
                continue;
            }
        };
        let Some(uid) = item.uid(key) else {
            out.push(item);
            continue;
        };
        let next = out.len();
        let place = *seen.entry(uid).or_insert(next);
        match out.get_mut(place) {
            None => out.push(item),
            Some(first) => {
                for &tag in inner {
                    if let Some(more) = take(&mut item, tag) {
                        let all = first.items_mut(tag);
                        all.extend(more);
                        distinct(all);
                    }
                }
                grown.push(place);
            }
        }
    }
    for place in grown {
        if let Some(item) = out.get_mut(place)
            && let Names::Study(_, series) = names(sequence, item)
            && let Some(inner) = take(item, series)
        {
            item.put_items(series, merge(series, inner));
        }
    }
    out
}

/// An object that is named twice, with nothing else said of it, is named once.
fn distinct(objects: &mut Vec<Tree>) {
    let mut seen = HashSet::new();
    objects.retain(|object| {
        let plain = object.len() == 2 && object.contains(tags::REFERENCED_SOP_CLASS_UID);
        !plain || object.uid(tags::REFERENCED_SOP_INSTANCE_UID).is_none_or(|uid| seen.insert(uid))
    });
}

/// How much memory an item takes, more or less.
pub(in crate::content) fn weight(item: &Tree) -> usize {
    let mut sum = 0;
    let mut open = vec![item];
    while let Some(item) = open.pop() {
        for (_, node) in item.iter() {
            sum += 64;
            match &node.value {
                Value::Bytes(bytes) => sum += bytes.len(),
                Value::Items(items) => open.extend(items),
            }
        }
    }
    sum
}
