//! An amendment as bytes: a data set of private elements, so that the bounded reader of data sets reads it back.

use super::super::ReadError;
use super::super::Tree;
use super::super::convert::choice::Context;
use super::super::input::Input;
use super::super::tree::read_node;
use super::super::wire::{Head, Syntax};
use super::{Amendment, Original, UidKind, UidMap};
use crate::dicom::{Tag, Uid};

/// An amendment needs no more memory than this: some 100,000 UIDs.
const LARGEST: u64 = 256 * 1024 * 1024;
const SYNTAX: Syntax = Syntax { explicit: true, big: false };

const VERSION: Tag = Tag(0x0009, 0x1000);
const PUT: Tag = Tag(0x0009, 0x1001);
const REMOVE: Tag = Tag(0x0009, 0x1002);
const UIDS: Tag = Tag(0x0009, 0x1003);
const ORIGINAL: Tag = Tag(0x0009, 0x1004);
const EQUIPMENT: Tag = Tag(0x0009, 0x1005);
const CHARSET: Tag = Tag(0x0009, 0x1006);

/// What stands in the items of [`UIDS`] and [`ORIGINAL`].
const FIELDS: [Tag; 4] = [Tag(0x0009, 0x1010), Tag(0x0009, 0x1011), Tag(0x0009, 0x1012), Tag(0x0009, 0x1013)];

impl Amendment {
    /// To be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tree = Tree::new();
        tree.put_bytes(VERSION, *b"US", &1u16.to_le_bytes());
        tree.put_items(PUT, vec![self.put.clone()]);
        let remove: Vec<u8> =
            self.remove.iter().flat_map(|tag| [tag.0.to_le_bytes(), tag.1.to_le_bytes()].concat()).collect();
        tree.put_bytes(REMOVE, *b"OB", &remove);
        let mut uids: Vec<_> = self.uids.iter().collect();
        uids.sort_unstable();
        tree.put_items(UIDS, uids.into_iter().map(|(kind, old, new)| uid_item(kind, old, new)).collect());
        if let Some(Original { source, system, reason, at }) = &self.original {
            tree.put_items(ORIGINAL, vec![fields(&[source, system, reason, at])]);
        }
        if let Some(equipment) = &self.equipment {
            tree.put_items(EQUIPMENT, vec![equipment.clone()]);
        }
        if let Some(charset) = &self.default_charset {
            tree.put_bytes(CHARSET, *b"UT", charset.as_bytes());
        }
        let mut out = Vec::new();
        // Without a character set, nothing is encoded that could fail.
        let _written = tree.append(&mut out, SYNTAX, None);
        out
    }

    /// What was kept.
    pub fn from_bytes(bytes: &[u8]) -> Result<Amendment, ReadError> {
        let mut input = Input::new(bytes, u64::MAX);
        let (mut context, mut budget) = (Context::default(), LARGEST);
        let mut tree = Tree::new();
        while let Some(head) = Head::read(&mut input, SYNTAX)? {
            let node = read_node(&mut input, &head, SYNTAX, &mut context, &mut budget)?;
            let node = node.ok_or_else(|| ReadError::TooLong { offset: input.offset(), limit: LARGEST })?;
            tree.put(head.tag, node);
        }
        if tree.u16(VERSION) != Some(1) {
            let what = "is no amendment that this version knows";
            return Err(ReadError::Malformed { offset: 0, tag: VERSION, what });
        }
        let mut uids = UidMap::default();
        for item in tree.items(UIDS) {
            if let (Some(kind), [old, new, ..]) = (kind(item), texts(item)) {
                uids.insert(kind, Uid::new(&old), Uid::new(&new));
            }
        }
        let original = tree.item(ORIGINAL).map(texts);
        let remove = tree.bytes(REMOVE).unwrap_or_default().chunks_exact(4).filter_map(|tag| match *tag {
            [a, b, c, d] => Some(Tag(u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))),
            _ => None,
        });
        Ok(Amendment {
            put: tree.item(PUT).cloned().unwrap_or_default(),
            remove: remove.collect(),
            uids,
            original: original.map(|[source, system, reason, at]| Original { source, system, reason, at }),
            equipment: tree.item(EQUIPMENT).cloned(),
            default_charset: tree.text(CHARSET).map(str::to_owned),
        })
    }
}

fn fields(texts: &[&str]) -> Tree {
    let mut item = Tree::new();
    for (tag, text) in FIELDS.into_iter().zip(texts) {
        item.put_bytes(tag, *b"UT", text.as_bytes());
    }
    item
}

fn texts(item: &Tree) -> [String; 4] {
    FIELDS.map(|tag| item.bytes(tag).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default())
}

fn uid_item(kind: UidKind, old: &Uid, new: &Uid) -> Tree {
    let mut item = fields(&[old.as_str(), new.as_str()]);
    let number = match kind {
        UidKind::Study => 1,
        UidKind::Series => 2,
        UidKind::Instance => 3,
    };
    item.put_u16(VERSION, number);
    item
}

fn kind(item: &Tree) -> Option<UidKind> {
    match item.u16(VERSION)? {
        1 => Some(UidKind::Study),
        2 => Some(UidKind::Series),
        3 => Some(UidKind::Instance),
        _ => None,
    }
}
