//! Texts in any Specific Character Set, right and wrong ones: the value of (0008,0005), a NUL, the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pacsferry::dataset::{CharacterSet, fold_person_name};

fuzz_target!(|bytes: &[u8]| {
    let (terms, text) = match bytes.iter().position(|b| *b == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, bytes),
    };
    let charset = CharacterSet::parse(terms);
    let decoded = charset.decode(text);
    // A byte is three bytes of UTF-8 at the most (as a replacement character).
    assert!(decoded.len() <= 3 * text.len(), "{} bytes from {}", decoded.len(), text.len());
    let name = charset.decode_person_name(text);
    let folded = fold_person_name(&name);
    assert_eq!(fold_person_name(&folded), folded, "folding is done once");
    // What can be written is read as it was; an escape in a text would be taken for a designation.
    if let Some(encoded) = charset.encode(&decoded)
        && !decoded.contains('\x1B')
    {
        assert_eq!(charset.decode(&encoded), decoded);
    }
});
