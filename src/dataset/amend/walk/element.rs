//! Elements: what is put in their place, and how their values change.

use std::io::Read;

use super::super::super::convert::choice::{self, Context};
use super::super::super::tree::{decoded, is_fragments, items_behind};
use super::super::super::vr::{self, Vr};
use super::super::super::wire::{self, Head, Syntax};
use super::super::super::{CharacterSet, ReadError};
use super::super::plan::Insert;
use super::super::uids::{concept, kinds_of};
use super::{Edits, Frame, GATHERED, LONGEST_TEXT, LONGEST_UIDS, Mode, Place, Raw, Walk};
use crate::dicom::{Tag, tags};

impl<R: Read> Walk<R> {
    /// An element of the data set itself.
    pub(super) fn element_of_data_set(&mut self, head: &Head, raw: Raw) -> Result<(), ReadError> {
        let tag = head.tag;
        match self.plan.as_mut().and_then(|plan| plan.at(tag)) {
            Some(Insert::Element(bytes)) => {
                self.out.extend_from_slice(&bytes);
                self.put_away(head, Some(&bytes))
            }
            Some(Insert::Item) => self.longer_sequence(head, raw),
            // One that goes, or another one of those that were written before.
            None if self.amendment.remove.contains(&tag) || self.amendment.writes(tag) => self.put_away(head, None),
            None => {
                let edits = self.edits(tag);
                self.element(head, raw, edits)
            }
        }
    }

