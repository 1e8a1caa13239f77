//! The identifier of a query, as a stranger sent it: what it asks for, sequences too, within bounds of its own; and the
//! writer of the answers.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::inflate::Inflate;
use super::input::Input;
use super::vr::{self, Vr};
use super::wire::{self, Head, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use super::{CharacterSet, ReadError};
use crate::dicom::{Encoding, Tag, tags};

/// The most bytes of an identifier, inflated.
const LONGEST: u64 = 16 << 20;

/// How much an identifier may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest value, in bytes.
    pub value: usize,
    /// How deep sequences may be nested.
    pub nesting: usize,
}

/// What an identifier asks for, in its own order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Identifier {
    keys: Vec<IdentifierKey>,
}

/// One element of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifierKey {
    /// Its tag.
    pub tag: Tag,
    /// Its value representation: of the wire, or of the dictionary, or UN.
    pub vr: [u8; 2],
    /// Its value; of a sequence nothing is kept.
    pub value: Vec<u8>,
    /// A sequence, inside which a value stands.
    pub nested_value: bool,
}

/// Why an identifier is not taken.
#[derive(Debug, thiserror::Error)]
pub enum IdentifierError {
    /// It is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A value is longer than allowed.
    #[error("the value of {tag} is longer than {limit} bytes")]
    LongValue {
        /// Whose.
        tag: Tag,
        /// What is allowed.
        limit: usize,
    },
    /// Sequences are nested deeper than allowed.
    #[error("the sequence {tag} is nested deeper than {limit} levels")]
    Nesting {
        /// The sequence at the top.
        tag: Tag,
        /// What is allowed.
        limit: usize,
    },
}

impl Identifier {
    /// Reads an identifier as a whole, or says what is wrong with it.
    pub fn read(bytes: &[u8], encoding: Encoding, bounds: Bounds) -> Result<Identifier, IdentifierError> {
        let mut identifier = Identifier::default();
        let syntax = Syntax::of(encoding);
        if encoding == Encoding::DeflatedLe && !wire::looks_like_elements(bytes) {
            identifier.fill(&mut Input::new(Inflate::new(bytes, LONGEST, 0), LONGEST), syntax, bounds)?;
        } else {
            identifier.fill(&mut Input::new(bytes, LONGEST), syntax, bounds)?;
        }
        Ok(identifier)
    }

    fn fill<R: Read>(&mut self, input: &mut Input<R>, declared: Syntax, bounds: Bounds) -> Result<(), IdentifierError> {
        let syntax = declared.probe(input.ahead(wire::PROBE)?);
        while let Some(head) = Head::read(input, syntax)? {
            let tag = head.tag;
            // A stray delimiter, a group length: nothing is asked for.
            if matches!(tag, ITEM | ITEM_END | SEQUENCE_END) || tag.element() == 0 {
                wire::skip(input, head.length.filter(|_| tag.element() == 0).unwrap_or(0), tag)?;
                continue;
            }
            let vr = head.vr.or_else(|| vr::of(tag)).unwrap_or(*b"UN");
            let mut key = IdentifierKey { tag, vr, value: Vec::new(), nested_value: false };
            match head.length {
                Some(length) if !is_sequence(&head, vr) => {
                    if usize::try_from(length).map_or(true, |length| length > bounds.value) {
                        return Err(IdentifierError::LongValue { tag, limit: bounds.value });
                    }
                    key.value = input.read_value(length, tag)?;
                    if syntax.big {
                        vr::swap(&mut key.value, vr::unit(vr));
                    }
                }
                _ => key.nested_value = holds_value(input, &head, syntax, bounds)?,
            }
            if self.key(tag).is_none() {
                self.keys.push(key);
            }
        }
        Ok(())
    }

    /// What it asks for.
    pub fn keys(&self) -> &[IdentifierKey] {
        &self.keys
    }

    /// One of them.
    pub fn key(&self, tag: Tag) -> Option<&IdentifierKey> {
        self.keys.iter().find(|key| key.tag == tag)
    }

