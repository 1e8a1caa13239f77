//! The rejection note: a Key Object Selection that says which objects of a study are not valid any more, since the
//! modality took the wrong worklist entry (PS3.16 TID 2010; IHE RAD TF-2 4.66, IHE Imaging Object Change Management).

use super::document::{Document, Moment, code, reference};
use super::references::{Place, merge_places};
use super::uids::{Level, new_uid};
use crate::dataset::Tree;
use crate::dicom::{SopClassUid, SopInstanceUid, StudyInstanceUid, Tag, is_image_class, tags};

/// Key Object Selection Document Storage.
pub const KEY_OBJECTS: &str = "1.2.840.10008.5.1.4.1.1.88.59";
/// The code of the title of rejection notes, in the scheme DCM.
pub const REJECTED: (&str, &str) = ("113038", "Incorrect Modality Worklist Entry");

/// More objects than this are rejected by several notes, so that each fits into the memory of who reads it.
const MOST_OBJECTS: usize = 10_000;
/// Key Object Description is an UT; more words than this are no reason.
const LONGEST_DESCRIPTION: usize = 4_096;

/// What an object of the study itself must have, be it empty (PS3.3 §C.7.1.1, §C.7.2.1).
const TYPE_2: [Tag; 9] = [
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::STUDY_ID,
];

/// An object that is rejected, by its old UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its SOP class.
    pub class: SopClassUid,
    /// Its UID.
    pub uid: SopInstanceUid,
    /// Its study and series.
    pub place: Place,
}

/// What a note says beside the objects.
#[derive(Debug, Clone)]
pub struct Note<'a> {
    /// The operation, as in [`new_uid`].
    pub operation: &'a str,
    /// The study that the objects left, in which the note is filed.
    pub study: &'a StudyInstanceUid,
    /// Patient and study attributes of that study, and no others.
    pub head: &'a Tree,
    /// Why, in words; may be empty.
    pub reason: &'a str,
    /// When.
    pub at: &'a Moment,
}

impl Note<'_> {
    /// The notes that reject these objects: one, unless they are very many; none for no object.
    pub fn reject(&self, objects: &[Rejected]) -> Vec<Document> {
        objects.chunks(MOST_OBJECTS).enumerate().map(|(index, objects)| self.document(index, objects)).collect()
    }

    fn document(&self, index: usize, objects: &[Rejected]) -> Document {
        let mut tree = self.head.clone();
        for tag in TYPE_2 {
            if !tree.contains(tag) {
                tree.put_text(tag, "");
            }
        }
        let note = index + 1;
        tree.put_text(tags::SOP_CLASS_UID, KEY_OBJECTS);
        tree.put_uid(tags::SOP_INSTANCE_UID, &new_uid(self.operation, Level::Note(note), self.study));
        tree.put_uid(tags::STUDY_INSTANCE_UID, self.study);
        tree.put_uid(tags::SERIES_INSTANCE_UID, &new_uid(self.operation, Level::NoteSeries, self.study));
        self.at.put(&mut tree, tags::INSTANCE_CREATION_DATE, tags::INSTANCE_CREATION_TIME);
        self.at.put(&mut tree, tags::SERIES_DATE, tags::SERIES_TIME);
        self.at.put(&mut tree, tags::CONTENT_DATE, tags::CONTENT_TIME);
        tree.put_text(tags::MODALITY, "KO");
        tree.put_text(tags::SERIES_DESCRIPTION, "Rejection Note");
        tree.put_text(tags::MANUFACTURER, "pacsferry");
        tree.put_text(tags::MANUFACTURER_MODEL_NAME, "pacsferry");
        tree.put_text(tags::SOFTWARE_VERSIONS, env!("CARGO_PKG_VERSION"));
        tree.put_items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
        // A number that no modality gives, so that viewers show it behind what is to be looked at.
        tree.put_text(tags::SERIES_NUMBER, "9999");
        tree.put_text(tags::INSTANCE_NUMBER, &note.to_string());
        self.root(&mut tree, objects);
        Document::new(tree)
    }

    /// The root content item, and the list of what its content refers to.
    fn root(&self, tree: &mut Tree, objects: &[Rejected]) {
        tree.put_text(tags::VALUE_TYPE, "CONTAINER");
        tree.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(REJECTED.0, "DCM", REJECTED.1)]);
        tree.put_text(tags::CONTINUITY_OF_CONTENT, "SEPARATE");
        let mut template = Tree::new();
        template.put_text(tags::MAPPING_RESOURCE, "DCMR").put_text(tags::TEMPLATE_IDENTIFIER, "2010");
        tree.put_items(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
        let listed = objects.iter().map(|object| (object.place.clone(), reference(&object.class, &object.uid)));
        tree.put_items(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, merge_places(listed));
        let reason: String = self.reason.trim().chars().take(LONGEST_DESCRIPTION).collect();
        let reason = (!reason.is_empty()).then(|| {
            let mut item = content("TEXT");
            item.put_items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code("113012", "DCM", "Key Object Description")]);
            item.put_text(tags::TEXT_VALUE, &reason);
            item
        });
        let object = |object: &Rejected| {
            let mut item = content(value_type(&object.class));
            item.put_items(tags::REFERENCED_SOP_SEQUENCE, vec![reference(&object.class, &object.uid)]);
            item
        };
        tree.put_items(tags::CONTENT_SEQUENCE, reason.into_iter().chain(objects.iter().map(object)).collect());
    }
}

/// A content item in the root.
fn content(value_type: &str) -> Tree {
    let mut item = Tree::new();
    item.put_text(tags::RELATIONSHIP_TYPE, "CONTAINS").put_text(tags::VALUE_TYPE, value_type);
    item
}

/// How a content item refers to an object of this class.
fn value_type(class: &SopClassUid) -> &'static str {
    let waveform = |arc: &str| arc.starts_with("9.") && !arc.starts_with("9.100.");
    match class.as_str() {
        class if is_image_class(class) => "IMAGE",
        class if class.strip_prefix("1.2.840.10008.5.1.4.1.1.").is_some_and(waveform) => "WAVEFORM",
        _ => "COMPOSITE",
    }
}

/// Whether a document is a rejection note, ours or another archive's.
pub fn is_rejection(document: &Tree) -> bool {
    let title = document.item(tags::CONCEPT_NAME_CODE_SEQUENCE);
    document.text(tags::SOP_CLASS_UID) == Some(KEY_OBJECTS)
        && title.is_some_and(|title| {
            title.text(tags::CODE_VALUE) == Some(REJECTED.0)
                && title.text(tags::CODING_SCHEME_DESIGNATOR) == Some("DCM")
        })
}
