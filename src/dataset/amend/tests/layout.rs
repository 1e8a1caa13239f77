//! How objects are laid out: compressed pixels, what lies behind them, odd and damaged ones, large ones.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::super::testing::nested;
use super::super::super::wire::{ITEM, ITEM_END, SEQUENCE_END};
use super::*;

const LE: Encoding = Encoding::ExplicitLe;

fn another_patient() -> Amendment {
    put(&[(tags::PATIENT_ID, "B-12")])
}

fn identified(patient: &str) -> Builder {
    let builder = Builder::new(LE).put(tags::SOP_INSTANCE_UID, "1.2.3.4.5");
    builder.put(tags::PATIENT_ID, patient).put(tags::STUDY_INSTANCE_UID, "1.2.3")
}

#[test]
fn compressed_pixels_and_what_lies_behind_them_pass_and_signatures_do_not() {
    let signature = || Builder::new(LE).put(tags::MAC_ALGORITHM, "MD5").bytes;
    let large = vec![9; 50_000];
    type Change = fn(Builder) -> Builder;
    let behind: [(&str, Change, Change); 6] = [
        ("nothing", |b| b, |b| b),
        (
            "padding",
            |b| b.put_as(Tag(0xFFFC, 0xFFFC), b"OB", [0; 20]),
            |b| b.put_as(Tag(0xFFFC, 0xFFFC), b"OB", [0; 20]),
        ),
        ("no element at all", |b| b.raw(b"something that a vendor needs"), |b| b.raw(b"something that a vendor needs")),
        ("less than a header", |b| b.raw(b"odd"), |b| b.raw(b"odd")),
        (
            "a signature and padding",
            |b| {
                let item = Builder::new(LE).put(tags::MAC_ALGORITHM, "MD5").bytes;
                b.sequence(tags::DIGITAL_SIGNATURES_SEQUENCE, &[item], false).put_as(
                    Tag(0xFFFC, 0xFFFC),
                    b"OB",
                    [0; 20],
                )
            },
            |b| b.put_as(Tag(0xFFFC, 0xFFFC), b"OB", [0; 20]),
        ),
        (
            "an offset table",
            |b| b.put(tags::EXTENDED_OFFSET_TABLE, [1; 8]),
            |b| b.put(tags::EXTENDED_OFFSET_TABLE, [1; 8]),
        ),
    ];
    for (what, before, after) in behind {
        let fragments: [&[u8]; 4] = [b"", b"abcd", &large, b"end "];
        let native = |b: Builder| b.put(tags::PIXEL_DATA, &large);
        let encapsulated = |b: Builder| b.fragments(&fragments);
        for pixels in [&native as &dyn Fn(Builder) -> Builder, &encapsulated] {
            let source = identified("4711").sequence(tags::MAC_PARAMETERS_SEQUENCE, &[signature()], true);
            let source = before(pixels(source)).build();
            let out = amended(&source, "1.2.840.10008.1.2.4.70", &[&another_patient()]).unwrap();
            assert!(out == after(pixels(identified("B-12"))).build(), "{what}");
        }
    }
}

#[test]
fn pixel_data_that_were_cut_off_pass_as_they_are_and_headers_do_not() {
    for compressed in [true, false] {
        let pixels = |b: Builder| {
            if compressed { b.fragments(&[b"", &[5; 9_000]]) } else { b.put(tags::PIXEL_DATA, [5; 9_000]) }
        };
        let (before, after) = (pixels(identified("4711")).build(), pixels(identified("B-12")).build());
        let header = identified("4711").bytes.len() + 12;
        assert_eq!(before.len(), after.len());
        for cut in (header..before.len()).step_by(7).chain(before.len() - 20..before.len()) {
            let out = amended(&before[..cut], uids::EXPLICIT_LE, &[&another_patient()]).unwrap();
            // Zeros that are less than a header are no padding that is missed.
            assert!(after[..cut].starts_with(&out) && after[out.len()..cut].iter().all(|&b| b == 0), "{cut}");
        }
        for cut in 1..header {
            let out = amended(&before[..cut], uids::EXPLICIT_LE, &[&another_patient()]);
            // Where the new Patient ID is written, everything is: what was cut off stays cut off.
            assert_eq!(out.is_ok(), cut == 18 || cut >= 26, "{cut}: {out:?}");
            if cut >= 26 {
                let (out, cut) = (out.unwrap(), cut.max(30));
                assert!(after[..cut].starts_with(&out) && after[out.len()..cut].iter().all(|&b| b == 0), "{cut}");
            }
        }
    }
    // A sequence that gets an item does not get it where it was cut off.
    let item = Builder::new(LE).put(tags::MANUFACTURER, "other").bytes;
    let builder = Builder::new(LE).put(tags::PATIENT_ID, "4711");
    let whole = builder.sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, &[item], true).build();
    let mut amendment = corrected(another_patient());
    amendment.original = None;
    for cut in 13..whole.len() {
        assert!(amended(&whole[..cut], uids::EXPLICIT_LE, &[&amendment]).is_err(), "{cut}");
    }
}

