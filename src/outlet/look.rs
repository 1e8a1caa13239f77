//! Part of an instance, for whoever needs no more: its header, one value, some frames. What is read of it is not compared
//! with its digest, which is of the whole. These wait for the disk: call them on a thread that may.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::{Outlet, OutletError};
use crate::catalog::HeldInstance;
use crate::dataset::{
    CharacterSet, Cut, Frames, Pixels, amend, convert, find_cut, find_pixels, is_native, read_error, scan_header,
};
use crate::dicom::{TransferSyntaxUid, uids};
use crate::store::StoreError;

/// The frames of an instance, as they are held.
#[derive(Debug)]
pub struct HeldFrames {
    instance: HeldInstance,
    /// What its header says of them.
    pub pixels: Pixels,
    /// The transfer syntax that the frames are in; native ones are Little Endian.
    pub transfer_syntax: TransferSyntaxUid,
    frames: Frames,
    source: Source,
}

/// The bytes of a frame, and how many they are.
pub type Frame = (Box<dyn Read + Send>, u64);

#[derive(Debug)]
enum Source {
    /// The file, and where its data set begins.
    File(Arc<File>, u64),
    /// What is deflated or Big Endian is converted from its beginning.
    Converted(Outlet),
}

impl Outlet {
    /// The data set as it leaves, corrections applied, in the transfer syntax that it is held in.
    pub fn look(&self, instance: &HeldInstance) -> Result<Box<dyn Read + Send>, OutletError> {
        let (file, _) = self.file(instance)?;
        let amended = amend(file.take(instance.length), &instance.transfer_syntax, &instance.amendments);
        amended.map_err(|source| OutletError::Header { instance: instance.instance.clone(), source })
    }

    /// The frames of an instance; `None` where it has no pixel data. Corrections do not reach them.
    pub fn frames(&self, instance: HeldInstance) -> Result<Option<HeldFrames>, OutletError> {
        let held = &instance.transfer_syntax;
        if matches!(held.as_str(), uids::EXPLICIT_BE | uids::DEFLATED_LE) {
            let little = TransferSyntaxUid::new(uids::EXPLICIT_LE);
            let found = find_pixels(self.converted(&instance)?, &little);
            let found = found.map_err(|source| OutletError::Header { instance: instance.instance.clone(), source })?;
            let Some(pixels) = found else { return Ok(None) };
            let frames = locate(&instance, &pixels, &mut io::empty(), 0)?;
            let source = Source::Converted(self.clone());
            return Ok(Some(HeldFrames { instance, pixels, transfer_syntax: little, frames, source }));
        }
        let (mut file, begin) = self.file(&instance)?;
        let found = find_pixels((&file).take(instance.length), held);
        let found = found.map_err(|source| OutletError::Header { instance: instance.instance.clone(), source })?;
        let Some(pixels) = found else { return Ok(None) };
        if pixels.is_encapsulated() && is_native(held) {
            return Err(no_frames(
                &instance,
                "its pixel data are encapsulated, and its transfer syntax says that they are not",
            ));
        }
        let frames = locate(&instance, &pixels, &mut file, begin)?;
        let native = TransferSyntaxUid::new(uids::EXPLICIT_LE);
        let transfer_syntax = if pixels.is_encapsulated() { held.clone() } else { native };
        let source = Source::File(Arc::new(file), begin);
        Ok(Some(HeldFrames { instance, pixels, transfer_syntax, frames, source }))
    }

    /// Where the data set is cut off, as far as its structure tells; `None` where it is whole.
    pub fn cut(&self, instance: &HeldInstance) -> Result<Option<Cut>, OutletError> {
        let (mut file, begin) = self.file(instance)?;
        let syntax = &instance.transfer_syntax;
        let extent = scan_header((&file).take(instance.length), syntax, true, &CharacterSet::ascii()).extent;
        let (native, all) = (is_native(syntax), (begin, begin + instance.length));
        let cut = find_cut(&mut file, all, &extent, native, !native && extent.tells_pixels());
        cut.map_err(|error| unreadable(instance, error))
    }

