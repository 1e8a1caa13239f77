//! Native data sets from one encoding into another (Implicit, Explicit, Big Endian; out of a deflate stream) while they
//! are read: in constant memory, without recursion, and without losing a value.
//!
//! What changes is only what has to. Sequences and items get undefined lengths, since their headers change size; group
//! lengths go, since they would be wrong; a value that is too long for its VR's 16-bit length becomes UN with one of
//! 32 bits (PS3.5 §6.2.2), whose bytes stay Little Endian, and so does whatever no dictionary knows.

pub(super) mod choice;

use std::io::{self, Read};

use super::ReadError;
use super::inflate::Inflate;
use super::input::Input;
use super::vr::{self, Vr};
use super::wire::{self, DEEPEST, Head, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use crate::dicom::{Encoding, Tag, TransferSyntaxUid, encoding_of, tags, uids};

use choice::Context;

/// A deflated object inflates to this and [`INFLATE_RATIO`] times its own size at most.
const INFLATE_LIMIT: u64 = 64 * 1024 * 1024;
const INFLATE_RATIO: u64 = 256;
/// Where output is handed on rather than gathered further.
const ENOUGH: usize = 64 * 1024;

/// Whether objects in this transfer syntax can be converted into another such, with the exception that nothing is
/// deflated.
pub fn is_native(syntax: &TransferSyntaxUid) -> bool {
    matches!(syntax.as_str(), uids::IMPLICIT_LE | uids::EXPLICIT_LE | uids::EXPLICIT_BE | uids::DEFLATED_LE)
}

/// The data set that `reader` yields in the transfer syntax `from`, in the transfer syntax `to`. `None` where that
/// cannot be done. What is wrong with the data set comes as an error of the reader, which is a [`ReadError`] inside.
pub fn convert<R: Read + Send + 'static>(
    reader: R,
    from: &TransferSyntaxUid,
    to: &TransferSyntaxUid,
) -> Option<Box<dyn Read + Send>> {
    if !is_native(from) || !is_native(to) || to.as_str() == uids::DEFLATED_LE {
        return None;
    }
    let (from, to) = (encoding_of(from), encoding_of(to));
    let raw = Input::new(reader, u64::MAX);
    Some(match (from, to) {
        (Encoding::DeflatedLe, Encoding::ExplicitLe) => Box::new(Inflate::new(raw, INFLATE_LIMIT, INFLATE_RATIO)),
        (Encoding::DeflatedLe, _) => {
            let inflate = Inflate::new(raw, INFLATE_LIMIT, INFLATE_RATIO);
            Box::new(Convert::new(Input::new(inflate, u64::MAX), from, to))
        }
        _ => Box::new(Convert::new(raw, from, to)),
    })
}

/// What is wrong with a data set, as [`convert`] says it; anything else that a reader says is handed back.
pub fn read_error(error: io::Error) -> Result<ReadError, io::Error> {
    error.downcast::<ReadError>()
}

/// Where the walk is: in the data set itself, between the items of a sequence, or in an item.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    DataSet,
    Sequence,
    Item,
}

#[derive(Debug)]
struct Frame {
    place: Place,
    /// How its elements are encoded, and how they shall be.
    from: Syntax,
    to: Syntax,
    /// The offset behind it, when its length is defined.
    end: Option<u64>,
    context: Context,
}

/// A value that is being copied.
#[derive(Debug)]
struct Value {
    tag: Tag,
    left: usize,
    /// The size of the numbers to turn round; 1 for none.
    unit: usize,
    padding: Option<u8>,
}

/// Reads one encoding and is read as another.
struct Convert<R> {
    input: Input<R>,
    frames: Vec<Frame>,
    value: Option<Value>,
    out: Vec<u8>,
    taken: usize,
}

impl<R: Read> Convert<R> {
    fn new(input: Input<R>, from: Encoding, to: Encoding) -> Self {
        let data_set = Frame {
            place: Place::DataSet,
            from: Syntax::of(from),
            to: Syntax::of(to),
            end: None,
            context: Context::default(),
        };
        Convert { input, frames: vec![data_set], value: None, out: Vec::with_capacity(ENOUGH), taken: 0 }
    }

    /// Converts the next header, or the next piece of a value; `false` where the data set ends.
    fn step(&mut self) -> Result<bool, ReadError> {
        if let Some(value) = self.value.take() {
            self.copy(value)?;
            return Ok(true);
        }
        let offset = self.input.offset();
        if offset == 0
            && let Some(frame) = self.frames.first_mut()
        {
            frame.from = frame.from.probe(self.input.ahead(wire::PROBE)?);
        }
        let Some(&Frame { place, from, end, .. }) = self.frames.last() else { return Ok(false) };
        if let Some(end) = end.filter(|&end| offset >= end) {
            if offset > end {
                return Err(malformed(offset, ITEM, "the element before reaches beyond its item or sequence"));
            }
            self.close();
            return Ok(true);
        }
        let Some(head) = Head::read(&mut self.input, from)? else {
            return if place == Place::DataSet { Ok(false) } else { Err(ReadError::Truncated { offset, tag: None }) };
        };
        match place {
            Place::Sequence => self.in_sequence(&head)?,
            Place::DataSet | Place::Item => self.element(&head, place)?,
        }
        Ok(true)
    }

