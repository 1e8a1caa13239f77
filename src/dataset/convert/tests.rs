//! There and back: every encoding into every other, by value.

use proptest::prelude::*;

use super::super::testing::{Builder, ENCODINGS, deflate, nested, syntax};
use super::super::value_digest;
use super::*;

fn converted(bytes: &[u8], from: &str, to: &str) -> Result<Vec<u8>, ReadError> {
    let mut reader = convert(io::Cursor::new(bytes.to_vec()), &syntax(from), &syntax(to)).unwrap();
    let mut out = Vec::new();
    match reader.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(error) => Err(read_error(error).unwrap()),
    }
}

/// Into each native encoding, and the values stay what they were. Returns the results.
fn into_all(bytes: &[u8], from: &str) -> Vec<(&'static str, Vec<u8>)> {
    let values = value_digest(bytes, &syntax(from)).unwrap();
    let natives = ENCODINGS.into_iter().take(3);
    natives
        .map(|(to, _)| {
            let there = converted(bytes, from, to).unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
            assert_eq!(value_digest(there.as_slice(), &syntax(to)).unwrap(), values, "{from} to {to}");
            (to, there)
        })
        .collect()
}

/// What a test writes: an element with its Little Endian value, or a sequence.
#[derive(Debug, Clone)]
enum Part {
    Element(Tag, &'static [u8; 2], Vec<u8>),
    Sequence(Tag, Vec<Vec<Part>>, bool),
}

fn write(builder: Builder, parts: &[Part], encoding: Encoding) -> Builder {
    parts.iter().fold(builder, |builder, part| match part {
        Part::Element(tag, vr, value) => builder.put_as(*tag, vr, value),
        Part::Sequence(tag, items, defined) => {
            let items: Vec<_> = items.iter().map(|item| write(Builder::new(encoding), item, encoding).bytes).collect();
            builder.sequence(*tag, &items, *defined)
        }
    })
}

fn part() -> impl Strategy<Value = Part> {
    let element = prop_oneof![
        Just((tags::PATIENT_COMMENTS, b"LT")),
        Just((tags::PATIENT_NAME, b"PN")),
        Just((tags::SOP_INSTANCE_UID, b"UI")),
        Just((tags::ROWS, b"US")),
        Just((tags::REFERENCE_PIXEL_X0, b"SL")),
        Just((tags::DATA_POINT_ROWS, b"FD")),
        Just((tags::RECOMMENDED_DISPLAY_FRAME_RATE_IN_FLOAT, b"FL")),
        Just((tags::FRAME_INCREMENT_POINTER, b"AT")),
        Just((tags::EXTENDED_OFFSET_TABLE, b"OV")),
        Just((tags::DVH_DATA, b"DS")),
        Just((Tag(0x0029, 0x1010), b"OB")),
        Just((Tag(0x0029, 0x1011), b"UN")),
    ];
    // The numbers of whole values: a torn one has no Little and no Big Endian.
    let lengths = prop_oneof![Just(0usize), Just(1), Just(3), Just(200), Just(8_190), Just(8_192), Just(9_000)];
    let leaf = (element, lengths, any::<u8>()).prop_map(|((tag, vr), eights, seed)| {
        let value = (0..=u8::MAX).cycle().take(eights * 8).map(|n| b'A' + n.wrapping_mul(seed) % 50).collect();
        Part::Element(tag, vr, value)
    });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let items = prop::collection::vec(prop::collection::vec(inner, 0..4), 0..3);
        let tag = prop_oneof![Just(tags::REFERENCED_STUDY_SEQUENCE), Just(tags::SOURCE_IMAGE_SEQUENCE)];
        (tag, items, any::<bool>()).prop_map(|(tag, items, defined)| Part::Sequence(tag, items, defined))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn values_survive_any_way_through_the_encodings(parts in prop::collection::vec(part(), 1..8)) {
        // Implicit VR is where values of any length are: 9,000 times 8 bytes are too many for a short form.
        let source = write(Builder::new(Encoding::ImplicitLe).identified(), &parts, Encoding::ImplicitLe).build();
        for (there, bytes) in into_all(&source, uids::IMPLICIT_LE) {
            for (back, again) in into_all(&bytes, there) {
                let home = converted(&again, back, uids::IMPLICIT_LE).unwrap();
                prop_assert_eq!(&home, &converted(&source, uids::IMPLICIT_LE, uids::IMPLICIT_LE).unwrap());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_nor_grow_without_end(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for (from, _) in ENCODINGS {
            for (to, _) in ENCODINGS.into_iter().take(3) {
                if let Ok(out) = converted(&bytes, from, to) {
                    prop_assert!(out.len() <= 4096 * 300);
                }
            }
        }
    }
}

#[test]
fn every_vr_is_turned_round_by_the_size_of_its_numbers() {
    let value: Vec<u8> = (1..=16).collect();
    let vrs: [(&[u8; 2], usize); 15] = [
        (b"US", 2),
        (b"SS", 2),
        (b"AT", 2),
        (b"OW", 2),
        (b"UL", 4),
        (b"SL", 4),
        (b"FL", 4),
        (b"OF", 4),
        (b"OL", 4),
        (b"FD", 8),
        (b"OD", 8),
        (b"OV", 8),
        (b"SV", 8),
        (b"UV", 8),
        (b"OB", 1),
    ];
    for (vr, unit) in vrs {
        let little = Builder::new(Encoding::ExplicitLe).identified().put_as(Tag(0x0029, 0x1001), vr, &value).build();
        let big = converted(&little, uids::EXPLICIT_LE, uids::EXPLICIT_BE).unwrap();
        let turned: Vec<u8> = value.chunks(unit).flat_map(|number| number.iter().rev().copied()).collect();
        assert!(big.ends_with(&turned), "{vr:?}");
        assert_eq!(converted(&big, uids::EXPLICIT_BE, uids::EXPLICIT_LE).unwrap(), little, "{vr:?}");
    }
}

#[test]
fn what_is_too_long_for_its_vr_becomes_unknown_and_is_whole() {
    let long = "1.25\\".repeat(20_000);
    let lut: Vec<u8> = (0..40_000u16).flat_map(u16::to_le_bytes).collect();
    let source = Builder::new(Encoding::ImplicitLe).identified();
    let source = source.put(tags::DVH_DATA, &long).put(tags::SIMPLE_FRAME_LIST, &lut).build();
    for (to, bytes) in into_all(&source, uids::IMPLICIT_LE).into_iter().skip(1) {
        let found = bytes.windows(long.len()).any(|window| window == long.as_bytes());
        assert!(found && bytes.windows(2).any(|vr| vr == b"UN"), "{to}");
        assert!(bytes.ends_with(&lut), "numbers in an UN stay Little Endian, {to}");
        assert_eq!(converted(&bytes, to, uids::IMPLICIT_LE).unwrap(), source, "{to}");
    }
    // One byte is the difference, padding included.
    for (length, vr) in [(65_534, b"LT"), (65_535, b"UN")] {
        let source = Builder::new(Encoding::ImplicitLe).head(tags::PATIENT_COMMENTS, None, Some(length));
        let source = source.raw(&vec![b'x'; length]).build();
        let bytes = converted(&source, uids::IMPLICIT_LE, uids::EXPLICIT_LE).unwrap();
        assert_eq!(bytes[4..6], vr[..], "{length}");
    }
}

#[test]
fn pixels_and_ambiguous_numbers_get_the_vr_that_their_neighbours_ask_for() {
    for (bits, signed, vrs) in [(8u16, 0u16, *b"OBUS"), (16, 1, *b"OWSS"), (32, 1, *b"OWSS"), (16, 0, *b"OWUS")] {
        let source = Builder::new(Encoding::ImplicitLe)
            .put(tags::BITS_ALLOCATED, bits.to_le_bytes())
            .put(tags::PIXEL_REPRESENTATION, signed.to_le_bytes())
            .put(tags::SMALLEST_IMAGE_PIXEL_VALUE, [1, 2]);
        let item = Builder::new(Encoding::ImplicitLe).put(tags::LUT_DESCRIPTOR, [0, 1, 2, 3, 4, 5]).bytes;
        let source = source.sequence(tags::MODALITY_LUT_SEQUENCE, &[item], true);
        let source = source.put(tags::PIXEL_DATA, [1, 2, 3, 4]).build();
        for (to, bytes) in into_all(&source, uids::IMPLICIT_LE).into_iter().skip(1) {
            let count = |vr: &[u8]| bytes.windows(2).filter(|window| *window == vr).count();
            assert_eq!((count(&vrs[..2]), count(b"SS")), (1, if signed == 1 { 2 } else { 0 }), "{bits} {to}");
        }
    }
    // 16 bits in a Big Endian stream.
    let source =
        Builder::new(Encoding::ImplicitLe).put(tags::BITS_ALLOCATED, [16, 0]).put(tags::PIXEL_DATA, [1, 2, 3, 4]);
    assert!(converted(&source.build(), uids::IMPLICIT_LE, uids::EXPLICIT_BE).unwrap().ends_with(&[2, 1, 4, 3]));
}

#[test]
fn private_and_unknown_elements_keep_their_bytes() {
    // In Implicit nobody knows what it is; one of undefined length is a sequence.
    let private = Tag(0x0029, 0x1010);
    let inner = Builder::new(Encoding::ImplicitLe).put(tags::ROWS, [1, 2]).bytes;
    let implicit = Builder::new(Encoding::ImplicitLe).identified().put_as(private, b"UN", [1, 2, 3, 4]);
    let implicit = implicit.sequence(Tag(0x0029, 0x1011), std::slice::from_ref(&inner), true);
    let implicit = implicit.sequence(Tag(0x0029, 0x1012), &[inner], false).build();
    for (to, bytes) in into_all(&implicit, uids::IMPLICIT_LE) {
        into_all(&bytes, to);
    }
    // An UN of undefined length is Implicit Little Endian inside, in Big Endian as well (CP-246).
    let content = Builder::new(Encoding::ImplicitLe).head(ITEM, None, None).put(tags::ROWS, [1, 2]);
    let content = content.head(ITEM_END, None, Some(0)).head(SEQUENCE_END, None, Some(0)).bytes;
    for (from, encoding) in [ENCODINGS[1], ENCODINGS[2]] {
        let unknown = Builder::new(encoding).identified().head(private, Some(*b"UN"), None).raw(&content).build();
        for (to, bytes) in into_all(&unknown, from) {
            assert!(bytes.ends_with(&content), "{from} to {to}");
        }
    }
    // A VR of nobody.
    let odd = Builder::new(Encoding::ExplicitLe).identified().put_as(private, b"ZZ", [1, 2, 3, 4]).build();
    for (to, bytes) in into_all(&odd, uids::EXPLICIT_LE) {
        assert!(bytes.ends_with(&[1, 2, 3, 4]), "{to}");
    }
}

#[test]
fn what_was_deflated_is_inflated() {
    let plain = Builder::new(Encoding::ExplicitLe).identified().put(tags::PIXEL_DATA, vec![7; 100_000]).build();
    for (to, bytes) in into_all(&deflate(&plain), uids::DEFLATED_LE) {
        assert_eq!(bytes == plain, to == uids::EXPLICIT_LE);
    }
    assert!(convert(io::empty(), &syntax(uids::EXPLICIT_LE), &syntax(uids::DEFLATED_LE)).is_none());
    assert!(convert(io::empty(), &syntax("1.2.840.10008.1.2.4.70"), &syntax(uids::EXPLICIT_LE)).is_none());
    assert!(convert(io::empty(), &syntax("1.2.840.113619.5.2"), &syntax(uids::EXPLICIT_LE)).is_none());
}

#[test]
fn what_cannot_be_converted_says_so() {
    let e = Encoding::ExplicitLe;
    let compressed = Builder::new(e).identified().fragments(&[b"", b"abcd"]).build();
    let error = converted(&compressed, uids::EXPLICIT_LE, uids::IMPLICIT_LE).unwrap_err();
    assert!(error.to_string().contains("compressed"), "{error}");
    // Implicit VR would make a sequence of it.
    let wrong = Builder::new(e).identified().put_as(tags::REFERENCED_STUDY_SEQUENCE, b"LO", "text").build();
    assert!(matches!(converted(&wrong, uids::EXPLICIT_LE, uids::IMPLICIT_LE), Err(ReadError::Malformed { .. })));
    assert!(converted(&wrong, uids::EXPLICIT_LE, uids::EXPLICIT_BE).is_ok());
    for (from, encoding) in ENCODINGS.into_iter().take(3) {
        let whole = Builder::new(encoding).identified().put(tags::PIXEL_DATA, [0; 64]).build();
        assert!(converted(&whole[..whole.len() - 2], from, uids::EXPLICIT_LE).is_err(), "{from}");
        for defined in [true, false] {
            assert!(converted(&nested(encoding, 64, defined), from, uids::EXPLICIT_BE).is_ok());
            let error = converted(&nested(encoding, 65, defined), from, uids::EXPLICIT_BE).unwrap_err();
            assert!(matches!(error, ReadError::TooDeep { .. }), "{error}");
        }
    }
    let bomb = deflate(&Builder::new(e).put(tags::PIXEL_DATA, vec![0; 100 << 20]).bytes);
    assert!(matches!(converted(&bomb, uids::DEFLATED_LE, uids::IMPLICIT_LE), Err(ReadError::Bomb { .. })));
}
