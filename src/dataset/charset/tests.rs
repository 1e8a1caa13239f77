//! Samples of PS3.5 annexes H to K and of the field.

use super::*;

/// Declared terms, bytes, and what a reader must see.
const NAMES: &[(&str, &[u8], &str)] = &[
    // Annex H: Japanese.
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    // Annex I: Korean.
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    // Annex J: Chinese in UTF-8 and GB18030; annex K: GB 2312.
    ("ISO_IR 192", "Wang^XiaoDong=王^小東=".as_bytes(), "Wang^XiaoDong=王^小東="),
    ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    ("GBK", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    ("\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东="),
    // Single bytes.
    ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    ("ISO_IR 101", b"W\xb3odarczyk^\xa3ukasz", "Włodarczyk^Łukasz"),
    ("ISO_IR 109", b"\xa1ebba^\xa9or\xf5 ", "Ħebba^İorġ"),
    ("ISO_IR 110", b"J\xb9ns^\xe8\xba", "Jšns^čē"),
    ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    ("ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    ("ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    ("ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
    ("ISO_IR 148", b"\xc7avu\xfeo\xf0lu^\xdd\xfd", "Çavuşoğlu^İı"),
    ("ISO_IR 166", b"\xca\xc1\xaa\xd2\xc2^\xe3\xa8\xb4\xd5", "สมชาย^ใจดี"),
];

#[test]
fn the_samples_of_the_standard_are_read() {
    for (terms, bytes, text) in NAMES {
        let charset = CharacterSet::parse(terms.as_bytes());
        assert_eq!(charset.unknown_terms(), [""; 0], "{terms}");
        assert_eq!(charset.decode_person_name(bytes), *text, "{terms}");
        assert_eq!(charset.decode(bytes), *text, "{terms}, as a text");
    }
}

#[test]
fn what_is_encoded_is_decoded_to_the_same() {
    for (terms, _, text) in NAMES {
        let charset = CharacterSet::from_terms(terms);
        let bytes = charset.encode(text).unwrap_or_else(|| panic!("{text} in {terms}"));
        assert_eq!(charset.decode_person_name(&bytes), *text, "{terms}");
    }
    assert_eq!(CharacterSet::ascii().encode("é"), None);
    assert_eq!(CharacterSet::from_terms("ISO_IR 100").encode("山"), None);
    assert_eq!(CharacterSet::from_terms("ISO_IR 144").encode("é"), None);
}

#[test]
fn terms_are_understood_however_they_are_spelled() {
    let e_acute = b"\xe9";
    for terms in [
        "ISO_IR 100",
        "ISO-IR 100",
        "ISO_IR_100",
        "ISO IR 100",
        "iso_ir 100 ",
        "ISO 2022 IR 100",
        "ISO2022 IR 100",
        "ISO 8859-1",
        "ISO_IR 100\0",
    ] {
        let charset = CharacterSet::from_terms(terms);
        assert_eq!((charset.decode(e_acute).as_str(), charset.unknown_terms().len()), ("é", 0), "{terms}");
    }
    for terms in ["UTF-8", "ISO_IR 192", "ISO-IR-192", "utf8", "ISO IR 192", "ISO 2022 IR 192"] {
        let charset = CharacterSet::from_terms(terms);
        assert_eq!((charset.decode("é王".as_bytes()).as_str(), charset.unknown_terms().len()), ("é王", 0), "{terms}");
    }
    for terms in ["ISO2022 IR 87", "ISO 2022-IR 87", "\\ISO_2022_IR_87", "ISO 2022 IR 6\\ISO 2022 IR 87"] {
        assert_eq!(CharacterSet::from_terms(terms).decode(b"\x1b$B;3ED\x1b(B"), "山田", "{terms}");
    }
    assert!(CharacterSet::from_terms("").unknown_terms().is_empty());
}

#[test]
fn an_unknown_term_is_told_and_the_text_is_still_read() {
    let charset = CharacterSet::from_terms("KLINGON 1\\ISO 2022 IR 87");
    assert_eq!(charset.unknown_terms(), ["KLINGON 1"]);
    assert_eq!(charset.decode("Jérôme".as_bytes()), "Jérôme");
    assert_eq!(charset.decode(b"\x1b$B;3ED\x1b(B"), "山田");
    // Not declared, not UTF-8: Latin-1.
    assert_eq!(CharacterSet::from_terms("KLINGON 1").decode(b"J\xe9r\xf4me"), "Jérôme");
    assert_eq!(CharacterSet::ascii().decode(b"J\xe9r\xf4me"), "Jérôme");
    assert_eq!(CharacterSet::ascii().decode("Jérôme".as_bytes()), "Jérôme");
    // Says UTF-8, is Latin-1; is UTF-8, but cut within a character.
    assert_eq!(CharacterSet::utf8().decode(b"J\xe9r\xf4me"), "Jérôme");
    assert_eq!(CharacterSet::utf8().decode(b"J\xc3\xa9r\xc3"), "Jér\u{FFFD}");
}

#[test]
fn designations_end_at_delimiters() {
    // Latin-1 in the first value, Cyrillic by designation; behind ^ it is Latin-1 again.
    let charset = CharacterSet::from_terms("ISO 2022 IR 100\\ISO 2022 IR 144");
    assert_eq!(charset.decode_person_name(b"\x1b-L\xbb^\xe9"), "Л^é");
    assert_eq!(charset.decode_person_name(b"\x1b-L\xbb=\xe9"), "Л=é");
    assert_eq!(charset.decode(b"\x1b-L\xbb\\\xe9\r\n\x1b-L\xbb\t\xe9"), "Л\\é\r\nЛ\té");
    // ^ and = delimit nothing in other texts.
    assert_eq!(charset.decode(b"\x1b-L\xbb=\xbb"), "Л=Л");
    // A sender that does not designate again is understood where nothing else could be meant.
    let korean = CharacterSet::from_terms("\\ISO 2022 IR 149");
    assert_eq!(korean.decode_person_name(b"\x1b$)C\xc8\xab^\xb1\xe6\xb5\xbf"), "홍^길동");
    assert_eq!(korean.decode_person_name(b"\xc8\xab^\xb1\xe6\xb5\xbf"), "홍^길동");
}

#[test]
fn delimiters_inside_two_byte_characters_are_none() {
    // Second bytes 5C, 5E and 3D.
    let bytes = b"\x1b$B%\\\x30\x5e\x46\x3d\x1b(B\\B";
    assert_eq!(CharacterSet::from_terms("\\ISO 2022 IR 87").decode_person_name(bytes), "ボ緯峠\\B");
}

#[test]
fn supplementary_kanji_and_shift_jis_are_read() {
    let charset = CharacterSet::from_terms("\\ISO 2022 IR 87\\ISO 2022 IR 159");
    assert_eq!(charset.decode(b"\x1b$(D0!\x1b(B"), "丂");
    assert_eq!(CharacterSet::from_terms("ISO_IR 13").decode(b"\x8e\x52\x93\x63\xd4"), "山田ﾔ");
}

#[test]
fn damage_never_loses_what_is_around_it() {
    let charset = CharacterSet::from_terms("\\ISO 2022 IR 87\\ISO 2022 IR 149");
    assert_eq!(charset.decode(b"A\x1b?B"), "A\u{FFFD}?B");
    assert_eq!(charset.decode(b"\x1b$B;"), "\u{FFFD}");
    assert_eq!(charset.decode(b"\x1b$B;\r\nend"), "\u{FFFD}\r\nend");
    assert_eq!(charset.decode(b"\x1b"), "\u{FFFD}");
    assert_eq!(charset.decode(b"\x1b$)C\xfb"), "\u{FFFD}");
    assert_eq!(charset.decode(b"pad  \0\0"), "pad");
    assert_eq!(charset.decode(b"  "), "");
}

#[test]
fn what_is_encoded_means_the_same_as_a_name_and_as_another_text() {
    let charset = CharacterSet::from_terms("ISO 2022 IR 100\\ISO 2022 IR 126\\ISO 2022 IR 149");
    for text in ["Π^Ð=Π", "Ð^Π^é", "홍^Ð^홍=길", "é=é"] {
        let bytes = charset.encode(text).unwrap();
        assert_eq!(charset.decode_person_name(&bytes), text);
        assert_eq!(charset.decode(&bytes), text);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_in_any_character_set_become_a_text(bytes: Vec<u8>, terms: Vec<u8>, known in 0..NAMES.len()) {
        for charset in [CharacterSet::parse(&terms), CharacterSet::from_terms(NAMES[known].0), CharacterSet::ascii()] {
            let text = charset.decode_person_name(&bytes);
            // Four bytes for three at most, so that a text never grows out of proportion.
            proptest::prop_assert!(text.len() <= bytes.len() * 3);
            charset.decode(&bytes);
        }
    }

    #[test]
    fn any_text_that_can_be_encoded_comes_back(text in "[\\PC\\^=]*", known in 0..NAMES.len()) {
        let charset = CharacterSet::from_terms(NAMES[known].0);
        if let Some(bytes) = charset.encode(&text) {
            let text = text.trim_end_matches(' ');
            proptest::prop_assert_eq!(charset.decode_person_name(&bytes), text);
        }
    }
}
