//! Data sets as the sample archive writes them: elements and sequences, in every encoding that DICOM has.
//!
//! What a peer sends is never read here, only what this program made itself is written.

use std::collections::BTreeMap;

use bytes::Bytes;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use super::body::Body;
use super::text;
use crate::dicom::{Encoding, Uid, tags};

/// A data set that is being made up. Values are kept little endian.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataSet {
    elements: BTreeMap<Tag, Element>,
    character_set: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Element {
    Value { vr: VR, bytes: Vec<u8> },
    Sequence { items: Vec<DataSet>, delimited: bool },
    Fragments(Vec<Vec<u8>>),
    Noise { vr: VR, seed: u64, length: u32 },
    NoiseFragments { seed: u64, lengths: Vec<u32> },
}

impl DataSet {
    /// An empty one, in the default repertoire.
    pub fn new() -> Self {
        DataSet::default()
    }

    /// Declares Specific Character Set (0008,0005); texts that are put from now on are encoded in it.
    pub fn charset(&mut self, terms: &str) -> &mut Self {
        self.character_set = terms.to_owned();
        self.put(tags::SPECIFIC_CHARACTER_SET, terms)
    }

    /// Puts a text under a tag of the standard dictionary. Only values whose VR allows it are encoded in the character
    /// set (PS3.5 §6.1.2.2), the others are ASCII.
    pub fn put(&mut self, tag: Tag, value: &str) -> &mut Self {
        let vr = vr_of(tag);
        let extended = matches!(vr, VR::SH | VR::LO | VR::ST | VR::LT | VR::PN | VR::UC | VR::UT);
        let bytes = text::encode(if extended { &self.character_set } else { "" }, value);
        self.put_bytes(tag, vr, bytes)
    }

    /// Puts bytes, little endian, padded to an even length as the VR wants it.
    pub fn put_bytes(&mut self, tag: Tag, vr: VR, mut bytes: Vec<u8>) -> &mut Self {
        if bytes.len() % 2 == 1 {
            bytes.push(if matches!(vr, VR::UI | VR::OB | VR::UN) { 0 } else { b' ' });
        }
        self.elements.insert(tag, Element::Value { vr, bytes });
        self
    }

    /// Puts an unsigned short.
    pub fn put_u16(&mut self, tag: Tag, value: u16) -> &mut Self {
        self.put_bytes(tag, VR::US, value.to_le_bytes().to_vec())
    }

    /// Puts a sequence, its lengths undefined (`delimited`) or defined.
    pub fn put_sequence(&mut self, tag: Tag, items: Vec<DataSet>, delimited: bool) -> &mut Self {
        self.elements.insert(tag, Element::Sequence { items, delimited });
        self
    }

    /// Puts encapsulated pixel data (PS3.5 §A.4): the first fragment is the basic offset table.
    pub fn put_fragments(&mut self, fragments: Vec<Vec<u8>>) -> &mut Self {
        self.elements.insert(tags::PIXEL_DATA, Element::Fragments(fragments));
        self
    }

    /// Puts pixel data of any size, made when they are sent. Beyond what a native length field holds, the pixels are
    /// encapsulated, each fragment of 1 GiB at most.
    pub fn put_pixel_noise(&mut self, seed: u64, length: u64) -> &mut Self {
        const FRAGMENT: u32 = 1 << 30;
        let even = length.next_multiple_of(2);
        let element = match u32::try_from(even) {
            Ok(length) if length < u32::MAX => Element::Noise { vr: VR::OW, seed, length },
            _ => {
                let mut lengths = Vec::new();
                let mut left = even;
                while left > 0 {
                    let one = u32::try_from(left).unwrap_or(FRAGMENT).min(FRAGMENT);
                    lengths.push(one);
                    left -= u64::from(one);
                }
                Element::NoiseFragments { seed, lengths }
            }
        };
        self.elements.insert(tags::PIXEL_DATA, element);
        self
    }

    /// The value of an element that is no sequence, padding included.
    pub fn bytes(&self, tag: Tag) -> Option<&[u8]> {
        match self.elements.get(&tag) {
            Some(Element::Value { bytes, .. }) => Some(bytes),
            _ => None,
        }
    }

    /// The value as a UID or another ASCII text, padding trimmed; empty when it is not there.
    pub fn uid(&self, tag: Tag) -> Uid {
        self.bytes(tag).map(Uid::from_bytes).unwrap_or_else(|| Uid::new(""))
    }

    /// Takes over every element of the other one.
    pub fn extend(&mut self, other: &DataSet) -> &mut Self {
        self.elements.extend(other.elements.iter().map(|(tag, element)| (*tag, element.clone())));
        self
    }

