//! JPEG 2000 and High-Throughput JPEG 2000, by the port of OpenJPEG to Rust.

use jpeg2k::{DecodeParameters, Image};

use super::{CodecError, Coded, Colour, damaged};

pub(super) fn decode(bytes: &[u8]) -> Result<Coded, CodecError> {
    let (columns, rows, samples) = size(bytes)?;
    // What a header of a few bytes promises is looked at before anything is allocated for it.
    Coded::new(columns, rows, samples, 1)?;
    let parameters = DecodeParameters::new().strict(true);
    let image = Image::from_bytes_with(bytes, parameters).map_err(|error| CodecError::Damaged(error.to_string()))?;
    let components = image.components();
    let Some(first) = components.first() else { return damaged("it has no component") };
    let precision = first.precision();
    if components.len() != samples || !(1..=31).contains(&precision) {
        return damaged(format!("{} components of {precision} bits", components.len()));
    }
    let mut coded = Coded::new(columns, rows, samples, precision)?;
    // A transform of colours in the codestream is undone by now.
    coded.colour = Colour::Unsaid;
    let mask = (1_i64 << precision) - 1;
    for (index, component) in components.iter().enumerate() {
        let (width, height) = (component.width() as usize, component.height() as usize);
        let values = component.data();
        if width == 0 || height == 0 || values.len() != width * height || component.precision() != precision {
            return damaged("its components do not fit each other");
        }
        for row in 0..rows {
            let line = (row * height / rows) * width;
            for column in 0..columns {
                let value = values[line + column * width / columns];
                coded.values[(row * columns + column) * samples + index] = (i64::from(value) & mask) as i32;
            }
        }
    }
    Ok(coded)
}

/// Columns, rows and components by the SIZ marker segment (ITU-T T.800 annex A.5.1), which stands first in a codestream.
fn size(bytes: &[u8]) -> Result<(usize, usize, usize), CodecError> {
    let start = bytes.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51]);
    let Some(siz) = start.and_then(|start| bytes.get(start + 4..start + 42)) else {
        return damaged("it has no SIZ marker segment");
    };
    let number = |at: usize| siz[at..at + 4].iter().fold(0_usize, |number, &byte| number << 8 | usize::from(byte));
    let (columns, rows) = (number(4).checked_sub(number(12)), number(8).checked_sub(number(16)));
    let samples = usize::from(siz[36]) << 8 | usize::from(siz[37]);
    match (columns, rows) {
        (Some(columns), Some(rows)) => Ok((columns, rows, samples)),
        _ => damaged("its SIZ marker segment contradicts itself"),
    }
}

/// Whether the wavelets of a codestream are those that cannot be undone exactly (ISO/IEC 15444-1 A.6.1).
pub(super) fn is_lossy(frame: &[u8]) -> bool {
    let begin = frame.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51]);
    let mut at = begin.map_or(frame.len(), |begin| begin + 2);
    // Segments of the main header, up to the first tile.
    while let Some(&[0xFF, marker, high, low]) = frame.get(at..at + 4) {
        match marker {
            0x52 => return frame.get(at + 13) == Some(&0),
            0x90 => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}
