//! A data set in memory, nested, to be looked into and edited: documents, and the headers of objects up to their pixel
//! data. Bounded, and read without recursion.

mod edit;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use crate::dicom::{Tag, Uid};

pub(super) use edit::uid_bytes;
pub(super) use read::{decoded, is_fragments, items_behind, read_header, read_node};
pub(super) use write::{write_item, write_node};

/// A data set, or an item of a sequence. Texts are UTF-8 whatever they were on the wire, and Specific Character Set
/// (0008,0005) is no element of it: [`Tree::write`] declares what it writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<Tag, Node>,
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its value representation: of the wire, or of the dictionary, or UN.
    pub vr: [u8; 2],
    /// What it holds.
    pub value: Value,
}

/// The value of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text in UTF-8 without padding, several values separated by backslashes; or numbers as Little Endian bytes.
    Bytes(Vec<u8>),
    /// The items of a sequence.
    Items(Vec<Tree>),
}

impl Tree {
    /// Without any element.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// An element.
    pub fn get(&self, tag: Tag) -> Option<&Node> {
        self.nodes.get(&tag)
    }

    /// Whether there is such an element, empty or not.
    pub fn contains(&self, tag: Tag) -> bool {
        self.nodes.contains_key(&tag)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many elements there are, those of items not counted.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The elements in the order of their tags.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &Node)> {
        self.nodes.iter().map(|(&tag, node)| (tag, node))
    }

    /// The elements in the order of their tags, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Tag, &mut Node)> {
        self.nodes.iter_mut().map(|(&tag, node)| (tag, node))
    }

    /// The value of an element that is no sequence.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        self.get(tag)?.bytes()
    }

    /// A text without the spaces around it; `None` where it is absent, empty or damaged.
    pub fn text(&self, tag: Tag) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes(tag)?).ok()?.trim_matches([' ', '\0']);
        (!text.is_empty()).then_some(text)
    }

    /// A UID; `None` where it is absent or empty.
    pub fn uid(&self, tag: Tag) -> Option<Uid> {
        Some(Uid::from_bytes(self.bytes(tag)?)).filter(|uid| !uid.is_empty())
    }

    /// The first US value.
    pub fn u16(&self, tag: Tag) -> Option<u16> {
        self.bytes(tag)?.first_chunk().map(|&bytes| u16::from_le_bytes(bytes))
    }

    /// The items of a sequence; none where it is absent.
    pub fn items(&self, tag: Tag) -> &[Tree] {
        match self.get(tag) {
            Some(Node { value: Value::Items(items), .. }) => items,
            _ => &[],
        }
    }

    /// The first item of a sequence.
    pub fn item(&self, tag: Tag) -> Option<&Tree> {
        self.items(tag).first()
    }
}

impl Node {
    /// The value, if it is no sequence.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Items(_) => None,
        }
    }

    /// The items, if it is a sequence.
    pub fn items(&self) -> Option<&[Tree]> {
        match &self.value {
            Value::Items(items) => Some(items),
            Value::Bytes(_) => None,
        }
    }
}
