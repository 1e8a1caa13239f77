//! What data sets are told as: DICOM JSON (PS3.18 annex F), or the Native DICOM Model in XML (PS3.19 §A.1), a part for each.

use std::fmt::Write;

use axum::http::{HeaderMap, Uri};
use serde_json::{Map, Value};

use super::accept::{Range, accepted};
use super::answer::Problem;
use super::media::boundary;
use crate::dataset::keyword;
use crate::dicom::Tag;

const JSON: &str = "application/dicom+json";
const XML: &str = "application/dicom+xml";
/// The longest data set that is told in XML, in bytes of JSON: it is in memory as a whole.
const LONGEST: usize = 8 << 20;
/// The parts of a name, in the order in which they are written.
const NAME: [&str; 5] = ["FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix"];

/// How a list of data sets is told.
#[derive(Debug, Clone)]
pub(super) enum Told {
    Json,
    /// With what stands between the parts.
    Xml(String),
}

/// A data set that is told as JSON only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instance says too much of itself to be told as XML, or is nested too deeply")]
pub(super) struct TooMuch;

impl Told {
    /// Many, as the asker takes them.
    pub(super) fn of(headers: &HeaderMap, uri: &Uri) -> Result<Told, Problem> {
        Told::as_taken(headers, uri, |range| range.takes_parts(XML))
    }

    /// One alone, as the asker takes it.
    pub(super) fn alone(headers: &HeaderMap, uri: &Uri) -> Result<Told, Problem> {
        Told::as_taken(headers, uri, |range| range.takes(XML))
    }

    fn as_taken(headers: &HeaderMap, uri: &Uri, takes_xml: fn(&Range) -> bool) -> Result<Told, Problem> {
        let taken = accepted(headers, uri);
        let told = taken.iter().find_map(|range| {
            if range.takes(JSON) || range.takes("application/json") {
                return Some(Told::Json);
            }
            takes_xml(range).then(|| Told::Xml(boundary()))
        });
        told.ok_or_else(|| {
            let remedy = format!("send `Accept: {JSON}`");
            Problem::not_acceptable(format!("this is told as {JSON}, or as {XML}"), remedy)
        })
    }

    /// The content type of the whole.
    pub(super) fn kind(&self) -> String {
        match self {
            Told::Json => JSON.to_owned(),
            Told::Xml(boundary) => format!("multipart/related; type=\"{XML}\"; boundary={boundary}"),
        }
    }

    /// The content type of one alone.
    pub(super) fn form(&self) -> &'static str {
        if matches!(self, Told::Json) { JSON } else { XML }
    }

    /// What stands before the first data set.
    pub(super) fn open(&self) -> &'static str {
        if matches!(self, Told::Json) { "[" } else { "" }
    }

    /// A data set, made of its JSON, with what stands between it and the one before.
    pub(super) fn one(&self, json: String, first: bool) -> Result<String, TooMuch> {
        match self {
            Told::Json if first => Ok(json),
            Told::Json => Ok(format!(",{json}")),
            Told::Xml(boundary) => {
                let document = self.document(json)?;
                Ok(format!("\r\n--{boundary}\r\nContent-Type: {XML}\r\n\r\n{document}"))
            }
        }
    }

    /// A data set alone, made of its JSON.
    pub(super) fn document(&self, json: String) -> Result<String, TooMuch> {
        match self {
            Told::Json => Ok(json),
            Told::Xml(_) => {
                let known = Some(json).filter(|json| json.len() <= LONGEST).ok_or(TooMuch)?;
                let known: Map<String, Value> = serde_json::from_str(&known).map_err(|_| TooMuch)?;
                let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
                out.push_str("<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\">\n");
                elements(&mut out, &known);
                out.push_str("</NativeDicomModel>\n");
                Ok(out)
            }
        }
    }

    /// What stands behind the last.
    pub(super) fn close(&self) -> String {
        match self {
            Told::Json => "]".to_owned(),
            Told::Xml(boundary) => format!("\r\n--{boundary}--\r\n"),
        }
    }
}

