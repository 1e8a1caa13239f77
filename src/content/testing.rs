//! Objects for the tests of this module, small enough to be read.

use super::references::{Move, Moves, Place};
use crate::dataset::Tree;
use crate::dicom::{Tag, tags};

/// A study, a series and an object that stay, and what becomes of those that move: `S/R/1` goes to `D/Q/91` and `S/R/2`
/// to `D/Q/92`, in numbers.
pub(super) const S: &str = "1.1";
pub(super) const R: &str = "1.1.5";
pub(super) const D: &str = "1.2";
pub(super) const Q: &str = "2.25.5";

/// A data set of elements and sequences.
pub(super) fn build<const N: usize>(parts: [(Tag, Part); N]) -> Tree {
    let mut tree = Tree::new();
    for (tag, part) in parts {
        match part {
            Part::Text(text) => tree.put_text(tag, &text),
            Part::Items(items) => tree.put_items(tag, items),
        };
    }
    tree
}

pub(super) enum Part {
    Text(String),
    Items(Vec<Tree>),
}

impl From<&str> for Part {
    fn from(text: &str) -> Part {
        Part::Text(text.into())
    }
}

impl From<Vec<Tree>> for Part {
    fn from(items: Vec<Tree>) -> Part {
        Part::Items(items)
    }
}

impl From<Tree> for Part {
    fn from(item: Tree) -> Part {
        Part::Items(vec![item])
    }
}

/// `tree!{TAG: value, …}`.
macro_rules! tree {
    ($($tag:ident : $value:expr),* $(,)?) => {
        $crate::content::testing::build([$(($crate::dicom::tags::$tag, $crate::content::testing::Part::from($value))),*])
    };
}
pub(super) use tree;

pub(super) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// An item that names a CT image.
pub(super) fn image(uid: &str) -> Tree {
    tree! {REFERENCED_SOP_CLASS_UID: CT, REFERENCED_SOP_INSTANCE_UID: uid}
}

/// An item that names a series and images of it.
pub(super) fn series(objects: Tag, series: &str, images: &[&str]) -> Tree {
    let mut item = tree! {SERIES_INSTANCE_UID: series};
    item.put_items(objects, images.iter().map(|uid| image(uid)).collect());
    item
}

/// An item that names a study and series of it.
pub(super) fn study(study: &str, series: Vec<Tree>) -> Tree {
    tree! {STUDY_INSTANCE_UID: study, REFERENCED_SERIES_SEQUENCE: series}
}

/// What an evidence sequence says, as `(study, series, objects)`.
pub(super) fn listed(items: &[Tree], objects: Tag) -> Vec<(String, String, Vec<String>)> {
    let text = |tree: &Tree, tag| tree.text(tag).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for item in items {
        for series in item.items(tags::REFERENCED_SERIES_SEQUENCE) {
            let of = |object: &Tree| text(object, tags::REFERENCED_SOP_INSTANCE_UID);
            let uids = series.items(objects).iter().map(of).collect();
            found.push((text(item, tags::STUDY_INSTANCE_UID), text(series, tags::SERIES_INSTANCE_UID), uids));
        }
    }
    found
}

/// The first two objects of the series move, and get new UIDs.
pub(super) fn moves() -> Moves {
    let mut moves = Moves::new();
    let to =
        || Place { study: crate::dicom::StudyInstanceUid::new(D), series: crate::dicom::SeriesInstanceUid::new(Q) };
    for (old, new) in [("1", "91"), ("2", "92")] {
        moves.instance(
            &crate::dicom::SopInstanceUid::new(old),
            Move { uid: crate::dicom::SopInstanceUid::new(new), to: to() },
        );
    }
    moves
}
