//! Which VR an element gets, where the encoding that it comes from has none.

use super::super::vr::{self, Vr};
use super::super::wire::{Head, Syntax};
use crate::dicom::{Tag, tags};

/// What elements before say of those that follow; items know what was said around them.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dataset) struct Context {
    bits_allocated: Option<u16>,
    waveform_bits: Option<u16>,
    signed: bool,
}

impl Context {
    /// Looks at a value, if it is one of those that say something.
    pub(in crate::dataset) fn note(&mut self, tag: Tag, value: &[u8], length: u32, syntax: Syntax) {
        let Some(number) = value.first_chunk::<2>().filter(|_| length >= 2).map(|&bytes| syntax.u16(bytes)) else {
            return;
        };
        match tag {
            tags::BITS_ALLOCATED => self.bits_allocated = Some(number),
            tags::WAVEFORM_BITS_ALLOCATED => self.waveform_bits = Some(number),
            tags::PIXEL_REPRESENTATION => self.signed = number == 1,
            _ => {}
        }
    }
}

/// The VR on the wire counts; without one, the dictionary and what the elements before say; without that, UN. What has
/// an undefined length is a sequence, whatever it is called.
pub(in crate::dataset) fn vr_of(head: &Head, context: &Context) -> Vr {
    match head.vr {
        Some(vr) if head.length.is_none() && vr != *b"UN" => *b"SQ",
        Some(vr) if vr::is_known(vr) => vr,
        // A VR that nobody here knows may hold anything.
        Some(_) => *b"UN",
        None if head.length.is_none() => *b"SQ",
        None => by_dictionary(head.tag, context).unwrap_or(*b"UN"),
    }
}

fn by_dictionary(tag: Tag, context: &Context) -> Option<Vr> {
    let vr = vr::of(tag)?;
    Some(match (&vr, tag) {
        (b"OW", tags::PIXEL_DATA) if vr::is_ambiguous(tag) => bytes_or_words(context.bits_allocated),
        (b"OW", Tag(0x5400, _)) if vr::is_ambiguous(tag) => bytes_or_words(context.waveform_bits),
        (b"US", _) if context.signed && vr::is_ambiguous(tag) => *b"SS",
        _ => vr,
    })
}

/// PS3.5 §8.1.2 and annex A.2: what has more than eight bits is words. Both have the same bytes in Little Endian.
fn bytes_or_words(bits: Option<u16>) -> Vr {
    if bits.is_some_and(|bits| bits <= 8) { *b"OB" } else { *b"OW" }
}
