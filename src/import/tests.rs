//! Whatever the bytes of a stranger are, they end in a word and never in a panic, and nothing grows with what they claim.

use std::io::{Cursor, Write};
use std::sync::Arc;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::archive::ArchiveKind;
use super::identify::{Found, identify};
use super::os::Folder;
use super::{Candidate, Sieve, dicomdir, outermost};
use crate::catalog::{Archived, FileKey, FileState};
use crate::dataset::{CharacterSet, write_part10_head};
use crate::dicom::{DateRange, TransferSyntaxUid, uids};

fn found(bytes: &[u8]) -> Found {
    identify(&mut Cursor::new(bytes), bytes.len() as u64, None, &CharacterSet::ascii()).unwrap()
}

fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// An object that names itself, with native pixel data of that length, of which it says that they should be 200 bytes.
fn object(length: u32) -> Vec<u8> {
    let mut bytes = write_part10_head("1.2.840.10008.5.1.4.1.1.7", "1.2.3", uids::EXPLICIT_LE, None);
    let mut put = |group: u16, element: u16, vr: &[u8; 2], value: &[u8]| {
        bytes.extend_from_slice(&group.to_le_bytes());
        bytes.extend_from_slice(&element.to_le_bytes());
        bytes.extend_from_slice(vr);
        if vr == b"OW" {
            bytes.extend_from_slice(&[0, 0]);
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
        } else {
            bytes.extend_from_slice(&u16::try_from(value.len()).unwrap().to_le_bytes());
        }
        bytes.extend_from_slice(value);
    };
    put(0x0008, 0x0016, b"UI", b"1.2.840.10008.5.1.4.1.1.7\0");
    put(0x0008, 0x0018, b"UI", b"1.2.3\0");
    put(0x0020, 0x000D, b"UI", b"1.2.1\0");
    put(0x0020, 0x000E, b"UI", b"1.2.2\0");
    put(0x0028, 0x0002, b"US", &[1, 0]);
    put(0x0028, 0x0010, b"US", &[10, 0]);
    put(0x0028, 0x0011, b"US", &[10, 0]);
    put(0x0028, 0x0100, b"US", &[16, 0]);
    put(0x7FE0, 0x0010, b"OW", &vec![7; length as usize]);
    bytes
}

#[test]
fn pixel_data_must_have_the_bytes_that_their_attributes_ask_for() {
    assert!(matches!(found(&object(200)), Found::Object(object, None) if object.head_is_sound));
    assert!(matches!(found(&object(202)), Found::Object(_, None)));
    let Found::Object(_, Some(fault)) = found(&object(198)) else { panic!("198 bytes are too few") };
    assert!(fault.contains("have 198 bytes, and Rows, Columns and Number of Frames ask for 200"), "{fault}");
    let whole = object(200);
    for end in whole.len() - 200..whole.len() {
        let Found::Object(_, Some(fault)) = found(&whole[..end]) else { panic!("cut at {end}") };
        assert!(fault.starts_with(&format!("cut off at byte {end}: ")), "{fault}");
    }
}

#[test]
fn what_trails_behind_the_pixel_data_is_no_cut() {
    for junk in [&b"\0\0\0\0"[..], b"\r\n", b"trailing words of some old archive", &[0; 4096]] {
        assert!(matches!(found(&[&object(200), junk].concat()), Found::Object(_, None)), "{junk:?}");
    }
}

#[test]
fn folders_within_others_go_with_them() {
    let folders = ["/b/c", "/a", "/b", "/a/x", "/ab"].map(std::path::PathBuf::from).to_vec();
    assert_eq!(outermost(folders), ["/a", "/ab", "/b"].map(std::path::PathBuf::from));
}

