//! Command sets of peers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pacsferry::dimse::Command;

fuzz_target!(|bytes: &[u8]| {
    let Ok(command) = Command::decode(bytes) else { return };
    let encoded = command.encode();
    assert_eq!(encoded.len() % 2, 0);
    // What was once understood stays what it is, and a response to it can be made.
    let again = Command::decode(&encoded).expect("what we write can be read");
    assert_eq!(again.encode(), encoded);
    let response = Command::response(&command, pacsferry::dicom::Status::SUCCESS);
    Command::decode(&response.encode()).expect("what we answer can be read");
    let texts = [&command.destination, &command.comment];
    assert!(texts.into_iter().flatten().all(|text| !text.chars().any(char::is_control)));
});
