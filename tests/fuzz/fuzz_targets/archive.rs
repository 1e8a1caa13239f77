//! Files as archives: the first byte says which kind.
#![no_main]

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, Write};

use libfuzzer_sys::fuzz_target;
use pacsferry::import::{ArchiveKind, read_anything};

thread_local! {
    static FILE: RefCell<File> = RefCell::new(tempfile::tempfile().expect("a temporary file"));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, data)) = bytes.split_first() else { return };
    let kind = if which & 1 == 0 { ArchiveKind::Zip } else { ArchiveKind::Gzip };
    FILE.with_borrow_mut(|file| {
        file.rewind().and_then(|()| file.set_len(0)).and_then(|()| file.write_all(data)).expect("a temporary file");
        if let Ok(members) = read_anything(file, kind) {
            // A directory entry has 46 bytes at least.
            assert!(members <= 1 + data.len() / 46, "{members} members in {} bytes", data.len());
        }
    });
});
