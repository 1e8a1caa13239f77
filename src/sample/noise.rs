//! Bytes and numbers that look random and are the same on every machine and in every version.

/// The SplitMix64 sequence: small, fast, and fixed by its definition rather than by a library's version.
#[derive(Debug, Clone)]
pub(crate) struct Noise(u64);

impl Noise {
    /// The sequence that belongs to this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Noise(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when there is none.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }

    /// So many bytes of it.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count.next_multiple_of(8));
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    /// A UID below 2.25, the arc for UUIDs (PS3.5 §B.2).
    pub(crate) fn uid(&mut self) -> String {
        let number = (u128::from(self.next()) << 64) | u128::from(self.next());
        format!("2.25.{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_never_changes() {
        let mut noise = Noise::new(0);
        assert_eq!(noise.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(Noise::new(1).bytes(3).len(), 3);
        assert_eq!(Noise::new(7).bytes(20), Noise::new(7).bytes(20));
        assert_ne!(Noise::new(7).bytes(20), Noise::new(8).bytes(20));
        assert!(crate::dicom::Uid::new(&Noise::new(3).uid()).is_conformant());
        assert_eq!(Noise::new(3).below(0), 0);
    }
}
