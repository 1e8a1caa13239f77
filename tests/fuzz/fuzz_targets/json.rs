//! Objects of peers as DICOM JSON, their values by address, and their frames: the first byte says in which transfer syntax.
#![no_main]

use std::io::{Cursor, Read, copy, sink};

use libfuzzer_sys::fuzz_target;
use pacsferry::dataset::{CharacterSet, ValuePath, find_pixels, find_value, write_json};
use pacsferry::dicom::TransferSyntaxUid;

const SYNTAXES: [&str; 5] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((which, data)) = bytes.split_first() else { return };
    let syntax = TransferSyntaxUid::new(SYNTAXES[usize::from(*which) % SYNTAXES.len()]);
    let places = std::cell::RefCell::new(Vec::new());
    let address = |place: &str| {
        places.borrow_mut().push(place.to_owned());
        place.to_owned()
    };
    let mut told = String::new();
    if write_json(data, &syntax, &CharacterSet::ascii(), &address, &mut told).is_ok() {
        // Brackets that are balanced, and strings that end.
        let (mut depth, mut quoted, mut escaped) = (0i64, false, false);
        for c in told.chars() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '{' | '[' if !quoted => depth += 1,
                '}' | ']' if !quoted => depth -= 1,
                _ => {}
            }
        }
        assert!(depth == 0 && !quoted, "{told}");
        for place in places.borrow().iter().take(8) {
            let path = ValuePath::parse(place).expect("a place that was told");
            let drain = |_, bytes: &mut dyn Read| copy(bytes, &mut sink()).is_ok();
            let _ = find_value(data, &syntax, &path, drain);
        }
    }
    if let Ok(Some(pixels)) = find_pixels(data, &syntax)
        && let Ok(Ok(frames)) = pixels.locate(&mut Cursor::new(data), 0)
    {
        for number in (0..frames.count().min(8)).chain([frames.count()]) {
            let ranges = frames.of(number);
            assert!(number < frames.count() || ranges.is_none());
        }
    }
});
