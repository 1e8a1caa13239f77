//! Bombs, truncations and lies: whatever the bytes are, the worker says why there is no picture, or dies alone.

use std::io::Write;
use std::time::{Duration, Instant};

use pacsferry::dataset::Elements;
use pacsferry::dicom::{Encoding, tags, uids};

use super::worker::{Answer, Worker};
use crate::support::peers::samples;

const JPEG: &str = "1.2.840.10008.1.2.4.50";
const LOSSLESS: &str = "1.2.840.10008.1.2.4.70";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const JPEG_2000: &str = "1.2.840.10008.1.2.4.90";
const RLE: &str = "1.2.840.10008.1.2.5";
/// No answer takes longer, on a slow machine that does much else.
const LONGEST: Duration = Duration::from_secs(120);

/// A header that says so many pixels, and no pixel data.
fn header(rows: u16, columns: u16, frames: &str) -> Vec<u8> {
    let mut elements = Elements::new();
    elements.put_u16(tags::SAMPLES_PER_PIXEL, 1).put(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    elements.put(tags::NUMBER_OF_FRAMES, frames).put_u16(tags::ROWS, rows).put_u16(tags::COLUMNS, columns);
    elements.put_u16(tags::BITS_ALLOCATED, 16).put_u16(tags::BITS_STORED, 16).put_u16(tags::HIGH_BIT, 15);
    elements.write(Encoding::ExplicitLe)
}

/// Encapsulated pixel data of these fragments, behind a header.
pub(super) fn encapsulated(mut head: Vec<u8>, fragments: &[&[u8]]) -> Vec<u8> {
    head.extend(b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\0\0\0\0");
    for fragment in fragments {
        head.extend(b"\xFE\xFF\0\xE0");
        head.extend(u32::try_from(fragment.len()).unwrap().to_le_bytes());
        head.extend(*fragment);
    }
    head.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    head
}

fn encapsulated_syntax(syntax: &str) -> bool {
    [JPEG, LOSSLESS, JPEG_LS, JPEG_2000, RLE].contains(&syntax)
}

/// Asks, and never gets a picture; starts another worker where that one died.
fn refused(worker: &mut Worker, what: &str, syntax: &str, data_set: &[u8], frame: u64) {
    let begun = Instant::now();
    // What is no picture is no native data set either, and said in words or by dying.
    if frame == 1 && encapsulated_syntax(syntax) {
        match worker.ask(syntax, data_set, frame, "Native") {
            Answer::Reason(why) => assert!(!why.is_empty() && why.len() < 1000, "{what}: {why}"),
            Answer::Died => *worker = Worker::start(),
            other => panic!("{what} was decoded: {other:?}"),
        }
    }
    let answer = worker.ask(syntax, data_set, frame, "Png");
    assert!(begun.elapsed() < LONGEST, "{what} took {:?}", begun.elapsed());
    match answer {
        Answer::Reason(why) => assert!(!why.is_empty() && why.len() < 1000, "{what}: {why}"),
        Answer::NoFrame => {}
        Answer::Died => *worker = Worker::start(),
        Answer::Picture(_) => panic!("{what} is no picture"),
    }
}

#[test]
fn bombs_and_lies_are_no_pictures() {
    let mut worker = Worker::start();
    let most = header(65_535, 65_535, "1");
    let native = |mut head: Vec<u8>, length: u32, bytes: &[u8]| {
        head.extend(b"\xE0\x7F\x10\0OW\0\0");
        head.extend(length.to_le_bytes());
        head.extend(bytes);
        head
    };
    let bytes = native(most.clone(), 10, &[0; 10]);
    refused(&mut worker, "a native frame of 8 GB", uids::EXPLICIT_LE, &bytes, 1);
    let bytes = native(header(30_000, 30_000, "1"), 1_800_000_000, &[0; 10]);
    refused(&mut worker, "a value that is not there", uids::EXPLICIT_LE, &bytes, 1);
    let bytes = native(header(2, 2, "1000000000"), 8, &[0; 8]);
    refused(&mut worker, "the last of 10^9 frames", uids::EXPLICIT_LE, &bytes, 1_000_000_000);
    refused(&mut worker, "a frame that is none", uids::EXPLICIT_LE, &bytes, u64::MAX);
    refused(&mut worker, "frame 0", uids::EXPLICIT_LE, &bytes, 0);
    let frames = encapsulated(header(2, 2, "1000000000"), &[&[0xFF, 0xD8]]);
    refused(&mut worker, "fragments of 10^9 frames", JPEG, &frames, 999_999_999);

    // Frame headers of 65535 × 65535, of all the coders.
    let start = |marker: u8, more: &[u8]| {
        let mut bytes = vec![0xFF, 0xD8, 0xFF, marker, 0, 11, 16, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 0x11, 0];
        bytes.extend(more);
        bytes
    };
    let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 0, 0];
    refused(&mut worker, "lossless JPEG", LOSSLESS, &encapsulated(most.clone(), &[&start(0xC3, &scan)]), 1);
    refused(&mut worker, "JPEG-LS", JPEG_LS, &encapsulated(most.clone(), &[&start(0xF7, &scan)]), 1);
    let mut baseline = start(0xC0, &scan);
    baseline[6] = 8;
    refused(&mut worker, "baseline JPEG", JPEG, &encapsulated(most.clone(), &[&baseline]), 1);
    let mut siz = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
    siz.extend([0x7F, 0xFF, 0xFF, 0xFF].repeat(2).into_iter().chain([0; 8]));
    siz.extend([0x7F, 0xFF, 0xFF, 0xFF].repeat(2).into_iter().chain([0; 8]).chain([0, 1, 15, 1, 1]));
    refused(&mut worker, "JPEG 2000", JPEG_2000, &encapsulated(most.clone(), &[&siz]), 1);
    refused(&mut worker, "RLE", RLE, &encapsulated(most, &[&[1; 64]]), 1);

    // Headers that never end, or nest without end.
    let mut deep = Vec::new();
    for _ in 0..100_000 {
        deep.extend(b"\x08\0\x15\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF");
    }
    refused(&mut worker, "a hundred thousand sequences", uids::EXPLICIT_LE, &deep, 1);
    let mut bomb = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(b"\x09\0\x10\x10OB\0\0\0\0\0\xF0").unwrap();
    for _ in 0..200 {
        bomb.write_all(&[0; 1 << 20]).unwrap();
    }
    refused(&mut worker, "a deflate bomb", uids::DEFLATED_LE, &bomb.finish().unwrap(), 1);
    refused(&mut worker, "nothing", uids::IMPLICIT_LE, &[], 1);
    let text = b"what is no data set at all, but goes on for a while as if it were one".repeat(50);
    refused(&mut worker, "a text", uids::EXPLICIT_LE, &text, 1);
}

#[test]
fn what_is_cut_or_damaged_costs_one_picture() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut worker = Worker::start();
    let known: Vec<_> = samples();
    let mut syntaxes: Vec<&str> = Vec::new();
    for sample in &known {
        let data = sample.data_set();
        let fits = data.len() < 200_000;
        let coded = [JPEG, "1.2.840.10008.1.2.4.51", LOSSLESS, "1.2.840.10008.1.2.4.57", JPEG_LS, JPEG_2000, RLE]
            .contains(&sample.transfer_syntax.as_str());
        if !fits || !coded || syntaxes.iter().filter(|known| **known == sample.transfer_syntax).count() >= 2 {
            continue;
        }
        syntaxes.push(&sample.transfer_syntax);
        for round in 0..12 {
            let mut damaged = data.clone();
            if round % 2 == 0 {
                damaged.truncate(random.usize(..data.len()));
            } else {
                // Behind the header, where the coders are.
                for _ in 0..=round {
                    let at = random.usize(data.len() / 3..data.len());
                    damaged[at] ^= 1 << random.u8(..8);
                }
            }
            let begun = Instant::now();
            // A picture with a flaw is one as well.
            for form in ["Jpeg", "Native"] {
                if let Answer::Died = worker.ask(&sample.transfer_syntax, &damaged, 1, form) {
                    worker = Worker::start();
                }
            }
            assert!(begun.elapsed() < LONGEST, "{} took {:?}", sample.name(), begun.elapsed());
        }
        assert!(matches!(
            worker.ask(&sample.transfer_syntax, &data, 1, "Jpeg"),
            Answer::Picture(_) | Answer::Reason(_)
        ));
    }
    syntaxes.sort_unstable();
    syntaxes.dedup();
    assert!(syntaxes.len() >= 5, "only {syntaxes:?}");
}
