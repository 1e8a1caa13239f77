//! Where the frames of an object are: ranges of native pixel data, or the fragments of encapsulated ones by their offset
//! tables, by their number, or by what their code streams begin with (PS3.5 annex A.4).

use std::io::{self, Read, Seek, SeekFrom};

use super::ReadError;
use super::convert::choice;
use super::input::Input;
use super::wire::{self, Head, ITEM, Syntax};
use crate::dicom::{Tag, TransferSyntaxUid, encoding_of, tags};

/// A header longer than this is not read further.
const LONGEST_HEADER: u64 = 1 << 30;
/// The most frames, and fragments, that are looked for.
const MOST: usize = 1 << 20;
/// A value of these attributes that is longer is none.
const LONGEST_VALUE: u32 = 64;

/// The pixel data of an object, as its header tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Number of Frames, 1 where it is not told.
    pub frames: usize,
    /// The value representation that the element has.
    pub vr: [u8; 2],
    /// Where the value begins in the data set.
    at: u64,
    /// Its length; `None` where it is encapsulated.
    length: Option<u32>,
    /// Bits of a native frame.
    bits: u64,
    /// Extended Offset Table (7FE0,0001).
    offsets: Vec<u64>,
}

/// Where the bytes of each frame are, as ranges of the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frames {
    /// So many bytes each, one behind the other.
    Native {
        /// Where the first begins.
        at: u64,
        /// Bytes of one.
        bytes: u64,
        /// How many there are.
        count: usize,
    },
    /// Fragments.
    Encapsulated {
        /// Beginning and length of each.
        fragments: Vec<(u64, u64)>,
        /// With which fragment each frame begins.
        starts: Vec<usize>,
    },
}

/// Why frames cannot be told apart, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFrames(pub &'static str);

/// Looks for the pixel data of a data set; `None` where there are none. The reader yields what is not deflated.
pub fn find_pixels<R: Read>(reader: R, syntax: &TransferSyntaxUid) -> Result<Option<Pixels>, ReadError> {
    let mut input = Input::new(reader, LONGEST_HEADER);
    let syntax = Syntax::of(encoding_of(syntax)).probe(input.ahead(wire::PROBE)?);
    let mut numbers = Numbers::default();
    let mut context = choice::Context::default();
    while let Some(head) = Head::read(&mut input, syntax)? {
        match (head.tag, head.length) {
            (tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA, length) => {
                let vr = choice::vr_of(&head, &context);
                let vr = if length.is_none() { *b"OB" } else { vr };
                return Ok(Some(numbers.pixels(input.offset(), vr, length)));
            }
            (tags::EXTENDED_OFFSET_TABLE, Some(length)) if length as usize <= 8 * MOST => {
                let bytes = input.read_value(length, head.tag)?;
                numbers.offsets =
                    bytes.chunks_exact(8).filter_map(|n| n.try_into().ok()).map(u64::from_le_bytes).collect();
            }
            (tag, Some(length)) if tag.group() == 0x0028 && length <= LONGEST_VALUE => {
                context.note(tag, input.ahead(2)?, length, syntax);
                let bytes = input.read_value(length, tag)?;
                numbers.note(tag, &bytes, syntax);
            }
            _ => wire::skip_value(&mut input, &head, syntax)?,
        }
    }
    Ok(None)
}

/// What the size of a frame is made of.
#[derive(Default)]
struct Numbers {
    rows: u64,
    columns: u64,
    samples: Option<u64>,
    bits: u64,
    frames: Option<usize>,
    subsampled: bool,
    offsets: Vec<u64>,
}

impl Numbers {
    fn note(&mut self, tag: Tag, bytes: &[u8], syntax: Syntax) {
        let number = bytes.first_chunk::<2>().map_or(0, |&bytes| u64::from(syntax.u16(bytes)));
        let text = || std::str::from_utf8(bytes).unwrap_or_default().trim_matches([' ', '\0']);
        match tag {
            tags::ROWS => self.rows = number,
            tags::COLUMNS => self.columns = number,
            tags::SAMPLES_PER_PIXEL => self.samples = Some(number),
            tags::BITS_ALLOCATED => self.bits = number,
            tags::NUMBER_OF_FRAMES => self.frames = text().parse().ok().filter(|frames| *frames > 0),
            tags::PHOTOMETRIC_INTERPRETATION => self.subsampled = matches!(text(), "YBR_FULL_422" | "YBR_PARTIAL_422"),
            _ => {}
        }
    }

    fn pixels(self, at: u64, vr: [u8; 2], length: Option<u32>) -> Pixels {
        let samples = match self.samples.unwrap_or(1) {
            // Two pixels share their colours (PS3.3 §C.7.6.3.1.2).
            3 if self.subsampled => 2,
            samples => samples,
        };
        let bits = self.rows * self.columns * samples * self.bits;
        Pixels { frames: self.frames.unwrap_or(1), vr, at, length, bits, offsets: self.offsets }
    }
}

impl Pixels {
    /// Whether they are encapsulated.
    pub fn is_encapsulated(&self) -> bool {
        self.length.is_none()
    }

