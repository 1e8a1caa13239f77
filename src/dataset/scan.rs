//! The head of a data set: the attributes that the catalog needs, read up to the pixel data.

use std::io::Read;

use super::extent::Extent;
use super::inflate::Inflate;
use super::input::Input;
use super::wire::{self, Head, Syntax};
use super::{CharacterSet, ReadError};
use crate::dicom::{Encoding, Tag, TransferSyntaxUid, Uid, encoding_of, tags};

/// A header longer than this is not read further.
const LONGEST_HEADER: u64 = 16 * 1024 * 1024;
/// A value longer than this is not looked at.
const LONGEST_VALUE: u32 = 64 * 1024;
/// The bytes of a value that are kept; enough for [`LONGEST_TEXT`] characters in any character set.
const KEPT: usize = 8 * 1024;
/// The characters of a text that are kept.
const LONGEST_TEXT: usize = 1024;
/// The anomalies that are told.
const MOST_ANOMALIES: usize = 16;
/// The last group with an attribute that is wanted.
const LAST_GROUP: u16 = 0x0028;

/// What the catalog needs of an object's header. Absent and empty are the same: `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Study Instance UID (0020,000D).
    pub study_uid: Option<Uid>,
    /// Series Instance UID (0020,000E).
    pub series_uid: Option<Uid>,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: Option<Uid>,
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: Option<Uid>,
    /// Patient ID (0010,0020).
    pub patient_id: Option<String>,
    /// Issuer of Patient ID (0010,0021).
    pub issuer_of_patient_id: Option<String>,
    /// Patient's Name (0010,0010), decoded.
    pub patient_name: Option<String>,
    /// Patient's Birth Date (0010,0030), as it stands.
    pub patient_birth_date: Option<String>,
    /// Patient's Sex (0010,0040).
    pub patient_sex: Option<String>,
    /// Study Date (0008,0020), as it stands.
    pub study_date: Option<String>,
    /// Study Time (0008,0030), as it stands.
    pub study_time: Option<String>,
    /// Study ID (0020,0010).
    pub study_id: Option<String>,
    /// Accession Number (0008,0050).
    pub accession_number: Option<String>,
    /// Study Description (0008,1030).
    pub study_description: Option<String>,
    /// Referring Physician's Name (0008,0090), decoded.
    pub referring_physician_name: Option<String>,
    /// Series Number (0020,0011).
    pub series_number: Option<String>,
    /// Modality (0008,0060).
    pub modality: Option<String>,
    /// Series Description (0008,103E).
    pub series_description: Option<String>,
    /// Series Date (0008,0021).
    pub series_date: Option<String>,
    /// Series Time (0008,0031).
    pub series_time: Option<String>,
    /// Body Part Examined (0018,0015).
    pub body_part: Option<String>,
    /// Instance Number (0020,0013).
    pub instance_number: Option<String>,
    /// Rows (0028,0010).
    pub rows: Option<u16>,
    /// Columns (0028,0011).
    pub columns: Option<u16>,
    /// Number of Frames (0028,0008).
    pub number_of_frames: Option<String>,
    /// Specific Character Set (0008,0005), as it stands.
    pub character_set: Option<String>,
    /// Sentences on what is wrong but harmless.
    pub anomalies: Vec<String>,
}

/// A header and how far it could be read.
#[derive(Debug)]
pub struct Scan {
    /// What was read.
    pub header: Header,
    /// How it ended.
    pub outcome: ScanOutcome,
    /// How far it went, and what must follow.
    pub extent: Extent,
}

/// How a scan ended.
#[derive(Debug)]
pub enum ScanOutcome {
    /// The pixel data or the end of the data set was reached, or everything wanted is read.
    Complete,
    /// The prefix ended before; a longer one will tell more.
    NeedMore,
    /// The structure is damaged; the header holds what was read before.
    Unreadable(ReadError),
}

/// Reads the head of a data set in the given transfer syntax, known or not. `whole` says that `reader` holds the
/// data set to its end and not only a prefix. Texts are decoded by Specific Character Set, or by `default_charset`
/// in an object that names none.
pub fn scan_header<R: Read>(
    reader: R,
    syntax: &TransferSyntaxUid,
    whole: bool,
    default_charset: &CharacterSet,
) -> Scan {
    let mut kept = Kept::of(encoding_of(syntax));
    let outcome = match read(reader, encoding_of(syntax), &mut kept) {
        Ok(End::Reached) => ScanOutcome::Complete,
        // Behind the last group of interest, what cannot be read costs nothing: the bytes are kept as they are.
        Ok(End::Data) if whole || kept.is_enough() => ScanOutcome::Complete,
        Ok(End::Data) => ScanOutcome::NeedMore,
        Err(ReadError::Truncated { .. }) if !whole && kept.is_enough() => ScanOutcome::Complete,
        Err(ReadError::Truncated { .. }) if !whole => ScanOutcome::NeedMore,
        Err(error) if kept.is_enough() => {
            // A long header is long, not wrong.
            if !matches!(error, ReadError::TooLong { .. }) {
                kept.note(&error.to_string());
            }
            ScanOutcome::Complete
        }
        Err(error) => ScanOutcome::Unreadable(error),
    };
    let extent = kept.extent();
    Scan { header: kept.header(default_charset), outcome, extent }
}

