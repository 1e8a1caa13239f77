//! What is in quarantine, by the console: looked at, filed after its identifiers were corrected, discarded, taken back.

use pacsferry::dataset::{Elements, write_part10_head};
use pacsferry::dicom::{Encoding, tags, uids};
use serde_json::json;

use crate::support::console::{first_password, signed_in};
use crate::support::peers::Ferry;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const ROLES: &str = "[[role]]\nname = \"readers\"\nprivileges = [\"view\"]\n";

/// Brings CT objects of a patient; one without a series, which nobody can file.
fn bring(ferry: &Ferry, patient: &str, name: &str, objects: &[(&str, &str, Option<&str>)]) {
    let folder = ferry.folder().join(format!("in-{patient}"));
    std::fs::create_dir(&folder).unwrap();
    for (instance, study, series) in objects {
        let mut elements = Elements::new();
        elements.put(tags::SOP_CLASS_UID, CT).put(tags::SOP_INSTANCE_UID, instance).put(tags::MODALITY, "CT");
        elements.put(tags::PATIENT_NAME, name).put(tags::PATIENT_ID, patient).put(tags::STUDY_DATE, "20240131");
        elements.put(tags::STUDY_INSTANCE_UID, study);
        if let Some(series) = series {
            elements.put(tags::SERIES_INSTANCE_UID, series);
        }
        let mut bytes = write_part10_head(CT, instance, uids::EXPLICIT_LE, None);
        bytes.extend(elements.write(Encoding::ExplicitLe));
        std::fs::write(folder.join(instance), bytes).unwrap();
    }
    let imported = ferry.run(&["import", "--copy", folder.to_str().unwrap()]);
    assert!(imported.code == 0 || imported.code == 3, "{}", imported.err);
}

#[test]
fn an_object_in_quarantine_is_looked_at_filed_discarded_and_taken_back() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    bring(&ferry, "P1", "Right^Anna", &[("1.2.1.1.1", "1.2.1", Some("1.2.1.1"))]);
    bring(&ferry, "P2", "<b>Wrong</b>^Bert", &[("1.2.2.1.1", "1.2.2", None), ("1.2.2.1.2", "1.2.2", None)]);
    let _node = ferry.serve();
    first_password(&ferry);
    let browser = signed_in(&ferry, "anna", "administrator");
    let list = browser.get("/quarantine");
    assert!(
        list.status == 200 && list.body.contains("&#60;b&#62;Wrong") && !list.body.contains("<b>Wrong"),
        "{}",
        list.body
    );
    let held = browser.get("/api/v1/quarantine").json();
    assert_eq!(
        (held["objects"].as_array().unwrap().len(), &held["objects"][0]["patient_id"]),
        (2, &json!("P2")),
        "{held}"
    );
    let number = held["objects"][0]["number"].as_i64().unwrap();
    let (page, api) = (format!("/quarantine/{number}"), format!("/api/v1/quarantine/{number}"));
    let shown = browser.get(&page);
    assert!(shown.body.contains("Patient ID") && shown.body.contains("(0010,0020)"), "{}", shown.body);
    let header = browser.get(&api).json()["header"].clone();
    assert!(
        header.as_array().unwrap().iter().any(|one| one["name"] == "Study Date" && one["value"] == "20240131"),
        "{header}"
    );
    assert_eq!((browser.get("/quarantine/999").status, browser.get("/api/v1/quarantine/999").status), (404, 404));
    // Somebody who may only look.
    let reader = signed_in(&ferry, "eve", "readers");
    let refused = reader.post(&page, &[("action", "discard"), ("reason", "X")]);
    assert!(refused.status == 409 && refused.body.contains("privilege `discard`"), "{}", refused.body);
    assert!(!reader.get(&page).body.contains("name=\"action\""));
    // It names no series, and another patient.
    let without = browser.post(&page, &[("action", "file"), ("reason", "LOST")]);
    assert!(without.status == 409 && without.body.contains("names no series"), "{}", without.body);
    let way = [("action", "file"), ("to", "1.2.1"), ("series", "1.2.1.1"), ("reason", "LOST")];
    let other = browser.post(&page, &way);
    assert!(
        other.status == 409 && other.body.contains("name=\"confirm_patient\"") && other.body.contains("value=\"LOST\""),
        "{}",
        other.body
    );
    // Both patients are there to be compared.
    for word in ["Right", "P1", "class=\"differs\"", "tick the box", "href=\"/studies/1.2.1\""] {
        assert!(other.body.contains(word), "{word}: {}", other.body);
    }
    let filed = browser.post(&page, &[&way[..], &[("confirm_patient", "yes")]].concat());
    assert_eq!((filed.status, filed.header("location")), (303, "/quarantine?done=1"), "{}", filed.body);
    let study = browser.get("/api/v1/studies/1.2.1").json();
    assert_eq!((&study["NumberOfStudyRelatedInstances"], &study["PatientID"]), (&json!("2"), &json!("P1")));
    assert_eq!(browser.get(&page).status, 404, "it is in quarantine no more");
    // The other one is discarded by a program, with a reason.
    let left = browser.get("/api/v1/quarantine").json()["objects"][0]["number"].clone();
    let json = format!("Content-Type: application/json\r\nX-CSRF-Token: {}\r\n", browser.csrf);
    let discard = |body: &str| browser.send("POST", &format!("/api/v1/quarantine/{left}"), &json, body);
    assert_eq!(discard("{\"action\": \"discard\"}").status, 400, "nobody would know why");
    assert_eq!(discard("{\"action\": \"discard\", \"reason\": \"BROKEN\"}").status, 201);
    assert!(browser.get("/quarantine").body.contains("Nothing is in quarantine."));
    for operation in [2, 1] {
        let undone = browser.post(&format!("/corrections/{operation}/undo"), &[("reason", "MISTAKE")]);
        assert_eq!(undone.status, 303, "{}", undone.body);
    }
    assert_eq!(browser.get("/api/v1/quarantine").json()["objects"].as_array().unwrap().len(), 2);
    assert_eq!(browser.get("/api/v1/studies/1.2.1").json()["NumberOfStudyRelatedInstances"], "1");
}
