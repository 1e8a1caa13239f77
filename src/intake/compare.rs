//! Two objects with one UID and different bytes: the same values in another encoding, the same pixels with another
//! header, or something else.

use std::io::{BufReader, Read};
use std::sync::mpsc::{Receiver, Sender};

use super::IntakeError;
use super::decide::Chore;
use super::inbox::{Item, Message};
use crate::catalog::{Catalog, Copy};
use crate::dataset::{ValueDigest, value_digest};
use crate::dicom::TransferSyntaxUid;
use crate::store::{Place, Store, StoreError};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What was filed when it was compared. Bytes at a place do not change; a linked file that does is another place.
    pub(super) against: Place,
    pub(super) likeness: Likeness,
}

/// An object and what is to be done before it can be filed.
pub(super) struct Errand {
    pub(super) item: Item,
    pub(super) chore: Chore,
}

/// The thread that runs errands: it compares, digests and copies, in constant memory, and gives the item back.
pub(super) fn run(store: &Store, catalog: &Catalog, work: &Receiver<Errand>, back: &Sender<Message>) {
    for Errand { mut item, chore } in work {
        let message = match run_one(store, catalog, &mut item, chore) {
            Ok(()) => Message::Back(Some(Box::new(item))),
            Err(error) => {
                let uid = item.incoming.identity.instance.clone();
                item.ticket.answer(&uid, Err(error));
                Message::Back(None)
            }
        };
        if back.send(message).is_err() {
            return;
        }
    }
}

fn run_one(store: &Store, catalog: &Catalog, item: &mut Item, chore: Chore) -> Result<(), IntakeError> {
    match chore {
        Chore::Digest => store.digest_incoming(&mut item.incoming)?,
        Chore::Fetch => store.fetch(&mut item.incoming)?,
        Chore::Learn(copy) => match store.digest(&copy.place) {
            Ok((digest, _)) => catalog.learn_digest(&item.incoming.identity.instance, &copy.place, digest)?,
            // It has changed, or is gone, and is no obstacle any more; the next look sees that.
            Err(StoreError::Missing { .. } | StoreError::LinkChanged { .. }) => {}
            Err(error) => return Err(error.into()),
        },
        Chore::Compare(with) => {
            let likeness = compare(store, item, &with).unwrap_or_else(|error| {
                tracing::warn!(sop.uid = %item.incoming.identity.instance, %error,
                    "could not compare an object with the one that is filed under its UID; both are kept");
                Likeness::Different
            });
            item.ticket.verdict = Some(Verdict { against: with.place, likeness });
        }
    }
    Ok(())
}

fn compare(store: &Store, item: &Item, with: &Copy) -> Result<Likeness, StoreError> {
    let incoming = &item.incoming;
    // A linked file may have changed though its size and its time have not: it is no proof of anything then.
    if with.digest.is_some() && with.place.linked().is_some() && Some(store.digest(&with.place)?.0) != with.digest {
        return Ok(Likeness::Different);
    }
    let (filed, _) = store.open_data_set(&with.place)?;
    let Some(filed) = digest(filed, &with.transfer_syntax) else { return Ok(Likeness::Different) };
    let Some(arrived) = digest(incoming.data_set()?, &incoming.transfer_syntax) else {
        return Ok(Likeness::Different);
    };
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
