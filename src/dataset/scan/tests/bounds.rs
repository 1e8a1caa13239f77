//! What would cost memory or time without end, and does not.

use super::*;

#[test]
fn nesting_is_bounded_without_recursion() {
    for (uid, encoding) in ENCODINGS.into_iter().take(3) {
        for (depth, defined, fits) in [
            (63, false, true),
            (64, false, true),
            (65, false, false),
            (100_000, false, false),
            (63, true, true),
            (300, true, true),
        ] {
            let bytes = Builder::new(encoding).raw(&nested(encoding, depth, defined)).identified().build();
            let scan = scan(&bytes, uid);
            if fits {
                assert!(is_complete(&scan), "{uid} {depth} {defined}: {:?}", scan.outcome);
                assert_identified(&scan, uid);
            } else {
                let too_deep = matches!(scan.outcome, ScanOutcome::Unreadable(ReadError::TooDeep { limit: 64, .. }));
                assert!(too_deep, "{uid} {depth}: {:?}", scan.outcome);
            }
        }
    }
}

#[test]
fn a_length_is_never_believed() {
    for length in [0x7FFF_FFFEu32, 0xFFFF_FFFE, 0x0010_0000] {
        for (uid, encoding) in ENCODINGS.into_iter().take(3) {
            let huge = |tag| Builder::new(encoding).head(tag, Some(*b"UT"), Some(length as usize));
            for tag in [tags::PATIENT_NAME, tags::ADDITIONAL_PATIENT_HISTORY] {
                let bytes = huge(tag).raw(b"short").build();
                assert!(matches!(scan(&bytes, uid).outcome, ScanOutcome::Unreadable(_)), "{uid} {length:X}");
                // A prefix cannot become longer than any header.
                let outcome = prefix(&bytes, uid).outcome;
                assert_eq!(
                    matches!(outcome, ScanOutcome::NeedMore),
                    length == 0x0010_0000,
                    "{uid} {length:X}: {outcome:?}"
                );
            }
            // Behind what identifies the object, it does no harm.
            let bytes = Builder::new(encoding).identified().raw(&huge(Tag(0x0032, 0x4000)).bytes).build();
            let scan = scan(&bytes, uid);
            assert!(is_complete(&scan), "{:?}", scan.outcome);
            assert_identified(&scan, uid);
        }
    }
}

#[test]
fn a_deflate_bomb_does_not_go_off() {
    let started = Instant::now();
    // 20 MiB of a private value in front of what is wanted, and one behind it.
    let bomb = Builder::new(Encoding::ExplicitLe).put_as(Tag(0x0009, 0x1001), b"OB", vec![0; 20 << 20]);
    let outcome = scan(&deflate(&bomb.identified().bytes), uids::DEFLATED_LE).outcome;
    assert!(
        matches!(outcome, ScanOutcome::Unreadable(ReadError::TooLong { .. } | ReadError::Bomb { .. })),
        "{outcome:?}"
    );
    let behind = Builder::new(Encoding::ExplicitLe).identified().put(tags::PIXEL_DATA, vec![0; 20 << 20]);
    let scan = scan(&deflate(&behind.bytes), uids::DEFLATED_LE);
    assert!(is_complete(&scan));
    assert_identified(&scan, "bomb behind");
    // The stream itself is damaged.
    let mut broken = Builder::new(Encoding::DeflatedLe).identified().build();
    broken[3] ^= 0xFF;
    assert!(matches!(self::scan(&broken, uids::DEFLATED_LE).outcome, ScanOutcome::Unreadable(_)));
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn endless_headers_end_at_the_limit() {
    // Empty elements for ever, and zeros for ever.
    let empty = Builder::new(Encoding::ExplicitLe).put_as(Tag(0x0009, 0x1001), b"LO", "").bytes;
    let outcome = scan(&empty.repeat(3 << 20), uids::EXPLICIT_LE).outcome;
    assert!(matches!(outcome, ScanOutcome::Unreadable(ReadError::TooLong { .. })), "{outcome:?}");
    let outcome = scan_header(std::io::repeat(0), &syntax(uids::IMPLICIT_LE), true, &CharacterSet::ascii()).outcome;
    assert!(matches!(outcome, ScanOutcome::Unreadable(ReadError::TooLong { .. })), "{outcome:?}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_scanned_in_bounded_time(bytes: Vec<u8>, kind in 0..ENCODINGS.len(), whole: bool, begun: bool) {
        let (uid, encoding) = ENCODINGS[kind];
        let bytes = if begun { Builder::new(encoding).identified().raw(&bytes).build() } else { bytes };
        let started = Instant::now();
        let scan = scan_header(bytes.as_slice(), &syntax(uid), whole, &CharacterSet::ascii());
        proptest::prop_assert!(started.elapsed() < Duration::from_secs(5));
        proptest::prop_assert!(scan.header.anomalies.len() <= MOST_ANOMALIES);
    }

    #[test]
    fn damage_anywhere_never_panics(at in 0usize..2000, with: [u8; 4], kind in 0..ENCODINGS.len(), defined: bool) {
        let (uid, encoding) = ENCODINGS[kind];
        let inner = Builder::new(encoding).identified().bytes;
        let mut bytes = Builder::new(encoding)
            .sequence(tags::REFERENCED_STUDY_SEQUENCE, &[inner.clone(), inner], defined)
            .identified()
            .fragments(&[b"", b"abc"])
            .build();
        let at = at % (bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&with);
        let _ = scan_header(bytes.as_slice(), &syntax(uid), true, &CharacterSet::ascii());
        let _ = crate::dataset::value_digest(bytes.as_slice(), &syntax(uid));
        let _ = crate::dataset::Elements::read_lenient(&bytes, encoding);
        let _ = crate::dataset::read_part10_head(&bytes);
    }
}
