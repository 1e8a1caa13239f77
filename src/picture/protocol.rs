//! What a worker is told and what it says, over its standard input and output.
//!
//! To it: the length of the request as a 32-bit number, Big Endian, the request as JSON, and the data set in pieces, each
//! with its length before it; a piece of no length ends it. From it: a byte that says what it is, its length, and the
//! picture or the reason why there is none. It may answer before the data set has come to its end; what comes after that
//! is read and thrown away.

use std::io::{self, Read};
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

/// What a worker is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    /// The transfer syntax of the data set.
    pub(super) syntax: String,
    /// What of it.
    pub(super) ask: Ask,
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
