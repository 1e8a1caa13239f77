//! Native and encapsulated pixel data, and where their frames are found.

use std::io::Cursor;

use super::super::testing::{Builder, ENCODINGS};
use super::*;
use crate::dicom::uids;

const JPEG: &str = "1.2.840.10008.1.2.4.70";

fn header(frames: &str) -> Builder {
    Builder::new(ENCODINGS[1].1)
        .put(tags::SAMPLES_PER_PIXEL, 1u16.to_le_bytes())
        .put(tags::NUMBER_OF_FRAMES, frames)
        .put(tags::ROWS, 2u16.to_le_bytes())
        .put(tags::COLUMNS, 3u16.to_le_bytes())
        .put(tags::BITS_ALLOCATED, 16u16.to_le_bytes())
}

/// The bytes of every frame.
fn frames(data: &[u8], syntax: &str) -> Result<Vec<Vec<u8>>, NoFrames> {
    let pixels = find_pixels(data, &TransferSyntaxUid::new(syntax)).unwrap().unwrap();
    // Something stands before the data set, as in a file.
    let file = [&[0xEE; 7], data].concat();
    let frames = pixels.locate(&mut Cursor::new(&file), 7).unwrap()?;
    let size = |n: u64| usize::try_from(n).unwrap();
    let bytes = |ranges: Vec<(u64, u64)>| -> Vec<u8> {
        ranges.into_iter().flat_map(|(at, length)| data[size(at)..size(at + length)].to_vec()).collect()
    };
    assert_eq!(frames.of(frames.count()), None);
    Ok((0..frames.count()).map(|number| bytes(frames.of(number).unwrap())).collect())
}

#[test]
fn native_frames_stand_one_behind_the_other() {
    let pixels: Vec<u8> = (0..24).collect();
    let data = header("2").put_as(tags::PIXEL_DATA, b"OW", &pixels).bytes;
    assert_eq!(frames(&data, uids::EXPLICIT_LE).unwrap(), [pixels[..12].to_vec(), pixels[12..].to_vec()]);
    let short = header("3").put_as(tags::PIXEL_DATA, b"OW", &pixels).bytes;
    assert_eq!(frames(&short, uids::EXPLICIT_LE).unwrap().len(), 2, "no more than there are");
    let bits = header("8").put(tags::BITS_ALLOCATED, 1u16.to_le_bytes()).put_as(tags::PIXEL_DATA, b"OW", [0; 6]).bytes;
    assert!(frames(&bits, uids::EXPLICIT_LE).is_err(), "six bits are no byte");
    assert_eq!(find_pixels(&header("1").bytes[..], &TransferSyntaxUid::new(uids::EXPLICIT_LE)).unwrap(), None);
}

#[test]
fn encapsulated_frames_are_told_by_tables_by_number_or_by_what_they_begin_with() {
    let soi = |rest: &[u8]| [&[0xFF, 0xD8, 0xFF, 0xE0], rest].concat();
    let (a, b, c) = (soi(b"aa"), b"bb".to_vec(), soi(b"cc"));
    let whole = vec![[a.clone(), b.clone()].concat(), c.clone()];
    let of = |frames: &str, table: &[u8]| header(frames).fragments(&[table, &a, &b, &c]).bytes;
    let offsets = |n: u32| [0u32.to_le_bytes(), n.to_le_bytes()].concat();
    // The first has two fragments with a header each: 8 + 6 + 8 + 2.
    assert_eq!(frames(&of("2", &offsets(24)), JPEG).unwrap(), whole);
    assert_eq!(frames(&of("2", &[]), JPEG).unwrap(), whole, "by the beginning of code streams");
    assert_eq!(frames(&of("2", &offsets(3)), JPEG).unwrap(), whole, "a table that leads nowhere");
    assert_eq!(frames(&of("1", &[]), JPEG).unwrap(), [[a.clone(), b.clone(), c.clone()].concat()]);
    assert_eq!(frames(&of("3", &[]), JPEG).unwrap(), [a.clone(), b.clone(), c.clone()], "one each");
    assert!(frames(&of("4", &[]), JPEG).is_err());
    let extended = [0u64.to_le_bytes(), 24u64.to_le_bytes()].concat();
    let data = header("2").put(tags::EXTENDED_OFFSET_TABLE, extended).fragments(&[&[], &a, b"bb", &c]).bytes;
    assert_eq!(frames(&data, JPEG).unwrap(), whole);
}

#[test]
fn lying_tables_and_cut_files_harm_nobody() {
    let data = header("2").fragments(&[&[0xFF; 8], b"aaaa", b"bbbb"]).bytes;
    for cut in 0..data.len() {
        let Ok(Some(pixels)) = find_pixels(&data[..cut], &TransferSyntaxUid::new(JPEG)) else { continue };
        let located = pixels.locate(&mut Cursor::new(&data[..cut]), 0).unwrap();
        if let Ok(frames) = located {
            let _ranges: Vec<_> = (0..frames.count()).map(|number| frames.of(number)).collect();
        }
    }
    let backwards = [[40u32.to_le_bytes(), 0u32.to_le_bytes()].concat()].concat();
    let data = header("2").fragments(&[&backwards, b"aaaa", b"bbbb"]).bytes;
    assert_eq!(frames(&data, JPEG).unwrap(), [b"aaaa".to_vec(), b"bbbb".to_vec()]);
}