#[test]
fn odd_headers_are_amended_and_read_as_before() {
    // Group lengths are wrong behind it; the others stay as they are.
    let odd = Builder::new(LE)
        .put(Tag(0x0008, 0x0000), 999u32.to_le_bytes())
        .put_as(Tag(0x0008, 0x0001), b"UL", 999u32.to_le_bytes())
        .put(tags::SOP_INSTANCE_UID, "1.2.3.4.5")
        .put_as(Tag(0x0009, 0x1001), b"ZZ", [1, 2])
        // No VR at all.
        .head(Tag(0x0009, 0x1002), None, Some(4))
        .raw(&[1, 2, 3, 4])
        .put(tags::STUDY_INSTANCE_UID, "1.2.3")
        // Out of order, and there twice.
        .put(tags::STUDY_DATE, "20200101")
        .put(tags::PATIENT_ID, "4711")
        .put(tags::PATIENT_ID, "4712")
        .put(tags::PATIENT_SEX, "O")
        .head(ITEM_END, None, Some(0))
        .build();
    let mut amendment = another_patient();
    amendment.remove = vec![tags::STUDY_DATE];
    let expected = Builder::new(LE)
        .put(tags::SOP_INSTANCE_UID, "1.2.3.4.5")
        .put_as(Tag(0x0009, 0x1001), b"ZZ", [1, 2])
        .head(Tag(0x0009, 0x1002), None, Some(4))
        .raw(&[1, 2, 3, 4])
        .put(tags::PATIENT_ID, "B-12")
        .put(tags::STUDY_INSTANCE_UID, "1.2.3")
        .put(tags::PATIENT_SEX, "O")
        .build();
    assert_eq!(amended(&odd, uids::EXPLICIT_LE, &[&amendment]).unwrap(), expected);
    // No element is there twice afterwards: a sequence that comes after its place makes way, and is told.
    let item = Builder::new(LE).put(tags::MANUFACTURER, "other").bytes;
    let late = identified("4711").sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, &[item], true).build();
    let out = after(&late, uids::EXPLICIT_LE, &[&corrected(another_patient())]);
    let original = out.item(tags::ORIGINAL_ATTRIBUTES_SEQUENCE).unwrap();
    let modified = original.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
    for (tree, manufacturer) in [(&out, "pacsferry"), (modified, "other")] {
        let item = tree.item(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE).unwrap();
        assert_eq!(item.text(tags::MANUFACTURER), Some(manufacturer));
    }
    // Not encoded as its label says.
    for (label, _) in ENCODINGS {
        let out = amended(&identified("4711").build(), label, &[&another_patient()]).unwrap();
        assert_eq!(out, identified("B-12").build(), "{label}");
    }
    // Nothing at all.
    let only = Builder::new(LE).put(tags::PATIENT_ID, "B-12").build();
    assert_eq!(amended(b"", uids::EXPLICIT_LE, &[&another_patient()]).unwrap(), only);
}

#[test]
fn sequences_without_a_change_keep_every_byte() {
    for (uid, encoding) in ENCODINGS.into_iter().take(3) {
        let e = || Builder::new(encoding);
        let deep = e().sequence(tags::REFERENCED_IMAGE_SEQUENCE, &[e().put(tags::ROWS, [1, 0]).bytes], true).bytes;
        let large = e().put_as(Tag(0x0029, 0x1001), b"OB", vec![1; 70_000]).bytes;
        let icon = e().head(tags::ICON_IMAGE_SEQUENCE, Some(*b"SQ"), None).head(ITEM, None, None);
        let icon = icon.fragments(&[b"", b"abcd"]).head(ITEM_END, None, Some(0)).head(SEQUENCE_END, None, Some(0));
        let build = |patient: &str| {
            let items = [deep.clone(), Vec::new(), large.clone()];
            let builder = e().put(Tag(0x0010, 0x0020), patient).sequence(REQUESTS, &items, true);
            builder.raw(&icon.bytes).sequence(tags::CONTENT_SEQUENCE, &items, false).build()
        };
        assert!(amended(&build("4711"), uid, &[&another_patient()]).unwrap() == build("B-12"), "{uid}");
    }
}

