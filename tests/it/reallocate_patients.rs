//! Series in which images of several patients are, some of them signed: every object counts, not the first.

use serde_json::json;

use crate::support::peers::string;
use crate::support::ward::{ANNA, Object, TARO, Ward, series_uid, slices, study_uid};

/// Two images of one patient, the first of which stands for the series, and one of another.
fn mixed() -> Ward {
    let weighed = |patient, number: usize| Object::ct(patient, 1, 1, number).with("PatientWeight", "70");
    let signed = weighed(TARO, 3).with("DigitalSignaturesSequence", json!([{ "MACIDNumber": 1 }]));
    Ward::of(&[vec![weighed(ANNA, 1), weighed(ANNA, 2), signed], slices(ANNA, 2, 1, 1)].concat())
}

#[test]
fn an_image_of_another_patient_in_a_series_has_to_be_confirmed() {
    let ward = mixed();
    let arguments = ["reallocate", &series_uid(1, 1), "--to", &study_uid(2), "--mode", "local"];
    let plan = ward.run(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(plan.code, 1, "{}", plan.out);
    for word in
        [TARO.id, "name different patients", "2 objects", "1 object is digitally signed", "from the objects of another"]
    {
        assert!(plan.out.contains(word), "{word}: {}", plan.out);
    }
    ward.refused(&arguments, "--confirm-patient");
    let done = ward.operation(&[&arguments[..], &["--confirm-patient"]].concat());
    let shown = ward.get(&study_uid(2)).shown();
    for (number, weight) in [(1, Some("70")), (2, Some("70")), (3, None)] {
        let object = &shown[&format!("{}.{number}", series_uid(1, 1))];
        assert_eq!(string(object, "PatientID"), ANNA.id);
        assert_eq!(object["PatientWeight"].as_str(), weight, "image {number}: weight and age are those of the patient");
        assert!(object.get("DigitalSignaturesSequence").is_none());
    }
    let told = ward.done(&["corrections", "show", &done]);
    assert_eq!(told["sheet"]["signed"], json!([format!("{}.3", series_uid(1, 1))]), "{told}");
    ward.done(&["undo", &done]);
    let shown = ward.get(&study_uid(1)).shown();
    assert_eq!(string(&shown[&format!("{}.3", series_uid(1, 1))], "PatientID"), TARO.id);
}

#[test]
fn a_study_of_its_own_is_of_one_patient() {
    let ward = mixed();
    let split = ["split", &study_uid(1), "--series", &series_uid(1, 1)];
    ward.refused(&split, "--confirm-patient");
}
