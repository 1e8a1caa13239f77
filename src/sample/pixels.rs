//! Made-up pixels: a round phantom with noise, plain, run-length encoded, and in encapsulations that are structurally
//! right although nothing can be seen in them.

use super::data_set::DataSet;
use super::noise::Noise;
use crate::dicom::tags;

/// Size and kind of the pixels of one object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Picture {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
    pub(crate) frames: u16,
    pub(crate) bytes_per_sample: u16,
    pub(crate) samples: u16,
}

impl Picture {
    /// Samples of 16 bit, one frame.
    pub(crate) fn gray16(size: u16) -> Self {
        Picture { rows: size, columns: size, frames: 1, bytes_per_sample: 2, samples: 1 }
    }

    /// Red, green and blue of 8 bit.
    pub(crate) fn colour(size: u16, frames: u16) -> Self {
        Picture { rows: size, columns: size, frames, bytes_per_sample: 1, samples: 3 }
    }

    /// What the image pixel module says of it, without the pixels.
    pub(crate) fn describe(self) -> DataSet {
        let mut data_set = DataSet::new();
        let bits = self.bytes_per_sample * 8;
        data_set
            .put_u16(tags::SAMPLES_PER_PIXEL, self.samples)
            .put(tags::PHOTOMETRIC_INTERPRETATION, if self.samples == 3 { "RGB" } else { "MONOCHROME2" })
            .put_u16(tags::ROWS, self.rows)
            .put_u16(tags::COLUMNS, self.columns)
            .put_u16(tags::BITS_ALLOCATED, bits)
            .put_u16(tags::BITS_STORED, bits)
            .put_u16(tags::HIGH_BIT, bits - 1)
            .put_u16(tags::PIXEL_REPRESENTATION, 0);
        if self.samples == 3 {
            data_set.put_u16(tags::PLANAR_CONFIGURATION, 0);
        }
        if self.frames > 1 {
            data_set.put(tags::NUMBER_OF_FRAMES, &self.frames.to_string());
        }
        data_set
    }

    /// One frame: a bright disc on a dark ground, its edge wandering with the seed.
    pub(crate) fn frame(self, seed: u64) -> Vec<u8> {
        let mut noise = Noise::new(seed);
        let (rows, columns) = (i64::from(self.rows), i64::from(self.columns));
        let radius = rows.min(columns) / 4 + i64::try_from(noise.below(1 + u64::from(self.rows) / 8)).unwrap_or(0);
        let mut bytes = Vec::new();
        for y in 0..rows {
            for x in 0..columns {
                let (dx, dy) = (x - columns / 2, y - rows / 2);
                let inside = dx * dx + dy * dy < radius * radius;
                for sample in 0..u64::from(self.samples) {
                    let level = if inside { 160 - 30 * sample } else { 16 };
                    let value = level + noise.below(if inside { 24 } else { 2 });
                    match self.bytes_per_sample {
                        1 => bytes.push(u8::try_from(value).unwrap_or(u8::MAX)),
                        _ => bytes.extend_from_slice(&u16::try_from(value * 16).unwrap_or(u16::MAX).to_le_bytes()),
                    }
                }
            }
        }
        bytes
    }
}

/// One frame in RLE (PS3.5 annex G): a header of 16 numbers and one run-length encoded segment for each byte of the
/// samples, the most significant one first. It decodes to the frame.
pub(crate) fn run_length(picture: Picture, frame: &[u8]) -> Vec<u8> {
    let width = usize::from(picture.bytes_per_sample * picture.samples);
    let segments: Vec<Vec<u8>> = (0..width)
        .map(|plane| {
            let per_sample = usize::from(picture.bytes_per_sample);
            // Samples in order, within each the most significant byte first; the frame is little endian.
            let offset = plane / per_sample * per_sample + (per_sample - 1 - plane % per_sample);
            let bytes: Vec<u8> = frame.iter().copied().skip(offset).step_by(width).collect();
            bytes.chunks(usize::from(picture.columns)).flat_map(pack_bits).collect()
        })
        .map(|mut segment: Vec<u8>| {
            segment.resize(segment.len().next_multiple_of(2), 0);
            segment
        })
        .collect();
    let mut out = u32::try_from(segments.len()).unwrap_or(0).to_le_bytes().to_vec();
    let mut offset = 64u32;
    for number in 0..15 {
        let here = segments.get(number).map_or(0, |segment| {
            let here = offset;
            offset += u32::try_from(segment.len()).unwrap_or(0);
            here
        });
        out.extend_from_slice(&here.to_le_bytes());
    }
    out.extend(segments.into_iter().flatten());
    out
}

