//! Headers, sound and damaged.

mod bounds;

use std::time::{Duration, Instant};

use super::super::testing::{Builder, ENCODINGS, deflate, nested, syntax};
use super::*;
use crate::dicom::uids;

fn scan(bytes: &[u8], uid: &str) -> Scan {
    scan_header(bytes, &syntax(uid), true, &CharacterSet::ascii())
}

fn prefix(bytes: &[u8], uid: &str) -> Scan {
    scan_header(bytes, &syntax(uid), false, &CharacterSet::ascii())
}

fn assert_identified(scan: &Scan, why: &str) {
    let uids = [&scan.header.study_uid, &scan.header.series_uid, &scan.header.sop_instance_uid];
    let uids: Vec<&str> = uids.into_iter().flatten().map(Uid::as_str).collect();
    assert_eq!(uids, ["1.2.3", "1.2.3.4", "1.2.3.4.5"], "{why}: {:?}", scan.outcome);
}

fn is_complete(scan: &Scan) -> bool {
    matches!(scan.outcome, ScanOutcome::Complete)
}

#[test]
fn every_encoding_yields_the_same_header() {
    for (uid, encoding) in ENCODINGS {
        let bytes = Builder::new(encoding).identified().put(tags::PIXEL_DATA, [0; 64]).build();
        let scan = scan(&bytes, uid);
        assert!(is_complete(&scan), "{uid}: {:?}", scan.outcome);
        assert_identified(&scan, uid);
        let header = &scan.header;
        assert_eq!(header.patient_name.as_deref(), Some("Müller^Hans"));
        assert_eq!(header.patient_id.as_deref(), Some("4711"));
        assert_eq!(header.study_date.as_deref(), Some("20200131"));
        assert_eq!((header.rows, header.columns), (Some(512), Some(256)));
        assert_eq!(header.character_set.as_deref(), Some("ISO_IR 100"));
        assert_eq!(header.study_description, None);
        assert_eq!(header.anomalies, [""; 0]);
    }
}

#[test]
fn a_syntax_that_nobody_knows_is_read_as_explicit() {
    let bytes = Builder::new(Encoding::ExplicitLe).identified().fragments(&[b"", b"anything"]).build();
    for uid in ["1.3.46.670589.33.1.4.1", "1.2.840.10008.1.2.4.52", "1.2.840.10008.1.2.4.201"] {
        let scan = scan(&bytes, uid);
        assert!(is_complete(&scan));
        assert_identified(&scan, uid);
    }
    // GE's private one has Implicit VR elements.
    let bytes = Builder::new(Encoding::ImplicitLe).identified().build();
    let scan = scan(&bytes, "1.2.840.113619.5.2");
    assert_identified(&scan, "GE");
    assert_eq!(scan.header.anomalies, [""; 0]);
}

#[test]
fn a_wrong_label_is_seen_through() {
    for (_, encoding) in ENCODINGS.into_iter().take(3) {
        let bytes = Builder::new(encoding).identified().put(tags::PIXEL_DATA, [0; 64]).build();
        for (uid, declared) in ENCODINGS {
            // Implicit is not mistaken for a deflate stream, but no deflate stream is looked for in it either.
            if declared == Encoding::DeflatedLe && encoding != Encoding::ExplicitLe {
                continue;
            }
            let scan = scan(&bytes, uid);
            assert!(is_complete(&scan), "{encoding:?} said to be {uid}: {:?}", scan.outcome);
            assert_identified(&scan, uid);
            assert_eq!(scan.header.anomalies.is_empty(), encoding == declared, "{encoding:?} said to be {uid}");
        }
    }
}

#[test]
fn a_prefix_asks_for_more_only_while_something_is_missing() {
    for (uid, encoding) in ENCODINGS.into_iter().take(3) {
        let header = Builder::new(encoding).identified().build();
        let whole = Builder::new(encoding).identified().put_as(Tag(0x0029, 0x1010), b"OB", [1; 5000]).build();
        for cut in 0..header.len() {
            let scan = prefix(&whole[..cut], uid);
            assert!(matches!(scan.outcome, ScanOutcome::NeedMore), "{uid} cut at {cut}: {:?}", scan.outcome);
        }
        // Behind the last attribute of interest nothing more is needed.
        let scan = prefix(&whole[..header.len() + 100], uid);
        assert!(is_complete(&scan), "{:?}", scan.outcome);
        assert_identified(&scan, uid);
        // The end of a whole data set is its end, and a cut within an element is damage.
        assert!(is_complete(&self::scan(&header, uid)));
        assert!(matches!(self::scan(&header[..header.len() - 1], uid).outcome, ScanOutcome::Unreadable(_)));
    }
    let deflated = Builder::new(Encoding::DeflatedLe).identified().put(tags::PIXEL_DATA, vec![7; 100_000]).build();
    assert!(matches!(prefix(&deflated[..20], uids::DEFLATED_LE).outcome, ScanOutcome::NeedMore));
    assert!(matches!(
        self::scan(&deflated[..20], uids::DEFLATED_LE).outcome,
        ScanOutcome::Unreadable(ReadError::Truncated { .. })
    ));
}

