//! The lists of all objects that a report refers to (PS3.3 §C.17.2.3), after measurements came or left.

use std::collections::{HashMap, HashSet};

use super::Leaving;
use crate::content::references::{Place, merge_evidence, merge_places};
use crate::dataset::Tree;
use crate::dicom::{SeriesInstanceUid, StudyInstanceUid, Tag, Uid, tags};

/// Where they are.
const LISTS: [Tag; 2] = [tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, tags::PERTINENT_OTHER_EVIDENCE_SEQUENCE];

/// Lists the objects that have come with measurements, in the study where the other report has them, or where they were.
pub(super) fn arrive(destination: &mut Tree, objects: &[(Option<Uid>, Uid)], source: &Tree, leaving: &Leaving<'_>) {
    let mut known: HashSet<Uid> =
        LISTS.iter().flat_map(|&list| listed(destination, list)).map(|(uid, _, _)| uid).collect();
    let places: HashMap<Uid, (Place, &Tree)> =
        LISTS.iter().flat_map(|&list| listed(source, list)).map(|(uid, place, item)| (uid, (place, item))).collect();
    let mut added = Vec::new();
    for (class, uid) in objects {
        if !known.insert(uid.clone()) {
            continue;
        }
        match (places.get(uid), class) {
            (Some((place, item)), _) => added.push((place.clone(), (*item).clone())),
            // Where it goes is known.
            (None, Some(class)) if leaving.object(uid) => {
                let study = source.uid(tags::STUDY_INSTANCE_UID).unwrap_or_else(|| Uid::new(""));
                let place = Place { study: study.into(), series: SeriesInstanceUid::new("") };
                added.push((place, super::super::document::reference(&class.clone().into(), &uid.clone().into())));
            }
            _ => {}
        }
    }
    if added.is_empty() {
        return;
    }
    let [current, _] = LISTS;
    let mut items = destination.items(current).to_vec();
    items.extend(merge_places(added));
    destination.put_items(current, merge_evidence(items));
}

/// Takes moved objects from the lists that nothing in the report refers to any more.
pub(super) fn leave(source: &mut Tree, leaving: &Leaving<'_>) {
    let mut still = HashSet::new();
    let mut open: Vec<&Tree> = source.items(tags::CONTENT_SEQUENCE).iter().collect();
    while let Some(item) = open.pop() {
        let objects = item.items(tags::REFERENCED_SOP_SEQUENCE).iter();
        still.extend(objects.filter_map(|object| object.uid(tags::REFERENCED_SOP_INSTANCE_UID)));
        open.extend(item.items(tags::CONTENT_SEQUENCE));
    }
    let stays = |object: &Tree| {
        object.uid(tags::REFERENCED_SOP_INSTANCE_UID).is_none_or(|uid| !leaving.object(&uid) || still.contains(&uid))
    };
    for list in LISTS {
        let before = source.items(list).len();
        let mut studies = source.items(list).to_vec();
        studies.retain_mut(|study| {
            keep(study, tags::REFERENCED_SERIES_SEQUENCE, |series| {
                keep(series, tags::REFERENCED_SOP_SEQUENCE, |object| stays(object))
            })
        });
        if before > 0 && studies.is_empty() {
            source.remove(list);
        } else if before > 0 {
            source.put_items(list, studies);
        }
    }
}

/// Keeps what is wanted of a sequence; `false` where nothing is left of what was there.
fn keep(item: &mut Tree, tag: Tag, mut wanted: impl FnMut(&mut Tree) -> bool) -> bool {
    if item.items(tag).is_empty() {
        return true;
    }
    let items = item.items_mut(tag);
    items.retain_mut(&mut wanted);
    !items.is_empty()
}

/// The objects of a list: UID, place, item.
fn listed(report: &Tree, list: Tag) -> Vec<(Uid, Place, &Tree)> {
    let uid = |item: &Tree, tag| item.uid(tag).unwrap_or_else(|| Uid::new(""));
    let mut found = Vec::new();
    for study in report.items(list) {
        for series in study.items(tags::REFERENCED_SERIES_SEQUENCE) {
            let place = || Place {
                study: StudyInstanceUid::from(uid(study, tags::STUDY_INSTANCE_UID)),
                series: SeriesInstanceUid::from(uid(series, tags::SERIES_INSTANCE_UID)),
            };
            let objects = series.items(tags::REFERENCED_SOP_SEQUENCE).iter();
            found.extend(objects.map(|object| (uid(object, tags::REFERENCED_SOP_INSTANCE_UID), place(), object)));
        }
    }
    found
}

/// The documents whose content a report has.
pub(super) fn predecessors(report: &Tree) -> Vec<Uid> {
    listed(report, tags::PREDECESSOR_DOCUMENTS_SEQUENCE).into_iter().map(|(uid, _, _)| uid).collect()
}
