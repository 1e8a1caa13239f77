//! JPEG (ITU-T T.81): baseline, extended, progressive and lossless. Eight-bit DCT processes are decoded by a library, the
//! twelve-bit ones and the lossless ones, which few libraries do right, here.

use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

use super::entropy::{Bits, Huffman};
use super::{CodecError, Coded, Colour, MOST_SAMPLES, damaged, dct, lossless};

/// A component of a frame.
#[derive(Debug, Clone)]
pub(super) struct Component {
    id: u8,
    /// Its samples in an MCU, across and down.
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) quantisation: usize,
}

/// A component in a scan: which it is, and its Huffman tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct InScan {
    pub(super) component: usize,
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// What the marker segments say.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    pub(super) quantisation: [Option<[u16; 64]>; 4],
    pub(super) restart: usize,
}

/// A frame header.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) process: u8,
    pub(super) precision: u32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) components: Vec<Component>,
}

/// What the application markers say of colours.
#[derive(Default)]
struct Said {
    jfif: bool,
    adobe: Option<u8>,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Coded, CodecError> {
    let mut tables = Tables::default();
    let (mut frame, mut said) = (None, Said::default());
    let mut picture: Option<Picture> = None;
    let mut at = 0;
    while let Some((marker, body, next)) = segment(bytes, at)? {
        at = next;
        match marker {
            0xC4 => huffman(body, &mut tables)?,
            0xDB => quantisation(body, &mut tables)?,
            0xDD => tables.restart = usize::from(u16_at(body, 0)?),
            0xE0 => said.jfif |= body.starts_with(b"JFIF\0"),
            0xEE if body.starts_with(b"Adobe") => said.adobe = body.get(11).copied(),
            0xC0..=0xC3 => {
                let read = frame_header(marker, body)?;
                if read.precision == 8 && marker != 0xC3 {
                    return by_library(bytes, &read, &said);
                }
                if marker == 0xC2 {
                    return Err(CodecError::Unsupported("it is progressive JPEG of more than 8 bits".into()));
                }
                frame = Some(read);
            }
            0xC5..=0xC7 | 0xC9..=0xCF => {
                return Err(CodecError::Unsupported("it is JPEG of a hierarchical or arithmetic process".into()));
            }
            0xDA => {
                let Some(frame) = &frame else { return damaged("a scan comes before the frame header") };
                let picture = match &mut picture {
                    Some(picture) => picture,
                    None => picture.insert(Picture::new(frame)?),
                };
                let (scan, selection, point) = scan_header(body, frame)?;
                let mut bits = Bits::new(bytes, at);
                if frame.process == 0xC3 {
                    lossless::scan(&mut bits, &tables, frame, &scan, (selection, point), &mut picture.planes)?;
                } else {
                    dct::scan(&mut bits, &tables, frame, &scan, &mut picture.planes)?;
                }
                scan.iter().for_each(|part| picture.seen[part.component] = true);
                at = bits.end();
            }
            _ => {}
        }
        if picture.as_ref().is_some_and(|picture| picture.seen.iter().all(|&seen| seen)) {
            break;
        }
    }
    match (frame, picture) {
        (Some(frame), Some(picture)) if picture.seen.iter().all(|&seen| seen) => join(&frame, &picture.planes, &said),
        _ => Err(CodecError::Truncated),
    }
}

/// The planes as far as they were decoded.
struct Picture {
    planes: Vec<Plane>,
    seen: Vec<bool>,
}

/// The samples of a component, in whole MCUs.
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<u16>,
}

impl Frame {
    /// The largest sampling factors.
    pub(super) fn most(&self) -> (usize, usize) {
        let across = self.components.iter().map(|component| component.across).max();
        let down = self.components.iter().map(|component| component.down).max();
        (across.unwrap_or(1), down.unwrap_or(1))
    }

    /// The edge of a data unit.
    pub(super) fn unit(&self) -> usize {
        if self.process == 0xC3 { 1 } else { 8 }
    }

