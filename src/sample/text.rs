//! Encoding of texts in the character sets that the sample archive speaks (PS3.3 §C.12.1.1.2, PS3.5 §6.1).
//!
//! It is kept apart from the decoder in `dataset`, so that the one can be held against the other.

use encoding_rs::{
    EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, ISO_8859_2, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7,
    ISO_8859_8, SHIFT_JIS, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// What ends the reach of a code extension within a value.
const DELIMITERS: [char; 3] = ['^', '=', '\\'];

/// Encodes a text for a value of Specific Character Set; what the set cannot say becomes a question mark.
pub(crate) fn encode(character_set: &str, text: &str) -> Vec<u8> {
    let extension = character_set.rsplit('\\').next().unwrap_or_default();
    match extension {
        "" | "ISO_IR 6" => text.chars().map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?')).collect(),
        "ISO_IR 192" => text.as_bytes().to_vec(),
        "ISO 2022 IR 87" => japanese(text, character_set.starts_with("ISO 2022 IR 13\\")),
        "ISO 2022 IR 149" => by_component(text, b"\x1b$)C", EUC_KR),
        "ISO 2022 IR 58" => by_component(text, b"\x1b$)A", GBK),
        one => whole(text, single(one)),
    }
}

/// The table of a character set without code extensions.
fn single(term: &str) -> &'static Encoding {
    match term {
        "ISO_IR 101" => ISO_8859_2,
        "ISO_IR 110" => ISO_8859_4,
        "ISO_IR 144" => ISO_8859_5,
        "ISO_IR 127" => ISO_8859_6,
        "ISO_IR 126" => ISO_8859_7,
        "ISO_IR 138" => ISO_8859_8,
        "ISO_IR 148" => WINDOWS_1254,
        "ISO_IR 166" => WINDOWS_874,
        "ISO_IR 13" => SHIFT_JIS,
        "GB18030" => GB18030,
        "GBK" => GBK,
        _ => WINDOWS_1252,
    }
}

fn whole(text: &str, table: &'static Encoding) -> Vec<u8> {
    let (bytes, _, unmappable) = table.encode(text);
    if !unmappable {
        return bytes.into_owned();
    }
    // The library writes numeric character references, which DICOM does not know.
    text.chars()
        .flat_map(|c| {
            let mut buffer = [0; 4];
            let (bytes, _, unmappable) = table.encode(c.encode_utf8(&mut buffer));
            if unmappable { vec![b'?'] } else { bytes.into_owned() }
        })
        .collect()
}

/// Kanji and kana by JIS X 0208, each run of them between an escape into it and one back to the first set.
fn japanese(text: &str, katakana_first: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for part in split_keeping(text) {
        let bytes = whole(part, ISO_2022_JP);
        out.extend_from_slice(&bytes);
    }
    if katakana_first {
        // The first set is JIS X 0201 romaji then, which has an escape of its own.
        let mut at = 0;
        while let Some(three) = out.get_mut(at..at + 3) {
            if three == b"\x1b(B" {
                three.copy_from_slice(b"\x1b(J");
            }
            at += 1;
        }
    }
    out
}

/// A set in G1 that is designated anew in each component, since a delimiter ends its reach.
fn by_component(text: &str, escape: &[u8], table: &'static Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    for part in split_keeping(text) {
        if !part.is_ascii() {
            out.extend_from_slice(escape);
        }
        out.extend_from_slice(&whole(part, table));
    }
    out
}

/// The pieces between delimiters, each with the delimiter that ends it.
fn split_keeping(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(DELIMITERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded_as_the_standard_says() {
        assert_eq!(encode("", "Ä"), b"?");
        assert_eq!(encode("ISO_IR 100", "Jürgen"), b"J\xFCrgen");
        assert_eq!(encode("ISO_IR 192", "ü"), "ü".as_bytes());
        assert_eq!(encode("ISO_IR 144", "Да"), [0xB4, 0xD0]);
        assert_eq!(encode("ISO_IR 100", "a谷"), b"a?");
        assert_eq!(encode("\\ISO 2022 IR 87", "A=\u{8c37}^\u{6625}"), b"A=\x1b$BC+\x1b(B^\x1b$B=U\x1b(B");
        assert_eq!(encode("ISO 2022 IR 13\\ISO 2022 IR 87", "=\u{8c37}"), b"=\x1b$BC+\x1b(J");
        assert_eq!(encode("\\ISO 2022 IR 149", "Choi=\u{cd5c}^\u{bbfc}"), b"Choi=\x1b$)C\xC3\xD6^\x1b$)C\xB9\xCE");
    }
}
