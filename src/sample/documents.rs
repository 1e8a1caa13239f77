//! Sample objects that are no images: a structured report, a key object selection, a PDF.

use dicom_core::VR;

use super::data_set::DataSet;
use crate::dicom::{Tag, tags};

/// A code sequence of one item.
fn code(value: &str, scheme: &str, meaning: &str) -> Vec<DataSet> {
    let mut item = DataSet::new();
    item.put(tags::CODE_VALUE, value).put(tags::CODING_SCHEME_DESIGNATOR, scheme).put(tags::CODE_MEANING, meaning);
    vec![item]
}

/// A content item with a name.
fn content(relationship: &str, kind: &str, name: Vec<DataSet>) -> DataSet {
    let mut item = DataSet::new();
    item.put(tags::RELATIONSHIP_TYPE, relationship).put(tags::VALUE_TYPE, kind).put_sequence(
        tags::CONCEPT_NAME_CODE_SEQUENCE,
        name,
        false,
    );
    item
}

/// A reference to an instance.
fn reference(class: &str, instance: &str) -> DataSet {
    let mut item = DataSet::new();
    item.put(tags::REFERENCED_SOP_CLASS_UID, class).put(tags::REFERENCED_SOP_INSTANCE_UID, instance);
    item
}

/// Where the referenced instance is to be found: study, series, instance.
fn evidence(study: &str, series: &str, class: &str, instance: &str) -> Vec<DataSet> {
    let mut in_series = DataSet::new();
    in_series.put(tags::SERIES_INSTANCE_UID, series).put_sequence(
        tags::REFERENCED_SOP_SEQUENCE,
        vec![reference(class, instance)],
        true,
    );
    let mut in_study = DataSet::new();
    in_study.put(tags::STUDY_INSTANCE_UID, study).put_sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![in_series], true);
    vec![in_study]
}

/// What a report speaks of.
pub(crate) struct Subject<'a> {
    pub(crate) study: &'a str,
    pub(crate) series: &'a str,
    pub(crate) class: &'a str,
    pub(crate) instance: &'a str,
}

/// The content of a Basic Text SR (PS3.3 §A.35.1): a container, a sentence, a reference to an image. Nested sequences
/// of both kinds of length.
pub(crate) fn basic_text(subject: &Subject<'_>, sentence: &str) -> DataSet {
    let mut text = content("CONTAINS", "TEXT", code("121071", "DCM", "Finding"));
    text.put(tags::TEXT_VALUE, sentence);
    let mut image = content("CONTAINS", "IMAGE", code("121080", "DCM", "Best illustration of finding"));
    image.put_sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference(subject.class, subject.instance)], false);
    let mut report = DataSet::new();
    report
        .put(tags::CONTENT_DATE, "20240101")
        .put(tags::CONTENT_TIME, "120000")
        .put(tags::VALUE_TYPE, "CONTAINER")
        .put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, code("18748-4", "LN", "Diagnostic imaging report"), true)
        .put(tags::CONTINUITY_OF_CONTENT, "SEPARATE")
        .put(tags::COMPLETION_FLAG, "COMPLETE")
        .put(tags::VERIFICATION_FLAG, "UNVERIFIED")
        .put_sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new(), true)
        .put_sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new(), false)
        .put_sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            evidence(subject.study, subject.series, subject.class, subject.instance),
            true,
        )
        .put_sequence(tags::CONTENT_SEQUENCE, vec![text, image], true);
    report
}

/// The content of a Key Object Selection Document (PS3.3 §A.35.4).
pub(crate) fn key_objects(subject: &Subject<'_>) -> DataSet {
    let mut image = DataSet::new();
    image.put(tags::RELATIONSHIP_TYPE, "CONTAINS").put(tags::VALUE_TYPE, "IMAGE").put_sequence(
        tags::REFERENCED_SOP_SEQUENCE,
        vec![reference(subject.class, subject.instance)],
        false,
    );
    let mut document = DataSet::new();
    document
        .put(tags::CONTENT_DATE, "20240101")
        .put(tags::CONTENT_TIME, "120000")
        .put(tags::VALUE_TYPE, "CONTAINER")
        .put(tags::CONTINUITY_OF_CONTENT, "SEPARATE")
        .put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, code("113000", "DCM", "Of Interest"), false)
        .put_sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            evidence(subject.study, subject.series, subject.class, subject.instance),
            false,
        )
        .put_sequence(tags::CONTENT_SEQUENCE, vec![image], false);
    document
}

/// The Encapsulated Document module around a PDF.
pub(crate) fn encapsulated_pdf(title: &str) -> DataSet {
    let mut document = DataSet::new();
    document
        .put(tags::CONVERSION_TYPE, "WSD")
        .put(tags::BURNED_IN_ANNOTATION, "YES")
        .put(tags::CONTENT_DATE, "20240101")
        .put(tags::CONTENT_TIME, "120000")
        .put(tags::ACQUISITION_DATE_TIME, "20240101120000")
        .put(tags::DOCUMENT_TITLE, title)
        .put_sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, Vec::new(), true)
        .put(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf")
        .put_bytes(tags::ENCAPSULATED_DOCUMENT, VR::OB, pdf(title));
    document
}

/// The smallest PDF of one page with a line of text, its cross reference table right.
fn pdf(line: &str) -> Vec<u8> {
    let plain: String = line.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ').collect();
    let drawing = format!("BT /F1 18 Tf 40 160 Td ({plain}) Tj ET");
    let parts = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{drawing}\nendstream", drawing.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        offsets.push(out.len());
        out.push_str(&format!("{} 0 obj\n{part}\nendobj\n", number + 1));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", parts.len() + 1));
    for offset in offsets {
        out.push_str(&format!("{offset:010} 00000 n \n"));
    }
    out.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", parts.len() + 1));
    out.into_bytes()
}

/// A private group with a creator, a nested private sequence and a value of unknown VR, as modalities write them.
pub(crate) fn private_group(data_set: &mut DataSet, number: u64) {
    let mut inner = DataSet::new();
    inner.put_bytes(Tag(0x0009, 0x0010), VR::LO, b"PACSFERRY SAMPLE".to_vec()).put_bytes(
        Tag(0x0009, 0x1002),
        VR::DS,
        format!("{number}.5").into_bytes(),
    );
    data_set
        .put_bytes(Tag(0x0009, 0x0010), VR::LO, b"PACSFERRY SAMPLE".to_vec())
        .put_bytes(Tag(0x0009, 0x1001), VR::UN, number.to_le_bytes().to_vec())
        .put_sequence(Tag(0x0009, 0x1003), vec![inner], number.is_multiple_of(2));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cross_reference_table_points_at_the_objects() {
        let text = String::from_utf8(pdf("Hello (world)")).unwrap();
        let from = |offset: usize| text.get(offset..).unwrap_or_default();
        let table: usize = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse().unwrap();
        assert!(from(table).starts_with("xref\n0 6\n"));
        for (number, line) in from(table).lines().skip(3).take(5).enumerate() {
            let offset: usize = line.split(' ').next().unwrap().parse().unwrap();
            assert!(from(offset).starts_with(&format!("{} 0 obj", number + 1)), "{line}");
        }
        assert!(text.contains("(Hello world)"));
    }
}
