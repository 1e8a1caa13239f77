//! Elements, bounds and texts: a reader and writer of DICOM data sets that is bounded, never recurses and never
//! trusts a length. Everything that a stranger sent is looked at by this module alone.

mod amend;
mod charset;
mod convert;
mod digest;
mod directory;
mod elements;
mod error;
mod extent;
mod fold;
mod identifier;
mod inflate;
mod input;
mod json;
mod part10;
mod pixel_stream;
mod pixels;
mod references;
mod scan;
#[cfg(test)]
mod testing;
mod tree;
mod vr;
mod wire;

pub use amend::{Amendment, Original, UidKind, UidMap, amend};
pub use charset::CharacterSet;
pub use convert::{convert, is_native, read_error};
pub use digest::{ValueDigest, value_digest};
pub use directory::{is_directory, referenced_files};
pub use elements::Elements;
pub use error::ReadError;
pub use extent::{Cut, Extent, find_cut};
pub use fold::fold_person_name;
pub use identifier::{Bounds, Identifier, IdentifierError, IdentifierKey, Writer};
pub use json::{FoundValue, ValuePath, find_value, json_attribute, write_json};
pub use part10::{Part10, read_part10_head, write_part10_head};
pub use pixel_stream::PixelStream;
pub use pixels::{Frames, NoFrames, Pixels, find_pixels};
pub use references::{References, read_references, write_commitment_result};
pub use scan::{Header, Scan, ScanOutcome, scan_header};
pub use tree::{Node, Tree, Value};
pub use vr::keyword;
