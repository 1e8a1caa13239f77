//! Passcodes of users as they are kept: salted and stretched (PBKDF2 with HMAC-SHA-256), so that the configuration
//! gives none away.

use std::num::NonZeroU32;

use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};

/// The name of the method, in front of a hash.
const METHOD: &str = "pbkdf2-sha256";
/// How often a new hash is stretched.
const ITERATIONS: u32 = 600_000;
/// What a hash may ask of us, and what it must.
const BOUNDS: std::ops::RangeInclusive<u32> = 100_000..=5_000_000;
const SALT: usize = 16;
const HASH: usize = 32;
/// The longest passcode, in bytes.
pub const LONGEST_PASSCODE: usize = 256;

/// What a passcode is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct PasscodeHash {
    iterations: NonZeroU32,
    salt: [u8; SALT],
    hash: [u8; HASH],
}

impl PasscodeHash {
    /// The hash of a new passcode, with a salt of its own. Takes some tenths of a second. Fails when the system has no
    /// random numbers.
    pub fn of(passcode: &[u8]) -> Result<Self, String> {
        let mut salt = [0; SALT];
        SystemRandom::new().fill(&mut salt).map_err(|_| "the system gives no random numbers".to_owned())?;
        let iterations = NonZeroU32::new(ITERATIONS).ok_or_else(|| "no iterations".to_owned())?;
        let mut hash = [0; HASH];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, iterations, &salt, passcode, &mut hash);
        Ok(PasscodeHash { iterations, salt, hash })
    }

    /// Whether it is the hash of this passcode. Takes as long as making it did, whatever the passcode.
    pub fn is_of(&self, passcode: &[u8]) -> bool {
        pbkdf2::verify(PBKDF2_HMAC_SHA256, self.iterations, &self.salt, passcode, &self.hash).is_ok()
    }

    /// Reads what [`PasscodeHash::text`] wrote.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "this is no hash of a passcode; `pacsferry passcode` makes one".to_owned();
        let mut parts = text.split(':');
        let (method, iterations, salt, hash) = (parts.next(), parts.next(), parts.next(), parts.next());
        if method != Some(METHOD) || parts.next().is_some() {
            return Err(wrong());
        }
        let iterations: u32 = iterations.and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
        if !BOUNDS.contains(&iterations) {
            return Err(format!(
                "the passcode is stretched {iterations} times, {} to {} is sensible; `pacsferry passcode` makes a good one",
                BOUNDS.start(),
                BOUNDS.end()
            ));
        }
        let bytes = |text: Option<&str>| text.and_then(from_hex).ok_or_else(wrong);
        Ok(PasscodeHash {
            iterations: NonZeroU32::new(iterations).ok_or_else(wrong)?,
            salt: bytes(salt)?.try_into().map_err(|_| wrong())?,
            hash: bytes(hash)?.try_into().map_err(|_| wrong())?,
        })
    }

    /// As it stands in the configuration.
    pub fn text(&self) -> String {
        format!("{METHOD}:{}:{}:{}", self.iterations, hex(&self.salt), hex(&self.hash))
    }
}

/// A hash can be guessed at: it belongs into no log.
impl std::fmt::Debug for PasscodeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasscodeHash(..)")
    }
}

/// Hexadecimal digits, two to a byte, of any length.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().filter_map(|[a, b]| u8::try_from(a * 16 + b).ok()).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &str = "9fb9dd3c8e2944366b788c7e795a5a6350d58845b2a3d21ad65f07b55181f837";

    #[test]
    fn a_hash_knows_its_passcode_and_no_other() {
        let hash = PasscodeHash::of(b"open sesame").unwrap();
        assert!(hash.is_of(b"open sesame") && !hash.is_of(b"open sesam") && !hash.is_of(b""));
        let again = PasscodeHash::parse(&hash.text()).unwrap();
        assert_eq!(again, hash);
        assert!(again.is_of(b"open sesame"));
        assert_ne!(PasscodeHash::of(b"open sesame").unwrap().text(), hash.text(), "each has a salt of its own");
        assert!(!format!("{hash:?}").contains(&hex(&hash.hash)));
    }

    #[test]
    fn it_is_the_function_that_other_programs_call_by_that_name() {
        // python3 -c "import hashlib; print(hashlib.pbkdf2_hmac('sha256', b'secret', bytes(range(16)), 100000).hex())"
        let text = "pbkdf2-sha256:100000:000102030405060708090a0b0c0d0e0f:KNOWN";
        let hash = PasscodeHash::parse(&text.replace("KNOWN", KNOWN)).unwrap();
        assert!(hash.is_of(b"secret"));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let good = format!("pbkdf2-sha256:100000:{}:{KNOWN}", "00".repeat(16));
        assert!(PasscodeHash::parse(&good).is_ok());
        for wrong in [
            "",
            "secret",
            &good.replace("sha256", "md5"),
            &good.replace("100000", "1000"),
            &good.replace("100000", "4000000000"),
            &good.replace("100000", "-1"),
            &format!("{good}:"),
            &format!("{good}00"),
            good.strip_suffix(|_| true).unwrap(),
            &good.replace("0000", "00zz"),
        ] {
            assert!(PasscodeHash::parse(wrong).is_err(), "{wrong}");
        }
    }
}
