//! Requests that bring objects: the first byte says in how large pieces they come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pacsferry::dicomweb::{Event, Splitter};

fuzz_target!(|bytes: &[u8]| {
    let Some((piece, body)) = bytes.split_first() else { return };
    let mut splitter = Splitter::new("mark").expect("a boundary");
    let (mut told, mut open) = (0, false);
    for piece in body.chunks(usize::from(*piece) + 1) {
        splitter.push(piece);
        loop {
            match splitter.event() {
                Ok(Some(Event::Part(_))) => assert!(!std::mem::replace(&mut open, true), "a part within a part"),
                Ok(Some(Event::Data(data))) => {
                    assert!(open && !data.is_empty());
                    told += data.len();
                }
                Ok(Some(Event::PartEnd)) => assert!(std::mem::replace(&mut open, false), "the end of no part"),
                Ok(Some(Event::End)) => assert!(!open),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(told <= body.len(), "{told} bytes of {}", body.len());
});
