//! The header scanner against pydicom, on every sample file that pydicom reads.

use pacsferry::dataset::{CharacterSet, Header, ScanOutcome, scan_header};
use pacsferry::dicom::{TransferSyntaxUid, Uid};

use crate::support::peers::samples;

#[test]
fn headers_are_read_as_pydicom_reads_them() {
    let mut differences = Vec::new();
    for sample in samples() {
        let syntax = TransferSyntaxUid::from(Uid::new(&sample.transfer_syntax));
        let data = sample.data_set();
        let scan = scan_header(data.as_slice(), &syntax, true, &CharacterSet::ascii());
        if !matches!(scan.outcome, ScanOutcome::Complete) {
            differences.push(format!("{}: {:?}", sample.name(), scan.outcome));
        }
        for (keyword, value) in shown(&scan.header) {
            let expected = sample.texts.get(keyword);
            if value.as_ref() != expected {
                differences.push(format!("{}: {keyword} is {value:?}, not {expected:?}", sample.name()));
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

fn shown(header: &Header) -> Vec<(&'static str, Option<String>)> {
    let uid = |uid: &Option<Uid>| uid.as_ref().map(|uid| uid.as_str().to_owned());
    // pydicom leaves out the separators of component groups that are empty to the end.
    let name = |name: &Option<String>| name.as_ref().map(|n| n.trim_end_matches('=').to_owned());
    let number = |number: Option<u16>| number.map(|n| n.to_string());
    vec![
        ("StudyInstanceUID", uid(&header.study_uid)),
        ("SeriesInstanceUID", uid(&header.series_uid)),
        ("SOPInstanceUID", uid(&header.sop_instance_uid)),
        ("SOPClassUID", uid(&header.sop_class_uid)),
        ("PatientName", name(&header.patient_name)),
        ("PatientID", header.patient_id.clone()),
        ("PatientBirthDate", header.patient_birth_date.clone()),
        ("PatientSex", header.patient_sex.clone()),
        ("StudyDate", header.study_date.clone()),
        ("StudyTime", header.study_time.clone()),
        ("StudyID", header.study_id.clone()),
        ("AccessionNumber", header.accession_number.clone()),
        ("StudyDescription", header.study_description.clone()),
        ("ReferringPhysicianName", name(&header.referring_physician_name)),
        ("SeriesNumber", header.series_number.clone()),
        ("Modality", header.modality.clone()),
        ("SeriesDescription", header.series_description.clone()),
        ("BodyPartExamined", header.body_part.clone()),
        ("InstanceNumber", header.instance_number.clone()),
        ("Rows", number(header.rows)),
        ("Columns", number(header.columns)),
    ]
}
