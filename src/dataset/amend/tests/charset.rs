//! Character sets: kept where they suffice, else ISO_IR 192 for all.

use super::*;

fn named(encoding: Encoding, charset: Option<&str>, name: &[u8]) -> Vec<u8> {
    let builder = Builder::new(encoding);
    let builder = if let Some(terms) = charset { builder.put(tags::SPECIFIC_CHARACTER_SET, terms) } else { builder };
    builder.put(tags::SOP_INSTANCE_UID, "1.2.3").put(tags::STUDY_DESCRIPTION, name).put(tags::ROWS, [1, 0]).build()
}

/// The terms that a data set declares.
fn declared(bytes: &[u8], uid: &str) -> Option<String> {
    let encoding = ENCODINGS.iter().find(|(each, _)| *each == uid).unwrap().1;
    super::super::super::Elements::read(bytes, encoding).unwrap().text(tags::SPECIFIC_CHARACTER_SET)
}

#[test]
fn a_character_set_that_suffices_is_kept_and_every_other_becomes_utf_8() {
    let kanji = b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B";
    for (terms, stored, text, name, expected) in [
        (Some("ISO_IR 100"), &b"Sch\xe4del"[..], "Schädel", "Müller", Some("ISO_IR 100")),
        (Some("ISO_IR 100"), b"Sch\xe4del", "Schädel", "Иван", Some("ISO_IR 192")),
        (Some("ISO_IR 100"), b"Sch\xe4del", "Schädel", "Doe", Some("ISO_IR 100")),
        (Some("ISO_IR 144"), b"\xb8\xd2\xd0\xdd", "Иван", "Müller", Some("ISO_IR 192")),
        (Some("ISO_IR 192"), "Иван".as_bytes(), "Иван", "山田", Some("ISO_IR 192")),
        (Some("\\ISO 2022 IR 87"), kanji, "山田^太郎", "山田", Some("\\ISO 2022 IR 87")),
        (Some("\\ISO 2022 IR 87"), kanji, "山田^太郎", "Müller", Some("ISO_IR 192")),
        (Some("GB18030"), b"\xcd\xf5", "王", "Müller", Some("GB18030")),
        (Some("NONSENSE"), b"Sch\xe4del", "Schädel", "Müller", Some("ISO_IR 192")),
        (Some("NONSENSE"), b"Sch\xe4del", "Schädel", "Doe", Some("NONSENSE")),
        (Some(""), b"Sch\xe4del", "Schädel", "Müller", Some("ISO_IR 192")),
        (None, b"Sch\xe4del", "Schädel", "Müller", Some("ISO_IR 192")),
        (None, b"Sch\xe4del", "Schädel", "Doe", None),
        (None, b"plain", "plain", "Doe", None),
    ] {
        for (uid, encoding) in ENCODINGS {
            let before = named(encoding, terms, stored);
            let out = amended(&before, uid, &[&put(&[(tags::PATIENT_NAME, name)])]).unwrap();
            assert_eq!(declared(&out, uid).as_deref(), expected, "{terms:?} {name} {uid}");
            let tree = tree(&out, uid);
            assert_eq!(tree.text(tags::PATIENT_NAME), Some(name), "{terms:?} {uid}");
            assert_eq!(tree.text(tags::STUDY_DESCRIPTION), Some(text), "{terms:?} {name} {uid}");
            // What is kept is kept byte by byte.
            let kept = terms == expected && uid != uids::DEFLATED_LE;
            assert!(!kept || out.windows(stored.len()).any(|window| window == stored), "{terms:?} {name} {uid}");
        }
    }
}

#[test]
fn objects_without_a_character_set_are_in_that_of_their_source() {
    let mut amendment = put(&[(tags::PATIENT_NAME, "Müller")]);
    amendment.default_charset = Some("ISO_IR 144".into());
    for (uid, encoding) in ENCODINGS {
        let out = after(&named(encoding, None, b"\xb8\xd2\xd0\xdd"), uid, &[&amendment]);
        assert_eq!(out.text(tags::STUDY_DESCRIPTION), Some("Иван"), "{uid}");
    }
}

