//! New versions of documents: a report, a presentation state or a key object that stays and refers to what moved, and
//! reports whose measurements leave or arrive.

use super::document::{Document, Moment, reference};
use super::keys::KEY_OBJECTS;
use super::references::{Place, merge_places};
use crate::dataset::{Tree, Value};
use crate::dicom::{SopClassUid, SopInstanceUid, Tag, Uid, tags};

/// Structured reports and key objects stand below it.
const DOCUMENTS: &str = "1.2.840.10008.5.1.4.1.1.88.";

/// What stands against replacing an object without being asked to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seal {
    /// Somebody has attested to it: Verification Flag (0040,A493).
    pub verified: bool,
    /// It is digitally signed, or a part of it is.
    pub signed: bool,
}

impl Seal {
    /// What is on an object.
    pub fn of(object: &Tree) -> Seal {
        let verified = object.text(tags::VERIFICATION_FLAG) == Some("VERIFIED");
        let mut open = vec![object];
        while let Some(item) = open.pop() {
            if item.contains(tags::DIGITAL_SIGNATURES_SEQUENCE) {
                return Seal { verified, signed: true };
            }
            open.extend(item.iter().filter_map(|(_, node)| node.items()).flatten());
        }
        Seal { verified, signed: false }
    }

    /// Whether somebody has to say yes to a new version.
    pub fn asks(self) -> bool {
        self.verified || self.signed
    }
}

/// Whether it is a report or a key object.
pub fn is_document(class: &SopClassUid) -> bool {
    class.as_str().starts_with(DOCUMENTS)
}

/// Whether it is a report, and no key object.
pub fn is_report(class: &SopClassUid) -> bool {
    is_document(class) && class.as_str() != KEY_OBJECTS
}

/// Makes a new version of an object: under a new UID, made at this time, not verified by anybody and without signatures.
/// A report names those whose content it has, of which its former version is the first.
pub fn new_version(content: Tree, uid: &SopInstanceUid, predecessors: &[&Tree], at: &Moment) -> Document {
    let mut tree = content;
    let class = SopClassUid::from(tree.uid(tags::SOP_CLASS_UID).unwrap_or_else(|| Uid::new("")));
    tree.put_uid(tags::SOP_INSTANCE_UID, uid);
    at.put(&mut tree, tags::INSTANCE_CREATION_DATE, tags::INSTANCE_CREATION_TIME);
    without_signatures(&mut tree);
    if is_document(&class) {
        at.put(&mut tree, tags::CONTENT_DATE, tags::CONTENT_TIME);
    }
    if is_report(&class) {
        if tree.remove(tags::VERIFYING_OBSERVER_SEQUENCE).is_some() || tree.contains(tags::VERIFICATION_FLAG) {
            tree.put_text(tags::VERIFICATION_FLAG, "UNVERIFIED");
        }
        let mut named = tree.items(tags::PREDECESSOR_DOCUMENTS_SEQUENCE).to_vec();
        named.extend(merge_places(predecessors.iter().filter_map(|document| of(document))));
        tree.put_items(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, super::references::merge_evidence(named));
    }
    Document::new(tree)
}

/// What has to be put into the one object and taken away from it, so that it becomes the other: for objects whose pixel
/// data are streamed.
pub fn difference(from: &Tree, to: &Tree) -> (Tree, Vec<Tag>) {
    let mut put = Tree::new();
    for (tag, node) in to.iter().filter(|(tag, node)| from.get(*tag) != Some(node)) {
        put.put(tag, node.clone());
    }
    (put, from.iter().map(|(tag, _)| tag).filter(|&tag| !to.contains(tag)).collect())
}

/// Where an object is, and an item that names it.
fn of(document: &Tree) -> Option<(Place, Tree)> {
    let place = Place {
        study: document.uid(tags::STUDY_INSTANCE_UID)?.into(),
        series: document.uid(tags::SERIES_INSTANCE_UID)?.into(),
    };
    let class = document.uid(tags::SOP_CLASS_UID)?.into();
    Some((place, reference(&class, &document.uid(tags::SOP_INSTANCE_UID)?.into())))
}

/// Takes signatures away wherever they are. Recurses as deep as the reader of trees has read, which is bounded.
fn without_signatures(item: &mut Tree) {
    item.remove(tags::DIGITAL_SIGNATURES_SEQUENCE);
    item.remove(tags::MAC_PARAMETERS_SEQUENCE);
    for (_, node) in item.iter_mut() {
        if let Value::Items(items) = &mut node.value {
            items.iter_mut().for_each(without_signatures);
        }
    }
}
