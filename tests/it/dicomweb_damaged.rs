//! Objects that are damaged, or that no decoder reads, among others: a viewer gets the others, and hears of these.

use pacsferry::dataset::{Elements, write_part10_head};
use pacsferry::dicom::{Encoding, Tag, tags, uids};

use serde_json::json;

use crate::support::console::signed_in;
use crate::support::dicomweb::Program;
use crate::support::peers::{Ferry, PATIENCE, until};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const PLAN: &str = "1.2.840.10008.5.1.4.1.1.481.5";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const ROLES: &str = "[[role]]\nname = \"bringers\"\nprivileges = [\"view\", \"store\"]\n";

/// A file of study 1.2.3 up to its pixel data.
fn begun(instance: &str, syntax: &str) -> (Vec<u8>, Elements) {
    let mut elements = Elements::new();
    elements.put(tags::SOP_CLASS_UID, CT).put(tags::SOP_INSTANCE_UID, instance).put(tags::MODALITY, "CT");
    elements.put(tags::PATIENT_NAME, "A^B").put(tags::PATIENT_ID, "1");
    elements.put(tags::STUDY_INSTANCE_UID, "1.2.3").put(tags::SERIES_INSTANCE_UID, "1.2.3.1");
    elements.put_u16(tags::SAMPLES_PER_PIXEL, 1).put(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2");
    elements.put_u16(tags::ROWS, 8).put_u16(tags::COLUMNS, 8).put_u16(tags::BITS_ALLOCATED, 16);
    elements.put_u16(tags::BITS_STORED, 16).put_u16(tags::HIGH_BIT, 15).put_u16(tags::PIXEL_REPRESENTATION, 0);
    (write_part10_head(CT, instance, syntax, None), elements)
}

/// One that is whole, one that is cut off, and one whose frame is no JPEG-LS.
fn files() -> Vec<Vec<u8>> {
    let native = |instance: &str| {
        let (mut file, mut elements) = begun(instance, uids::EXPLICIT_LE);
        elements.put_bytes(tags::PIXEL_DATA, *b"OW", &[7; 128]);
        file.extend(elements.write(Encoding::ExplicitLe));
        file
    };
    // It ends inside an element that stands before the pixel data.
    let (mut cut, mut elements) = begun("1.2.3.1.2", uids::EXPLICIT_LE);
    elements.put_bytes(Tag(0x0029, 0x1001), *b"OB", &[1; 500]);
    cut.extend(elements.write(Encoding::ExplicitLe));
    cut.truncate(cut.len() - 100);
    let (mut coded, elements) = begun("1.2.3.1.3", JPEG_LS);
    coded.extend(elements.write(Encoding::ExplicitLe));
    coded.extend(b"\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\0\0\0\0\xFE\xFF\x00\xE0\x10\0\0\0");
    coded.extend(b"this is no frame\xFE\xFF\xDD\xE0\0\0\0\0");
    vec![native("1.2.3.1.1"), cut, coded]
}

#[test]
fn what_is_damaged_keeps_nothing_else_from_a_viewer() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    let program = Program::new(&ferry, "ben", "bringers");
    let answer = program.store("/studies", &files());
    assert_eq!(answer.status, 202, "{}", answer.head);
    let answer = answer.json();
    let stored = answer["00081199"]["Value"].as_array().unwrap();
    let warned: Vec<_> = stored.iter().filter(|one| one["00081196"].is_object()).collect();
    assert!(stored.len() == 3 && warned.len() == 1, "{answer}");
    assert_eq!(
        (&warned[0]["00081155"]["Value"][0], &warned[0]["00081196"]["Value"][0]),
        (&json!("1.2.3.1.2"), &json!(0xB007))
    );
    for path in ["/studies/1.2.3/metadata", "/studies/1.2.3/series/1.2.3.1/metadata"] {
        let told = program.get(path, "Accept: application/dicom+json\r\n");
        assert_eq!(told.status, 200, "{}", told.head);
        let told = told.json();
        let mut instances: Vec<_> = told.as_array().unwrap().iter().collect();
        instances.sort_by_key(|one| one["00080018"]["Value"][0].as_str().unwrap().to_owned());
        let uids: Vec<&str> = instances.iter().map(|one| one["00080018"]["Value"][0].as_str().unwrap()).collect();
        assert_eq!(uids, ["1.2.3.1.1", "1.2.3.1.2", "1.2.3.1.3"], "{path}");
        assert_eq!(instances[1]["0020000E"]["Value"][0], "1.2.3.1", "{path}: what the catalog knows");
        assert!(instances[1]["7FE00010"].is_null() && instances[0]["7FE00010"].is_object(), "{path}");
    }
    assert_ne!(program.get("/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2/metadata", "").status, 200);
    let native =
        format!("Accept: multipart/related; type=\"application/dicom\"; transfer-syntax={}\r\n", uids::EXPLICIT_LE);
    let study = program.get("/studies/1.2.3", &native);
    let body = String::from_utf8_lossy(&study.body);
    assert_eq!((study.status, body.matches("Content-Type: application/dicom").count()), (200, 3), "{}", study.head);
    let syntaxes = |syntax: &str| body.matches(&format!("transfer-syntax={syntax}\r\n")).count();
    assert_eq!((syntaxes(uids::EXPLICIT_LE), syntaxes(JPEG_LS)), (2, 1), "what cannot be decoded goes as it is held");
    let alone = program.get("/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.3", &native);
    assert!(alone.status >= 400, "{}", alone.head);
    // What cannot be drawn costs one picture.
    let drawn = program.get("/studies/1.2.3/rendered", "Accept: multipart/related; type=\"image/jpeg\"\r\n");
    let pictures = String::from_utf8_lossy(&drawn.body).matches("Content-Type: image/jpeg").count();
    assert!(matches!(drawn.status, 200 | 206) && pictures == 1, "{pictures}: {}", drawn.head);
    let coded = "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.3/rendered";
    assert_eq!(program.get(coded, "Accept: image/jpeg\r\n").status, 406);
    let uri =
        "/wado?requestType=WADO&studyUID=1.2.3&seriesUID=1.2.3.1&objectUID=1.2.3.1.1&contentType=application/dicom";
    assert_eq!(program.get(uri, "").status, 200);
    assert_eq!(program.get(&format!("{uri}&anonymize=yes"), "").status, 406, "nobody is made anonymous here");
    // A query for what is in one study is about that study, wherever its UID stands.
    let series = program.get("/series?StudyInstanceUID=1.2.3", "Accept: application/dicom+json\r\n").json();
    assert_eq!(series.as_array().unwrap().len(), 1);
}