#[test]
fn items_with_a_character_set_of_their_own_become_utf_8_as_well() {
    for (uid, encoding) in ENCODINGS {
        for defined in [true, false] {
            let e = || Builder::new(encoding);
            let own = e().put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 144").put(tags::CODE_MEANING, b"\xb8\xd2\xd0\xdd");
            let deep = e().put(tags::CODE_MEANING, b"Sch\xe4del").bytes;
            // Behind an item with another one, the outer one holds again.
            let items = [own.bytes, deep.clone()];
            let middle = e()
                .sequence(tags::PROCEDURE_CODE_SEQUENCE, &items, defined)
                .put(tags::REQUESTED_PROCEDURE_DESCRIPTION, b"\xfcber")
                .bytes;
            let before = e()
                .identified()
                .put_as(Tag(0x0029, 0x0010), b"LO", "OURS")
                .put_as(Tag(0x0029, 0x1001), b"LO", b"\xe4")
                .put_as(Tag(0x0029, 0x1002), b"OB", b"\xe4\xe4")
                .sequence(REQUESTS, &[middle, deep], defined)
                .build();
            let amendment = corrected(put(&[(tags::STUDY_DESCRIPTION, "Иван"), (tags::PATIENT_NAME, "山田")]));
            let out = amended(&before, uid, &[&amendment]).unwrap();
            assert_eq!(declared(&out, uid).as_deref(), Some("ISO_IR 192"));
            let out = tree(&out, uid);
            let [middle, deep] = out.items(REQUESTS) else { panic!("{out:?}") };
            let [own, after] = middle.items(tags::PROCEDURE_CODE_SEQUENCE) else { panic!("{middle:?}") };
            assert_eq!(own.text(tags::CODE_MEANING), Some("Иван"), "{uid} {defined}");
            assert_eq!(after.text(tags::CODE_MEANING), Some("Schädel"), "{uid} {defined}");
            assert_eq!(deep.text(tags::CODE_MEANING), Some("Schädel"));
            assert_eq!(middle.text(tags::REQUESTED_PROCEDURE_DESCRIPTION), Some("über"));
            // A private text is a text where its VR says so; what nobody knows stays as it is.
            let private = out.bytes(Tag(0x0029, 0x1001)).unwrap();
            assert_eq!(private, if uid == uids::IMPLICIT_LE { &b"\xe4 "[..] } else { "ä".as_bytes() }, "{uid}");
            assert_eq!(out.bytes(Tag(0x0029, 0x1002)), Some(&b"\xe4\xe4"[..]));
            let original = out.item(tags::ORIGINAL_ATTRIBUTES_SEQUENCE).unwrap();
            let modified = original.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
            assert_eq!(modified.text(tags::PATIENT_NAME), Some("Müller^Hans"), "{uid} {defined}");
        }
    }
}

#[test]
fn previous_values_are_as_they_were_where_the_character_set_is_kept() {
    for (uid, encoding) in ENCODINGS {
        let item = Builder::new(encoding)
            .put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 144")
            .put(tags::CODE_MEANING, b"\xb8\xd2\xd0\xdd")
            .bytes;
        let before = Builder::new(encoding).identified().sequence(REQUESTS, &[item], false).build();
        let mut amendment = corrected(put(&[(tags::PATIENT_NAME, "Maier")]));
        amendment.remove = vec![REQUESTS];
        let out = amended(&before, uid, &[&amendment]).unwrap();
        assert_eq!(declared(&out, uid).as_deref(), Some("ISO_IR 100"), "{uid}");
        let out = tree(&out, uid);
        let original = out.item(tags::ORIGINAL_ATTRIBUTES_SEQUENCE).unwrap();
        let modified = original.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
        assert_eq!(modified.text(tags::PATIENT_NAME), Some("Müller^Hans"), "{uid}");
        assert_eq!(modified.item(REQUESTS).and_then(|item| item.text(tags::CODE_MEANING)), Some("Иван"), "{uid}");
    }
}
