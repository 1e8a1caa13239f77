//! A stream that can be read again from a little way back: what the structural check needs of an unpacked member.

use std::io::{self, Read, Seek, SeekFrom};

/// What is kept of what was read.
const KEPT: usize = 64 * 1024;

/// Forwards by reading, backwards by what is kept.
pub(super) struct Rewind<R> {
    inner: R,
    /// The last bytes that were read, up to `end`.
    kept: Vec<u8>,
    end: u64,
    at: u64,
}

impl<R: Read> Rewind<R> {
    pub(super) fn new(inner: R) -> Self {
        Rewind { inner, kept: Vec::new(), end: 0, at: 0 }
    }

    /// What is still to be read for the first time.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
        if self.kept.len() > 2 * KEPT {
            self.kept.drain(..self.kept.len() - KEPT);
        }
    }
}

impl<R: Read> Read for Rewind<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at < self.end {
            let back = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let from = self.kept.len().checked_sub(back).ok_or_else(|| io::Error::other("read too far back"))?;
            let kept = self.kept.get(from..).unwrap_or_default();
            let n = kept.len().min(out.len());
            if let (Some(out), Some(kept)) = (out.get_mut(..n), kept.get(..n)) {
                out.copy_from_slice(kept);
            }
            self.at += n as u64;
            return Ok(n);
        }
        let n = self.inner.read(out)?;
        self.keep(out.get(..n).unwrap_or_default());
        self.at = self.end;
        Ok(n)
    }
}

impl<R: Read> Seek for Rewind<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => to,
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
            SeekFrom::End(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let mut waste = [0; 8 * 1024];
        if to > self.end {
            self.at = self.end;
        }
        while self.end < to {
            let left = usize::try_from(to - self.end).unwrap_or(usize::MAX).min(waste.len());
            let Some(waste) = waste.get_mut(..left) else { break };
            if self.read(waste)? == 0 {
                break;
            }
        }
        self.at = to.min(self.end);
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forth_and_a_little_back() {
        let bytes: Vec<u8> = (0..400_000_u32).map(|n| (n / 7 % 251) as u8).collect();
        let mut rewind = Rewind::new(bytes.as_slice());
        let mut out = [0; 100];
        for at in [0, 50, 10_000, 9_000, 300_000, 290_000, 399_950] {
            rewind.seek(SeekFrom::Start(at as u64)).unwrap();
            let n = (bytes.len() - at).min(100);
            rewind.read_exact(&mut out[..n]).unwrap();
            assert_eq!(out[..n], bytes[at..at + n]);
        }
        rewind.seek(SeekFrom::Start(5)).unwrap();
        assert!(rewind.read(&mut out).is_err());
    }
}
