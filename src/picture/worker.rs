//! The process that draws: bound first, then one picture after the other until its input ends.

use std::io::{self, Read};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::protocol::{Body, LONGEST_REQUEST, NO_FRAME, PICTURE, REASON, Request, Task, length, say};
use super::shape::Shape;
use super::{Ask, Form, PictureError, codec, decode, draw, frames};
use crate::dataset::PixelStream;
use crate::dicom::{TransferSyntaxUid, uids};

/// What the header of an object may take in memory.
pub(super) const HEADER: u64 = 64 * 1024 * 1024;
/// Files that it may have open: input, output, errors, and what the runtime has.
const FILES: u64 = 16;

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Its bounds cannot be set: it does not work without.
    #[error("the limits of the process cannot be set")]
    Limits(#[source] io::Error),
    /// Who asks is gone, or says what cannot be understood.
    #[error("the requests cannot be read, or not answered")]
    Peer(#[from] io::Error),
}

/// Works on standard input and output until the input ends, within so many bytes of memory, and so many seconds of a
/// processor for each picture.
pub fn work(memory: u64, seconds: u64) -> Result<(), WorkerError> {
    bind(memory).map_err(WorkerError::Limits)?;
    let mut output = io::stdout().lock();
    while let Some(length) = length(&mut io::stdin())? {
        let longest = u32::try_from(LONGEST_REQUEST).unwrap_or(u32::MAX);
        let mut request = Vec::new();
        io::stdin().take(u64::from(length.min(longest))).read_to_end(&mut request)?;
        let request: Request = serde_json::from_slice(&request).map_err(io::Error::from)?;
        allow(seconds).map_err(WorkerError::Limits)?;
        let mut body = Body::new(io::stdin());
        let ask = match &request.task {
            Task::Draw(ask) => ask,
            Task::Decode(how) => {
                let alive = || allow(seconds);
                decode::answer(body.handle(), &request.syntax, how, &mut output, &alive)?;
                body.drain()?;
                continue;
            }
        };
        let (kind, answer) = match render(body.handle(), &request.syntax, ask) {
            Ok(picture) => (PICTURE, picture),
            Err(PictureError::NoFrame { frames, .. }) => (NO_FRAME, frames.to_be_bytes().to_vec()),
            Err(PictureError::Object { what }) => (REASON, what.into_bytes()),
            Err(other) => (REASON, other.to_string().into_bytes()),
        };
        say(&mut output, kind, &answer)?;
        body.drain()?;
    }
    Ok(())
}

/// No files beyond a few, none that it could write, so much memory, and the processors when nobody else needs them.
fn bind(memory: u64) -> io::Result<()> {
    let limits = [(Resource::As, memory), (Resource::Nofile, FILES), (Resource::Fsize, 0), (Resource::Core, 0)];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    rustix::process::nice(10)?;
    Ok(())
}

/// So many seconds from now on; whoever takes more is ended by the kernel.
fn allow(seconds: u64) -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    let most = used.saturating_add(seconds).saturating_add(1);
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(most), maximum: None })?)
}

/// One picture.
pub(super) fn render<R: Read + Send + 'static>(body: R, syntax: &str, ask: &Ask) -> Result<Vec<u8>, PictureError> {
    let syntax = TransferSyntaxUid::new(syntax);
    frames::check_here(&syntax)?;
    let unreadable = |error| PictureError::Object { what: format!("its data set cannot be read: {error}") };
    let mut pixels = PixelStream::open(body, &syntax, HEADER).map_err(unreadable)?;
    let shape = Shape::of(&pixels.header)?;
    let mut frame = frames::read(&mut pixels, &shape, ask.frame)?;
    if syntax.as_str() == uids::EXPLICIT_BE && shape.allocated == 32 && pixels.has_words() {
        // As words of 16 bits they were turned; writers mean numbers of 32.
        frame.chunks_exact_mut(4).for_each(|four| four.rotate_left(2));
    }
    let coded = codec::decode(&syntax, &frame, &shape);
    let coded = coded.map_err(|error| PictureError::Object { what: error.to_string() })?;
    drop(frame);
    let coded = draw::values(coded, &shape);
    match ask.form {
        Form::Values => Ok(raw(&coded)),
        Form::Png | Form::Jpeg => draw::draw(coded, &shape, &pixels.header, ask),
    }
}

fn raw(coded: &codec::Coded) -> Vec<u8> {
    let edge = |edge: usize| i32::try_from(edge).unwrap_or(i32::MAX);
    let head = [edge(coded.columns), edge(coded.rows), edge(coded.samples)];
    head.iter().chain(&coded.values).flat_map(|value| value.to_le_bytes()).collect()
}
