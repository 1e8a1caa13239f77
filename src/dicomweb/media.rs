//! In what form objects and frames are answered with: what is taken, and what can be had (PS3.18 §8.7.3).

use super::accept::Range;
use crate::dicom::{TransferSyntaxUid, uids};
use crate::outlet::can_convert;

/// The media type of objects.
pub(super) const DICOM: &str = "application/dicom";
/// The media type of bytes.
pub(super) const BYTES: &str = "application/octet-stream";

/// The transfer syntaxes that objects are taken in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wanted {
    /// Whichever they are held in.
    any: bool,
    syntaxes: Vec<TransferSyntaxUid>,
    /// Whichever they are held in, where they cannot be had in one of these.
    lenient: bool,
    /// Coded pixel data are decoded, for who takes nothing else.
    decoding: bool,
}

/// How objects are answered with.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Form {
    /// Where they come as parts.
    pub(super) parts: Wanted,
    /// Where one comes alone.
    pub(super) whole: Wanted,
}

impl Wanted {
    /// Nothing yet; whether pixel data are decoded for who takes nothing else.
    pub(super) fn new(decoding: bool) -> Wanted {
        Wanted { decoding, ..Wanted::default() }
    }

    /// One that was asked for by name; `*` is as held. Where nothing is said it is the default of the standard, or as held
    /// where that cannot be made: most programs say nothing, and mean that.
    pub(super) fn add(&mut self, syntax: Option<&str>) {
        match syntax {
            Some("*") => self.any = true,
            Some(syntax) => self.syntaxes.push(TransferSyntaxUid::new(syntax)),
            None => {
                self.syntaxes.push(TransferSyntaxUid::new(uids::EXPLICIT_LE));
                self.lenient = true;
            }
        }
    }

    /// The one for an object, if there is one: as it is held where that is taken.
    pub(super) fn choose(&self, held: &TransferSyntaxUid) -> Option<TransferSyntaxUid> {
        if self.any || self.syntaxes.contains(held) {
            return Some(held.clone());
        }
        let made = |decoding| self.syntaxes.iter().find(|syntax| can_convert(held, syntax, decoding));
        made(false).or(self.lenient.then_some(held)).or_else(|| made(self.decoding)).cloned()
    }

    /// Whether all of these can be had.
    pub(super) fn serves<'h>(&self, mut held: impl Iterator<Item = &'h TransferSyntaxUid>) -> bool {
        held.all(|held| self.choose(held).is_some())
    }
}

impl Form {
    /// What an asker takes of objects.
    pub(super) fn of(taken: &[Range], decoding: bool) -> Form {
        let mut form = Form { parts: Wanted::new(decoding), whole: Wanted::new(decoding) };
        for range in taken {
            let syntax = range.parameter("transfer-syntax");
            // Who takes anything takes it as it is held.
            let generic =
                range.kind.contains('*') || (range.kind == "multipart/related" && range.parameter("type").is_none());
            let syntax = if generic { syntax.or(Some("*")) } else { syntax };
            if range.takes_parts(DICOM) {
                form.parts.add(syntax);
            }
            if range.takes(DICOM) && range.kind != "*/*" {
                form.whole.add(syntax);
            }
        }
        form
    }
}

/// The media type of frames in a transfer syntax (PS3.18 §8.7.3.3); bytes where they are native or nobody named one.
pub(super) fn of_frames(syntax: &TransferSyntaxUid) -> &'static str {
    match syntax.as_str().strip_prefix("1.2.840.10008.1.2.") {
        Some("5") => "image/dicom-rle",
        Some("4.50" | "4.51" | "4.57" | "4.70") => "image/jpeg",
        Some("4.80" | "4.81") => "image/jls",
        Some("4.90" | "4.91") => "image/jp2",
        Some("4.92" | "4.93") => "image/jpx",
        Some("4.201" | "4.202" | "4.203") => "image/jphc",
        Some("4.110" | "4.111" | "4.112") => "image/jxl",
        Some("4.100" | "4.100.1" | "4.101" | "4.101.1") => "video/mpeg",
        Some("4.102" | "4.102.1" | "4.103" | "4.103.1" | "4.104" | "4.105" | "4.106" | "4.107" | "4.108") => {
            "video/mp4"
        }
        _ => BYTES,
    }
}

