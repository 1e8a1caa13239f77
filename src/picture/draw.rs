//! From samples to a picture: bits, colours, size, file.

use super::codec::{Coded, Colour, MOST_SAMPLES};
use super::frames::object;
use super::grey::Grey;
use super::palette::Palette;
use super::shape::{Photometric, Shape};
use super::{Ask, Form, PictureError};
use crate::dataset::Tree;

/// Shades, or red, green and blue, eight bits each.
struct Canvas {
    columns: usize,
    rows: usize,
    samples: usize,
    bytes: Vec<u8>,
}

/// The sample values as the object means them: without what else lies in their bits, with their sign.
pub(super) fn values(coded: Coded, shape: &Shape) -> Coded {
    // Coders may have more bits than the header says, or fewer.
    let bits = u32::from(shape.stored).min(coded.precision);
    let shift =
        if coded.precision > u32::from(shape.high) { u32::from(shape.high) + 1 - u32::from(shape.stored) } else { 0 };
    if bits >= 32 {
        return coded;
    }
    let (mask, sign) = ((1_u32 << bits) - 1, 1_u32 << (bits - 1));
    let mean = |value: i32| {
        let value = value.cast_unsigned() >> shift & mask;
        if shape.signed && value & sign != 0 { (value | !mask).cast_signed() } else { value.cast_signed() }
    };
    Coded { values: coded.values.iter().map(|&value| mean(value)).collect(), ..coded }
}

/// Draws a frame.
pub(super) fn draw(coded: Coded, shape: &Shape, header: &Tree, ask: &Ask) -> Result<Vec<u8>, PictureError> {
    let canvas = match shape.photometric {
        Photometric::Monochrome1 | Photometric::Monochrome2 => shades(&coded, shape, header, ask),
        Photometric::Palette => coloured(&coded, shape, header)?,
        _ => colours(&coded, shape),
    };
    drop(coded);
    let canvas = match ask.region {
        Some(region) => canvas.cut(region)?,
        None => canvas,
    };
    let canvas = match ask.size {
        Some((columns, rows)) => canvas.fitted(usize::from(columns), usize::from(rows)),
        None => canvas,
    };
    if ask.form == Form::Jpeg { canvas.jpeg(ask.quality) } else { canvas.png() }
}

/// A value of which 32 bits may be taken.
fn wide(value: i32, shape: &Shape) -> i64 {
    if shape.stored >= 32 && !shape.signed { i64::from(value.cast_unsigned()) } else { i64::from(value) }
}

fn shades(coded: &Coded, shape: &Shape, header: &Tree, ask: &Ask) -> Canvas {
    let mut grey = Grey::of(header, ask.frame, shape.signed, ask.window);
    // Eight bits without a window are shades already.
    let whole = (shape.stored <= 8 && !shape.signed).then(|| (0, (1_i64 << shape.stored) - 1));
    grey.span(coded.values.iter().map(|&value| wide(value, shape)), whole);
    let inverted = shape.photometric == Photometric::Monochrome1;
    let shade = |value: i32| {
        let value = wide(value, shape);
        if grey.is_padding(value) {
            return 0;
        }
        let shade = grey.shade(value);
        byte(if inverted { 1.0 - shade } else { shade })
    };
    let bytes = if shape.stored <= 16 {
        let table: Vec<u8> = (0..=u16::MAX)
            .map(|value| shade(if shape.signed { i32::from(value.cast_signed()) } else { value.into() }))
            .collect();
        let at = |value: &i32| table.get(usize::from(low(*value))).copied().unwrap_or(0);
        coded.values.iter().map(at).collect()
    } else {
        coded.values.iter().map(|&value| shade(value)).collect()
    };
    Canvas { columns: coded.columns, rows: coded.rows, samples: 1, bytes }
}

