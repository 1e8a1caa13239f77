//! Bytes on the DICOM port: association PDUs and the stream of PDUs behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let read = pacsferry::assoc::read_anything(bytes, cut.into());
    assert!(read <= bytes.len(), "{read} bytes of fragments from {}", bytes.len());
    // Where the stream is cut makes no difference to what is read of it.
    assert_eq!(read, pacsferry::assoc::read_anything(bytes, 0));
});