    /// A sequence that gets one item more.
    fn longer_sequence(&mut self, head: &Head, raw: Raw) -> Result<(), ReadError> {
        let (tag, syntax) = (head.tag, self.syntax);
        let vr = choice::vr_of(head, &Context::default());
        let Some(inner) = items_behind(&mut self.input, head, vr, syntax)? else {
            // What has that tag and is no sequence makes way for one.
            wire::skip_value(&mut self.input, head, syntax)?;
            self.insert(tag, Insert::Item);
            return Ok(());
        };
        let edits = self.edits(tag);
        let Some(more) = self.more(tag, inner) else { return self.element(head, raw, edits) };
        wire::write_head(&mut self.out, &Head { length: None, ..*head }, syntax);
        self.open(Place::Sequence, tag, inner, head.length, edits)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.more = more;
        }
        Ok(())
    }

    /// An element whose value may change.
    pub(super) fn element(&mut self, head: &Head, raw: Raw, edits: Edits) -> Result<(), ReadError> {
        let syntax = self.frames.last().map_or(self.syntax, |frame| frame.syntax);
        let tag = head.tag;
        if is_fragments(head) {
            self.write_raw(raw);
            return self.open(Place::Fragments, tag, syntax, None, Edits::default());
        }
        let vr = choice::vr_of(head, &Context::default());
        if let Some(inner) = items_behind(&mut self.input, head, vr, syntax)? {
            let uids = edits.uids && (!self.frames.is_empty() || self.replaces_in(head)?);
            return self.sequence(head, raw, Edits { uids, ..edits }, inner);
        }
        let length = head.length.unwrap_or(0);
        let vr = vr::known(tag, vr);
        if edits.texts && length > 0 && (vr::has_charset(vr) || is_private_creator(tag)) {
            return self.text(head, raw, vr, length);
        }
        if edits.uids && vr == *b"UI" && (1..=LONGEST_UIDS).contains(&length) {
            return self.uids(head, raw, length);
        }
        if edits.uids && tag == tags::CODE_VALUE {
            self.note_concept(length)?;
        }
        self.write_raw(raw);
        self.pass(tag, length)
    }

    fn sequence(&mut self, head: &Head, raw: Raw, edits: Edits, inner: Syntax) -> Result<(), ReadError> {
        match head.length {
            Some(length) if !edits.any() => {
                self.write_raw(raw);
                return self.pass(head.tag, length);
            }
            None => self.write_raw(raw),
            Some(_) => {
                let syntax = self.frames.last().map_or(self.syntax, |frame| frame.syntax);
                wire::write_head(&mut self.out, &Head { length: None, ..*head }, syntax);
            }
        }
        self.open(Place::Sequence, head.tag, inner, head.length, edits)
    }

    /// A value that stays what it is.
    pub(super) fn pass(&mut self, tag: Tag, length: u32) -> Result<(), ReadError> {
        if length > GATHERED {
            self.mode = Mode::Through { left: length.into(), tag, whole: true };
            return Ok(());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let offset = self.input.offset();
        let Some(value) = self.input.ahead(length)?.get(..length) else {
            return Err(ReadError::Truncated { offset, tag: Some(tag) });
        };
        self.out.extend_from_slice(value);
        self.input.advance(length);
        Ok(())
    }

    /// A text in another character set.
    fn text(&mut self, head: &Head, raw: Raw, vr: Vr, length: u32) -> Result<(), ReadError> {
        if length > LONGEST_TEXT {
            let what = "is too long to be brought into another character set";
            return Err(ReadError::Malformed { offset: self.input.offset(), tag: head.tag, what });
        }
        let value = self.input.read_value(length, head.tag)?;
        // ASCII is the same everywhere, unless it is part of an escape sequence.
        if value.iter().all(|&b| b < 0x80 && b != 0x1B) {
            self.write_raw(raw);
            self.out.extend_from_slice(&value);
        } else {
            let own = self.frames.iter().rev().find_map(|frame| frame.charset.as_ref());
            let text = decoded(own.unwrap_or(&self.charset), vr, &value);
            self.rewrite(head, text.as_bytes(), b' ');
        }
        Ok(())
    }

    /// UIDs, some of which are others now.
    fn uids(&mut self, head: &Head, raw: Raw, length: u32) -> Result<(), ReadError> {
        let frame = self.frames.last();
        let kinds = kinds_of(head.tag, frame.map(|frame| frame.tag), frame.and_then(|frame| frame.concept));
        if kinds.is_empty() {
            self.write_raw(raw);
            return self.pass(head.tag, length);
        }
        let value = self.input.read_value(length, head.tag)?;
        let Some(new) = self.amendment.uids.replaced(kinds, &value) else {
            self.write_raw(raw);
            self.out.extend_from_slice(&value);
            return Ok(());
        };
        if self.frames.is_empty() && self.gathers() {
            self.keep_uid(head.tag, &value);
        }
        self.rewrite(head, &new, 0);
        Ok(())
    }

    /// Writes a value of another length, with as much of a VR as it had.
    fn rewrite(&mut self, head: &Head, value: &[u8], pad: u8) {
        let syntax = self.frames.last().map_or(self.syntax, |frame| frame.syntax);
        if let Some(vr) = head.vr {
            return wire::write_element(&mut self.out, head.tag, vr, value, syntax);
        }
        let length = u32::try_from(value.len() + value.len() % 2).ok();
        wire::write_head(&mut self.out, &Head { length, ..*head }, syntax);
        self.out.extend_from_slice(value);
        if value.len() % 2 == 1 {
            self.out.push(pad);
        }
    }

    /// What the content item around a concept name is about.
    fn note_concept(&mut self, length: u32) -> Result<(), ReadError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(16);
        let code = self.input.ahead(length)?;
        let concept = concept(code.get(..length).unwrap_or(code));
        // The content item, the sequence of its concept name, the item of that.
        if let [.., content_item, Frame { tag: tags::CONCEPT_NAME_CODE_SEQUENCE, .. }, _] = self.frames.as_mut_slice() {
            content_item.concept = concept;
        }
        Ok(())
    }

    /// Specific Character Set of an item.
    pub(super) fn character_set_of_item(&mut self, head: &Head, raw: Raw, edits: Edits) -> Result<(), ReadError> {
        let terms = self.terms(head)?;
        if edits.texts && !terms.trim_ascii().is_empty() {
            if let Some(frame) = self.frames.last_mut() {
                frame.charset = Some(CharacterSet::parse(&terms));
            }
            self.rewrite(head, b"ISO_IR 192", b' ');
        } else {
            self.write_raw(raw);
            self.out.extend_from_slice(&terms);
        }
        Ok(())
    }
}

/// Whoever reserved a block of private elements (PS3.5 §7.8.1).
fn is_private_creator(tag: Tag) -> bool {
    tag.group() % 2 == 1 && (0x0010..=0x00FF).contains(&tag.element())
}