enum End {
    /// The pixel data begins.
    Reached,
    /// The bytes ended between two elements.
    Data,
}

fn read<R: Read>(reader: R, encoding: Encoding, kept: &mut Kept) -> Result<End, ReadError> {
    let declared = Syntax::of(encoding);
    let mut raw = Input::new(reader, LONGEST_HEADER);
    if encoding != Encoding::DeflatedLe {
        return read_elements(&mut raw, declared, kept);
    }
    if wire::looks_like_elements(raw.ahead(8)?) {
        kept.note("the transfer syntax says deflated, the data set is not");
        kept.extent.deflated = false;
        return read_elements(&mut raw, declared, kept);
    }
    let inflate = Inflate::new(raw, LONGEST_HEADER, 0);
    read_elements(&mut Input::new(inflate, LONGEST_HEADER), declared, kept)
}

fn read_elements<R: Read>(input: &mut Input<R>, declared: Syntax, kept: &mut Kept) -> Result<End, ReadError> {
    let syntax = declared.probe(input.ahead(wire::PROBE)?);
    if syntax != declared {
        kept.note("the data set is not encoded as its transfer syntax says");
    }
    kept.extent.syntax = syntax;
    loop {
        kept.extent.at = input.offset();
        let Some(head) = Head::read(input, syntax)? else { break };
        let tag = head.tag;
        match tag {
            // An item or a delimiter outside a sequence: its header is all there is to it.
            Tag(0xFFFE, _) => {
                kept.note("a delimiter stands outside a sequence");
                continue;
            }
            tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA => {
                kept.extent.items = head.length.is_none().then(|| input.offset());
                return Ok(End::Reached);
            }
            _ => {}
        }
        kept.pass(tag);
        match (Kept::slot(tag), head.length) {
            (Some(slot), Some(length)) if length <= LONGEST_VALUE => kept.keep(slot, input, &head, length, syntax)?,
            (Some(_), _) => {
                kept.note(&format!("element {tag} is too long for what it is, and was not read"));
                wire::skip_value(input, &head, syntax)?;
            }
            (None, _) => wire::skip_value(input, &head, syntax)?,
        }
    }
    Ok(End::Data)
}

/// What was found so far: the raw values one behind the other, since Specific Character Set may come late.
struct Kept {
    bytes: Vec<u8>,
    slots: [Option<(usize, usize)>; WANTED.len()],
    highest: Option<Tag>,
    anomalies: Vec<String>,
    extent: Extent,
}

/// The attributes, in the order of [`Kept::slots`].
const WANTED: [Tag; 29] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::SERIES_DATE,
    tags::STUDY_TIME,
    tags::SERIES_TIME,
    tags::ACCESSION_NUMBER,
    tags::MODALITY,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::BODY_PART_EXAMINED,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::STUDY_ID,
    tags::SERIES_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::BITS_ALLOCATED,
];

/// Those of them that are numbers.
const NUMBERS: [Tag; 4] = [tags::SAMPLES_PER_PIXEL, tags::ROWS, tags::COLUMNS, tags::BITS_ALLOCATED];

impl Kept {
    fn of(encoding: Encoding) -> Self {
        let (bytes, anomalies) = (Vec::new(), Vec::new());
        Kept { bytes, slots: [None; WANTED.len()], highest: None, anomalies, extent: Extent::of(encoding) }
    }

    fn slot(tag: Tag) -> Option<usize> {
        if tag.group() > LAST_GROUP { None } else { WANTED.binary_search(&tag).ok() }
    }

    fn pass(&mut self, tag: Tag) {
        if self.highest.is_some_and(|highest| tag < highest) {
            self.note("elements are out of order");
        } else {
            self.highest = Some(tag);
        }
    }

    fn keep<R: Read>(
        &mut self,
        slot: usize,
        input: &mut Input<R>,
        head: &Head,
        length: u32,
        syntax: Syntax,
    ) -> Result<(), ReadError> {
        let wanted = usize::try_from(length).unwrap_or(KEPT).min(KEPT);
        let offset = input.offset();
        let Some(value) = input.ahead(wanted)?.get(..wanted) else {
            return Err(ReadError::Truncated { offset, tag: Some(head.tag) });
        };
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(value);
        if syntax.big && NUMBERS.contains(&head.tag) {
            // The numbers among what is wanted are all US.
            if let Some(number) = self.bytes.get_mut(begin..) {
                number.reverse();
            }
        }
        if let Some(place @ None) = self.slots.get_mut(slot) {
            *place = Some((begin, self.bytes.len()));
        } else {
            self.bytes.truncate(begin);
            self.note(&format!("element {} occurs more than once, the first one counts", head.tag));
        }
        wire::skip(input, length, head.tag)
    }

    fn value(&self, tag: Tag) -> Option<&[u8]> {
        let (begin, end) = (*self.slots.get(Self::slot(tag)?)?)?;
        self.bytes.get(begin..end)
    }

