//! A data set with native pixel data instead of coded ones: its header as it came, but for what has to be said of the
//! pixels now (PS3.5 annex A.4, PS3.3 C.7.6.1.1.5), then frame after frame. In the worker; of many frames one is held.

use std::io::{self, Cursor, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::codec::{self, Coded, Colour};
use super::frames::{Fragments, missing, object, unreadable};
use super::protocol::{ALIVE, Decode, END, MEASURED, PIECE, REASON, say};
use super::shape::{Photometric, Shape};
use super::worker::HEADER;
use super::{PictureError, draw};
use crate::dataset::{Amendment, PixelStream, Tree, amend, convert};
use crate::dicom::{TransferSyntaxUid, tags, uids};

/// Bytes of a piece.
const PIECE_LENGTH: usize = 256 * 1024;

/// Decodes a data set and says it, or why that cannot be done. `alive` is called as long as it goes on.
pub(super) fn answer<R: Read + Send + 'static>(
    body: R,
    syntax: &str,
    how: &Decode,
    output: &mut impl Write,
    alive: &dyn Fn() -> io::Result<()>,
) -> io::Result<()> {
    let mut decoded = match open(body, syntax, how) {
        Ok(decoded) => decoded,
        Err(error) => return say(output, REASON, error.to_string().as_bytes()),
    };
    let mut buffer = vec![0; PIECE_LENGTH];
    let mut whole = Vec::new();
    let measures = !decoded.single && how.coded.is_none();
    loop {
        let length = match fill(&mut decoded.reader, &mut buffer) {
            Ok(length) => length,
            Err(error) => return say(output, REASON, decoded.faults.told(&error).as_bytes()),
        };
        let piece = buffer.get(..length).unwrap_or_default();
        match (piece.is_empty(), decoded.single) {
            (true, _) => break,
            // What cannot be decoded is told before the first byte.
            (false, true) => whole.extend_from_slice(piece),
            (false, false) if measures => say(output, ALIVE, &[])?,
            (false, false) => say(output, PIECE, piece)?,
        }
        alive()?;
    }
    if measures {
        return say(output, MEASURED, &decoded.coded.load(Ordering::Relaxed).to_be_bytes());
    }
    for piece in whole.chunks(PIECE_LENGTH) {
        say(output, PIECE, piece)?;
    }
    say(output, END, &[])
}

/// As much as there is, up to the length of the buffer.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A data set that is decoded as it is read.
struct Decoded {
    reader: Box<dyn Read + Send>,
    /// It has one frame.
    single: bool,
    /// Bytes of coded frames so far.
    coded: Arc<AtomicU64>,
    faults: Faults,
}

/// Why it could not be read on: readers in between may say it in other words.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<Option<String>>>);

impl Faults {
    fn note(&self, error: PictureError) -> io::Error {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        io::Error::other(error)
    }

    fn told(&self, error: &io::Error) -> String {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        noted.unwrap_or_else(|| format!("its data set cannot be converted: {error}"))
    }
}

