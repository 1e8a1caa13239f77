//! One value in the DICOM JSON Model (PS3.18 §F.2.3).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::CharacterSet;
use super::super::tree::decoded;
use super::super::vr::{self, Vr};
use crate::dicom::Tag;

/// Appends `,"Value":[…]` or `,"InlineBinary":"…"`; nothing where there is no value. Numbers are Little Endian.
pub(super) fn write(out: &mut String, vr: Vr, bytes: &[u8], charset: &CharacterSet) {
    if bytes.is_empty() {
        return;
    }
    match &vr {
        b"AT" => list(out, bytes.chunks_exact(4), |out, value| {
            let (group, element) = (u16_of(value), u16_of(value.get(2..).unwrap_or_default()));
            let _infallible = write!(out, "\"{group:04X}{element:04X}\"");
        }),
        b"US" => list(out, bytes.chunks_exact(2), |out, value| number(out, u16_of(value))),
        b"SS" => list(out, bytes.chunks_exact(2), |out, value| number(out, i16::from_le_bytes(array(value)))),
        b"UL" => list(out, bytes.chunks_exact(4), |out, value| number(out, u32::from_le_bytes(array(value)))),
        b"SL" => list(out, bytes.chunks_exact(4), |out, value| number(out, i32::from_le_bytes(array(value)))),
        b"UV" => list(out, bytes.chunks_exact(8), |out, value| number(out, u64::from_le_bytes(array(value)))),
        b"SV" => list(out, bytes.chunks_exact(8), |out, value| number(out, i64::from_le_bytes(array(value)))),
        b"FL" => list(out, bytes.chunks_exact(4), |out, value| float(out, f32::from_le_bytes(array(value)).into())),
        b"FD" => list(out, bytes.chunks_exact(8), |out, value| float(out, f64::from_le_bytes(array(value)))),
        _ if vr::is_text(vr) => text(out, vr, &text_of(vr, bytes, charset)),
        _ => {
            out.push_str(",\"InlineBinary\":\"");
            STANDARD.encode_string(bytes, out);
            out.push('"');
        }
    }
}

/// A text without its padding.
fn text_of(vr: Vr, bytes: &[u8], charset: &CharacterSet) -> String {
    let text = if vr::has_charset(vr) {
        decoded(charset, vr, bytes)
    } else {
        // What must be ASCII and is not is shown as it came, a character for each byte.
        bytes.iter().map(|&byte| char::from(byte)).collect()
    };
    text.trim_end_matches([' ', '\0']).to_owned()
}

/// Appends the values of a text.
fn text(out: &mut String, vr: Vr, text: &str) {
    if text.is_empty() {
        return;
    }
    if matches!(&vr, b"LT" | b"ST" | b"UR" | b"UT") {
        return list(out, [text], quoted);
    }
    list(out, text.split('\\'), |out, value| {
        let bare = value.trim_matches([' ', '\0']);
        match &vr {
            _ if bare.is_empty() => out.push_str("null"),
            b"PN" => name(out, value),
            b"IS" => match bare.parse::<i64>() {
                Ok(value) => number(out, value),
                Err(_) => quoted(out, bare),
            },
            b"DS" => match bare.parse::<f64>() {
                Ok(value) if value.is_finite() => float(out, value),
                _ => quoted(out, bare),
            },
            _ => quoted(out, value.trim_end_matches([' ', '\0'])),
        }
    });
}

/// The component groups of a person name that are there.
fn name(out: &mut String, value: &str) {
    out.push('{');
    let mut first = true;
    for (key, group) in ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(value.split('=')) {
        let group = group.trim_end_matches([' ', '\0']);
        if group.is_empty() {
            continue;
        }
        let comma = if first { "" } else { "," };
        let _infallible = write!(out, "{comma}\"{key}\":");
        quoted(out, group);
        first = false;
    }
    out.push('}');
}

fn list<T>(out: &mut String, values: impl IntoIterator<Item = T>, one: impl Fn(&mut String, T)) {
    let mut begun = false;
    for value in values {
        out.push_str(if begun { "," } else { ",\"Value\":[" });
        one(out, value);
        begun = true;
    }
    if begun {
        out.push(']');
    }
}

fn number(out: &mut String, value: impl std::fmt::Display) {
    let _infallible = write!(out, "{value}");
}

/// JSON has no word for what is no number; the model has (PS3.18 §F.2.3).
fn float(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "\"inf\"" } else { "\"-inf\"" });
    } else {
        let _infallible = write!(out, "{}", serde_json::Value::from(value));
    }
}

/// A JSON string.
pub(super) fn quoted(out: &mut String, text: &str) {
    let _infallible = write!(out, "{}", serde_json::Value::from(text));
}

fn u16_of(bytes: &[u8]) -> u16 {
    u16::from_le_bytes(array(bytes))
}

/// The first bytes; where there are fewer, which no caller has, zeros.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// Appends an element whose value is known as text, numbers in decimal.
pub(super) fn attribute(out: &mut String, tag: Tag, vr: Vr, text: &str) {
    let [a, b] = vr.map(char::from);
    let _infallible = write!(out, "\"{:04X}{:04X}\":{{\"vr\":\"{a}{b}\"", tag.group(), tag.element());
    // Numbers on the wire are texts to whoever keeps them.
    self::text(out, if vr == *b"US" { *b"IS" } else { vr }, text);
    out.push('}');
}
