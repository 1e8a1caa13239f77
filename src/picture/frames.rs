//! The bytes of one frame, out of a data set that streams by.

use super::PictureError;
use super::shape::Shape;
use crate::dataset::{PixelStream, ReadError};
use crate::dicom::{TransferSyntaxUid, is_by_reference, tags};

/// The most bytes that a frame may have.
const LONGEST: u64 = 512 * 1024 * 1024;
/// The most bytes that a Basic Offset Table may have.
const LONGEST_TABLE: u64 = 64 * 1024 * 1024;

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

pub(super) fn object(what: impl Into<String>) -> PictureError {
    PictureError::Object { what: what.into() }
}

pub(super) fn unreadable(error: ReadError) -> PictureError {
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

fn encapsulated(pixels: &mut PixelStream, shape: &Shape, frame: u64) -> Result<Vec<u8>, PictureError> {
    let mut fragments = Fragments::begin(pixels, shape.frames)?;
    for _ in 1..frame {
        if fragments.next(pixels, false)?.is_none() {
            return Err(missing(frame));
        }
    }
    fragments.next(pixels, true)?.filter(|bytes| !bytes.is_empty()).ok_or_else(|| missing(frame))
}

/// What to say of a frame that is not there.
pub(super) fn missing(frame: u64) -> PictureError {
    object(format!("frame {frame} is not among its fragments"))
}

/// Encapsulated pixel data, frame by frame. Fragments are gathered by the Basic Offset Table where there is one; otherwise a
/// frame begins with a fragment that begins as one.
pub(super) struct Fragments {
    /// Where frames begin; empty where that is not said.
    table: Vec<u32>,
    /// There is one frame, whatever its fragments begin with.
    single: bool,
    /// The number of the frame that is gathered next, from 0 on.
    next: usize,
    /// Where the next fragment begins.
    at: u64,
    /// One that belongs to the next frame: where it began, what is left of it, and how it begins.
    ahead: Option<(u64, u32, Vec<u8>)>,
    ended: bool,
}

impl Fragments {
    pub(super) fn begin(pixels: &mut PixelStream, frames: u64) -> Result<Fragments, PictureError> {
        let length = pixels.fragment().map_err(unreadable)?.ok_or_else(|| missing(1))?;
        let single = frames == 1;
        let mut table = Vec::new();
        if length == 0 || single {
            pixels.skip(length).map_err(unreadable)?;
        } else if u64::from(length) < frames.saturating_mul(4) {
            return Err(object("its Basic Offset Table has fewer frames than it"));
        } else if u64::from(length) > LONGEST_TABLE {
            return Err(object(format!("its Basic Offset Table has more than {LONGEST_TABLE} bytes")));
        } else {
            let bytes = pixels.read(length).map_err(unreadable)?;
            table = bytes
                .chunks_exact(4)
                .filter_map(|four| four.first_chunk())
                .map(|&four| u32::from_le_bytes(four))
                .collect();
        }
        Ok(Fragments { table, single, next: 0, at: 0, ahead: None, ended: false })
    }

    /// The bytes of the next frame, none where it is not wanted; `None` behind the last.
    pub(super) fn next(&mut self, pixels: &mut PixelStream, wanted: bool) -> Result<Option<Vec<u8>>, PictureError> {
        let begins_at = |table: &[u32], frame: usize| table.get(frame).map(|&at| u64::from(at));
        let (mut bytes, mut any) = (Vec::new(), false);
        while let Some((place, length, start)) = self.fragment(pixels)? {
            let later = match begins_at(&self.table, self.next + 1) {
                Some(next) => place >= next,
                None => !self.single && self.table.is_empty() && any && begins_frame(&start),
            };
            if later {
                self.ahead = Some((place, length, start));
                break;
            }
            any = true;
            let within = wanted && begins_at(&self.table, self.next).is_none_or(|from| place >= from);
            if within {
                bytes.extend_from_slice(&start);
            }
            gather(pixels, length, within, &mut bytes)?;
        }
        self.next += 1;
        Ok(any.then_some(bytes))
    }

    fn fragment(&mut self, pixels: &mut PixelStream) -> Result<Option<(u64, u32, Vec<u8>)>, PictureError> {
        if let Some(ahead) = self.ahead.take() {
            return Ok(Some(ahead));
        }
        if self.ended {
            return Ok(None);
        }
        let Some(length) = pixels.fragment().map_err(unreadable)? else {
            self.ended = true;
            return Ok(None);
        };
        let place = self.at;
        self.at += 8 + u64::from(length);
        let looks = !self.single && self.table.is_empty();
        let start = if looks { pixels.read(length.min(4)).map_err(unreadable)? } else { Vec::new() };
        Ok(Some((place, if looks { length - length.min(4) } else { length }, start)))
    }
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

/// Whether a codestream begins here, of JPEG, JPEG-LS or JPEG 2000. Each fragment of RLE is a frame of its own.
fn begins_frame(start: &[u8]) -> bool {
    match start {
        [0xFF, 0xD8, ..] | [0xFF, 0x4F, 0xFF, 0x51] | [0, 0, 0, 0x0C] => true,
        [segments @ 1..=15, 0, 0, 0] => *segments > 0,
        _ => false,
    }
}
