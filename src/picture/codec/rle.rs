//! RLE (PS3.5 annex G): a segment of packed bits for each byte of a sample, the most significant first.

use super::{CodecError, Coded, damaged};
use crate::picture::shape::Shape;

/// Bytes of the header.
const HEADER: usize = 64;

pub(super) fn decode(frame: &[u8], shape: &Shape) -> Result<Coded, CodecError> {
    let mut coded = Coded::new(shape.columns, shape.rows, shape.samples, u32::from(shape.allocated))?;
    let width = usize::from(shape.allocated) / 8;
    let pixels = shape.columns * shape.rows;
    let header = frame.get(..HEADER).ok_or(CodecError::Truncated)?;
    let number = |at: usize| header[at * 4..at * 4 + 4].iter().rev().fold(0_usize, |n, &b| n << 8 | usize::from(b));
    let count = number(0);
    if width == 0 || count != shape.samples * width || count > 15 {
        return damaged(format!("{count} segments for {} samples of {} bits", shape.samples, shape.allocated));
    }
    let mut bytes = Vec::new();
    for segment in 0..count {
        let (begin, end) = (number(segment + 1), if segment + 1 < count { number(segment + 2) } else { frame.len() });
        let Some(packed) = frame.get(begin..end).filter(|_| begin >= HEADER) else {
            return damaged("a segment lies outside the frame");
        };
        unpack(packed, pixels, &mut bytes)?;
        let (sample, shift) = (segment / width, 8 * (width - 1 - segment % width));
        for (pixel, &byte) in bytes.iter().enumerate() {
            coded.values[pixel * shape.samples + sample] |= (u32::from(byte) << shift).cast_signed();
        }
    }
    Ok(coded)
}

/// PackBits, up to so many bytes.
fn unpack(packed: &[u8], wanted: usize, into: &mut Vec<u8>) -> Result<(), CodecError> {
    into.clear();
    let mut at = 0;
    while into.len() < wanted {
        let &control = packed.get(at).ok_or(CodecError::Truncated)?;
        at += 1;
        match control {
            0..=127 => {
                let length = usize::from(control) + 1;
                into.extend_from_slice(packed.get(at..at + length).ok_or(CodecError::Truncated)?);
                at += length;
            }
            128 => {}
            129.. => {
                let &byte = packed.get(at).ok_or(CodecError::Truncated)?;
                into.resize(into.len() + 257 - usize::from(control), byte);
                at += 1;
            }
        }
    }
    into.truncate(wanted);
    Ok(())
}
