//! What is amended, and that nothing else is.

mod charset;
mod layout;
mod properties;

use std::io::{Cursor, Read};
use std::sync::Arc;

use super::super::testing::{Builder, ENCODINGS, syntax};
use super::super::{CharacterSet, read_error, value_digest};
use super::*;
use crate::dicom::{Uid, tags, uids};

const REQUESTS: Tag = tags::REQUEST_ATTRIBUTES_SEQUENCE;

fn amended(bytes: &[u8], uid: &str, amendments: &[&Amendment]) -> Result<Vec<u8>, ReadError> {
    let amendments: Vec<_> = amendments.iter().map(|&amendment| Arc::new(amendment.clone())).collect();
    let mut reader = amend(Cursor::new(bytes.to_vec()), &syntax(uid), &amendments)?;
    let mut out = Vec::new();
    match reader.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(error) => Err(read_error(error).unwrap()),
    }
}

fn tree(bytes: &[u8], uid: &str) -> Tree {
    Tree::read(bytes, &syntax(uid), &CharacterSet::ascii(), 1 << 24).unwrap()
}

/// What is left of a data set after the amendments.
fn after(bytes: &[u8], uid: &str, amendments: &[&Amendment]) -> Tree {
    tree(&amended(bytes, uid, amendments).unwrap_or_else(|error| panic!("{uid}: {error}")), uid)
}

fn put(texts: &[(Tag, &str)]) -> Amendment {
    let mut put = Tree::new();
    for (tag, text) in texts {
        put.put_text(*tag, text);
    }
    Amendment { put, ..Amendment::default() }
}

fn corrected(amendment: Amendment) -> Amendment {
    let original = Original {
        source: "OLDPACS".into(),
        system: "PACSFERRY".into(),
        reason: "CORRECT".into(),
        at: "20260102030405".into(),
    };
    let mut equipment = Tree::new();
    equipment.put_text(tags::MANUFACTURER, "pacsferry");
    Amendment { original: Some(original), equipment: Some(equipment), ..amendment }
}

/// An object with pixel data.
fn object(encoding: Encoding) -> Vec<u8> {
    let request = Builder::new(encoding).put(tags::ACCESSION_NUMBER, "A1").bytes;
    Builder::new(encoding)
        .identified()
        .put_as(Tag(0x0029, 0x0010), b"LO", "OURS")
        .put_as(Tag(0x0029, 0x1001), b"OB", [1, 2, 3, 4])
        .sequence(REQUESTS, &[request], true)
        .put(tags::PIXEL_DATA, vec![7; 100_000])
        .build()
}

