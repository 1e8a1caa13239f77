//! What is different in an object when it leaves: its header is rewritten element by element while it is read, its pixel
//! data pass as they are stored. In constant memory, without recursion, in the encoding in which it is stored.
//!
//! Texts stay in the character set of the object where that can carry what is put into it; else the whole object, items
//! with a character set of their own too, becomes ISO_IR 192. Digital signatures go, since they would be wrong, and so
//! do group lengths; sequences in which something may change get undefined lengths.
//!
//! Original Attributes Sequence tells what was there before: every element of the data set itself that is replaced or
//! removed and stands before that sequence, those whole in which a UID is replaced; a megabyte in all.

mod bytes;
mod plan;
#[cfg(test)]
mod tests;
mod uids;
mod walk;

use std::io::Read;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateEncoder;

use super::inflate::Inflate;
use super::input::Input;
use super::{ReadError, Tree, wire};
use crate::dicom::{Encoding, Tag, TransferSyntaxUid, encoding_of, tags};

pub use uids::{UidKind, UidMap};
use walk::Walk;

/// A deflated object inflates to this and [`INFLATE_RATIO`] times its own size at most.
const INFLATE_LIMIT: u64 = 64 * 1024 * 1024;
const INFLATE_RATIO: u64 = 256;

/// What is different in the header of an object when it leaves. Stored in the catalog as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
    /// Elements of the data set itself that are set, whether they are there or not.
    pub put: Tree,
    /// Elements of the data set itself that are taken away.
    pub remove: Vec<Tag>,
    /// UIDs that are replaced, wherever they stand.
    pub uids: UidMap,
    /// The item that Original Attributes Sequence (0400,0561) gets, with what was put away, as far as it was there.
    pub original: Option<Original>,
    /// The item that Contributing Equipment Sequence (0018,A001) gets.
    pub equipment: Option<Tree>,
    /// Specific Character Set of the objects that name none, as it would stand in (0008,0005).
    pub default_charset: Option<String>,
}

/// What an item of Original Attributes Sequence says beside the attributes (PS3.3 §C.12.1.1.9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Original {
    /// Source of Previous Values (0400,0564); may be empty.
    pub source: String,
    /// Modifying System (0400,0563).
    pub system: String,
    /// Reason for the Attribute Modification (0400,0565): COERCE or CORRECT.
    pub reason: String,
    /// Attribute Modification DateTime (0400,0562), a DT.
    pub at: String,
}

impl Amendment {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.remove.is_empty() && self.uids.is_empty() && self.equipment.is_none()
    }

    /// Whether an element comes from here, in its place.
    fn writes(&self, tag: Tag) -> bool {
        self.put.contains(tag) || (tag == tags::CONTRIBUTING_EQUIPMENT_SEQUENCE && self.equipment.is_some())
    }
}

/// The data set with the amendments applied one after the other, in the transfer syntax in which it is stored. What is
/// wrong with the data set comes as an error of the reader, which is a [`ReadError`] inside.
pub fn amend<R: Read + Send + 'static>(
    stored: R,
    syntax: &TransferSyntaxUid,
    amendments: &[Arc<Amendment>],
) -> Result<Box<dyn Read + Send>, ReadError> {
    let amendments: Vec<_> = amendments.iter().filter(|amendment| !amendment.is_empty()).collect();
    if amendments.is_empty() {
        return Ok(Box::new(stored));
    }
    let encoding = encoding_of(syntax);
    let mut raw = Input::new(stored, u64::MAX);
    let deflated = encoding == Encoding::DeflatedLe && !wire::looks_like_elements(raw.ahead(8)?);
    let mut reader: Box<dyn Read + Send> =
        if deflated { Box::new(Inflate::new(raw, INFLATE_LIMIT, INFLATE_RATIO)) } else { Box::new(raw) };
    for amendment in amendments {
        reader = Box::new(Walk::new(reader, encoding, amendment.clone()));
    }
    Ok(if deflated { Box::new(DeflateEncoder::new(reader, Compression::fast())) } else { reader })
}
