//! Application Entity titles.

use std::fmt;

/// An AE title: 1 to 16 characters without leading or trailing padding (PS3.5 §6.2, VR AE).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AeTitle(Box<str>);

/// Why a text is no AE title.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAeTitle {
    /// Nothing but padding.
    #[error("an AE title has at least one character that is not a space")]
    Empty,
    /// More than 16 characters.
    #[error("an AE title has 16 characters at most, this one has {0}")]
    TooLong(usize),
    /// A backslash, a control character, or one beyond ASCII.
    #[error("an AE title holds printable ASCII without a backslash")]
    Character,
}

impl AeTitle {
    /// Trims NUL and space padding (old peers use both) and checks the rest.
    pub fn new(text: &str) -> Result<Self, InvalidAeTitle> {
        let text = text.trim_matches(|c| c == '\0' || c == ' ');
        if text.is_empty() {
            return Err(InvalidAeTitle::Empty);
        }
        if text.chars().any(|c| !(' '..='~').contains(&c) || c == '\\') {
            return Err(InvalidAeTitle::Character);
        }
        if text.len() > 16 {
            return Err(InvalidAeTitle::TooLong(text.len()));
        }
        Ok(AeTitle(text.into()))
    }

    /// The text without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares without regard to case, as many peers register us by hand.
    pub fn same_as(&self, other: &AeTitle) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for AeTitle {
    type Err = InvalidAeTitle;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        AeTitle::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_trimmed_and_the_rest_checked() {
        assert_eq!(AeTitle::new("OLDPACS\0\0").map(|a| a.to_string()), Ok("OLDPACS".into()));
        assert_eq!(AeTitle::new("  A B  ").map(|a| a.to_string()), Ok("A B".into()));
        assert_eq!(AeTitle::new("   "), Err(InvalidAeTitle::Empty));
        assert_eq!(AeTitle::new("ABCDEFGHIJKLMNOPQ"), Err(InvalidAeTitle::TooLong(17)));
        assert_eq!(AeTitle::new("A\nERROR"), Err(InvalidAeTitle::Character));
        assert_eq!(AeTitle::new("A\\B"), Err(InvalidAeTitle::Character));
        assert_eq!(AeTitle::new("ÄE"), Err(InvalidAeTitle::Character));
    }
}
