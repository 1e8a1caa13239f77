//! What a file is, from its bytes alone: a DICOM file with or without its head, a DICOMDIR, an archive, or nothing of
//! ours; and whether it is all there.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use super::archive::{ArchiveKind, NESTED};
use crate::catalog::{Archived, ListedObject};
use crate::dataset::{
    CharacterSet, Cut, Extent, Header, Part10, ReadError, ScanOutcome, find_cut, is_directory, read_part10_head,
    scan_header,
};
use crate::dicom::{
    Encoding, Identity, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, Uid,
    encoding_of, is_by_reference, is_image_class, uids,
};

/// What is read of every file: enough for nearly every header.
const FIRST: usize = 64 * 1024;
/// Media Storage Directory Storage.
const DIRECTORY: &str = "1.2.840.10008.1.3.10";

/// What a file is.
#[derive(Debug)]
pub(super) enum Found {
    /// An object, and what is wrong with its file, in words.
    Object(Box<ListedObject>, Option<String>),
    /// A DICOMDIR, whose data set begins there and is encoded like that.
    Directory(u64, TransferSyntaxUid),
    /// An archive.
    Archive(ArchiveKind),
    /// A DICOM file whose header cannot be read.
    Unreadable(String),
    /// Nothing at all.
    Empty,
    /// Something else.
    NotDicom,
}

/// Whether these first bytes are those of an archive that can be unpacked.
pub(super) fn kind_of_archive(head: &[u8]) -> Option<ArchiveKind> {
    if head.starts_with(&[0x1F, 0x8B, 8]) {
        Some(ArchiveKind::Gzip)
    } else if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Some(ArchiveKind::Zip)
    } else {
        None
    }
}

/// Looks at a file of that many bytes, or at an unpacked member of an archive. A text without character set means what
/// `charset` says.
pub(super) fn identify<R: Read + Seek>(
    reader: &mut R,
    length: u64,
    archived: Option<Archived>,
    charset: &CharacterSet,
) -> io::Result<Found> {
    if length == 0 {
        return Ok(Found::Empty);
    }
    let mut first = Vec::with_capacity(FIRST.min(usize::try_from(length).unwrap_or(FIRST)));
    reader.by_ref().take(FIRST as u64).read_to_end(&mut first)?;
    let head = match read_part10_head(&first) {
        Ok(head) => head,
        Err(ReadError::NotDicom) => {
            return Ok(match (kind_of_archive(&first), archived) {
                (Some(kind), None) => Found::Archive(kind),
                (Some(_), Some(_)) if !is_document(&first) => Found::Unreadable(NESTED.into()),
                _ => Found::NotDicom,
            });
        }
        Err(error) => return Ok(Found::Unreadable(format!("the file meta group cannot be read: {error}"))),
    };
    let declared = head.transfer_syntax.clone().unwrap_or_else(|| TransferSyntaxUid::new(uids::IMPLICIT_LE));
    if head.sop_class.as_ref().is_some_and(|class| class.as_str() == DIRECTORY) || is_directory(&first, &head) {
        return Ok(Found::Directory(head.data_set_offset, declared));
    }
    let begin = head.data_set_offset;
    let in_memory = first.get(usize::try_from(begin).unwrap_or(usize::MAX)..).unwrap_or_default();
    let scan = scan_header(Cursor::new(in_memory).chain(reader.by_ref()), &declared, true, charset);
    let (header, extent) = (scan.header, scan.extent);
    // A bare data set is one by its look alone: what names nothing is something else.
    let names_nothing = header.sop_instance_uid.is_none() && header.sop_class_uid.is_none();
    if begin == 0 && names_nothing && header.study_uid.is_none() {
        return Ok(Found::NotDicom);
    }
    let found = extent.encoding();
    let native = is_native(&declared);
    let mut transfer_syntax = if native { syntax_of(found, &declared) } else { declared.clone() };
    let cut =
        find_cut(reader, (begin, length), &extent, native, !native && has_pixels(&header, &head, &extent, &declared))?;
    if head.transfer_syntax.is_none()
        && let Some(compressed) = compressed(reader, begin, &extent)?
    {
        transfer_syntax = compressed;
    }
    let identity = identity_of(&header, &head);
    let fault = match (cut, &scan.outcome) {
        (Some(Cut { at, what }), _) => Some(format!("cut off at byte {}: {what}", begin + at)),
        (None, ScanOutcome::Unreadable(error)) => Some(format!("header cannot be read: {error}")),
        (None, _) => None,
    };
    let head_is_sound = is_sound(&first, &head, &identity, &transfer_syntax);
    let object = ListedObject { identity, transfer_syntax, offset: begin, length, head_is_sound, archived, header };
    Ok(Found::Object(Box::new(object), fault))
}

/// Documents of office programs and programs of Java are zip files as well; the name of their first member tells.
fn is_document(first: &[u8]) -> bool {
    let name = first.get(30..).unwrap_or_default();
    ["[Content_Types].xml", "mimetype", "META-INF/"].iter().any(|known| name.starts_with(known.as_bytes()))
}