#[test]
fn what_is_damaged_keeps_nothing_else_from_being_corrected() {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let _node = ferry.serve();
    let program = Program::new(&ferry, "ben", "bringers");
    let mut files = files();
    // A plan that is cut off: what it refers to, nobody can tell.
    let (_, mut plan) = begun("1.2.3.2.1", uids::EXPLICIT_LE);
    plan.put(tags::SOP_CLASS_UID, PLAN).put_bytes(Tag(0x300A, 0x0003), *b"LT", &[b'x'; 500]);
    let mut cut = write_part10_head(PLAN, "1.2.3.2.1", uids::EXPLICIT_LE, None);
    cut.extend(plan.write(Encoding::ExplicitLe));
    cut.truncate(cut.len() - 100);
    files.push(cut);
    assert_eq!(program.store("/studies", &files).status, 202);
    let anna = signed_in(&ferry, "anna", "administrator");
    let json = format!("Content-Type: application/json\r\nX-CSRF-Token: {}\r\n", anna.csrf);
    let split = json!({ "instances": ["1.2.3.1.1"], "from": "1.2.3", "reason": "TWO_EXAMS" }).to_string();
    let done = until("nothing is in the way", PATIENCE, || {
        let answer = anna.send("POST", "/api/v1/corrections", &json, &split);
        assert!(answer.status == 201 || answer.body.contains("is filing into"), "{}", answer.body);
        (answer.status == 201).then(|| answer.json())
    });
    let plan = anna.get(&format!("/api/v1/corrections/{}", done["operation"])).body;
    let said = "2 objects that stay cannot be read, such as 1.2.3.1.2: nobody knows whether they refer";
    assert!(plan.contains(said), "{plan}");
    let instances = program.get("/studies/1.2.3/instances", "Accept: application/dicom+json\r\n").json();
    assert_eq!(instances.as_array().unwrap().len(), 3);
}
