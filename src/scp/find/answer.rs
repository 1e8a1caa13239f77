//! The identifiers of answers (PS3.4 §C.4.1.1.3.2): every attribute that was asked for, in the order of the tags, written
//! straight into a buffer; texts in the character set of the query where it has them all, else in UTF-8.

use super::request::Request;
use crate::catalog::Match;
use crate::dataset::{CharacterSet, Writer};
use crate::dicom::{Encoding, Tag, tags};

/// ISO_IR 192.
const UTF8: &[u8] = b"ISO_IR 192";

/// What answers to a query look like.
pub(super) struct Template {
    encoding: Encoding,
    elements: Vec<(Tag, [u8; 2], Source)>,
    charset: CharacterSet,
    charset_terms: Vec<u8>,
}

enum Source {
    /// The value of a match with this number.
    Value(usize),
    /// The same in every answer.
    Fixed(Vec<u8>),
    /// Of this answer.
    CharacterSet,
    /// Of this answer: what is not filed as a whole is fetched before it can be had.
    Availability,
}

impl Template {
    /// Of the answers to this request, of which `ae_title` can be asked for the objects.
    pub(super) fn of(request: &Request, encoding: Encoding, ae_title: &str) -> Template {
        let fixed = |text: &str| Source::Fixed(text.as_bytes().to_vec());
        let mut elements = vec![
            (tags::SPECIFIC_CHARACTER_SET, *b"CS", Source::CharacterSet),
            (tags::QUERY_RETRIEVE_LEVEL, *b"CS", fixed(request.level.as_str())),
            (tags::RETRIEVE_AE_TITLE, *b"AE", fixed(ae_title)),
            (tags::INSTANCE_AVAILABILITY, *b"CS", Source::Availability),
        ];
        let values = request.query.returned().enumerate();
        elements.extend(values.map(|(number, attribute)| (attribute.tag, attribute.vr, Source::Value(number))));
        elements.extend(request.unknown.iter().map(|(tag, vr)| (*tag, *vr, fixed(""))));
        elements.sort_by_key(|(tag, ..)| *tag);
        Template { encoding, elements, charset: request.charset.clone(), charset_terms: request.charset_terms.clone() }
    }

    /// The identifier of an answer.
    pub(super) fn write(&self, found: &Match) -> Vec<u8> {
        let foreign = found.values.iter().any(|value| !value.is_ascii());
        let encoded: Option<Vec<Option<Vec<u8>>>> = match foreign && self.charset.unknown_terms().is_empty() {
            // A text that has to be ASCII is what the character set makes of it all the same.
            true => found.values.iter().map(|value| self.encode(value)).collect(),
            false => None,
        };
        let utf8 = foreign && encoded.is_none();
        let mut writer = Writer::new(self.encoding);
        for (tag, vr, source) in &self.elements {
            match source {
                Source::Fixed(value) => writer.put(*tag, *vr, value),
                Source::Availability if found.nearline => writer.put(*tag, *vr, b"NEARLINE"),
                Source::Availability => writer.put(*tag, *vr, b"ONLINE"),
                Source::CharacterSet if utf8 => writer.put(*tag, *vr, UTF8),
                // The default repertoire is not to be named.
                Source::CharacterSet if self.charset_terms.is_empty() => {}
                Source::CharacterSet => writer.put(*tag, *vr, &self.charset_terms),
                Source::Value(number) => {
                    let value = found.values.get(*number).map(String::as_str).unwrap_or_default();
                    let bytes = encoded.as_ref().and_then(|encoded| encoded.get(*number)).and_then(Option::as_deref);
                    match vr {
                        // A number that the catalog does not know has no value.
                        b"US" => match value.parse::<u16>() {
                            Ok(number) => writer.put(*tag, *vr, &number.to_le_bytes()),
                            Err(_) => writer.put(*tag, *vr, b""),
                        },
                        _ => writer.put(*tag, *vr, bytes.unwrap_or(value.as_bytes())),
                    }
                }
            }
        }
        writer.finish()
    }

