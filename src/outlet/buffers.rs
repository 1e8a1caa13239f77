//! The buffers that objects go out in: taken, filled, sent, and used again.

use std::io::{self, Read};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// The size of a buffer. A slice of a CT fits into one: the reader wakes whoever sends it once, and not for every part.
const LENGTH: usize = 576 * 1024;
/// The most that are kept while nobody needs them.
const SPARE: usize = 8;

/// Buffers that nobody uses. A clone is another handle.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Box<[u8]>>>>);

/// Some bytes of a data set. Its buffer goes back when it is dropped.
#[derive(Debug)]
pub struct Piece {
    buffer: Box<[u8]>,
    filled: usize,
    /// The data set ends with it.
    pub last: bool,
    home: Buffers,
}

impl Buffers {
    /// A piece with as much as the reader has, up to the size of a buffer; empty where it has ended.
    pub(super) fn fill(&self, reader: &mut dyn Read) -> io::Result<Piece> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = spare.unwrap_or_else(|| vec![0; LENGTH].into_boxed_slice());
        let mut piece = Piece { buffer, filled: 0, last: false, home: self.clone() };
        loop {
            match reader.read(piece.buffer.get_mut(piece.filled..).unwrap_or_default()) {
                Ok(0) => return Ok(piece),
                Ok(n) => piece.filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Piece {
    /// Whether its reader may have more than went into it.
    pub(super) fn is_full(&self) -> bool {
        self.filled == self.buffer.len()
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}
