//! Inflates a deflated data set within a limit (PS3.5 §A.5).

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::ReadError;

/// Raw deflate, or zlib, which some senders write instead.
pub(super) struct Inflate<R> {
    reader: R,
    input: Box<[u8]>,
    start: usize,
    end: usize,
    state: Option<Decompress>,
    done: bool,
    limit: u64,
    ratio: u64,
}

impl<R: Read> Inflate<R> {
    /// Inflates to `limit` bytes at most, beyond what `ratio` times the bytes read would allow.
    pub(super) fn new(reader: R, limit: u64, ratio: u64) -> Self {
        let input = vec![0; 4096].into_boxed_slice();
        Inflate { reader, input, start: 0, end: 0, state: None, done: false, limit, ratio }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.start = 0;
        self.end = loop {
            match self.reader.read(&mut self.input) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        Ok(())
    }
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.done || out.is_empty() {
            return Ok(0);
        }
        loop {
            if self.start == self.end {
                self.refill()?;
            }
            let input = self.input.get(self.start..self.end).unwrap_or_default();
            let ended = input.is_empty();
            let state = self.state.get_or_insert_with(|| Decompress::new(is_zlib(input)));
            let (read, written) = (state.total_in(), state.total_out());
            let status = state
                .decompress(input, out, FlushDecompress::None)
                .map_err(|_| io::Error::other(ReadError::Deflate { offset: written }))?;
            self.start += usize::try_from(state.total_in() - read).unwrap_or(0);
            let made = usize::try_from(state.total_out() - written).unwrap_or(0);
            let limit = self.limit.saturating_add(state.total_in().saturating_mul(self.ratio));
            if state.total_out() > limit {
                return Err(io::Error::other(ReadError::Bomb { limit }));
            }
            self.done = status == Status::StreamEnd;
            if made > 0 || self.done {
                return Ok(made);
            }
            if ended {
                return Err(io::Error::other(ReadError::Truncated { offset: state.total_out(), tag: None }));
            }
        }
    }
}

/// A zlib header; as raw deflate it would be a stored block with dirt in its padding bits.
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [0x78, flags, ..] if (0x7800 + u16::from(*flags)) % 31 == 0)
}