    /// A text in the query's character set, where it needs to be encoded; an error where it cannot be.
    fn encode(&self, value: &str) -> Option<Option<Vec<u8>>> {
        if value.is_ascii() { Some(None) } else { self.charset.encode(value).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Attribute, Options, Query};
    use crate::dataset::Elements;
    use crate::dicom::QueryLevel;

    fn template(terms: &str, encoding: Encoding) -> Template {
        let keys = [tags::PATIENT_NAME, tags::ROWS, tags::STUDY_INSTANCE_UID];
        let keys = keys.map(|tag| (Attribute::at(QueryLevel::Image, tag).unwrap(), ""));
        let request = Request {
            level: QueryLevel::Image,
            query: Query::new(QueryLevel::Image, Options::default(), keys).unwrap(),
            unknown: vec![(tags::INSTITUTION_NAME, *b"LO"), (tags::REQUEST_ATTRIBUTES_SEQUENCE, *b"SQ")],
            unmatched: false,
            charset_terms: terms.as_bytes().to_vec(),
            charset: CharacterSet::parse(terms.as_bytes()),
        };
        Template::of(&request, encoding, "PACSFERRY")
    }

    fn found(name: &str) -> Match {
        Match { values: vec![name.into(), "512".into(), "1.2.3".into()], file: None, nearline: false }
    }

    #[test]
    fn an_answer_has_everything_that_was_asked_for_in_every_encoding() {
        for encoding in [Encoding::ImplicitLe, Encoding::ExplicitLe, Encoding::ExplicitBe, Encoding::DeflatedLe] {
            let answer = Elements::read(&template("", encoding).write(&found("Doe")), encoding).unwrap();
            let text = |tag| answer.text(tag).unwrap_or_default();
            assert_eq!(text(tags::QUERY_RETRIEVE_LEVEL), "IMAGE");
            assert_eq!(
                (text(tags::RETRIEVE_AE_TITLE), text(tags::INSTANCE_AVAILABILITY)),
                ("PACSFERRY".into(), "ONLINE".into())
            );
            assert_eq!((text(tags::PATIENT_NAME), text(tags::STUDY_INSTANCE_UID)), ("Doe".into(), "1.2.3".into()));
            assert_eq!((answer.u16(tags::ROWS), answer.bytes(tags::INSTITUTION_NAME)), (Some(512), Some(&b""[..])));
            assert!(!answer.contains(tags::SPECIFIC_CHARACTER_SET), "the default repertoire is not named");
        }
    }

    #[test]
    fn texts_are_in_the_character_set_of_the_query_where_it_has_them() {
        for (asked, name, answered) in [
            ("", "Doe", ""),
            ("ISO_IR 100", "Doe", "ISO_IR 100"),
            ("ISO_IR 100", "Müller^Jürgen", "ISO_IR 100"),
            ("", "Müller", "ISO_IR 192"),
            ("ISO_IR 100", "Łukasz", "ISO_IR 192"),
            ("ISO_IR 101", "Łukasz", "ISO_IR 101"),
            ("ISO_IR 109", "Ĥĝ", "ISO_IR 109"),
            ("ISO_IR 110", "Ķēņ", "ISO_IR 110"),
            ("ISO_IR 144", "Люкceмбypг", "ISO_IR 144"),
            ("ISO_IR 127", "قباني^لنزار", "ISO_IR 127"),
            ("ISO_IR 126", "Διονυσιος", "ISO_IR 126"),
            ("ISO_IR 138", "שרון^דבורה", "ISO_IR 138"),
            ("ISO_IR 148", "Çavuşoğlu", "ISO_IR 148"),
            ("ISO_IR 203", "Œuvre", "ISO_IR 203"),
            ("ISO_IR 166", "นามสกุล", "ISO_IR 166"),
            ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ISO_IR 13"),
            ("ISO_IR 13", "山田^太郎", "ISO_IR 192"),
            ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87"),
            ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "ISO 2022 IR 13\\ISO 2022 IR 87"),
            ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동", "\\ISO 2022 IR 149"),
            ("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东", "\\ISO 2022 IR 58"),
            ("GB18030", "Wang^XiaoDong=王^小东", "GB18030"),
            ("GBK", "王^小东", "GBK"),
            ("ISO_IR 192", "Wang=王^小東", "ISO_IR 192"),
            ("ISO_IR 100", "Müller=山田", "ISO_IR 192"),
            ("KLINGON", "Müller", "ISO_IR 192"),
        ] {
            let written = template(asked, Encoding::ExplicitLe).write(&found(name));
            let answer = Elements::read(&written, Encoding::ExplicitLe).unwrap();
            assert_eq!(answer.person_name(tags::PATIENT_NAME).as_deref(), Some(name), "{asked}");
            let charset = answer.bytes(tags::SPECIFIC_CHARACTER_SET).unwrap_or_default();
            assert_eq!(String::from_utf8_lossy(charset).trim(), answered, "{asked} {name}");
        }
    }
}