/// One row by the PackBits scheme: runs of at least three, literals between them, 128 at most of each.
fn pack_bits(row: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut literal: Vec<u8> = Vec::new();
    let mut rest = row;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take(128).take_while(|&&byte| byte == first).count();
        if run >= 3 {
            flush_literal(&mut out, &mut literal);
            out.extend([u8::try_from(257 - run).unwrap_or(0), first]);
        } else {
            literal.push(first);
            if literal.len() == 128 {
                flush_literal(&mut out, &mut literal);
            }
        }
        rest = rest.get(if run >= 3 { run } else { 1 }..).unwrap_or_default();
    }
    flush_literal(&mut out, &mut literal);
    out
}

fn flush_literal(out: &mut Vec<u8>, literal: &mut Vec<u8>) {
    if !literal.is_empty() {
        out.push(u8::try_from(literal.len() - 1).unwrap_or(0));
        out.append(literal);
    }
}

/// Frames as encapsulated pixel data: a basic offset table, then one fragment a frame.
pub(crate) fn encapsulate(frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut offset = 0u32;
    let mut table = Vec::new();
    for frame in &frames {
        table.extend_from_slice(&offset.to_le_bytes());
        offset += u32::try_from(frame.len().next_multiple_of(2) + 8).unwrap_or(0);
    }
    [vec![table], frames].concat()
}

/// Something that begins and ends as a frame of this transfer syntax does; between the markers there is noise in which
/// no marker occurs.
pub(crate) fn opaque_frame(syntax: &str, seed: u64, length: usize) -> Vec<u8> {
    let (begin, end): (&[u8], &[u8]) = if syntax.starts_with("1.2.840.10008.1.2.4.9") {
        (b"\xFF\x4F\xFF\x51", b"\xFF\xD9")
    } else {
        (b"\xFF\xD8\xFF\xFE\x00\x0Emade up^^^^^", b"\xFF\xD9")
    };
    let noise = Noise::new(seed).bytes(length).into_iter().map(|byte| byte & 0x7F);
    begin.iter().copied().chain(noise).chain(end.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(mut segment: &[u8], length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < length {
            let n = segment[0] as i8;
            if n >= 0 {
                let count = n as usize + 1;
                out.extend_from_slice(&segment[1..=count]);
                segment = &segment[1 + count..];
            } else {
                out.extend(std::iter::repeat_n(segment[1], usize::from(n.unsigned_abs()) + 1));
                segment = &segment[2..];
            }
        }
        out
    }

    #[test]
    fn run_length_frames_decode_to_what_they_were() {
        for picture in [Picture::gray16(40), Picture::colour(30, 1)] {
            let frame = picture.frame(5);
            let encoded = run_length(picture, &frame);
            let word = |at: usize| u32::from_le_bytes(encoded[at..at + 4].try_into().unwrap()) as usize;
            let pixels = usize::from(picture.rows) * usize::from(picture.columns);
            let (width, per_sample) = (frame.len() / pixels, usize::from(picture.bytes_per_sample));
            assert_eq!(word(0), width);
            for plane in 0..width {
                let bytes = unpack(&encoded[word(4 + 4 * plane)..], pixels);
                let offset = plane / per_sample * per_sample + (per_sample - 1 - plane % per_sample);
                let expected: Vec<u8> = frame.iter().copied().skip(offset).step_by(width).collect();
                assert_eq!(bytes, expected, "plane {plane}");
            }
            assert!(encoded.len() < frame.len(), "a disc on an even ground becomes smaller");
        }
    }

    #[test]
    fn the_offset_table_counts_from_the_first_fragment() {
        let parts = encapsulate(vec![vec![1; 5], vec![2; 4]]);
        assert_eq!(parts[0], [0, 0, 0, 0, 14, 0, 0, 0]);
        assert_eq!(parts.len(), 3);
    }
}
