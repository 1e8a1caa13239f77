//! Element headers as they are on the wire (PS3.5 §7.1), and how to get past a value.

use std::io::Read;

use super::ReadError;
use super::input::Input;
use super::vr::{self, Vr};
use crate::dicom::{Encoding, Tag};

/// Sequences within sequences; real ones have a handful of levels.
pub(super) const DEEPEST: usize = 64;

pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// How element headers are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) explicit: bool,
    pub(super) big: bool,
}

/// What a UN element of undefined length holds (PS3.5 §6.2.2).
pub(super) const IMPLICIT: Syntax = Syntax { explicit: false, big: false };

impl Syntax {
    /// Inside the deflate stream, where there is one.
    pub(super) fn of(encoding: Encoding) -> Self {
        Syntax { explicit: encoding != Encoding::ImplicitLe, big: encoding == Encoding::ExplicitBe }
    }

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    /// Looks at the first element header and corrects what the transfer syntax says, where the bytes contradict it
    /// beyond doubt: old archives hold objects whose label is wrong.
    pub(super) fn probe(self, head: &[u8]) -> Syntax {
        let &[g0, g1, _, _, a, b, c, d, ref rest @ ..] = head else {
            return self;
        };
        // A stray delimiter tells nothing.
        if matches!((g0, g1), (0xFE, 0xFF) | (0xFF, 0xFE)) {
            return self;
        }
        let group = |big| Syntax { explicit: true, big }.u16([g0, g1]);
        // Every data set begins in a low group, whichever way round its bytes are.
        let big = match (group(false) < 0x0100, group(true) < 0x0100) {
            (true, false) => false,
            (false, true) => true,
            _ => self.big,
        };
        let letters = a.is_ascii_uppercase() && b.is_ascii_uppercase();
        let explicit = if vr::is_known([a, b]) || (self.explicit && letters) {
            // As a length, two letters would mean 16 KiB and more in the very first element.
            true
        } else {
            // Or it is an explicit one whose first element happens to have no VR: the second tells.
            let length = usize::try_from(Syntax { explicit: false, big }.u32([a, b, c, d])).unwrap_or(usize::MAX);
            let second = rest.get(length..).unwrap_or_default();
            self.explicit && (length >= 0x1_0000 || has_vr(second))
        };
        Syntax { explicit, big }
    }
}

/// What is looked at to tell encodings apart.
pub(super) const PROBE: usize = 512;

/// Whether an element header with a VR is here.
fn has_vr(head: &[u8]) -> bool {
    matches!(head, &[_, _, _, _, a, b, ..] if vr::is_known([a, b]))
}

/// Whether the bytes are the beginning of an Explicit VR Little Endian data set.
pub(super) fn looks_like_elements(head: &[u8]) -> bool {
    has_vr(head) && head.get(1) == Some(&0)
}

/// Whether the bytes can be the beginning of a data set in any encoding.
pub(super) fn looks_like_data_set(head: &[u8]) -> bool {
    let &[g0, g1, _, _, a, b, c, d, ..] = head else {
        return false;
    };
    let syntax = Syntax { explicit: true, big: false }.probe(head);
    let group = syntax.u16([g0, g1]);
    let low = group != 0 && group < 0x0100;
    low && if syntax.explicit { vr::is_known([a, b]) } else { syntax.u32([a, b, c, d]) < 0x1_0000 }
}

/// An element header. `length` is `None` when it is undefined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) tag: Tag,
    pub(super) vr: Option<Vr>,
    pub(super) length: Option<u32>,
}

impl Head {
    /// Reads the next header; `None` where the bytes end, or where less than a header of zeros is left.
    pub(super) fn read<R: Read>(input: &mut Input<R>, syntax: Syntax) -> Result<Option<Head>, ReadError> {
        let offset = input.offset();
        let ahead = input.ahead(12)?;
        let &[g0, g1, e0, e1, a, b, c, d, ref more @ ..] = ahead else {
            let padding = ahead.iter().all(|&b| b == 0);
            return if padding { Ok(None) } else { Err(ReadError::Truncated { offset, tag: None }) };
        };
        let tag = Tag(syntax.u16([g0, g1]), syntax.u16([e0, e1]));
        let narrow = u32::from(syntax.u16([c, d]));
        let wide = || more.first_chunk::<4>().map(|&bytes| syntax.u32(bytes));
        let (vr, length, taken) = if !syntax.explicit || tag.group() == 0xFFFE {
            (None, Some(syntax.u32([a, b, c, d])), 8)
        } else if vr::is_long([a, b]) {
            (Some([a, b]), wide(), 12)
        } else if vr::is_known([a, b]) {
            (Some([a, b]), Some(narrow), 8)
        } else if a.is_ascii_uppercase() && b.is_ascii_uppercase() {
            // A VR of the future has the long form, an invented one often the short form. Read as a length, the tag
            // of the element that follows an empty short one is never small.
            match wide() {
                Some(length) if narrow == 0 && (length < 0x1_0000 || length == u32::MAX) => {
                    (Some([a, b]), Some(length), 12)
                }
                _ => (Some([a, b]), Some(narrow), 8),
            }
        } else {
            // No letters at all: an element that was left Implicit.
            (None, Some(syntax.u32([a, b, c, d])), 8)
        };
        let Some(length) = length else {
            return Err(ReadError::Truncated { offset, tag: Some(tag) });
        };
        input.advance(taken);
        Ok(Some(Head { tag, vr, length: (length != u32::MAX).then_some(length) }))
    }

