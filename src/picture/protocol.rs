//! What a worker is told and what it says, over its standard input and output.
//!
//! To it: the length of the request as a 32-bit number, Big Endian, the request as JSON, and the data set in pieces, each
//! with its length before it; a piece of no length ends it. From it: a byte that says what it is, its length, and the
//! picture or the reason why there is none. It may answer before the data set has come to its end; what comes after that
//! is read and thrown away. What is decoded comes in pieces, with signs of life between them, and an end.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Ask;

/// The longest request.
pub(super) const LONGEST_REQUEST: usize = 4096;
/// The longest answer: the values of the largest frame.
pub(super) const LONGEST_ANSWER: u32 = 272 * 1024 * 1024;

/// What comes from a worker: a picture, why there is none, or that there is no such frame (of so many).
pub(super) const PICTURE: u8 = 0;
pub(super) const REASON: u8 = 1;
pub(super) const NO_FRAME: u8 = 2;
/// Of what is decoded: a piece, that it goes on, that all of it can be decoded and how many bytes the coded frames have,
/// and that it has ended.
pub(super) const PIECE: u8 = 3;
pub(super) const ALIVE: u8 = 4;
pub(super) const MEASURED: u8 = 5;
pub(super) const END: u8 = 6;

/// What a worker is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    /// The transfer syntax of the data set.
    pub(super) syntax: String,
    /// What is made of it.
    pub(super) task: Task,
}

/// What a worker makes of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Task {
    /// A picture of a frame.
    Draw(Ask),
    /// The same with native pixel data.
    Decode(Decode),
}

/// How a data set is decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decode {
    /// The transfer syntax that it gets.
    pub(super) to: String,
    /// How many bytes its coded frames have. One of several frames is only measured while that is not known, so that
    /// what cannot be decoded is known before the first byte of it comes.
    pub(super) coded: Option<u64>,
}

/// Reads a length; `None` where the input has ended.
pub(super) fn length(input: &mut impl Read) -> io::Result<Option<u32>> {
    let mut four = Vec::with_capacity(4);
    input.take(4).read_to_end(&mut four)?;
    match four.first_chunk() {
        Some(&four) => Ok(Some(u32::from_be_bytes(four))),
        None if four.is_empty() => Ok(None),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Writes an answer, or a part of one.
pub(super) fn say(output: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    output.write_all(&[kind])?;
    output.write_all(&length.to_be_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

/// A data set as its pieces come.
pub(super) struct Body<R>(Arc<Mutex<Pieces<R>>>);

struct Pieces<R> {
    input: R,
    left: u32,
    ended: bool,
}

impl<R: Read> Body<R> {
    pub(super) fn new(input: R) -> Body<R> {
        Body(Arc::new(Mutex::new(Pieces { input, left: 0, ended: false })))
    }

    /// Another handle on the same.
    pub(super) fn handle(&self) -> Body<R> {
        Body(Arc::clone(&self.0))
    }

    /// Reads what is left.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pieces.ended || into.is_empty() {
            return Ok(0);
        }
        if pieces.left == 0 {
            pieces.left = length(&mut pieces.input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if pieces.left == 0 {
                pieces.ended = true;
                return Ok(0);
            }
        }
        let most = usize::try_from(pieces.left).unwrap_or(usize::MAX).min(into.len());
        let read = pieces.input.read(into.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pieces.left -= u32::try_from(read).unwrap_or(pieces.left);
        Ok(read)
    }
}