#[test]
fn items_are_appended_to_those_that_are_there_however_they_are_encoded() {
    let value = |patient: &str, e: Encoding| {
        Builder::new(e).put(tags::PATIENT_ID, patient).put(tags::SOP_INSTANCE_UID, "1.5").bytes
    };
    for (uid, encoding) in ENCODINGS {
        for defined in [true, false] {
            let old = Builder::new(encoding)
                .sequence(tags::MODIFIED_ATTRIBUTES_SEQUENCE, &[value("OLD", encoding)], defined)
                .bytes;
            for existing in [Some(vec![old.clone()]), Some(vec![]), Some(vec![old.clone(), old]), None] {
                let before = Builder::new(encoding).put(tags::SOP_INSTANCE_UID, "1.5").put(tags::PATIENT_ID, "4711");
                let before = match &existing {
                    Some(items) => before.sequence(tags::ORIGINAL_ATTRIBUTES_SEQUENCE, items, defined),
                    None => before,
                };
                let mut amendment = another_patient();
                amendment.uids.insert(UidKind::Instance, Uid::new("1.5"), Uid::new("2.25.1"));
                let out = after(&before.build(), uid, &[&corrected(amendment)]);
                let items = out.items(tags::ORIGINAL_ATTRIBUTES_SEQUENCE);
                assert_eq!(items.len(), existing.map_or(0, |items| items.len()) + 1, "{uid}");
                let (last, others) = items.split_last().unwrap();
                for (item, patient) in others.iter().map(|item| (item, "OLD")).chain([(last, "4711")]) {
                    let modified = item.item(tags::MODIFIED_ATTRIBUTES_SEQUENCE).unwrap();
                    assert_eq!(modified.text(tags::PATIENT_ID), Some(patient), "{uid}");
                    // What was, was under the old UID.
                    assert_eq!(modified.uid(tags::SOP_INSTANCE_UID), Some(Uid::new("1.5")), "{uid}");
                }
                assert_eq!(out.uid(tags::SOP_INSTANCE_UID), Some(Uid::new("2.25.1")));
            }
        }
    }
    // One that somebody did not know, and one that is none.
    let implicit = Builder::new(Encoding::ImplicitLe);
    let item = Builder::new(Encoding::ImplicitLe).put(tags::MANUFACTURER, "other").bytes;
    let items = implicit.head(ITEM, None, Some(item.len())).raw(&item).bytes;
    for (value, expected) in [(items, &["other", "pacsferry"][..]), (b"no items".to_vec(), &["pacsferry"])] {
        let before = Builder::new(LE).put(tags::PATIENT_ID, "4711");
        let before = before.put_as(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, b"UN", value);
        let out = after(&before.build(), uids::EXPLICIT_LE, &[&corrected(another_patient())]);
        let items = out.items(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE);
        assert_eq!(items.iter().map(|item| item.text(tags::MANUFACTURER).unwrap()).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn nesting_and_inflation_are_bounded() {
    let mut amendment = Amendment::default();
    amendment.uids.insert(UidKind::Instance, Uid::new("1.5"), Uid::new("2.25.1"));
    for (uid, encoding) in ENCODINGS.into_iter().take(3) {
        for defined in [true, false] {
            assert!(amended(&nested(encoding, 64, defined), uid, &[&amendment]).is_ok(), "{uid}");
            let deep = amended(&nested(encoding, 65, defined), uid, &[&amendment]);
            assert!(matches!(deep, Err(ReadError::TooDeep { .. })), "{uid} {deep:?}");
        }
    }
    let bomb = super::super::super::testing::deflate(&Builder::new(LE).put(tags::PIXEL_DATA, vec![0; 100 << 20]).bytes);
    assert!(matches!(amended(&bomb, uids::DEFLATED_LE, &[&amendment]), Err(ReadError::Bomb { .. })));
}

/// A header, and pixels that are made while they are read.
struct Large {
    header: Cursor<Vec<u8>>,
    left: u64,
    given: Arc<AtomicU64>,
    small: Arc<AtomicU64>,
}

impl Read for Large {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut n = self.header.read(out)?;
        if n == 0 {
            n = usize::try_from(self.left.min(out.len() as u64)).unwrap();
            out[..n].fill(7);
            self.left -= n as u64;
            self.small.fetch_add(u64::from(n < 256 * 1024), Ordering::Relaxed);
        }
        self.given.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

#[test]
fn large_pixel_data_pass_in_constant_memory_and_in_the_readers_own_pieces() {
    const PIXELS: u32 = 256 << 20;
    let header = identified("4711").head(tags::PIXEL_DATA, Some(*b"OW"), Some(PIXELS as usize)).bytes;
    let (given, small) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let source =
        Large { header: Cursor::new(header.clone()), left: PIXELS.into(), given: given.clone(), small: small.clone() };
    let chain = [Arc::new(corrected(another_patient())), Arc::new(corrected(put(&[(tags::PATIENT_ID, "C")])))];
    let mut reader = amend(source, &syntax(uids::EXPLICIT_LE), &chain).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let (mut taken, mut most_ahead) = (0, 0);
    loop {
        let n = reader.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        taken += n as u64;
        most_ahead = most_ahead.max(given.load(Ordering::Relaxed).saturating_sub(taken));
    }
    assert!(taken > u64::from(PIXELS) + header.len() as u64);
    assert!(most_ahead <= 32 * 1024, "{most_ahead} bytes were held");
    assert!(small.load(Ordering::Relaxed) <= 8, "the pixels are not read in pieces of a window");
}