    /// Drops an element.
    pub fn remove(&mut self, tag: Tag) -> &mut Self {
        self.elements.remove(&tag);
        self
    }

    /// The data set as it goes over the wire.
    pub fn encode(&self, encoding: Encoding) -> Body {
        let mut writer = Writer { encoding, buffer: Vec::new(), body: Body::default() };
        writer.data_set(self);
        let body = writer.finish();
        match encoding {
            Encoding::DeflatedLe => deflate(&body),
            _ => body,
        }
    }
}

/// The VR that the standard dictionary gives a tag; UN for one that it does not know.
pub(crate) fn vr_of(tag: Tag) -> VR {
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}

fn deflate(body: &Body) -> Body {
    let mut encoder = flate2::Compress::new(flate2::Compression::default(), false);
    let plain = body.to_vec();
    let mut out = Vec::with_capacity(plain.len() + 1024);
    loop {
        let read = usize::try_from(encoder.total_in()).unwrap_or(usize::MAX);
        let rest = plain.get(read..).unwrap_or_default();
        out.reserve(64 * 1024);
        match encoder.compress_vec(rest, &mut out, flate2::FlushCompress::Finish) {
            Ok(flate2::Status::StreamEnd) => break,
            Ok(_) => {}
            Err(error) => unreachable!("deflating from memory to memory does not fail: {error}"),
        }
    }
    if out.len() % 2 == 1 {
        out.push(0);
    }
    Body::of(out)
}

const UNDEFINED: u32 = 0xFFFF_FFFF;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

struct Writer {
    encoding: Encoding,
    buffer: Vec<u8>,
    body: Body,
}

impl Writer {
    fn finish(mut self) -> Body {
        self.flush();
        self.body
    }

    fn flush(&mut self) {
        self.body.push(Bytes::from(std::mem::take(&mut self.buffer)));
    }

    fn data_set(&mut self, data_set: &DataSet) {
        for (tag, element) in &data_set.elements {
            self.element(*tag, element);
        }
    }

    fn element(&mut self, tag: Tag, element: &Element) {
        match element {
            Element::Value { vr, bytes } => {
                self.header(tag, *vr, length_of(bytes));
                self.value(*vr, bytes);
            }
            Element::Sequence { items, delimited: true } => {
                self.header(tag, VR::SQ, UNDEFINED);
                for item in items {
                    self.mark(ITEM, UNDEFINED);
                    self.data_set(item);
                    self.mark(ITEM_END, 0);
                }
                self.mark(SEQUENCE_END, 0);
            }
            Element::Sequence { items, delimited: false } => {
                let mut inside = Writer { encoding: self.encoding, buffer: Vec::new(), body: Body::default() };
                for item in items {
                    let mut one = Writer { encoding: self.encoding, buffer: Vec::new(), body: Body::default() };
                    one.data_set(item);
                    let bytes = one.finish().to_vec();
                    inside.mark(ITEM, length_of(&bytes));
                    inside.buffer.extend_from_slice(&bytes);
                }
                let bytes = inside.finish().to_vec();
                self.header(tag, VR::SQ, length_of(&bytes));
                self.buffer.extend_from_slice(&bytes);
            }
            Element::Fragments(fragments) => {
                self.header(tag, VR::OB, UNDEFINED);
                for fragment in fragments {
                    self.mark(ITEM, length_of(fragment).next_multiple_of(2));
                    self.buffer.extend_from_slice(fragment);
                    self.buffer.resize(self.buffer.len() + fragment.len() % 2, 0);
                }
                self.mark(SEQUENCE_END, 0);
            }
            Element::Noise { vr, seed, length } => {
                self.header(tag, *vr, *length);
                self.flush();
                self.body.push_noise(*seed, u64::from(*length));
            }
            Element::NoiseFragments { seed, lengths } => {
                self.header(tag, VR::OB, UNDEFINED);
                self.mark(ITEM, 0);
                for (number, length) in lengths.iter().enumerate() {
                    self.mark(ITEM, *length);
                    self.flush();
                    self.body.push_noise(seed.wrapping_add(number as u64), u64::from(*length));
                }
                self.mark(SEQUENCE_END, 0);
            }
        }
    }

    fn header(&mut self, tag: Tag, vr: VR, length: u32) {
        self.tag(tag);
        if self.encoding == Encoding::ImplicitLe {
            return self.u32(length);
        }
        self.buffer.extend_from_slice(&vr.to_bytes());
        match u16::try_from(length) {
            Ok(short) if !has_long_length(vr) => self.u16(short),
            _ => {
                self.u16(0);
                self.u32(length);
            }
        }
    }

