//! What an amendment comes to in an object, once its character set is known.

use super::super::tree::{Node, Tree, Value, write_item, write_node};
use super::super::wire::Syntax;
use super::super::{CharacterSet, ReadError};
use super::{Amendment, Original};
use crate::dicom::{Tag, tags};

/// What is to be written at a tag.
#[derive(Debug)]
pub(super) enum Insert {
    /// An element, encoded.
    Element(Vec<u8>),
    /// One more item of a sequence.
    Item,
}

/// The amendment for one object.
#[derive(Debug)]
pub(super) struct Plan {
    /// In the order of their tags.
    inserts: Vec<(Tag, Insert)>,
    next: usize,
    /// What texts are written in.
    charset: CharacterSet,
    /// Whether the texts of the object have to become that.
    pub(super) transcodes: bool,
}

impl Plan {
    /// `declared` is the character set that the object names.
    pub(super) fn new(
        amendment: &Amendment,
        declared: Option<&CharacterSet>,
        syntax: Syntax,
    ) -> Result<Plan, ReadError> {
        let declared = declared.filter(|charset| charset.unknown_terms().is_empty());
        let kept = declared.cloned().unwrap_or_else(CharacterSet::ascii);
        if let Some(inserts) = inserts(amendment, syntax, &kept) {
            return Ok(Plan { inserts, next: 0, charset: kept, transcodes: false });
        }
        let charset = CharacterSet::utf8();
        let inserts = inserts(amendment, syntax, &charset).ok_or(ReadError::Malformed {
            offset: 0,
            tag: tags::SPECIFIC_CHARACTER_SET,
            what: "the amendment holds a text that is no UTF-8",
        })?;
        Ok(Plan { inserts, next: 0, charset, transcodes: true })
    }

    /// What has to be written before an element with this tag.
    pub(super) fn due(&mut self, before: Option<Tag>) -> Option<(Tag, Insert)> {
        let (tag, insert) = self.inserts.get_mut(self.next)?;
        if before.is_some_and(|before| *tag >= before) {
            return None;
        }
        self.next += 1;
        Some((*tag, std::mem::replace(insert, Insert::Item)))
    }

    /// What has to be written in the place of an element with this tag.
    pub(super) fn at(&mut self, tag: Tag) -> Option<Insert> {
        let (_, insert) = self.inserts.get_mut(self.next).filter(|(next, _)| *next == tag)?;
        self.next += 1;
        Some(std::mem::replace(insert, Insert::Item))
    }

    /// Whether nothing is left to be written.
    pub(super) fn is_written(&self) -> bool {
        self.next == self.inserts.len()
    }

    /// Whether the item of Original Attributes Sequence is still to be written.
    pub(super) fn gathers(&self) -> bool {
        let left = self.inserts.get(self.next..).unwrap_or_default();
        left.iter().any(|(tag, insert)| *tag == tags::ORIGINAL_ATTRIBUTES_SEQUENCE && matches!(insert, Insert::Item))
    }

    /// An item that is to be written, encoded; `None` where it has nothing to tell. `originals` are as they were or as
    /// they will be, not in UTF-8.
    pub(super) fn item(&self, tag: Tag, amendment: &Amendment, originals: &Tree, syntax: Syntax) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let charset = Some(&self.charset);
        match (tag, &amendment.original, &amendment.equipment) {
            (tags::ORIGINAL_ATTRIBUTES_SEQUENCE, Some(original), _) if !originals.is_empty() => {
                write_item(&mut out, syntax, |out| {
                    let modified = Node { vr: *b"SQ", value: Value::Items(vec![originals.clone()]) };
                    write_node(out, tags::MODIFIED_ATTRIBUTES_SEQUENCE, &modified, syntax, None)?;
                    original.item().append(out, syntax, charset)
                })?;
            }
            (tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, _, Some(equipment)) => {
                write_item(&mut out, syntax, |out| equipment.append(out, syntax, charset))?;
            }
            _ => return None,
        }
        Some(out)
    }
}

fn inserts(amendment: &Amendment, syntax: Syntax, charset: &CharacterSet) -> Option<Vec<(Tag, Insert)>> {
    let mut inserts = Vec::with_capacity(amendment.put.len() + 2);
    for (tag, node) in amendment.put.iter().filter(|(tag, _)| *tag != tags::SPECIFIC_CHARACTER_SET) {
        let mut bytes = Vec::new();
        write_node(&mut bytes, tag, node, syntax, Some(charset))?;
        inserts.push((tag, Insert::Element(bytes)));
    }
    let mut scratch = Vec::new();
    for (tag, tree) in [
        (tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, amendment.equipment.clone()),
        (tags::ORIGINAL_ATTRIBUTES_SEQUENCE, amendment.original.as_ref().map(Original::item)),
    ] {
        if let Some(tree) = tree
            && !amendment.put.contains(tag)
        {
            tree.append(&mut scratch, syntax, Some(charset))?;
            inserts.push((tag, Insert::Item));
        }
    }
    inserts.sort_by_key(|(tag, _)| *tag);
    Some(inserts)
}

impl Original {
    /// The item, without the attributes.
    pub(super) fn item(&self) -> Tree {
        let mut item = Tree::new();
        item.put_text(tags::ATTRIBUTE_MODIFICATION_DATE_TIME, &self.at)
            .put_text(tags::MODIFYING_SYSTEM, &self.system)
            .put_text(tags::SOURCE_OF_PREVIOUS_VALUES, &self.source)
            .put_text(tags::REASON_FOR_THE_ATTRIBUTE_MODIFICATION, &self.reason);
        item
    }
}
