//! Whatever an object holds: what the amended one holds is what the same change in memory comes to.

use proptest::prelude::*;

use super::super::super::tree::{Node, Value};
use super::*;

const ENOUGH: u64 = 1 << 24;

/// An element of a test.
fn node() -> impl Strategy<Value = (Tag, Node)> {
    let text = prop_oneof![Just("plain"), Just("Müller"), Just("Иван"), Just("")];
    let uid = prop_oneof![Just("1.5"), Just("1.6"), Just("1.2.3")];
    let bytes = |vr: [u8; 2], value: &[u8]| Node { vr, value: Value::Bytes(value.to_vec()) };
    prop_oneof![
        (prop_oneof![Just(tags::PATIENT_NAME), Just(tags::PATIENT_ID), Just(tags::STUDY_DESCRIPTION)], text).prop_map(
            move |(tag, text)| {
                let vr = if tag == tags::PATIENT_NAME { *b"PN" } else { *b"LO" };
                (tag, bytes(vr, text.as_bytes()))
            }
        ),
        (
            prop_oneof![
                Just(tags::SOP_INSTANCE_UID),
                Just(tags::REFERENCED_SOP_INSTANCE_UID),
                Just(tags::STUDY_INSTANCE_UID),
                Just(tags::FRAME_OF_REFERENCE_UID)
            ],
            uid
        )
            .prop_map(move |(tag, uid)| (tag, bytes(*b"UI", uid.as_bytes()))),
        any::<u16>().prop_map(move |n| (tags::ROWS, bytes(*b"US", &n.to_le_bytes()))),
        (0..20_000usize).prop_map(move |n| (tags::DVH_DATA, bytes(*b"DS", &vec![b'1'; n]))),
    ]
}

fn a_tree() -> impl Strategy<Value = Tree> {
    let of = |nodes: Vec<(Tag, Node)>| {
        let mut tree = Tree::new();
        nodes.into_iter().for_each(|(tag, node)| {
            tree.put(tag, node);
        });
        tree
    };
    let leaf = prop::collection::vec(node(), 0..5).prop_map(of);
    leaf.prop_recursive(3, 24, 3, move |inner| {
        let sequence = prop_oneof![
            Just(tags::REFERENCED_STUDY_SEQUENCE),
            Just(tags::REFERENCED_IMAGE_SEQUENCE),
            Just(REQUESTS),
            Just(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE)
        ];
        let items = prop::collection::vec(inner, 0..3);
        let sequences = prop::collection::vec((sequence, items), 0..3);
        (prop::collection::vec(node(), 0..5), sequences).prop_map(move |(nodes, sequences)| {
            let mut tree = of(nodes);
            for (tag, items) in sequences {
                tree.put_items(tag, items);
            }
            tree
        })
    })
}

fn an_amendment() -> impl Strategy<Value = Amendment> {
    let remove = prop::sample::subsequence(vec![tags::PATIENT_ID, REQUESTS, tags::ROWS, tags::PATIENT_SEX], 0..4);
    (a_tree(), remove, any::<[bool; 3]>()).prop_map(|(put, remove, [equipment, instance, study])| {
        let mut amendment = Amendment { put, remove, ..Amendment::default() };
        if equipment {
            amendment.put.remove(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE);
            amendment.equipment = corrected(Amendment::default()).equipment;
        }
        if instance {
            amendment.uids.insert(UidKind::Instance, Uid::new("1.5"), Uid::new("2.25.1555"));
        }
        if study {
            amendment.uids.insert(UidKind::Study, Uid::new("1.2.3"), Uid::new("2.25.2"));
        }
        amendment
    })
}

/// The same, in memory.
fn in_memory(tree: &mut Tree, amendment: &Amendment) {
    replace(tree, None, &amendment.uids);
    for (tag, node) in amendment.put.iter() {
        tree.put(tag, node.clone());
    }
    for tag in amendment.remove.iter().filter(|&&tag| !amendment.put.contains(tag)) {
        tree.remove(*tag);
    }
    if let Some(equipment) = &amendment.equipment {
        tree.items_mut(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE).push(equipment.clone());
    }
}

