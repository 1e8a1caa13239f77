//! What is read is what is written, in every encoding, and nothing is unbounded.

use proptest::prelude::*;

use super::super::testing::{Builder, ENCODINGS, nested, syntax};
use super::super::{CharacterSet, ReadError};
use super::*;
use crate::dicom::{Encoding, tags, uids};

const LIMIT: u64 = 1 << 20;

fn read(bytes: &[u8], uid: &str) -> Result<Tree, ReadError> {
    Tree::read(bytes, &syntax(uid), &CharacterSet::ascii(), LIMIT)
}

/// An object with a bit of everything; `defined` is how its sequences are.
fn object(encoding: Encoding, defined: bool) -> Vec<u8> {
    let inner = Builder::new(encoding).put(tags::REFERENCED_SOP_INSTANCE_UID, "1.2.3.9").bytes;
    let own = Builder::new(encoding)
        .put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 144")
        .put(tags::PATIENT_NAME, [0xB8, 0xD2, 0xD0, 0xDD])
        .sequence(tags::REFERENCED_IMAGE_SEQUENCE, &[inner.clone(), inner], defined)
        .bytes;
    let plain = Builder::new(encoding).put(tags::PATIENT_NAME, b"M\xfcller").bytes;
    Builder::new(encoding)
        .put(Tag(0x0008, 0x0000), 4u32.to_le_bytes())
        .identified()
        .put_as(Tag(0x0029, 0x0010), b"LO", "OURS")
        .put_as(Tag(0x0029, 0x1001), b"OB", [1, 2, 3, 4])
        .sequence(tags::REQUEST_ATTRIBUTES_SEQUENCE, &[own, plain, Vec::new()], defined)
        .put(tags::PIXEL_DATA, [1, 2, 3, 4])
        .build()
}

#[test]
fn every_encoding_is_read_to_the_same_and_written_as_it_was_read() {
    for (uid, encoding) in ENCODINGS {
        for defined in [true, false] {
            let tree = read(&object(encoding, defined), uid).unwrap();
            assert_eq!(tree.text(tags::PATIENT_NAME), Some("Müller^Hans"), "{uid}");
            assert_eq!(tree.text(tags::PATIENT_ID), Some("4711"));
            assert_eq!((tree.u16(tags::ROWS), tree.u16(tags::COLUMNS)), (Some(512), Some(256)), "{uid}");
            assert_eq!(tree.bytes(Tag(0x0029, 0x1001)), Some(&[1, 2, 3, 4][..]));
            let [own, plain, empty] = tree.items(tags::REQUEST_ATTRIBUTES_SEQUENCE) else { panic!("{tree:?}") };
            assert_eq!(own.text(tags::PATIENT_NAME), Some("Иван"), "an item's own character set");
            assert_eq!(plain.text(tags::PATIENT_NAME), Some("Müller"));
            assert!(empty.is_empty());
            let deep = own.items(tags::REFERENCED_IMAGE_SEQUENCE);
            let uids: Vec<_> = deep.iter().map(|item| item.uid(tags::REFERENCED_SOP_INSTANCE_UID).unwrap()).collect();
            assert_eq!(uids, [Uid::new("1.2.3.9"), Uid::new("1.2.3.9")]);
            // Neither of these is an element to be edited.
            for tag in [Tag(0x0008, 0x0000), tags::SPECIFIC_CHARACTER_SET, tags::PIXEL_DATA] {
                assert!(!tree.contains(tag) && !own.contains(tag), "{tag}");
            }
            for (other, encoding) in ENCODINGS {
                let again = read(&tree.write(encoding), other).unwrap();
                // In Implicit VR nobody knows what is private.
                let known = |tree: &Tree| tree.iter().filter(|(tag, _)| tag.0 % 2 == 0).count();
                if uid == uids::IMPLICIT_LE || other == uids::IMPLICIT_LE {
                    assert_eq!(known(&again), known(&tree));
                } else {
                    assert_eq!(again, tree, "{uid} {other}");
                }
            }
        }
    }
}

