//! Digests of the values of a data set, whatever its encoding: are two copies of an object the same?

use std::io::Read;

use super::ReadError;
use super::inflate::Inflate;
use super::input::Input;
use super::vr;
use super::wire::{self, DEEPEST, Head, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use crate::dicom::{Encoding, Tag, TransferSyntaxUid, encoding_of, tags};

/// A deflated object inflates to this and [`INFLATE_RATIO`] times its own size at most.
const INFLATE_LIMIT: u64 = 64 * 1024 * 1024;
const INFLATE_RATIO: u64 = 256;
/// Padding longer than this counts as value.
const LONGEST_PADDING: usize = 64 * 1024;

/// Two digests of the values: of everything but the pixel data, and of the pixel data. They do not depend on
/// Implicit, Explicit or Big Endian encoding, on defined or undefined lengths, group lengths or padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueDigest {
    /// Of every element but the pixel data.
    pub header: [u8; 32],
    /// Of the pixel data; that of nothing when there is none.
    pub pixels: [u8; 32],
}

/// Reads a whole object, streaming, in constant memory.
pub fn value_digest<R: Read>(reader: R, syntax: &TransferSyntaxUid) -> Result<ValueDigest, ReadError> {
    let encoding = encoding_of(syntax);
    let mut raw = Input::new(reader, u64::MAX);
    if encoding == Encoding::DeflatedLe && !wire::looks_like_elements(raw.ahead(8)?) {
        let inflate = Inflate::new(raw, INFLATE_LIMIT, INFLATE_RATIO);
        Walk::new(Input::new(inflate, u64::MAX), encoding)?.run()
    } else {
        Walk::new(raw, encoding)?.run()
    }
}

/// Where the walk is: in the data set itself, between the items of a sequence, or in an item.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    DataSet,
    Sequence,
    Item,
}

struct Frame {
    place: Place,
    syntax: Syntax,
    /// The offset behind it, when its length is defined.
    end: Option<u64>,
}

struct Walk<R> {
    input: Input<R>,
    frames: Vec<Frame>,
    header: blake3::Hasher,
    pixels: blake3::Hasher,
}

// What separates the values in the digest.
const VALUE: u8 = 1;
const SEQUENCE: u8 = 2;
const IN_ITEM: u8 = 3;
const CLOSE: u8 = 4;
const FRAGMENTS: u8 = 5;

impl<R: Read> Walk<R> {
    fn new(mut input: Input<R>, encoding: Encoding) -> Result<Self, ReadError> {
        let syntax = Syntax::of(encoding).probe(input.ahead(wire::PROBE)?);
        let frames = vec![Frame { place: Place::DataSet, syntax, end: None }];
        Ok(Walk { input, frames, header: blake3::Hasher::new(), pixels: blake3::Hasher::new() })
    }

    fn run(mut self) -> Result<ValueDigest, ReadError> {
        while let Some(&Frame { place, syntax, end }) = self.frames.last() {
            let offset = self.input.offset();
            if let Some(end) = end.filter(|&end| offset >= end) {
                if offset > end {
                    return Err(malformed(offset, ITEM, "the element before reaches beyond its item or sequence"));
                }
                self.close();
                continue;
            }
            let Some(head) = Head::read(&mut self.input, syntax)? else {
                if place == Place::DataSet {
                    break;
                }
                return Err(ReadError::Truncated { offset, tag: None });
            };
            match place {
                Place::Sequence => self.in_sequence(&head, syntax)?,
                Place::DataSet | Place::Item => self.element(&head, syntax, place)?,
            }
        }
        Ok(ValueDigest { header: *self.header.finalize().as_bytes(), pixels: *self.pixels.finalize().as_bytes() })
    }

    fn in_sequence(&mut self, head: &Head, syntax: Syntax) -> Result<(), ReadError> {
        match head.tag {
            ITEM => {
                let syntax = wire::item_syntax(&mut self.input, syntax)?;
                self.header.update(&[IN_ITEM]);
                self.open(Place::Item, syntax, head.length)
            }
            SEQUENCE_END => {
                self.close();
                Ok(())
            }
            tag => Err(malformed(self.input.offset(), tag, "stands where an item must")),
        }
    }

    fn element(&mut self, head: &Head, syntax: Syntax, place: Place) -> Result<(), ReadError> {
        let tag = head.tag;
        let open_ended = self.frames.last().is_some_and(|frame| frame.end.is_none());
        match (tag, place) {
            (ITEM_END, Place::Item) if open_ended => self.close(),
            (SEQUENCE_END, Place::Item) if open_ended => {
                self.close();
                self.close();
            }
            // A stray delimiter is no value.
            (Tag(0xFFFE, _), _) => {}
            // Group lengths and trailing padding.
            (Tag(_, 0) | tags::DATA_SET_TRAILING_PADDING, _) => wire::skip_value(&mut self.input, head, syntax)?,
            (tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA, Place::DataSet) => {
                self.pixel_data(head, syntax)?;
            }
            (tags::PIXEL_DATA, _) if head.length.is_none() => {
                // Encapsulated, in an icon.
                let digest = self.fragments(syntax)?;
                mark(&mut self.header, tag, FRAGMENTS, &digest);
            }
            _ if self.is_sequence(head, syntax)? => {
                mark(&mut self.header, tag, SEQUENCE, &[]);
                self.open(Place::Sequence, head.inner(syntax), head.length)?;
            }
            _ => {
                let digest = self.value(head, syntax)?;
                mark(&mut self.header, tag, VALUE, &digest);
            }
        }
        Ok(())
    }

