//! Builds data sets for the tests of this module, sound and damaged ones.

use super::vr;
use super::wire::{self, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use crate::dicom::{Encoding, Tag, TransferSyntaxUid, tags, uids};

pub(super) const ENCODINGS: [(&str, Encoding); 4] = [
    (uids::IMPLICIT_LE, Encoding::ImplicitLe),
    (uids::EXPLICIT_LE, Encoding::ExplicitLe),
    (uids::EXPLICIT_BE, Encoding::ExplicitBe),
    (uids::DEFLATED_LE, Encoding::DeflatedLe),
];

/// A data set in the making.
pub(super) struct Builder {
    pub(super) bytes: Vec<u8>,
    syntax: Syntax,
    deflated: bool,
}

impl Builder {
    pub(super) fn new(encoding: Encoding) -> Self {
        Builder { bytes: Vec::new(), syntax: Syntax::of(encoding), deflated: encoding == Encoding::DeflatedLe }
    }

    /// An element with the VR of the dictionary; numbers as Little Endian bytes.
    pub(super) fn put(mut self, tag: Tag, value: impl AsRef<[u8]>) -> Self {
        wire::write_element(&mut self.bytes, tag, vr::of(tag).unwrap_or(*b"UN"), value.as_ref(), self.syntax);
        self
    }

    pub(super) fn put_as(mut self, tag: Tag, vr: &[u8; 2], value: impl AsRef<[u8]>) -> Self {
        wire::write_element(&mut self.bytes, tag, *vr, value.as_ref(), self.syntax);
        self
    }

    /// Everything that identifies an object, in order, and some more.
    pub(super) fn identified(self) -> Self {
        self.put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100")
            .put(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2")
            .put(tags::SOP_INSTANCE_UID, "1.2.3.4.5")
            .put(tags::STUDY_DATE, "20200131")
            .put(tags::MODALITY, "CT")
            .put(tags::PATIENT_NAME, b"M\xfcller^Hans")
            .put(tags::PATIENT_ID, "4711 ")
            .put(tags::STUDY_INSTANCE_UID, "1.2.3")
            .put(tags::SERIES_INSTANCE_UID, "1.2.3.4")
            .put(tags::INSTANCE_NUMBER, "7")
            .put(tags::ROWS, 512u16.to_le_bytes())
            .put(tags::COLUMNS, 256u16.to_le_bytes())
    }

    /// A sequence with one item for each content, all of defined or all of undefined length.
    pub(super) fn sequence(mut self, tag: Tag, items: &[Vec<u8>], defined: bool) -> Self {
        let mut content = Builder { bytes: Vec::new(), ..self };
        for item in items {
            content = content.head(ITEM, None, defined.then_some(item.len()));
            content.bytes.extend_from_slice(item);
            if !defined {
                content = content.head(ITEM_END, None, Some(0));
            }
        }
        if !defined {
            content = content.head(SEQUENCE_END, None, Some(0));
        }
        self = self.head(tag, Some(*b"SQ"), defined.then_some(content.bytes.len()));
        self.bytes.extend_from_slice(&content.bytes);
        self
    }

    /// Encapsulated pixel data.
    pub(super) fn fragments(mut self, fragments: &[&[u8]]) -> Self {
        self = self.head(tags::PIXEL_DATA, Some(*b"OB"), None);
        for fragment in fragments {
            self = self.head(ITEM, None, Some(fragment.len()));
            self.bytes.extend_from_slice(fragment);
        }
        self.head(SEQUENCE_END, None, Some(0))
    }

    /// An element header; a length of `None` is undefined.
    pub(super) fn head(mut self, tag: Tag, vr: Option<[u8; 2]>, length: Option<usize>) -> Self {
        let length = length.map_or(u32::MAX, |length| u32::try_from(length).unwrap());
        let two = |n: u16| {
            if self.syntax.big { n.to_be_bytes() } else { n.to_le_bytes() }
        };
        let four = if self.syntax.big { length.to_be_bytes() } else { length.to_le_bytes() };
        self.bytes.extend_from_slice(&two(tag.group()));
        self.bytes.extend_from_slice(&two(tag.element()));
        match vr.filter(|_| self.syntax.explicit) {
            Some(vr) if vr::is_long(vr) => {
                self.bytes.extend_from_slice(&vr);
                self.bytes.extend_from_slice(&[0, 0]);
                self.bytes.extend_from_slice(&four);
            }
            Some(vr) => {
                self.bytes.extend_from_slice(&vr);
                self.bytes.extend_from_slice(&two(u16::try_from(length).unwrap()));
            }
            None => self.bytes.extend_from_slice(&four),
        }
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn build(self) -> Vec<u8> {
        if self.deflated { deflate(&self.bytes) } else { self.bytes }
    }
}

pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// `depth` sequences, one in the item of the other.
pub(super) fn nested(encoding: Encoding, depth: usize, defined: bool) -> Vec<u8> {
    if !defined {
        // Open everything, close everything: quadratic copying would be slower than what is tested.
        let mut builder = Builder::new(encoding);
        for _ in 0..depth {
            builder = builder.head(tags::REFERENCED_STUDY_SEQUENCE, Some(*b"SQ"), None).head(ITEM, None, None);
        }
        for _ in 0..depth {
            builder = builder.head(ITEM_END, None, Some(0)).head(SEQUENCE_END, None, Some(0));
        }
        return builder.bytes;
    }
    let mut inner = Vec::new();
    for _ in 0..depth {
        inner = Builder::new(encoding).sequence(tags::REFERENCED_STUDY_SEQUENCE, &[inner], true).bytes;
    }
    inner
}

pub(super) fn syntax(uid: &str) -> TransferSyntaxUid {
    TransferSyntaxUid::new(uid)
}
