//! What was there before, for Original Attributes Sequence (PS3.3 §C.12.1.1.9).

use std::io::Read;

use super::super::super::ReadError;
use super::super::super::convert::choice::Context;
use super::super::super::input::{Input, WINDOW};
use super::super::super::tree::{Node, Value, is_fragments, read_node, write_node};
use super::super::super::wire::{self, Head};
use super::super::plan::Plan;
use super::{MOST_ORIGINAL, Walk};
use crate::dicom::{Tag, tags};

impl<R: Read> Walk<R> {
    /// Gets past a value that does not leave, and keeps it, unless it is the same as the new one.
    pub(super) fn put_away(&mut self, head: &Head, new: Option<&[u8]>) -> Result<(), ReadError> {
        let syntax = self.syntax;
        if !self.gathers() || is_fragments(head) {
            return wire::skip_value(&mut self.input, head, syntax);
        }
        let found = read_node(&mut self.input, head, syntax, &mut Context::default(), &mut self.budget)?;
        let Some(mut node) = found else { return Ok(()) };
        if self.transcodes() {
            node.decode(&self.charset);
        }
        let mut old = Vec::new();
        // As it is, which never fails.
        let _written = write_node(&mut old, head.tag, &node, syntax, None);
        // A Patient ID is told with the one who issued it.
        let issuer = head.tag == tags::ISSUER_OF_PATIENT_ID && self.originals.contains(tags::PATIENT_ID);
        if issuer || new != Some(&old) {
            self.keep(head.tag, node);
        }
        Ok(())
    }

    /// Whether UIDs in a sequence are replaced, as far as can be seen ahead; it is kept as a whole then.
    pub(super) fn replaces_in(&mut self, head: &Head) -> Result<bool, ReadError> {
        let most = usize::try_from(MOST_ORIGINAL).unwrap_or(usize::MAX);
        let mut want = head.length.map_or(WINDOW, |length| usize::try_from(length).unwrap_or(usize::MAX));
        while want <= most {
            let ahead = self.input.far_ahead(want)?;
            let (ended, mut budget) = (ahead.len() < want, MOST_ORIGINAL);
            let found =
                read_node(&mut Input::new(ahead, u64::MAX), head, self.syntax, &mut Context::default(), &mut budget);
            match found {
                Ok(Some(node)) => return Ok(self.replaces_in_node(head.tag, node, MOST_ORIGINAL - budget)),
                // It ends further on, if anywhere.
                Err(ReadError::Truncated { .. }) if head.length.is_none() && !ended => want *= 4,
                // It needs too much memory; or it is damaged, which shows when it is amended.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(true)
    }

    fn replaces_in_node(&mut self, tag: Tag, mut node: Node, cost: u64) -> bool {
        let replaces = node.items().is_some_and(|items| self.amendment.uids.touches(tag, items));
        if replaces
            && self.gathers()
            && let Some(left) = self.budget.checked_sub(cost)
        {
            self.budget = left;
            if self.transcodes() {
                node.decode(&self.charset);
            }
            self.keep(tag, node);
        }
        replaces
    }

    /// Keeps UIDs before they are replaced.
    pub(super) fn keep_uid(&mut self, tag: Tag, value: &[u8]) {
        let padding = value.iter().rev().take_while(|&&b| b == 0 || b == b' ').count();
        let old = value.get(..value.len() - padding).unwrap_or_default().to_vec();
        self.keep(tag, Node { vr: *b"UI", value: Value::Bytes(old) });
    }

    /// The first of those that are there twice counts. The content tree of a document is not told: readers take a second
    /// one for a part of the first, and what it referred to is in the lists of evidence.
    fn keep(&mut self, tag: Tag, node: Node) {
        if tag != tags::CONTENT_SEQUENCE && !self.originals.contains(tag) {
            self.originals.put(tag, node);
        }
    }

    /// Whether they are asked for and not yet told.
    pub(super) fn gathers(&self) -> bool {
        self.plan.as_ref().is_some_and(Plan::gathers)
    }
}