    fn in_sequence(&mut self, head: &Head) -> Result<(), ReadError> {
        let Some(&Frame { from, to, context, .. }) = self.frames.last() else { return Ok(()) };
        match head.tag {
            ITEM => {
                let from = wire::item_syntax(&mut self.input, from)?;
                wire::write_head(&mut self.out, &Head { tag: ITEM, vr: None, length: None }, to);
                self.open(Place::Item, from, to, head.length, context)
            }
            SEQUENCE_END => {
                self.close();
                Ok(())
            }
            tag => Err(malformed(self.input.offset(), tag, "stands where an item must")),
        }
    }

    fn element(&mut self, head: &Head, place: Place) -> Result<(), ReadError> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let (from, to, open_ended) = (frame.from, frame.to, frame.end.is_none());
        let tag = head.tag;
        match (tag, head.length) {
            (ITEM_END, _) if open_ended && place == Place::Item => self.close(),
            (SEQUENCE_END, _) if open_ended && place == Place::Item => {
                self.close();
                self.close();
            }
            // A stray delimiter is no value.
            (Tag(0xFFFE, _), _) => {}
            // A group length.
            (Tag(_, 0), Some(_)) => wire::skip_value(&mut self.input, head, from)?,
            (tags::PIXEL_DATA, None) => {
                return Err(malformed(self.input.offset(), tag, "compressed, in a transfer syntax of what is not"));
            }
            (_, length) => {
                let (vr, context) = (choice::vr_of(head, &frame.context), frame.context);
                match length {
                    Some(length) if vr != *b"SQ" => self.begin(head, vr, length, from, to)?,
                    _ => {
                        wire::write_head(&mut self.out, &Head { tag, vr: Some(vr), length: None }, to);
                        // What is in an UN is Implicit, whatever is around it (PS3.5 §6.2.2 note 2).
                        let to = if vr == *b"UN" { wire::IMPLICIT } else { to };
                        self.open(Place::Sequence, head.inner(from), to, length, context)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins a value that is no sequence.
    fn begin(&mut self, head: &Head, vr: Vr, length: u32, from: Syntax, to: Syntax) -> Result<(), ReadError> {
        let tag = head.tag;
        let offset = self.input.offset();
        if !to.explicit && length > 0 && vr != *b"UN" && vr::of(tag) == Some(*b"SQ") {
            return Err(malformed(offset, tag, "its VR is not that of the standard, by which alone it could be read"));
        }
        let padded = length.saturating_add(length % 2);
        let fits = !to.explicit || vr::is_long(vr) || padded <= u32::from(u16::MAX);
        let written = if fits { vr } else { *b"UN" };
        // An UN is Little Endian, also one that is made of a number here.
        let turns = from.big != (to.big && written != *b"UN");
        let unit = if turns { vr::unit(vr) } else { 1 };
        let padding = (length % 2 == 1).then_some(if vr::is_text(vr) && vr != *b"UI" { b' ' } else { 0 });
        wire::write_head(&mut self.out, &Head { tag, vr: Some(written), length: Some(padded) }, to);
        if let Some(frame) = self.frames.last_mut() {
            frame.context.note(tag, self.input.ahead(2)?, length, from);
        }
        self.value = Some(Value { tag, left: usize::try_from(length).unwrap_or(usize::MAX), unit, padding });
        Ok(())
    }

    /// Copies a piece of a value, its numbers turned round where that has to be.
    fn copy(&mut self, mut value: Value) -> Result<(), ReadError> {
        while value.left > 0 && self.out.len() < ENOUGH {
            let offset = self.input.offset();
            let ahead = self.input.ahead(value.unit.min(value.left))?;
            let mut n = ahead.len().min(value.left);
            if n < value.left {
                n -= n % value.unit;
            }
            let Some(piece) = ahead.get(..n).filter(|piece| !piece.is_empty()) else {
                return Err(ReadError::Truncated { offset, tag: Some(value.tag) });
            };
            let begin = self.out.len();
            self.out.extend_from_slice(piece);
            vr::swap(self.out.get_mut(begin..).unwrap_or_default(), value.unit);
            self.input.advance(n);
            value.left -= n;
        }
        if value.left > 0 {
            self.value = Some(value);
        } else {
            self.out.extend(value.padding);
        }
        Ok(())
    }

    fn open(
        &mut self,
        place: Place,
        from: Syntax,
        to: Syntax,
        length: Option<u32>,
        context: Context,
    ) -> Result<(), ReadError> {
        let offset = self.input.offset();
        if self.frames.len() > 2 * DEEPEST {
            return Err(ReadError::TooDeep { offset, limit: DEEPEST });
        }
        let end = length.map(|length| offset + u64::from(length));
        self.frames.push(Frame { place, from, to, end, context });
        Ok(())
    }

    fn close(&mut self) {
        let Some(Frame { place, to, .. }) = self.frames.pop() else { return };
        let tag = if place == Place::Item { ITEM_END } else { SEQUENCE_END };
        wire::write_head(&mut self.out, &Head { tag, vr: None, length: Some(0) }, to);
    }
}

impl<R: Read> Read for Convert<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.out.len() {
            self.out.clear();
            self.taken = 0;
            while self.out.len() < ENOUGH && self.step().map_err(io::Error::other)? {}
        }
        let ready = self.out.get(self.taken..).unwrap_or_default();
        let n = ready.len().min(out.len());
        if let (Some(out), Some(ready)) = (out.get_mut(..n), ready.get(..n)) {
            out.copy_from_slice(ready);
        }
        self.taken += n;
        Ok(n)
    }
}

fn malformed(offset: u64, tag: Tag, what: &'static str) -> ReadError {
    ReadError::Malformed { offset, tag, what }
}

#[cfg(test)]
mod tests;