    /// SQ says so in Explicit VR and the dictionary in Implicit; a private sequence shows by its first item.
    fn is_sequence(&mut self, head: &Head, syntax: Syntax) -> Result<bool, ReadError> {
        let Some(length) = head.length else {
            return Ok(true);
        };
        let vr = head.vr.filter(|vr| vr != b"UN").or_else(|| vr::of(head.tag));
        if vr.is_some() {
            return Ok(vr == Some(*b"SQ"));
        }
        let first: [u8; 4] =
            if syntax.big && head.vr.is_none() { [0xFF, 0xFE, 0xE0, 0] } else { [0xFE, 0xFF, 0, 0xE0] };
        Ok(length >= 8 && self.input.ahead(4)?.starts_with(&first))
    }

    fn pixel_data(&mut self, head: &Head, syntax: Syntax) -> Result<(), ReadError> {
        let (marker, digest) = match head.length {
            Some(_) => (VALUE, self.value(head, syntax)?),
            None => (FRAGMENTS, self.fragments(syntax)?),
        };
        mark(&mut self.pixels, head.tag, marker, &digest);
        Ok(())
    }

    /// The bytes of all fragments but the first, which is the offset table and may be left empty.
    fn fragments(&mut self, syntax: Syntax) -> Result<[u8; 32], ReadError> {
        let mut hasher = blake3::Hasher::new();
        let mut first = true;
        loop {
            let offset = self.input.offset();
            match Head::read(&mut self.input, syntax)? {
                None => {
                    return Err(ReadError::Truncated { offset, tag: Some(tags::PIXEL_DATA) });
                }
                Some(Head { tag: SEQUENCE_END, .. }) => return Ok(*hasher.finalize().as_bytes()),
                Some(Head { tag: ITEM, length: Some(length), .. }) if first => {
                    wire::skip(&mut self.input, length, ITEM)?;
                }
                Some(Head { tag: ITEM, length: Some(length), .. }) => {
                    self.pieces(length, 1, ITEM, |piece| {
                        hasher.update(piece);
                    })?;
                }
                Some(head) => {
                    return Err(malformed(self.input.offset(), head.tag, "is no fragment of pixel data"));
                }
            }
            first = false;
        }
    }

    fn value(&mut self, head: &Head, syntax: Syntax) -> Result<[u8; 32], ReadError> {
        let length = head.length.unwrap_or(0);
        let unit = if syntax.big { head.vr.map_or(1, vr::unit) } else { 1 };
        // By the dictionary, which says the same of the tag in every encoding.
        let text = vr::of(head.tag).is_some_and(vr::is_text);
        let is_padding = |byte: u8| byte == 0 || (text && byte == b' ');
        let longest = if text { LONGEST_PADDING } else { usize::from(length.is_multiple_of(2)) };
        let mut hasher = blake3::Hasher::new();
        // Bytes that are padding when nothing else follows.
        let mut held: Vec<u8> = Vec::new();
        self.pieces(length, unit, head.tag, |piece| {
            let padding = piece.iter().rev().take_while(|&&b| is_padding(b)).count().min(longest);
            let (value, padding) = piece.split_at(piece.len() - padding);
            if !value.is_empty() || held.len() + padding.len() > longest {
                hasher.update(&held);
                held.clear();
            }
            hasher.update(value);
            held.extend_from_slice(padding);
        })?;
        Ok(*hasher.finalize().as_bytes())
    }

    /// Hands out a value in pieces, its numbers turned to Little Endian.
    fn pieces(&mut self, length: u32, unit: usize, tag: Tag, mut sink: impl FnMut(&[u8])) -> Result<(), ReadError> {
        let mut left = usize::try_from(length).unwrap_or(usize::MAX);
        let mut swapped = Vec::new();
        while left > 0 {
            let offset = self.input.offset();
            let ahead = self.input.ahead(unit.min(left))?;
            let mut n = ahead.len().min(left);
            if n < left {
                n -= n % unit;
            }
            let Some(piece) = ahead.get(..n).filter(|piece| !piece.is_empty()) else {
                return Err(ReadError::Truncated { offset, tag: Some(tag) });
            };
            if unit == 1 {
                sink(piece);
            } else {
                swapped.clear();
                swapped.extend_from_slice(piece);
                vr::swap(&mut swapped, unit);
                sink(&swapped);
            }
            self.input.advance(n);
            left -= n;
        }
        Ok(())
    }

    fn open(&mut self, place: Place, syntax: Syntax, length: Option<u32>) -> Result<(), ReadError> {
        let offset = self.input.offset();
        if self.frames.len() > 2 * DEEPEST {
            return Err(ReadError::TooDeep { offset, limit: DEEPEST });
        }
        let end = length.map(|length| offset + u64::from(length));
        self.frames.push(Frame { place, syntax, end });
        Ok(())
    }

    fn close(&mut self) {
        self.frames.pop();
        self.header.update(&[CLOSE]);
    }
}

fn mark(hasher: &mut blake3::Hasher, tag: Tag, marker: u8, digest: &[u8]) {
    hasher.update(&[marker]).update(&tag.group().to_le_bytes()).update(&tag.element().to_le_bytes()).update(digest);
}

fn malformed(offset: u64, tag: Tag, what: &'static str) -> ReadError {
    ReadError::Malformed { offset, tag, what }
}

#[cfg(test)]
mod tests;
