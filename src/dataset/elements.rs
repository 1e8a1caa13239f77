//! A small data set in memory: an identifier, a query answer.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::inflate::Inflate;
use super::input::Input;
use super::vr::{self, Vr};
use super::wire::{self, Head, Syntax};
use super::{CharacterSet, ReadError};
use crate::dicom::{Encoding, Tag, Uid, tags};

/// The most bytes of a data set that is held in memory.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The top-level elements of a small data set, values as Little Endian bytes. What is nested is skipped over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Elements {
    elements: BTreeMap<Tag, Element>,
    default_charset: Option<CharacterSet>,
}

#[derive(Debug, Clone, PartialEq)]
struct Element {
    /// As it was on the wire; `None` after Implicit VR.
    vr: Option<Vr>,
    value: Vec<u8>,
}

impl Elements {
    /// No element yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a data set, or says what is wrong with it.
    pub fn read(bytes: &[u8], encoding: Encoding) -> Result<Elements, ReadError> {
        match Self::read_lenient(bytes, encoding) {
            (elements, None) => Ok(elements),
            (_, Some(error)) => Err(error),
        }
    }

    /// Reads a data set as far as it goes: what came before an error is kept.
    pub fn read_lenient(bytes: &[u8], encoding: Encoding) -> (Elements, Option<ReadError>) {
        let mut elements = Elements::new();
        let syntax = Syntax::of(encoding);
        let error = if encoding == Encoding::DeflatedLe && !wire::looks_like_elements(bytes) {
            elements.fill(&mut Input::new(Inflate::new(bytes, LONGEST, 0), LONGEST), syntax)
        } else {
            elements.fill(&mut Input::new(bytes, LONGEST), syntax)
        };
        (elements, error.err())
    }

    fn fill<R: std::io::Read>(&mut self, input: &mut Input<R>, declared: Syntax) -> Result<(), ReadError> {
        let syntax = declared.probe(input.ahead(wire::PROBE)?);
        while let Some(head) = Head::read(input, syntax)? {
            let Some(length) = head.length.filter(|_| head.tag.group() != 0xFFFE) else {
                if head.tag.group() != 0xFFFE {
                    wire::skip_value(input, &head, syntax)?;
                }
                continue;
            };
            if head.vr == Some(*b"SQ") {
                wire::skip_value(input, &head, syntax)?;
                continue;
            }
            let mut value = input.read_value(length, head.tag)?;
            if syntax.big {
                vr::swap(&mut value, head.vr.map_or(1, vr::unit));
            }
            self.elements.entry(head.tag).or_insert(Element { vr: head.vr, value });
        }
        Ok(())
    }

    /// Texts of an element without Specific Character Set are decoded by this one.
    pub fn with_default_charset(mut self, charset: CharacterSet) -> Self {
        self.default_charset = Some(charset);
        self
    }

    /// Writes the elements in the order of their tags. VRs come from the wire or the dictionary, else UN.
    pub fn write(&self, encoding: Encoding) -> Vec<u8> {
        let syntax = Syntax::of(encoding);
        let mut out = Vec::with_capacity(self.elements.values().map(|e| e.value.len() + 12).sum());
        for (&tag, element) in &self.elements {
            let vr = element.vr.or_else(|| vr::of(tag)).unwrap_or(*b"UN");
            wire::write_element(&mut out, tag, vr, &element.value, syntax);
        }
        if encoding != Encoding::DeflatedLe {
            return out;
        }
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        let deflated = deflate.write_all(&out).and_then(|()| deflate.finish());
        // A vector takes what is written to it.
        deflated.unwrap_or_default()
    }

    /// Sets a text. Beyond ASCII it is UTF-8, which the caller declares as `ISO_IR 192` in (0008,0005).
    pub fn put(&mut self, tag: Tag, value: &str) -> &mut Self {
        self.elements.insert(tag, Element { vr: vr::of(tag), value: value.as_bytes().to_vec() });
        self
    }

    /// Sets a value of the given VR, numbers as Little Endian bytes.
    pub fn put_bytes(&mut self, tag: Tag, vr: [u8; 2], value: &[u8]) -> &mut Self {
        self.elements.insert(tag, Element { vr: Some(vr), value: value.to_vec() });
        self
    }

    /// Sets a US value.
    pub fn put_u16(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.put_bytes(tag, *b"US", &value.to_le_bytes())
    }

    /// Takes an element away.
    pub fn remove(&mut self, tag: Tag) -> &mut Self {
        self.elements.remove(&tag);
        self
    }

    /// The bytes of a value, padding included.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.elements.get(&tag).map(|element| element.value.as_slice())
    }

    /// A text, decoded by Specific Character Set and trimmed; `None` if absent or empty.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let element = self.elements.get(&tag)?;
        let charset = self.charset();
        let text = match element.vr.or_else(|| vr::of(tag)) {
            Some([b'P', b'N']) => charset.decode_person_name(&element.value),
            _ => charset.decode(&element.value),
        };
        trimmed(&text)
    }

    /// A person name, decoded by Specific Character Set and trimmed; `None` if absent or empty.
    pub fn person_name(&self, tag: Tag) -> Option<String> {
        trimmed(&self.charset().decode_person_name(self.bytes(tag)?))
    }

    /// A UID; `None` if absent or empty.
    pub fn uid(&self, tag: Tag) -> Option<Uid> {
        Some(Uid::from_bytes(self.bytes(tag)?)).filter(|uid| !uid.is_empty())
    }

    /// The first US value.
    pub fn u16(&self, tag: Tag) -> Option<u16> {
        self.bytes(tag)?.first_chunk().map(|&bytes| u16::from_le_bytes(bytes))
    }

    /// An IS value.
    pub fn int(&self, tag: Tag) -> Option<i64> {
        std::str::from_utf8(self.bytes(tag)?).ok()?.trim_matches([' ', '\0']).parse().ok()
    }

    /// Whether there is such an element, empty or not.
    pub fn contains(&self, tag: Tag) -> bool {
        self.elements.contains_key(&tag)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Tags and values, in the order of the tags.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &[u8])> {
        self.elements.iter().map(|(&tag, element)| (tag, element.value.as_slice()))
    }

    fn charset(&self) -> CharacterSet {
        let declared = self.bytes(tags::SPECIFIC_CHARACTER_SET).filter(|value| !value.is_empty());
        declared.map(CharacterSet::parse).or_else(|| self.default_charset.clone()).unwrap_or_else(CharacterSet::ascii)
    }
}

fn trimmed(text: &str) -> Option<String> {
    let text = text.trim_matches([' ', '\0']);
    (!text.is_empty()).then(|| text.to_string())
}

#[cfg(test)]
mod tests;