    /// How elements inside this one are encoded.
    pub(super) fn inner(&self, outer: Syntax) -> Syntax {
        if self.vr == Some(*b"UN") { IMPLICIT } else { outer }
    }
}

/// Gets past the value of an element, nested sequences of undefined length included, without recursion.
pub(super) fn skip_value<R: Read>(input: &mut Input<R>, head: &Head, syntax: Syntax) -> Result<(), ReadError> {
    if let Some(length) = head.length {
        return skip(input, length, head.tag);
    }
    // Whether the frame is an item, and how its elements are encoded; it begins with the sequence itself.
    let mut frames: Vec<(bool, Syntax)> = vec![(false, head.inner(syntax))];
    while let Some(&(in_item, syntax)) = frames.last() {
        let Some(next) = Head::read(input, syntax)? else {
            return Err(ReadError::Truncated { offset: input.offset(), tag: Some(head.tag) });
        };
        match (in_item, next.tag, next.length) {
            (false, ITEM, Some(length)) => skip(input, length, next.tag)?,
            (false, ITEM, None) => {
                frames.push((true, item_syntax(input, syntax)?));
            }
            (false, SEQUENCE_END, _) | (true, ITEM_END, _) => {
                frames.pop();
            }
            // The end of a sequence whose last item was left open.
            (true, SEQUENCE_END, _) => {
                frames.pop();
                frames.pop();
            }
            (false, tag, _) => {
                return Err(ReadError::Malformed { offset: input.offset(), tag, what: "stands where an item must" });
            }
            (true, tag, Some(length)) => skip(input, length, tag)?,
            (true, _, None) => {
                if frames.len() >= 2 * DEEPEST {
                    return Err(ReadError::TooDeep { offset: input.offset(), limit: DEEPEST });
                }
                frames.push((false, next.inner(syntax)));
            }
        }
    }
    Ok(())
}

/// How the elements of an item are encoded: what stands in a UN element should be Implicit and is not always.
pub(super) fn item_syntax<R: Read>(input: &mut Input<R>, outer: Syntax) -> Result<Syntax, ReadError> {
    let explicit = outer.probe(input.ahead(PROBE)?).explicit;
    Ok(if outer == IMPLICIT { Syntax { explicit, ..outer } } else { outer })
}

/// Gets past `length` bytes.
pub(super) fn skip<R: Read>(input: &mut Input<R>, length: u32, tag: Tag) -> Result<(), ReadError> {
    if input.skip(u64::from(length))? {
        Ok(())
    } else {
        Err(ReadError::Truncated { offset: input.offset(), tag: Some(tag) })
    }
}

/// Writes an element header. Delimiters and items have no VR; in Implicit VR nothing has. The length fits its VR.
pub(super) fn write_head(out: &mut Vec<u8>, head: &Head, syntax: Syntax) {
    let length = head.length.unwrap_or(u32::MAX);
    let u16 = |n: u16| {
        if syntax.big { n.to_be_bytes() } else { n.to_le_bytes() }
    };
    let wide = if syntax.big { length.to_be_bytes() } else { length.to_le_bytes() };
    out.extend_from_slice(&u16(head.tag.group()));
    out.extend_from_slice(&u16(head.tag.element()));
    match (head.vr.filter(|_| syntax.explicit), u16::try_from(length)) {
        (None, _) => out.extend_from_slice(&wide),
        (Some(vr), Ok(length)) if !vr::is_long(vr) => {
            out.extend_from_slice(&vr);
            out.extend_from_slice(&u16(length));
        }
        (Some(vr), _) => {
            out.extend_from_slice(&vr);
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&wide);
        }
    }
}

/// Writes an element; `value` holds Little Endian numbers. Odd values are padded as their VR wants it.
pub(super) fn write_element(out: &mut Vec<u8>, tag: Tag, vr: Vr, value: &[u8], syntax: Syntax) {
    let padded = value.len() + value.len() % 2;
    // What is too long for a short form is written as UN (PS3.5 §6.2.2).
    let vr = if vr::is_long(vr) || padded <= usize::from(u16::MAX) { vr } else { *b"UN" };
    let length = u32::try_from(padded).unwrap_or(u32::MAX - 1);
    write_head(out, &Head { tag, vr: Some(vr), length: Some(length) }, syntax);
    let begin = out.len();
    out.extend_from_slice(value);
    if padded > value.len() {
        out.push(if vr::is_text(vr) && vr != *b"UI" { b' ' } else { 0 });
    }
    if let (true, Some(written)) = (syntax.big, out.get_mut(begin..)) {
        vr::swap(written, vr::unit(vr));
    }
}
