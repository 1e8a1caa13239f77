//! What the header of an object says of its pixels (PS3.3 C.7.6.3).

use super::PictureError;
use crate::dataset::Tree;
use crate::dicom::tags;

/// How samples make colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    Monochrome1,
    Monochrome2,
    Palette,
    Rgb,
    /// YBR_FULL, and what the lossy coders make of RGB.
    YbrFull,
    /// YBR_FULL_422.
    Ybr422,
    /// YBR_PARTIAL_420 and YBR_PARTIAL_422.
    YbrPartial,
    /// YBR_ICT and YBR_RCT, which decoders of JPEG 2000 undo.
    YbrUndone,
}

/// The attributes that say how pixels are encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Samples per pixel.
    pub(super) samples: usize,
    /// Bits that a sample takes, and that it has.
    pub(super) allocated: u16,
    pub(super) stored: u16,
    /// Where the highest bit is.
    pub(super) high: u16,
    pub(super) signed: bool,
    /// Plane after plane instead of pixel after pixel.
    pub(super) planar: bool,
    pub(super) photometric: Photometric,
    pub(super) frames: u64,
}

impl Shape {
    /// Reads them.
    pub(super) fn of(header: &Tree) -> Result<Shape, PictureError> {
        let wrong = |what: String| Err(PictureError::Object { what });
        let number = |tag| header.u16(tag);
        let (Some(rows), Some(columns)) = (number(tags::ROWS), number(tags::COLUMNS)) else {
            return wrong("it says nothing of rows and columns".into());
        };
        let allocated = number(tags::BITS_ALLOCATED).unwrap_or(8);
        let stored = number(tags::BITS_STORED).filter(|&bits| bits > 0 && bits <= allocated).unwrap_or(allocated);
        let high = number(tags::HIGH_BIT).filter(|&bit| bit + 1 >= stored && bit < allocated);
        let samples = number(tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        let name =
            header.text(tags::PHOTOMETRIC_INTERPRETATION).unwrap_or(if samples == 3 { "RGB" } else { "MONOCHROME2" });
        let (photometric, needs) = match name {
            "MONOCHROME1" => (Photometric::Monochrome1, 1),
            "MONOCHROME2" => (Photometric::Monochrome2, 1),
            "PALETTE COLOR" => (Photometric::Palette, 1),
            "RGB" => (Photometric::Rgb, 3),
            "YBR_FULL" => (Photometric::YbrFull, 3),
            "YBR_FULL_422" => (Photometric::Ybr422, 3),
            "YBR_PARTIAL_422" | "YBR_PARTIAL_420" => (Photometric::YbrPartial, 3),
            "YBR_ICT" | "YBR_RCT" => (Photometric::YbrUndone, 3),
            other => {
                return wrong(format!(
                    "its Photometric Interpretation is `{}`, which is not drawn here",
                    other.escape_default()
                ));
            }
        };
        if rows == 0 || columns == 0 || samples != needs || !matches!(allocated, 1 | 8 | 16 | 24 | 32) {
            return wrong(format!("it says {columns} × {rows} pixels of {samples} × {allocated} bits, {name}"));
        }
        Ok(Shape {
            columns: usize::from(columns),
            rows: usize::from(rows),
            samples: usize::from(samples),
            allocated,
            stored,
            high: high.unwrap_or(stored - 1),
            signed: number(tags::PIXEL_REPRESENTATION) == Some(1),
            planar: number(tags::PLANAR_CONFIGURATION) == Some(1),
            photometric,
            frames: frames(header),
        })
    }

    /// Samples of a frame.
    pub(super) fn frame_samples(&self) -> u64 {
        self.columns as u64 * self.rows as u64 * self.samples as u64
    }

    /// Bits that a native frame takes.
    pub(super) fn frame_bits(&self) -> u64 {
        let samples =
            if self.photometric == Photometric::Ybr422 && self.allocated == 8 { 2 } else { self.samples as u64 };
        self.columns as u64 * self.rows as u64 * samples * u64::from(self.allocated)
    }
}

/// Number of Frames: 1 where it is not said.
fn frames(header: &Tree) -> u64 {
    let said = header.text(tags::NUMBER_OF_FRAMES).and_then(|text| text.trim().parse().ok());
    said.filter(|&frames| frames > 0).unwrap_or(1)
}
