//! Command sets: what is written is read, odd ones are understood, damage is said.

use super::*;
use crate::dicom::uids;

fn all() -> Vec<Command> {
    let class = SopClassUid::new("1.2.840.10008.5.1.4.1.1.2");
    let instance = SopInstanceUid::new("1.2.3.4");
    let requests = [
        Command::echo_rq(1),
        Command::find_rq(2, uids::STUDY_ROOT_FIND),
        Command::move_rq(3, uids::STUDY_ROOT_MOVE, "FERRY_RX"),
        Command::get_rq(4, uids::STUDY_ROOT_GET),
        Command::store_rq(5, &class, &instance, None),
        Command::store_rq(6, &class, &instance, Some(("FERRY", 3))),
        Command {
            field: CommandField::NActionRq,
            class: Some(class.clone()),
            instance: Some(instance.clone()),
            kind: Some(1),
            ..Command::echo_rq(7)
        },
        Command::event_report_rq(8, class.as_str(), instance.as_str(), 2),
    ];
    let mut all = vec![Command::cancel_rq(3)];
    for request in requests {
        let mut response = Command::response(&request, Status::SUB_OPERATIONS_WITH_FAILURES);
        response.counters = Counters { remaining: None, completed: Some(65_535), failed: Some(1), warning: Some(0) };
        response.comment = Some("könnte besser sein".into());
        response.offending = vec![Tag(0x0008, 0x0018), Tag(0x0010, 0x0010)];
        all.extend([request, response]);
    }
    all
}

#[test]
fn what_is_written_is_read() {
    for command in all() {
        let bytes = command.encode();
        assert_eq!(bytes.len() % 2, 0);
        assert_eq!(u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize, bytes.len() - 12);
        assert_eq!(Command::decode(&bytes).unwrap(), command);
    }
}

#[test]
fn elements_are_in_ascending_order_with_even_lengths() {
    for command in all() {
        let bytes = command.encode();
        let (mut at, mut before) = (0, None);
        while at < bytes.len() {
            let element = u16::from_le_bytes([bytes[at + 2], bytes[at + 3]]);
            assert!(before < Some(element), "{before:?} {element:04X}");
            let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            assert_eq!(length % 2, 0);
            before = Some(element);
            at += 8 + length;
        }
    }
}

#[test]
fn every_code_is_its_field() {
    for code in 0..=u16::MAX {
        assert_eq!(CommandField::from_code(code).code(), code);
        assert_eq!(CommandField::from_code(code).is_response(), code >= 0x8000);
        assert!(CommandField::from_code(code).response().is_response());
    }
    assert_eq!(CommandField::CMoveRq.response(), CommandField::CMoveRsp);
}

fn element(group: u16, element: u16, value: &[u8]) -> Vec<u8> {
    [&group.to_le_bytes()[..], &element.to_le_bytes(), &u32::try_from(value.len()).unwrap().to_le_bytes(), value]
        .concat()
}

#[test]
fn odd_peers_are_understood() {
    let bytes = [
        element(0, 0x0800, &[0, 0]),
        element(0, 0x0110, &[9, 0, 0, 0]),
        element(0, 0x5130, &[1, 2, 3]),
        element(8, 0x0018, b"1.2"),
        element(0, 0x0002, b"1.2.3"),
        element(0, 0x0600, b"DEST\0garbage"),
        element(0, 0x1030, b"  \n\x1b  "),
        element(0, 0x0100, &[0x21, 0]),
    ]
    .concat();
    let command = Command::decode(&bytes).unwrap();
    assert_eq!(command.field, CommandField::CMoveRq);
    assert_eq!(command.message_id, 9);
    assert_eq!(command.class.unwrap().as_str(), "1.2.3");
    assert_eq!(command.destination.as_deref(), Some("DEST"));
    assert_eq!(command.originator, Some(("??".into(), 0)));
    assert!(command.has_data_set);
}

#[test]
fn what_is_missing_is_concluded() {
    for (field, status, has_data_set) in [
        (0x0001, None, true),
        (0x0020, None, true),
        (0x0030, None, false),
        (0x8020, Some(0xFF00u16), true),
        (0x8020, Some(0), false),
        (0x8021, Some(0xFF00), false),
        (0x0FFF, None, false),
    ] {
        let mut bytes = element(0, 0x0100, &u16::to_le_bytes(field));
        if let Some(status) = status {
            bytes.extend(element(0, 0x0900, &status.to_le_bytes()));
        }
        let command = Command::decode(&bytes).unwrap();
        assert_eq!((command.has_data_set, command.message_id), (has_data_set, 0), "{field:04X}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let cut = &Command::echo_rq(1).encode()[..30];
    assert!(matches!(Command::decode(cut), Err(DimseError::Malformed { .. })));
    assert!(matches!(Command::decode(b""), Err(DimseError::Malformed { .. })));
    let giant = [0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0];
    let error = Command::decode(&giant).unwrap_err().to_string();
    assert_eq!(error, "cannot read the command set: element (0000,0100) says it has 4294967295 bytes where 2 are left");
    assert!(matches!(Command::decode(&vec![0; LONGEST_COMMAND + 1]), Err(DimseError::TooLong { .. })));
}

#[test]
fn the_peers_words_lose_their_control_characters() {
    for (raw, shown) in
        [(&b"a\x1b[2Jb\n"[..], "a [2Jb"), (b"caf\xe9", "caf\u{e9}"), ("größer".as_bytes(), "größer"), (b" \0", "")]
    {
        let bytes = [element(0, 0x0100, &[0x21, 0x80]), element(0, 0x0902, raw)].concat();
        assert_eq!(Command::decode(&bytes).unwrap().comment.unwrap_or_default(), shown);
    }
    let long = [element(0, 0x0100, &[0x21, 0x80]), element(0, 0x0902, &[b'x'; 5000])].concat();
    assert_eq!(Command::decode(&long).unwrap().comment.unwrap().len(), LONGEST_COMMENT);
}

#[test]
fn a_comment_that_was_read_as_latin_1_stays_what_it_is() {
    let bytes = [element(0, 0x0100, &[0x21, 0x80]), element(0, 0x0902, b"\x9b\xdf\xb4")].concat();
    let command = Command::decode(&bytes).unwrap();
    assert_eq!(command.comment.as_deref(), Some("\u{df}\u{b4}"));
    assert_eq!(Command::decode(&command.encode()).unwrap(), command);
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        if let Ok(command) = Command::decode(&bytes) {
            let again = Command::decode(&command.encode()).unwrap();
            proptest::prop_assert_eq!(again.field, command.field);
        }
    }

    #[test]
    fn a_command_set_with_any_byte_changed_never_panics(which in 0..13usize, at in 0..200usize, byte: u8) {
        let mut bytes = all()[which].encode();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Ok(command) = Command::decode(&bytes) {
            proptest::prop_assert!(command.encode().len() <= bytes.len() + 64);
        }
    }
}

#[test]
fn a_comment_is_cut_to_what_the_standard_allows_and_stays_so() {
    let mut command = Command::response(&Command::echo_rq(1), Status::SUCCESS);
    command.comment = Some(format!("{} and more words", "ö".repeat(LONGEST_LO - 1)));
    let encoded = command.encode();
    let again = Command::decode(&encoded).unwrap();
    assert_eq!(again.comment.as_deref(), Some("ö".repeat(LONGEST_LO - 1).as_str()));
    assert_eq!(again.encode(), encoded);
}
