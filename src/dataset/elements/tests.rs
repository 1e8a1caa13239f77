//! Identifiers there and back.

use super::super::testing::{Builder, ENCODINGS};
use super::*;

#[test]
fn what_is_written_is_read_again_in_every_encoding() {
    let mut elements = Elements::new();
    elements
        .put(tags::QUERY_RETRIEVE_LEVEL, "STUDY")
        .put(tags::STUDY_INSTANCE_UID, "1.2.3")
        .put(tags::STUDY_DATE, "")
        .put(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, "12 ")
        .put_u16(tags::ROWS, 513)
        .put_bytes(Tag(0x0009, 0x1001), *b"OB", &[1, 2, 3])
        .put_bytes(tags::TEXT_VALUE, *b"UT", &[b'x'; 70_000]);
    for (_, encoding) in ENCODINGS {
        let read = Elements::read(&elements.write(encoding), encoding).unwrap();
        assert_eq!(read.text(tags::QUERY_RETRIEVE_LEVEL).as_deref(), Some("STUDY"));
        assert_eq!(read.uid(tags::STUDY_INSTANCE_UID), Some(Uid::new("1.2.3")));
        assert_eq!((read.text(tags::STUDY_DATE), read.contains(tags::STUDY_DATE)), (None, true));
        assert_eq!(read.int(tags::NUMBER_OF_STUDY_RELATED_INSTANCES), Some(12));
        assert_eq!(read.u16(tags::ROWS), Some(513), "{encoding:?}");
        assert_eq!(read.bytes(Tag(0x0009, 0x1001)), Some(&[1, 2, 3, 0][..]), "padded");
        assert_eq!(read.text(tags::TEXT_VALUE).map(|text| text.len()), Some(70_000));
        assert_eq!(read.iter().count(), 7);
        assert!(!read.contains(tags::PATIENT_ID) && read.text(tags::PATIENT_ID).is_none());
    }
    assert!(elements.remove(tags::ROWS).bytes(tags::ROWS).is_none());
}

#[test]
fn padding_is_that_of_the_vr() {
    let mut elements = Elements::new();
    elements.put(tags::STUDY_INSTANCE_UID, "1.2").put(tags::PATIENT_ID, "abc");
    let bytes = elements.write(Encoding::ImplicitLe);
    assert!(bytes.ends_with(b"\x20\0\x0D\0\x04\0\0\x001.2\0"));
    assert!(bytes.starts_with(b"\x10\0\x20\0\x04\0\0\0abc "));
}

#[test]
fn texts_follow_the_character_set_of_the_answer_then_that_of_the_source() {
    let mut elements = Elements::new();
    elements.put_bytes(tags::PATIENT_NAME, *b"PN", b"\xc4\xe9\xef^ ");
    assert_eq!(elements.person_name(tags::PATIENT_NAME).as_deref(), Some("Äéï^"));
    let greek = elements.clone().with_default_charset(CharacterSet::from_terms("ISO_IR 126"));
    assert_eq!(greek.text(tags::PATIENT_NAME).as_deref(), Some("Διο^"));
    let mut named = greek;
    named.put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100");
    assert_eq!(named.text(tags::PATIENT_NAME).as_deref(), Some("Äéï^"));
}

#[test]
fn sequences_are_passed_over_and_damage_keeps_what_came_before() {
    for (_, encoding) in ENCODINGS.into_iter().take(3) {
        for defined in [true, false] {
            let inner = Builder::new(encoding).put(tags::STUDY_INSTANCE_UID, "9.9").bytes;
            let sound = Builder::new(encoding)
                .sequence(tags::REFERENCED_STUDY_SEQUENCE, &[inner], defined)
                .put(tags::STUDY_INSTANCE_UID, "1.2.3");
            assert_eq!(
                Elements::read(&sound.bytes, encoding).unwrap().uid(tags::STUDY_INSTANCE_UID),
                Some(Uid::new("1.2.3"))
            );
            let damaged = sound.head(tags::PATIENT_COMMENTS, Some(*b"UT"), Some(0x7FFF_FFFE)).raw(b"abc").bytes;
            let (elements, error) = Elements::read_lenient(&damaged, encoding);
            assert_eq!(elements.uid(tags::STUDY_INSTANCE_UID), Some(Uid::new("1.2.3")));
            assert!(matches!(error, Some(ReadError::TooLong { .. })), "{error:?}");
            assert!(Elements::read(&damaged, encoding).is_err());
        }
    }
    let (elements, error) = Elements::read_lenient(b"", Encoding::ImplicitLe);
    assert!(elements.is_empty() && error.is_none());
}
