//! What the journal keeps of linked files: the files alone do not tell that they were linked.

use std::collections::BTreeMap;

use super::journal::{JournalEntry, LinkedText, PathText};
use super::{Digest, Link};
use crate::dicom::{Identity, TransferSyntaxUid};

/// Files in one line; a line has a bound.
const IN_A_LINE: usize = 200;

/// What is to be kept of a linked file: where it is, what it is, and whether it is a variant.
pub type LinkedAs<'a> = (&'a Link, &'a Identity, &'a TransferSyntaxUid, Option<Digest>, bool);

impl JournalEntry {
    /// The entries for files that are linked.
    pub fn links<'a>(files: impl Iterator<Item = LinkedAs<'a>>) -> Vec<JournalEntry> {
        entries(files.map(text))
    }
}

/// The folder of a linked file, and what is kept of the file.
pub(super) fn text((link, identity, transfer_syntax, digest, variant): LinkedAs<'_>) -> (Vec<u8>, LinkedText) {
    let (folder, name) = link.parts();
    let text = LinkedText {
        name: PathText::of(name),
        instance: identity.instance.as_str().to_owned(),
        class: identity.class.as_str().to_owned(),
        syntax: transfer_syntax.as_str().to_owned(),
        offset: link.offset,
        size: link.size,
        modified: link.modified,
        digest: digest.map(|digest| digest.to_string()),
        variant,
    };
    (folder.to_vec(), text)
}

/// The entries of a batch, by folder.
pub(super) fn entries(linked: impl Iterator<Item = (Vec<u8>, LinkedText)>) -> Vec<JournalEntry> {
    let mut folders: BTreeMap<Vec<u8>, Vec<LinkedText>> = BTreeMap::new();
    for (folder, text) in linked {
        folders.entry(folder).or_default().push(text);
    }
    let lines = |(folder, mut files): (Vec<u8>, Vec<LinkedText>)| {
        let mut lines = Vec::new();
        while !files.is_empty() {
            let rest = files.split_off(files.len().min(IN_A_LINE));
            lines.push(JournalEntry::Linked { folder: PathText::of(&folder), files });
            files = rest;
        }
        lines
    };
    folders.into_iter().flat_map(lines).collect()
}
