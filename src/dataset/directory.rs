//! DICOMDIR (PS3.3 annex F): the files that its records name. Records refer to each other by offsets, which are wrong
//! in many of them; here they are read one after the other, and offsets are not looked at.

use std::io::Read;

use super::input::Input;
use super::wire::{self, Head, ITEM, Syntax};
use super::{Part10, ReadError};
use crate::dicom::{TransferSyntaxUid, encoding_of, tags};

/// A directory longer than this is not read further.
const LONGEST: u64 = 256 * 1024 * 1024;
/// A File ID has eight parts of eight characters.
const LONGEST_FILE_ID: u32 = 1024;

/// Whether the data set begins like a directory, whatever its file meta group says: no other has elements of group 4.
pub fn is_directory(file: &[u8], head: &Part10) -> bool {
    let at = usize::try_from(head.data_set_offset).unwrap_or(usize::MAX);
    matches!(file.get(at..), Some([4, 0, _, 0x11 | 0x12 | 0x14, ..] | [0, 4, 0x11 | 0x12 | 0x14, _, ..]))
}

/// Hands the File ID of every record to `file`, as it stands in Referenced File ID: its parts separated by backslashes.
/// What is behind a record that cannot be read is lost, which the error tells.
pub fn referenced_files(
    reader: impl Read,
    syntax: &TransferSyntaxUid,
    file: &mut dyn FnMut(&[u8]),
) -> Result<(), ReadError> {
    let mut input = Input::new(reader, LONGEST);
    let syntax = Syntax::of(encoding_of(syntax)).probe(input.ahead(wire::PROBE)?);
    while let Some(head) = Head::read(&mut input, syntax)? {
        match (head.tag, head.length) {
            // Into the sequence of records and into each of them.
            (tags::DIRECTORY_RECORD_SEQUENCE | ITEM | wire::ITEM_END | wire::SEQUENCE_END, _) => {}
            (tags::REFERENCED_FILE_ID, Some(length)) if length <= LONGEST_FILE_ID => {
                let value = input.read_value(length, head.tag)?;
                file(value.trim_ascii_end().strip_suffix(b"\0").unwrap_or(value.trim_ascii_end()));
            }
            _ => wire::skip_value(&mut input, &head, syntax)?,
        }
    }
    Ok(())
}
