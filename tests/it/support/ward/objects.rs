//! Objects of made-up patients, as a test describes them.

use serde_json::{Map, Value, json};

/// Computed Tomography Image Storage.
pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// Somebody who has been examined.
#[derive(Clone, Copy)]
pub(crate) struct Patient {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) birth: &'static str,
    pub(crate) sex: &'static str,
    /// Specific Character Set, several terms by backslashes; empty for none.
    pub(crate) charset: &'static str,
}

/// Of western Europe.
pub(crate) const ANNA: Patient =
    Patient { id: "A1", name: "Müller^Änne", birth: "19700102", sex: "F", charset: "ISO_IR 100" };
/// Of Japan.
pub(crate) const TARO: Patient = Patient {
    id: "B2",
    name: "Yamada^Tarou=山田^太郎=やまだ^たろう",
    birth: "19850607",
    sex: "M",
    charset: "\\ISO 2022 IR 87",
};
/// In plain ASCII, which is not said.
pub(crate) const JOHN: Patient = Patient { id: "C3", name: "Doe^John", birth: "19991231", sex: "M", charset: "" };

/// One object to be: its elements by keyword.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) elements: Map<String, Value>,
    pub(super) syntax: &'static str,
    pub(super) pixels: usize,
}

impl Object {
    /// A slice of a CT: study, series and own number say which UIDs and texts it has.
    pub(crate) fn ct(of: Patient, study: usize, series: usize, number: usize) -> Object {
        let study_uid = study_uid(study);
        let series_uid = series_uid(study, series);
        let mut elements = json!({
            "SOPClassUID": CT, "SOPInstanceUID": format!("{series_uid}.{number}"),
            "StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid,
            "PatientName": of.name, "PatientID": of.id, "PatientBirthDate": of.birth, "PatientSex": of.sex,
            "IssuerOfPatientID": format!("ISSUER{}", of.id),
            "PatientAge": "031Y", "PatientWeight": "70",
            "StudyDate": format!("202401{study:02}"), "StudyTime": "101500", "StudyID": format!("S{study}"),
            "AccessionNumber": format!("ACC{study}"), "StudyDescription": format!("Study {study}"),
            "ReferringPhysicianName": format!("Doctor^Number{study}"),
            "Modality": "CT", "SeriesNumber": series.to_string(), "SeriesDescription": format!("Series {series}"),
            "InstanceNumber": number.to_string(), "AcquisitionTime": format!("1015{number:02}"),
            "FrameOfReferenceUID": format!("{study_uid}.99"), "Manufacturer": "Maker",
            "RequestAttributesSequence": { "RequestedProcedureID": format!("RP{study}"), "ScheduledProcedureStepID": "1" },
            "ReferencedPerformedProcedureStepSequence":
                { "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3", "ReferencedSOPInstanceUID": format!("{study_uid}.98") },
        });
        let elements = elements.as_object_mut().expect("an object");
        match of.charset.split_once('\\') {
            Some((first, second)) => drop(elements.insert("SpecificCharacterSet".into(), json!([first, second]))),
            None if of.charset.is_empty() => {}
            None => drop(elements.insert("SpecificCharacterSet".into(), json!(of.charset))),
        }
        Object { elements: std::mem::take(elements), syntax: "1.2.840.10008.1.2.1", pixels: 32 }
    }

    /// With another value.
    pub(crate) fn with(mut self, keyword: &str, value: impl Into<Value>) -> Object {
        self.elements.insert(keyword.to_owned(), value.into());
        self
    }

    /// Another kind of object, without pixels.
    pub(crate) fn kind(mut self, class: &str, modality: &str) -> Object {
        self.pixels = 0;
        self.with("SOPClassUID", class).with("Modality", modality)
    }

    pub(crate) fn uid(&self) -> &str {
        self.elements["SOPInstanceUID"].as_str().expect("a UID")
    }
}

/// Study Instance UID.
pub(crate) fn study_uid(study: usize) -> String {
    format!("1.2.826.0.1.5.{study}")
}

/// Series Instance UID.
pub(crate) fn series_uid(study: usize, series: usize) -> String {
    format!("1.2.826.0.1.5.{study}.{series}")
}

/// So many slices of one series.
pub(crate) fn slices(of: Patient, study: usize, series: usize, count: usize) -> Vec<Object> {
    (1..=count).map(|number| Object::ct(of, study, series, number)).collect()
}