fn open<R: Read + Send + 'static>(body: R, syntax: &str, how: &Decode) -> Result<Decoded, PictureError> {
    let syntax = TransferSyntaxUid::new(syntax);
    let recorded = Recorded(Arc::new(Mutex::new(Some(Vec::new()))));
    let mut pixels =
        PixelStream::open(Recorder { reader: body, into: recorded.clone() }, &syntax, HEADER).map_err(unreadable)?;
    let mut raw = recorded.end();
    let (coded, faults) = (Arc::new(AtomicU64::new(0)), Faults::default());
    let explicit = TransferSyntaxUid::new(if pixels.is_explicit() { uids::EXPLICIT_LE } else { uids::IMPLICIT_LE });
    let to = TransferSyntaxUid::new(&how.to);
    let whole = |reader: Box<dyn Read + Send>| {
        if to == explicit { Some(reader) } else { convert(reader, &explicit, &to) }
            .ok_or_else(|| object(format!("it cannot be had in transfer syntax {to}")))
    };
    if pixels.tag().is_none() {
        // Without pixel data there is nothing to decode.
        return Ok(Decoded { reader: whole(Box::new(Cursor::new(raw)))?, single: true, coded, faults });
    }
    if (pixels.tag(), pixels.length()) != (Some(tags::PIXEL_DATA), None) {
        return Err(object("its pixel data are not encapsulated, and its transfer syntax says that they are"));
    }
    raw.truncate(usize::try_from(pixels.begin()).unwrap_or(usize::MAX));
    let shape = Shape::of(&pixels.header)?;
    if !matches!(shape.allocated, 8 | 16 | 32) {
        return Err(object(format!("samples of {} bits are not decoded here", shape.allocated)));
    }
    let length = shape.frame_samples().checked_mul(u64::from(shape.allocated / 8));
    let length =
        length.and_then(|frame| frame.checked_mul(shape.frames)).filter(|length| *length < u64::from(u32::MAX));
    let padding = length.is_some_and(|length| length % 2 == 1);
    let Some(length) = length.and_then(|length| u32::try_from(length + u64::from(padding)).ok()) else {
        return Err(object(
            "its pixel data would be longer than 4 GB once decoded, which no native transfer syntax has",
        ));
    };
    let fragments = Fragments::begin(&mut pixels, shape.frames)?;
    let vr = if shape.allocated > 8 { *b"OW" } else { *b"OB" };
    let pixel_head = pixels.native_head(vr, length);
    let header = std::mem::take(&mut pixels.header);
    let single = shape.frames == 1;
    let mut frames = Frames {
        pixels,
        fragments,
        syntax,
        shape,
        colours: None,
        number: 0,
        padding,
        coded: Arc::clone(&coded),
        lossy: None,
        buffer: Vec::new(),
        at: 0,
        ended: false,
        faults: faults.clone(),
    };
    // What the coder says of colours and of losses goes into the header.
    frames.advance()?;
    let total = how.coded.unwrap_or_else(|| coded.load(Ordering::Relaxed));
    let amendment = Arc::new(frames.amendment(&header, total, u64::from(length)));
    let head = amend(Cursor::new(raw), &explicit, &[amendment]).map_err(unreadable)?;
    let reader = whole(Box::new(head.chain(Cursor::new(pixel_head)).chain(frames)))?;
    Ok(Decoded { reader, single, coded, faults })
}

/// What goes through a [`Recorder`], until it is taken.
#[derive(Clone)]
struct Recorded(Arc<Mutex<Option<Vec<u8>>>>);

impl Recorded {
    fn bytes(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) -> Vec<u8> {
        self.bytes().take().unwrap_or_default()
    }
}

struct Recorder<R> {
    reader: R,
    into: Recorded,
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(out)?;
        if let Some(bytes) = &mut *self.into.bytes() {
            bytes.extend_from_slice(out.get(..length).unwrap_or_default());
            if bytes.len() as u64 > 2 * HEADER {
                return Err(io::Error::other("its header is too long"));
            }
        }
        Ok(length)
    }
}

/// The native pixel data, and what stands behind them.
struct Frames {
    pixels: PixelStream,
    fragments: Fragments,
    syntax: TransferSyntaxUid,
    shape: Shape,
    /// What the coder says of the colours of the first frame.
    colours: Option<Colour>,
    /// How many have been decoded.
    number: u64,
    padding: bool,
    coded: Arc<AtomicU64>,
    /// By which method information was lost, if it was.
    lossy: Option<&'static str>,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
    faults: Faults,
}

impl Frames {
    /// Decodes the next frame, or comes to what stands behind the last.
    fn advance(&mut self) -> Result<(), PictureError> {
        self.at = 0;
        if self.number == self.shape.frames {
            while self.fragments.next(&mut self.pixels, false)?.is_some() {}
            self.buffer = vec![0; usize::from(self.padding)];
            self.ended = true;
            return Ok(());
        }
        self.number += 1;
        let frame = self.fragments.next(&mut self.pixels, true)?.filter(|bytes| !bytes.is_empty());
        let frame = frame.ok_or_else(|| missing(self.number))?;
        self.coded.fetch_add(frame.len() as u64, Ordering::Relaxed);
        let failed = |error: codec::CodecError| object(format!("frame {}: {error}", self.number));
        let coded = codec::decode(&self.syntax, &frame, &self.shape).map_err(failed)?;
        if *self.colours.get_or_insert(coded.colour) != coded.colour {
            return Err(object(format!("frame {} has other colours than the first", self.number)));
        }
        self.lossy = self.lossy.or_else(|| codec::loss(&self.syntax, &frame));
        drop(frame);
        let mut coded = draw::values(coded, &self.shape);
        if self.colouring().1 {
            redden(&mut coded, self.shape.photometric == Photometric::YbrPartial);
        }
        let width = usize::from(self.shape.allocated / 8);
        self.buffer.clear();
        for value in &coded.values {
            self.buffer.extend(value.to_le_bytes().iter().take(width));
        }
        Ok(())
    }