    /// The file, which stands at its data set, and where that begins.
    fn file(&self, instance: &HeldInstance) -> Result<(File, u64), OutletError> {
        let failed = |source| OutletError::Store { instance: instance.instance.clone(), source };
        let (mut file, length) = self.store.open_data_set(&instance.place).map_err(failed)?;
        if length != instance.length {
            return Err(failed(StoreError::Missing { place: instance.place.clone() }));
        }
        let begin = io::Seek::stream_position(&mut file).map_err(|error| unreadable(instance, error))?;
        Ok((file, begin))
    }

    /// The data set in Explicit VR Little Endian.
    fn converted(&self, instance: &HeldInstance) -> Result<Box<dyn Read + Send>, OutletError> {
        let (file, _) = self.file(instance)?;
        let to = TransferSyntaxUid::new(uids::EXPLICIT_LE);
        let converted = convert(BufReader::new(file.take(instance.length)), &instance.transfer_syntax, &to);
        let (instance, from) = (instance.instance.clone(), instance.transfer_syntax.clone());
        converted.ok_or(OutletError::Convert { instance, from, to, source: None })
    }
}

impl HeldFrames {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.frames.count()
    }

    /// A frame, the first being number 0; `None` where there is no such frame.
    pub fn read(&self, number: usize) -> Result<Option<Frame>, OutletError> {
        let Some(ranges) = self.frames.of(number) else { return Ok(None) };
        let length = ranges.iter().map(|(_, length)| length).sum();
        Ok(Some(match &self.source {
            Source::File(file, begin) => {
                let left = ranges.into_iter().map(|(at, length)| (begin + at, length)).collect();
                (Box::new(Ranges { file: Arc::clone(file), left }), length)
            }
            Source::Converted(outlet) => {
                let mut reader = outlet.converted(&self.instance)?;
                let at = ranges.first().map_or(0, |(at, _)| *at);
                let skipped = io::copy(&mut (&mut reader).take(at), &mut io::sink());
                skipped.map_err(|error| unreadable(&self.instance, error))?;
                (Box::new(reader.take(length)), length)
            }
        }))
    }

    /// The instance.
    pub fn instance(&self) -> &HeldInstance {
        &self.instance
    }
}

/// What is wrong with an instance that could not be read further, whoever said so.
pub fn unreadable(instance: &HeldInstance, error: io::Error) -> OutletError {
    match read_error(error) {
        Ok(source) => OutletError::Header { instance: instance.instance.clone(), source },
        Err(source) => {
            OutletError::Read { instance: instance.instance.clone(), place: instance.place.to_string(), source }
        }
    }
}

fn locate<F: Read + io::Seek>(
    instance: &HeldInstance,
    pixels: &Pixels,
    file: &mut F,
    begin: u64,
) -> Result<Frames, OutletError> {
    let located = pixels.locate(file, begin).map_err(|error| unreadable(instance, error))?;
    located.map_err(|why| no_frames(instance, why.0))
}

fn no_frames(instance: &HeldInstance, why: &'static str) -> OutletError {
    OutletError::Frames { instance: instance.instance.clone(), why }
}

/// Some ranges of a file, one behind the other.
struct Ranges {
    file: Arc<File>,
    left: VecDeque<(u64, u64)>,
}

impl Read for Ranges {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.left.front().is_some_and(|(_, length)| *length == 0) {
            self.left.pop_front();
        }
        let Some((at, length)) = self.left.front_mut() else { return Ok(0) };
        let most = out.len().min(usize::try_from(*length).unwrap_or(usize::MAX));
        let read = self.file.read_at(out.get_mut(..most).unwrap_or_default(), *at)?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *at += read as u64;
        *length -= read as u64;
        Ok(read)
    }
}
