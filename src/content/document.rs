//! Documents that an operation writes, as objects that can be filed.

use super::references::Place;
use crate::dataset::Tree;
use crate::dicom::{Encoding, SopClassUid, SopInstanceUid, Tag, tags, uids};

/// A document that is to be filed like any object that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its SOP class.
    pub class: SopClassUid,
    /// Its own UID.
    pub uid: SopInstanceUid,
    /// Its study and series.
    pub place: Place,
    /// What it says.
    pub tree: Tree,
}

impl Document {
    /// The transfer syntax of [`data_set`](Document::data_set).
    pub const SYNTAX: &str = uids::EXPLICIT_LE;

    /// Takes class, UID and place from what the document says itself.
    pub fn new(tree: Tree) -> Document {
        let uid = |tag| tree.uid(tag).unwrap_or_else(|| crate::dicom::Uid::new(""));
        Document {
            class: uid(tags::SOP_CLASS_UID).into(),
            uid: uid(tags::SOP_INSTANCE_UID).into(),
            place: Place { study: uid(tags::STUDY_INSTANCE_UID).into(), series: uid(tags::SERIES_INSTANCE_UID).into() },
            tree,
        }
    }

    /// Its data set in Explicit VR Little Endian.
    pub fn data_set(&self) -> Vec<u8> {
        self.tree.write(Encoding::ExplicitLe)
    }
}

/// When something is written, as documents say it: in the time of this place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// A DA value.
    pub date: String,
    /// A TM value.
    pub time: String,
}

impl Moment {
    /// From unix milliseconds.
    pub fn at(milliseconds: i64) -> Moment {
        let at = jiff::Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        let at = at.to_zoned(jiff::tz::TimeZone::system());
        Moment { date: at.strftime("%Y%m%d").to_string(), time: at.strftime("%H%M%S.%6f").to_string() }
    }

    /// Sets a date and a time.
    pub(super) fn put(&self, tree: &mut Tree, date: Tag, time: Tag) {
        tree.put_text(date, &self.date).put_text(time, &self.time);
    }
}

/// A coded entry (PS3.3 §8.8).
pub(super) fn code(value: &str, scheme: &str, meaning: &str) -> Tree {
    let mut code = Tree::new();
    code.put_text(tags::CODE_VALUE, value);
    code.put_text(tags::CODING_SCHEME_DESIGNATOR, scheme);
    code.put_text(tags::CODE_MEANING, meaning);
    code
}

/// An item that names an object (PS3.3 §10.8).
pub(super) fn reference(class: &SopClassUid, uid: &SopInstanceUid) -> Tree {
    let mut item = Tree::new();
    item.put_uid(tags::REFERENCED_SOP_CLASS_UID, class);
    item.put_uid(tags::REFERENCED_SOP_INSTANCE_UID, uid);
    item
}

/// The item of a study that names objects of one series in it (PS3.3 table C.17-3).
pub(super) fn hierarchical(place: &Place, objects: Vec<Tree>) -> Tree {
    let (mut study, mut series) = (Tree::new(), Tree::new());
    series.put_items(tags::REFERENCED_SOP_SEQUENCE, objects);
    series.put_uid(tags::SERIES_INSTANCE_UID, &place.series);
    study.put_items(tags::REFERENCED_SERIES_SEQUENCE, vec![series]);
    study.put_uid(tags::STUDY_INSTANCE_UID, &place.study);
    study
}
