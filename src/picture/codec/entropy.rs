//! The Huffman coded bits of a JPEG scan (ITU-T T.81 annexes C and F).

use super::{CodecError, damaged};

/// A Huffman table, as a look-up by the next sixteen bits.
pub(super) struct Huffman {
    /// Length and symbol; a length of 0 is no code.
    codes: Vec<(u8, u8)>,
}

impl Huffman {
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Huffman, CodecError> {
        let mut codes = vec![(0, 0); 1 << 16];
        let (mut code, mut symbols) = (0_usize, symbols.iter());
        for (length, &count) in (1_u8..).zip(counts) {
            let span = 1_usize << (16 - length);
            for symbol in symbols.by_ref().take(usize::from(count)) {
                match codes.get_mut(code..code + span) {
                    Some(range) => range.fill((length, *symbol)),
                    None => return damaged("a Huffman table has more codes than fit"),
                }
                code += span;
            }
        }
        Ok(Huffman { codes })
    }
}

/// The bits of a scan.
pub(super) struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
    window: u64,
    have: u32,
    /// Zeros that were given behind the end.
    beyond: u32,
}

impl<'b> Bits<'b> {
    pub(super) fn new(bytes: &'b [u8], at: usize) -> Bits<'b> {
        Bits { bytes, at, window: 0, have: 0, beyond: 0 }
    }

    fn fill(&mut self) {
        while self.have <= 48 {
            let byte = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => {
                    self.beyond += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.window = (self.window << 8) | u64::from(byte);
            self.have += 8;
        }
    }

    /// The next symbol.
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, CodecError> {
        self.fill();
        let ahead = (self.window >> (self.have - 16)) as u16;
        let (length, symbol) = table.codes[usize::from(ahead)];
        if length == 0 {
            return if self.beyond > 0 { Err(CodecError::Truncated) } else { damaged("a code is in no Huffman table") };
        }
        self.drop(u32::from(length))?;
        Ok(symbol)
    }

    /// The next bits as a number, 16 at most.
    pub(super) fn number(&mut self, bits: u32) -> Result<i32, CodecError> {
        if bits == 0 {
            return Ok(0);
        }
        self.fill();
        let value = (self.window >> (self.have - bits)) as u32 & ((1 << bits) - 1);
        self.drop(bits)?;
        Ok(value.cast_signed())
    }

    /// The next bits as the difference that they stand for (T.81 table F.1).
    pub(super) fn difference(&mut self, bits: u32) -> Result<i32, CodecError> {
        let value = self.number(bits)?;
        Ok(if bits > 0 && value < 1 << (bits - 1) { value - (1 << bits) + 1 } else { value })
    }

    fn drop(&mut self, bits: u32) -> Result<(), CodecError> {
        self.have -= bits;
        self.window &= (1 << self.have) - 1;
        if self.beyond > self.have { Err(CodecError::Truncated) } else { Ok(()) }
    }

    /// Goes on behind the restart marker that has to be here.
    pub(super) fn restart(&mut self) -> Result<(), CodecError> {
        (self.window, self.have, self.beyond) = (0, 0, 0);
        // Whole bytes may have been taken ahead, but never a marker.
        while let (Some(&a), Some(&b)) = (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
            match (a, b) {
                (0xFF, 0xD0..=0xD7) => {
                    self.at += 2;
                    return Ok(());
                }
                (0xFF, 0xFF) | (0..=0xFE, _) | (0xFF, 0) => self.at += 1,
                _ => return damaged("a restart marker is missing"),
            }
        }
        Err(CodecError::Truncated)
    }

    /// Where the marker behind the scan is, or the end.
    pub(super) fn end(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let marker = rest.windows(2).position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF));
        marker.map_or(self.bytes.len(), |found| self.at + found)
    }
}