    /// The terms of its Specific Character Set; empty where it names none.
    pub fn charset_terms(&self) -> &[u8] {
        self.key(tags::SPECIFIC_CHARACTER_SET).map_or(&[][..], |key| key.value.as_slice()).trim_ascii()
    }
}

impl IdentifierKey {
    /// The value as a text without padding.
    pub fn text(&self, charset: &CharacterSet) -> String {
        let text = match &self.vr {
            b"PN" => charset.decode_person_name(&self.value),
            b"US" => self.value.first_chunk().map(|b| u16::from_le_bytes(*b).to_string()).unwrap_or_default(),
            _ => charset.decode(&self.value),
        };
        text.trim_matches([' ', '\0']).to_owned()
    }
}

fn is_sequence(head: &Head, vr: Vr) -> bool {
    head.length.is_none() || vr == *b"SQ"
}

/// Gets past a sequence and says whether a value stands in it, at whatever depth. Does not recurse.
fn holds_value<R: Read>(
    input: &mut Input<R>,
    head: &Head,
    syntax: Syntax,
    bounds: Bounds,
) -> Result<bool, IdentifierError> {
    let end = |length: Option<u32>, at: u64| length.map(|length| at + u64::from(length));
    let mut ends = vec![end(head.length, input.offset())];
    let mut holds = false;
    while let Some(last) = ends.last() {
        if last.is_some_and(|end| input.offset() >= end) {
            ends.pop();
            continue;
        }
        let Some(next) = Head::read(input, syntax)? else {
            return Err(ReadError::Truncated { offset: input.offset(), tag: Some(head.tag) }.into());
        };
        match next.tag {
            ITEM | ITEM_END => {}
            SEQUENCE_END => {
                ends.pop();
            }
            tag if is_sequence(&next, next.vr.or_else(|| vr::of(tag)).unwrap_or(*b"UN")) => {
                if ends.len() >= bounds.nesting {
                    return Err(IdentifierError::Nesting { tag: head.tag, limit: bounds.nesting });
                }
                ends.push(end(next.length, input.offset()));
            }
            _ => {
                holds |= next.length.is_some_and(|length| length > 0);
                wire::skip_value(input, &next, syntax)?;
            }
        }
    }
    Ok(holds)
}

/// Writes elements one after the other into a buffer. The caller has them in the order of their tags.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    encoding: Encoding,
    syntax: Syntax,
}

impl Writer {
    /// For data sets in this encoding.
    pub fn new(encoding: Encoding) -> Self {
        Writer { out: Vec::with_capacity(512), encoding, syntax: Syntax::of(encoding) }
    }

    /// Appends an element; numbers are Little Endian bytes, odd values are padded.
    pub fn put(&mut self, tag: Tag, vr: [u8; 2], value: &[u8]) {
        wire::write_element(&mut self.out, tag, vr, value, self.syntax);
    }

