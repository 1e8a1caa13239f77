//! Coded frames: the first byte says whether they are lossless JPEG, JPEG-LS or RLE, whose decoders are our own.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, frame)) = bytes.split_first() else { return };
    if let Some(values) = pacsferry::picture::decode_anything(*which, frame) {
        assert!(values > 0 && values <= 3 * 16 * 16, "{values} values");
    }
});