#[test]
fn what_is_written_declares_its_character_set_only_where_it_needs_one() {
    let mut tree = Tree::new();
    tree.put_text(tags::PATIENT_NAME, "Doe^Jane").put_u16(tags::ROWS, 0xFFFF);
    let written = tree.write(Encoding::ExplicitLe);
    assert_eq!(
        written,
        Builder::new(Encoding::ExplicitLe).put(tags::PATIENT_NAME, "Doe^Jane").put(tags::ROWS, [255, 255]).bytes
    );
    let mut item = Tree::new();
    item.put_text(tags::CODE_MEANING, "Schädel");
    tree.items_mut(tags::PROCEDURE_CODE_SEQUENCE).push(item.clone());
    let written = tree.write(Encoding::ExplicitLe);
    assert_eq!(written[..18], *b"\x08\0\x05\0CS\x0a\0ISO_IR 192");
    assert_eq!(read(&written, uids::EXPLICIT_LE).unwrap(), tree);
    assert_eq!(tree.remove(tags::PROCEDURE_CODE_SEQUENCE).unwrap().items(), Some(&[item][..]));
    assert_eq!(tree.remove(tags::PROCEDURE_CODE_SEQUENCE), None);
    // What had another VR becomes a sequence when items are wanted of it.
    tree.put_text(tags::REFERENCED_STUDY_SEQUENCE, "no sequence");
    assert!(tree.items(tags::REFERENCED_STUDY_SEQUENCE).is_empty());
    assert!(tree.items_mut(tags::REFERENCED_STUDY_SEQUENCE).is_empty());
    assert_eq!(tree.get(tags::REFERENCED_STUDY_SEQUENCE).unwrap().vr, *b"SQ");
}

#[test]
fn a_sequence_that_somebody_did_not_know_is_one() {
    let e = Encoding::ExplicitLe;
    let item = Builder::new(Encoding::ImplicitLe).put(tags::REFERENCED_SOP_INSTANCE_UID, "1.2.3").bytes;
    for defined in [true, false] {
        let items = Builder::new(Encoding::ImplicitLe)
            .sequence(tags::REFERENCED_IMAGE_SEQUENCE, std::slice::from_ref(&item), defined)
            .bytes;
        let items = &items[8..];
        let unknown =
            Builder::new(e).head(tags::REFERENCED_IMAGE_SEQUENCE, Some(*b"UN"), defined.then_some(items.len()));
        let tree = read(&unknown.raw(items).build(), uids::EXPLICIT_LE).unwrap();
        let found = tree.item(tags::REFERENCED_IMAGE_SEQUENCE).unwrap();
        assert_eq!(found.uid(tags::REFERENCED_SOP_INSTANCE_UID), Some(Uid::new("1.2.3")), "{defined}");
    }
    let opaque = Builder::new(e).put_as(tags::REFERENCED_IMAGE_SEQUENCE, b"UN", "something").build();
    let tree = read(&opaque, uids::EXPLICIT_LE).unwrap();
    assert_eq!(tree.bytes(tags::REFERENCED_IMAGE_SEQUENCE), Some(&b"something\0"[..]));
    // A compressed icon is no sequence of elements.
    let icon = Builder::new(e).put(tags::ROWS, [1, 0]).fragments(&[b"", b"abcd"]).bytes;
    let tree = Builder::new(e).identified().sequence(tags::ICON_IMAGE_SEQUENCE, &[icon], true).build();
    let tree = read(&tree, uids::EXPLICIT_LE).unwrap();
    assert_eq!(tree.item(tags::ICON_IMAGE_SEQUENCE).map(Tree::len), Some(1));
}

#[test]
fn what_is_too_large_too_deep_or_damaged_is_refused() {
    for (uid, encoding) in ENCODINGS.into_iter().take(3) {
        for defined in [true, false] {
            assert!(read(&nested(encoding, 64, defined), uid).is_ok(), "{uid}");
            let deep = read(&nested(encoding, 65, defined), uid);
            assert!(matches!(deep, Err(ReadError::TooDeep { .. })), "{uid} {deep:?}");
        }
        let whole = object(encoding, false);
        let pixels = whole.len() - if encoding == Encoding::ImplicitLe { 12 } else { 16 };
        for cut in 0..pixels {
            if let Ok(tree) = read(&whole[..cut], uid) {
                assert!(!tree.contains(tags::REQUEST_ATTRIBUTES_SEQUENCE), "{uid} cut at {cut}");
            }
        }
        let long = Builder::new(encoding).put(tags::PATIENT_COMMENTS, vec![b'x'; 2 << 20]).build();
        assert!(matches!(read(&long, uid), Err(ReadError::TooLong { .. })), "{uid}");
        // Many small ones cost more memory than they have bytes.
        let many = Builder::new(encoding).sequence(tags::REFERENCED_STUDY_SEQUENCE, &vec![Vec::new(); 40_000], true);
        assert!(matches!(read(&many.build(), uid), Err(ReadError::TooLong { .. })), "{uid}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for (uid, encoding) in ENCODINGS {
            if let Ok(tree) = read(&bytes, uid) {
                let _written = tree.write(encoding);
            }
        }
    }
}
