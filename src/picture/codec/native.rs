//! Pixel data that are not coded at all (PS3.5 §8.2).

use super::{CodecError, Coded, Colour};
use crate::picture::shape::{Photometric, Shape};

/// Decodes the bytes of one frame, Little Endian.
pub(super) fn decode(frame: &[u8], shape: &Shape) -> Result<Coded, CodecError> {
    let mut coded = Coded::new(shape.columns, shape.rows, shape.samples, u32::from(shape.allocated))?;
    let pixels = shape.columns * shape.rows;
    if shape.photometric == Photometric::Ybr422 && shape.allocated == 8 {
        return subsampled(frame, coded);
    }
    let width = usize::from(shape.allocated) / 8;
    if shape.allocated == 1 {
        let bit = |at: usize| frame.get(at / 8).map(|byte| i32::from(byte >> (at % 8) & 1));
        for (at, value) in coded.values.iter_mut().enumerate() {
            *value = bit(at).ok_or(CodecError::Truncated)?;
        }
        return Ok(coded);
    }
    if frame.len() < coded.values.len() * width {
        return Err(CodecError::Truncated);
    }
    let whole =
        |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |value, &byte| value << 8 | u32::from(byte)).cast_signed();
    for (at, bytes) in frame.chunks_exact(width).take(coded.values.len()).enumerate() {
        let to = if shape.planar && shape.samples > 1 { at % pixels * shape.samples + at / pixels } else { at };
        coded.values[to] = whole(bytes);
    }
    Ok(coded)
}

/// Two luminances and the chrominances that they share (PS3.3 C.7.6.3.1.2).
fn subsampled(frame: &[u8], mut coded: Coded) -> Result<Coded, CodecError> {
    let pairs = coded.values.len() / 6;
    if frame.len() < pairs * 4 {
        return Err(CodecError::Truncated);
    }
    for (two, four) in coded.values.chunks_exact_mut(6).zip(frame.chunks_exact(4)) {
        let [y1, y2, cb, cr] = [four[0], four[1], four[2], four[3]].map(i32::from);
        two.copy_from_slice(&[y1, cb, cr, y2, cb, cr]);
    }
    coded.colour = Colour::Ybr;
    Ok(coded)
}

/// The same frame with the bytes of each sample the other way round.
pub(super) fn turned(frame: &[u8], shape: &Shape) -> Vec<u8> {
    let mut turned = frame.to_vec();
    turned.chunks_exact_mut(usize::from(shape.allocated / 8).max(1)).for_each(<[u8]>::reverse);
    turned
}
