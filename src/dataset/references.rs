//! Lists of SOP instances as Storage Commitment tells them (PS3.3 §C.14.1): read from a request, written into a report.

use super::input::Input;
use super::wire::{self, Head, ITEM, Syntax};
use super::{Elements, ReadError};
use crate::dicom::{Encoding, SopClassUid, SopInstanceUid, Status, Tag, Uid, tags};

/// A request longer than this is refused.
const LONGEST: u64 = 16 * 1024 * 1024;
/// A UID has 64 characters; some have a few more.
const LONGEST_UID: u32 = 1024;

/// Referenced SOP Sequence (0008,1199) in the order of the data set, with the transaction that it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Transaction UID (0008,1195); `None` if absent or empty.
    pub transaction: Option<Uid>,
    /// The instances; a UID that is missing is empty.
    pub instances: Vec<(SopClassUid, SopInstanceUid)>,
    /// Whether there were more than the caller wanted; the rest is not read.
    pub too_many: bool,
}

/// Reads Transaction UID and Referenced SOP Sequence, `most` instances at most.
pub fn read_references(bytes: &[u8], encoding: Encoding, most: usize) -> Result<References, ReadError> {
    let mut input = Input::new(bytes, LONGEST);
    let syntax = Syntax::of(encoding).probe(input.ahead(wire::PROBE)?);
    let mut found = References::default();
    // One item's UIDs follow its header; where the sequence and its items end need not be known for that.
    let mut entered = false;
    while let Some(head) = Head::read(&mut input, syntax)? {
        match (head.tag, head.length) {
            (tags::REFERENCED_SOP_SEQUENCE, _) if !std::mem::replace(&mut entered, true) => {}
            (wire::ITEM_END | wire::SEQUENCE_END, _) => {}
            (ITEM, _) if found.instances.len() >= most => {
                found.too_many = true;
                break;
            }
            (ITEM, _) => found.instances.push((SopClassUid::new(""), SopInstanceUid::new(""))),
            (tags::TRANSACTION_UID, Some(length)) if length <= LONGEST_UID => {
                let uid = Uid::from_bytes(&input.read_value(length, head.tag)?);
                found.transaction = Some(uid).filter(|uid| !uid.is_empty());
            }
            (tag @ (tags::REFERENCED_SOP_CLASS_UID | tags::REFERENCED_SOP_INSTANCE_UID), Some(length))
                if length <= LONGEST_UID =>
            {
                let uid = Uid::from_bytes(&input.read_value(length, tag)?);
                match found.instances.last_mut() {
                    Some((class, _)) if tag == tags::REFERENCED_SOP_CLASS_UID => *class = uid.into(),
                    Some((_, instance)) => *instance = uid.into(),
                    None => {}
                }
            }
            _ => wire::skip_value(&mut input, &head, syntax)?,
        }
    }
    Ok(found)
}

/// Writes the data set of a Storage Commitment result: those that are committed in Referenced SOP Sequence, the others
/// with their reasons in Failed SOP Sequence. A sequence without an item is left out.
pub fn write_commitment_result(
    transaction: &Uid,
    retrieve_from: &str,
    results: &[(SopClassUid, SopInstanceUid, Option<Status>)],
    encoding: Encoding,
) -> Vec<u8> {
    let item = |(class, instance, reason): &(SopClassUid, SopInstanceUid, Option<Status>)| {
        let mut item = Elements::new();
        item.put(tags::REFERENCED_SOP_CLASS_UID, class.as_str());
        item.put(tags::REFERENCED_SOP_INSTANCE_UID, instance.as_str());
        if let Some(reason) = reason {
            item.put_u16(tags::FAILURE_REASON, reason.0);
        }
        item.write(encoding)
    };
    let items = |failed: bool| results.iter().filter(move |(_, _, reason)| reason.is_some() == failed).map(item);
    let (failed, committed) = (sequence(items(true), encoding), sequence(items(false), encoding));
    let mut top = Elements::new();
    top.put(tags::RETRIEVE_AE_TITLE, retrieve_from);
    top.put(tags::TRANSACTION_UID, transaction.as_str());
    let mut out = top.write(encoding);
    // In the order of their tags, which are behind those of the others.
    for (tag, items) in [(tags::FAILED_SOP_SEQUENCE, failed), (tags::REFERENCED_SOP_SEQUENCE, committed)] {
        if !items.is_empty() {
            write_sequence(&mut out, tag, &items, encoding);
        }
    }
    out
}

fn sequence(items: impl Iterator<Item = Vec<u8>>, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        head(&mut out, ITEM, None, item.len(), encoding);
        out.extend_from_slice(&item);
    }
    out
}

fn write_sequence(out: &mut Vec<u8>, tag: Tag, items: &[u8], encoding: Encoding) {
    head(out, tag, Some(*b"SQ"), items.len(), encoding);
    out.extend_from_slice(items);
}

/// An element header with a length of its own; items have no VR.
fn head(out: &mut Vec<u8>, tag: Tag, vr: Option<[u8; 2]>, length: usize, encoding: Encoding) {
    let big = encoding == Encoding::ExplicitBe;
    let two = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    out.extend_from_slice(&two(tag.group()));
    out.extend_from_slice(&two(tag.element()));
    if let Some(vr) = vr.filter(|_| encoding != Encoding::ImplicitLe) {
        out.extend_from_slice(&vr);
        out.extend_from_slice(&[0, 0]);
    }
    // What is written here has a bounded number of short items.
    let length = u32::try_from(length).unwrap_or(u32::MAX - 1);
    out.extend_from_slice(&if big { length.to_be_bytes() } else { length.to_le_bytes() });
}

#[cfg(test)]
mod tests;
