//! Headers as the journal tells them: by keyword, what the catalog keeps of one.

use crate::dataset::Header;

/// The texts of a header that rows are made of.
macro_rules! texts {
    ($header:ident, $each:ident) => {
        $each!(
            $header,
            patient_id "PatientID", issuer_of_patient_id "IssuerOfPatientID", patient_name "PatientName",
            patient_birth_date "PatientBirthDate", patient_sex "PatientSex", study_date "StudyDate",
            study_time "StudyTime", study_id "StudyID", accession_number "AccessionNumber",
            study_description "StudyDescription", referring_physician_name "ReferringPhysicianName",
            series_number "SeriesNumber", modality "Modality", series_description "SeriesDescription",
            series_date "SeriesDate", series_time "SeriesTime", body_part "BodyPartExamined",
            instance_number "InstanceNumber", number_of_frames "NumberOfFrames"
        )
    };
}

/// What there is of a header, by keyword.
pub(super) fn of_header(header: &Header) -> Vec<(String, String)> {
    let mut told = Vec::new();
    macro_rules! push {
        ($h:ident, $($field:ident $keyword:literal),*) => {
            $(if let Some(value) = $h.$field.as_ref().filter(|value| !value.is_empty()) {
                told.push(($keyword.to_owned(), value.clone()));
            })*
        };
    }
    texts!(header, push);
    for (keyword, value) in [("Rows", header.rows), ("Columns", header.columns)] {
        told.extend(value.map(|value| (keyword.to_owned(), value.to_string())));
    }
    told
}

/// And back. What is not known says nothing.
pub(super) fn header(told: &[(String, String)]) -> Header {
    let value = |keyword: &str| told.iter().find(|(known, _)| known == keyword).map(|(_, value)| value.clone());
    let mut header = Header::default();
    macro_rules! set {
        ($h:ident, $($field:ident $keyword:literal),*) => {
            $($h.$field = value($keyword);)*
        };
    }
    texts!(header, set);
    header.rows = value("Rows").and_then(|value| value.parse().ok());
    header.columns = value("Columns").and_then(|value| value.parse().ok());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_as_it_was_told() {
        let told = Header {
            patient_id: Some("1".into()),
            patient_name: Some("Yamada^Tarou=山田^太郎".into()),
            study_date: Some(String::new()),
            modality: Some("SR".into()),
            rows: Some(512),
            ..Header::default()
        };
        let expected = Header { study_date: None, ..told.clone() };
        assert_eq!(header(&of_header(&told)), expected);
        assert!(of_header(&Header::default()).is_empty());
    }
}