#[test]
fn names_of_a_directory_lead_nowhere_but_down() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("IN")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("IN/LINK")).unwrap();
    let mut records = Vec::new();
    for id in ["..\\..\\etc\\passwd", "/etc/passwd", "IN\\LINK", "IN\\GONE", "C:\\IN", ""] {
        let mut id = id.as_bytes().to_vec();
        id.resize(id.len().next_multiple_of(2), b' ');
        records.extend_from_slice(&[0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF, 4, 0, 0, 0x15, b'C', b'S']);
        records.extend_from_slice(&u16::try_from(id.len()).unwrap().to_le_bytes());
        records.extend_from_slice(&id);
        records.extend_from_slice(&[0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]);
    }
    let mut bytes = vec![4, 0, 0x20, 0x12, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
    bytes.extend_from_slice(&records);
    let path = folder.path().canonicalize().unwrap();
    let open = Folder::open(&path).unwrap();
    let missing = dicomdir::missing_files(&open, file(&bytes), 0, &TransferSyntaxUid::new(uids::EXPLICIT_LE)).unwrap();
    assert_eq!((missing.named, missing.strange, missing.missing), (6, 4, 2), "{missing:?}");
    assert_eq!(missing.names, ["IN/LINK", "IN/GONE"]);
}

/// A zip file with that many members that are not packed.
fn zip(members: usize, bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let (mut crc, length) = (flate2::Crc::new(), u32::try_from(bytes.len()).unwrap().to_le_bytes());
    crc.update(bytes);
    for n in 0..members {
        let name = format!("{n:08}");
        let facts = [&[0; 6][..], &crc.sum().to_le_bytes(), &length, &length, &[8, 0, 0, 0]].concat();
        let at = u32::try_from(out.len()).unwrap().to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0\x14\0\0\0", &facts[..], &[0; 10], &at, name.as_bytes()].concat());
        out.extend([b"PK\x03\x04\x14\0\0\0", &facts[..], name.as_bytes(), bytes].concat());
    }
    let lengths = [directory.len(), out.len()].map(|length| u32::try_from(length).unwrap().to_le_bytes()).concat();
    let count = u16::try_from(members).unwrap().to_le_bytes();
    [&out[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &lengths, &[0, 0]].concat()
}

#[test]
fn an_archive_that_was_left_half_way_is_not_said_to_have_been_gone_through() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(folder.path().join("disc")).unwrap().write_all(&zip(1000, &object(200))).unwrap();
    let open = Arc::new(Folder::open(&folder.path().canonicalize().unwrap()).unwrap());
    let (name, look) = ("disc".into(), open.look("disc".as_ref()).unwrap());
    let candidate = Candidate { folder: open, key: FileKey { folder: 1, name, member: Vec::new() }, look };
    // Given up after one part by whoever writes them down, stopped after one, and not at all.
    for (refuses, stops, all) in [(true, false, false), (false, true, false), (false, false, true)] {
        let stop = CancellationToken::new();
        let (days, charset) = (DateRange::default(), CharacterSet::ascii());
        let sieve = Sieve { days, charset, refuse_archives: false, stop: stop.clone() };
        let mut rows = Vec::new();
        sieve.archive(&candidate, ArchiveKind::Zip, &mut |part| {
            rows.extend(part);
            if stops {
                stop.cancel();
            }
            !refuses
        });
        let through = rows.iter().any(|row| row.state == FileState::Archive);
        assert_eq!((through, rows.len() == 1001), (all, all), "{} rows", rows.len());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in 0_usize..400) {
        found(&bytes);
        let mut damaged = object(200);
        let end = (at + bytes.len().min(40)).min(damaged.len());
        for (byte, new) in damaged[at.min(end)..end].iter_mut().zip(&bytes) {
            *byte = *new;
        }
        found(&damaged);
    }

    #[test]
    fn no_zip_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), end in any::<[u8; 16]>()) {
        let tail = [&b"PK\x05\x06"[..], &end, &[0, 0]].concat();
        for head in [&b"PK\x03\x04"[..], b"PK\x01\x02"] {
            let all = [head, &bytes, &tail].concat();
            let (file, length) = (file(&all), all.len() as u64);
            let _ = super::read_anything(&file, ArchiveKind::Zip);
            let _ = super::unpack(file, Archived::Zip { at: 0 }, length, 1 << 40);
        }
    }
}