/// The elements of a data set or an item.
fn elements(out: &mut String, known: &Map<String, Value>) {
    for (key, element) in known {
        let Ok(number) = u32::from_str_radix(key, 16) else { continue };
        let [a, b, c, d] = number.to_be_bytes();
        let (group, block) = (u16::from_be_bytes([a, b]), c);
        let vr = element.get("vr").and_then(Value::as_str).unwrap_or("UN");
        // Of a private element it is said who reserved its block, and not which block that was.
        let creator = format!("{group:04X}00{block:02X}");
        let creator =
            known.get(&creator).filter(|_| group % 2 == 1).and_then(|reserved| reserved.pointer("/Value/0")?.as_str());
        let _infallible = match creator.filter(|_| block >= 0x10) {
            Some(creator) => {
                let creator = escaped(creator);
                write!(out, "<DicomAttribute tag=\"{group:04X}00{d:02X}\" vr=\"{vr}\" privateCreator=\"{creator}\">")
            }
            None => match keyword(Tag(group, u16::from_be_bytes([c, d]))).filter(|_| group % 2 == 0) {
                Some(word) => write!(out, "<DicomAttribute tag=\"{key}\" vr=\"{vr}\" keyword=\"{word}\">"),
                None => write!(out, "<DicomAttribute tag=\"{key}\" vr=\"{vr}\">"),
            },
        };
        out.push('\n');
        if let Some(address) = element.get("BulkDataURI").and_then(Value::as_str) {
            let _infallible = writeln!(out, "<BulkData uri=\"{}\"/>", escaped(address));
        } else if let Some(bytes) = element.get("InlineBinary").and_then(Value::as_str) {
            let _infallible = writeln!(out, "<InlineBinary>{bytes}</InlineBinary>");
        }
        for (value, number) in element.get("Value").and_then(Value::as_array).into_iter().flatten().zip(1..) {
            self::value(out, vr, value, number);
        }
        out.push_str("</DicomAttribute>\n");
    }
}

/// One of its values; one that is empty is not told.
fn value(out: &mut String, vr: &str, value: &Value, number: usize) {
    let _infallible = match (vr, value) {
        ("SQ", Value::Object(item)) => {
            let _infallible = writeln!(out, "<Item number=\"{number}\">");
            elements(out, item);
            writeln!(out, "</Item>")
        }
        ("PN", Value::Object(groups)) => {
            let _infallible = writeln!(out, "<PersonName number=\"{number}\">");
            for group in ["Alphabetic", "Ideographic", "Phonetic"] {
                let Some(name) = groups.get(group).and_then(Value::as_str) else { continue };
                let _infallible = writeln!(out, "<{group}>");
                for (part, text) in NAME.iter().zip(name.split('^')).filter(|(_, text)| !text.is_empty()) {
                    let _infallible = writeln!(out, "<{part}>{}</{part}>", escaped(text));
                }
                let _infallible = writeln!(out, "</{group}>");
            }
            writeln!(out, "</PersonName>")
        }
        (_, Value::String(text)) => writeln!(out, "<Value number=\"{number}\">{}</Value>", escaped(text)),
        (_, Value::Number(known)) => writeln!(out, "<Value number=\"{number}\">{known}</Value>"),
        _ => Ok(()),
    };
}

/// A text as it may stand in XML, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..' ' | '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn told(accept: &'static str) -> Result<Told, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, axum::http::HeaderValue::from_static(accept));
        Told::of(&headers, &Uri::from_static("/"))
    }

    #[test]
    fn everybody_is_told_as_he_takes_it() {
        for json in ["*/*", "application/*", "application/dicom+json", "application/json"] {
            assert!(matches!(told(json), Ok(Told::Json)), "{json}");
        }
        let xml = "multipart/related; type=\"application/dicom+xml\"";
        assert!(matches!(told(xml), Ok(Told::Xml(_))));
        assert!(told("image/png").is_err() && told("multipart/related; type=\"application/dicom\"").is_err());
    }

    #[test]
    fn a_data_set_is_the_same_in_xml() {
        let json = r#"{"00091002":{"vr":"UN","InlineBinary":"AA=="},"00090010":{"vr":"LO","Value":["<MAKER>"]},
            "00100010":{"vr":"PN","Value":[{"Alphabetic":"A&B^C^^D"}]},"00080008":{"vr":"CS","Value":[null,"X\u0007"]},
            "00081115":{"vr":"SQ","Value":[{"00200013":{"vr":"IS","Value":[7]}},{}]},
            "7FE00010":{"vr":"OW","BulkDataURI":"http://x/?a&b"}}"#;
        let xml = Told::Xml("b".into()).one(json.into(), true).unwrap();
        for part in [
            "<DicomAttribute tag=\"00090002\" vr=\"UN\" privateCreator=\"&lt;MAKER&gt;\">\n<InlineBinary>AA==</InlineBinary>",
            "<DicomAttribute tag=\"00090010\" vr=\"LO\">\n<Value number=\"1\">&lt;MAKER&gt;</Value>",
            "<FamilyName>A&amp;B</FamilyName>\n<GivenName>C</GivenName>\n<NamePrefix>D</NamePrefix>",
            "keyword=\"ImageType\">\n<Value number=\"2\">X\u{FFFD}</Value>",
            "<Item number=\"1\">\n<DicomAttribute tag=\"00200013\" vr=\"IS\" keyword=\"InstanceNumber\">\n<Value number=\"1\">7<",
            "<Item number=\"2\">\n</Item>",
            "<BulkData uri=\"http://x/?a&amp;b\"/>",
        ] {
            assert!(xml.contains(part), "{part}: {xml}");
        }
    }
}
