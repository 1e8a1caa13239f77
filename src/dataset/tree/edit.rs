//! Changing a data set in memory.

use super::super::vr;
use super::{Node, Tree, Value};
use crate::dicom::{Tag, Uid};

impl Tree {
    /// Sets a text, in the VR of the dictionary; several values are separated by backslashes.
    pub fn put_text(&mut self, tag: Tag, text: &str) -> &mut Self {
        self.put_bytes(tag, vr::of(tag).unwrap_or(*b"UN"), text.as_bytes())
    }

    /// Sets a UID.
    pub fn put_uid(&mut self, tag: Tag, uid: &Uid) -> &mut Self {
        self.put_bytes(tag, *b"UI", &uid_bytes(uid))
    }

    /// Sets a US value.
    pub fn put_u16(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.put_bytes(tag, *b"US", &value.to_le_bytes())
    }

    /// Sets a value of the given VR: UTF-8 without padding, or numbers as Little Endian bytes.
    pub fn put_bytes(&mut self, tag: Tag, vr: [u8; 2], value: &[u8]) -> &mut Self {
        self.put(tag, Node { vr, value: Value::Bytes(value.to_vec()) })
    }

    /// Sets a sequence.
    pub fn put_items(&mut self, tag: Tag, items: Vec<Tree>) -> &mut Self {
        self.put(tag, Node { vr: *b"SQ", value: Value::Items(items) })
    }

    /// Sets an element: one that was copied from elsewhere.
    pub fn put(&mut self, tag: Tag, node: Node) -> &mut Self {
        self.nodes.insert(tag, node);
        self
    }

    /// Takes an element away.
    pub fn remove(&mut self, tag: Tag) -> Option<Node> {
        self.nodes.remove(&tag)
    }

    /// The items of a sequence, to be changed; one is made where there is none.
    pub fn items_mut(&mut self, tag: Tag) -> &mut Vec<Tree> {
        let node = self.nodes.entry(tag).or_insert_with(|| Node { vr: *b"SQ", value: Value::Items(Vec::new()) });
        if let Value::Bytes(_) = node.value {
            *node = Node { vr: *b"SQ", value: Value::Items(Vec::new()) };
        }
        match &mut node.value {
            Value::Items(items) => items,
            Value::Bytes(_) => unreachable!("it was made a sequence above"),
        }
    }
}

/// The bytes that a UID was read from: a malformed one holds a character for every byte.
pub(in crate::dataset) fn uid_bytes(uid: &Uid) -> Vec<u8> {
    uid.as_str().chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}
