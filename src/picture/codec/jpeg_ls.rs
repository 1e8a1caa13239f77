//! JPEG-LS, lossless and near-lossless (ITU-T T.87).

mod scan;

use super::{CodecError, Coded, damaged};
use scan::{Parameters, Scan};

/// How the components of a scan are interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interleave {
    None,
    Line,
    Sample,
}

/// A frame header.
struct Frame {
    precision: u32,
    rows: usize,
    columns: usize,
    ids: Vec<u8>,
}

/// What an LSE segment sets.
#[derive(Debug, Clone, Copy, Default)]
struct Preset {
    most: i32,
    thresholds: [i32; 3],
    reset: i32,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Coded, CodecError> {
    let (mut frame, mut preset) = (None, Preset::default());
    let mut coded: Option<Coded> = None;
    let mut done = 0;
    let mut at = 0;
    loop {
        let &[mark, marker] = bytes.get(at..at + 2).and_then(|two| two.first_chunk()).ok_or(CodecError::Truncated)?;
        if mark != 0xFF {
            return damaged("bytes stand where a marker must");
        }
        at += 2;
        match marker {
            0xD8 => continue,
            0xFF => {
                at -= 1;
                continue;
            }
            0xD9 => break,
            _ => {}
        }
        let length = usize::from(u16_at(bytes, at)?);
        let body = bytes.get(at + 2..at + length).ok_or(CodecError::Truncated)?;
        at += length;
        match marker {
            0xF7 => {
                let read = frame_header(body)?;
                coded = Some(Coded::new(read.columns, read.rows, read.ids.len(), read.precision)?);
                frame = Some(read);
            }
            0xF8 => extension(body, &mut preset)?,
            0xE8 if body.starts_with(b"mrfx") && body.get(4).is_some_and(|&transform| transform != 0) => {
                return Err(CodecError::Unsupported("it is JPEG-LS with a colour transform of its own".into()));
            }
            0xDD if body.iter().any(|&byte| byte != 0) => {
                return Err(CodecError::Unsupported("it is JPEG-LS with restart intervals".into()));
            }
            0xDA => {
                let (Some(frame), Some(coded)) = (&frame, &mut coded) else {
                    return damaged("a scan comes before the frame header");
                };
                let (components, near, interleave, point) = scan_header(body, frame)?;
                let parameters = Parameters::new(frame.precision, near, preset)?;
                let mut scan = Scan::new(bytes.get(at..).unwrap_or_default(), parameters, components.len());
                lines(&mut scan, frame, &components, interleave, coded)?;
                if point > 0 {
                    return Err(CodecError::Unsupported("it is JPEG-LS with a point transform".into()));
                }
                done += components.len();
                if done >= frame.ids.len() {
                    break;
                }
                let rest = bytes.get(at..).unwrap_or_default();
                let end = rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] >= 0x80);
                at += end.ok_or(CodecError::Truncated)?;
            }
            _ => {}
        }
    }
    match (frame, coded) {
        (Some(frame), Some(coded)) if done >= frame.ids.len() => Ok(coded),
        _ => Err(CodecError::Truncated),
    }
}

/// Decodes the lines of a scan into the pixels. A line has a sample more at each end, for the contexts.
fn lines(
    scan: &mut Scan<'_>,
    frame: &Frame,
    components: &[usize],
    interleave: Interleave,
    coded: &mut Coded,
) -> Result<(), CodecError> {
    let width = frame.columns;
    let mut before = vec![vec![0_i32; width + 2]; components.len()];
    let mut now = before.clone();
    for row in 0..frame.rows {
        for (before, now) in before.iter_mut().zip(&mut now) {
            before[width + 1] = before[width];
            now[0] = before[1];
        }
        match interleave {
            Interleave::Sample => scan.pixels(&before, &mut now)?,
            Interleave::None | Interleave::Line => {
                for (index, (before, now)) in before.iter().zip(&mut now).enumerate() {
                    scan.line(index, before, now)?;
                }
            }
        }
        for (now, &component) in now.iter().zip(components) {
            let pixels = coded.values[row * width * coded.samples..].chunks_exact_mut(coded.samples);
            pixels.zip(&now[1..=width]).for_each(|(pixel, &value)| pixel[component] = value);
        }
        std::mem::swap(&mut before, &mut now);
    }
    Ok(())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, CodecError> {
    let two = bytes.get(at..at + 2).and_then(|two| two.first_chunk::<2>());
    two.map(|&two| u16::from_be_bytes(two)).ok_or(CodecError::Truncated)
}

fn frame_header(body: &[u8]) -> Result<Frame, CodecError> {
    let precision = u32::from(*body.first().ok_or(CodecError::Truncated)?);
    let (rows, columns) = (usize::from(u16_at(body, 1)?), usize::from(u16_at(body, 3)?));
    let count = usize::from(*body.get(5).ok_or(CodecError::Truncated)?);
    let parts = body.get(6..6 + 3 * count).ok_or(CodecError::Truncated)?;
    if rows == 0 || columns == 0 || !(1..=4).contains(&count) || !(2..=16).contains(&precision) {
        return damaged(format!("its frame header says {columns} × {rows} pixels, {count} × {precision} bits"));
    }
    if parts.chunks_exact(3).any(|part| part[1] != 0x11) {
        return Err(CodecError::Unsupported("it is JPEG-LS with subsampled components".into()));
    }
    Ok(Frame { precision, rows, columns, ids: parts.chunks_exact(3).map(|part| part[0]).collect() })
}

fn extension(body: &[u8], preset: &mut Preset) -> Result<(), CodecError> {
    match body.first() {
        Some(1) => {
            let number = |index: usize| u16_at(body, 1 + 2 * index).map(i32::from);
            *preset = Preset { most: number(0)?, thresholds: [number(1)?, number(2)?, number(3)?], reset: number(4)? };
            Ok(())
        }
        _ => Err(CodecError::Unsupported("it is JPEG-LS with mapping tables or sizes beyond 65535".into())),
    }
}

type ScanHeader = (Vec<usize>, i32, Interleave, u8);

fn scan_header(body: &[u8], frame: &Frame) -> Result<ScanHeader, CodecError> {
    let count = usize::from(*body.first().ok_or(CodecError::Truncated)?);
    let parts = body.get(1..1 + 2 * count).ok_or(CodecError::Truncated)?;
    let Some(&[near, interleave, point]) = body.get(1 + 2 * count..).and_then(|rest| rest.first_chunk()) else {
        return Err(CodecError::Truncated);
    };
    let place = |part: &[u8]| frame.ids.iter().position(|&id| id == part[0]);
    let components: Option<Vec<usize>> = parts.chunks_exact(2).map(place).collect();
    let Some(components) = components.filter(|components| !components.is_empty() && components.len() <= 4) else {
        return damaged("a scan is of a component that there is not");
    };
    if parts.chunks_exact(2).any(|part| part[1] != 0) {
        return Err(CodecError::Unsupported("it is JPEG-LS with mapping tables".into()));
    }
    let interleave = match interleave {
        0 if components.len() == 1 => Interleave::None,
        1 => Interleave::Line,
        2 => Interleave::Sample,
        other => return damaged(format!("interleave mode {other} of {} components", components.len())),
    };
    Ok((components, i32::from(near), interleave, point & 15))
}

/// Whether the first scan may be off by something (T.87 C.2.3).
pub(super) fn is_lossy(frame: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = frame.get(at..at + 4) {
        if marker == 0xDA {
            let components = frame.get(at + 4).map_or(0, |&count| usize::from(count));
            return frame.get(at + 5 + 2 * components).is_some_and(|&near| near > 0);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}
