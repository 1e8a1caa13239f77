//! From memory to bytes.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::super::wire::{self, Head, ITEM, Syntax};
use super::super::{CharacterSet, vr};
use super::{Node, Tree, Value};
use crate::dicom::{Encoding, Tag, tags};

impl Tree {
    /// The data set in an encoding, sequences with defined lengths. Where a text goes beyond ASCII, it is declared and
    /// written as ISO_IR 192.
    pub fn write(&self, encoding: Encoding) -> Vec<u8> {
        let syntax = Syntax::of(encoding);
        let mut out = Vec::new();
        let mut charset = (!self.is_ascii()).then(|| Node { vr: *b"CS", value: Value::Bytes(b"ISO_IR 192".to_vec()) });
        for (&tag, node) in &self.nodes {
            if tag > tags::SPECIFIC_CHARACTER_SET
                && let Some(charset) = charset.take()
            {
                write_node(&mut out, tags::SPECIFIC_CHARACTER_SET, &charset, syntax, None);
            }
            write_node(&mut out, tag, node, syntax, None);
        }
        if encoding != Encoding::DeflatedLe {
            return out;
        }
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        let deflated = deflate.write_all(&out).and_then(|()| deflate.finish());
        // A vector takes what is written to it.
        deflated.unwrap_or_default()
    }

    /// Whether every text is ASCII, so that it means the same in every character set.
    fn is_ascii(&self) -> bool {
        self.nodes.values().all(|node| match &node.value {
            Value::Bytes(bytes) => !vr::has_charset(node.vr) || bytes.is_ascii(),
            Value::Items(items) => items.iter().all(Tree::is_ascii),
        })
    }

    /// Appends the elements; texts are encoded in the character set if one is given, else written as they are. `None`
    /// where it cannot carry one of them.
    pub(in crate::dataset) fn append(
        &self,
        out: &mut Vec<u8>,
        syntax: Syntax,
        charset: Option<&CharacterSet>,
    ) -> Option<()> {
        self.nodes.iter().try_for_each(|(&tag, node)| write_node(out, tag, node, syntax, charset))
    }
}

/// Appends an item with the content that is written.
pub(in crate::dataset) fn write_item(
    out: &mut Vec<u8>,
    syntax: Syntax,
    content: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    wire::write_head(out, &Head { tag: ITEM, vr: None, length: Some(0) }, syntax);
    let begin = out.len();
    content(out)?;
    close(out, begin, syntax);
    Some(())
}

/// Appends an element. Recurses into its items, which are as deep as [`super::read`] or a caller has made them.
pub(in crate::dataset) fn write_node(
    out: &mut Vec<u8>,
    tag: Tag,
    node: &Node,
    syntax: Syntax,
    charset: Option<&CharacterSet>,
) -> Option<()> {
    match (&node.value, charset.filter(|_| vr::has_charset(node.vr))) {
        (Value::Bytes(bytes), Some(charset)) if !bytes.is_ascii() => {
            let encoded = charset.encode(std::str::from_utf8(bytes).ok()?)?;
            wire::write_element(out, tag, node.vr, &encoded, syntax);
        }
        (Value::Bytes(bytes), _) => wire::write_element(out, tag, node.vr, bytes, syntax),
        (Value::Items(items), _) => {
            wire::write_head(out, &Head { tag, vr: Some(*b"SQ"), length: Some(0) }, syntax);
            let begin = out.len();
            for item in items {
                write_item(out, syntax, |out| item.append(out, syntax, charset))?;
            }
            close(out, begin, syntax);
        }
    }
    Some(())
}

/// Sets the length, which ends where the content begins.
fn close(out: &mut [u8], begin: usize, syntax: Syntax) {
    let length = u32::try_from(out.len() - begin).unwrap_or(u32::MAX - 1);
    let bytes = if syntax.big { length.to_be_bytes() } else { length.to_le_bytes() };
    if let Some(place) = out.get_mut(begin - 4..begin) {
        place.copy_from_slice(&bytes);
    }
}
