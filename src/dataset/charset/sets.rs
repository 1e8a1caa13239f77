//! The graphic sets of ISO 2022 that DICOM names, each with its designation.

use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8,
    ISO_8859_15, SHIFT_JIS, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// A graphic set beside ISO 646.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Latin1,
    Latin2,
    Latin3,
    Latin4,
    Latin5,
    Latin9,
    Cyrillic,
    Arabic,
    Greek,
    Hebrew,
    Thai,
    /// JIS X 0201, half-width.
    Katakana,
    /// JIS X 0208, two bytes, in G0.
    Kanji,
    /// JIS X 0212, two bytes, in G0.
    SupplementaryKanji,
    /// KS X 1001, two bytes, in G1.
    Korean,
    /// GB 2312, two bytes, in G1.
    SimplifiedChinese,
}

use Set::*;

/// Registration number or another name, the set, and the escape sequence that designates it (PS3.3 §C.12.1.1.2).
const TABLE: [(&str, Set, &[u8]); 16] = [
    ("100", Latin1, b"\x1B-A"),
    ("101", Latin2, b"\x1B-B"),
    ("109", Latin3, b"\x1B-C"),
    ("110", Latin4, b"\x1B-D"),
    ("126", Greek, b"\x1B-F"),
    ("127", Arabic, b"\x1B-G"),
    ("138", Hebrew, b"\x1B-H"),
    ("144", Cyrillic, b"\x1B-L"),
    ("148", Latin5, b"\x1B-M"),
    ("166", Thai, b"\x1B-T"),
    ("203", Latin9, b"\x1B-b"),
    ("13", Katakana, b"\x1B)I"),
    ("87", Kanji, b"\x1B$B"),
    ("159", SupplementaryKanji, b"\x1B$(D"),
    ("149", Korean, b"\x1B$)C"),
    ("58", SimplifiedChinese, b"\x1B$)A"),
];

impl Set {
    /// By registration number, or by what some systems call it instead; only letters and digits, upper case.
    pub(super) fn named(name: &str) -> Option<Set> {
        let registered = TABLE.iter().find(|(number, ..)| *number == name).map(|&(_, set, _)| set);
        registered.or(match name {
            "ISO88591" | "LATIN1" | "CP1252" | "WINDOWS1252" => Some(Latin1),
            "ISO88592" | "LATIN2" => Some(Latin2),
            "ISO88593" | "LATIN3" => Some(Latin3),
            "ISO88594" | "LATIN4" => Some(Latin4),
            "ISO88595" => Some(Cyrillic),
            "ISO88596" => Some(Arabic),
            "ISO88597" => Some(Greek),
            "ISO88598" => Some(Hebrew),
            "ISO88599" | "LATIN5" => Some(Latin5),
            "ISO885915" | "LATIN9" => Some(Latin9),
            "TIS620" => Some(Thai),
            "SHIFTJIS" | "SJIS" => Some(Katakana),
            "GB2312" | "ISO202258" => Some(SimplifiedChinese),
            "KSX1001" | "EUCKR" | "ISO2022149" => Some(Korean),
            _ => None,
        })
    }

    /// The escape sequence that designates it.
    pub(super) fn designation(self) -> &'static [u8] {
        TABLE.iter().find(|&&(_, set, _)| set == self).map_or(b"", |&(_, _, escape)| escape)
    }

    /// The set that begins with this escape sequence.
    pub(super) fn designated(bytes: &[u8]) -> Option<(Set, usize)> {
        let standard = TABLE.iter().find(|(.., escape)| bytes.starts_with(escape));
        standard.map(|&(_, set, escape)| (set, escape.len())).or(match bytes {
            // The edition of 1978, and forms that are not DICOM's but mean the same.
            [_, b'$', b'@', ..] => Some((Kanji, 3)),
            [_, b'$', b'(', b'B' | b'@', ..] => Some((Kanji, 4)),
            _ => None,
        })
    }

    /// Whether it lives in G1, that is: in bytes with the high bit.
    pub(super) fn is_g1(self) -> bool {
        !matches!(self, Kanji | SupplementaryKanji)
    }

    /// Whether a character has two bytes.
    pub(super) fn is_multi_byte(self) -> bool {
        matches!(self, Kanji | SupplementaryKanji | Korean | SimplifiedChinese)
    }

    /// The encoding that has its table, for bytes with the high bit.
    pub(super) fn table(self) -> &'static Encoding {
        match self {
            Latin1 => WINDOWS_1252,
            Latin2 => ISO_8859_2,
            Latin3 => ISO_8859_3,
            Latin4 => ISO_8859_4,
            Latin5 => WINDOWS_1254,
            Latin9 => ISO_8859_15,
            Cyrillic => ISO_8859_5,
            Arabic => ISO_8859_6,
            Greek => ISO_8859_7,
            Hebrew => ISO_8859_8,
            Thai => WINDOWS_874,
            Katakana => SHIFT_JIS,
            Kanji | SupplementaryKanji => EUC_JP,
            Korean => EUC_KR,
            SimplifiedChinese => GBK,
        }
    }

    /// The bytes of a character, with the high bit whether it lives in G0 or G1.
    pub(super) fn encode(self, c: char) -> Option<Vec<u8>> {
        let mut buffer = [0; 4];
        let (bytes, _, unmappable) = self.table().encode(c.encode_utf8(&mut buffer));
        let belongs = match (self, bytes.as_ref()) {
            // The tables of encoding_rs hold more than the set; the set is in the right half.
            (Katakana, [b]) => (0xA1..=0xDF).contains(b),
            (SupplementaryKanji, _) => false,
            (set, [a, b]) => set.is_multi_byte() && *a >= 0xA1 && *b >= 0xA1,
            (set, [b]) => !set.is_multi_byte() && *b >= 0xA0,
            _ => false,
        };
        (belongs && !unmappable).then(|| bytes.into_owned())
    }
}
