//! From text to bytes.

use super::Iso;
use super::sets::Set;

/// Encodes with code extensions: every set is left before a delimiter and designated again behind it.
pub(super) fn iso2022(iso: &Iso, text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut g0, mut g1): (Option<Set>, Option<Set>) = (None, iso.g1);
    for c in text.chars() {
        if let Ok(byte @ 0..=0x7F) = u8::try_from(c) {
            leave(&mut out, &mut g0);
            out.push(byte);
            if b"\\\r\n\t\x0C".contains(&byte) {
                g1 = iso.g1;
            } else if b"^=".contains(&byte) && g1 != iso.g1 {
                // A delimiter in a person name only: what holds behind it depends on who reads.
                g1 = None;
            }
            continue;
        }
        let candidates = g1.into_iter().chain(g0).chain(iso.extensions.iter().copied());
        let (set, bytes) = candidates.filter_map(|set| Some((set, set.encode(c)?))).next()?;
        if set.is_g1() {
            if g1 != Some(set) {
                out.extend_from_slice(set.designation());
                g1 = Some(set);
            }
            out.extend_from_slice(&bytes);
        } else {
            if g0 != Some(set) {
                out.extend_from_slice(set.designation());
                g0 = Some(set);
            }
            out.extend(bytes.iter().map(|b| b & 0x7F));
        }
    }
    leave(&mut out, &mut g0);
    Some(out)
}

fn leave(out: &mut Vec<u8>, g0: &mut Option<Set>) {
    if g0.take().is_some() {
        out.extend_from_slice(b"\x1B(B");
    }
}
