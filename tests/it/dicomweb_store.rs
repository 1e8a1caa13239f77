//! STOW-RS: what is durable when the answer says so, what became of each object, and requests that are none.

use std::path::PathBuf;

use pacsferry::dataset::{Elements, write_part10_head};
use pacsferry::dicom::{Encoding, tags, uids};
use serde_json::{Value, json};

use crate::support::dicomweb::Program;
use crate::support::peers::{Ferry, PATIENCE, distinct, samples, until};

const ROLES: &str = "[[role]]\nname = \"bringers\"\nprivileges = [\"view\", \"store\"]\n";
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const KIND: &str = "Content-Type: multipart/related; type=\"application/dicom\"; boundary=mark\r\n";

fn object(study: &str, instance: &str, name: &str, pixels: usize) -> Vec<u8> {
    let mut elements = Elements::new();
    elements.put(tags::SOP_CLASS_UID, CT).put(tags::SOP_INSTANCE_UID, instance);
    elements.put(tags::STUDY_INSTANCE_UID, study).put(tags::SERIES_INSTANCE_UID, &format!("{study}.1"));
    elements.put(tags::PATIENT_NAME, name).put(tags::PATIENT_ID, "1").put(tags::MODALITY, "CT");
    elements.put_bytes(tags::PIXEL_DATA, *b"OW", &vec![7; pixels]);
    let mut file = write_part10_head(CT, instance, uids::EXPLICIT_LE, None);
    file.extend(elements.write(Encoding::ExplicitLe));
    file
}

fn node() -> (Ferry, crate::support::peers::Server, Program) {
    let ferry = Ferry::new();
    ferry.configure_with(&[], ROLES);
    let node = ferry.serve();
    let program = Program::new(&ferry, "ben", "bringers");
    (ferry, node, program)
}

/// The instances of a sequence of the answer, with a value of each.
fn told(answer: &Value, sequence: &str, value: &str) -> Vec<(String, Value)> {
    let items = answer[sequence]["Value"].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|one| (one["00081155"]["Value"][0].as_str().unwrap().to_owned(), one[value]["Value"][0].clone()))
        .collect()
}

#[test]
fn what_is_stored_is_durable_and_can_be_had_where_the_answer_says() {
    let (ferry, node, program) = node();
    // One that is held in memory, and one that goes to the disk while it comes.
    let files = [object("1.2.3", "1.2.3.1.1", "A^B", 100), object("1.2.3", "1.2.3.1.2", "A^B", 3_000_000)];
    let answer = program.store("/studies", &files);
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/dicom+json"));
    let answer = answer.json();
    assert_eq!(answer["00081190"]["Value"][0], format!("{}/studies/1.2.3", program.base()));
    let mut again = b"--mark\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    again.extend(files[0].iter().chain(b"\r\n--mark--"));
    let again = program.send("POST", "/studies", &format!("{KIND}Accept: application/dicom+xml\r\n"), &again);
    assert_eq!((again.status, again.header("content-type")), (200, "application/dicom+xml"));
    let xml = String::from_utf8(again.body).unwrap();
    assert!(xml.starts_with("<?xml ") && xml.contains("keyword=\"ReferencedSOPSequence\""), "{xml}");
    // As a machine that loses power would find it.
    drop(node);
    assert_eq!(ferry.filed().len(), 2);
    let _node = ferry.serve();
    for (_, address) in told(&answer, "00081199", "00081190") {
        let path = address.as_str().unwrap().strip_prefix(&program.base()).unwrap().to_owned();
        until("the console", PATIENCE, || {
            let had = program.get(&path, "Accept: application/dicom\r\n");
            (had.status == 200 && files.iter().any(|file| file.ends_with(&had.body[400..]))).then_some(())
        });
    }
    // Again is no harm; with other values both are kept, and the sender is warned.
    assert_eq!(program.store("/studies/1.2.3", &files[..1]).status, 200);
    let other = program.store("/studies", &[object("1.2.3", "1.2.3.1.1", "C^D", 100)]);
    assert_eq!(
        (other.status, told(&other.json(), "00081199", "00081196")),
        (202, vec![("1.2.3.1.1".into(), json!(0xB000))])
    );
}

