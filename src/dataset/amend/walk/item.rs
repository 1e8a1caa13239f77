//! Within sequences and compressed pixel data.

use std::io::Read;

use super::super::super::ReadError;
use super::super::super::wire::{self, DEEPEST, Head, ITEM, ITEM_END, SEQUENCE_END, Syntax};
use super::{Edits, Frame, Mode, Place, Walk};
use crate::dicom::{Tag, tags};

impl<R: Read> Walk<R> {
    /// The next header within a sequence or an item.
    pub(super) fn nested(&mut self) -> Result<(), ReadError> {
        let offset = self.input.offset();
        let Some(&Frame { place, tag: around, syntax, end, edits, .. }) = self.frames.last() else { return Ok(()) };
        if let Some(end) = end.filter(|&end| offset >= end) {
            if offset > end {
                let what = "the element before reaches beyond its item or sequence";
                return Err(ReadError::Malformed { offset, tag: around, what });
            }
            self.close();
            return Ok(());
        }
        let Some((head, raw)) = self.head(syntax)? else {
            return Err(ReadError::Truncated { offset, tag: Some(around) });
        };
        let tag = head.tag;
        match (place, tag) {
            (Place::Sequence, SEQUENCE_END) => self.close(),
            (Place::Sequence, ITEM) => match head.length {
                Some(length) if !edits.any() => {
                    self.write_raw(raw);
                    return self.pass(tag, length);
                }
                length => {
                    let inner = wire::item_syntax(&mut self.input, syntax)?;
                    wire::write_head(&mut self.out, &Head { length: None, ..head }, syntax);
                    return self.open(Place::Item, around, inner, length, edits);
                }
            },
            (Place::Sequence, _) => {
                let what = "stands where an item must";
                return Err(ReadError::Malformed { offset: self.input.offset(), tag, what });
            }
            (_, ITEM_END) if end.is_none() => self.close(),
            // The end of a sequence whose last item was left open.
            (_, SEQUENCE_END) if end.is_none() => {
                self.close();
                self.close();
            }
            // A stray delimiter is no value.
            (_, Tag(0xFFFE, _)) => {}
            (_, tags::SPECIFIC_CHARACTER_SET) => return self.character_set_of_item(&head, raw, edits),
            // Group lengths and signatures would be wrong where something changes.
            (_, Tag(_, 0) | tags::DIGITAL_SIGNATURES_SEQUENCE | tags::MAC_PARAMETERS_SEQUENCE) if edits.any() => {
                return wire::skip_value(&mut self.input, &head, syntax);
            }
            _ => return self.element(&head, raw, edits),
        }
        Ok(())
    }

    /// The next fragment of compressed pixel data, or their end.
    pub(super) fn fragment(&mut self) -> Result<(), ReadError> {
        let Some(&Frame { tag, syntax, .. }) = self.frames.last() else { return Ok(()) };
        // Those of the object itself pass as they are, and so do those that were cut off.
        let lenient = self.behind_pixels && self.frames.len() == 1;
        let (head, raw) = match self.head(syntax) {
            Ok(Some(found)) => found,
            Ok(None) if lenient => return self.end_of_pixels(Mode::Done),
            Err(ReadError::Truncated { .. }) if lenient => return self.end_of_pixels(Mode::Tail),
            Ok(None) => return Err(ReadError::Truncated { offset: self.input.offset(), tag: Some(tag) }),
            Err(error) => return Err(error),
        };
        match (head.tag, head.length) {
            (SEQUENCE_END, _) => {
                self.frames.pop();
            }
            (ITEM, Some(left)) => self.mode = Mode::Through { left: left.into(), tag, whole: !lenient },
            _ if lenient => self.end_of_pixels(Mode::Tail)?,
            (tag, _) => {
                let what = "is no fragment of pixel data";
                return Err(ReadError::Malformed { offset: self.input.offset(), tag, what });
            }
        }
        self.write_raw(raw);
        Ok(())
    }

    fn end_of_pixels(&mut self, mode: Mode) -> Result<(), ReadError> {
        self.frames.clear();
        self.finish(mode)
    }

    pub(super) fn open(
        &mut self,
        place: Place,
        tag: Tag,
        syntax: Syntax,
        length: Option<u32>,
        edits: Edits,
    ) -> Result<(), ReadError> {
        let offset = self.input.offset();
        if self.frames.len() > 2 * DEEPEST {
            return Err(ReadError::TooDeep { offset, limit: DEEPEST });
        }
        let end = length.map(|length| offset + u64::from(length));
        self.frames.push(Frame { place, tag, syntax, end, edits, charset: None, concept: None, more: Vec::new() });
        Ok(())
    }

    /// Ends an item or a sequence with its delimiter.
    fn close(&mut self) {
        let Some(Frame { place, syntax, more, .. }) = self.frames.pop() else { return };
        self.out.extend_from_slice(&more);
        let tag = if place == Place::Item { ITEM_END } else { SEQUENCE_END };
        wire::write_head(&mut self.out, &Head { tag, vr: None, length: Some(0) }, syntax);
    }
}