#[test]
fn what_is_harmless_is_told_and_passed() {
    let e = Encoding::ExplicitLe;
    let stray = Builder::new(e).head(wire::ITEM_END, None, Some(0)).head(wire::SEQUENCE_END, None, Some(0));
    let odd = Builder::new(e).raw(b"\x08\0\x03\0CS\x03\0ABC").raw(b"\x08\0\x04\0CS\x01\0A");
    let lengths = Builder::new(e).put(Tag(0x0008, 0x0000), 400u32.to_le_bytes());
    let lower_vr = Builder::new(e).raw(b"\x08\0\x08\0\0\0\0\0");
    let unknown_long = Builder::new(e).raw(b"\x08\0\x08\0ZZ\0\0\x04\0\0\0abcd");
    let unknown_short = Builder::new(e).raw(b"\x08\0\x08\0ZZ\x04\0abcd");
    let unknown_empty = Builder::new(e).raw(b"\x08\0\x08\0ZZ\0\0");
    // UN of undefined length holds Implicit elements; some write Explicit ones.
    let implicit = Builder::new(Encoding::ImplicitLe).put(tags::STUDY_DATE, "19990101").bytes;
    let explicit = Builder::new(e).put(tags::STUDY_DATE, "19990101").bytes;
    let un = |content: &[u8]| {
        let open = Builder::new(e).head(Tag(0x0009, 0x1001), Some(*b"UN"), None).head(wire::ITEM, None, None);
        open.raw(content).head(wire::ITEM_END, None, Some(0)).head(wire::SEQUENCE_END, None, Some(0))
    };
    // The last item is left open.
    let open = Builder::new(e).head(Tag(0x0009, 0x1001), Some(*b"SQ"), None).head(wire::ITEM, None, None);
    let open = open.raw(&explicit).head(wire::SEQUENCE_END, None, Some(0));
    let cases = [
        ("stray delimiters", stray),
        ("odd lengths", odd),
        ("group lengths", lengths),
        ("an element without VR", lower_vr),
        ("an unknown VR in the long form", unknown_long),
        ("an unknown VR in the short form", unknown_short),
        ("an unknown VR, empty", unknown_empty),
        ("UN with Implicit items", un(&implicit)),
        ("UN with Explicit items", un(&explicit)),
        ("an open item", open),
        ("out of order", Builder::new(e).put(Tag(0x0032, 0x1060), "late").put(Tag(0x0010, 0x4000), "early")),
    ];
    for (why, begin) in cases {
        let bytes = begin.identified().put(tags::PIXEL_DATA, [0; 4]).build();
        let scan = scan(&bytes, uids::EXPLICIT_LE);
        assert!(is_complete(&scan), "{why}: {:?}", scan.outcome);
        assert_identified(&scan, why);
        // Some of them stand before what they should follow.
        let expected = if why == "stray delimiters" {
            "a delimiter stands outside a sequence"
        } else {
            "elements are out of order"
        };
        assert!(scan.header.anomalies.iter().all(|told| told == expected), "{why}: {:?}", scan.header.anomalies);
        let must_be_told = matches!(why, "stray delimiters" | "out of order");
        assert!(!must_be_told || !scan.header.anomalies.is_empty(), "{why}");
    }
    // Trailing padding, of the right and of the wrong kind.
    for padding in [Builder::new(e).put(tags::DATA_SET_TRAILING_PADDING, [0; 9]).bytes, vec![0; 13], vec![0; 3]] {
        let bytes = Builder::new(e).identified().raw(&padding).build();
        assert!(is_complete(&scan(&bytes, uids::EXPLICIT_LE)), "{} bytes", padding.len());
    }
}

#[test]
fn values_of_the_wrong_kind_cost_themselves_only() {
    let e = Encoding::ExplicitLe;
    let bytes = Builder::new(e)
        .put(tags::SPECIFIC_CHARACTER_SET, "KLINGON")
        .put(tags::STUDY_DESCRIPTION, vec![b'x'; 3000])
        .sequence(tags::ACCESSION_NUMBER, &[Vec::new()], false)
        .put_as(tags::BODY_PART_EXAMINED, b"UT", vec![b'y'; 70_000])
        .put_as(tags::ROWS, b"UL", 300u32.to_le_bytes())
        .put_as(tags::COLUMNS, b"IS", "400")
        .identified()
        .build();
    let scan = scan(&bytes, uids::EXPLICIT_LE);
    assert!(is_complete(&scan), "{:?}", scan.outcome);
    let header = &scan.header;
    assert_eq!(header.study_description.as_ref().map(String::len), Some(1024));
    assert_eq!((&header.accession_number, &header.body_part), (&None, &None));
    assert_eq!((header.rows, header.columns), (Some(300), Some(400)));
    let anomalies = header.anomalies.join("; ");
    for told in ["KLINGON", "(0008,0050)", "(0018,0015)", "(0028,0010) occurs more than once", "out of order"] {
        assert!(anomalies.contains(told), "{told}: {anomalies}");
    }
}

#[test]
fn a_source_may_have_a_character_set_of_its_own() {
    let greek = CharacterSet::from_terms("ISO_IR 126");
    for charset in [None, Some("")] {
        let mut builder = Builder::new(Encoding::ExplicitLe);
        if let Some(charset) = charset {
            builder = builder.put(tags::SPECIFIC_CHARACTER_SET, charset);
        }
        let bytes = builder.put(tags::PATIENT_NAME, b"\xc4\xe9\xef").build();
        let scan = scan_header(bytes.as_slice(), &syntax(uids::EXPLICIT_LE), true, &greek);
        assert_eq!(scan.header.patient_name.as_deref(), Some("Διο"));
    }
}