#[test]
fn of_each_object_is_told_what_became_of_it() {
    let (ferry, _node, program) = node();
    let (good, foreign) = (object("1.2.3", "1.2.3.1.1", "A", 10), object("1.2.4", "1.2.4.1.1", "A", 10));
    let mixed = program.store("/studies/1.2.3", &[good.clone(), foreign.clone(), b"no file".to_vec()]);
    assert_eq!(mixed.status, 202);
    let answer = mixed.json();
    assert_eq!(told(&answer, "00081199", "00081150"), [("1.2.3.1.1".to_owned(), json!(CT))]);
    assert_eq!(told(&answer, "00081198", "00081197"), [("1.2.4.1.1".to_owned(), json!(0xA900))]);
    assert_eq!(answer["0008119A"]["Value"], json!([{"00081197": {"vr": "US", "Value": [0xC000]}}]));
    assert_eq!(program.store("/studies/1.2.3", &[foreign]).status, 409, "none of it");
    // A file that says one thing and holds another is kept, in quarantine, and nobody is told that all is well.
    let head = |uid| write_part10_head(CT, uid, uids::EXPLICIT_LE, None);
    let lying = [head("1.9.9"), good[head("1.2.3.1.1").len()..].to_vec()].concat();
    let kept = program.store("/studies", &[lying]);
    assert_eq!(kept.status, 202, "{:?}", kept.json());
    assert_eq!(told(&kept.json(), "00081199", "00081196")[0].1, json!(0xB007));
    assert_eq!((ferry.filed().len(), ferry.quarantined().len()), (1, 1));
}

#[test]
fn requests_that_are_none_are_refused_and_leave_nothing_behind() {
    let (ferry, _node, program) = node();
    let file = object("1.2.3", "1.2.3.1.1", "A", 100_000);
    let part = [b"--mark\r\nContent-Type: application/dicom\r\n\r\n", file.as_slice()].concat();
    for (headers, body, status) in [
        ("", &b"x"[..], 415),
        ("Content-Type: application/dicom\r\n", &file, 415),
        ("Content-Type: multipart/related; type=\"application/dicom+xml\"; boundary=mark\r\n", &part, 415),
        ("Content-Type: multipart/related; type=\"application/dicom\"\r\n", &part, 400),
        (KIND, b"", 400),
        (KIND, b"--mark--", 400),
        (KIND, &part, 400),
        (KIND, &[b'x'; 100_000], 400),
        (KIND, b"--mark\r\nno end of a head", 400),
        (KIND, b"--marked\r\n\r\n", 400),
    ] {
        let answer = program.send("POST", "/studies", headers, body);
        assert_eq!(answer.status, status, "{headers} {:?}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    }
    assert!(ferry.filed().is_empty() && ferry.quarantined().is_empty());
    until("nothing is left", PATIENCE, || ferry.leftovers().is_empty().then_some(()));
    // What came whole before a request broke off is kept, and said.
    let closed = [part.as_slice(), b"\r\n--mark\r\nX: ", &[b'x'; 20_000]].concat();
    let answer = program.send("POST", "/studies", KIND, &closed);
    assert!(
        answer.status == 400 && answer.json()["detail"].as_str().unwrap().contains("1 objects before"),
        "{}",
        answer.head
    );
    assert_eq!(ferry.filed().len(), 1);
}

#[test]
fn dicomweb_client_brings_sample_files() {
    let (ferry, _node, program) = node();
    let samples = samples();
    // Those with a whole File Meta group, as the client writes them anew.
    let files: Vec<PathBuf> = distinct(&samples)
        .into_iter()
        .filter(|sample| ["CT_small.dcm", "MR_small.dcm", "JPEG-LL.dcm"].contains(&sample.name().as_str()))
        .map(|sample| sample.path.clone())
        .collect();
    assert!(files.len() >= 2);
    let told = program.client("store", &files);
    assert_eq!(told["ReferencedSOPSequence"].as_array().unwrap().len(), files.len(), "{told}");
    assert_eq!(told["FailedSOPSequence"], json!([]));
    assert_eq!(ferry.filed().len(), files.len());
}