    /// How many MCUs there are, across and down.
    pub(super) fn mcus(&self) -> (usize, usize) {
        let (across, down) = self.most();
        (self.columns.div_ceil(across * self.unit()), self.rows.div_ceil(down * self.unit()))
    }
}

impl Picture {
    fn new(frame: &Frame) -> Result<Picture, CodecError> {
        let (across, down) = frame.mcus();
        let mut planes = Vec::new();
        let mut all = 0_usize;
        for component in &frame.components {
            let width = across * component.across * frame.unit();
            let height = down * component.down * frame.unit();
            let count = width.saturating_mul(height);
            all = all.saturating_add(count);
            if all > MOST_SAMPLES + MOST_SAMPLES / 4 {
                return damaged(format!("{} × {} pixels are no picture", frame.columns, frame.rows));
            }
            planes.push(Plane { width, height, values: vec![0; count] });
        }
        Ok(Picture { seen: vec![false; planes.len()], planes })
    }
}

/// Planes of any sampling into pixels.
fn join(frame: &Frame, planes: &[Plane], said: &Said) -> Result<Coded, CodecError> {
    let mut coded = Coded::new(frame.columns, frame.rows, planes.len(), frame.precision)?;
    coded.colour = said.colour(planes.len(), frame.process == 0xC3);
    let (across, down) = frame.most();
    for (index, (plane, component)) in planes.iter().zip(&frame.components).enumerate() {
        for row in 0..frame.rows {
            let line = (row * component.down / down) * plane.width;
            for column in 0..frame.columns {
                let value = plane.values[line + column * component.across / across];
                coded.values[(row * frame.columns + column) * planes.len() + index] = i32::from(value);
            }
        }
    }
    Ok(coded)
}

impl Said {
    /// Markers are believed of the DCT processes only: a lossless process transforms no colours.
    fn colour(&self, components: usize, lossless: bool) -> Colour {
        match (components, lossless, self.adobe, self.jfif) {
            (3, false, Some(0), _) => Colour::Rgb,
            (3, false, Some(_), _) | (3, false, None, true) => Colour::Ybr,
            _ => Colour::Unsaid,
        }
    }
}

fn by_library(bytes: &[u8], frame: &Frame, said: &Said) -> Result<Coded, CodecError> {
    let mut coded = Coded::new(frame.columns, frame.rows, frame.components.len(), 8)?;
    let mut decoder = Decoder::new(bytes);
    // The one transform that does nothing but interleave.
    decoder.set_color_transform(if frame.components.len() == 3 {
        ColorTransform::RGB
    } else {
        ColorTransform::Grayscale
    });
    decoder.set_max_decoding_buffer_size(MOST_SAMPLES);
    let values = decoder.decode().map_err(|error| CodecError::Damaged(error.to_string()))?;
    let format = decoder.info().map(|info| info.pixel_format);
    let samples = match format {
        Some(PixelFormat::L8) => 1,
        Some(PixelFormat::RGB24) => 3,
        other => return Err(CodecError::Unsupported(format!("it is JPEG of pixel format {other:?}"))),
    };
    if samples != coded.samples || values.len() != coded.values.len() {
        return damaged("not all of its samples came");
    }
    coded.values.iter_mut().zip(values).for_each(|(to, value)| *to = i32::from(value));
    coded.colour = said.colour(samples, false);
    Ok(coded)
}

/// A marker, what belongs to it, and where it goes on.
type Segment<'b> = (u8, &'b [u8], usize);

fn segment(bytes: &[u8], mut at: usize) -> Result<Option<Segment<'_>>, CodecError> {
    while let Some(&[a, b]) = bytes.get(at..at + 2) {
        match (a, b) {
            (0xFF, 0xD8 | 0x01 | 0xD0..=0xD7) => at += 2,
            (0xFF, 0xD9) => return Ok(None),
            (0xFF, 0xFF) => at += 1,
            (0xFF, marker) if marker != 0 => {
                let length = usize::from(u16_at(bytes, at + 2)?);
                let body = bytes.get(at + 4..at + 2 + length).ok_or(CodecError::Truncated)?;
                return Ok(Some((marker, body, at + 2 + length)));
            }
            _ => return damaged("bytes stand where a marker must"),
        }
    }
    Ok(None)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, CodecError> {
    let two = bytes.get(at..at + 2).and_then(|two| two.first_chunk::<2>());
    two.map(|&two| u16::from_be_bytes(two)).ok_or(CodecError::Truncated)
}

