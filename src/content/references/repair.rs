//! The references of one object, as they have to be after a move.

use std::collections::{BTreeMap, HashSet};

use super::hierarchy::{Groups, Names, OBJECTS, merge, names, take, weight};
use super::{INSTANCES, Moves, Place, instance, is_history, is_study};
use crate::dataset::{Tree, Value};
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid, Tag, Uid, tags};

/// What splitting items may add to an object. Real ones add some bytes a series.
const MOST_ADDED: usize = 16 * 1024 * 1024;

/// The study of the object whose references are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Before the move.
    pub before: &'a StudyInstanceUid,
    /// Behind it: the same if the object stays.
    pub after: &'a StudyInstanceUid,
}

/// An object whose references were repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The whole of it.
    pub tree: Tree,
    /// The elements of the data set itself that are different.
    pub changed: Vec<Tag>,
    /// Those among them that take more than another UID of an object here and there.
    pub structured: Vec<Tag>,
    /// How many references to moved objects there were.
    pub references: usize,
}

impl Repaired {
    /// The elements to put where the UIDs of objects are replaced anyhow, by a map of them: what is left to be done. The
    /// UIDs of series and studies must not be replaced by such a map: of a series, some objects may stay.
    pub fn patch(&self) -> Tree {
        let mut patch = Tree::new();
        for &tag in &self.structured {
            if let Some(node) = self.tree.get(tag) {
                patch.put(tag, node.clone());
            }
        }
        patch
    }

    /// The elements that are gone.
    pub fn gone(&self) -> impl Iterator<Item = Tag> {
        self.structured.iter().copied().filter(|&tag| !self.tree.contains(tag))
    }
}

/// Why references were not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Splitting items makes copies of what else is in them; here they would fill the memory.
    #[error("its references to moved objects cannot be told apart by study without more than {MOST_ADDED} bytes more")]
    TooLarge,
}

/// Repairs the references of an object; `None` if none of them has to be.
pub fn repair(object: &Tree, owner: Owner<'_>, moves: &Moves) -> Result<Option<Repaired>, RepairError> {
    let mut work = Work { moves, owner, references: 0, left: MOST_ADDED };
    let mut tree = object.clone();
    let (series, others) = (
        take(&mut tree, tags::REFERENCED_SERIES_SEQUENCE),
        take(&mut tree, tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE),
    );
    // The study's own attributes, and its order, are not references of the object.
    let study = tree.remove(tags::REFERENCED_STUDY_SEQUENCE);
    work.inside(&mut tree, owner.before)?;
    if let Some(study) = study {
        tree.put(tags::REFERENCED_STUDY_SEQUENCE, study);
    }
    work.instances(&mut tree, series, others)?;
    let tags: Vec<Tag> = object.iter().map(|(tag, _)| tag).chain(tree.iter().map(|(tag, _)| tag)).collect();
    let mut changed: Vec<Tag> = tags.into_iter().filter(|&tag| object.get(tag) != tree.get(tag)).collect();
    changed.sort_unstable();
    changed.dedup();
    if changed.is_empty() {
        return Ok(None);
    }
    let structured = changed.iter().copied().filter(|&tag| !is_plain(object, &tree, tag, moves)).collect();
    Ok(Some(Repaired { tree, changed, structured, references: work.references }))
}

struct Work<'a> {
    moves: &'a Moves,
    owner: Owner<'a>,
    references: usize,
    /// What copies may still take.
    left: usize,
}