    /// The data set.
    pub fn finish(self) -> Vec<u8> {
        if self.encoding != Encoding::DeflatedLe {
            return self.out;
        }
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
        let deflated = deflate.write_all(&self.out).and_then(|()| deflate.finish());
        // A vector takes what is written to it.
        deflated.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { value: 64, nesting: 2 };
    const REQUESTS: Tag = tags::REQUEST_ATTRIBUTES_SEQUENCE;

    fn read(bytes: &[u8], encoding: Encoding) -> Result<Identifier, IdentifierError> {
        Identifier::read(bytes, encoding, BOUNDS)
    }

    /// An item, or a sequence when there is a VR in the encoding, with a defined or an undefined length.
    fn wrap(out: &mut Vec<u8>, tag: Tag, vr: &[u8], defined: bool, inner: &[u8], end: Tag) {
        out.extend([tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat());
        out.extend(vr);
        out.extend(if defined { u32::try_from(inner.len()).unwrap() } else { u32::MAX }.to_le_bytes());
        out.extend(inner);
        if !defined {
            out.extend([end.0.to_le_bytes(), end.1.to_le_bytes()].concat());
            out.extend([0; 4]);
        }
    }

    /// A sequence of one item with an element in it, `depth` deep.
    fn sequence(encoding: Encoding, defined: bool, depth: usize, value: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(encoding);
        writer.put(tags::SCHEDULED_PROCEDURE_STEP_ID, *b"SH", value);
        let mut inner = writer.finish();
        let vr: &[u8] = if encoding == Encoding::ImplicitLe { b"" } else { b"SQ\0\0" };
        for _ in 0..depth {
            let (mut item, mut sequence) = (Vec::new(), Vec::new());
            wrap(&mut item, ITEM, b"", defined, &inner, ITEM_END);
            wrap(&mut sequence, REQUESTS, vr, defined, &item, SEQUENCE_END);
            inner = sequence;
        }
        inner
    }

    #[test]
    fn keys_are_read_in_every_encoding_and_sequences_tell_whether_they_ask_for_something() {
        for encoding in [Encoding::ImplicitLe, Encoding::ExplicitLe, Encoding::ExplicitBe, Encoding::DeflatedLe] {
            let mut writer = Writer::new(encoding);
            writer.put(tags::SPECIFIC_CHARACTER_SET, *b"CS", b"ISO_IR 100");
            writer.put(Tag(0x0008, 0x0000), *b"UL", &[4, 0, 0, 0]);
            writer.put(tags::PATIENT_NAME, *b"PN", b"M\xFCller^* ");
            writer.put(tags::ROWS, *b"US", &[0, 2]);
            writer.put(Tag(0x0009, 0x1001), *b"LO", b"");
            let identifier = read(&writer.finish(), encoding).unwrap();
            let charset = CharacterSet::parse(identifier.charset_terms());
            let texts: Vec<_> = identifier.keys().iter().map(|key| (key.tag, key.text(&charset))).collect();
            let expected = [
                (tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100"),
                (tags::PATIENT_NAME, "Müller^*"),
                (tags::ROWS, "512"),
                (Tag(0x0009, 0x1001), ""),
            ];
            assert_eq!(texts, expected.map(|(tag, text)| (tag, text.to_owned())), "{encoding:?}");
        }
        for encoding in [Encoding::ImplicitLe, Encoding::ExplicitLe] {
            for (defined, depth, value, holds) in
                [(true, 1, &b"X "[..], true), (false, 1, b"X ", true), (true, 2, b"", false), (false, 2, b"X ", true)]
            {
                let identifier = read(&sequence(encoding, defined, depth, value), encoding).unwrap();
                let [key] = identifier.keys() else { panic!("{identifier:?}") };
                assert_eq!(
                    (key.tag, key.vr, key.nested_value),
                    (REQUESTS, *b"SQ", holds),
                    "{encoding:?} {defined} {depth}"
                );
            }
        }
    }

    #[test]
    fn what_exceeds_the_bounds_or_is_damaged_is_refused() {
        let implicit = Encoding::ImplicitLe;
        for defined in [true, false] {
            let deep = read(&sequence(implicit, defined, 3, b"X "), implicit);
            assert!(matches!(deep, Err(IdentifierError::Nesting { tag: REQUESTS, limit: 2 })), "{deep:?}");
        }
        let mut writer = Writer::new(implicit);
        writer.put(tags::PATIENT_ID, *b"LO", &[b'1'; 66]);
        let long = writer.finish();
        assert!(matches!(read(&long, implicit), Err(IdentifierError::LongValue { limit: 64, .. })));
        let whole = sequence(implicit, false, 2, b"X ");
        for cut in 1..whole.len() {
            assert!(matches!(read(&whole[..cut], implicit), Err(IdentifierError::Read(_))), "cut at {cut}");
        }
        assert!(read(&[], implicit).unwrap().keys().is_empty());
        assert!(matches!(read(&[16, 0, 32, 0, 255, 255, 255, 127], implicit), Err(IdentifierError::LongValue { .. })));
    }
}
