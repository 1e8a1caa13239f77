//! The same values in other clothes, and other values in the same.

use super::super::testing::{Builder, ENCODINGS, deflate, nested, syntax};
use super::*;
use crate::dicom::uids;

fn digest(bytes: &[u8], uid: &str) -> ValueDigest {
    value_digest(bytes, &syntax(uid)).unwrap_or_else(|error| panic!("{uid}: {error}"))
}

fn content(builder: Builder, encoding: Encoding, defined: bool) -> Builder {
    let item = Builder::new(encoding)
        .put(tags::REFERENCED_SOP_CLASS_UID, "1.2")
        .put(tags::PRIVATE_GROUP_REFERENCE, [9, 0])
        .bytes;
    builder
        .identified()
        .sequence(tags::REFERENCED_STUDY_SEQUENCE, &[item.clone(), Vec::new(), item], defined)
        .sequence(Tag(0x0029, 0x1001), &[Builder::new(encoding).put(tags::STUDY_ID, "x").bytes], defined)
        .put(tags::PIXEL_ASPECT_RATIO, "1\\1")
}

const PIXELS: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

#[test]
fn the_encoding_does_not_matter() {
    let reference = Builder::new(Encoding::ExplicitLe);
    let reference = content(reference, Encoding::ExplicitLe, true).put(tags::PIXEL_DATA, PIXELS).build();
    let reference = digest(&reference, uids::EXPLICIT_LE);
    for (uid, encoding) in ENCODINGS {
        for defined in [true, false] {
            let builder = Builder::new(encoding).put(Tag(0x0008, 0x0000), 4711u32.to_le_bytes());
            let builder = content(builder, encoding, defined).put(tags::PIXEL_DATA, PIXELS);
            let bytes = builder.put(tags::DATA_SET_TRAILING_PADDING, [0; 6]).build();
            assert_eq!(digest(&bytes, uid), reference, "{uid}, defined: {defined}");
        }
    }
}