fn huffman(mut body: &[u8], tables: &mut Tables) -> Result<(), CodecError> {
    while let Some((&kind, rest)) = body.split_first() {
        let counts: &[u8; 16] = rest.first_chunk().ok_or(CodecError::Truncated)?;
        let count: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let symbols = rest.get(16..16 + count).ok_or(CodecError::Truncated)?;
        let table = Huffman::new(counts, symbols)?;
        let into = if kind >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        match into.get_mut(usize::from(kind & 15)) {
            Some(place) => *place = Some(table),
            None => return damaged("a Huffman table has a number that there is not"),
        }
        body = &rest[16 + count..];
    }
    Ok(())
}

fn quantisation(mut body: &[u8], tables: &mut Tables) -> Result<(), CodecError> {
    while let Some((&kind, rest)) = body.split_first() {
        let size = if kind >> 4 == 0 { 1 } else { 2 };
        let values = rest.get(..64 * size).ok_or(CodecError::Truncated)?;
        let mut table = [0; 64];
        for (to, value) in table.iter_mut().zip(values.chunks_exact(size)) {
            *to = value.iter().fold(0, |value, &byte| value << 8 | u16::from(byte));
        }
        match tables.quantisation.get_mut(usize::from(kind & 15)) {
            Some(place) => *place = Some(table),
            None => return damaged("a quantisation table has a number that there is not"),
        }
        body = &rest[64 * size..];
    }
    Ok(())
}

fn frame_header(process: u8, body: &[u8]) -> Result<Frame, CodecError> {
    let precision = u32::from(*body.first().ok_or(CodecError::Truncated)?);
    let (rows, columns) = (usize::from(u16_at(body, 1)?), usize::from(u16_at(body, 3)?));
    let count = usize::from(*body.get(5).ok_or(CodecError::Truncated)?);
    let parts = body.get(6..6 + 3 * count).ok_or(CodecError::Truncated)?;
    let component = |part: &[u8]| Component {
        id: part[0],
        across: usize::from(part[1] >> 4),
        down: usize::from(part[1] & 15),
        quantisation: usize::from(part[2]),
    };
    let components: Vec<Component> = parts.chunks_exact(3).map(component).collect();
    let sane = components.iter().all(|part| (1..=4).contains(&part.across) && (1..=4).contains(&part.down));
    let precise = if process == 0xC3 { (2..=16).contains(&precision) } else { matches!(precision, 8 | 12) };
    if rows == 0 || columns == 0 || !(1..=4).contains(&count) || !sane || !precise {
        return damaged(format!("its frame header says {columns} × {rows} pixels, {count} × {precision} bits"));
    }
    Ok(Frame { process, precision, rows, columns, components })
}

fn scan_header(body: &[u8], frame: &Frame) -> Result<(Vec<InScan>, u8, u32), CodecError> {
    let count = usize::from(*body.first().ok_or(CodecError::Truncated)?);
    let parts = body.get(1..1 + 2 * count).ok_or(CodecError::Truncated)?;
    let rest = body.get(1 + 2 * count..4 + 2 * count).ok_or(CodecError::Truncated)?;
    let mut scan = Vec::new();
    for part in parts.chunks_exact(2) {
        let component = frame.components.iter().position(|component| component.id == part[0]);
        let Some(component) = component else { return damaged("a scan is of a component that there is not") };
        scan.push(InScan { component, dc: usize::from(part[1] >> 4), ac: usize::from(part[1] & 15) });
    }
    if scan.is_empty() {
        return damaged("a scan has no component");
    }
    Ok((scan, rest[0], u32::from(rest[2] & 15)))
}
