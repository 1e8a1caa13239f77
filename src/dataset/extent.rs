//! Whether a data set is all there: every element ends within the file, native pixel data have the bytes that their
//! attributes promise, encapsulated ones their delimiter (PS3.5 §8, annex A.4). Pixel data are jumped over, not read.

use std::io::{self, Read, Seek, SeekFrom};

use super::ReadError;
use super::inflate::Inflate;
use super::input::Input;
use super::wire::{self, Head, Syntax};
use crate::dicom::{Encoding, Tag, tags};

/// What a deflated data set may inflate to, beyond [`RATIO`] times what it has.
const INFLATED: u64 = 64 * 1024 * 1024;
const RATIO: u64 = 256;
/// What is read at once while jumping from element to element.
const WINDOW: usize = 4 * 1024;

/// How far a header was read, and what must follow.
#[derive(Debug, Clone)]
pub struct Extent {
    pub(super) syntax: Syntax,
    pub(super) deflated: bool,
    /// Where the last element that was looked at begins.
    pub(super) at: u64,
    /// Where the items of encapsulated pixel data begin.
    pub(super) items: Option<u64>,
    /// What Rows × Columns × Samples per Pixel × Bits Allocated × Number of Frames come to.
    pub(super) pixel_bytes: Option<u64>,
}

/// Where and how a file ends too early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of the data set that are there and sound.
    pub at: u64,
    /// What is missing, as the end of a sentence.
    pub what: String,
}

impl Extent {
    pub(super) fn of(encoding: Encoding) -> Self {
        let deflated = encoding == Encoding::DeflatedLe;
        Extent { syntax: Syntax::of(encoding), deflated, at: 0, items: None, pixel_bytes: None }
    }

    /// Where the items of encapsulated pixel data begin, if there are such.
    pub fn encapsulated_at(&self) -> Option<u64> {
        self.items
    }

    /// Whether the header says how many pixels there are.
    pub fn tells_pixels(&self) -> bool {
        self.pixel_bytes.is_some()
    }

    /// How the elements are encoded, whatever the transfer syntax says.
    pub fn encoding(&self) -> Encoding {
        match (self.deflated, self.syntax.explicit, self.syntax.big) {
            (true, ..) => Encoding::DeflatedLe,
            (false, true, true) => Encoding::ExplicitBe,
            (false, true, false) => Encoding::ExplicitLe,
            (false, false, _) => Encoding::ImplicitLe,
        }
    }
}

/// Looks for the place where a data set is cut off; `None` when it is whole as far as its structure tells. The reader
/// stands anywhere; the data set is its bytes from `begin` to `end`. `native` says that the transfer syntax is one
/// whose pixel data are not compressed, `pixels` that the object is one that has pixel data.
pub fn find_cut<R: Read + Seek>(
    reader: &mut R,
    (begin, end): (u64, u64),
    extent: &Extent,
    native: bool,
    pixels: bool,
) -> io::Result<Option<Cut>> {
    if extent.deflated {
        reader.seek(SeekFrom::Start(begin))?;
        return inflate(reader.take(end.saturating_sub(begin)));
    }
    let length = end.saturating_sub(begin);
    let mut walk = Walk { reader, begin, length, extent, native, pixels, window: Vec::new(), seen: 0 };
    walk.run()
}

/// Inflates everything: only its end tells whether a stream is whole.
fn inflate(reader: impl Read) -> io::Result<Option<Cut>> {
    let mut inflated = Inflate::new(reader, INFLATED, RATIO);
    match io::copy(&mut inflated, &mut io::sink()) {
        Ok(_) => Ok(None),
        Err(error) => match error.downcast::<ReadError>() {
            Ok(ReadError::Truncated { offset, .. } | ReadError::Deflate { offset }) => {
                Ok(Some(Cut { at: offset, what: "the deflated data set does not come to its end".into() }))
            }
            Ok(error) => Ok(Some(Cut { at: 0, what: error.to_string() })),
            Err(error) => Err(error),
        },
    }
}

struct Walk<'r, R> {
    reader: &'r mut R,
    begin: u64,
    length: u64,
    extent: &'r Extent,
    native: bool,
    pixels: bool,
    /// Bytes of the data set from `seen` on.
    window: Vec<u8>,
    seen: u64,
}

