//! Value representations (PS3.5 §6.2): what their two letters say of the bytes.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use crate::dicom::Tag;

/// The two letters, as on the wire.
pub(super) type Vr = [u8; 2];

/// Whether the standard knows it.
pub(super) fn is_known(vr: Vr) -> bool {
    is_long(vr) || is_short(vr)
}

/// Explicit VR with two reserved bytes and a length of 32 bits (PS3.5 table 7.1-1).
pub(super) fn is_long(vr: Vr) -> bool {
    matches!(&vr, b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV")
}

fn is_short(vr: Vr) -> bool {
    is_text(vr) || matches!(&vr, b"AT" | b"FL" | b"FD" | b"SL" | b"SS" | b"UL" | b"US")
}

/// Whether the value is characters, so that trailing spaces and NULs are padding.
pub(super) fn is_text(vr: Vr) -> bool {
    matches!(
        &vr,
        b"AE"
            | b"AS"
            | b"CS"
            | b"DA"
            | b"DS"
            | b"DT"
            | b"IS"
            | b"LO"
            | b"LT"
            | b"PN"
            | b"SH"
            | b"ST"
            | b"TM"
            | b"UC"
            | b"UI"
            | b"UR"
            | b"UT"
    )
}

/// Whether Specific Character Set says what its bytes mean (PS3.5 §6.1.2.2).
pub(super) fn has_charset(vr: Vr) -> bool {
    matches!(&vr, b"LO" | b"LT" | b"PN" | b"SH" | b"ST" | b"UC" | b"UT")
}

/// The size of the numbers whose bytes are swapped in Big Endian; 1 when there are none.
pub(super) fn unit(vr: Vr) -> usize {
    match &vr {
        b"AT" | b"OW" | b"SS" | b"US" => 2,
        b"FL" | b"OF" | b"OL" | b"SL" | b"UL" => 4,
        b"FD" | b"OD" | b"OV" | b"SV" | b"UV" => 8,
        _ => 1,
    }
}

/// What the dictionary says of the tag.
pub(super) fn of(tag: Tag) -> Option<Vr> {
    let vr = StandardDataDictionary.by_tag(tag)?.vr().relaxed();
    <[u8; 2]>::try_from(vr.to_string().as_bytes()).ok()
}

/// What somebody on the way did not know and wrote as UN is what the dictionary says, where that is one thing.
pub(super) fn known(tag: Tag, vr: Vr) -> Vr {
    // Looking up is slow, and of private elements nothing is known.
    if vr != *b"UN" || tag.group() % 2 == 1 {
        return vr;
    }
    of(tag).filter(|known| *known != *b"SQ" && !is_ambiguous(tag)).unwrap_or(vr)
}

/// Whether the dictionary leaves a choice of VRs, of which [`of`] says one.
pub(super) fn is_ambiguous(tag: Tag) -> bool {
    StandardDataDictionary.by_tag(tag).is_some_and(|entry| entry.vr().exact().is_none())
}

/// What the dictionary calls an attribute: its keyword.
pub fn keyword(tag: Tag) -> Option<&'static str> {
    StandardDataDictionary.by_tag(tag).map(|entry| entry.alias())
}

/// Reverses the bytes of every number of `unit` bytes, in place.
pub(super) fn swap(bytes: &mut [u8], unit: usize) {
    if unit > 1 {
        for number in bytes.chunks_exact_mut(unit) {
            number.reverse();
        }
    }
}