impl Work<'_> {
    /// Repairs everything in the sequences of an item. Recurses as deep as the reader of trees has read, which is bounded.
    fn inside(&mut self, item: &mut Tree, study: &Uid) -> Result<(), RepairError> {
        for (tag, node) in item.iter_mut() {
            if let Value::Items(items) = &mut node.value
                && !is_history(tag)
            {
                *items = self.sequence(tag, std::mem::take(items), study)?;
            }
        }
        Ok(())
    }

    fn sequence(&mut self, tag: Tag, items: Vec<Tree>, study: &Uid) -> Result<Vec<Tree>, RepairError> {
        let before = self.references;
        let mut out = Vec::with_capacity(items.len());
        let mut hierarchical = false;
        for mut item in items {
            match names(tag, &item) {
                Names::Study(of, series) => {
                    hierarchical = true;
                    out.extend(self.study(item, of, series)?.into_iter().map(|(_, item)| item));
                }
                Names::Series => {
                    hierarchical = true;
                    out.extend(self.series(item, study)?.into_iter().map(|(_, item)| item));
                }
                Names::Other => {
                    self.other(tag, &mut item, study)?;
                    out.push(item);
                }
            }
        }
        Ok(if hierarchical && self.references > before { merge(tag, out) } else { out })
    }

    /// An item that names a study becomes one for every study in which its objects are now.
    fn study(&mut self, mut item: Tree, of: Tag, inner: Tag) -> Result<Vec<(Uid, Tree)>, RepairError> {
        let old = item.uid(of).unwrap_or_else(|| Uid::new(""));
        let series = take(&mut item, inner);
        self.inside(&mut item, &old)?;
        let mut groups: Groups<Uid, Vec<Tree>> = Groups::new();
        let listed = series.is_some();
        for series in series.unwrap_or_default() {
            for (place, series) in self.series(series, &old)? {
                groups.of((*place.study).clone()).push(series);
            }
        }
        if groups.groups.is_empty() {
            let new = self.moves.studies.get(&old).filter(|_| !old.is_empty());
            if let Some(new) = new {
                self.references += 1;
                item.put_uid(of, new);
            }
            if listed {
                item.put_items(inner, Vec::new());
            }
            return Ok(vec![(new.map_or(old, |new| (**new).clone()), item)]);
        }
        self.copies(&item, groups.groups.len())?;
        let part = |(study, series): (Uid, Vec<Tree>)| {
            let mut part = item.clone();
            if study != old {
                part.put_uid(of, &study);
            }
            part.put_items(inner, series);
            (study, part)
        };
        Ok(groups.groups.into_iter().map(part).collect())
    }

    /// An item that names a series becomes one for every series in which its objects are now.
    fn series(&mut self, mut item: Tree, study: &Uid) -> Result<Vec<(Place, Tree)>, RepairError> {
        let old = item.uid(tags::SERIES_INSTANCE_UID).unwrap_or_else(|| Uid::new(""));
        let home = Place { study: study.clone().into(), series: old.clone().into() };
        let mut groups: Groups<Place, BTreeMap<Tag, Vec<Tree>>> = Groups::new();
        for tag in OBJECTS {
            for mut object in take(&mut item, tag).unwrap_or_default() {
                let moved = instance(tag, tags::REFERENCED_SOP_INSTANCE_UID, &object);
                let moved = moved.and_then(|uid| self.moves.of(&uid));
                self.other(tag, &mut object, study)?;
                let place = moved.map_or_else(|| home.clone(), |moved| moved.to.clone());
                groups.of(place).entry(tag).or_default().push(object);
            }
        }
        self.inside(&mut item, study)?;
        if groups.groups.is_empty() {
            let Some(to) = self.moves.series.get(&old).filter(|_| !old.is_empty()) else {
                return Ok(vec![(home, item)]);
            };
            self.references += 1;
            item.put_uid(tags::SERIES_INSTANCE_UID, &to.series);
            return Ok(vec![(to.clone(), item)]);
        }
        self.copies(&item, groups.groups.len())?;
        let part = |(place, objects): (Place, BTreeMap<Tag, Vec<Tree>>)| {
            let mut part = item.clone();
            if *place.series != old {
                part.put_uid(tags::SERIES_INSTANCE_UID, &place.series);
            }
            for (tag, objects) in objects {
                part.put_items(tag, objects);
            }
            (place, part)
        };
        Ok(groups.groups.into_iter().map(part).collect())
    }

    /// An item that names an object, a series or a study by itself, or nothing at all.
    fn other(&mut self, sequence: Tag, item: &mut Tree, study: &Uid) -> Result<(), RepairError> {
        let mut place = None;
        for tag in INSTANCES {
            if let Some(moved) = instance(sequence, tag, item).and_then(|uid| self.moves.of(&uid)) {
                self.references += 1;
                place = Some(&moved.to);
                item.put_uid(tag, &moved.uid);
            }
        }
        let uid = |tag| item.uid(tag).unwrap_or_else(|| Uid::new(""));
        // A reference to an object that stays says for itself where that is.
        if place.is_none() && !INSTANCES.iter().any(|&tag| item.contains(tag)) {
            place = self.moves.series.get(&uid(tags::SERIES_INSTANCE_UID));
            self.references += usize::from(place.is_some());
        }
        let of_study = if is_study(sequence) { tags::REFERENCED_SOP_INSTANCE_UID } else { tags::STUDY_INSTANCE_UID };
        let whole = self.moves.studies.get(&uid(of_study));
        let named = uid(tags::UID);
        let meant = self.meant(item, &named);
        let mut put = |tag: Tag, new: Option<&Uid>| {
            if let Some(new) = new.filter(|_| item.contains(tag)) {
                item.put_uid(tag, new);
            }
        };
        put(tags::SERIES_INSTANCE_UID, place.map(|to| &*to.series));
        put(of_study, whole.map(|new| &**new).filter(|_| place.is_none()));
        put(tags::STUDY_INSTANCE_UID, place.map(|to| &*to.study));
        put(tags::UID, meant.as_ref());
        self.references += usize::from(meant.is_some()) + usize::from(whole.is_some() && place.is_none());
        self.inside(item, study)
    }

    /// What the UID of a content item has to be: that of a study, of a series or of an object, as its concept name says
    /// (PS3.16 annex D).
    fn meant(&self, item: &Tree, uid: &Uid) -> Option<Uid> {
        let concept = item.item(tags::CONCEPT_NAME_CODE_SEQUENCE).filter(|_| !uid.is_empty())?;
        match concept.text(tags::CODE_VALUE)? {
            // Study Instance UID, Procedure Study Instance UID.
            "110180" | "121018" => match self.moves.studies.get(uid) {
                Some(new) => Some((**new).clone()),
                None if *uid == **self.owner.before => Some((**self.owner.after).clone()),
                None => None,
            },
            // Series Instance UID, Source series for segmentation.
            "112002" | "121232" => self.moves.series.get(uid).map(|to| (*to.series).clone()),
            _ => self.moves.of(uid).map(|moved| (*moved.uid).clone()),
        }
        .filter(|new| new != uid)
    }

    /// Common Instance Reference (PS3.3 §C.12.2): objects of the own study are listed apart from those of others. What a
    /// presentation state applies to (§C.11.11) stays where it is, and is listed among the others as well.
    fn instances(
        &mut self,
        tree: &mut Tree,
        series: Option<Vec<Tree>>,
        others: Option<Vec<Tree>>,
    ) -> Result<(), RepairError> {
        const OTHERS: Tag = tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE;
        let (before, after) = (self.owner.before, self.owner.after);
        let (had_own, had_others) = (series.is_some(), others.is_some());
        let (mut own, mut elsewhere) = (Vec::new(), Vec::new());
        for mut item in series.unwrap_or_default() {
            if names(tags::REFERENCED_SERIES_SEQUENCE, &item) != Names::Series {
                self.other(tags::REFERENCED_SERIES_SEQUENCE, &mut item, before)?;
                own.push(item);
                continue;
            }
            for (place, item) in self.series(item, before)? {
                if place.study == *after {
                    own.push(item);
                } else if item.items(tags::REFERENCED_IMAGE_SEQUENCE).is_empty() {
                    elsewhere.push(in_study(&place.study, item));
                } else {
                    elsewhere.push(in_study(&place.study, listed(&item)));
                    own.push(item);
                }
            }
        }
        let applied = applied(&own);
        for item in others.unwrap_or_default() {
            let Names::Study(of, inner) = names(OTHERS, &item) else {
                elsewhere.push(item);
                continue;
            };
            for (study, mut part) in self.study(item, of, inner)? {
                if study == **after {
                    let series = take(&mut part, inner).unwrap_or_default();
                    own.extend(series.into_iter().filter_map(|series| unlisted(series, &applied)));
                } else {
                    elsewhere.push(part);
                }
            }
        }
        if self.references > 0 || before != after {
            own = merge(tags::REFERENCED_SERIES_SEQUENCE, own);
            elsewhere = merge(OTHERS, elsewhere);
        }
        // An empty sequence of type 1C is none.
        if !own.is_empty() || (had_own && before == after && self.references == 0) {
            tree.put_items(tags::REFERENCED_SERIES_SEQUENCE, own);
        }
        if !elsewhere.is_empty() || (had_others && before == after && self.references == 0) {
            tree.put_items(OTHERS, elsewhere);
        }
        Ok(())
    }

    /// An item is going to be copied: once for each part but the first.
    fn copies(&mut self, item: &Tree, parts: usize) -> Result<(), RepairError> {
        if parts > 1 {
            let added = weight(item).saturating_add(256).saturating_mul(parts - 1);
            self.left = self.left.checked_sub(added).ok_or(RepairError::TooLarge)?;
        }
        Ok(())
    }
}

