//! A data set whose header is read and whose pixel data are come upon: whole where they are native, by fragments where
//! they are encapsulated (PS3.5 annex A.4). What nobody asks for is passed over, and never held.

use std::io::{self, Read};

use super::input::Input;
use super::tree::read_header;
use super::wire::{self, Head, ITEM, SEQUENCE_END, Syntax};
use super::{CharacterSet, ReadError, Tree, convert, is_native, vr};
use crate::dicom::{Tag, TransferSyntaxUid, encoding_of, tags, uids};

/// A data set that stands at its pixel data.
pub struct PixelStream {
    /// What came before.
    pub header: Tree,
    input: Input<Box<dyn Read + Send>>,
    syntax: Syntax,
    /// The element; nothing where there is none.
    found: Option<Head>,
}

impl PixelStream {
    /// Reads the header of a data set, which may take `limit` bytes of memory, more or less. Native pixel data are Little
    /// Endian from here on.
    pub fn open<R: Read + Send + 'static>(
        reader: R,
        syntax: &TransferSyntaxUid,
        limit: u64,
    ) -> Result<PixelStream, ReadError> {
        let explicit = TransferSyntaxUid::new(uids::EXPLICIT_LE);
        let converts = is_native(syntax) && !matches!(syntax.as_str(), uids::EXPLICIT_LE | uids::IMPLICIT_LE);
        let (reader, encoding): (Box<dyn Read + Send>, _) = if converts {
            let none = || ReadError::NotDicom;
            (convert(reader, syntax, &explicit).ok_or_else(none)?, encoding_of(&explicit))
        } else {
            (Box::new(reader), encoding_of(syntax))
        };
        let mut input = Input::new(reader, u64::MAX);
        let (mut header, found, syntax) = read_header(&mut input, encoding, limit)?;
        header.decode(&CharacterSet::default());
        Ok(PixelStream { header, input, syntax, found })
    }

    /// The pixel data element that there is.
    pub fn tag(&self) -> Option<Tag> {
        self.found.map(|head| head.tag)
    }

    /// Whether native pixel data came as words of 16 bits.
    pub fn has_words(&self) -> bool {
        self.found.is_some_and(|head| head.vr == Some(*b"OW"))
    }

    /// Where its header begins.
    pub fn begin(&self) -> u64 {
        let long = self.syntax.explicit && self.found.and_then(|head| head.vr).is_some_and(vr::is_long);
        self.input.offset() - self.found.map_or(0, |_| if long { 12 } else { 8 })
    }

    /// The header that native pixel data of so many bytes have in its place.
    pub fn native_head(&self, vr: [u8; 2], length: u32) -> Vec<u8> {
        let mut head = Vec::new();
        wire::write_head(&mut head, &Head { tag: tags::PIXEL_DATA, vr: Some(vr), length: Some(length) }, self.syntax);
        head
    }

    /// Whether elements say their VR.
    pub fn is_explicit(&self) -> bool {
        self.syntax.explicit
    }

    /// What stands behind the pixel data.
    pub fn rest(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.input.read(into)
    }

    /// How many bytes native pixel data have; `None` where they are encapsulated, or not there.
    pub fn length(&self) -> Option<u32> {
        self.found.and_then(|head| head.length)
    }

    /// The length of the next fragment; `None` behind the last. The first one is the Basic Offset Table.
    pub fn fragment(&mut self) -> Result<Option<u32>, ReadError> {
        let offset = self.input.offset();
        match Head::read(&mut self.input, self.syntax)? {
            Some(Head { tag: ITEM, length: Some(length), .. }) => Ok(Some(length)),
            Some(Head { tag: SEQUENCE_END, .. }) => Ok(None),
            Some(Head { tag, .. }) => {
                Err(ReadError::Malformed { offset: self.input.offset(), tag, what: "stands where a fragment must" })
            }
            None => Err(ReadError::Truncated { offset, tag: Some(tags::PIXEL_DATA) }),
        }
    }

    /// The next so many bytes of a value or a fragment.
    pub fn read(&mut self, length: u32) -> Result<Vec<u8>, ReadError> {
        self.input.read_value(length, tags::PIXEL_DATA)
    }

    /// Passes over so many of them.
    pub fn skip(&mut self, length: u32) -> Result<(), ReadError> {
        wire::skip(&mut self.input, length, tags::PIXEL_DATA)
    }
}
