//! The render worker draws what it is given as pydicom reads it, and what is hostile costs one picture.

mod cut;
mod hostile;
mod worker;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::support::peers::{PATIENCE, finish, python, text};
use worker::{Answer, Worker};

/// A frame of a sample, and where its values are.
#[derive(Deserialize)]
struct Sample {
    path: String,
    offset: usize,
    syntax: String,
    frame: u64,
    from: usize,
    count: usize,
    exact: bool,
}

/// How near two pictures are, in decibels.
fn psnr(one: &[i32], other: &[i32], most: f64) -> f64 {
    let squares: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    10.0 * (most * most / (squares / one.len() as f64)).log10()
}

#[test]
fn decoded_values_are_those_of_pydicom() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = python("pixels.py");
    command.arg(folder.path());
    let done = finish(command, PATIENCE * 3);
    assert!(done.status.success(), "pydicom: {}", text(&done.stderr));
    let samples: Vec<Sample> = serde_json::from_slice(&done.stdout).unwrap();
    let values = std::fs::read(folder.path().join("values")).unwrap();
    let numbers = |bytes: &[u8]| -> Vec<i32> {
        bytes.chunks_exact(4).map(|four| i32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    let mut worker = Worker::start();
    let (mut compared, mut faults) = (BTreeMap::new(), Vec::new());
    for sample in &samples {
        let bytes = std::fs::read(&sample.path).unwrap();
        let wanted = numbers(&values[sample.from..sample.from + 4 * sample.count]);
        let name = format!("{} frame {} ({})", sample.path, sample.frame, sample.syntax);
        match worker.ask(&sample.syntax, &bytes[sample.offset..], sample.frame, "Values") {
            Answer::Picture(found) => {
                let found = numbers(&found[12..]);
                let near =
                    || psnr(&found, &wanted, if found.iter().any(|&value| value > 255) { 4095.0 } else { 255.0 });
                if found.len() != wanted.len() {
                    faults.push(format!("{name}: {} values for {}", found.len(), wanted.len()));
                } else if found != wanted && (sample.exact || near() < 50.0) {
                    faults.push(format!("{name}: other values, {:.1} dB", near()));
                }
                *compared.entry(sample.syntax.as_str()).or_insert(0) += 1;
            }
            other => faults.push(format!("{name}: {other:?}")),
        }
        match worker.ask(&sample.syntax, &bytes[sample.offset..], sample.frame, "Png") {
            Answer::Picture(png) => assert!(png.starts_with(b"\x89PNG"), "{name}"),
            other => faults.push(format!("{name} as PNG: {other:?}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // Native (four of them), RLE, JPEG baseline, extended and lossless (two), JPEG-LS (two), JPEG 2000 (two).
    assert!(compared.len() >= 12 && samples.len() > 90, "{} frames: {compared:?}", samples.len());
}
