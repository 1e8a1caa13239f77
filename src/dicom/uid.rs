//! Unique identifiers, as an old archive really holds them.

use std::fmt;

/// The most characters of a peer's UID that are kept. PS3.5 §9.1 allows 64; archives hold longer ones.
const LONGEST: usize = 1024;

/// A UID with its padding (NUL, space) trimmed. It may be malformed: old archives hold UIDs with letters, leading
/// zeros and more than 64 characters, and an object is not lost for that. Anything that turns one into a path asks
/// [`Uid::is_conformant`] first (I8).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(Box<str>);

impl Uid {
    /// Takes the text as it is, but for padding and what exceeds 1,024 characters.
    pub fn new(text: &str) -> Self {
        let text = text.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace());
        Uid(text.chars().take(LONGEST).collect::<String>().into())
    }

    /// Takes the value of a UI element. Bytes beyond ASCII become the characters of the same number, so that two
    /// different values stay different.
    pub fn from_bytes(value: &[u8]) -> Self {
        Uid::new(&value.iter().take(LONGEST).map(|&b| b as char).collect::<String>())
    }

    /// The text without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is `^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+$` with 64 characters at most (PS3.5 §9.1).
    pub fn is_conformant(&self) -> bool {
        let part =
            |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) && (p == "0" || !p.starts_with('0'));
        self.0.len() <= 64 && self.0.contains('.') && self.0.split('.').all(part)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A malformed UID is foreign text: control characters never reach a terminal or a log.
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! uid_of {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uid);

        impl $name {
            /// Takes the text as it is, but for padding.
            pub fn new(text: &str) -> Self { Self(Uid::new(text)) }
            /// Takes the value of a UI element.
            pub fn from_bytes(value: &[u8]) -> Self { Self(Uid::from_bytes(value)) }
            /// The text without padding.
            pub fn as_str(&self) -> &str { self.0.as_str() }
        }
        impl std::ops::Deref for $name {
            type Target = Uid;
            fn deref(&self) -> &Uid { &self.0 }
        }
        impl From<Uid> for $name {
            fn from(uid: Uid) -> Self { Self(uid) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Debug::fmt(&self.0, f) }
        }
    )*};
}

uid_of! {
    /// Study Instance UID (0020,000D).
    StudyInstanceUid;
    /// Series Instance UID (0020,000E).
    SeriesInstanceUid;
    /// SOP Instance UID (0008,0018).
    SopInstanceUid;
    /// SOP Class UID (0008,0016).
    SopClassUid;
    /// Transfer Syntax UID (0002,0010).
    TransferSyntaxUid;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conformance_is_the_regular_expression_and_nothing_else() {
        for good in ["1.2", "1.2.840.10008.1.1", "0.0", "2.25.0", "1.2.3.10"] {
            assert!(Uid::new(good).is_conformant(), "{good}");
        }
        for bad in ["", "1", "1.", ".1", "1..2", "01.2", "1.02", "1.2a", "../x", "..", "1/2", "1.2\0.3", "LOCALIZER"] {
            assert!(!Uid::new(bad).is_conformant(), "{bad}");
        }
        assert!(!Uid::new(&format!("1.{}", "1".repeat(63))).is_conformant());
        assert!(Uid::new(&format!("1.{}", "1".repeat(62))).is_conformant());
    }

    #[test]
    fn padding_goes_and_different_bytes_stay_different() {
        assert_eq!(Uid::from_bytes(b"1.2.3\0").as_str(), "1.2.3");
        assert_eq!(Uid::from_bytes(b" 1.2.3 ").as_str(), "1.2.3");
        assert_ne!(Uid::from_bytes(&[b'1', 0xE4]), Uid::from_bytes(&[b'1', 0xE5]));
        assert_eq!(Uid::new("a\nb").to_string(), "a\\nb");
    }
}
