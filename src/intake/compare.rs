//! Two objects with one UID and different bytes: the same values in another encoding, the same pixels with another
//! header, or something else.

use std::io::{BufReader, Read};
use std::sync::mpsc::{Receiver, Sender};

use super::inbox::{Item, Message};
use crate::catalog::Copy;
use crate::dataset::{ValueDigest, value_digest};
use crate::dicom::TransferSyntaxUid;
use crate::store::{Digest, Store, StoreError};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// How alike two objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Every value is the same; only the encoding differs.
    SameValues,
    /// The pixel data are the same, the header is not.
    SamePixels,
    /// Anything else, and what cannot be read.
    Different,
}

/// What a comparison has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The digest of what was filed when it was compared.
    pub(super) against: Digest,
    pub(super) likeness: Likeness,
}

/// An object and what it is to be compared with.
pub(super) struct Comparison {
    pub(super) item: Item,
    pub(super) with: Copy,
}

/// The thread that compares. It reads both objects as a stream, in constant memory, and gives the item back.
pub(super) fn run(store: &Store, work: &Receiver<Comparison>, back: &Sender<Message>) {
    for mut comparison in work {
        let likeness = match compare(store, &comparison) {
            Ok(likeness) => likeness,
            Err(error) => {
                tracing::warn!(sop.uid = %comparison.item.incoming.identity.instance, %error,
                    "could not compare an object with the one that is filed under its UID; both are kept");
                Likeness::Different
            }
        };
        comparison.item.ticket.verdict = Some(Verdict { against: comparison.with.digest, likeness });
        if back.send(Message::Item(Box::new(comparison.item))).is_err() {
            return;
        }
    }
}

fn compare(store: &Store, comparison: &Comparison) -> Result<Likeness, StoreError> {
    let incoming = &comparison.item.incoming;
    let (filed, _) = store.open_data_set(&comparison.with.place)?;
    let Some(filed) = digest(filed, &comparison.with.transfer_syntax) else { return Ok(Likeness::Different) };
    let Some(arrived) = digest(incoming.data_set(), &incoming.transfer_syntax) else { return Ok(Likeness::Different) };
    Ok(match (filed.pixels == arrived.pixels, filed.header == arrived.header) {
        (true, true) => Likeness::SameValues,
        (true, false) => Likeness::SamePixels,
        (false, _) => Likeness::Different,
    })
}

/// `None` for a data set that is malformed: nothing can be said of its values.
fn digest(reader: impl Read, syntax: &TransferSyntaxUid) -> Option<ValueDigest> {
    value_digest(BufReader::with_capacity(CHUNK, reader), syntax).ok()
}