#[test]
fn every_kind_of_number_is_turned_round() {
    let numbers: [(Tag, &[u8; 2]); 8] = [
        (tags::ROWS, b"US"),
        (tags::PIXEL_PADDING_VALUE, b"SS"),
        (tags::SIMPLE_FRAME_LIST, b"UL"),
        (tags::REFERENCE_PIXEL_X0, b"SL"),
        (tags::RECOMMENDED_DISPLAY_FRAME_RATE_IN_FLOAT, b"FL"),
        (tags::DATA_POINT_ROWS, b"FD"),
        (tags::FRAME_INCREMENT_POINTER, b"AT"),
        (tags::EXTENDED_OFFSET_TABLE, b"OV"),
    ];
    for (tag, vr) in numbers {
        let build = |encoding| {
            Builder::new(encoding)
                .identified()
                .put_as(tag, vr, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
                .build()
        };
        let little = digest(&build(Encoding::ExplicitLe), uids::EXPLICIT_LE);
        assert_eq!(little, digest(&build(Encoding::ExplicitBe), uids::EXPLICIT_BE), "{vr:?}");
    }
    for vr in [b"OF", b"OL", b"OD", b"SV", b"UV", b"OB", b"OW"] {
        let build = |encoding| Builder::new(encoding).identified().put_as(tags::PIXEL_DATA, vr, PIXELS).build();
        let little = digest(&build(Encoding::ExplicitLe), uids::EXPLICIT_LE);
        assert_eq!(little, digest(&build(Encoding::ExplicitBe), uids::EXPLICIT_BE), "{vr:?}");
    }
}

#[test]
fn other_values_are_seen_and_where() {
    let build = |name: &str, pixels: &[u8]| {
        let builder = Builder::new(Encoding::ExplicitLe).identified().put(tags::PATIENT_COMMENTS, name);
        digest(&builder.put(tags::PIXEL_DATA, pixels).build(), uids::EXPLICIT_LE)
    };
    let one = build("a", &[1, 2, 3, 4]);
    assert_eq!(one, build("a ", &[1, 2, 3, 4]), "padding");
    let other = build("b", &[1, 2, 3, 4]);
    assert!(one.header != other.header && one.pixels == other.pixels);
    let other = build("a", &[1, 2, 3, 5]);
    assert!(one.header == other.header && one.pixels != other.pixels);
    // Zeros that are a value, and zeros that pad.
    assert_ne!(build("a", &[0, 0, 0, 0]).pixels, build("a", &[0, 0]).pixels);
    assert_eq!(build("a", &[7, 7, 7]).pixels, build("a", &[7, 7, 7, 0]).pixels, "an odd length");
    let number = |value: &[u8]| {
        digest(
            &Builder::new(Encoding::ExplicitLe).identified().put_as(tags::SAMPLES_PER_PIXEL, b"US", value).build(),
            uids::EXPLICIT_LE,
        )
    };
    assert_ne!(number(&[0, 0x20]), number(&[0, 0]));
    assert_ne!(number(&[0, 0]), number(&[]));
    // Values do not flow into their neighbours, nor items into theirs.
    let two = |a: &str, b: &str| {
        digest(
            &Builder::new(Encoding::ExplicitLe).put(tags::STUDY_ID, a).put(tags::PATIENT_COMMENTS, b).build(),
            uids::EXPLICIT_LE,
        )
    };
    assert_ne!(two("ab", "c"), two("a", "bc"));
    let e = Encoding::ExplicitLe;
    let (a, b) = (Builder::new(e).put(tags::STUDY_ID, "a").bytes, Builder::new(e).put(tags::STUDY_ID, "b").bytes);
    let items = |items: &[Vec<u8>]| {
        digest(&Builder::new(e).sequence(tags::REFERENCED_STUDY_SEQUENCE, items, true).build(), uids::EXPLICIT_LE)
    };
    assert_ne!(items(&[a.clone(), b.clone()]), items(&[[a.clone(), b.clone()].concat()]));
    assert_ne!(items(&[a, Vec::new(), b]), items(&[]));
}

#[test]
fn fragments_are_digested_without_their_offset_table() {
    let build = |fragments: &[&[u8]]| {
        digest(&Builder::new(Encoding::ExplicitLe).identified().fragments(fragments).build(), "1.2.840.10008.1.2.4.90")
    };
    assert_eq!(build(&[b"", b"one", b"two"]), build(&[b"\0\0\0\0", b"one", b"two"]));
    assert_ne!(build(&[b"", b"one", b"two"]), build(&[b"", b"one", b"tow"]));
    let native = Builder::new(Encoding::ExplicitLe).identified().put(tags::PIXEL_DATA, b"onetwo").build();
    assert_ne!(build(&[b"", b"onetwo"]).pixels, digest(&native, uids::EXPLICIT_LE).pixels);
}

#[test]
fn long_texts_and_large_pixels_pass_through_the_window() {
    for (uid, encoding) in ENCODINGS {
        let text = "word ".repeat(50_000);
        let pixels: Vec<u8> = (0..1_000_001u32).flat_map(u32::to_le_bytes).collect();
        let build =
            |text: &str| Builder::new(encoding).put(tags::TEXT_VALUE, text).put(tags::PIXEL_DATA, &pixels).build();
        let short =
            Builder::new(Encoding::ExplicitLe).put(tags::TEXT_VALUE, text.trim_end()).put(tags::PIXEL_DATA, &pixels);
        assert_eq!(digest(&build(&text), uid), digest(&short.build(), uids::EXPLICIT_LE), "{uid}");
    }
}

#[test]
fn what_is_damaged_has_no_digest() {
    for (uid, encoding) in ENCODINGS.into_iter().take(3) {
        let whole = content(Builder::new(encoding), encoding, false).fragments(&[b"", b"abcd"]).build();
        for cut in (whole.len() - 30)..whole.len() {
            assert!(value_digest(&whole[..cut], &syntax(uid)).is_err(), "{uid} cut at {cut}");
        }
        assert!(value_digest(whole.as_slice(), &syntax(uid)).is_ok());
        // An item that ends within an element.
        let item = Builder::new(encoding).put(tags::STUDY_ID, "abcdefgh").bytes;
        let short =
            Builder::new(encoding).head(tags::REFERENCED_STUDY_SEQUENCE, Some(*b"SQ"), Some(8 + item.len() - 2));
        let short = short.head(wire::ITEM, None, Some(item.len() - 2)).raw(&item).build();
        assert!(value_digest(short.as_slice(), &syntax(uid)).is_err(), "{uid}");
    }
    let deflated = Builder::new(Encoding::DeflatedLe).identified().build();
    assert!(value_digest(&deflated[..deflated.len() - 1], &syntax(uids::DEFLATED_LE)).is_err());
}

#[test]
fn nesting_and_inflation_are_bounded() {
    for (uid, encoding) in ENCODINGS.into_iter().take(3) {
        for defined in [true, false] {
            assert!(value_digest(nested(encoding, 64, defined).as_slice(), &syntax(uid)).is_ok());
            let error = value_digest(nested(encoding, 65, defined).as_slice(), &syntax(uid)).unwrap_err();
            assert!(matches!(error, ReadError::TooDeep { .. }), "{error}");
        }
        let error = value_digest(nested(encoding, 100_000, false).as_slice(), &syntax(uid)).unwrap_err();
        assert!(matches!(error, ReadError::TooDeep { .. }), "{error}");
    }
    let bomb = deflate(&Builder::new(Encoding::ExplicitLe).put(tags::PIXEL_DATA, vec![0; 100 << 20]).bytes);
    assert!(matches!(value_digest(bomb.as_slice(), &syntax(uids::DEFLATED_LE)), Err(ReadError::Bomb { .. })));
}
