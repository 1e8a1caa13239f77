//! Heads of files, ours and others'.

use super::super::testing::Builder;
use super::*;
use crate::dicom::Encoding;

#[test]
fn what_is_written_is_read_again() {
    for extra in [None, Some(("2.25.7", b"odd".as_slice()))] {
        let mut file = write_part10_head("1.2.840.10008.5.1.4.1.1.2", "1.2.3", uids::EXPLICIT_LE, extra);
        let length = file.len() as u64;
        file.extend_from_slice(b"\x08\0\x16\0UI\x04\x001.2\0");
        let head = read_part10_head(&file).unwrap();
        assert_eq!(head.data_set_offset, length);
        assert_eq!(head.transfer_syntax, Some(TransferSyntaxUid::new(uids::EXPLICIT_LE)));
        assert_eq!(head.sop_instance, Some(Uid::new("1.2.3")));
        assert_eq!(head.sop_class, Some(Uid::new("1.2.840.10008.5.1.4.1.1.2")));
        assert_eq!(head.private_creator.map(|uid| uid.to_string()), extra.map(|(uid, _)| uid.to_string()));
        // Odd values are padded.
        assert_eq!(head.private_information, extra.map(|_| b"odd\0".to_vec()));
    }
}

#[test]
fn foreign_heads_are_read_whatever_is_missing() {
    let meta = |encoding| {
        Builder::new(encoding)
            .put(tags::MEDIA_STORAGE_SOP_INSTANCE_UID, "1.2.3")
            .put(tags::TRANSFER_SYNTAX_UID, uids::EXPLICIT_LE)
            .bytes
    };
    let data = Builder::new(Encoding::ExplicitLe).identified().bytes;
    let wrong_length =
        Builder::new(Encoding::ExplicitLe).put(tags::FILE_META_INFORMATION_GROUP_LENGTH, 3u32.to_le_bytes()).bytes;
    let cases = [
        ("no group length", [vec![0; 128], b"DICM".to_vec(), meta(Encoding::ExplicitLe)].concat()),
        ("a wrong group length", [vec![0; 128], b"DICM".to_vec(), wrong_length, meta(Encoding::ExplicitLe)].concat()),
        ("an Implicit group", [vec![0; 128], b"DICM".to_vec(), meta(Encoding::ImplicitLe)].concat()),
        ("no preamble", [b"DICM".to_vec(), meta(Encoding::ExplicitLe)].concat()),
        ("no preamble, no magic", meta(Encoding::ExplicitLe)),
    ];
    for (why, head) in cases {
        let part10 = read_part10_head(&[head.clone(), data.clone()].concat()).unwrap();
        assert_eq!(part10.data_set_offset, head.len() as u64, "{why}");
        assert_eq!(part10.transfer_syntax, Some(TransferSyntaxUid::new(uids::EXPLICIT_LE)), "{why}");
        assert_eq!(part10.sop_instance, Some(Uid::new("1.2.3")), "{why}");
    }
    // A bare data set; the preamble of something else before a group that is there.
    assert_eq!(read_part10_head(&data).unwrap(), Part10::default());
    let tiff = [b"II*\0".to_vec(), vec![0xAB; 124], b"DICM".to_vec(), meta(Encoding::ExplicitLe)].concat();
    assert_eq!(read_part10_head(&tiff).unwrap().data_set_offset, tiff.len() as u64);
}

#[test]
fn what_is_no_dicom_is_told() {
    for bytes in [b"".as_slice(), b"II*\0\x08\0\0\0", b"<html><body>", &[0; 200], b"MZ\x90\0\x03\0\0\0"] {
        assert!(matches!(read_part10_head(bytes), Err(ReadError::NotDicom)), "{bytes:?}");
    }
    let head = write_part10_head("1.2", "1.2.3", uids::EXPLICIT_LE, None);
    assert!(matches!(read_part10_head(&head[..head.len() - 3]), Err(ReadError::Truncated { .. })));
}

#[test]
fn a_malformed_uid_goes_back_byte_for_byte() {
    let uid = Uid::from_bytes(b"1.2.\xe4\xff");
    let head = write_part10_head("1.2", uid.as_str(), uids::EXPLICIT_LE, None);
    assert_eq!(read_part10_head(&head).unwrap().sop_instance, Some(uid));
}
