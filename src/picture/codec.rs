//! From the bytes of a frame to its samples, whatever it was coded with.
//!
//! All of this runs in the render worker alone: what a stranger's bytes can do here costs one picture.
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "inner loops of decoders, in a process that may die of a wrong index alone; wrapping is what the formats ask for"
)]

mod dct;
mod entropy;
mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod lossless;
mod native;
mod rle;
#[cfg(test)]
mod tests;

use super::shape::{Photometric, Shape};
use crate::dicom::{TransferSyntaxUid, uids};

/// The most samples of a picture: a third more than the largest detectors have.
pub(super) const MOST_SAMPLES: usize = 64 * 1024 * 1024;

/// Why the bytes of a frame are no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    /// They end too early.
    #[error("the coded pixel data of the frame end too early")]
    Truncated,
    /// They contradict themselves or the header.
    #[error("the coded pixel data of the frame are damaged: {0}")]
    Damaged(String),
    /// They are of a kind that is not decoded here.
    #[error("{0}, which is not decoded here")]
    Unsupported(String),
}

pub(super) fn damaged<T>(what: impl Into<String>) -> Result<T, CodecError> {
    Err(CodecError::Damaged(what.into()))
}

/// Samples as the coder gives them, before their bits are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coded {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Samples per pixel.
    pub(super) samples: usize,
    /// Bits that a sample has.
    pub(super) precision: u32,
    /// What the coder says of its colours.
    pub(super) colour: Colour,
    /// Pixel by pixel, line by line.
    pub(super) values: Vec<i32>,
}

/// What a coder knows of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Nothing: the header tells.
    Unsaid,
    /// They are red, green and blue, whatever the header says of the coded form.
    Rgb,
    /// They are luminance and chrominance.
    Ybr,
}

impl Coded {
    fn new(columns: usize, rows: usize, samples: usize, precision: u32) -> Result<Coded, CodecError> {
        let count = columns.checked_mul(rows).and_then(|pixels| pixels.checked_mul(samples));
        match count.filter(|&count| count > 0 && count <= MOST_SAMPLES) {
            Some(count) => {
                Ok(Coded { columns, rows, samples, precision, colour: Colour::Unsaid, values: vec![0; count] })
            }
            None => damaged(format!("{columns} × {rows} pixels of {samples} samples are no picture")),
        }
    }
}

/// Decodes the bytes of one frame.
pub(super) fn decode(syntax: &TransferSyntaxUid, frame: &[u8], shape: &Shape) -> Result<Coded, CodecError> {
    let coded = match syntax.as_str() {
        uids::IMPLICIT_LE | uids::EXPLICIT_LE | uids::EXPLICIT_BE | uids::DEFLATED_LE => native::decode(frame, shape),
        "1.2.840.113619.5.2" => native::decode(&native::turned(frame, shape), shape),
        "1.2.840.10008.1.2.5" => rle::decode(frame, shape),
        // Encapsulated Uncompressed.
        "1.2.840.10008.1.2.1.98" => native::decode(frame, shape),
        other => match other.strip_prefix("1.2.840.10008.1.2.4.") {
            Some("50" | "51" | "53" | "55" | "57" | "70") => jpeg::decode(frame),
            Some("80" | "81") => jpeg_ls::decode(frame),
            Some("90" | "91" | "92" | "93" | "201" | "202" | "203") => jpeg2000::decode(frame),
            _ => Err(CodecError::Unsupported(format!("its pixel data are in transfer syntax {syntax}"))),
        },
    }?;
    if (coded.columns, coded.rows) != (shape.columns, shape.rows) {
        return damaged(format!(
            "the header says {} × {} pixels, and they are {} × {}",
            shape.columns, shape.rows, coded.columns, coded.rows
        ));
    }
    if coded.samples != shape.samples {
        return damaged(format!("the header says {} samples a pixel, and they have {}", shape.samples, coded.samples));
    }
    Ok(coded)
}

/// Decodes a frame of 16 by 16 pixels, for those who look for bytes that do harm; how many values it has.
pub fn decode_anything(which: u8, frame: &[u8]) -> Option<usize> {
    let syntax = ["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"][usize::from(which % 3)];
    let samples = if which < 128 { 1 } else { 3 };
    let shape = Shape {
        columns: 16,
        rows: 16,
        samples,
        allocated: 16,
        stored: 16,
        high: 15,
        signed: false,
        planar: false,
        photometric: if samples == 1 { Photometric::Monochrome2 } else { Photometric::Rgb },
        frames: 1,
    };
    decode(&TransferSyntaxUid::new(syntax), frame, &shape).ok().map(|coded| coded.values.len())
}

/// Whether it is one of the lossy processes of JPEG, which are made for luminance and chrominance.
pub(super) fn is_dct(syntax: &TransferSyntaxUid) -> bool {
    matches!(syntax.as_str().strip_prefix("1.2.840.10008.1.2.4."), Some("50" | "51" | "53" | "55"))
}

/// The method of a transfer syntax that may lose information (PS3.3 C.7.6.1.1.5.1).
pub(super) fn method(syntax: &TransferSyntaxUid) -> Option<&'static str> {
    match syntax.as_str().strip_prefix("1.2.840.10008.1.2.4.") {
        Some("50" | "51" | "53" | "55") => Some("ISO_10918_1"),
        Some("81") => Some("ISO_14495_1"),
        Some("91" | "93") => Some("ISO_15444_1"),
        Some("203") => Some("ISO_15444_15"),
        _ => None,
    }
}

/// By which method the coder of a frame lost information (PS3.3 C.7.6.1.1.5.1), as far as the frame tells: a lossless one
/// may have been cut off.
pub(super) fn loss(syntax: &TransferSyntaxUid, frame: &[u8]) -> Option<&'static str> {
    match syntax.as_str().strip_prefix("1.2.840.10008.1.2.4.") {
        Some("50" | "51" | "53" | "55") => Some("ISO_10918_1"),
        Some("80" | "81") => jpeg_ls::is_lossy(frame).then_some("ISO_14495_1"),
        Some("90" | "91" | "92" | "93") => jpeg2000::is_lossy(frame).then_some("ISO_15444_1"),
        Some("201" | "202" | "203") => jpeg2000::is_lossy(frame).then_some("ISO_15444_15"),
        _ => None,
    }
}