    /// Where each frame is. `file` holds the data set from `begin` on; it is looked into only where the pixel data are
    /// encapsulated.
    pub fn locate<F: Read + Seek>(&self, file: &mut F, begin: u64) -> io::Result<Result<Frames, NoFrames>> {
        let Some(length) = self.length else { return self.fragments(file, begin) };
        if self.bits == 0 || !self.bits.is_multiple_of(8) {
            return Ok(Err(NoFrames("its frames do not begin with a byte of their own")));
        }
        let bytes = self.bits / 8;
        let there = usize::try_from(u64::from(length) / bytes).unwrap_or(usize::MAX);
        Ok(Ok(Frames::Native { at: self.at, bytes, count: self.frames.min(there) }))
    }

    fn fragments<F: Read + Seek>(&self, file: &mut F, begin: u64) -> io::Result<Result<Frames, NoFrames>> {
        let mut items = Items { file, begin, at: self.at };
        let Some((at, length)) = items.next()? else {
            return Ok(Err(NoFrames("its encapsulated pixel data have no items")));
        };
        let table = items.table(at, length)?;
        let mut fragments = Vec::new();
        while let Some(fragment) = items.next()? {
            if fragments.len() == MOST {
                return Ok(Err(NoFrames("its pixel data have more fragments than are looked at")));
            }
            fragments.push(fragment);
        }
        let first = fragments.first().map_or(0, |(at, _)| at.saturating_sub(8));
        let by_table = |table: &[u64]| -> Option<Vec<usize>> {
            let start = |offset: &u64| fragments.binary_search_by_key(&(first + offset + 8), |(at, _)| *at).ok();
            (table.len() == self.frames).then(|| table.iter().map(start).collect()).flatten()
        };
        let by_number = match self.frames {
            _ if fragments.is_empty() => None,
            1 => Some(vec![0]),
            frames => by_table(&self.offsets)
                .or_else(|| by_table(&table))
                .or_else(|| (fragments.len() == frames).then(|| (0..frames).collect())),
        };
        let starts = match by_number {
            Some(starts) => Some(starts),
            None => items.codestreams(&fragments)?.filter(|starts| starts.len() == self.frames),
        };
        let what = "its fragments do not tell where a frame begins, as in a video";
        Ok(starts.map(|starts| Frames::Encapsulated { fragments, starts }).ok_or(NoFrames(what)))
    }
}

/// JPEG and JPEG-LS begin with SOI and another marker, JPEG 2000 with SOC and SIZ.
fn begins_frame(head: &[u8]) -> bool {
    matches!(head, [0xFF, 0xD8, 0xFF, _] | [0xFF, 0x4F, 0xFF, 0x51])
}

impl Frames {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Frames::Native { count, .. } => *count,
            Frames::Encapsulated { starts, .. } => starts.len(),
        }
    }

    /// Beginning and length of the parts of a frame, the first being number 0; `None` where there is none.
    pub fn of(&self, number: usize) -> Option<Vec<(u64, u64)>> {
        match self {
            Frames::Native { at, bytes, count } => {
                (number < *count).then(|| vec![(at + bytes * number as u64, *bytes)])
            }
            Frames::Encapsulated { fragments, starts } => {
                let end = starts.get(number + 1).copied().unwrap_or(fragments.len());
                fragments.get(*starts.get(number)?..end).map(<[_]>::to_vec)
            }
        }
    }
}

/// The items of encapsulated pixel data.
struct Items<'f, F> {
    file: &'f mut F,
    begin: u64,
    at: u64,
}

impl<F: Read + Seek> Items<'_, F> {
    /// Beginning and length of the next; `None` behind the last, and where something else stands.
    fn next(&mut self) -> io::Result<Option<(u64, u64)>> {
        self.file.seek(SeekFrom::Start(self.begin + self.at))?;
        let mut head = [0; 8];
        match self.file.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let mut input = Input::small(head.as_slice());
        let syntax = Syntax { explicit: true, big: false };
        let Ok(Some(Head { tag: ITEM, length: Some(length), .. })) = Head::read(&mut input, syntax) else {
            return Ok(None);
        };
        let (at, length) = (self.at + 8, u64::from(length));
        self.at = at + length;
        Ok(Some((at, length)))
    }

    /// The Basic Offset Table.
    fn table(&mut self, at: u64, length: u64) -> io::Result<Vec<u64>> {
        if length > 4 * MOST as u64 {
            return Ok(Vec::new());
        }
        let bytes = self.read(at, length)?;
        Ok(bytes.chunks_exact(4).filter_map(|n| n.try_into().ok()).map(|n| u32::from_le_bytes(n).into()).collect())
    }

    /// The fragments that a code stream begins with, if the first one does.
    fn codestreams(&mut self, fragments: &[(u64, u64)]) -> io::Result<Option<Vec<usize>>> {
        let mut starts = Vec::new();
        for (number, (at, length)) in fragments.iter().enumerate() {
            if begins_frame(&self.read(*at, (*length).min(4))?) {
                starts.push(number);
            }
        }
        Ok((starts.first() == Some(&0)).then_some(starts))
    }

    fn read(&mut self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(self.begin + at))?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
