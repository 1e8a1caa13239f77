//! From stored values to what is shown of them: modality and VOI transformations, linear ones and tables (PS3.3 C.11.1,
//! C.11.2).

use super::{Function, Window};
use crate::dataset::Tree;
use crate::dicom::{Tag, tags};

/// A table (PS3.3 C.11.1.1.1).
#[derive(Debug, Clone)]
struct Table {
    first: i64,
    bits: u32,
    entries: Vec<u16>,
}

/// What is done to the values of a frame.
#[derive(Debug, Clone)]
pub(super) struct Grey {
    slope: f64,
    intercept: f64,
    modality: Option<Table>,
    window: Option<Window>,
    voi: Option<Table>,
    padding: Option<(i64, i64)>,
}

impl Grey {
    /// Of a frame, which is counted from 1. A window that was asked for goes before those of the object.
    pub(super) fn of(header: &Tree, frame: u64, signed: bool, asked: Option<Window>) -> Grey {
        let groups = Groups { header, frame };
        let rescale = groups.find(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags::RESCALE_SLOPE);
        let modality = header.item(tags::MODALITY_LUT_SEQUENCE).and_then(|item| Table::read(item, signed));
        let voi = groups.find(tags::FRAME_VOILUT_SEQUENCE, tags::WINDOW_CENTER);
        let function = match voi.and_then(|item| item.text(tags::VOILUT_FUNCTION)) {
            Some("SIGMOID") => Function::Sigmoid,
            Some("LINEAR_EXACT") => Function::LinearExact,
            _ => Function::Linear,
        };
        let own = voi.and_then(|item| {
            let (centre, width) = (number(item, tags::WINDOW_CENTER)?, number(item, tags::WINDOW_WIDTH)?);
            Some(Window { centre, width, function })
        });
        // By definition a linear one has a width of one at least.
        let own = own.filter(|own| own.width >= if function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE });
        let window = asked.or(own);
        let table = header.item(tags::VOILUT_SEQUENCE).and_then(|item| Table::read(item, signed));
        Grey {
            slope: rescale
                .and_then(|item| number(item, tags::RESCALE_SLOPE))
                .filter(|&slope| slope != 0.0)
                .unwrap_or(1.0),
            intercept: rescale.and_then(|item| number(item, tags::RESCALE_INTERCEPT)).unwrap_or(0.0),
            modality,
            voi: if window.is_none() { table } else { None },
            window,
            padding: padding(header, signed),
        }
    }

    /// Whether a value means that there is no pixel.
    pub(super) fn is_padding(&self, value: i64) -> bool {
        self.padding.is_some_and(|(from, to)| (from..=to).contains(&value))
    }

    /// Where nothing says how values are to be shown: by the least and the greatest of them.
    pub(super) fn span(&mut self, values: impl Iterator<Item = i64>, whole: Option<(i64, i64)>) {
        if self.window.is_some() || self.voi.is_some() {
            return;
        }
        let found = values.filter(|&value| !self.is_padding(value));
        let (least, most) = whole.unwrap_or_else(|| {
            found.fold((i64::MAX, i64::MIN), |(least, most), value| (least.min(value), most.max(value)))
        });
        if least > most {
            return;
        }
        let (a, b) = (self.modality(least), self.modality(most));
        let (a, b) = (a.min(b), a.max(b));
        let (centre, width) = ((a + b) / 2.0, (b - a).max(f64::MIN_POSITIVE));
        self.window = Some(Window { centre, width, function: Function::LinearExact });
    }

    fn modality(&self, value: i64) -> f64 {
        match &self.modality {
            Some(table) => f64::from(table.at(value)),
            None => value as f64 * self.slope + self.intercept,
        }
    }

    /// The shade of a value, from 0 to 1.
    pub(super) fn shade(&self, value: i64) -> f64 {
        let x = self.modality(value);
        if let Some(table) = &self.voi {
            return f64::from(table.at(nearest(x))) / f64::from((1_u32 << table.bits) - 1);
        }
        let Some(Window { centre, width, function }) = self.window else { return 0.0 };
        let shade = match function {
            Function::Linear if width <= 1.0 => f64::from(x > centre - 0.5),
            Function::Linear => (x - (centre - 0.5)) / (width - 1.0) + 0.5,
            Function::LinearExact => (x - centre) / width + 0.5,
            Function::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - centre) / width).exp()),
        };
        shade.clamp(0.0, 1.0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, which is what a table does too")]
fn nearest(value: f64) -> i64 {
    value.round() as i64
}

impl Table {
    fn read(item: &Tree, signed: bool) -> Option<Table> {
        let descriptor = numbers(item.bytes(tags::LUT_DESCRIPTOR)?);
        let &[length, first, bits] = descriptor.get(..3)?.first_chunk()?;
        let length = if length == 0 { 0x1_0000 } else { usize::from(length) };
        let first = if signed { i64::from(first.cast_signed()) } else { i64::from(first) };
        let data = item.bytes(tags::LUT_DATA)?;
        let entries = entries(data, length);
        (!entries.is_empty() && (1..=16).contains(&bits)).then_some(Table { first, bits: u32::from(bits), entries })
    }

    fn at(&self, value: i64) -> u16 {
        let index = usize::try_from(value.saturating_sub(self.first).max(0)).unwrap_or(usize::MAX);
        self.entries.get(index.min(self.entries.len() - 1)).copied().unwrap_or(0)
    }
}

/// The entries of a table; where there are only half as many bytes, each is an entry.
pub(super) fn entries(data: &[u8], length: usize) -> Vec<u16> {
    if data.len() < 2 * length && data.len() >= length {
        data.iter().take(length).map(|&byte| u16::from(byte)).collect()
    } else {
        let mut all = numbers(data);
        all.truncate(length);
        all
    }
}

/// US values.
pub(super) fn numbers(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).filter_map(|two| two.first_chunk().map(|&two| u16::from_le_bytes(two))).collect()
}

/// The first of the numbers of a text.
fn number(item: &Tree, tag: Tag) -> Option<f64> {
    item.text(tag)?.split('\\').next()?.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn padding(header: &Tree, signed: bool) -> Option<(i64, i64)> {
    let read = |tag| {
        let value = header.u16(tag)?;
        Some(if signed { i64::from(value.cast_signed()) } else { i64::from(value) })
    };
    let value = read(tags::PIXEL_PADDING_VALUE)?;
    let limit = read(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(value);
    Some((value.min(limit), value.max(limit)))
}

/// What an enhanced object says of a frame, of all frames, or a plain one of itself.
struct Groups<'h> {
    header: &'h Tree,
    frame: u64,
}

impl<'h> Groups<'h> {
    /// Where an attribute stands that belongs into the item of this sequence.
    fn find(&self, sequence: Tag, attribute: Tag) -> Option<&'h Tree> {
        let frame = usize::try_from(self.frame - 1).unwrap_or(usize::MAX);
        let own = self.header.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(frame);
        let shared = self.header.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
        let inside = [own, shared].into_iter().flatten().filter_map(|group| group.item(sequence));
        inside.chain([self.header]).find(|item| item.contains(attribute))
    }
}
