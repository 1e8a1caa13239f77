//! The sequential DCT process of JPEG at twelve bits (ITU-T T.81 annex F).

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::entropy::Bits;
use super::jpeg::{Frame, InScan, Plane, Tables};
use super::{CodecError, damaged};

/// Where the coefficients of a block stand, in the order in which they come.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// Decodes a scan into the planes of its components.
pub(super) fn scan(
    bits: &mut Bits<'_>,
    tables: &Tables,
    frame: &Frame,
    scan: &[InScan],
    planes: &mut [Plane],
) -> Result<(), CodecError> {
    let cosines = cosines();
    let mut last = vec![0_i32; scan.len()];
    // A scan of one component has the blocks of that, not MCUs.
    let (across, down) = match scan {
        [one] => {
            let (part, most) = (&frame.components[one.component], frame.most());
            let width = (frame.columns * part.across).div_ceil(most.0);
            ((width).div_ceil(8), (frame.rows * part.down).div_ceil(most.1).div_ceil(8))
        }
        _ => frame.mcus(),
    };
    let mut left = tables.restart;
    for row in 0..down {
        for column in 0..across {
            if tables.restart > 0 {
                if left == 0 {
                    bits.restart()?;
                    last.fill(0);
                    left = tables.restart;
                }
                left -= 1;
            }
            for (part, last) in scan.iter().zip(&mut last) {
                let component = &frame.components[part.component];
                let (wide, high) = if scan.len() == 1 { (1, 1) } else { (component.across, component.down) };
                let Some(Some(quantisation)) = tables.quantisation.get(component.quantisation) else {
                    return damaged("a quantisation table is missing");
                };
                for block in 0..wide * high {
                    let coefficients = coefficients(bits, tables, part, last, quantisation)?;
                    let (x, y) = (column * wide + block % wide, row * high + block / wide);
                    inverse(&coefficients, &cosines, frame.precision, &mut planes[part.component], (x * 8, y * 8));
                }
            }
        }
    }
    Ok(())
}

fn coefficients(
    bits: &mut Bits<'_>,
    tables: &Tables,
    part: &InScan,
    last: &mut i32,
    quantisation: &[u16; 64],
) -> Result<[f32; 64], CodecError> {
    let (Some(Some(dc)), Some(Some(ac))) = (tables.dc.get(part.dc), tables.ac.get(part.ac)) else {
        return damaged("a Huffman table is missing");
    };
    let mut block = [0_f32; 64];
    let length = u32::from(bits.symbol(dc)?);
    if length > 15 {
        return damaged("a coefficient has more than 15 bits");
    }
    *last = last.wrapping_add(bits.difference(length)?);
    block[0] = *last as f32 * f32::from(quantisation[0]);
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, length) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (run, length) {
            (15, 0) => at += 16,
            (_, 0) => break,
            _ => {
                at += run;
                if at > 63 {
                    return damaged("a block has more than 64 coefficients");
                }
                block[ZIGZAG[at]] = bits.difference(length)? as f32 * f32::from(quantisation[at]);
                at += 1;
            }
        }
    }
    Ok(block)
}

/// The cosines of the transform, by place and frequency.
fn cosines() -> [[f32; 8]; 8] {
    let mut table = [[0.0; 8]; 8];
    for (place, line) in table.iter_mut().enumerate() {
        for (frequency, value) in line.iter_mut().enumerate() {
            let scale = if frequency == 0 { FRAC_1_SQRT_2 } else { 1.0 };
            *value = scale * ((2 * place + 1) as f32 * frequency as f32 * PI / 16.0).cos() / 2.0;
        }
    }
    table
}

fn inverse(block: &[f32; 64], cosines: &[[f32; 8]; 8], precision: u32, plane: &mut Plane, (x, y): (usize, usize)) {
    let mut half = [0_f32; 64];
    for row in 0..8 {
        for (place, line) in cosines.iter().enumerate() {
            half[row * 8 + place] = (0..8).map(|frequency| block[row * 8 + frequency] * line[frequency]).sum();
        }
    }
    let (most, middle) = (((1_u32 << precision) - 1) as f32, (1_u32 << (precision - 1)) as f32);
    for (row, line) in cosines.iter().enumerate() {
        for column in 0..8 {
            let value: f32 = (0..8).map(|frequency| half[frequency * 8 + column] * line[frequency]).sum();
            if y + row < plane.height && x + column < plane.width {
                plane.values[(y + row) * plane.width + x + column] = (value + middle).round().clamp(0.0, most) as u16;
            }
        }
    }
}
