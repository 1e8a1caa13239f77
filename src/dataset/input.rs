//! A bounded window over a reader: look ahead a few bytes, take them, skip many.

use std::io::{self, Read};

use super::ReadError;
use crate::dicom::Tag;

/// The size of the window. Nothing is ever looked at as a whole that is longer.
pub(super) const WINDOW: usize = 8 * 1024;

/// Reads from `R` and never holds more than the window; refuses to go beyond `limit` bytes.
pub(super) struct Input<R> {
    reader: R,
    window: Box<[u8]>,
    start: usize,
    end: usize,
    offset: u64,
    limit: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R, limit: u64) -> Self {
        Input { reader, window: vec![0; WINDOW].into_boxed_slice(), start: 0, end: 0, offset: 0, limit }
    }

    /// For a few bytes that are in memory already: no more than an element header is looked at.
    pub(super) fn small(reader: R) -> Self {
        Input { reader, window: vec![0; 16].into_boxed_slice(), start: 0, end: 0, offset: 0, limit: u64::MAX }
    }

    /// How many bytes were taken or skipped so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes ahead: at least `want` (a window at most), fewer only where the reader ends.
    pub(super) fn ahead(&mut self, want: usize) -> Result<&[u8], ReadError> {
        if self.offset > self.limit {
            return Err(ReadError::TooLong { offset: self.offset, limit: self.limit });
        }
        if self.end - self.start < want {
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            while self.end < want.min(self.window.len()) {
                let Some(free) = self.window.get_mut(self.end..) else {
                    break;
                };
                match self.reader.read(free) {
                    Ok(0) => break,
                    Ok(n) => self.end += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(self.failed(e)),
                }
            }
        }
        Ok(self.window.get(self.start..self.end).unwrap_or_default())
    }

    /// The bytes ahead: at least `want`, for which the window grows, fewer only where the reader ends.
    pub(super) fn far_ahead(&mut self, want: usize) -> Result<&[u8], ReadError> {
        if self.window.len() < want {
            let mut larger = vec![0; want];
            let ahead = self.window.get(self.start..self.end).unwrap_or_default();
            if let Some(front) = larger.get_mut(..ahead.len()) {
                front.copy_from_slice(ahead);
            }
            (self.start, self.end) = (0, ahead.len());
            self.window = larger.into_boxed_slice();
        }
        self.ahead(want)
    }

    /// Moves on by `n` bytes that were seen ahead.
    pub(super) fn advance(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Moves on by `n` bytes; `false` when the reader ended before. A jump beyond the limit is refused at once.
    pub(super) fn skip(&mut self, n: u64) -> Result<bool, ReadError> {
        if self.offset.saturating_add(n) > self.limit {
            return Err(ReadError::TooLong { offset: self.offset, limit: self.limit });
        }
        let mut left = n;
        while left > 0 {
            let seen = self.ahead(1)?.len();
            if seen == 0 {
                return Ok(false);
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(seen);
            self.advance(step);
            left -= step as u64;
        }
        Ok(true)
    }

    /// Takes a value into memory, which grows with the bytes that are really there and not with what is declared.
    pub(super) fn read_value(&mut self, length: u32, tag: Tag) -> Result<Vec<u8>, ReadError> {
        if self.offset.saturating_add(u64::from(length)) > self.limit {
            return Err(ReadError::TooLong { offset: self.offset, limit: self.limit });
        }
        let mut left = usize::try_from(length).unwrap_or(usize::MAX);
        let mut value = Vec::with_capacity(left.min(WINDOW));
        while left > 0 {
            let offset = self.offset;
            let ahead = self.ahead(1)?;
            let Some(piece) = ahead.get(..left.min(ahead.len())).filter(|piece| !piece.is_empty()) else {
                return Err(ReadError::Truncated { offset, tag: Some(tag) });
            };
            value.extend_from_slice(piece);
            let n = piece.len();
            left -= n;
            self.advance(n);
        }
        Ok(value)
    }

    fn failed(&self, error: io::Error) -> ReadError {
        // The inflater speaks through the reader's errors.
        match error.downcast::<ReadError>() {
            Ok(inner) => inner,
            Err(source) => ReadError::Io { offset: self.offset, source },
        }
    }
}

/// What is left, for a layer on top.
impl<R: Read> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && out.len() >= WINDOW && self.offset <= self.limit {
            // Much at once needs no window.
            let n = self.reader.read(out)?;
            self.offset += n as u64;
            return Ok(n);
        }
        let ahead = self.ahead(1).map_err(io::Error::other)?;
        let n = ahead.len().min(out.len());
        if let (Some(out), Some(ahead)) = (out.get_mut(..n), ahead.get(..n)) {
            out.copy_from_slice(ahead);
        }
        self.advance(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_across_windows_and_tells_the_end() {
        let bytes: Vec<u8> = (0..20_000u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
        let mut input = Input::new(bytes.as_slice(), 1 << 20);
        assert!(input.skip(10_001).unwrap());
        assert_eq!(input.ahead(4).unwrap()[..4], bytes[10_001..10_005]);
        input.advance(4);
        assert_eq!(input.offset(), 10_005);
        assert!(!input.skip(10_000).unwrap());
        assert_eq!(input.offset(), 20_000);
        assert!(input.ahead(1).unwrap().is_empty());
    }

    #[test]
    fn refuses_a_jump_beyond_the_limit_before_reading() {
        let mut input = Input::new(io::repeat(0), 1000);
        assert!(matches!(input.skip(1001), Err(ReadError::TooLong { offset: 0, limit: 1000 })));
        assert!(input.skip(1000).unwrap());
        assert!(input.skip(1).is_err());
    }
}