/// The data set's own word, and the file meta group's where it says nothing.
fn identity_of(header: &Header, head: &Part10) -> Identity {
    let own = |own: &Option<Uid>, meta: &Option<Uid>| own.clone().or_else(|| meta.clone());
    let or_empty = |uid: Option<Uid>| uid.unwrap_or_else(|| Uid::new(""));
    Identity {
        study: StudyInstanceUid::from(or_empty(header.study_uid.clone())),
        series: SeriesInstanceUid::from(or_empty(header.series_uid.clone())),
        instance: SopInstanceUid::from(or_empty(own(&header.sop_instance_uid, &head.sop_instance))),
        class: SopClassUid::from(or_empty(own(&header.sop_class_uid, &head.sop_class))),
    }
}

/// Whether the preamble is empty and the file meta group says what is true: then the file can stay as it is.
fn is_sound(first: &[u8], head: &Part10, identity: &Identity, syntax: &TransferSyntaxUid) -> bool {
    let same = |uid: &Option<Uid>, meant: &Uid| uid.as_ref() == Some(meant);
    let preamble = first.get(..128).is_some_and(|preamble| preamble.iter().all(|&byte| byte == 0));
    let magic = first.get(128..132).is_some_and(|magic| magic == b"DICM");
    // The group length comes first, and leads to the data set.
    let group = first.get(132..144).is_some_and(|group| match group {
        [2, 0, 0, 0, b'U', b'L', 4, 0, length @ ..] => {
            <[u8; 4]>::try_from(length).is_ok_and(|l| 144 + u64::from(u32::from_le_bytes(l)) == head.data_set_offset)
        }
        _ => false,
    });
    preamble
        && magic
        && group
        && head.transfer_syntax.as_ref() == Some(syntax)
        && same(&head.sop_class, &identity.class)
        && same(&head.sop_instance, &identity.instance)
}

/// Whether an object in a compressed transfer syntax must have pixel data: images have, and whatever says how many pixels
/// there are, unless the transfer syntax has them elsewhere (PS3.5 annex A.6). Native ones are kept as mere headers by
/// many, which look like a file that is cut off just there.
fn has_pixels(header: &Header, head: &Part10, extent: &Extent, syntax: &TransferSyntaxUid) -> bool {
    let class = header.sop_class_uid.as_ref().or(head.sop_class.as_ref());
    let promised = extent.tells_pixels() || class.is_some_and(|class| is_image_class(class.as_str()));
    promised && !is_by_reference(syntax)
}

fn is_native(syntax: &TransferSyntaxUid) -> bool {
    encoding_of(syntax) != Encoding::ExplicitLe || syntax.as_str() == uids::EXPLICIT_LE
}

/// The transfer syntax of uncompressed pixel data that is true of the bytes.
fn syntax_of(found: Encoding, declared: &TransferSyntaxUid) -> TransferSyntaxUid {
    if encoding_of(declared) == found {
        return declared.clone();
    }
    TransferSyntaxUid::new(match found {
        Encoding::ImplicitLe => uids::IMPLICIT_LE,
        Encoding::ExplicitLe => uids::EXPLICIT_LE,
        Encoding::ExplicitBe => uids::EXPLICIT_BE,
        Encoding::DeflatedLe => uids::DEFLATED_LE,
    })
}

/// The transfer syntax of compressed pixel data in a file that does not name it, by the first bytes of the first frame.
fn compressed<R: Read + Seek>(reader: &mut R, begin: u64, extent: &Extent) -> io::Result<Option<TransferSyntaxUid>> {
    let Some(at) = extent.encapsulated_at() else { return Ok(None) };
    reader.seek(SeekFrom::Start(begin + at))?;
    let mut items = Vec::new();
    reader.by_ref().take(FIRST as u64).read_to_end(&mut items)?;
    // The offset table, then the first fragment.
    let item = |from: usize| match items.get(from..from + 8)? {
        [0xFE, 0xFF, 0x00, 0xE0, length @ ..] => {
            Some(from + 8 + usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?)
        }
        _ => None,
    };
    let frame = item(0).and_then(|table_end| items.get(table_end.checked_add(8)?..)).unwrap_or_default();
    let uid = match frame {
        [0xFF, 0x4F, 0xFF, 0x51, ..] => Some("1.2.840.10008.1.2.4.91"),
        [0xFF, 0xD8, rest @ ..] => jpeg_process(rest),
        [_, 0, 0, 0, 64, 0, 0, 0, ..] => Some("1.2.840.10008.1.2.5"),
        _ => None,
    };
    Ok(uid.map(TransferSyntaxUid::new))
}

/// By the first frame header of a JPEG stream (ISO 10918-1 table B.1).
fn jpeg_process(mut rest: &[u8]) -> Option<&'static str> {
    while let &[0xFF, marker, high, low, ..] = rest {
        match marker {
            0xC0 => return Some("1.2.840.10008.1.2.4.50"),
            0xC1 => return Some("1.2.840.10008.1.2.4.51"),
            0xC3 => return Some("1.2.840.10008.1.2.4.57"),
            0xF7 => return Some("1.2.840.10008.1.2.4.81"),
            _ => rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..)?,
        }
    }
    None
}
