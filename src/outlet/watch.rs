//! What is read of a stored data set, whatever becomes of it on its way: how much it was, and its digest.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::store::Digest;

/// As much is read at once of what nobody has asked for.
const CHUNK: usize = 64 * 1024;

/// A data set as it is read.
pub(super) struct Watched {
    stored: io::Take<File>,
    seen: Arc<Mutex<Seen>>,
}

/// Who watches it.
pub(super) struct Watch {
    /// Another handle on the same file, which stands where that does.
    file: File,
    length: u64,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    read: u64,
    hasher: Option<blake3::Hasher>,
}

/// Watches the next so many bytes of a file.
pub(super) fn watched(file: File, length: u64, hashes: bool) -> io::Result<(Watched, Watch)> {
    let hasher = hashes.then(blake3::Hasher::new);
    let seen = Arc::new(Mutex::new(Seen { read: 0, hasher }));
    let watch = Watch { file: file.try_clone()?, length, seen: Arc::clone(&seen) };
    Ok((Watched { stored: file.take(length), seen }, watch))
}

impl Seen {
    fn see(&mut self, bytes: &[u8]) {
        self.read += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.stored.read(into)?;
        let seen = into.get(..read).unwrap_or_default();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).see(seen);
        Ok(read)
    }
}

impl Watch {
    /// Reads what was left, such as the padding behind what was deflated. How many bytes there were, and their digest if
    /// it was asked for.
    pub(super) fn end(&self) -> io::Result<(u64, Option<Digest>)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = (&self.file).take(self.length.saturating_sub(seen.read));
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            if (&mut left).take(CHUNK as u64).read_to_end(&mut chunk)? == 0 {
                let digest = seen.hasher.as_ref().map(|hasher| hasher.finalize().into());
                return Ok((seen.read, digest));
            }
            seen.see(&chunk);
        }
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}
