//! From bytes to text.

use encoding_rs::WINDOWS_1252;

use super::Iso;
use super::sets::Set;

pub(super) const ESC: u8 = 0x1B;

/// Latin-1, with the printable characters that Windows puts where it has control characters.
pub(super) fn latin1(bytes: &[u8]) -> String {
    WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}

/// UTF-8; one that was cut within its last character loses that, any other damage means that the label is wrong.
pub(super) fn utf8(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let cut = error.error_len().is_none() && !valid.is_ascii();
            if cut { String::from_utf8_lossy(bytes).into_owned() } else { latin1(bytes) }
        }
    }
}

/// Decodes with code extensions. An escape sequence is followed whether it was declared or not.
pub(super) fn iso2022(iso: &Iso, bytes: &[u8], delimiters: &[u8]) -> String {
    let plain = !bytes.contains(&ESC);
    if plain
        && (iso.utf8 || iso.g1.is_none())
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return text.to_string();
    }
    let mut decoder = Decoder { iso, g0: None, g1: iso.g1, last: None, text: String::with_capacity(bytes.len()) };
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match byte {
            ESC => decoder.escape(rest),
            0x21..=0x7E if decoder.g0.is_some() => decoder.kanji(byte, tail),
            0x00..=0x7F => {
                decoder.text.push(char::from(byte));
                if delimiters.contains(&byte) {
                    (decoder.g0, decoder.g1) = (None, iso.g1);
                }
                tail
            }
            _ => decoder.high(rest),
        };
    }
    decoder.text
}

struct Decoder<'a> {
    iso: &'a Iso,
    /// A set of two bytes in G0; `None` is ISO 646, or its Japanese variant, which is read alike so that a
    /// backslash stays a delimiter.
    g0: Option<Set>,
    g1: Option<Set>,
    /// The last set that was designated to G1: some senders do not designate it again behind a delimiter.
    last: Option<Set>,
    text: String,
}

impl Decoder<'_> {
    /// `rest` begins with ESC. Returns what follows.
    fn escape<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        let length = match (Set::designated(rest), rest) {
            (Some((set, length)), _) => {
                if set.is_g1() {
                    self.g1 = Some(set);
                    self.last = Some(set);
                } else {
                    self.g0 = Some(set);
                }
                length
            }
            // ISO 646 and its Japanese variant.
            (None, [_, b'(', b'B' | b'J', ..]) => {
                self.g0 = None;
                3
            }
            (None, _) => {
                self.text.push(char::REPLACEMENT_CHARACTER);
                1
            }
        };
        rest.get(length..).unwrap_or_default()
    }

    /// A character of two 7-bit bytes.
    fn kanji<'b>(&mut self, byte: u8, tail: &'b [u8]) -> &'b [u8] {
        let Some((&second @ 0x21..=0x7E, after)) = tail.split_first() else {
            self.text.push(char::REPLACEMENT_CHARACTER);
            return tail;
        };
        let pair = [0x8F, byte | 0x80, second | 0x80];
        let pair = if self.g0 == Some(Set::SupplementaryKanji) { &pair[..] } else { &pair[1..] };
        self.push(Set::Kanji, pair);
        after
    }

    /// `rest` begins with a byte of G1. Returns what follows.
    fn high<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        let Some(set) = self.g1.or(self.last).or_else(|| self.guess()) else {
            let length = rest.iter().take_while(|&&b| b >= 0x80).count();
            let (run, after) = rest.split_at(length);
            match std::str::from_utf8(run) {
                Ok(text) => self.text.push_str(text),
                Err(_) => self.text.push_str(&latin1(run)),
            }
            return after;
        };
        let length = match (set, rest) {
            // Shift JIS, which many call ISO_IR 13, has Kanji beside the half-width characters.
            (Set::Katakana, [0x81..=0x9F | 0xE0..=0xFC, 0x40..=0x7E | 0x80..=0xFC, ..]) => 2,
            (Set::Korean | Set::SimplifiedChinese, [0x81..=0xFE, 0x41..=0xFE, ..]) => 2,
            _ => 1,
        };
        let (character, after) = rest.split_at(length);
        self.push(set, character);
        after
    }

    /// What bytes of G1 may be when nothing designates them: something that was declared.
    fn guess(&self) -> Option<Set> {
        let g1 = self.iso.extensions.iter().copied().find(|set| set.is_g1());
        g1.or_else(|| self.iso.extensions.first().map(|_| Set::Katakana))
    }

    fn push(&mut self, set: Set, character: &[u8]) {
        self.text.push_str(&set.table().decode_without_bom_handling(character).0);
    }
}