    /// An item or a delimiter, which have no VR in any encoding.
    fn mark(&mut self, tag: Tag, length: u32) {
        self.tag(tag);
        self.u32(length);
    }

    fn tag(&mut self, tag: Tag) {
        self.u16(tag.group());
        self.u16(tag.element());
    }

    fn u16(&mut self, number: u16) {
        let bytes = if self.encoding == Encoding::ExplicitBe { number.to_be_bytes() } else { number.to_le_bytes() };
        self.buffer.extend_from_slice(&bytes);
    }

    fn u32(&mut self, number: u32) {
        let bytes = if self.encoding == Encoding::ExplicitBe { number.to_be_bytes() } else { number.to_le_bytes() };
        self.buffer.extend_from_slice(&bytes);
    }

    fn value(&mut self, vr: VR, bytes: &[u8]) {
        let width = match vr {
            VR::US | VR::SS | VR::OW | VR::AT => 2,
            VR::UL | VR::SL | VR::FL | VR::OF | VR::OL => 4,
            VR::FD | VR::OD | VR::OV | VR::SV | VR::UV => 8,
            _ => 1,
        };
        if self.encoding != Encoding::ExplicitBe || width == 1 {
            return self.buffer.extend_from_slice(bytes);
        }
        for number in bytes.chunks(width) {
            self.buffer.extend(number.iter().rev());
        }
    }
}

/// VRs whose Explicit header has a 32-bit length (PS3.5 §7.1.2).
fn has_long_length(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    )
}

/// Sample values are far smaller than 4 GiB; larger pixel data are never in memory.
fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a sample value is smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> DataSet {
        let mut item = DataSet::new();
        item.put(tags::CODE_VALUE, "A");
        let mut data_set = DataSet::new();
        data_set.put(tags::MODALITY, "CT").put_u16(tags::ROWS, 0x0102);
        data_set.put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![item], false);
        data_set
    }

    #[test]
    fn explicit_little_endian() {
        let expected = [
            &b"\x08\x00\x60\x00CS\x02\x00CT"[..],
            b"\x28\x00\x10\x00US\x02\x00\x02\x01",
            b"\x40\x00\x43\xA0SQ\x00\x00\x12\x00\x00\x00\xFE\xFF\x00\xE0\x0A\x00\x00\x00",
            b"\x08\x00\x00\x01SH\x02\x00A ",
        ];
        assert_eq!(small().encode(Encoding::ExplicitLe).to_vec(), expected.concat());
    }

    #[test]
    fn big_endian_turns_numbers_but_not_texts() {
        let bytes = small().encode(Encoding::ExplicitBe).to_vec();
        assert!(bytes.starts_with(b"\x00\x08\x00\x60CS\x00\x02CT\x00\x28\x00\x10US\x00\x02\x01\x02"));
    }

    #[test]
    fn implicit_has_no_vr_and_undefined_lengths_are_closed() {
        let mut data_set = small();
        data_set.put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![DataSet::new()], true);
        let bytes = data_set.encode(Encoding::ImplicitLe).to_vec();
        assert!(bytes.starts_with(b"\x08\x00\x60\x00\x02\x00\x00\x00CT"));
        assert!(bytes.ends_with(b"\xFE\xFF\x0D\xE0\x00\x00\x00\x00\xFE\xFF\xDD\xE0\x00\x00\x00\x00"));
    }

    #[test]
    fn pixels_beyond_four_gigabytes_are_encapsulated() {
        let mut data_set = DataSet::new();
        data_set.put_pixel_noise(1, 5 << 30);
        // Header, empty offset table, five items, delimiter.
        assert_eq!(data_set.encode(Encoding::ExplicitLe).len(), (5 << 30) + 12 + 8 + 5 * 8 + 8);
        data_set.put_pixel_noise(1, 11);
        assert_eq!(data_set.encode(Encoding::ExplicitLe).len(), 12 + 12);
    }

    #[test]
    fn deflated_data_sets_inflate_to_the_explicit_one() {
        use std::io::Read;
        let mut plain = Vec::new();
        let deflated = small().encode(Encoding::DeflatedLe).to_vec();
        flate2::read::DeflateDecoder::new(&deflated[..]).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, small().encode(Encoding::ExplicitLe).to_vec());
    }

    #[test]
    fn texts_follow_the_character_set_and_codes_do_not() {
        let mut data_set = DataSet::new();
        data_set.charset("ISO_IR 100").put(tags::PATIENT_NAME, "Grün").put(tags::PATIENT_SEX, "O");
        assert_eq!(data_set.bytes(tags::PATIENT_NAME), Some(&b"Gr\xFCn"[..]));
        assert_eq!(data_set.uid(tags::PATIENT_SEX).as_str(), "O");
    }
}