#[test]
fn elements_are_put_and_removed_in_every_encoding_and_all_else_stays() {
    let mut amendment = put(&[
        (tags::PATIENT_ID, "B-12"),
        (tags::ISSUER_OF_PATIENT_ID, "HERE"),
        (tags::STUDY_ID, ""),
        (tags::STUDY_INSTANCE_UID, "1.9"),
    ]);
    amendment.put.put_u16(tags::ROWS, 3).put_bytes(Tag(0x5000, 0x3000), *b"OW", &[1, 2]);
    amendment.remove = vec![REQUESTS, tags::STUDY_DATE, tags::STUDY_TIME];
    for (uid, encoding) in ENCODINGS {
        let expected = Builder::new(encoding)
            .put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100")
            .put(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2")
            .put(tags::SOP_INSTANCE_UID, "1.2.3.4.5")
            .put(tags::MODALITY, "CT")
            .put(tags::PATIENT_NAME, b"M\xfcller^Hans")
            .put(tags::PATIENT_ID, "B-12")
            .put(tags::ISSUER_OF_PATIENT_ID, "HERE")
            .put(tags::STUDY_INSTANCE_UID, "1.9")
            .put(tags::SERIES_INSTANCE_UID, "1.2.3.4")
            .put(tags::STUDY_ID, "")
            .put(tags::INSTANCE_NUMBER, "7")
            .put(tags::ROWS, 3u16.to_le_bytes())
            .put(tags::COLUMNS, 256u16.to_le_bytes())
            .put_as(Tag(0x0029, 0x0010), b"LO", "OURS")
            .put_as(Tag(0x0029, 0x1001), b"OB", [1, 2, 3, 4])
            .put_as(Tag(0x5000, 0x3000), b"OW", [1, 2])
            .put(tags::PIXEL_DATA, vec![7; 100_000])
            .bytes;
        let out = amended(&object(encoding), uid, &[&amendment]).unwrap();
        let out = if uid == uids::DEFLATED_LE { inflated(&out) } else { out };
        assert!(out == expected, "{uid}");
    }
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

#[test]
fn nothing_to_amend_leaves_every_byte() {
    for (uid, encoding) in ENCODINGS {
        let before = object(encoding);
        assert_eq!(amended(&before, uid, &[]).unwrap(), before);
        assert_eq!(amended(&before, uid, &[&Amendment::default(), &Amendment::default()]).unwrap(), before);
        // What changes nothing changes no byte either, but that deflating is done again.
        let nothing = Amendment { remove: vec![tags::PATIENT_COMMENTS], ..Amendment::default() };
        let out = amended(&before, uid, &[&nothing]).unwrap();
        assert!(out == before || uid == uids::DEFLATED_LE, "{uid}");
        assert_eq!(
            value_digest(out.as_slice(), &syntax(uid)).unwrap(),
            value_digest(before.as_slice(), &syntax(uid)).unwrap()
        );
    }
}

#[test]
fn what_was_there_before_is_told_once_for_each_amendment() {
    for (uid, encoding) in ENCODINGS {
        let before = object(encoding);
        let mut first = put(&[(tags::PATIENT_ID, "B-12"), (tags::MODALITY, "CT"), (tags::PATIENT_SEX, "F")]);
        first.remove = vec![REQUESTS, tags::STUDY_TIME];
        first.uids.insert(UidKind::Study, Uid::new("1.2.3"), Uid::new("2.25.1"));
        let (first, second) = (corrected(first), corrected(put(&[(tags::PATIENT_ID, "C-3")])));
        let after = after(&before, uid, &[&first, &second]);
        let [one, two] = after.items(tags::ORIGINAL_ATTRIBUTES_SEQUENCE) else { panic!("{after:?}") };
        for item in [one, two] {
            assert_eq!(item.text(tags::MODIFYING_SYSTEM), Some("PACSFERRY"));
            assert_eq!(item.text(tags::SOURCE_OF_PREVIOUS_VALUES), Some("OLDPACS"));
            assert_eq!(item.text(tags::REASON_FOR_THE_ATTRIBUTE_MODIFICATION), Some("CORRECT"));
            assert_eq!(item.text(tags::ATTRIBUTE_MODIFICATION_DATE_TIME), Some("20260102030405"));
        }
        let modified = one.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
        // Neither what stayed the same nor what was not there.
        let changed: Vec<_> = modified.iter().map(|(tag, _)| tag).collect();
        assert_eq!(changed, [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, REQUESTS], "{uid}");
        assert_eq!(modified.text(tags::PATIENT_ID), Some("4711"));
        assert_eq!(modified.uid(tags::STUDY_INSTANCE_UID), Some(Uid::new("1.2.3")));
        assert_eq!(modified.item(REQUESTS).and_then(|item| item.text(tags::ACCESSION_NUMBER)), Some("A1"));
        let modified = two.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
        assert_eq!((modified.len(), modified.text(tags::PATIENT_ID)), (1, Some("B-12")), "{uid}");
        assert_eq!(after.text(tags::PATIENT_ID), Some("C-3"));
        assert_eq!(after.items(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE).len(), 2, "{uid}");
    }
}

#[test]
fn uids_are_replaced_by_what_they_are_the_uids_of_at_any_depth() {
    for (uid, encoding) in ENCODINGS {
        for defined in [true, false] {
            let e = || Builder::new(encoding);
            let reference = |uid: &str| e().put(tags::REFERENCED_SOP_INSTANCE_UID, uid).bytes;
            let series = e()
                .sequence(tags::REFERENCED_SOP_SEQUENCE, &[reference("1.5"), reference("1.6")], defined)
                .put(tags::SERIES_INSTANCE_UID, "1.2.3");
            let evidence = e()
                .sequence(tags::REFERENCED_SERIES_SEQUENCE, &[series.bytes], defined)
                .put(tags::STUDY_INSTANCE_UID, "1.2.3");
            let name = e().put(tags::CODE_VALUE, "112002").bytes;
            let content =
                e().sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, &[name], defined).put(tags::UID, "1.2.3").bytes;
            let anything = e().put(tags::UID, "1.5").bytes;
            let study = e().put(tags::REFERENCED_SOP_INSTANCE_UID, "1.2.3").bytes;
            let before = e()
                .put(tags::SOP_INSTANCE_UID, "1.5")
                .sequence(tags::REFERENCED_STUDY_SEQUENCE, &[study], defined)
                .put(tags::STUDY_INSTANCE_UID, "1.2.3")
                .put(tags::SERIES_INSTANCE_UID, "1.2.3")
                .put(tags::FRAME_OF_REFERENCE_UID, "1.5")
                .sequence(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, &[evidence.bytes], defined)
                .sequence(tags::CONTENT_SEQUENCE, &[content, anything], defined)
                .build();
            let mut amendment = Amendment::default();
            for (kind, old, new) in [
                (UidKind::Study, "1.2.3", "2.25.1000"),
                (UidKind::Series, "1.2.3", "2.25.22"),
                (UidKind::Instance, "1.5", "2.25.333"),
            ] {
                amendment.uids.insert(kind, Uid::new(old), Uid::new(new));
            }
            let out = after(&before, uid, &[&amendment]);
            let is = |tree: &Tree, tag, uid: &str| assert_eq!(tree.uid(tag), Some(Uid::new(uid)), "{tag} {defined}");
            is(&out, tags::SOP_INSTANCE_UID, "2.25.333");
            is(&out, tags::STUDY_INSTANCE_UID, "2.25.1000");
            is(&out, tags::SERIES_INSTANCE_UID, "2.25.22");
            is(&out, tags::FRAME_OF_REFERENCE_UID, "1.5");
            is(out.item(tags::REFERENCED_STUDY_SEQUENCE).unwrap(), tags::REFERENCED_SOP_INSTANCE_UID, "2.25.1000");
            let evidence = out.item(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).unwrap();
            is(evidence, tags::STUDY_INSTANCE_UID, "2.25.1000");
            let series = evidence.item(tags::REFERENCED_SERIES_SEQUENCE).unwrap();
            is(series, tags::SERIES_INSTANCE_UID, "2.25.22");
            let [moved, other] = series.items(tags::REFERENCED_SOP_SEQUENCE) else { panic!("{series:?}") };
            is(moved, tags::REFERENCED_SOP_INSTANCE_UID, "2.25.333");
            is(other, tags::REFERENCED_SOP_INSTANCE_UID, "1.6");
            let [content, anything] = out.items(tags::CONTENT_SEQUENCE) else { panic!("{out:?}") };
            is(content, tags::UID, "2.25.22");
            is(anything, tags::UID, "2.25.333");
        }
    }
}

#[test]
fn a_sequence_in_which_a_uid_is_replaced_is_told_as_a_whole() {
    for (uid, encoding) in ENCODINGS {
        for defined in [true, false] {
            // One within a window, one beyond, one beyond what can be told; and one that nothing happens to.
            for (padding, told) in [(0, true), (100, true), (200_000, true), (1_100_000, false)] {
                let item = |uid: &str| {
                    let builder = Builder::new(encoding).put(tags::REFERENCED_SOP_INSTANCE_UID, uid);
                    builder.put_as(Tag(0x0029, 0x1001), b"OB", vec![1; padding]).bytes
                };
                let before = Builder::new(encoding)
                    .put(tags::SOP_INSTANCE_UID, "1.5")
                    .sequence(tags::REFERENCED_IMAGE_SEQUENCE, &[item("1.5"), item("1.6")], defined)
                    .sequence(tags::SOURCE_IMAGE_SEQUENCE, &[item("1.7")], defined)
                    .put(tags::PATIENT_ID, "4711")
                    .put(tags::ISSUER_OF_PATIENT_ID, "SAME")
                    .put(tags::PIXEL_DATA, vec![7; 10_000])
                    .build();
                let mut amendment = put(&[(tags::PATIENT_ID, "B-12"), (tags::ISSUER_OF_PATIENT_ID, "SAME")]);
                amendment.uids.insert(UidKind::Instance, Uid::new("1.5"), Uid::new("2.25.1"));
                let out = after(&before, uid, &[&corrected(amendment)]);
                let references = |tree: &Tree| -> Vec<String> {
                    let items = tree.items(tags::REFERENCED_IMAGE_SEQUENCE).iter();
                    items.map(|item| item.text(tags::REFERENCED_SOP_INSTANCE_UID).unwrap().to_owned()).collect()
                };
                assert_eq!(references(&out), ["2.25.1", "1.6"], "{uid} {defined} {padding}");
                let original = out.item(tags::ORIGINAL_ATTRIBUTES_SEQUENCE).unwrap();
                let modified = original.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
                let tags: Vec<_> = modified.iter().map(|(tag, _)| tag).collect();
                let mut expected = vec![tags::SOP_INSTANCE_UID, tags::PATIENT_ID, tags::ISSUER_OF_PATIENT_ID];
                if told {
                    expected.insert(1, tags::REFERENCED_IMAGE_SEQUENCE);
                    assert_eq!(references(modified), ["1.5", "1.6"], "{uid} {defined} {padding}");
                }
                // The issuer belongs to the ID, also where it is the same.
                assert_eq!(tags, expected, "{uid} {defined} {padding}");
            }
        }
    }
}

#[test]
fn what_somebody_on_the_way_wrote_as_unknown_is_what_it_is() {
    let before = Builder::new(Encoding::ExplicitLe)
        .put(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 100")
        .put_as(tags::STUDY_DESCRIPTION, b"UN", b"Sch\xe4del")
        .put_as(tags::PATIENT_ID, b"UN", "4711")
        .put_as(tags::STUDY_INSTANCE_UID, b"UN", "1.2.3")
        .put_as(tags::ROWS, b"UN", [3, 0]);
    let mut amendment = put(&[(tags::PATIENT_NAME, "Иван"), (tags::PATIENT_ID, "B-12")]);
    amendment.uids.insert(UidKind::Study, Uid::new("1.2.3"), Uid::new("2.25.7"));
    let out = after(&before.build(), uids::EXPLICIT_LE, &[&corrected(amendment)]);
    assert_eq!(out.text(tags::STUDY_DESCRIPTION), Some("Schädel"));
    assert_eq!(out.uid(tags::STUDY_INSTANCE_UID), Some(Uid::new("2.25.7")));
    assert_eq!(out.u16(tags::ROWS), Some(3));
    let original = out.item(tags::ORIGINAL_ATTRIBUTES_SEQUENCE).unwrap();
    let modified = original.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
    assert_eq!((modified.len(), modified.text(tags::PATIENT_ID)), (2, Some("4711")));
}

#[test]
fn an_amendment_is_kept_as_bytes() {
    let mut amendment = corrected(put(&[(tags::PATIENT_NAME, "Müller^山田"), (tags::STUDY_ID, "")]));
    let mut code = Tree::new();
    code.put_text(tags::CODE_MEANING, "Schädel").put_u16(tags::ROWS, 3);
    amendment.put.put_items(tags::PROCEDURE_CODE_SEQUENCE, vec![code, Tree::new()]);
    amendment.remove = vec![REQUESTS, tags::PATIENT_AGE];
    amendment.default_charset = Some("ISO_IR 100".into());
    for n in 0..5_000 {
        amendment.uids.insert(UidKind::Instance, Uid::new(&format!("1.2.{n}")), Uid::new(&format!("2.25.{n}")));
    }
    amendment.uids.insert(UidKind::Study, Uid::new("1.2.1"), Uid::new("b\u{e4}d \\ one"));
    let bytes = amendment.to_bytes();
    assert_eq!(Amendment::from_bytes(&bytes).unwrap(), amendment);
    assert_eq!(amendment.to_bytes(), bytes, "the same amendment has the same bytes");
    let empty = Amendment::default();
    assert_eq!(Amendment::from_bytes(&empty.to_bytes()).unwrap(), empty);
    for damaged in [&b""[..], b"nonsense of some length", &bytes[..bytes.len() - 1]] {
        assert!(Amendment::from_bytes(damaged).is_err());
    }
}