    /// The Photometric Interpretation of several samples, and whether they have to be made red, green and blue: lossy coders
    /// made something else of these, which few receivers expect; what is lossless keeps its values.
    fn colouring(&self) -> (Option<&'static str>, bool) {
        let lossy = codec::is_dct(&self.syntax);
        match (self.shape.samples, self.colours, self.shape.photometric) {
            (1, ..) => (None, false),
            (_, Some(Colour::Rgb), _) => (Some("RGB"), false),
            (_, Some(Colour::Unsaid), Photometric::Rgb | Photometric::YbrUndone) => (Some("RGB"), false),
            (_, _, partial) if lossy || partial == Photometric::YbrPartial => (Some("RGB"), true),
            _ => (Some("YBR_FULL"), false),
        }
    }

    /// What is said of the pixels now.
    fn amendment(&self, header: &Tree, coded: u64, native: u64) -> Amendment {
        let mut put = Tree::new();
        if let (Some(name), _) = self.colouring() {
            put.put_text(tags::PHOTOMETRIC_INTERPRETATION, name).put_u16(tags::PLANAR_CONFIGURATION, 0);
        }
        if self.shape.high + 1 != self.shape.stored {
            put.put_u16(tags::HIGH_BIT, self.shape.stored - 1);
        }
        let known = header.text(tags::LOSSY_IMAGE_COMPRESSION) == Some("01");
        // An object that says that it lost something, in a syntax that loses, lost it there, whatever its frames tell.
        if let Some(method) = self.lossy.or(codec::method(&self.syntax).filter(|_| known)) {
            let ratio = format!("{:.2}", native as f64 / coded.max(1) as f64);
            if !known {
                put.put_text(tags::LOSSY_IMAGE_COMPRESSION, "01");
            }
            // What was lost before is told already.
            if !known || header.text(tags::LOSSY_IMAGE_COMPRESSION_RATIO).is_none() {
                put.put_text(tags::LOSSY_IMAGE_COMPRESSION_RATIO, &ratio);
            }
            if !known || header.text(tags::LOSSY_IMAGE_COMPRESSION_METHOD).is_none() {
                put.put_text(tags::LOSSY_IMAGE_COMPRESSION_METHOD, method);
            }
        }
        let mut remove = vec![
            tags::EXTENDED_OFFSET_TABLE,
            tags::EXTENDED_OFFSET_TABLE_LENGTHS,
            tags::ENCAPSULATED_PIXEL_DATA_VALUE_TOTAL_LENGTH,
        ];
        // An icon that is coded as well cannot stay.
        if header.item(tags::ICON_IMAGE_SEQUENCE).is_some_and(|icon| icon.bytes(tags::PIXEL_DATA).is_none()) {
            remove.push(tags::ICON_IMAGE_SEQUENCE);
        }
        remove.retain(|tag| header.contains(*tag));
        Amendment { put, remove, ..Amendment::default() }
    }
}

impl Read for Frames {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.buffer.get(self.at..).unwrap_or_default();
            if !left.is_empty() {
                let length = left.len().min(out.len());
                if let (Some(out), Some(left)) = (out.get_mut(..length), left.get(..length)) {
                    out.copy_from_slice(left);
                }
                self.at += length;
                return Ok(length);
            }
            if self.ended {
                return self.pixels.rest(out);
            }
            self.advance().map_err(|error| self.faults.note(error))?;
        }
    }
}

/// Luminance and chrominance become red, green and blue (PS3.3 C.7.6.3.1.2).
#[expect(clippy::cast_possible_truncation, reason = "clamped before")]
fn redden(coded: &mut Coded, partial: bool) {
    let most = f64::from(u32::MAX >> (32 - coded.precision.clamp(1, 31)));
    let middle = (most + 1.0) / 2.0;
    for pixel in coded.values.chunks_exact_mut(3) {
        let &[y, b, r] = pixel.first_chunk().unwrap_or(&[0; 3]);
        let rgb = draw::rgb([f64::from(y), f64::from(b), f64::from(r)], middle, partial);
        for (value, colour) in pixel.iter_mut().zip(rgb) {
            *value = colour.round().clamp(0.0, most) as i32;
        }
    }
}