#[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are meant")]
fn low(value: i32) -> u16 {
    value as u16
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn byte(shade: f64) -> u8 {
    (shade.clamp(0.0, 1.0) * 255.0).round() as u8
}

fn coloured(coded: &Coded, shape: &Shape, header: &Tree) -> Result<Canvas, PictureError> {
    let palette = Palette::of(header, shape.signed);
    let palette = palette
        .ok_or_else(|| PictureError::Object { what: "its colours are in a palette that it does not have".into() })?;
    let bytes = coded.values.iter().flat_map(|&value| palette.colour(value)).collect();
    Ok(Canvas { columns: coded.columns, rows: coded.rows, samples: 3, bytes })
}

fn colours(coded: &Coded, shape: &Shape) -> Canvas {
    let ybr = match (coded.colour, shape.photometric) {
        (Colour::Rgb, _) | (Colour::Unsaid, Photometric::Rgb | Photometric::YbrUndone) => false,
        (Colour::Ybr, _) | (Colour::Unsaid, _) => true,
    };
    let depth = u32::from(shape.stored).min(coded.precision);
    let most = f64::from(u32::MAX >> (32 - depth.clamp(1, 32)));
    let scaled = |value: i32| if depth == 8 { f64::from(value) } else { wide(value, shape) as f64 * 255.0 / most };
    let mut bytes = Vec::with_capacity(coded.values.len());
    for pixel in coded.values.chunks_exact(3) {
        let &[a, b, c] = pixel.first_chunk().unwrap_or(&[0; 3]);
        let (a, b, c) = (scaled(a), scaled(b), scaled(c));
        let colours = match (ybr, shape.photometric) {
            (false, _) => [a, b, c],
            (true, photometric) => rgb([a, b, c], 128.0, photometric == Photometric::YbrPartial),
        };
        bytes.extend(colours.map(|colour| byte(colour / 255.0)));
    }
    Canvas { columns: coded.columns, rows: coded.rows, samples: 3, bytes }
}

/// Red, green and blue of luminance and chrominance, of which `middle` is none (PS3.3 C.7.6.3.1.2).
pub(super) fn rgb([y, b, r]: [f64; 3], middle: f64, partial: bool) -> [f64; 3] {
    let (b, r) = (b - middle, r - middle);
    if partial {
        let y = 1.1644 * (y - middle / 8.0);
        [y + 1.5960 * r, y - 0.3917 * b - 0.8130 * r, y + 2.0173 * b]
    } else {
        [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b]
    }
}

impl Canvas {
    /// A part of it, as far as it goes.
    fn cut(self, [left, top, wide, high]: [u32; 4]) -> Result<Canvas, PictureError> {
        let within = |from: u32, length: u32, edge: usize| {
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(edge);
            from..from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(edge)
        };
        let (columns, rows) = (within(left, wide, self.columns), within(top, high, self.rows));
        if columns.is_empty() || rows.is_empty() {
            let Canvas { columns, rows, .. } = self;
            return Err(object(format!("the region lies beyond its {columns} columns and {rows} rows")));
        }
        let line = |row: usize| {
            let at = |column: usize| (row * self.columns + column) * self.samples;
            self.bytes.get(at(columns.start)..at(columns.end)).unwrap_or_default()
        };
        let bytes = rows.clone().flat_map(line).copied().collect();
        Ok(Canvas { columns: columns.len(), rows: rows.len(), samples: self.samples, bytes })
    }

    /// Within so many pixels, never larger than it is; each pixel the mean of those that it stands for.
    fn fitted(self, columns: usize, rows: usize) -> Canvas {
        let (columns, rows) = (columns.max(1), rows.max(1));
        if self.columns <= columns && self.rows <= rows {
            return self;
        }
        // The tighter of the two edges decides.
        let (wide, high) = if self.columns * rows >= self.rows * columns {
            (columns, (self.rows * columns / self.columns).max(1))
        } else {
            ((self.columns * rows / self.rows).max(1), rows)
        };
        let mut bytes = Vec::with_capacity(wide * high * self.samples);
        for row in 0..high {
            let lines = row * self.rows / high..((row + 1) * self.rows / high).max(row * self.rows / high + 1);
            for column in 0..wide {
                let from = column * self.columns / wide;
                let to = ((column + 1) * self.columns / wide).max(from + 1);
                for sample in 0..self.samples {
                    let line =
                        |line: usize| (from..to).map(move |at| (line * self.columns + at) * self.samples + sample);
                    let all = lines.clone().flat_map(line).filter_map(|at| self.bytes.get(at));
                    let (sum, count) =
                        all.fold((0_u64, 0_u64), |(sum, count), &byte| (sum + u64::from(byte), count + 1));
                    bytes.push(u8::try_from((sum + count / 2) / count.max(1)).unwrap_or(u8::MAX));
                }
            }
        }
        Canvas { columns: wide, rows: high, samples: self.samples, bytes }
    }

    fn png(&self) -> Result<Vec<u8>, PictureError> {
        let failed =
            |error: png::EncodingError| PictureError::Object { what: format!("it cannot be written as PNG: {error}") };
        let (columns, rows) = (self.columns.min(MOST_SAMPLES), self.rows.min(MOST_SAMPLES));
        let number = |edge: usize| u32::try_from(edge).unwrap_or(u32::MAX);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, number(columns), number(rows));
        encoder.set_color(if self.samples == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.bytes).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }

    fn jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        let failed = |what: String| PictureError::Object { what: format!("it cannot be written as JPEG: {what}") };
        let edge = |edge: usize| u16::try_from(edge).map_err(|_| failed("it is too large".into()));
        let (columns, rows) = (edge(self.columns)?, edge(self.rows)?);
        let colours = if self.samples == 1 { jpeg_encoder::ColorType::Luma } else { jpeg_encoder::ColorType::Rgb };
        let mut bytes = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, quality.clamp(1, 100));
        encoder.encode(&self.bytes, columns, rows, colours).map_err(|error| failed(error.to_string()))?;
        Ok(bytes)
    }
}
