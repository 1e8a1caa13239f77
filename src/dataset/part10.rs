//! DICOM files (PS3.10 §7.1): where the data set begins, and the head that we write before ours.

use super::ReadError;
use super::input::Input;
use super::wire::{self, Head, Syntax};
use crate::dicom::{Tag, TransferSyntaxUid, Uid, tags, uids};

const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";
/// A File Meta group beyond this is none.
const LONGEST: u64 = 1024 * 1024;
const META: Syntax = Syntax { explicit: true, big: false };

/// What the head of a file says. A file without a File Meta group has no transfer syntax; the scanner finds it out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part10 {
    /// Where the data set begins.
    pub data_set_offset: u64,
    /// Transfer Syntax UID (0002,0010).
    pub transfer_syntax: Option<TransferSyntaxUid>,
    /// Media Storage SOP Class UID (0002,0002).
    pub sop_class: Option<Uid>,
    /// Media Storage SOP Instance UID (0002,0003).
    pub sop_instance: Option<Uid>,
    /// Private Information (0002,0102).
    pub private_information: Option<Vec<u8>>,
    /// Private Information Creator UID (0002,0100).
    pub private_creator: Option<Uid>,
}

/// Reads the head of a file from its first bytes. Tolerates a missing preamble, a wrong or missing group length, a
/// group that is Implicit or Big Endian, and a file that is a bare data set.
pub fn read_part10_head(bytes: &[u8]) -> Result<Part10, ReadError> {
    let with_preamble = bytes.get(PREAMBLE..).filter(|rest| rest.starts_with(MAGIC));
    let begin = match with_preamble {
        Some(_) => PREAMBLE + MAGIC.len(),
        None if bytes.starts_with(MAGIC) => MAGIC.len(),
        None if wire::looks_like_data_set(bytes) => 0,
        None => return Err(ReadError::NotDicom),
    };
    let meta = bytes.get(begin..).unwrap_or_default();
    let mut part10 = read_meta(meta)?;
    part10.data_set_offset += begin as u64;
    Ok(part10)
}

fn read_meta(bytes: &[u8]) -> Result<Part10, ReadError> {
    let mut part10 = Part10::default();
    let mut input = Input::new(bytes, LONGEST);
    let syntax = META.probe(bytes);
    let mut declared_end = None;
    loop {
        let group = |bytes: &[u8]| matches!(bytes, [2, 0, ..] | [0, 2, ..]);
        let offset = input.offset();
        let rest = input.ahead(12)?;
        // A deflated data set may begin like a meta element, so that a group length that fits has the last word.
        if declared_end == Some(offset) || !group(rest) {
            part10.data_set_offset = offset;
            return Ok(part10);
        }
        let Some(head) = Head::read(&mut input, syntax)? else {
            return Err(ReadError::Truncated { offset, tag: None });
        };
        let (Some(length), begin) = (head.length, input.offset()) else {
            return Err(ReadError::Malformed { offset, tag: head.tag, what: "has no length in a file meta group" });
        };
        wire::skip(&mut input, length, head.tag)?;
        let value = || {
            let begin = usize::try_from(begin).ok()?;
            bytes.get(begin..begin.checked_add(usize::try_from(length).ok()?)?)
        };
        let Some(value) = value() else { continue };
        match head.tag {
            tags::FILE_META_INFORMATION_GROUP_LENGTH => {
                let length = <[u8; 4]>::try_from(value).map(u32::from_le_bytes).ok();
                declared_end = length.map(|length| input.offset() + u64::from(length));
            }
            tags::MEDIA_STORAGE_SOP_CLASS_UID => part10.sop_class = uid(value),
            tags::MEDIA_STORAGE_SOP_INSTANCE_UID => part10.sop_instance = uid(value),
            tags::TRANSFER_SYNTAX_UID => part10.transfer_syntax = uid(value).map(TransferSyntaxUid::from),
            tags::PRIVATE_INFORMATION_CREATOR_UID => part10.private_creator = uid(value),
            tags::PRIVATE_INFORMATION => part10.private_information = Some(value.to_vec()),
            _ => {}
        }
    }
}

fn uid(value: &[u8]) -> Option<Uid> {
    Some(Uid::from_bytes(value)).filter(|uid| !uid.is_empty())
}

/// The preamble and File Meta group of a file that we write: everything before the data set. `extra` is a creator
/// UID with private information of ours.
pub fn write_part10_head(class: &str, instance: &str, syntax: &str, extra: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut meta = Vec::with_capacity(512);
    long(&mut meta, tags::FILE_META_INFORMATION_VERSION, &[0, 1]);
    ui(&mut meta, tags::MEDIA_STORAGE_SOP_CLASS_UID, class);
    ui(&mut meta, tags::MEDIA_STORAGE_SOP_INSTANCE_UID, instance);
    ui(&mut meta, tags::TRANSFER_SYNTAX_UID, syntax);
    ui(&mut meta, tags::IMPLEMENTATION_CLASS_UID, uids::IMPLEMENTATION_CLASS);
    short(&mut meta, tags::IMPLEMENTATION_VERSION_NAME, b"SH", uids::IMPLEMENTATION_VERSION.as_bytes(), b' ');
    if let Some((creator, information)) = extra {
        ui(&mut meta, tags::PRIVATE_INFORMATION_CREATOR_UID, creator);
        long(&mut meta, tags::PRIVATE_INFORMATION, information);
    }
    let mut head = Vec::with_capacity(PREAMBLE + MAGIC.len() + 12 + meta.len());
    head.resize(PREAMBLE, 0);
    head.extend_from_slice(MAGIC);
    let length = u32::try_from(meta.len()).unwrap_or(u32::MAX);
    short(&mut head, tags::FILE_META_INFORMATION_GROUP_LENGTH, b"UL", &length.to_le_bytes(), 0);
    head.append(&mut meta);
    head
}

fn ui(out: &mut Vec<u8>, tag: Tag, value: &str) {
    // A malformed UID holds a character for every byte that came; the bytes go back as they were.
    let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    short(out, tag, b"UI", &bytes, 0);
}

fn short(out: &mut Vec<u8>, tag: Tag, vr: &[u8; 2], value: &[u8], pad: u8) {
    // A peer's UID has 1,024 characters at most; what would not fit a length of 16 bits is not written.
    let value = value.get(..usize::from(u16::MAX - 1)).unwrap_or(value);
    let padded = value.len() + value.len() % 2;
    out.extend_from_slice(&tag.group().to_le_bytes());
    out.extend_from_slice(&tag.element().to_le_bytes());
    out.extend_from_slice(vr);
    out.extend_from_slice(&u16::try_from(padded).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + padded - value.len(), pad);
}

fn long(out: &mut Vec<u8>, tag: Tag, value: &[u8]) {
    let padded = value.len() + value.len() % 2;
    out.extend_from_slice(&tag.group().to_le_bytes());
    out.extend_from_slice(&tag.element().to_le_bytes());
    out.extend_from_slice(b"OB\0\0");
    out.extend_from_slice(&u32::try_from(padded).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + padded - value.len(), 0);
}

#[cfg(test)]
mod tests;
