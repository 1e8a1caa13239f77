//! Frames that are cut off: nobody is given other pixels for them than those that were there.

use std::collections::BTreeMap;

use super::hostile::encapsulated;
use super::worker::{Answer, Worker};
use crate::support::peers::samples;

/// What stands before the pixel data of a data set, and its only frame; `None` of any other.
fn parts(data: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = data.windows(12).position(|bytes| bytes == b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF")?;
    let (mut next, mut fragments) = (at + 12, Vec::new());
    while data.get(next..next + 4)? == b"\xFE\xFF\0\xE0" {
        let length = u32::from_le_bytes(data.get(next + 4..next + 8)?.try_into().unwrap()) as usize;
        fragments.push(data.get(next + 8..next + 8 + length)?.to_vec());
        next += 8 + length;
    }
    // Behind the table of offsets.
    let [_, frame] = fragments.as_slice() else { return None };
    Some((data[..at].to_vec(), frame.clone()))
}

#[test]
fn a_frame_that_is_cut_off_is_refused_or_all_there() {
    const CUTS: usize = 24;
    let mut worker = Worker::start();
    let (mut tried, mut wrong) = (BTreeMap::<String, usize>::new(), Vec::new());
    for sample in &samples() {
        let data = sample.data_set();
        let syntax = sample.transfer_syntax.as_str();
        let seen = tried.entry(syntax.to_owned()).or_default();
        if data.len() > 600_000 || *seen >= 2 {
            continue;
        }
        let Some((head, frame)) = parts(&data) else { continue };
        let Answer::Picture(whole) = worker.ask(syntax, &encapsulated(head.clone(), &[&frame]), 1, "Values") else {
            continue;
        };
        *seen += 1;
        let ends = (1..CUTS).map(|cut| frame.len() * cut / CUTS).chain((1..=8).map(|less| frame.len() - less));
        for end in ends {
            match worker.ask(syntax, &encapsulated(head.clone(), &[&frame[..end]]), 1, "Values") {
                Answer::Picture(found) if found != whole => {
                    wrong.push(format!("{} ({syntax}): {end} of {} bytes", sample.name(), frame.len()));
                }
                Answer::Died => worker = Worker::start(),
                _ => {}
            }
        }
    }
    tried.retain(|_, seen| *seen > 0);
    assert!(wrong.is_empty(), "other pixels for\n{}", wrong.join("\n"));
    assert!(tried.len() >= 5, "{tried:?}");
}
