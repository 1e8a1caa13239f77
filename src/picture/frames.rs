//! The bytes of one frame, out of a data set that streams by.

use super::PictureError;
use super::shape::Shape;
use crate::dataset::{PixelStream, ReadError};
use crate::dicom::{TransferSyntaxUid, is_by_reference, tags};

/// The most bytes that a frame may have.
const LONGEST: u64 = 512 * 1024 * 1024;

/// The bytes of a frame, which is counted from 1.
pub(super) fn read(pixels: &mut PixelStream, shape: &Shape, frame: u64) -> Result<Vec<u8>, PictureError> {
    if !(1..=shape.frames).contains(&frame) {
        return Err(PictureError::NoFrame { frame, frames: shape.frames });
    }
    match (pixels.tag(), pixels.length()) {
        (Some(tags::PIXEL_DATA), Some(length)) => native(pixels, shape, frame, length),
        (Some(tags::PIXEL_DATA), None) => encapsulated(pixels, shape, frame),
        (Some(tag), _) => {
            Err(object(format!("its pixel data are numbers with a fraction {tag}, which are not drawn here")))
        }
        (None, _) => Err(object("it has no pixel data")),
    }
}

/// What to say of an object whose pixel data lie elsewhere.
pub(super) fn check_here(syntax: &TransferSyntaxUid) -> Result<(), PictureError> {
    if is_by_reference(syntax) { Err(object("its pixel data lie on another server")) } else { Ok(()) }
}

fn object(what: impl Into<String>) -> PictureError {
    PictureError::Object { what: what.into() }
}

fn unreadable(error: ReadError) -> PictureError {
    object(format!("its data set cannot be read: {error}"))
}

fn native(pixels: &mut PixelStream, shape: &Shape, frame: u64, length: u32) -> Result<Vec<u8>, PictureError> {
    let bits = shape.frame_bits();
    let begin = bits.saturating_mul(frame - 1);
    let end = begin.saturating_add(bits).div_ceil(8);
    // What stands alone may lack the padding of its last byte, nothing more.
    if bits > LONGEST * 8 || end > u64::from(length) {
        return Err(object(format!("frame {frame} would end at byte {end} of its pixel data, which have {length}")));
    }
    let small = |n: u64| u32::try_from(n).map_err(|_| object("its pixel data are too long"));
    pixels.skip(small(begin / 8)?).map_err(unreadable)?;
    let mut bytes = pixels.read(small(end - begin / 8)?).map_err(unreadable)?;
    // Frames of single bits follow each other without a gap.
    if let shift @ 1.. = begin % 8 {
        let next: Vec<u8> = bytes.iter().skip(1).copied().chain([0]).collect();
        bytes.iter_mut().zip(next).for_each(|(byte, next)| *byte = *byte >> shift | next << (8 - shift));
    }
    Ok(bytes)
}

/// Fragments are gathered to frames by the Basic Offset Table where there is one; otherwise a frame begins with a
/// fragment that begins as one.
fn encapsulated(pixels: &mut PixelStream, shape: &Shape, frame: u64) -> Result<Vec<u8>, PictureError> {
    let missing = || object(format!("frame {frame} is not among its fragments"));
    let table = pixels.fragment().map_err(unreadable)?.ok_or_else(missing)?;
    let wanted = usize::try_from(frame - 1).map_err(|_| missing())?;
    let offsets = offsets(pixels, table, wanted, shape.frames)?;
    let mut at = 0_u64;
    let (mut begun, mut bytes) = (0_u64, Vec::new());
    while let Some(length) = pixels.fragment().map_err(unreadable)? {
        let place = at;
        at += 8 + u64::from(length);
        let within = match &offsets {
            _ if shape.frames == 1 => true,
            Some((from, to)) => {
                if to.is_some_and(|to| place >= to) {
                    break;
                }
                place >= *from
            }
            None => {
                let start = pixels.read(length.min(4)).map_err(unreadable)?;
                if begun == 0 || begins_frame(&start) {
                    begun += 1;
                }
                if begun > frame {
                    break;
                }
                if begun == frame {
                    bytes.extend_from_slice(&start);
                }
                let rest = length - length.min(4);
                gather(pixels, rest, begun == frame, &mut bytes)?;
                continue;
            }
        };
        gather(pixels, length, within, &mut bytes)?;
    }
    if bytes.is_empty() { Err(missing()) } else { Ok(bytes) }
}

/// Takes a fragment, or passes over it.
fn gather(pixels: &mut PixelStream, length: u32, wanted: bool, into: &mut Vec<u8>) -> Result<(), PictureError> {
    if !wanted {
        return pixels.skip(length).map_err(unreadable);
    }
    if into.len() as u64 + u64::from(length) > LONGEST {
        return Err(object(format!("a frame of it has more than {LONGEST} bytes")));
    }
    let bytes = pixels.read(length).map_err(unreadable)?;
    if into.is_empty() {
        *into = bytes;
    } else {
        into.extend_from_slice(&bytes);
    }
    Ok(())
}

/// Where a frame begins and where the next one does, by the Basic Offset Table; nothing where that is empty.
type Range = Option<(u64, Option<u64>)>;

fn offsets(pixels: &mut PixelStream, length: u32, wanted: usize, frames: u64) -> Result<Range, PictureError> {
    if length == 0 || frames == 1 {
        return pixels.skip(length).map(|()| None).map_err(unreadable);
    }
    if u64::from(length) < frames.saturating_mul(4) {
        return Err(object("its Basic Offset Table has fewer frames than it"));
    }
    let before = u32::try_from(wanted * 4).unwrap_or(u32::MAX);
    pixels.skip(before).map_err(unreadable)?;
    let here = pixels.read((length - before).min(8)).map_err(unreadable)?;
    pixels.skip(length - before - (length - before).min(8)).map_err(unreadable)?;
    let number = |bytes: &[u8]| bytes.first_chunk().map(|&four| u64::from(u32::from_le_bytes(four)));
    let from = number(&here).ok_or_else(|| object("its Basic Offset Table is damaged"))?;
    Ok(Some((from, here.get(4..).and_then(number))))
}

/// Whether a codestream begins here, of JPEG, JPEG-LS or JPEG 2000. Each fragment of RLE is a frame of its own.
fn begins_frame(start: &[u8]) -> bool {
    match start {
        [0xFF, 0xD8, ..] | [0xFF, 0x4F, 0xFF, 0x51] | [0, 0, 0, 0x0C] => true,
        [segments @ 1..=15, 0, 0, 0] => *segments > 0,
        _ => false,
    }
}