    /// Whether everything that identifies the object was read and the groups of interest are behind.
    fn is_enough(&self) -> bool {
        let ids = [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID, tags::SOP_CLASS_UID];
        self.highest.is_some_and(|tag| tag.group() > LAST_GROUP) && ids.iter().all(|&tag| self.value(tag).is_some())
    }

    fn extent(&self) -> Extent {
        let us = |tag| self.value(tag).and_then(number).map(u64::from);
        let plain = |tag| self.value(tag).and_then(|value| text(&CharacterSet::ascii().decode(value)));
        let frames = plain(tags::NUMBER_OF_FRAMES).and_then(|frames| frames.trim().parse().ok()).unwrap_or(1);
        let subsampled =
            plain(tags::PHOTOMETRIC_INTERPRETATION).is_some_and(|p| p.contains("_422") || p.contains("_420"));
        let bits = || {
            // A subsampled pixel has one brightness for each, and shares its colours with its neighbours.
            let samples = if subsampled { 1 } else { us(tags::SAMPLES_PER_PIXEL).unwrap_or(1) };
            let pixels = us(tags::ROWS)?.checked_mul(us(tags::COLUMNS)?)?;
            pixels.checked_mul(samples)?.checked_mul(us(tags::BITS_ALLOCATED)?)?.checked_mul(frames)
        };
        Extent { pixel_bytes: bits().map(|bits| bits.div_ceil(8)), ..self.extent.clone() }
    }

    fn note(&mut self, anomaly: &str) {
        if self.anomalies.len() < MOST_ANOMALIES && !self.anomalies.iter().any(|a| a == anomaly) {
            self.anomalies.push(anomaly.to_string());
        }
    }

    fn header(mut self, default_charset: &CharacterSet) -> Header {
        // An empty value says no more than an absent one.
        let declared = self.value(tags::SPECIFIC_CHARACTER_SET).filter(|value| !value.is_empty());
        let declared = declared.map(CharacterSet::parse);
        let charset = declared.as_ref().unwrap_or(default_charset);
        for term in charset.unknown_terms() {
            self.note(&format!("unknown Specific Character Set term {term:?}"));
        }
        let uid = |tag| self.value(tag).map(Uid::from_bytes).filter(|uid| !uid.is_empty());
        let plain = |tag| self.value(tag).and_then(|value| text(&CharacterSet::ascii().decode(value)));
        let local = |tag| self.value(tag).and_then(|value| text(&charset.decode(value)));
        let name = |tag| self.value(tag).and_then(|value| text(&charset.decode_person_name(value)));
        Header {
            study_uid: uid(tags::STUDY_INSTANCE_UID),
            series_uid: uid(tags::SERIES_INSTANCE_UID),
            sop_instance_uid: uid(tags::SOP_INSTANCE_UID),
            sop_class_uid: uid(tags::SOP_CLASS_UID),
            patient_id: local(tags::PATIENT_ID),
            issuer_of_patient_id: local(tags::ISSUER_OF_PATIENT_ID),
            patient_name: name(tags::PATIENT_NAME),
            patient_birth_date: plain(tags::PATIENT_BIRTH_DATE),
            patient_sex: plain(tags::PATIENT_SEX),
            study_date: plain(tags::STUDY_DATE),
            study_time: plain(tags::STUDY_TIME),
            study_id: local(tags::STUDY_ID),
            accession_number: local(tags::ACCESSION_NUMBER),
            study_description: local(tags::STUDY_DESCRIPTION),
            referring_physician_name: name(tags::REFERRING_PHYSICIAN_NAME),
            series_number: plain(tags::SERIES_NUMBER),
            modality: plain(tags::MODALITY),
            series_description: local(tags::SERIES_DESCRIPTION),
            series_date: plain(tags::SERIES_DATE),
            series_time: plain(tags::SERIES_TIME),
            body_part: plain(tags::BODY_PART_EXAMINED),
            instance_number: plain(tags::INSTANCE_NUMBER),
            rows: self.value(tags::ROWS).and_then(number),
            columns: self.value(tags::COLUMNS).and_then(number),
            number_of_frames: plain(tags::NUMBER_OF_FRAMES),
            character_set: plain(tags::SPECIFIC_CHARACTER_SET),
            anomalies: self.anomalies,
        }
    }
}

/// Without surrounding spaces, no longer than a text may be; `None` when nothing is left.
fn text(value: &str) -> Option<String> {
    let value = value.trim_matches([' ', '\0']);
    let cut = value.char_indices().nth(LONGEST_TEXT).map_or(value.len(), |(at, _)| at);
    value.get(..cut).filter(|value| !value.is_empty()).map(str::to_string)
}

/// A US value, or what a wrong VR (UL, IS) makes of one.
fn number(value: &[u8]) -> Option<u16> {
    match *value {
        [a, b] => Some(u16::from_le_bytes([a, b])),
        [a, b, 0, 0] => Some(u16::from_le_bytes([a, b])),
        _ => std::str::from_utf8(value).ok()?.trim_matches([' ', '\0']).parse().ok(),
    }
}

#[cfg(test)]
mod tests;