fn replace(tree: &mut Tree, around: Option<Tag>, uids: &UidMap) {
    for (tag, node) in tree.iter_mut() {
        let kind = match (tag, around) {
            (tags::STUDY_INSTANCE_UID, _) => Some(UidKind::Study),
            (tags::REFERENCED_SOP_INSTANCE_UID, Some(tags::REFERENCED_STUDY_SEQUENCE)) => Some(UidKind::Study),
            (tags::SOP_INSTANCE_UID | tags::REFERENCED_SOP_INSTANCE_UID, _) => Some(UidKind::Instance),
            _ => None,
        };
        match &mut node.value {
            Value::Items(items) => items.iter_mut().for_each(|item| replace(item, Some(tag), uids)),
            Value::Bytes(bytes) => {
                if let Some(new) = kind.and_then(|kind| uids.get(kind, &Uid::from_bytes(bytes))) {
                    *bytes = new.as_str().as_bytes().to_vec();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_leaves_is_what_the_change_comes_to(
        tree in a_tree(),
        amendments in prop::collection::vec(an_amendment(), 0..3),
        pixels in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut expected = tree.clone();
        amendments.iter().for_each(|amendment| in_memory(&mut expected, amendment));
        for (uid, encoding) in ENCODINGS {
            let stored = Builder::new(encoding).raw(&tree.write(match encoding {
                Encoding::DeflatedLe => Encoding::ExplicitLe,
                native => native,
            }));
            let stored = stored.put_as(tags::PIXEL_DATA, b"OB", &pixels).build();
            let out = amended(&stored, uid, &amendments.iter().collect::<Vec<_>>()).unwrap();
            let found = Tree::read(out.as_slice(), &syntax(uid), &CharacterSet::ascii(), ENOUGH).unwrap();
            prop_assert_eq!(&found, &expected, "{}", uid);
            let digest = |bytes: &[u8]| value_digest(bytes, &syntax(uid)).unwrap().pixels;
            prop_assert_eq!(digest(&out), digest(&stored));
        }
    }

    #[test]
    fn amendments_survive_being_kept(amendment in an_amendment()) {
        prop_assert_eq!(Amendment::from_bytes(&amendment.to_bytes()).unwrap(), amendment);
    }

    #[test]
    fn an_amendment_that_finds_nothing_changes_no_value(tree in a_tree()) {
        let mut amendment = Amendment { remove: vec![tags::PATIENT_COMMENTS], ..Amendment::default() };
        amendment.uids.insert(UidKind::Instance, Uid::new("9.9"), Uid::new("2.25.1"));
        for (uid, encoding) in ENCODINGS {
            let stored = tree.write(encoding);
            let out = amended(&stored, uid, &[&amendment]).unwrap();
            let digest = |bytes: &[u8]| value_digest(bytes, &syntax(uid)).unwrap();
            prop_assert_eq!(digest(&out), digest(&stored));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_nor_grow_without_end(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        amendment in an_amendment(),
    ) {
        let amendment = corrected(amendment);
        for (uid, _) in ENCODINGS {
            if let Ok(out) = amended(&bytes, uid, &[&amendment]) {
                prop_assert!(out.len() <= 1 << 20);
            }
        }
        let _refused = Amendment::from_bytes(&bytes);
    }

    #[test]
    fn damage_anywhere_never_panics(at in 0usize..900, byte in any::<u8>(), amendment in an_amendment()) {
        for (uid, encoding) in ENCODINGS {
            let mut stored = object(encoding);
            if let Some(hit) = stored.get_mut(at) {
                *hit = byte;
            }
            let _refused = amended(&stored, uid, &[&corrected(amendment.clone())]);
        }
    }
}
