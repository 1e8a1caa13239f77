//! The beginning of a DICOM file that comes in pieces: it is gathered until it says what the object is.

use bytes::{Bytes, BytesMut};

use crate::dataset::{CharacterSet, Part10, ReadError, read_part10_head, scan_header};
use crate::dicom::{StudyInstanceUid, TransferSyntaxUid, uids};

/// The longest File Meta group that is waited for, and how much of the data set where its study is looked for.
const LONGEST_META: usize = 256 * 1024;
const LONGEST_LOOK: usize = 256 * 1024;
/// Where the value of the group length is, and what stands before it.
const GROUP_LENGTH: std::ops::Range<usize> = 140..144;
const BEFORE: &[u8] = b"DICM\x02\0\0\0UL\x04\0";

/// A file that begins.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    bytes: BytesMut,
}

/// What it says of itself.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) meta: Part10,
    pub(super) transfer_syntax: TransferSyntaxUid,
    /// The study that its data set names, if that was looked for.
    pub(super) study: Option<StudyInstanceUid>,
    /// What was gathered of its data set.
    pub(super) data: Bytes,
}

impl Beginning {
    /// Takes what has come; `ended` says that nothing more comes, `looks` that the study has to be known. `None` where
    /// that does not suffice.
    pub(super) fn take(&mut self, bytes: &[u8], ended: bool, looks: bool) -> Result<Option<Begun>, ReadError> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() < self.needed() && !ended {
            return Ok(None);
        }
        let meta = read_part10_head(&self.bytes)?;
        let syntax = meta.transfer_syntax.clone();
        // A file without a File Meta group is in the default transfer syntax (PS3.10 §7.1), or says so itself.
        let transfer_syntax = syntax.unwrap_or_else(|| TransferSyntaxUid::new(uids::IMPLICIT_LE));
        let begin = usize::try_from(meta.data_set_offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let mut study = None;
        if looks {
            let data = self.bytes.get(begin..).unwrap_or_default();
            let scan = scan_header(data, &transfer_syntax, ended, &CharacterSet::ascii());
            study = scan.header.study_uid.map(StudyInstanceUid::from);
            if study.is_none() && !ended && data.len() < LONGEST_LOOK {
                return Ok(None);
            }
        }
        let data = self.bytes.split().freeze().slice(begin..);
        Ok(Some(Begun { meta, transfer_syntax, study, data }))
    }

    /// How many bytes the File Meta group takes, what stands before it included.
    fn needed(&self) -> usize {
        let told = self.bytes.get(128..140) == Some(BEFORE);
        let length = self.bytes.get(GROUP_LENGTH).and_then(|value| value.try_into().ok()).map(u32::from_le_bytes);
        match length.filter(|_| told) {
            Some(length) => usize::try_from(length).unwrap_or(LONGEST_META).min(LONGEST_META) + GROUP_LENGTH.end,
            None => LONGEST_META,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Elements, write_part10_head};
    use crate::dicom::{Encoding, tags};

    #[test]
    fn a_file_tells_what_it_is_however_it_comes() {
        let mut elements = Elements::new();
        elements.put(tags::STUDY_INSTANCE_UID, "1.2.3").put_bytes(tags::PIXEL_DATA, *b"OW", &[7; 5000]);
        let data = elements.write(Encoding::ExplicitLe);
        let file = [write_part10_head("1.2", "1.3", uids::EXPLICIT_LE, None), data.clone()].concat();
        for piece in [1, 7, 100, 10_000] {
            let mut beginning = Beginning::default();
            let mut begun = None;
            let mut rest = file.chunks(piece);
            while begun.is_none() {
                begun = beginning.take(rest.next().unwrap(), false, true).unwrap();
            }
            let begun = begun.unwrap();
            assert_eq!(begun.study.unwrap().as_str(), "1.2.3");
            assert_eq!(begun.meta.sop_instance.unwrap().as_str(), "1.3");
            let all = [&begun.data[..], &rest.flatten().copied().collect::<Vec<_>>()].concat();
            assert!(all == data, "pieces of {piece}");
        }
        assert!(Beginning::default().take(b"<html>", true, false).is_err());
        assert!(Beginning::default().take(&file[..200], true, false).is_err(), "cut within the group");
    }
}
