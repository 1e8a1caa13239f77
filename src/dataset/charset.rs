//! Specific Character Set (PS3.3 §C.12.1.1.2, PS3.5 §6.1): what the bytes of a text mean. Code extensions after
//! ISO 2022 are decoded here; `encoding_rs` has the large tables.

mod decode;
mod encode;
mod sets;

use encoding_rs::{Encoding, GB18030, GBK};
use sets::Set;

/// More terms than this are not looked at.
const MOST_TERMS: usize = 16;

/// A Specific Character Set, code extensions included. Misspelt terms are understood, unknown ones flagged; decoding
/// always yields a text.
#[derive(Debug, Clone, PartialEq)]
pub struct CharacterSet {
    kind: Kind,
    unknown: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Utf8,
    /// GB18030 or GBK.
    Chinese(&'static Encoding),
    Iso(Iso),
}

/// ISO 646 in G0 and one more set in G1, with or without code extensions.
#[derive(Debug, Clone, Default, PartialEq)]
struct Iso {
    /// What G1 is at the beginning of a value and behind each delimiter.
    g1: Option<Set>,
    /// What escape sequences may switch to, in order of preference.
    extensions: Vec<Set>,
    /// Whether somebody claims that it may also be UTF-8.
    utf8: bool,
}

enum Term {
    /// ISO_IR 6 and nothing else.
    Default,
    Set(Set),
    Utf8,
    Chinese(&'static Encoding),
    Unknown,
}

impl CharacterSet {
    /// Reads the value of (0008,0005).
    pub fn parse(value: &[u8]) -> Self {
        let text: String = value.iter().take(1024).map(|&b| b as char).collect();
        Self::from_terms(&text)
    }

    /// The default repertoire, ISO 646. Other bytes are taken for UTF-8 where they are valid, else for Latin-1.
    pub fn ascii() -> Self {
        CharacterSet { kind: Kind::Iso(Iso::default()), unknown: Vec::new() }
    }

    /// ISO_IR 192.
    pub fn utf8() -> Self {
        CharacterSet { kind: Kind::Utf8, unknown: Vec::new() }
    }

    /// Reads terms separated by backslashes, as a person may have typed them.
    pub fn from_terms(text: &str) -> Self {
        let mut unknown = Vec::new();
        let mut iso = Iso::default();
        for (index, name) in text.split('\\').take(MOST_TERMS).enumerate() {
            match term(name) {
                Term::Utf8 if index == 0 => return CharacterSet::utf8(),
                Term::Chinese(encoding) if index == 0 => {
                    return CharacterSet { kind: Kind::Chinese(encoding), unknown };
                }
                // Neither may stand beside others, but it is seen.
                Term::Utf8 | Term::Chinese(_) => iso.utf8 = true,
                Term::Set(set) => {
                    if index == 0 && set.is_g1() {
                        iso.g1 = Some(set);
                    }
                    if !iso.extensions.contains(&set) {
                        iso.extensions.push(set);
                    }
                }
                Term::Default => {}
                Term::Unknown => unknown.push(name.trim_matches([' ', '\0']).chars().take(64).collect()),
            }
        }
        // A single term without code extensions has nothing to switch to.
        if !text.contains('\\') && iso.g1.is_some_and(|set| !set.is_multi_byte()) {
            iso.extensions.clear();
        }
        CharacterSet { kind: Kind::Iso(iso), unknown }
    }

    /// The terms that nobody knows.
    pub fn unknown_terms(&self) -> &[String] {
        &self.unknown
    }

    /// Decodes a text; designations end at `\`, CR, LF, TAB and FF. Trailing padding is dropped.
    pub fn decode(&self, bytes: &[u8]) -> String {
        self.decode_with(bytes, b"\\\r\n\t\x0C")
    }

    /// Decodes a person name; designations also end at `^` and `=`.
    pub fn decode_person_name(&self, bytes: &[u8]) -> String {
        self.decode_with(bytes, b"\\\r\n\t\x0C^=")
    }

    fn decode_with(&self, bytes: &[u8], delimiters: &[u8]) -> String {
        let mut text = match &self.kind {
            _ if bytes.iter().all(|&b| b < 0x80 && b != decode::ESC) => decode::latin1(bytes),
            Kind::Utf8 => decode::utf8(bytes),
            Kind::Chinese(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Kind::Iso(iso) => decode::iso2022(iso, bytes, delimiters),
        };
        text.truncate(text.trim_end_matches([' ', '\0']).len());
        text
    }

    /// Encodes a text, with escape sequences where code extensions are declared; `None` when it has characters that
    /// the character set has not.
    pub fn encode(&self, text: &str) -> Option<Vec<u8>> {
        match &self.kind {
            _ if text.is_ascii() => Some(text.as_bytes().to_vec()),
            Kind::Utf8 => Some(text.as_bytes().to_vec()),
            Kind::Chinese(encoding) => {
                let (bytes, _, unmappable) = encoding.encode(text);
                (!unmappable).then(|| bytes.into_owned())
            }
            Kind::Iso(iso) => encode::iso2022(iso, text),
        }
    }
}

impl Default for CharacterSet {
    fn default() -> Self {
        Self::ascii()
    }
}

/// What a defined term means, however it is spelled: only letters and digits count.
fn term(name: &str) -> Term {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).take(64).collect();
    let number =
        plain.strip_prefix("ISO2022IR").or_else(|| plain.strip_prefix("ISOIR")).or_else(|| plain.strip_prefix("IR"));
    match number.unwrap_or(&plain) {
        "" | "6" | "ISO646" | "ASCII" | "USASCII" | "ISO646US" => Term::Default,
        "192" | "UTF8" | "ISO10646" | "UNICODE" => Term::Utf8,
        "GB18030" | "GB180302000" | "ISO2022GB18030" => Term::Chinese(GB18030),
        "GBK" | "ISO2022GBK" | "CP936" => Term::Chinese(GBK),
        other => Set::named(other).map_or(Term::Unknown, Term::Set),
    }
}

#[cfg(test)]
mod tests;
