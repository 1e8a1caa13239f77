//! Lists of instances: what is written is read, whatever the encoding; what a peer sends beside it does no harm.

use super::*;

const ENCODINGS: [Encoding; 3] = [Encoding::ImplicitLe, Encoding::ExplicitLe, Encoding::ExplicitBe];

fn results(failed: usize, committed: usize) -> Vec<(SopClassUid, SopInstanceUid, Option<Status>)> {
    let one = |n: usize| {
        let reason = (n < failed).then_some(Status::NO_SUCH_INSTANCE);
        (SopClassUid::new("1.2.840.10008.5.1.4.1.1.2"), SopInstanceUid::new(&format!("1.2.3.{}", n * 7)), reason)
    };
    (0..failed + committed).map(one).collect()
}

#[test]
fn a_result_has_both_lists_and_can_be_read_in_every_encoding() {
    for encoding in ENCODINGS {
        let bytes = write_commitment_result(&Uid::new("1.2.9"), "FERRY", &results(2, 3), encoding);
        let top = Elements::read(&bytes, encoding).unwrap();
        assert_eq!(top.text(tags::RETRIEVE_AE_TITLE).as_deref(), Some("FERRY"));
        assert_eq!(top.uid(tags::TRANSACTION_UID).unwrap().as_str(), "1.2.9");
        let listed = read_references(&bytes, encoding, 10).unwrap();
        assert_eq!(listed.transaction.unwrap().as_str(), "1.2.9");
        let uids: Vec<&str> = listed.instances.iter().map(|(_, instance)| instance.as_str()).collect();
        assert_eq!(uids, ["1.2.3.14", "1.2.3.21", "1.2.3.28"], "{encoding:?}: the failed ones are elsewhere");
        assert!(bytes.windows(2).any(|two| two == [0x12, 0x01] || two == [0x01, 0x12]), "the reason");
    }
}

#[test]
fn a_list_without_items_is_left_out() {
    for (failed, committed) in [(0, 2), (2, 0)] {
        let bytes = write_commitment_result(&Uid::new("1.2"), "A", &results(failed, committed), Encoding::ExplicitLe);
        let has = |tag: Tag| {
            let head = [tag.group().to_le_bytes(), tag.element().to_le_bytes(), *b"SQ"].concat();
            bytes.windows(6).any(|six| six == head)
        };
        assert_eq!(has(tags::FAILED_SOP_SEQUENCE), failed > 0);
        assert_eq!(has(tags::REFERENCED_SOP_SEQUENCE), committed > 0);
    }
}

#[test]
fn more_than_is_wanted_is_not_read() {
    let bytes = write_commitment_result(&Uid::new("1.2"), "A", &results(0, 5), Encoding::ExplicitLe);
    assert!(!read_references(&bytes, Encoding::ExplicitLe, 5).unwrap().too_many);
    let cut = read_references(&bytes, Encoding::ExplicitLe, 4).unwrap();
    assert_eq!((cut.instances.len(), cut.too_many), (4, true));
}

/// Implicit VR, undefined lengths: an element that must be passed over, an item without a class, a nested list.
#[test]
fn undefined_lengths_and_foreign_elements_are_got_past() {
    let element = |tag: Tag, length: u32, value: &[u8]| {
        [&tag.group().to_le_bytes()[..], &tag.element().to_le_bytes(), &length.to_le_bytes(), value].concat()
    };
    let open = u32::MAX;
    let item_end = element(wire::ITEM_END, 0, b"");
    let sequence_end = element(wire::SEQUENCE_END, 0, b"");
    let uid = |tag, text: &[u8]| element(tag, u32::try_from(text.len()).unwrap(), text);
    let nested = [
        element(tags::REFERENCED_SOP_SEQUENCE, open, b""),
        element(ITEM, open, b""),
        uid(tags::REFERENCED_SOP_INSTANCE_UID, b"6.6.6\0"),
        item_end.clone(),
        sequence_end.clone(),
    ]
    .concat();
    let bytes = [
        uid(tags::SPECIFIC_CHARACTER_SET, b"ISO_IR 192"),
        uid(tags::TRANSACTION_UID, b"1.2.9\0"),
        element(tags::REFERENCED_SOP_SEQUENCE, open, b""),
        element(ITEM, open, b""),
        uid(tags::REFERENCED_SOP_CLASS_UID, b"1.2\0"),
        uid(tags::REFERENCED_SOP_INSTANCE_UID, b"1.2.3\0"),
        nested,
        item_end.clone(),
        element(ITEM, open, b""),
        uid(tags::REFERENCED_SOP_INSTANCE_UID, b"1.2.4\0"),
        item_end,
        sequence_end,
        uid(tags::PATIENT_ID, b"ab"),
    ]
    .concat();
    let found = read_references(&bytes, Encoding::ImplicitLe, 10).unwrap();
    assert_eq!(found.transaction.unwrap().as_str(), "1.2.9");
    let listed: Vec<(&str, &str)> = found.instances.iter().map(|(c, i)| (c.as_str(), i.as_str())).collect();
    assert_eq!(listed, [("1.2", "1.2.3"), ("", "1.2.4")]);
    for cut in 1..bytes.len() {
        // Whatever is missing: no panic, and nothing that is not there.
        let found = read_references(&bytes[..cut], Encoding::ImplicitLe, 10);
        assert!(found.is_err() || found.unwrap().instances.len() <= 2, "{cut}");
    }
}
