//! Which UID becomes which.

use std::collections::HashMap;

use super::super::tree::{Tree, Value, uid_bytes};
use crate::dicom::{Tag, Uid, tags};

/// What a UID is the UID of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UidKind {
    /// A study.
    Study,
    /// A series.
    Series,
    /// A SOP instance.
    Instance,
}

/// Old UIDs and the new ones that replace them. By kind, since a study and a series can bear one UID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UidMap(HashMap<(UidKind, Uid), Uid>);

impl UidMap {
    /// Has one UID replaced by another.
    pub fn insert(&mut self, kind: UidKind, old: Uid, new: Uid) {
        self.0.insert((kind, old), new);
    }

    /// What a UID is replaced by.
    pub fn get(&self, kind: UidKind, old: &Uid) -> Option<&Uid> {
        self.0.get(&(kind, old.clone()))
    }

    /// Whether no UID is replaced.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many UIDs are replaced.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Kind, old UID, new UID, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (UidKind, &Uid, &Uid)> {
        self.0.iter().map(|((kind, old), new)| (*kind, old, new))
    }

    /// The value of a UI element with its UIDs replaced, of the first of these kinds that knows each; `None` where none
    /// is replaced.
    pub(super) fn replaced(&self, kinds: &[UidKind], value: &[u8]) -> Option<Vec<u8>> {
        let mut changed = false;
        let mut out = Vec::with_capacity(value.len());
        for (index, part) in value.split(|&b| b == b'\\').enumerate() {
            if index > 0 {
                out.push(b'\\');
            }
            let old = Uid::from_bytes(part);
            match kinds.iter().find_map(|&kind| self.get(kind, &old)) {
                Some(new) => {
                    changed |= *new != old;
                    out.extend(uid_bytes(new));
                }
                None => out.extend_from_slice(part),
            }
        }
        changed.then_some(out)
    }
}

impl UidMap {
    /// Whether a UID in these items is replaced. Recurses as deep as they were read.
    pub(super) fn touches(&self, sequence: Tag, items: &[Tree]) -> bool {
        items.iter().any(|item| {
            let name = item.item(tags::CONCEPT_NAME_CODE_SEQUENCE);
            let concept = name.and_then(|name| name.bytes(tags::CODE_VALUE)).and_then(concept);
            item.iter().any(|(tag, node)| match &node.value {
                Value::Items(items) => self.touches(tag, items),
                Value::Bytes(bytes) if node.vr == *b"UI" => {
                    self.replaced(kinds_of(tag, Some(sequence), concept), bytes).is_some()
                }
                Value::Bytes(_) => false,
            })
        })
    }
}

/// What the UIDs of an element may be the UIDs of, the likeliest first. `sequence` is the sequence around it, `concept`
/// what the content item around it says of its value.
pub(super) fn kinds_of(tag: Tag, sequence: Option<Tag>, concept: Option<UidKind>) -> &'static [UidKind] {
    use UidKind::{Instance, Series, Study};
    match (tag, sequence, concept) {
        (tags::STUDY_INSTANCE_UID, ..) => &[Study],
        (tags::SERIES_INSTANCE_UID, ..) => &[Series],
        (
            tags::REFERENCED_SOP_INSTANCE_UID,
            Some(tags::REFERENCED_STUDY_SEQUENCE | RT_REFERENCED_STUDY_SEQUENCE),
            _,
        ) => &[Study],
        (
            tags::SOP_INSTANCE_UID
            | tags::REFERENCED_SOP_INSTANCE_UID
            | tags::MULTI_FRAME_SOURCE_SOP_INSTANCE_UID
            | tags::SOP_INSTANCE_UID_OF_CONCATENATION_SOURCE,
            ..,
        ) => &[Instance],
        (tags::UID, _, Some(Study)) => &[Study],
        (tags::UID, _, Some(Series)) => &[Series],
        (tags::UID, _, Some(Instance)) => &[Instance],
        (tags::UID, ..) => &[Instance, Series, Study],
        _ => &[],
    }
}

const RT_REFERENCED_STUDY_SEQUENCE: Tag = tags::RT_REFERENCED_STUDY_SEQUENCE;

/// What the value of a content item is, by the code of its concept name (PS3.16 annex D).
pub(super) fn concept(code: &[u8]) -> Option<UidKind> {
    match code.trim_ascii_end() {
        b"110180" => Some(UidKind::Study),
        b"112002" => Some(UidKind::Series),
        b"121126" => Some(UidKind::Instance),
        _ => None,
    }
}
