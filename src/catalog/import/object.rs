//! What a header said, packed into a row until the object is filed: each header is read once.

use crate::dataset::Header;
use crate::dicom::{
    Date, Identity, SeriesInstanceUid, SopClassUid, SopInstanceUid, StudyInstanceUid, TransferSyntaxUid, Uid,
};

use crate::catalog::ListedStudy;

/// How a member lies in its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archived {
    /// It is what a gzip file holds.
    Gzip,
    /// A member of a zip file whose local header begins there.
    Zip {
        /// Offset in the archive.
        at: u64,
    },
}

/// An object in a file that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedObject {
    /// Its UIDs.
    pub identity: Identity,
    /// How its data set is encoded, as the bytes have it.
    pub transfer_syntax: TransferSyntaxUid,
    /// Where the data set begins in the file, or in the unpacked member.
    pub offset: u64,
    /// Bytes of the file, or of the unpacked member.
    pub length: u64,
    /// Whether preamble and file meta group can stay as they are.
    pub head_is_sound: bool,
    /// The archive that it must be taken out of.
    pub archived: Option<Archived>,
    /// The attributes that the catalog needs.
    pub header: Header,
}

impl ListedObject {
    /// What a list of studies says of its study.
    pub fn study(&self) -> ListedStudy {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let header = &self.header;
        ListedStudy {
            study_date: header.study_date.as_deref().and_then(|date| Date::parse(date).ok()),
            study_date_raw: text(&header.study_date),
            study_time: text(&header.study_time),
            patient_id: text(&header.patient_id),
            issuer: text(&header.issuer_of_patient_id),
            patient_name: text(&header.patient_name),
            accession_number: text(&header.accession_number),
            description: text(&header.study_description),
            modalities: text(&header.modality),
            ..ListedStudy::of(self.identity.study.clone())
        }
    }

    pub(super) fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let (kind, at) = match self.archived {
            None => (0, 0),
            Some(Archived::Gzip) => (1, 0),
            Some(Archived::Zip { at }) => (2, at),
        };
        out.push(kind | u8::from(self.head_is_sound) << 4);
        for number in [at, self.offset, self.length] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let h = &self.header;
        for number in [h.rows, h.columns] {
            out.extend_from_slice(&number.map_or(u32::MAX, u32::from).to_le_bytes());
        }
        let identity = &self.identity;
        let uid = |uid: &Option<Uid>| uid.as_ref().map(|uid| uid.as_str().to_owned());
        let own = |header: &Option<Uid>, own: &str| uid(header).filter(|text| text != own);
        put(&mut out, Some(identity.study.as_str()));
        put(&mut out, Some(identity.series.as_str()));
        put(&mut out, Some(identity.instance.as_str()));
        put(&mut out, Some(identity.class.as_str()));
        put(&mut out, Some(self.transfer_syntax.as_str()));
        // Where the data set says the same, it is not kept twice.
        let said = [
            (&h.study_uid, identity.study.as_str()),
            (&h.series_uid, identity.series.as_str()),
            (&h.sop_instance_uid, identity.instance.as_str()),
            (&h.sop_class_uid, identity.class.as_str()),
        ];
        for (said, meant) in said {
            out.push(u8::from(said.is_some()));
            put(&mut out, own(said, meant).as_deref());
        }
        for text in texts(&mut h.clone()) {
            put(&mut out, text.as_deref());
        }
        out
    }

    /// `None` for bytes that [`ListedObject::pack`] did not make.
    pub(super) fn unpack(bytes: &[u8]) -> Option<ListedObject> {
        let mut rest = bytes;
        let first = byte(&mut rest)?;
        let (at, offset, length) = (long(&mut rest)?, long(&mut rest)?, long(&mut rest)?);
        let archived = match first & 0x0F {
            0 => None,
            1 => Some(Archived::Gzip),
            2 => Some(Archived::Zip { at }),
            _ => return None,
        };
        let mut number = || Some(u16::try_from(u32::from_le_bytes(*take(&mut rest)?)).ok());
        let (rows, columns) = (number()?, number()?);
        let mut text = || take_text(&mut rest);
        let mut uid = || Some(text()?.map(|text| Uid::new(&text)));
        let none = || Uid::new("");
        let identity = Identity {
            study: StudyInstanceUid::from(uid()?.unwrap_or_else(none)),
            series: SeriesInstanceUid::from(uid()?.unwrap_or_else(none)),
            instance: SopInstanceUid::from(uid()?.unwrap_or_else(none)),
            class: SopClassUid::from(uid()?.unwrap_or_else(none)),
        };
        let transfer_syntax = TransferSyntaxUid::from(uid()?.unwrap_or_else(none));
        let mut said = |meant: &str| {
            let is_there = byte(&mut rest)? == 1;
            let other = take_text(&mut rest)?;
            Some(is_there.then(|| Uid::new(other.as_deref().unwrap_or(meant))))
        };
        let mut header = Header {
            study_uid: said(identity.study.as_str())?,
            series_uid: said(identity.series.as_str())?,
            sop_instance_uid: said(identity.instance.as_str())?,
            sop_class_uid: said(identity.class.as_str())?,
            rows,
            columns,
            ..Header::default()
        };
        for slot in texts(&mut header) {
            *slot = take_text(&mut rest)?;
        }
        let head_is_sound = first & 0x10 != 0;
        Some(ListedObject { identity, transfer_syntax, offset, length, head_is_sound, archived, header })
    }
}

