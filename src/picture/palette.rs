//! Colours by table (PS3.3 C.7.6.3.1.5, C.7.9): whole tables, and those of segments.

use super::grey::{entries, numbers};
use crate::dataset::Tree;
use crate::dicom::{Tag, tags};

/// The most entries that segments may come to.
const MOST: usize = 0x1_0000;

/// Red, green and blue of each value from the first on.
pub(super) struct Palette {
    tables: [(i64, Vec<u8>); 3],
}

impl Palette {
    /// That of an object; `None` where it has none, or not all of it.
    pub(super) fn of(header: &Tree, signed: bool) -> Option<Palette> {
        let one = |descriptor: Tag, whole: Tag, segments: Tag| {
            let descriptor = numbers(header.bytes(descriptor)?);
            let &[length, first, bits] = descriptor.get(..3)?.first_chunk()?;
            let length = if length == 0 { MOST } else { usize::from(length) };
            let entries = match (header.bytes(whole), header.bytes(segments)) {
                (Some(data), _) => entries(data, length),
                (None, Some(data)) if bits > 8 => unfold(&numbers(data)),
                (None, Some(data)) => unfold(&data.iter().map(|&byte| u16::from(byte)).collect::<Vec<u16>>()),
                (None, None) => return None,
            };
            // Eight bits that are said to be sixteen have been seen.
            let wide = bits > 8 && entries.iter().any(|&entry| entry > 255);
            let byte = |entry: u16| u8::try_from(if wide { entry >> 8 } else { entry.min(255) }).unwrap_or(255);
            let first = if signed { i64::from(first.cast_signed()) } else { i64::from(first) };
            (!entries.is_empty()).then(|| (first, entries.into_iter().map(byte).collect()))
        };
        let red = one(
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?;
        let green = one(
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?;
        let blue = one(
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?;
        Some(Palette { tables: [red, green, blue] })
    }

    /// The colour of a value.
    pub(super) fn colour(&self, value: i32) -> [u8; 3] {
        self.tables.each_ref().map(|(first, table)| {
            let index = usize::try_from(i64::from(value) - first).unwrap_or(0).min(table.len() - 1);
            table.get(index).copied().unwrap_or(0)
        })
    }
}

/// The entries that segments stand for (PS3.3 C.7.9.2): listed ones, straight lines, and earlier segments again. What is
/// damaged ends the table.
fn unfold(data: &[u16]) -> Vec<u16> {
    let mut entries = Vec::new();
    let mut rest = data;
    while let Some((&[code, count], behind)) = rest.split_first_chunk() {
        if code == 2 {
            // The offset of the first of so many segments, in two numbers, the low one first.
            let Some((&[low, high], behind)) = behind.split_first_chunk() else { break };
            let offset = usize::from(low) | usize::from(high) << 16;
            let mut again = data.get(offset..).unwrap_or_default();
            for _ in 0..count {
                let Some((&[code, count], behind)) = again.split_first_chunk() else { break };
                let Some(behind) = segment(code, count, behind, &mut entries) else { break };
                again = behind;
            }
            rest = behind;
        } else {
            let Some(behind) = segment(code, count, behind, &mut entries) else { break };
            rest = behind;
        }
    }
    entries
}

/// Adds a segment of listed entries, or a straight line from the last entry; what is behind it.
fn segment<'d>(code: u16, count: u16, data: &'d [u16], entries: &mut Vec<u16>) -> Option<&'d [u16]> {
    if entries.len() + usize::from(count) > MOST {
        return None;
    }
    match code {
        0 => {
            let (listed, behind) = data.split_at_checked(usize::from(count))?;
            entries.extend_from_slice(listed);
            Some(behind)
        }
        1 => {
            let (&to, behind) = data.split_first()?;
            let from = i64::from(*entries.last()?);
            let step = |at: i64| from + (i64::from(to) - from) * at / i64::from(count);
            entries.extend((1..=i64::from(count)).filter_map(|at| u16::try_from(step(at)).ok()));
            Some(behind)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_lists_lines_and_earlier_segments() {
        let data = [0, 2, 10, 20, 1, 4, 40, 2, 1, 0, 0, 0, 1, 7];
        assert_eq!(unfold(&data), [10, 20, 25, 30, 35, 40, 10, 20, 7]);
        // What is damaged ends it, and nothing grows without end.
        assert!(unfold(&[0, 3, 1, 2]).is_empty());
        assert!(unfold(&[1, 3, 1, 2]).is_empty());
        assert!(unfold(&[9, 3, 1, 2]).is_empty());
        let bomb: Vec<u16> = [0, 1, 5].into_iter().chain((0..100).flat_map(|_| [1, 0xFFFF, 9])).collect();
        assert!(unfold(&bomb).len() <= MOST);
    }
}