/// How frames, or other bytes, are answered with: their media type, and whether as parts.
pub(super) fn choose_bytes(taken: &[Range], syntax: &TransferSyntaxUid, single: bool) -> Option<(&'static str, bool)> {
    let own = of_frames(syntax);
    let takes_syntax = |range: &Range, kind: &str| match range.parameter("transfer-syntax") {
        Some("*") => true,
        Some(named) => named == syntax.as_str(),
        // As bytes they are native unless another syntax is named; a media type of their own says what they are.
        None => {
            kind == own || range.kind.contains('*') || range.parameter("type").is_some_and(|kind| kind.contains('*'))
        }
    };
    taken.iter().find_map(|range| {
        [own, BYTES].into_iter().find_map(|kind| {
            let kind_fits = takes_syntax(range, kind);
            let parts = range.takes_parts(kind) && kind_fits;
            let alone = single && range.kind != "*/*" && range.takes(kind) && kind_fits;
            (parts || alone).then_some((kind, parts))
        })
    })
}

/// A boundary that stands in no object but by a chance that nobody lives to see.
pub(super) fn boundary() -> String {
    format!("pacsferry-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, Uri, header};

    use super::*;
    use crate::dicomweb::accept::accepted;

    const JPEG: &str = "1.2.840.10008.1.2.4.70";

    fn taken(text: &str) -> Vec<Range> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, text.parse().unwrap());
        accepted(&headers, &Uri::from_static("/"))
    }

    #[test]
    fn objects_come_as_held_or_converted_or_not_at_all() {
        let chosen = |text: &str, held: &str| {
            let form = Form::of(&taken(text), false);
            form.parts.choose(&TransferSyntaxUid::new(held)).map(|syntax| syntax.to_string()).unwrap_or_default()
        };
        let dicom = "multipart/related; type=\"application/dicom\"";
        assert_eq!(chosen("*/*", JPEG), JPEG);
        assert_eq!(chosen("multipart/related", JPEG), JPEG);
        assert_eq!(chosen(&format!("{dicom}; transfer-syntax=*"), JPEG), JPEG);
        assert_eq!(chosen(dicom, uids::IMPLICIT_LE), uids::EXPLICIT_LE);
        assert_eq!(chosen(dicom, JPEG), JPEG, "nothing is decompressed");
        let explicit = uids::EXPLICIT_LE;
        assert_eq!(
            chosen(&format!("{dicom}; transfer-syntax={explicit}"), JPEG),
            "",
            "and nothing is put upon anybody"
        );
        assert_eq!(chosen(&format!("{dicom}; transfer-syntax={JPEG}, {dicom}"), JPEG), JPEG);
        assert_eq!(chosen(&format!("{dicom}; transfer-syntax={JPEG}, {dicom}"), uids::EXPLICIT_BE), uids::EXPLICIT_LE);
        assert_eq!(chosen("application/dicom", JPEG), "", "that is one alone");
        let decoded = |text: &str| {
            let chosen = Form::of(&taken(text), true).parts.choose(&TransferSyntaxUid::new(JPEG));
            chosen.map(|syntax| syntax.to_string()).unwrap_or_default()
        };
        assert_eq!(decoded(&format!("{dicom}; transfer-syntax={explicit}")), explicit, "where it is asked for by name");
        assert_eq!(decoded(dicom), JPEG);
        assert_eq!(decoded(&format!("{dicom}; transfer-syntax=1.2.840.10008.1.2.4.90")), "");
        assert_eq!(Form::of(&taken("text/html"), false), Form::default());
    }

    #[test]
    fn frames_come_by_their_own_type_or_as_bytes_of_a_named_syntax() {
        let chosen = |text: &str, held: &str| choose_bytes(&taken(text), &TransferSyntaxUid::new(held), true);
        assert_eq!(chosen("multipart/related; type=\"image/jpeg\"", JPEG), Some(("image/jpeg", true)));
        assert_eq!(chosen("image/jpeg", JPEG), Some(("image/jpeg", false)));
        let bytes = "multipart/related; type=application/octet-stream";
        assert_eq!(chosen(&format!("{bytes}; transfer-syntax=*"), JPEG), Some((BYTES, true)));
        assert_eq!(chosen(bytes, JPEG), None);
        assert_eq!(chosen(bytes, uids::EXPLICIT_LE), Some((BYTES, true)));
        assert_eq!(chosen("*/*", JPEG), Some(("image/jpeg", true)));
        assert_eq!(chosen("multipart/related; type=\"image/jls\"", JPEG), None);
    }
}
