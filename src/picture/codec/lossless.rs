//! The lossless processes of JPEG (ITU-T T.81 annex H).

use super::entropy::{Bits, Huffman};
use super::jpeg::{Frame, InScan, Plane, Tables};
use super::{CodecError, damaged};

/// Decodes a scan into the planes of its components. `selection` is the predictor, `point` the point transform.
pub(super) fn scan(
    bits: &mut Bits<'_>,
    tables: &Tables,
    frame: &Frame,
    scan: &[InScan],
    (selection, point): (u8, u32),
    planes: &mut [Plane],
) -> Result<(), CodecError> {
    if !(1..=7).contains(&selection) || point >= frame.precision {
        return damaged(format!("predictor {selection} with point transform {point}"));
    }
    if frame.components.iter().any(|part| (part.across, part.down) != (1, 1)) && scan.len() > 1 {
        return Err(CodecError::Unsupported("it is lossless JPEG with subsampled components".into()));
    }
    let mut coders: Vec<(&Huffman, usize)> = Vec::new();
    for part in scan {
        match tables.dc.get(part.dc).and_then(Option::as_ref) {
            Some(table) => coders.push((table, part.component)),
            None => return damaged("a Huffman table is missing"),
        }
    }
    let (width, height) = match scan {
        [one] => {
            let (part, (across, down)) = (&frame.components[one.component], frame.most());
            ((frame.columns * part.across).div_ceil(across), (frame.rows * part.down).div_ceil(down))
        }
        _ => (frame.columns, frame.rows),
    };
    let start = 1_u16 << (frame.precision - point - 1);
    // The line that begins anew after a restart is predicted as the first one is.
    let (mut left, mut first_line) = (tables.restart, true);
    for row in 0..height {
        for column in 0..width {
            let mut fresh = row == 0 && column == 0;
            if tables.restart > 0 {
                if left == 0 {
                    bits.restart()?;
                    (left, first_line, fresh) = (tables.restart, true, true);
                }
                left -= 1;
            }
            for &(table, component) in &coders {
                let plane = &mut planes[component];
                let at = row * plane.width + column;
                let (a, b, c) = neighbours(plane, at, row, column);
                let predicted = match (fresh, first_line, column) {
                    (true, ..) => start,
                    (_, true, 1..) => a,
                    (_, _, 0) => b,
                    _ => predict(selection, a, b, c),
                };
                let difference = match bits.symbol(table)? {
                    16 => 32768,
                    length @ 0..=15 => bits.difference(u32::from(length))?,
                    _ => return damaged("a difference has more than 16 bits"),
                };
                plane.values[at] = (i32::from(predicted) + difference) as u16;
            }
        }
        first_line = false;
    }
    for &(_, component) in &coders {
        planes[component].values.iter_mut().for_each(|value| *value <<= point);
    }
    Ok(())
}

fn neighbours(plane: &Plane, at: usize, row: usize, column: usize) -> (u16, u16, u16) {
    let a = if column > 0 { plane.values[at - 1] } else { 0 };
    let b = if row > 0 { plane.values[at - plane.width] } else { 0 };
    let c = if row > 0 && column > 0 { plane.values[at - plane.width - 1] } else { 0 };
    (a, b, c)
}

/// T.81 table H.1.
fn predict(selection: u8, a: u16, b: u16, c: u16) -> u16 {
    let (a, b, c) = (i32::from(a), i32::from(b), i32::from(c));
    let predicted = match selection {
        1 => a,
        2 => b,
        3 => c,
        4 => a + b - c,
        5 => a + ((b - c) >> 1),
        6 => b + ((a - c) >> 1),
        _ => (a + b) >> 1,
    };
    predicted as u16
}