/// The texts of a header, in the order in which they are packed; what was wrong with it is not kept.
fn texts(h: &mut Header) -> [&mut Option<String>; 20] {
    [
        &mut h.patient_id,
        &mut h.issuer_of_patient_id,
        &mut h.patient_name,
        &mut h.patient_birth_date,
        &mut h.patient_sex,
        &mut h.study_date,
        &mut h.study_time,
        &mut h.study_id,
        &mut h.accession_number,
        &mut h.study_description,
        &mut h.referring_physician_name,
        &mut h.series_number,
        &mut h.modality,
        &mut h.series_description,
        &mut h.series_date,
        &mut h.series_time,
        &mut h.body_part,
        &mut h.instance_number,
        &mut h.number_of_frames,
        &mut h.character_set,
    ]
}

/// A length of 16 bits, one more than the text has bytes; 0 for none.
fn put(out: &mut Vec<u8>, text: Option<&str>) {
    let bytes = text.map(|text| crate::catalog::codes::capped(text, 8 * 1024).as_bytes());
    let length = bytes.map_or(0, |bytes| u16::try_from(bytes.len() + 1).unwrap_or(0));
    out.extend_from_slice(&length.to_le_bytes());
    if length > 0 {
        out.extend_from_slice(bytes.unwrap_or_default());
    }
}

fn take<'b, const N: usize>(rest: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(taken)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    take::<1>(rest).map(|[byte]| *byte)
}

fn long(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(|bytes| u64::from_le_bytes(*bytes))
}

/// `None` when the bytes end; `Some(None)` for no text.
fn take_text(rest: &mut &[u8]) -> Option<Option<String>> {
    let length = usize::from(u16::from_le_bytes(*take(rest)?));
    let Some(length) = length.checked_sub(1) else { return Some(None) };
    let (text, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else() {
        let uid = |text| Uid::new(text);
        let object = ListedObject {
            identity: Identity {
                study: uid("1.2").into(),
                series: uid("1.3").into(),
                instance: uid("1.4").into(),
                class: uid("1.5").into(),
            },
            transfer_syntax: uid("1.2.840.10008.1.2").into(),
            offset: 1 << 40,
            length: 77,
            head_is_sound: true,
            archived: Some(Archived::Zip { at: 12 }),
            header: Header {
                study_uid: Some(uid("1.2")),
                sop_instance_uid: Some(uid("1.9")),
                patient_name: Some("Müller^Jörg".into()),
                study_date: Some("20200101".into()),
                number_of_frames: Some(String::new()),
                rows: Some(65_535),
                ..Header::default()
            },
        };
        let packed = object.pack();
        assert_eq!(ListedObject::unpack(&packed), Some(object.clone()));
        for end in 0..packed.len() {
            assert_eq!(ListedObject::unpack(&packed[..end]), None, "{end}");
        }
        let plain = ListedObject { archived: None, head_is_sound: false, ..object };
        assert_eq!(ListedObject::unpack(&plain.pack()), Some(plain));
    }
}
