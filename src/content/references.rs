//! Which objects refer to which, and what their references have to say after a move: presentation states, key objects,
//! reports, segmentations, parametric maps, RT objects, and images that name other images.

mod companions;
mod hierarchy;
mod repair;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use super::document::hierarchical;
use crate::dataset::{Tree, Value};
use crate::dicom::{SeriesInstanceUid, SopInstanceUid, StudyInstanceUid, Tag, Uid, tags};

pub(super) use hierarchy::weight;

pub use companions::{companions, is_companion_class};
pub use repair::{Owner, RepairError, Repaired, repair};

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The study.
    pub study: StudyInstanceUid,
    /// The series.
    pub series: SeriesInstanceUid,
}

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Its new UID; the old one if it keeps it.
    pub uid: SopInstanceUid,
    /// Where it goes.
    pub to: Place,
}

/// Everything that moves, by its old UIDs; by level, since a study and a series can bear one UID.
#[derive(Debug, Clone, Default)]
pub struct Moves {
    instances: HashMap<Uid, Move>,
    series: HashMap<Uid, Place>,
    studies: HashMap<Uid, StudyInstanceUid>,
}

impl Moves {
    /// Nothing moves yet.
    pub fn new() -> Moves {
        Moves::default()
    }

    /// An object moves.
    pub fn instance(&mut self, old: &SopInstanceUid, new: Move) -> &mut Self {
        self.instances.insert((**old).clone(), new);
        self
    }

    /// All of a series moves, so that what names only the series follows as well.
    pub fn series(&mut self, old: &SeriesInstanceUid, to: Place) -> &mut Self {
        self.series.insert((**old).clone(), to);
        self
    }

    /// All of a study moves.
    pub fn study(&mut self, old: &StudyInstanceUid, to: StudyInstanceUid) -> &mut Self {
        self.studies.insert((**old).clone(), to);
        self
    }

    /// What becomes of an object; `None` if it stays as it is.
    pub fn of(&self, instance: &Uid) -> Option<&Move> {
        self.instances.get(instance)
    }

    /// Whether an object leaves a study. One that is replaced where it is gets another UID and stays.
    pub fn takes(&self, instance: &Uid, from: &Uid) -> bool {
        self.of(instance).is_some_and(|new| *new.to.study != *from)
    }

    /// Whether all of a series leaves a study.
    pub fn takes_series(&self, series: &Uid, from: &Uid) -> bool {
        self.series.get(series).is_some_and(|to| *to.study != *from)
    }

    /// How many objects move.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether no object moves.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }
}

/// The objects that an object refers to, itself and its predecessors excepted.
pub fn referred(object: &Tree) -> BTreeSet<SopInstanceUid> {
    let own = object.uid(tags::SOP_INSTANCE_UID);
    let mut found = BTreeSet::new();
    // What is still to be looked at: items, with the sequence that they are of.
    let mut open: Vec<(Option<Tag>, &Tree)> = vec![(None, object)];
    while let Some((sequence, item)) = open.pop() {
        if let Some(sequence) = sequence {
            found.extend(INSTANCES.iter().filter_map(|&tag| instance(sequence, tag, item)).map(SopInstanceUid::from));
        }
        for (tag, node) in item.iter() {
            if let Value::Items(items) = &node.value
                && !is_history(tag)
                && tag != tags::PREDECESSOR_DOCUMENTS_SEQUENCE
            {
                open.extend(items.iter().map(|item| (Some(tag), item)));
            }
        }
    }
    found.retain(|uid| own.as_ref().is_none_or(|own| **uid != *own));
    found
}

/// Objects by study and series, as Hierarchical SOP Instance Reference lists them (PS3.3 table C.17-3).
pub(super) fn merge_places(objects: impl IntoIterator<Item = (Place, Tree)>) -> Vec<Tree> {
    let mut places: hierarchy::Groups<Place, Vec<Tree>> = hierarchy::Groups::new();
    for (place, object) in objects {
        places.of(place).push(object);
    }
    merge_evidence(places.groups.into_iter().map(|(place, objects)| hierarchical(&place, objects)).collect())
}

/// Lists of objects by study and series: each study, series and object once.
pub(super) fn merge_evidence(items: Vec<Tree>) -> Vec<Tree> {
    hierarchy::merge(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, items)
}

/// Elements whose value is the UID of an object.
const INSTANCES: [Tag; 3] = [
    tags::REFERENCED_SOP_INSTANCE_UID,
    tags::MULTI_FRAME_SOURCE_SOP_INSTANCE_UID,
    tags::SOP_INSTANCE_UID_OF_CONCATENATION_SOURCE,
];

/// The object that an element in an item of a sequence refers to; `None` where it is a study, a visit, a step.
fn instance(sequence: Tag, tag: Tag, item: &Tree) -> Option<Uid> {
    let uid = item.uid(tag)?;
    let managed = || item.uid(tags::REFERENCED_SOP_CLASS_UID).is_some_and(|class| class.as_str().starts_with(MANAGED));
    (!is_study(sequence) && !managed()).then_some(uid)
}

/// SOP classes of what is managed rather than stored: patients, visits, studies, procedure steps.
const MANAGED: &str = "1.2.840.10008.3.1.2.";

/// Whether Referenced SOP Instance UID is the UID of a study in the items of this sequence.
fn is_study(sequence: Tag) -> bool {
    matches!(sequence, tags::REFERENCED_STUDY_SEQUENCE | tags::RT_REFERENCED_STUDY_SEQUENCE)
}

/// Whether a sequence tells of the past, of the order, or is not the standard's: nothing in it is repaired.
fn is_history(tag: Tag) -> bool {
    tag.group() % 2 == 1
        || matches!(
            tag,
            tags::ORIGINAL_ATTRIBUTES_SEQUENCE
                | tags::MODIFIED_ATTRIBUTES_SEQUENCE
                | tags::ENCRYPTED_ATTRIBUTES_SEQUENCE
                | tags::REFERENCED_REQUEST_SEQUENCE
                | tags::REQUEST_ATTRIBUTES_SEQUENCE
        )
}
