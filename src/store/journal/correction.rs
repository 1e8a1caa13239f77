//! What the journal tells of corrections: all that is needed to do them again in a catalog that is made anew. An operation
//! is told in several lines, none longer than what is read back, before it is flipped on; its objects are named by the
//! UIDs that they were filed with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The longest piece of a text that a line has, in bytes.
const LONGEST_PIECE: usize = 128 * 1024;

/// A line about the correction of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorrectionLine {
    /// It is staged.
    Begun(Box<CorrectionText>),
    /// The next piece of its amendment, in Base64.
    Amendment(String),
    /// The next piece of its sheet.
    Sheet(String),
    /// Some of its objects.
    Objects(Vec<CorrectedText>),
    /// What has become of it.
    Became {
        /// `active`, `undone`, or `dropped`: it was staged and never flipped on.
        state: String,
        /// When, in unix milliseconds.
        at: i64,
        /// By whom.
        by: String,
    },
}

/// An operation; the words are those of the catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectionText {
    /// Its number; journals of older versions do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// What it is.
    pub operation: String,
    /// Who has to know.
    pub mode: String,
    /// Who wants it.
    pub operator: String,
    /// Why: a code.
    pub reason: String,
    /// And in words.
    pub reason_text: String,
    /// The study that objects leave.
    pub source: String,
    /// The study that they come to.
    pub destination: String,
    /// Of whom and what that is, by keyword of the attribute.
    pub describes: Vec<(String, String)>,
}

/// An object of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedText {
    /// The SOP Instance UID that it was filed with.
    pub instance: String,
    /// What the operation does to it.
    pub role: String,
    /// The study and the series that it was shown in before.
    pub from: (String, String),
    /// The series that it is shown in by the operation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub series: String,
    /// The SOP Instance UID that it is shown with, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Its own amendment, in Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Of one that was in quarantine: the digest of its data set there, and the UID that it had there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<(String, String)>,
    /// What it was filed as, by keyword of the attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub describes: Vec<(String, String)>,
}

/// Bytes as the journal has them.
pub fn to_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// And back; nothing of what is not Base64.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// A text in pieces for lines of their own.
pub fn pieces(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(LONGEST_PIECE);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, left) = rest.split_at_checked(end)?;
        rest = left;
        (!piece.is_empty()).then(|| piece.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_short_and_make_up_the_whole() {
        let text = "ä".repeat(LONGEST_PIECE);
        let parts: Vec<String> = pieces(&text).collect();
        assert!(parts.len() >= 2 && parts.iter().all(|part| part.len() <= LONGEST_PIECE));
        assert_eq!(parts.concat(), text);
        assert_eq!(pieces("").count(), 0);
        assert_eq!(from_text(&to_text(b"\0\xff")), Some(b"\0\xff".to_vec()));
        assert_eq!(from_text("no?"), None);
    }
}