/// An item of a series, in one of its study.
fn in_study(study: &StudyInstanceUid, series: Tree) -> Tree {
    let mut item = Tree::new();
    item.put_uid(tags::STUDY_INSTANCE_UID, study).put_items(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    item
}

/// The images that a presentation state applies to.
fn applied(series: &[Tree]) -> HashSet<Uid> {
    let images = series.iter().flat_map(|series| series.items(tags::REFERENCED_IMAGE_SEQUENCE));
    images.filter_map(|image| image.uid(tags::REFERENCED_SOP_INSTANCE_UID)).collect()
}

/// An item of a series without the objects that are named elsewhere; `None` if no other is left.
fn unlisted(mut series: Tree, named: &HashSet<Uid>) -> Option<Tree> {
    let mut objects = take(&mut series, tags::REFERENCED_INSTANCE_SEQUENCE)?;
    objects.retain(|object| object.uid(tags::REFERENCED_SOP_INSTANCE_UID).is_none_or(|uid| !named.contains(&uid)));
    if objects.is_empty() {
        return None;
    }
    series.put_items(tags::REFERENCED_INSTANCE_SEQUENCE, objects);
    Some(series)
}

/// The images that an item of a presentation state applies to, as they are listed among those of other studies.
fn listed(state: &Tree) -> Tree {
    let series = SeriesInstanceUid::from(state.uid(tags::SERIES_INSTANCE_UID).unwrap_or_else(|| Uid::new("")));
    let reference = |image: &Tree| {
        let mut reference = Tree::new();
        for tag in [tags::REFERENCED_SOP_CLASS_UID, tags::REFERENCED_SOP_INSTANCE_UID] {
            if let Some(node) = image.get(tag) {
                reference.put(tag, node.clone());
            }
        }
        reference
    };
    let images = state.items(tags::REFERENCED_IMAGE_SEQUENCE).iter().map(reference).collect();
    let mut item = Tree::new();
    item.put_uid(tags::SERIES_INSTANCE_UID, &series).put_items(tags::REFERENCED_INSTANCE_SEQUENCE, images);
    item
}

/// Whether an element became what it is by nothing but other UIDs of objects.
fn is_plain(old: &Tree, new: &Tree, tag: Tag, moves: &Moves) -> bool {
    let (Some(old), Some(new)) = (old.get(tag), new.get(tag)) else { return false };
    let mut open = vec![(tag, old, new)];
    while let Some((_, old, new)) = open.pop() {
        let (Value::Items(before), Value::Items(after)) = (&old.value, &new.value) else {
            // Values at the top are not touched, and those of items are compared below.
            return false;
        };
        if before.len() != after.len() {
            return false;
        }
        for (before, after) in before.iter().zip(after) {
            if before.len() != after.len() {
                return false;
            }
            for ((tag, one), (other_tag, other)) in before.iter().zip(after.iter()) {
                let replaced = || {
                    let old = one.bytes().map(Uid::from_bytes);
                    let new = old.as_ref().and_then(|old| moves.of(old)).map(|moved| (*moved.uid).clone());
                    INSTANCES.contains(&tag) && new.is_some() && new == other.bytes().map(Uid::from_bytes)
                };
                match (one == other, &one.value, &other.value) {
                    _ if tag != other_tag => return false,
                    (true, ..) => {}
                    (_, Value::Items(_), Value::Items(_)) => open.push((tag, one, other)),
                    _ if replaced() => {}
                    _ => return false,
                }
            }
        }
    }
    true
}