impl<R: Read + Seek> Walk<'_, R> {
    fn run(&mut self) -> io::Result<Option<Cut>> {
        let syntax = self.extent.syntax;
        let mut at = self.extent.at;
        let mut behind_pixels = false;
        loop {
            let (head, value) = match self.head(at, syntax)? {
                Ok(Some(head)) => head,
                Ok(None) if self.pixels && !behind_pixels => {
                    return Ok(Some(Cut { at, what: "the file ends before the pixel data".into() }));
                }
                Ok(None) => return Ok(None),
                // Less than a header behind the pixel data is padding.
                Err(_) if behind_pixels => return Ok(None),
                Err(what) => return Ok(Some(Cut { at, what })),
            };
            let is_pixels =
                matches!(head.tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA);
            // Behind the pixel data anything may lie that is no element at all.
            if behind_pixels && !(head.tag > tags::PIXEL_DATA && (head.vr.is_some() || !syntax.explicit)) {
                return Ok(None);
            }
            at = match head.length {
                Some(length) => {
                    let next = value.saturating_add(u64::from(length));
                    if next > self.length {
                        let missing = next - self.length;
                        return Ok(Some(Cut { at: self.length, what: inside(head.tag, missing) }));
                    }
                    if is_pixels && let Some(cut) = self.short(&head, length) {
                        return Ok(Some(Cut { at: next, what: cut }));
                    }
                    next
                }
                None if is_pixels => match self.fragments(value, syntax)? {
                    Ok(next) => next,
                    Err(cut) => return Ok(Some(cut)),
                },
                None => match self.nested(&head, value)? {
                    Ok(next) => next,
                    Err(Some(cut)) => return Ok(Some(cut)),
                    // What is malformed is for the scanner to judge; where it goes on cannot be told.
                    Err(None) => return Ok(None),
                },
            };
            // Whoever left them out on purpose wrote on.
            behind_pixels |= is_pixels || head.tag > tags::PIXEL_DATA;
        }
    }

    /// The element header at a place and where its value begins; `None` at the end.
    fn head(&mut self, at: u64, syntax: Syntax) -> io::Result<Result<Option<(Head, u64)>, String>> {
        let ahead = self.ahead(at)?;
        let mut input = Input::small(ahead);
        match Head::read(&mut input, syntax) {
            Ok(head) => Ok(Ok(head.map(|head| (head, at + input.offset())))),
            Err(_) => Ok(Err(format!("the file ends {} bytes into the header of an element", ahead.len()))),
        }
    }

    /// Up to twelve bytes from a place on.
    fn ahead(&mut self, at: u64) -> io::Result<&[u8]> {
        let wanted = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX).min(12);
        let from = at.checked_sub(self.seen).and_then(|from| usize::try_from(from).ok());
        if from.is_none_or(|from| from.saturating_add(wanted) > self.window.len()) {
            self.reader.seek(SeekFrom::Start(self.begin.saturating_add(at)))?;
            self.window.clear();
            let most = self.length.saturating_sub(at).min(WINDOW as u64);
            self.reader.by_ref().take(most).read_to_end(&mut self.window)?;
            self.seen = at;
        }
        let from = usize::try_from(at - self.seen).unwrap_or(usize::MAX);
        Ok(self.window.get(from..(from + wanted).min(self.window.len())).unwrap_or_default())
    }

    /// What native pixel data lack.
    fn short(&self, head: &Head, length: u32) -> Option<String> {
        let wanted = self.extent.pixel_bytes.filter(|_| self.native && head.tag == tags::PIXEL_DATA)?;
        (u64::from(length) < wanted).then(|| {
            format!("the pixel data have {length} bytes, and Rows, Columns and Number of Frames ask for {wanted}")
        })
    }

    /// Over the items of encapsulated pixel data, to behind their delimiter.
    fn fragments(&mut self, mut at: u64, syntax: Syntax) -> io::Result<Result<u64, Cut>> {
        loop {
            let found = self.head(at, syntax)?;
            match found {
                Ok(Some((head, next))) if head.tag == wire::SEQUENCE_END => return Ok(Ok(next)),
                Ok(Some((Head { tag: wire::ITEM, length: Some(length), .. }, value))) => {
                    let next = value.saturating_add(u64::from(length));
                    if next > self.length {
                        let what = inside(tags::PIXEL_DATA, next - self.length);
                        return Ok(Err(Cut { at: self.length, what }));
                    }
                    at = next;
                }
                Ok(Some(_)) => {
                    return Ok(Err(Cut { at, what: "the encapsulated pixel data end in what is no fragment".into() }));
                }
                Ok(None) | Err(_) => {
                    let what = "the encapsulated pixel data end without their sequence delimiter".into();
                    return Ok(Err(Cut { at: self.length, what }));
                }
            }
        }
    }

    /// Over a sequence of undefined length.
    fn nested(&mut self, head: &Head, value: u64) -> io::Result<Result<u64, Option<Cut>>> {
        self.reader.seek(SeekFrom::Start(self.begin.saturating_add(value)))?;
        let left = self.length.saturating_sub(value);
        let mut input = Input::new(self.reader.by_ref().take(left), u64::MAX);
        match wire::skip_value(&mut input, head, self.extent.syntax) {
            Ok(()) => Ok(Ok(value + input.offset())),
            Err(ReadError::Truncated { .. }) => {
                let what = format!("the file ends inside the sequence {}", head.tag);
                Ok(Err(Some(Cut { at: self.length, what })))
            }
            Err(ReadError::Io { source, .. }) => Err(source),
            Err(_) => Ok(Err(None)),
        }
    }
}

fn inside(tag: Tag, missing: u64) -> String {
    format!("the file ends inside element {tag}, which lacks {missing} bytes")
}
